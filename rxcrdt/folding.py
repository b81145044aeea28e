"""Folding a log's entries into its snapshot, so that it does not grow for ever."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from rxcrdt import conf, tombstones
from rxcrdt.layers import Plan
from rxcrdt.replica import Replica, weight
from ydoc_store import LeaseTimeout, PositionLost, Size, StoreUnavailable

__all__ = ["SMALLEST", "Folded", "fold", "is_due"]

logger = logging.getLogger("rxcrdt.documents")

SMALLEST = 32 * 1024  # lighter entries are left alone: about a hundred of the usual size
PART = 8
LEASES = 6  # reading and writing a whole document takes longer than a flush


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What a log has become: ``size``, and whether its ``tombstones.are_too_many`` if it was folded just now."""

    epoch: int
    size: Size
    too_many_tombstones: bool


def is_due(entries_weight: int, snapshot_bytes: int) -> bool:
    """Whether the entries make the log an eighth slower to load than its snapshot is.

    So the cost of folding, which is that of loading, is spread over the more entries the larger the document is.
    """
    return entries_weight > max(SMALLEST, snapshot_bytes // PART)


def fold(plan: Plan, log_name: str, *, if_due: bool = False) -> Folded | None:
    """Folds the log, through a freshly loaded document: only that merges its garbage.

    Only one process does so at a time: None if another one is at it, or if there is no log. All who write a document
    cross the line at about the same entry: with ``if_due``, the later ones find that it was folded, and leave it.

    Writers and readers go on meanwhile: what is appended after the log was read stays an entry. Whoever dies in the
    middle has changed nothing, as the store swaps the snapshot and its entries in one step; the lease runs out.
    """
    store, turn = conf.store(), f"{log_name}#fold"
    try:
        lease = store.lease(turn, since=None, seconds=LEASES * conf.settings().lease_seconds, wait=0)
    except LeaseTimeout:
        return None
    try:
        size = store.size(log_name)
        if if_due and not is_due(weight(size.entries, size.entry_bytes), size.snapshot_bytes):
            return Folded(epoch=0, size=size, too_many_tombstones=False)
        return _fold(plan, log_name)
    except PositionLost as error:
        logger.info("%s was begun anew meanwhile, and needs no folding: %s", log_name, error)
        return None
    finally:
        try:
            store.release(turn, lease.token)
        except StoreUnavailable as error:
            logger.warning("The turn to fold %s could not be given back, and runs out by itself: %s", log_name, error)


def _fold(plan: Plan, log_name: str) -> Folded | None:
    store = conf.store()
    log = store.load(log_name)
    if log is None:
        return None
    fresh = Replica(plan, log)
    snapshot = fresh.doc.get_update()
    if log.entries:
        store.compact(log_name, snapshot, at=fresh.position)
    size, too_many = Size(snapshot_bytes=len(snapshot)), tombstones.are_too_many(fresh.doc)
    return Folded(epoch=log.epoch, size=size, too_many_tombstones=too_many)
