"""Bringing a document's log up to date with the database: under its lease, caught up, the rows read after that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import router

from rxcrdt import conf, layout, quiet, relay, tenants, truth_ids
from rxcrdt.anchors import Anchor
from rxcrdt.appending import append_once
from rxcrdt.changes import Changes
from rxcrdt.current import read_changed, read_whole
from rxcrdt.exceptions import CorruptDocument
from rxcrdt.garbage import search_put_off
from rxcrdt.keys import Node
from rxcrdt.layers import Plan
from rxcrdt.mirror import Mirror
from rxcrdt.names import LogName
from rxcrdt.projection import Forest, node_row_key
from rxcrdt.replica import Replica
from rxcrdt.tables import Tables
from ydoc_store import CorruptStore, Entry, HeadMoved, Lease, LeaseLost, Log, PositionLost, StoreUnavailable

__all__ = ["Writer"]

logger = logging.getLogger("rxcrdt.documents")

TRIES = 4
BUILD_LEASES = 6  # a whole document takes longer than a flush


class Writer:
    """What changes a document. One thread at a time may use it: ``Document`` sees to that."""

    def __init__(self, anchor: type[Anchor], name: str, value: str, log: LogName, mirror: Mirror) -> None:
        self._anchor = anchor
        self._name = name
        self._value = value
        self._log = str(log)
        self._namespace = log.namespace
        self._mirror = mirror
        self._lease_is_held = False
        self._lease_ends = 0.0

    @property
    def _plan(self) -> Plan:
        return self._mirror.plan

    def alias(self) -> str:
        """Where the rows are written: a replica may not have yet what the log has."""
        with tenants.within(self._namespace):
            queryset = self._anchor.base_queryset()
            return getattr(queryset, "_db", None) or router.db_for_write(queryset.model)

    # The lease

    @contextmanager
    def _leased(self, *, times: int = 1) -> Iterator[Lease]:
        """The log's lease, this process caught up; given back if no append took it along."""
        seconds = conf.settings().lease_seconds
        replica = self._mirror.replica
        since = replica.position if replica else None
        asked = time.monotonic()
        lease = conf.store().lease(self._log, since=since, seconds=seconds * times, wait=seconds)
        self._lease_is_held = True
        self._lease_ends = asked + seconds * times
        try:
            if lease.log is not None:
                self._mirror.take_log(lease.log)
            self._mirror.take(lease.missed)
            yield lease
        finally:
            if self._lease_is_held:
                self._release(lease)

    def _release(self, lease: Lease) -> None:
        try:
            conf.store().release(self._log, lease.token)
        except StoreUnavailable as error:
            logger.warning("The lease of %s could not be given back, and runs out by itself: %s", self._name, error)

    def _again(self, write: Callable[[], None]) -> None:
        """Once more where the log moved although we held its lease (it expired, or the log is gone), and where what
        is in it could not be read."""
        for _ in range(TRIES):
            try:
                self._as_tenant(write)
                return
            except (HeadMoved, LeaseLost, PositionLost, CorruptDocument) as error:
                self._mirror.drop()
                logger.info("%s has to be read again: %s", self._name, error)
            except CorruptStore:
                self._mirror.drop()
                self._mirror.put_aside()
        self._as_tenant(write)

    def _as_tenant(self, write: Callable[[], None]) -> None:
        """All that is read for this document are its tenant's rows, whichever thread this is."""
        with tenants.within(self._namespace):
            write()

    # What changed

    def update(self, using: str, changes: Changes) -> None:
        """Shows ``changes``, which are committed in the database ``using``."""

        def write() -> None:
            with self._leased() as lease:
                replica = self._mirror.replica
                if replica is not None and replica.root is not None:
                    self._refresh(lease, replica, replica.root, using, changes)
                elif replica is not None or self._mirror.position is not None:
                    self._project(lease, using)
                # Without a log, and nobody here who has seen one: whoever builds it will read what was saved.

        self._again(write)

    def _refresh(self, lease: Lease, replica: Replica, root: Node, using: str, changes: Changes) -> None:
        """The incremental way: reads what changed. Rows that come in are announced to the index, and read again after
        that: a save in between found nobody to tell."""
        with self._mirror.lock:
            tables = replica.tables
        announced = {link.child for link in changes.links if link.child and not tables.shows(link.child)}
        if announced:
            conf.store().add_rows(self._log, announced)
        while True:
            refresh = read_changed(self._plan, self._name, tables, root, using, changes)
            shown = {node_row_key(self._plan, node) for node in refresh.fresh}
            shown.update(*refresh.forest.sources.values(), *refresh.forest.hidden.values())
            coming = {row for row in shown - announced if not tables.shows(row)}
            if not coming:
                break
            conf.store().add_rows(self._log, coming)
            announced |= coming
        unknown = {row for row in (changes.saved | changes.gone | announced) - shown if not tables.shows(row)}
        self._take_out(unknown)
        with self._dropping():
            refresh.merge()
            self._append(lease, replica, None if refresh.gone else root)

    def _take_out(self, rows: set[str]) -> None:
        """Rows that the index has and the document has not: it would be searched for them at each of their saves.

        Whoever brings one in next announces it under the lease; so they are left where that may not be ours any more.
        """
        if rows and time.monotonic() < self._lease_ends:
            conf.store().remove_rows(self._log, rows)

    # Everything

    def compare(self, using: str, *, anew: bool = False, above: int = 0) -> None:
        """Shows what the database says, all of it. Builds the log if there is none; with ``anew`` in any case, and
        where its epoch is not larger than ``above``."""

        def write() -> None:
            with self._leased(times=BUILD_LEASES) as lease, search_put_off():
                replica = self._mirror.replica
                overtaken = replica is not None and replica.position.epoch <= above
                self._project(lease, using, anew=anew or overtaken)

        self._again(write)

    def _project(self, lease: Lease, using: str, *, anew: bool = False) -> None:
        """Rows are announced to the index, then read once more: a save in between found nobody to tell. (If nothing was
        committed in between, there is none.) Those of a log that is begun anew are announced in any case: what took the
        log may have taken a part of the index, too."""
        self._mirror.nudged = False  # whatever it was about is read now
        store = conf.store()
        if self._mirror.replica is not None and store.head(self._log) is None:
            self._mirror.drop()  # a lost log has to come back, even if there is nothing new to say
        replica = self._mirror.replica
        indexed = store.rows(self._log)
        announced = set() if replica is None else set(indexed)
        while True:
            before = quiet.mark(using)
            root, forest = read_whole(self._anchor, self._name, self._value, using)
            rows = forest.rows(self._plan)
            if rows <= announced:
                break
            store.add_rows(self._log, rows - announced)
            announced |= rows
            if before is not None and before == quiet.mark(using):
                break
        indexed |= announced
        if root is not None and (anew or replica is None):
            self._begin(lease, root, forest, rows)
        if indexed - rows:
            store.remove_rows(self._log, indexed - rows)
        if replica is None or replica is not self._mirror.replica:
            return
        with self._dropping():
            with self._mirror.lock:
                tables = replica.tables
            tables.replace(forest, root)
            self._append(lease, replica, root)

    # Into the log

    def _begin(self, lease: Lease, root: Node, forest: Forest, rows: set[str]) -> None:
        """A new lineage: the database's content in an empty document, under an id that nobody has seen."""
        known = self._mirror.position
        epoch = truth_ids.claim(known.epoch if known else 0)
        tables = Tables(self._plan, {})
        tables.replace(forest, root)
        doc = layout.new_doc(epoch)
        layout.write(doc, tables.patches(), layout.describe(self._plan, self._name, root))
        snapshot = doc.get_update()
        begun = conf.store().begin(self._log, epoch=epoch, snapshot=snapshot, rows=rows, lease=lease.token)
        self._mirror.take_log(Log(epoch=epoch, snapshot=snapshot, at=begun.sequence))
        relay.publish_lineage(self._log, begun)

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """From the first change on: if the log does not get it, nobody may see it."""
        try:
            yield
        except BaseException:
            self._mirror.drop()
            raise

    def _append(self, lease: Lease, replica: Replica, root: Node | None) -> None:
        patches = replica.tables.patches()
        meta = layout.describe(self._plan, self._name, root)
        with self._mirror.lock, self._dropping():
            update = replica.write(patches, meta)
            if update is None:
                replica.unchanged()
                return
            position = append_once(self._log, update, expect=replica.position, lease=lease)
            self._lease_is_held = False
            self._mirror.appended(replica, position, update)
        relay.publish(self._log, Entry(position=position, update=update))
