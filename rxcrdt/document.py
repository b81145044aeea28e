"""A document: this process's copy of it, brought up to date with the database under the log's lease.

Who may do what at once:

- ``_writing`` is held by the one thread of this process that changes the document, through ``writer``: it takes the
  log's lease (which keeps other processes out), catches up, reads the rows, appends. As rows are read after catching
  up and under the lease, a slow writer can never put back old values.
- The mirror's lock guards the replica for moments: an answer to a client, an entry going in. Never held while the
  database is read or a lease is waited for. Own writes hold it from the first change of the Yjs document until the
  log has the entry: a document that holds what is not in the log answers nobody.
- Whatever goes wrong in between, the replica is dropped and loaded again: what pycrdt produced cannot be taken back.
- A log that cannot be read is put aside, and the document projected again: the database has everything.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

from rxcrdt import conf, deploys, folding, retention, workers
from rxcrdt.anchors import Anchor
from rxcrdt.audience import Listener
from rxcrdt.changes import Changes
from rxcrdt.exceptions import CorruptDocument, DocumentGone, NotNow
from rxcrdt.layers import Plan
from rxcrdt.lineage import newest_lineage, read_state_vector
from rxcrdt.mirror import Mirror
from rxcrdt.names import LogName
from rxcrdt.projection import node_row_key
from rxcrdt.replica import Replica
from rxcrdt.tables import Content
from rxcrdt.transactions import in_test_case
from rxcrdt.values import Json
from rxcrdt.writer import Writer
from ydoc_store import CorruptStore, Entry, Position, PositionLost

__all__ = ["Document"]


class Document:
    """One document in this process. All methods are for threads, none for an event loop's."""

    def __init__(self, anchor: type[Anchor], name: str, value: str, log: LogName):
        self.anchor = anchor
        self.name = name
        self.log = str(log)
        self._value = value
        self._mirror = Mirror(anchor, name, self.log)
        self._writer = Writer(anchor, name, value, log, self._mirror)
        self._writing = threading.Lock()
        self._waiting: deque[tuple[str, Changes]] = deque()  # of itself safe for threads
        self._incoming: list[Entry] = []
        self._behind = False
        self._comparison_waits = False

    @property
    def plan(self) -> Plan:
        return self._mirror.plan

    @property
    def position(self) -> Position | None:
        """The head of the log, as far as this process knows; None before the document was loaded."""
        return self._mirror.position

    @property
    def idle(self) -> bool:
        """Whether nobody writes it or waits to."""
        return not (self._writing.locked() or self._waiting)

    def content(self) -> tuple[Content, dict[str, Json]]:
        """A copy of the tables, and what the document says of itself: what ``denormalize`` takes."""
        with self._loaded() as replica:
            return deepcopy(replica.content())

    # For rooms

    def subscribe(self, listener: Listener) -> None:
        self._mirror.subscribe(listener)

    def unsubscribe(self, listener: Listener) -> None:
        self._mirror.unsubscribe(listener)

    def answer(self, state_vector: bytes, enroll: Callable[[bytes], None]) -> bytes:
        """Calls ``enroll`` with what a client of ``state_vector`` lacks, while no entry can come in between.

        Returns the document's own state vector of that moment.
        """
        self._overtake(state_vector)
        with self._loaded() as replica:
            enroll(replica.lacking(state_vector))
            return replica.state()

    def _overtake(self, state_vector: bytes) -> None:
        """Where two lineages wrote one key, a client shows the later one: so ours has to be later than all that it has.

        It may have the next one of this log, of which this process has not heard yet; or one that another version's
        log has begun since (see ``rxcrdt.deploys``): then ours begins anew, or NotNow. A state vector proves neither,
        the store does: whoever claims what was never begun is answered as if he had not.
        """
        newest = newest_lineage(read_state_vector(state_vector))
        with self._loaded() as replica:
            root, epoch = replica.root, replica.position.epoch
        if newest <= epoch or root is None:
            return
        if newest > deploys.newest_epoch(self.log, node_row_key(self.plan, root)):
            return
        with self._exclusive():
            self._take_incoming()
            position = self.position
            behind = position is None or position.epoch < newest
            if behind and deploys.may_overtake(self.log):
                self._writer.compare(self._writer.alias(), above=newest - 1)
                return
        if behind:
            raise NotNow(f"{self.log} began anew for a client of another version a moment ago; come back later.")

    def state_vector(self) -> bytes:
        with self._loaded() as replica:
            return replica.state()

    @contextmanager
    def _loaded(self) -> Iterator[Replica]:
        """The replica, under the lock. Loaded first if a failed write dropped it."""
        while True:
            with self._mirror.lock:
                if self._mirror.replica is not None:
                    yield self._mirror.replica
                    return
            self.ensure()

    def ensure(self) -> None:
        """Loads the document, or builds it if the store has none. DocumentGone if there is no such row."""
        with self._exclusive():
            if self._exists():
                return
            self._mirror.load()
            if not self._exists():
                self._writer.compare(self._writer.alias())
            if not self._exists():
                raise self._gone()

    def _exists(self) -> bool:
        replica = self._mirror.replica
        return replica is not None and replica.root is not None

    def _gone(self) -> DocumentGone:
        return DocumentGone(f"There is no {self.anchor.get_name()} with {self.anchor.lookup_field} {self._value!r}.")

    # What other processes wrote

    def receive(self, entries: Sequence[Entry]) -> None:
        """Takes entries that another process wrote. Old ones are ignored, what lies in between is read from the log."""
        with self._mirror.lock:
            self._incoming.extend(entries)
        self.catch_up()

    def catch_up(self) -> None:
        """Reads what the log has beyond ``position``. While this process writes, the writer does so when it is done."""
        self._behind = True
        while self._behind and self._writing.acquire(blocking=False):
            try:
                self._behind = False
                self._take_incoming()
            finally:
                self._writing.release()
        self._answer_nudge()

    def _take_incoming(self) -> None:
        with self._mirror.lock:
            entries, self._incoming = sorted(self._incoming, key=lambda entry: entry.position), []
            replica = self._mirror.replica
        if replica is None:
            if self._mirror.watched:
                self._load_again()  # a write failed, and dropped it
            return
        try:
            for entry in entries:
                if entry.position == Position(replica.position.epoch, replica.position.sequence + 1):
                    self._mirror.take((entry,))
            if not entries or entries[-1].position > replica.position:
                self._mirror.take(conf.store().since(self.log, replica.position))
        except (PositionLost, CorruptDocument, CorruptStore):
            self._load_again()

    def _load_again(self) -> None:
        self._mirror.load()
        if self._mirror.replica is None and self._mirror.watched:
            self._writer.compare(self._writer.alias())

    def _answer_nudge(self) -> None:
        """Processes of another version have saved something: what that means for this document, only the database
        knows. See ``rxcrdt.deploys``."""
        if self._mirror.nudged and self._mirror.watched and not self._comparison_waits:
            self._comparison_waits = True
            meaning = f"{self.log} is compared with the database at RECONCILE_SECONDS."
            workers.in_background(meaning, self._compare_once)

    def _compare_once(self) -> None:
        self._comparison_waits = False  # a nudge that comes from now on may be of a save that we do not see
        self.heed_nudge()

    def heed_nudge(self) -> None:
        """For who wants the document as it is now: a room's is compared in the background."""
        if self._mirror.nudged:
            self.reconcile()

    # Writing

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._writing:
            yield
        if self._behind:
            self.catch_up()
        self._answer_nudge()
        self._fold_if_due()

    def flush(self, using: str, changes: Changes) -> None:
        """Brings the document up to date with ``changes``, which are committed in the database ``using``.

        Whoever gets to write does so for all who wait. Raises what kept it from writing: nothing is half done
        then, and the changes go on waiting for the next ``flush`` or ``flush_waiting``.
        """
        self._waiting.append((using, changes))
        self.flush_waiting()

    def flush_waiting(self) -> None:
        """Flushes what other calls left. Does nothing if there is nothing."""
        with self._exclusive():
            taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                for alias in dict.fromkeys(alias for alias, _ in taken):
                    changes = Changes.together(part for other, part in taken if other == alias)
                    if changes.is_everything:
                        self._writer.compare(alias)
                    else:
                        self._writer.update(alias, changes)
            except BaseException:
                self._waiting.extendleft(reversed(taken))
                raise

    def reconcile(self, using: str | None = None) -> bool:
        """Compares the whole document with the database and mends what differs. True if anything did."""
        with self._exclusive():
            before = self.position
            self._writer.compare(using or self._writer.alias())
            return before != self.position

    def rebuild(self) -> None:
        """Projects the document from the database into a new lineage, whatever its log says; those who have it open get
        that as one update. DocumentGone if there is no such row: a log that there is becomes an empty document then."""
        with self._exclusive():
            self._writer.compare(self._writer.alias(), anew=True)
            if not self._exists():
                raise self._gone()

    def discard(self) -> None:
        """Deletes the log: the next one to open the document builds it anew."""
        with self._exclusive():
            conf.store().delete(self.log)
            self._mirror.drop()

    # Keeping the log small

    def _fold_if_due(self) -> None:
        """In the background: it takes as long as loading the document."""
        with self._mirror.lock:
            replica = self._mirror.replica
            if replica is None or not folding.is_due(replica.weight, replica.snapshot_bytes):
                return
            replica.weight = 0  # tried again after as much
        if in_test_case(self._writer.alias()):
            return  # no other thread sees its rows
        meaning = f"The log {self.log} could not be folded, and will be later."
        workers.in_background(meaning, self._compact, True)

    def compact(self) -> None:
        """Folds the log into its snapshot, and collapses it to a new lineage where there are too many tombstones.

        A new lineage is never begun under somebody who may write: what he typed meanwhile would be in the old one.
        Nobody knows which of all rooms' sockets those are, so a document with anything writable is collapsed when
        nobody has it open.
        """
        self._compact(False)

    def _compact(self, if_due: bool) -> None:
        try:
            folded = folding.fold(self.plan, self.log, if_due=if_due)
        except (CorruptStore, CorruptDocument):
            self._mirror.put_aside()
            return
        if folded is None:
            return
        with self._mirror.lock:
            if self._mirror.replica is not None:
                self._mirror.replica.measured(folded.size)
        if folded.too_many_tombstones and not self._may_be_written():
            with self._exclusive():  # no newer lineage: another process may have begun it meanwhile
                self._writer.compare(self._writer.alias(), above=folded.epoch)

    def _may_be_written(self) -> bool:
        writable = any(layer.write or layer.text for layer in self.anchor.layers.values())
        return writable and (self._mirror.watched or retention.is_in_use(self.log))
