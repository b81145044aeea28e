"""Entries into a log, each once."""

from __future__ import annotations

from rxcrdt import conf
from ydoc_store import Lease, Position, PositionLost, StoreUnavailable

__all__ = ["append_once"]


def append_once(log: str, update: bytes, *, expect: Position, lease: Lease) -> Position:
    """Appends, and gives the lease back. Where it is not known whether that worked, the log is asked, and the append is
    never repeated.

    Raises as ``DocStore.append`` does; StoreUnavailable still leaves open whether the log has the entry.
    """
    try:
        return conf.store().append(log, update, expect=expect, lease=lease.token)
    except StoreUnavailable as error:
        try:
            missed = conf.store().since(log, expect)
        except (StoreUnavailable, PositionLost):
            raise error from None
        if missed and missed[0].update == update:
            return missed[0].position
        raise
