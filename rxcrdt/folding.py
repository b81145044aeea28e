"""Folding a log's entries into its snapshot, so that it does not grow for ever."""

from __future__ import annotations

import logging

from rxcrdt import conf, tombstones
from rxcrdt.layers import Plan
from rxcrdt.replica import Replica
from ydoc_store import LeaseTimeout, StoreUnavailable

__all__ = ["SMALLEST", "fold", "is_due"]

logger = logging.getLogger("rxcrdt.documents")

SMALLEST = 32 * 1024  # lighter entries are left alone: about a hundred of the usual size
PART = 8
LEASES = 6  # reading and writing a whole document takes longer than a flush


def is_due(replica: Replica) -> bool:
    """Whether the entries make the log an eighth slower to load than its snapshot is.

    So the cost of folding, which is that of loading, is spread over the more entries the larger the document is.
    """
    return replica.weight > max(SMALLEST, replica.snapshot_bytes // PART)


def fold(plan: Plan, log_name: str) -> bool:
    """Folds the log, through a freshly loaded document: only that merges its garbage. Returns whether its
    ``tombstones.are_too_many``.

    Only one process does so at a time: False if another one is at it, or if there is no log. Writers and readers go on
    meanwhile: what is appended after the log was read stays an entry. Whoever dies in the middle has changed nothing,
    as the store swaps the snapshot and its entries in one step; the lease runs out.
    """
    store, turn = conf.store(), f"{log_name}#fold"
    try:
        lease = store.lease(turn, since=None, seconds=LEASES * conf.settings().lease_seconds, wait=0)
    except LeaseTimeout:
        return False
    try:
        log = store.load(log_name)
        if log is None:
            return False
        fresh = Replica(plan, log)
        if log.entries:
            store.compact(log_name, fresh.doc.get_update(), at=fresh.position)
        return tombstones.are_too_many(fresh.doc)
    finally:
        try:
            store.release(turn, lease.token)
        except StoreUnavailable as error:
            logger.warning("The turn to fold %s could not be given back, and runs out by itself: %s", log_name, error)
