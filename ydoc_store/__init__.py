"""Logs of Yjs updates, by name: append at an expected position, one writer at a time, and which logs hold a
row.

Knows neither Django nor Yjs: updates are bytes. See `docs/store.md`.
"""

from ydoc_store.base import DocStore
from ydoc_store.exceptions import (
    BadStoreUrl,
    CorruptStore,
    EpochNotNewer,
    HeadMoved,
    LeaseLost,
    LeaseTimeout,
    LogTooNew,
    MissingExtra,
    PositionLost,
    StoreError,
    StoreTooNew,
    StoreUnavailable,
    UnknownScheme,
)
from ydoc_store.urls import open_store
from ydoc_store.values import Entry, Lease, Log, Position, Risk, Size, Usage

__all__ = [
    "BadStoreUrl",
    "CorruptStore",
    "DocStore",
    "Entry",
    "EpochNotNewer",
    "HeadMoved",
    "Lease",
    "LeaseLost",
    "LeaseTimeout",
    "Log",
    "LogTooNew",
    "MissingExtra",
    "Position",
    "PositionLost",
    "Risk",
    "Size",
    "StoreError",
    "StoreTooNew",
    "StoreUnavailable",
    "UnknownScheme",
    "Usage",
    "open_store",
]
