"""Logs to measure on."""

from __future__ import annotations

from collections.abc import Collection

from ydoc_store import DocStore, Log, Position

__all__ = ["UPDATE", "begin", "put"]

#: As long as the update of one changed field. The store does not look into it.
UPDATE = bytes(range(60))


def begin(
    store: DocStore, name: str, *, epoch: int = 1, snapshot: bytes = b"\x00\x00", rows: Collection[str] = ()
) -> Position:
    """Starts a log as rxcrdt does, and gives the lease back."""
    lease = store.lease(name, since=None, seconds=60, wait=10)
    start = store.begin(name, epoch=epoch, snapshot=snapshot, rows=rows, lease=lease.token)
    store.release(name, lease.token)
    return start


def put(store: DocStore, name: str, log: Log) -> None:
    """The whole of `log`, entry by entry."""
    head = begin(store, name, epoch=log.epoch, snapshot=log.snapshot)
    for entry in log.entries:
        head = store.append(name, entry.update, expect=head)
