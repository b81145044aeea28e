"""Random calls against a store and against a model of it that fits on a page. Needs hypothesis.

class MyStoreMachine(StoreMachine):
    def open(self) -> DocStore:
        return MyStore()

TestMyStore = MyStoreMachine.TestCase
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ydoc_store.base import DocStore
from ydoc_store.exceptions import EpochNotNewer, HeadMoved, LeaseLost, LeaseTimeout, PositionLost
from ydoc_store.values import Entry, Position, Size

NAMES = ("a", "b", "ab")
ROWS = ("row 1", "row 2", "row 3", "row 4")

names = st.sampled_from(NAMES)
some_rows = st.sets(st.sampled_from(ROWS))
contents = st.binary(max_size=5)
epochs = st.integers(min_value=1, max_value=6)
tokens = st.sampled_from(["current", "former", "nonsense"])


@dataclass(slots=True)
class ModelLog:
    """Everything since the epoch began; what the snapshot stands for is only counted."""

    epoch: int
    snapshot: bytes
    at: int = 0
    updates: list[bytes] = field(default_factory=list)

    @property
    def head(self) -> Position:
        return Position(self.epoch, len(self.updates))

    def holds(self, position: Position) -> bool:
        return position.epoch == self.epoch and self.at <= position.sequence <= len(self.updates)

    def since(self, sequence: int) -> tuple[Entry, ...]:
        return tuple(
            Entry(position=Position(self.epoch, number + 1), update=self.updates[number])
            for number in range(sequence, len(self.updates))
        )


class StoreMachine(RuleBasedStateMachine):
    """Subclass it, and let `open` return a new, empty store."""

    def open(self) -> DocStore:
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        self.store = self.open()
        self.logs: dict[str, ModelLog] = {}
        self.rows: dict[str, set[str]] = {name: set() for name in NAMES}
        self.leases: dict[str, str] = {}
        self.former: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def token(self, name: str, kind: str) -> str:
        return {"current": self.leases, "former": self.former}.get(kind, {}).get(name, "nonsense")

    # What writers do ----------------------------------------------------------------------------------------

    @rule(name=names, epoch=epochs, sequence=st.integers(0, 6), anew=st.booleans())
    def lease(self, name: str, epoch: int, sequence: int, anew: bool) -> None:
        since = None if anew else Position(epoch, sequence)
        if name in self.leases:
            with pytest.raises(LeaseTimeout):
                self.store.lease(name, since=since, seconds=1000, wait=0)
            return
        lease = self.store.lease(name, since=since, seconds=1000, wait=0)
        self.leases[name] = lease.token
        log = self.logs.get(name)
        if log is not None and since is not None and log.holds(since):
            assert (lease.log, lease.missed) == (None, log.since(since.sequence))
        else:
            assert (lease.log, lease.missed) == (self.store.load(name), ())

    @rule(name=names, kind=tokens)
    def release(self, name: str, kind: str) -> None:
        token = self.token(name, kind)
        self.store.release(name, token)
        self._released(name, token)

    def _released(self, name: str, token: str | None) -> None:
        if token is not None and self.leases.get(name) == token:
            self.former[name] = self.leases.pop(name)

    @rule(name=names, epoch=epochs, snapshot=contents, rows=some_rows, kind=tokens)
    def begin(self, name: str, epoch: int, snapshot: bytes, rows: set[str], kind: str) -> None:
        token, old = self.token(name, kind), self.logs.get(name)

        def begin() -> Position:
            return self.store.begin(name, epoch=epoch, snapshot=snapshot, rows=rows, lease=token)

        if self.leases.get(name) != token:
            with pytest.raises(LeaseLost):
                begin()
        elif old is not None and old.epoch >= epoch:
            with pytest.raises(EpochNotNewer):
                begin()
        else:
            assert begin() == Position(epoch, 0)
            self.logs[name] = ModelLog(epoch, snapshot)
            self.rows[name] |= rows

    @rule(name=names, update=contents, rows=some_rows, kind=tokens, keep=st.booleans(), back=st.integers(-1, 3))
    def append(self, name: str, update: bytes, rows: set[str], kind: str, keep: bool, back: int) -> None:
        """`back` entries before the head; mostly at it, because hypothesis prefers small numbers."""
        log, token = self.logs.get(name), self.token(name, kind)
        expect = Position(log.epoch, len(log.updates) - back) if log else Position(1, 0)

        def append() -> Position:
            return self.store.append(name, update, expect=expect, lease=token, rows=rows, keep_lease=keep)

        if log is None or not log.holds(expect):
            with pytest.raises(PositionLost):
                append()
        elif back:
            with pytest.raises(HeadMoved) as moved:
                append()
            assert moved.value.missed == log.since(expect.sequence)
        else:
            log.updates.append(update)
            assert append() == log.head
            self.rows[name] |= rows
            if not keep:
                self._released(name, token)

    @rule(name=names, snapshot=contents, epoch=epochs, sequence=st.integers(0, 6))
    def compact(self, name: str, snapshot: bytes, epoch: int, sequence: int) -> None:
        log = self.logs.get(name)
        at = Position(log.epoch if log and epoch > 1 else epoch, sequence)
        if log is None or not log.holds(at):
            with pytest.raises(PositionLost):
                self.store.compact(name, snapshot, at=at)
        else:
            self.store.compact(name, snapshot, at=at)
            log.snapshot, log.at = snapshot, sequence

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.store.delete(name)
        self.logs.pop(name, None)
        self.rows[name] = set()

    @rule(name=names, rows=some_rows)
    def add_rows(self, name: str, rows: set[str]) -> None:
        self.store.add_rows(name, rows)
        self.rows[name] |= rows

    @rule(name=names, rows=some_rows)
    def remove_rows(self, name: str, rows: set[str]) -> None:
        self.store.remove_rows(name, rows)
        self.rows[name] -= rows

    # What readers see ---------------------------------------------------------------------------------------

    @invariant()
    def logs_are_those_of_the_model(self) -> None:
        assert list(self.store.names()) == sorted(self.logs)
        assert list(self.store.names("a")) == sorted(name for name in self.logs if name.startswith("a"))
        assert self.store.heads(NAMES) == {name: log.head for name, log in self.logs.items()}
        for name, expected in self.logs.items():
            log = self.store.load(name)
            assert log is not None
            assert (log.head, log.at, log.snapshot) == (expected.head, expected.at, expected.snapshot)
            assert log.entries == expected.since(expected.at)

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        holders = {row: frozenset(name for name in NAMES if row in self.rows[name]) for row in ROWS}
        assert self.store.documents_of(ROWS) == {row: found for row, found in holders.items() if found}
        for name in NAMES:
            assert self.store.rows(name) == self.rows[name]
            log = self.logs.get(name)
            updates = log.updates[log.at :] if log else []
            assert self.store.size(name) == Size(
                entries=len(updates),
                entry_bytes=sum(map(len, updates)),
                snapshot_bytes=len(log.snapshot) if log else 0,
                rows=len(self.rows[name]),
            )

    @rule(name=names, epoch=epochs, sequence=st.integers(0, 6))
    def read_from_anywhere(self, name: str, epoch: int, sequence: int) -> None:
        log = self.logs.get(name)
        position = Position(log.epoch if log and epoch > 1 else epoch, sequence)
        if log is None or not log.holds(position):
            with pytest.raises(PositionLost):
                self.store.since(name, position)
        else:
            assert self.store.since(name, position) == log.since(sequence)
