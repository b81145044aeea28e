"""A document for tests of rooms: a Yjs document and a log in memory, with what a room asks of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from pycrdt import Doc, Map

from rxcrdt.lineage import kill_set, older_lineages
from rxcrdt.protocol import parse_state_vector
from rxcrdt.rooms import Room
from ydoc_store import Entry, Position

__all__ = ["FakeDocument", "table_of"]


def table_of(doc: Doc[Any]) -> dict[str, Any]:
    found: dict[str, Any] = doc.get("t", type=Map).to_py() or {}
    return found


class FakeDocument:
    """``set`` writes an entry, as a save does; ``elsewhere`` leaves this process to find out."""

    def __init__(self, name: str = "board/12", *, epoch: int = 2**32 + 1) -> None:
        self.name = name
        self.log = f"{name}@schema"
        self.listeners: list[Room] = []
        self.entries: list[Entry] = []
        self.reconciled = 0
        self.before_answer: Callable[[], None] = lambda: None
        self.failing: BaseException | None = None
        self._truth: Doc[Any] = Doc(client_id=epoch, allow_multithreading=True)
        self._doc: Doc[Any] = Doc(allow_multithreading=True)
        self._lock = threading.RLock()
        self._position = Position(epoch, 0)

    @property
    def position(self) -> Position:
        with self._lock:
            return self._position

    def state(self) -> dict[str, Any]:
        """What the log says."""
        with self._lock:
            return table_of(self._truth)

    def elsewhere(self, key: str, value: Any) -> Entry:
        """One more entry of the log, from another process; None deletes."""
        with self._lock:
            updates: list[bytes] = []
            subscription = self._truth.observe(lambda event: updates.append(event.update))
            table: Map[Any] = self._truth.get("t", type=Map)
            if value is None:
                del table[key]
            else:
                table[key] = value
            self._truth.unobserve(subscription)
            head = self.entries[-1].position if self.entries else self._position
            entry = Entry(position=Position(head.epoch, head.sequence + 1), update=updates[0])
            self.entries.append(entry)
            return entry

    def set(self, key: str, value: Any) -> None:
        """A save in this process."""
        with self._lock:
            self._tell(self.elsewhere(key, value))

    def vanish(self) -> None:
        """The row is deleted."""
        with self._lock:
            for listener in tuple(self.listeners):
                listener.gone()

    def _tell(self, entry: Entry) -> None:
        self._doc.apply_update(entry.update)
        self._position = entry.position
        for listener in tuple(self.listeners):
            listener.deliver(entry.position, entry.update)

    # What a room asks

    def answer(self, state_vector: bytes, enroll: Callable[[bytes], None]) -> bytes:
        self.before_answer()
        with self._lock:
            if self.failing is not None:
                raise self.failing
            ours = parse_state_vector(self._doc.get_state())
            old = older_lineages(parse_state_vector(state_vector), ours)
            enroll(kill_set(old) if old else self._doc.get_update(state_vector))
            return self._doc.get_state()

    def state_vector(self) -> bytes:
        with self._lock:
            return self._doc.get_state()

    def subscribe(self, listener: Room) -> None:
        with self._lock:
            self.listeners.append(listener)

    def unsubscribe(self, listener: Room) -> None:
        with self._lock:
            self.listeners.remove(listener)

    def receive(self, entries: Sequence[Entry]) -> None:
        with self._lock:
            for entry in sorted(entries, key=lambda entry: entry.position):
                if entry.position.sequence == self._position.sequence + 1:
                    self._tell(entry)
                elif entry.position.sequence > self._position.sequence:
                    self.catch_up()

    def catch_up(self) -> None:
        with self._lock:
            if self.failing is not None:
                raise self.failing
            for entry in self.entries[self._position.sequence :]:
                self._tell(entry)

    def reconcile(self) -> object:
        self.reconciled += 1
        if self.failing is not None:
            raise self.failing
        return True
