"""Entries into a log: each once, and folded into its snapshot now and then."""

from __future__ import annotations

import logging

from rxcrdt import conf
from rxcrdt.layers import Plan
from rxcrdt.replica import Replica
from ydoc_store import Lease, Position, PositionLost, StoreUnavailable

__all__ = ["Compaction", "append_once", "compact"]

logger = logging.getLogger("rxcrdt.documents")

ENTRIES = 500
BYTES = 1024 * 1024


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


class Compaction:
    """Counts what this process appended to one log; whoever crosses the line folds it. Not locked."""

    def __init__(self, log: str):
        self.log = log
        self.restart()

    def restart(self) -> None:
        self._entries = self._bytes = 0

    def appended(self, plan: Plan, update: bytes) -> None:
        """One more entry. A fold that fails is only logged: the next line that is crossed tries again."""
        self._entries, self._bytes = self._entries + 1, self._bytes + len(update)
        if self._entries < ENTRIES and self._bytes < BYTES:
            return
        self.restart()
        try:
            compact(plan, self.log)
        except (StoreUnavailable, PositionLost) as error:
            logger.warning("The log %s could not be compacted, and will be later: %s", self.log, error)


def compact(plan: Plan, log_name: str) -> None:
    """Folds the log into its snapshot, through a freshly loaded document: only that merges its garbage."""
    log = conf.store().load(log_name)
    if log is None or not log.entries:
        return
    fresh = Replica(plan, log)
    conf.store().compact(log_name, fresh.doc.get_update(), at=fresh.position)
