"""The document's layout, version 1: tables and registers to a pycrdt ``Doc`` and back. ``docs/layout.md`` draws it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pycrdt import Doc, Map

from rxcrdt.keys import Node
from rxcrdt.layers import LAYOUT, Plan
from rxcrdt.tables import Content, Patch
from rxcrdt.values import Json, same

__all__ = ["META", "describe", "new_doc", "read", "read_map", "read_root", "root_node", "write"]

META = "rxcrdt"  # the root that says what the document is


def new_doc(client_id: int) -> Doc[Any]:
    """An empty document that any thread may use, one at a time."""
    return Doc(client_id=client_id, allow_multithreading=True)


def describe(plan: Plan, document: str, root: Node | None) -> dict[str, Json]:
    """What the ``rxcrdt`` root says: ``root`` is ``[layer, key]``, or null once the row is gone."""
    return {
        "layout": LAYOUT,
        "document": document,
        "anchor": plan.anchor.get_name(),
        "root": list(root) if root else None,
        "schema": plan.schema,
        "layers": plan.description,
    }


def read_root(doc: Doc[Any], root: str) -> dict[str, Any]:
    """One root as plain data. Through the engine's own JSON: five times as fast as ``to_py``."""
    return read_map(doc.get(root, type=Map))


def read_map(table: Map[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(table))
    return found


def read(doc: Doc[Any], roots: Iterable[str]) -> Content:
    return {root: read_root(doc, root) for root in roots}


def root_node(doc: Doc[Any]) -> Node | None:
    """The node that the document starts from; None if its row is gone, or nothing was written yet."""
    meta: Map[Any] = doc.get(META, type=Map)
    root = meta.get("root")
    return None if root is None else (root[0], root[1])


def write(doc: Doc[Any], patches: Iterable[Patch], meta: dict[str, Json]) -> bytes | None:
    """Applies patches in one transaction, returns its update, or None if there was nothing to change.

    The document may keep what it took from a transaction that raised: drop it then.
    """
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    try:
        with doc.transaction():
            about: Map[Any] = doc.get(META, type=Map)
            for name, value in meta.items():
                if name not in about or about[name] != value:
                    about[name] = value
            for patch in patches:
                _apply(doc.get(patch.root, type=Map), patch)
    finally:
        doc.unobserve(subscription)
    return updates[0] if updates else None


def _apply(table: Map[Any], patch: Patch) -> None:
    if patch.after is None:
        del table[patch.key]
        return
    if patch.before is None:
        table[patch.key] = Map(patch.after)
        return
    node = table[patch.key]
    for name, value in patch.after.items():
        if name not in patch.before or not same(patch.before[name], value):
            node[name] = value
    for name in patch.before.keys() - patch.after.keys():
        del node[name]
