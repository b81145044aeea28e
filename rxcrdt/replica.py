"""This process's copy of a log: the Yjs document, where in the log it stands, and its tables once they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pycrdt import Doc, Map, merge_updates

from rxcrdt import layout
from rxcrdt.exceptions import CorruptDocument
from rxcrdt.keys import Node
from rxcrdt.layers import LAYOUT, Plan
from rxcrdt.lineage import kill_set, older_lineages, read_state_vector
from rxcrdt.panics import LEAVING
from rxcrdt.tables import Content, Patch, Tables
from rxcrdt.values import Json
from ydoc_store import Entry, Log, Position, Size

__all__ = ["Replica", "weight"]

EMPTY_STATE = b"\x00"
# How slowly an entry loads, as bytes of a snapshot (measured: 23 ns a byte there, and 4 to 6 µs a register here).
ENTRY_COST = 100
COST_A_BYTE = 3


def weight(entries: int, their_bytes: int) -> int:
    """What so many entries add to the cost of loading a log, as bytes of a snapshot."""
    return ENTRY_COST * entries + COST_A_BYTE * their_bytes


class Replica:
    """Only holds what is in the log, but between ``write`` and ``appended``. Not locked: its owner does that.

    ``snapshot_bytes`` and ``weight`` say when the log is worth folding: ``weight`` is what its entries add to the
    cost of loading it, as bytes of a snapshot.

    Whatever takes bytes out of the log raises CorruptDocument for those that cannot be read.
    """

    def __init__(self, plan: Plan, log: Log):
        self.plan = plan
        self.position = Position(log.epoch, log.at)
        self.doc: Doc[Any] = layout.new_doc(log.epoch)
        self.snapshot_bytes = len(log.snapshot)
        self.weight = 0
        self._tables: Tables | None = None
        self._touched: _Touched  # as soon as there are tables
        self._encoded: bytes | None = None
        self._apply(log.snapshot, "the snapshot")
        self.root: Node | None = layout.root_node(self.doc)
        self._check_layout()
        self.apply(log.entries)

    @property
    def tables(self) -> Tables:
        """The content as dictionaries; made at the first use, for a process that only reads needs none."""
        if self._tables is None:
            self._tables = Tables(self.plan, {})
            self._tables = Tables(self.plan, layout.read(self.doc, self._tables.content))
            self._touched = _Touched(self.doc, self._tables.content)
        return self._tables

    # What others wrote

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes entries that follow ``position``."""
        if not entries:
            return
        for entry in entries:
            if entry.position != Position(self.position.epoch, self.position.sequence + 1):
                raise ValueError(f"the entry {entry.position} does not follow {self.position}")
            self._apply(entry.update, f"the entry {entry.position.sequence}")
            self._moved(entry.position, entry.update)
        self._changed()

    def _apply(self, update: bytes, what: str) -> None:
        try:
            if self._tables is None:
                self.doc.apply_update(update)
            else:
                self._apply_to_tables(self._tables, update)
        except (*LEAVING, MemoryError):
            raise
        except BaseException as error:
            raise CorruptDocument(
                f"{what} of the lineage {self.position.epoch}, {len(update)} bytes, is no update that the engine can "
                f"read: {type(error).__name__}: {error}"
            ) from error

    def _check_layout(self) -> None:
        """A document without a layout is one that nobody wrote to yet."""
        version = layout.read_root(self.doc, layout.META).get("layout", LAYOUT)
        if version != LAYOUT:
            raise CorruptDocument(
                f"the snapshot has layout {version!r}, and this version of rxcrdt reads {LAYOUT}: a newer one wrote it"
            )

    def _moved(self, position: Position, update: bytes) -> None:
        self.position = position
        self.weight += weight(1, len(update))

    def _changed(self) -> None:
        self._encoded = None
        self.root = layout.root_node(self.doc)

    def _apply_to_tables(self, tables: Tables, update: bytes) -> None:
        with self._touched as touched:
            self.doc.apply_update(update)
        for name, key in touched:
            table = self._touched.roots[name]
            tables.put(name, key, layout.read_map(table[key]) if key in table else None)
            tables.forget((name, key))
        tables.settle()

    # What this process writes

    def write(self, patches: Iterable[Patch], meta: dict[str, Json]) -> bytes | None:
        """The update that changes the document so; None if it changes nothing. ``appended`` has to follow.

        Where it raises, or the log does not take the update, this replica is of no use any more.
        """
        return layout.write(self.doc, patches, meta)

    def appended(self, position: Position, update: bytes) -> None:
        """The log has at ``position`` what ``write`` returned."""
        self._moved(position, update)
        self._changed()
        self.unchanged()

    def unchanged(self) -> None:
        """``write`` found nothing to change."""
        if self._tables is not None:
            self._tables.settle()

    def measured(self, size: Size) -> None:
        """What the log has become: it grew since it was loaded here, and other processes may have folded it."""
        self.snapshot_bytes, self.weight = size.snapshot_bytes, weight(size.entries, size.entry_bytes)

    def content(self) -> tuple[Content, dict[str, Json]]:
        """All tables, and what the document says of itself: what ``denormalize`` takes."""
        return self.tables.content, layout.read_root(self.doc, layout.META)

    # What clients lack

    def state(self) -> bytes:
        return self.doc.get_state()

    def lacking(self, state_vector: bytes) -> bytes:
        """The update for one who has ``state_vector``: what is new, and the end of every older lineage in it."""
        if state_vector == EMPTY_STATE:
            if self._encoded is None:
                self._encoded = self.doc.get_update()
            return self._encoded
        old = older_lineages(read_state_vector(state_vector), read_state_vector(self.doc.get_state()))
        update = self.doc.get_update(state_vector)
        return merge_updates(update, kill_set(old)) if old else update


class _Touched:
    """``with touched as keys``: which keys of which roots are touched in the block. Observing anew each time would take
    ten times as long as applying an update.

    What the engine calls back must not lead to the document: nobody would ever find that cycle, and free it.
    """

    def __init__(self, doc: Doc[Any], roots: Iterable[str]) -> None:
        self.roots: dict[str, Map[Any]] = {name: doc.get(name, type=Map) for name in roots}
        self._keys: list[set[tuple[str, str]]] = []  # one while somebody wants to know
        for name, table in self.roots.items():
            table.observe_deep(_noting(name, self._keys))

    def __enter__(self) -> set[tuple[str, str]]:
        keys: set[tuple[str, str]] = set()
        self._keys.append(keys)
        return keys

    def __exit__(self, *_: object) -> None:
        self._keys.clear()


def _noting(name: str, wanted: list[set[tuple[str, str]]]) -> Callable[[list[Any]], None]:
    def note(events: list[Any]) -> None:
        for keys in wanted:
            for event in events:
                keys.update((name, key) for key in event.path[:1] or event.keys)

    return note
