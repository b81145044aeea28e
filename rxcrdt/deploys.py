"""Two versions of a project's code at once: during a deploy, old and new processes serve one board from two logs.

Each version writes only the logs of its own schema, as only it knows what stands in them. A save concerns both. So
whoever saves *nudges* the other version's log: an entry without content, which any code can write. It takes the way
of all entries, so nothing more is needed to reach whoever has the document open; they compare with the database then.
"""

from __future__ import annotations

import logging

from rxcrdt import conf, relay, retention
from rxcrdt.names import LogName
from ydoc_store import Entry, HeadMoved, LeaseTimeout, Position, PositionLost

__all__ = ["NUDGE", "newest_epoch", "nudge"]

logger = logging.getLogger("rxcrdt.flushing")

NUDGE = b"\x00\x00"  # the Yjs update of no structs and no deletes; a projection never writes it
WAIT_SECONDS = 1.0  # for whoever writes the other log: a save waits with us


def nudge(log: str) -> None:
    """Tells those who have this log of another version open that the database has changed. Raises as the store does.

    Nothing happens to logs of other tenants, whose rows are others, and to those that nobody has open: they are
    compared with the database when somebody opens them.
    """
    if LogName.parse(log).namespace != conf.namespace() or not retention.is_in_use(log):
        return
    try:
        position = _append(log)
    except (HeadMoved, LeaseTimeout, PositionLost) as error:
        logger.info("%s could not be nudged, and is compared with the database a little later: %s", log, error)
        return
    relay.publish(log, Entry(position=position, update=NUDGE))


def newest_epoch(log: str, root: str) -> int:
    """The newest lineage of this document, in the log of whatever version. ``root`` is its first row's key."""
    document, store = LogName.parse(log)[:2], conf.store()
    logs = [log, *store.documents_of([root]).get(root, ())]
    heads = store.heads([each for each in logs if LogName.parse(each)[:2] == document])
    return max((head.epoch for head in heads.values()), default=0)


def _append(log: str) -> Position:
    store, seconds = conf.store(), conf.settings().lease_seconds
    head = store.head(log)
    if head is None:
        raise PositionLost("there is no such log any more")
    lease = store.lease(log, since=head, seconds=seconds, wait=WAIT_SECONDS)
    try:
        if lease.log is not None or lease.missed:  # it moved on meanwhile
            head = lease.log.head if lease.log is not None else lease.missed[-1].position
        return store.append(log, NUDGE, expect=head, lease=lease.token)
    finally:
        store.release(log, lease.token)
