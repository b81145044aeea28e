"""A document: this process's copy of it, brought up to date with the database under the log's lease.

Who may do what at once:

- ``_writing`` is held by the one thread of this process that changes the document: it takes the log's lease
  (which keeps other processes out), catches up, reads the rows, appends. As rows are read after catching up and
  under the lease, a slow writer can never put back old values.
- ``_lock`` guards the replica for moments: an answer to a client, an entry going in. Never held while the
  database is read or a lease is waited for. Own writes hold it from the first change of the Yjs document until the
  log has the entry: a document that holds what is not in the log answers nobody.
- Whatever goes wrong in between, the replica is dropped and loaded again: what pycrdt produced cannot be taken back.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

from django.db import router

from rxcrdt import conf, layout, relay
from rxcrdt.anchors import Anchor
from rxcrdt.appending import Compaction, append_once, compact
from rxcrdt.audience import Audience, Listener
from rxcrdt.changes import Changes
from rxcrdt.current import read_changed, read_whole
from rxcrdt.exceptions import DocumentGone
from rxcrdt.keys import Node
from rxcrdt.layers import Plan, plan
from rxcrdt.lineage import new_epoch
from rxcrdt.names import LogName
from rxcrdt.projection import Forest, node_row_key
from rxcrdt.replica import Replica
from rxcrdt.tables import Content, Tables
from rxcrdt.values import Json
from ydoc_store import Entry, HeadMoved, Lease, LeaseLost, Position, PositionLost, StoreUnavailable

__all__ = ["Document"]

logger = logging.getLogger("rxcrdt.documents")

TRIES = 4
BUILD_LEASES = 6  # a whole document takes longer than a flush


class Document:
    """One document in this process. All methods are for threads, none for an event loop's."""

    def __init__(self, anchor: type[Anchor], name: str, value: str, log: LogName):
        self.anchor = anchor
        self.name = name
        self.log = str(log)
        self._value = value
        self._writing = threading.Lock()
        self._lock = threading.RLock()
        self._replica: Replica | None = None
        self._audience = Audience(name)
        self._waiting: deque[tuple[str, Changes]] = deque()  # of itself safe for threads
        self._incoming: list[Entry] = []
        self._behind = False
        self._lease_is_held = False
        self._compaction = Compaction(self.log)

    @property
    def plan(self) -> Plan:
        return plan(self.anchor)

    @property
    def position(self) -> Position | None:
        """The head of the log, as far as this process knows; None before the document was loaded."""
        with self._lock:
            return self._audience.position

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
        with self._lock:
            self._audience.add(listener)

    def unsubscribe(self, listener: Listener) -> None:
        with self._lock:
            self._audience.remove(listener)

    def answer(self, state_vector: bytes, enroll: Callable[[bytes], None]) -> None:
        """Calls ``enroll`` with what a client of ``state_vector`` lacks, while no entry can come in between."""
        with self._loaded() as replica:
            enroll(replica.lacking(state_vector))

    def state_vector(self) -> bytes:
        with self._loaded() as replica:
            return replica.state()

    @contextmanager
    def _loaded(self) -> Iterator[Replica]:
        """The replica, under the lock. Loaded first if a failed write dropped it."""
        while True:
            with self._lock:
                if self._replica is not None:
                    yield self._replica
                    return
            self.ensure()

    def receive(self, entries: Sequence[Entry]) -> None:
        """Takes entries that another process wrote. Old ones are ignored, what lies in between is read from the log."""
        with self._lock:
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

    def _take_incoming(self) -> None:
        with self._lock:
            entries, self._incoming = sorted(self._incoming, key=lambda entry: entry.position), []
            replica = self._replica
            if replica is None:
                if self._audience:
                    self._reload()  # a write failed, and dropped it
                return
            for entry in entries:
                if entry.position == Position(replica.position.epoch, replica.position.sequence + 1):
                    self._take(replica, (entry,))
            position = replica.position
            if entries and entries[-1].position <= position:
                return
        self._follow(position)

    def _follow(self, position: Position) -> None:
        try:
            missed = conf.store().since(self.log, position)
        except PositionLost:
            self._reload()
            if self._replica is None and self._audience:
                self._compare(self._alias())
            return
        with self._lock:
            if self._replica is not None:
                self._take(self._replica, missed)

    # Loading

    def ensure(self) -> None:
        """Loads the document, or builds it if the store has none. DocumentGone if there is no such row."""
        with self._exclusive():
            if self._replica is not None and self._replica.root is not None:
                return
            self._reload()
            if self._replica is None or self._replica.root is None:
                self._compare(self._alias())
            if self._replica is None or self._replica.root is None:
                raise DocumentGone(
                    f"There is no {self.anchor.get_name()} with {self.anchor.lookup_field} {self._value!r}."
                )

    def _alias(self) -> str:
        """Where the rows are written: a replica may not have yet what the log has."""
        queryset = self.anchor.base_queryset()
        return getattr(queryset, "_db", None) or router.db_for_write(queryset.model)

    def _reload(self) -> None:
        log = conf.store().load(self.log)
        if log is None:
            self._drop()
        else:
            self._put(Replica(self.plan, log))

    def _put(self, replica: Replica) -> None:
        """Takes a replica that was loaded or built; listeners get what they lack in one update."""
        with self._lock:
            self._replica = replica
            self._compaction.restart()
            self._audience.bring_to(replica)

    def _take(self, replica: Replica, entries: Sequence[Entry]) -> None:
        for entry in entries:
            try:
                replica.apply((entry,))
            except BaseException:
                self._drop()
                raise
            self._audience.tell(replica, entry.update)

    def _drop(self) -> None:
        with self._lock:
            self._replica = None

    # Writing

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._writing:
            yield
        if self._behind:
            self.catch_up()

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
                    self._update(alias, Changes.together(part for other, part in taken if other == alias))
            except BaseException:
                self._waiting.extendleft(reversed(taken))
                raise

    def reconcile(self, using: str | None = None) -> bool:
        """Compares the whole document with the database and mends what differs. True if anything did."""
        with self._exclusive():
            before = self.position
            self._compare(using or self._alias())
            return before != self.position

    @contextmanager
    def _leased(self, *, times: int = 1) -> Iterator[Lease]:
        """The log's lease, this process caught up; given back if no append took it along."""
        seconds = conf.settings().lease_seconds
        since = self._replica.position if self._replica else None
        lease = conf.store().lease(self.log, since=since, seconds=seconds * times, wait=seconds)
        self._lease_is_held = True
        try:
            if lease.log is not None:
                self._put(Replica(self.plan, lease.log))
            with self._lock:
                if self._replica is not None:
                    self._take(self._replica, lease.missed)
            yield lease
        finally:
            if self._lease_is_held:
                self._release(lease)

    def _release(self, lease: Lease) -> None:
        try:
            conf.store().release(self.log, lease.token)
        except StoreUnavailable as error:
            logger.warning("The lease of %s could not be given back, and runs out by itself: %s", self.name, error)

    def _again(self, write: Callable[[], None]) -> None:
        """Once more where the log moved although we held its lease: it expired, or the log is gone."""
        for _ in range(TRIES):
            try:
                write()
                return
            except (HeadMoved, LeaseLost, PositionLost) as error:
                self._drop()
                logger.info("%s was written by somebody else meanwhile, and is read again: %s", self.name, error)
        write()

    def _update(self, using: str, changes: Changes) -> None:
        def write() -> None:
            with self._leased() as lease:
                replica = self._replica
                if replica is not None and replica.root is not None:
                    self._refresh(lease, replica, replica.root, using, changes)
                elif replica is not None or self.position is not None:
                    self._project(lease, using)
                # Without a log, and nobody here who has seen one: whoever builds it will read what was saved.

        self._again(write)

    def _refresh(self, lease: Lease, replica: Replica, root: Node, using: str, changes: Changes) -> None:
        """The incremental way: reads what changed. Rows that come in are announced to the index, and read again after
        that: a save in between found nobody to tell."""
        with self._lock:
            tables = replica.tables
        announced = {link.child for link in changes.links if link.child and not tables.shows(link.child)}
        if announced:
            conf.store().add_rows(self.log, announced)
        while True:
            refresh = read_changed(self.plan, self.name, tables, root, using, changes)
            coming = {node_row_key(self.plan, node) for node in refresh.fresh}
            coming.update(*refresh.forest.sources.values())
            coming = {row for row in coming - announced if not tables.shows(row)}
            if not coming:
                break
            conf.store().add_rows(self.log, coming)
            announced |= coming
        with self._dropping():
            refresh.merge()
            self._append(lease, replica, None if refresh.gone else root)

    def _compare(self, using: str) -> None:
        def write() -> None:
            with self._leased(times=BUILD_LEASES) as lease:
                self._project(lease, using)

        self._again(write)

    def _project(self, lease: Lease, using: str) -> None:
        """The whole way: projects everything. Rows are announced to the index, then read once more: a save in between
        found nobody to tell. Builds the log if there is none."""
        indexed = conf.store().rows(self.log)
        while True:
            root, forest = read_whole(self.anchor, self.name, self._value, using)
            rows = forest.rows(self.plan)
            if rows <= indexed:
                break
            conf.store().add_rows(self.log, rows - indexed)
            indexed |= rows
        replica = self._replica
        if replica is None:
            if root is not None:
                self._begin(lease, root, forest, rows)
            return
        with self._dropping():
            with self._lock:
                tables = replica.tables
            tables.replace(forest, root)
            if indexed - rows:
                conf.store().remove_rows(self.log, indexed - rows)
            self._append(lease, replica, root)

    def discard(self) -> None:
        """Deletes the log: the next one to open the document builds it anew."""
        with self._exclusive():
            conf.store().delete(self.log)
            self._drop()

    # Into the log

    def _begin(self, lease: Lease, root: Node, forest: Forest, rows: set[str]) -> None:
        """A new lineage: the database's content in an empty document, under an id that nobody has seen."""
        epoch = new_epoch(self.position.epoch if self.position else 0)
        tables = Tables(self.plan, {})
        tables.replace(forest, root)
        doc = layout.new_doc(epoch)
        layout.write(doc, tables.patches(), layout.describe(self.plan, self.name, root))
        snapshot = doc.get_update()
        conf.store().begin(self.log, epoch=epoch, snapshot=snapshot, rows=rows, lease=lease.token)
        self._reload()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """From the first change on: if the log does not get it, nobody may see it."""
        try:
            yield
        except BaseException:
            self._drop()
            raise

    def _append(self, lease: Lease, replica: Replica, root: Node | None) -> None:
        patches = replica.tables.patches()
        meta = layout.describe(self.plan, self.name, root)
        with self._lock, self._dropping():
            update = replica.write(patches, meta)
            if update is None:
                replica.appended(replica.position)
                return
            position = append_once(self.log, update, expect=replica.position, lease=lease)
            self._lease_is_held = False
            replica.appended(position)
            self._audience.tell(replica, update)
        relay.publish(self.log, Entry(position=position, update=update))
        self._compaction.appended(self.plan, update)

    def compact(self) -> None:
        """Folds the log into its snapshot."""
        compact(self.plan, self.log)
