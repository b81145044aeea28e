"""What a process has of a document: the replica, if it is loaded, and the listeners who are told whatever it takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from rxcrdt import conf
from rxcrdt.anchors import Anchor
from rxcrdt.audience import Audience, Listener
from rxcrdt.deploys import NUDGE
from rxcrdt.exceptions import CorruptDocument
from rxcrdt.layers import Plan, plan
from rxcrdt.replica import Replica
from ydoc_store import CorruptStore, Entry, Log, Position

__all__ = ["Mirror"]

logger = logging.getLogger("rxcrdt.documents")


class Mirror:
    """Replica and listeners change together, under ``lock``, which every method takes: hold it for moments only.

    ``nudged`` is set where processes with other code may have saved something: see ``rxcrdt.deploys``.
    """

    def __init__(self, anchor: type[Anchor], name: str, log: str) -> None:
        self.lock = threading.RLock()
        self.replica: Replica | None = None
        self.nudged = False
        self._anchor = anchor
        self._log = log
        self._audience = Audience(name)

    @property
    def plan(self) -> Plan:
        return plan(self._anchor)

    @property
    def position(self) -> Position | None:
        """How far listeners were told, or would have been; None before there was anything to tell."""
        with self.lock:
            return self._audience.position

    @property
    def watched(self) -> bool:
        """Whether somebody listens."""
        return bool(self._audience)

    def subscribe(self, listener: Listener) -> None:
        with self.lock:
            self._audience.add(listener)

    def unsubscribe(self, listener: Listener) -> None:
        with self.lock:
            self._audience.remove(listener)

    # The log

    def load(self) -> None:
        """Takes the whole log, or nothing if there is none. One that cannot be read is put aside: there is none
        then."""
        try:
            log = conf.store().load(self._log)
            if log is None:
                self.drop()
            else:
                self._put(Replica(self.plan, log), log)
        except (CorruptStore, CorruptDocument):
            self.drop()
            self.put_aside()

    def take_log(self, log: Log) -> None:
        """As ``load``, for who has read the log already."""
        try:
            self._put(Replica(self.plan, log), log)
        except CorruptDocument:
            self.drop()
            self.put_aside()

    def put_aside(self) -> None:
        """Keeps a log that cannot be read under another name, unless somebody else has begun it anew meanwhile.

        One process at a time looks and moves: between the two, another one could move it and begin it anew.
        """
        store, turn, seconds = conf.store(), f"{self._log}#aside", conf.settings().lease_seconds
        lease = store.lease(turn, since=None, seconds=seconds, wait=seconds)
        try:
            log = store.load(self._log)
            if log is not None:
                Replica(self.plan, log)
        except (CorruptStore, CorruptDocument) as again:
            self._quarantine(again)
        finally:
            store.release(turn, lease.token)

    def _quarantine(self, error: CorruptStore | CorruptDocument) -> None:
        kept = conf.store().quarantine(self._log)
        if kept is not None:
            logger.error(
                "The log %s cannot be read: %s. It is kept as %r, and the document is projected again: see "
                "docs/failures.md.",
                self._log,
                str(error).rstrip("."),
                kept,
            )

    def _put(self, replica: Replica, log: Log) -> None:
        """Listeners get what they lack in one update, a new lineage too."""
        with self.lock:
            self.replica = replica
            self.nudged = self.nudged or self._may_hold_a_nudge(log)
            self._audience.bring_to(replica)

    def _may_hold_a_nudge(self, log: Log) -> bool:
        """Among what was not seen entry by entry. One that came before a new lineage is answered by that; one that was
        folded before this process came is not known of: rooms are compared when they open."""
        before = self.position
        seen = before.sequence if before is not None and before.epoch == log.epoch else 0
        folded = before is not None and log.at > seen
        return folded or any(entry.update == NUDGE and entry.position.sequence > seen for entry in log.entries)

    def take(self, entries: Sequence[Entry]) -> None:
        """Takes entries that follow the replica's position. CorruptDocument for one that cannot be read: the replica
        is dropped then, as nobody knows what the engine did with it."""
        with self.lock:
            replica = self.replica
            for entry in entries if replica else ():
                assert replica is not None
                self._take(replica, entry)

    def _take(self, replica: Replica, entry: Entry) -> None:
        try:
            replica.apply((entry,))
        except BaseException:
            self.drop()
            raise
        if entry.update == NUDGE:
            self.nudged = True
            self._audience.pass_over(replica)
        else:
            self._audience.tell(replica, entry.update)

    def appended(self, replica: Replica, position: Position, update: bytes) -> None:
        """The log has what this replica wrote."""
        with self.lock:
            replica.appended(position, update)
            self._audience.tell(replica, update)

    def drop(self) -> None:
        with self.lock:
            self.replica = None
