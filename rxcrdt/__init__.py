"""Live, shared, offline-tolerant state for Django: rows, as their serializer shows them, in a Yjs document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rxcrdt.declaring import depends_on
from rxcrdt.registry import register

if TYPE_CHECKING:
    from rxcrdt.anchors import Anchor, Layer
    from rxcrdt.managers import AnchoredManager, AnchoredQuerySet
    from rxcrdt.reporting import changed
    from rxcrdt.snapshots import snapshot

__all__ = [
    "Anchor",
    "AnchoredManager",
    "AnchoredQuerySet",
    "Layer",
    "changed",
    "depends_on",
    "register",
    "snapshot",
]

__version__ = "0.1.0.dev0"

_LAZY = {  # these need Django's settings, or its models
    "Anchor": "rxcrdt.anchors",
    "AnchoredManager": "rxcrdt.managers",
    "AnchoredQuerySet": "rxcrdt.managers",
    "Layer": "rxcrdt.anchors",
    "changed": "rxcrdt.reporting",
    "snapshot": "rxcrdt.snapshots",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'rxcrdt' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
