"""Two versions of a project's code at once: during a deploy, old and new processes serve one board from two logs.

Each version writes only the logs of its own schema, as only it knows what stands in them. A save concerns both. So
whoever saves *nudges* the other version's log: an entry without content, which any code can write. It takes the way
of all entries, so nothing more is needed to reach whoever has the document open; they compare with the database then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from rxcrdt import conf, relay, retention, workers
from rxcrdt.names import LogName
from rxcrdt.processes import PerProcess
from ydoc_store import Entry, HeadMoved, LeaseTimeout, Position, PositionLost

__all__ = ["NUDGE", "OVERTAKING_SECONDS", "may_overtake", "newest_epoch", "nudge", "nudge_all"]

logger = logging.getLogger("rxcrdt.flushing")

NUDGE = b"\x00\x00"  # the Yjs update of no structs and no deletes; a projection never writes it
#: A log begins anew at most so often because a client came from the other version's. Every time, all who have the
#: document open get it as a whole, and keep some bytes of it for ever.
OVERTAKING_SECONDS = 10.0


class _Waiting:
    """The logs that are to be nudged, and whether a thread is at it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.logs: set[str] = set()
        self.worked_on = False


_waiting = PerProcess(_Waiting)


def nudge_all(logs: Collection[str]) -> None:
    """Tells those who have logs of another version open that the database has changed.

    In the background: the other version may be writing, and no save waits for that. A nudge that waits stands for all
    saves until it goes out. Nothing happens to logs of other tenants, whose rows are others, and to those that nobody
    has open: they are compared with the database when somebody opens them.
    """
    if not logs:
        return
    namespace, waiting = conf.namespace(), _waiting()
    ours = {log for log in logs if LogName.parse(log).namespace == namespace}
    with waiting.lock:
        waiting.logs |= ours
        begins = bool(waiting.logs) and not waiting.worked_on
        waiting.worked_on = waiting.worked_on or begins
    if begins:
        workers.in_background("Logs of other code could not be nudged: see docs/failures.md.", _nudge_waiting)


def _nudge_waiting() -> None:
    waiting = _waiting()
    try:
        while logs := _taken(waiting):  # who saves from now on sends another one
            _nudge_those_in_use(logs)
    except BaseException:
        waiting.worked_on = False
        raise


def _taken(waiting: _Waiting) -> set[str]:
    with waiting.lock:
        taken, waiting.logs = waiting.logs, set()
        waiting.worked_on = bool(taken)
        return taken


def _nudge_those_in_use(logs: Collection[str]) -> None:
    """Whoever has them open compares with the database every ``RECONCILE_SECONDS`` anyway, so that a nudge that fails
    is not tried again."""
    for log in retention.in_use(logs):
        try:
            nudge(log)
        except Exception:
            logger.exception("%s, a log of other code, could not be nudged: see docs/failures.md.", log)


def nudge(log: str) -> None:
    """Appends a nudge to the log, when whoever writes it is done. Raises as the store does."""
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


def may_overtake(log: str) -> bool:
    """Takes a turn: False if the log, in whichever process, began anew for a client of the other version just now.

    Clients that a load balancer sends to and fro would otherwise have the two logs overtake each other without end.
    The turn is a lease that is kept.
    """
    try:
        conf.store().lease(f"{log}#overtaking", since=None, seconds=OVERTAKING_SECONDS, wait=0)
    except LeaseTimeout:
        return False
    return True


def _append(log: str) -> Position:
    store, seconds = conf.store(), conf.settings().lease_seconds
    head = store.head(log)
    if head is None:
        raise PositionLost("there is no such log any more")
    lease = store.lease(log, since=head, seconds=seconds, wait=seconds)
    try:
        if lease.log is not None or lease.missed:  # it moved on meanwhile
            head = lease.log.head if lease.log is not None else lease.missed[-1].position
        return store.append(log, NUDGE, expect=head, lease=lease.token)
    finally:
        store.release(log, lease.token)
