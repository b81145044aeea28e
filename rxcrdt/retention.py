"""How long a log is kept that nobody has open: it can be built again, from the database.

Rooms *touch* their logs, so the store knows when somebody last had one open. A save is no use: documents that
nobody looks at would otherwise be kept up to date for ever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from rxcrdt import conf
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from ydoc_store import CorruptStore, LeaseTimeout, LogTooNew, StoreError, StoreUnavailable, quarantine

__all__ = [
    "IN_USE_SECONDS",
    "SWEEP_SECONDS",
    "TOUCH_SECONDS",
    "evict",
    "in_use",
    "is_in_use",
    "may_be_evicted",
    "sweep",
]

logger = logging.getLogger("rxcrdt.documents")

TOUCH_SECONDS = 60.0  # how often rooms say that they are there
IN_USE_SECONDS = 3 * TOUCH_SECONDS
SWEEP_SECONDS = 3600.0
TURN = "rxcrdt#sweep"


def is_in_use(log: str) -> bool:
    """Whether any process has a room for this log, or had one until a moment ago."""
    return bool(in_use([log]))


def in_use(logs: Collection[str]) -> list[str]:
    """As ``is_in_use``, for many in one round trip."""
    return _used(logs, within=IN_USE_SECONDS)


def _used(logs: Collection[str], *, within: float) -> list[str]:
    since = time.time() - within
    return [log for log, usage in conf.store().usage(logs).items() if usage.used > since]


def may_be_evicted(log: LogName) -> bool:
    """Whether the database can give back all that is in the log. What people type into a text field is there only once
    it is saved, and letters typed offline into a lineage that ended are lost: ``RXCRDT["EVICT_TEXT"]`` accepts that."""
    name = log.document.partition("/")[0]
    if conf.settings().evict_text or name not in registry:
        return True
    return not any(layer.text for layer in registry.get(name).layers.values())


def evict(log: LogName, *, unused_for: float) -> bool:
    """Deletes the log if nobody had it open for so many seconds; whether it did. Raises as the store does.

    Under the lease, so that nobody is writing. Somebody may open it at this very moment: he finds his log gone at the
    next poll, as after any loss, and gets the new one as one update.
    """
    if not may_be_evicted(log) or _is_proof(log):
        return False
    try:
        return _evict(str(log), unused_for)
    except LeaseTimeout:
        return False
    except CorruptStore as error:
        # Nobody can write it. But where a newer version of this library is in use, that one can.
        if isinstance(error, LogTooNew) and not quarantine.split(str(log)):
            raise
        conf.store().delete(str(log))
        return True
    except StoreUnavailable:
        return _evict_without_lease(str(log), unused_for)


def _is_proof(log: LogName) -> bool:
    """Whether another version's log of this document began earlier: a client that has seen this one gets from there
    only what is of a later lineage, and its word for that is not enough. See ``Document.answer``."""
    store, name = conf.store(), str(log)
    try:
        head = store.head(name)
    except CorruptStore:
        return False
    rows = store.rows(name) if head is not None else ()
    found = {other for others in store.documents_of(rows).values() for other in others if other != name}
    heads = store.heads([other for other in found if LogName.parse(other)[:2] == log[:2]])
    return head is not None and any(other.epoch < head.epoch for other in heads.values())


def _evict(name: str, unused_for: float) -> bool:
    store = conf.store()
    lease = store.lease(name, since=store.head(name), seconds=conf.settings().lease_seconds, wait=0)
    try:
        if _used([name], within=unused_for):
            return False
        store.delete(name)
        return True
    finally:
        store.release(name, lease.token)


def _evict_without_lease(name: str, unused_for: float) -> bool:
    """A Redis that is full gives no lease, but deletes. Whoever writes meanwhile finds the log gone, and builds it."""
    if _used([name], within=unused_for):
        return False
    try:
        conf.store().delete(name)
    except StoreUnavailable:
        if conf.store().usage([name]):
            raise
    return True


def sweep() -> int:
    """Evicts what nobody had open for ``RXCRDT["RETENTION_SECONDS"]``, of all tenants and versions; how many that were.

    One process an hour does so: the turn is a lease that is kept; a store that is full has none to give. What fails is
    logged, and comes next time.
    """
    store, seconds = conf.store(), conf.settings().retention_seconds
    try:
        store.lease(TURN, since=None, seconds=0.9 * SWEEP_SECONDS, wait=0)
    except LeaseTimeout:
        return 0
    except StoreUnavailable as error:
        logger.info("Unused documents are looked for without taking turns: %s", error)
    evicted = 0
    for name in tuple(store.unused(seconds)):
        log = LogName.parse(name)
        if str(log) != name:
            continue  # somebody else's, who uses the same store
        try:
            evicted += evict(log, unused_for=seconds)
        except StoreError as error:
            logger.warning("%s could not be evicted, and will be later: %s", name, error)
    if evicted:
        logger.info("%d documents that nobody had open for %g s were evicted.", evicted, seconds)
    return evicted
