"""Random calls against stores and against a model of them that fits on a page. Needs hypothesis.

class MyStoreMachine(StoreMachine):
    def open(self) -> DocStore:
        return MyStore()

TestMyStore = MyStoreMachine.TestCase

Let `open_all` return several, and every call goes to each of them, in lock step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ydoc_store.base import DocStore
from ydoc_store.exceptions import EpochNotNewer, HeadMoved, LeaseLost, LeaseTimeout, PositionLost, StoreError
from ydoc_store.values import Entry, Position, Size, Usage

T = TypeVar("T")

NAMES = ("a", "b", "ab")
ROWS = ("row 1", "row 2", "row 3", "row 4")
HOUR = 3600.0
EVERYTHING = frozenset(field.name for field in fields(Usage))

names = st.sampled_from(NAMES)
aways = st.integers(0, 3)
some_rows = st.sets(st.sampled_from(ROWS))
contents = st.binary(max_size=5)
epochs = st.integers(min_value=1, max_value=6)
tokens = st.sampled_from(["current", "former", "nonsense"])
flags = st.booleans()


@dataclass(slots=True)
class ModelLog:
    """Everything since the epoch began; what the snapshot stands for is only counted.

    `changed` are the times that were set since somebody looked; the others must be as they were.
    """

    epoch: int
    snapshot: bytes
    at: int = 0
    updates: list[bytes] = field(default_factory=list)
    changed: frozenset[str] = EVERYTHING

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


@dataclass(slots=True)
class Driven:
    """One store, and what is its own: what it calls a log in quarantine, its tokens, the times it told last."""

    store: DocStore
    away: dict[str, str] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    former: dict[str, str] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)

    def name(self, name: str) -> str:
        return self.away.get(name, name)

    def token(self, name: str, kind: str) -> str:
        return {"current": self.leases, "former": self.former}.get(kind, {}).get(name, "nonsense")


class StoreMachine(RuleBasedStateMachine):
    """Subclass it, and let `open` return a new, empty store, or `open_all` several of them."""

    def open(self) -> DocStore:
        raise NotImplementedError

    def open_all(self) -> Sequence[DocStore]:
        return [self.open()]

    @initialize()
    def start(self) -> None:
        self.driven = [Driven(store) for store in self.open_all()]
        self.logs: dict[str, ModelLog] = {}
        self.rows: dict[str, set[str]] = {name: set() for name in NAMES}
        self.leased: set[str] = set()
        self.released: set[str] = set()
        self.away: list[str] = []  # the model's names of what was put into quarantine, begun again there or not

    def teardown(self) -> None:
        for one in getattr(self, "driven", []):
            one.store.close()

    def pick(self, name: str, away: int) -> str:
        """`name`, or one of the last names that a quarantine gave."""
        return self.away[-away] if 0 < away <= len(self.away) else name

    def is_current(self, name: str, kind: str) -> bool:
        return kind == "current" and name in self.leased

    def ask(self, call: Callable[[Driven], T], fails: type[StoreError] | None = None) -> list[T]:
        """What each of the stores answers; nothing, if all of them must fail."""
        if fails is None:
            return [call(one) for one in self.driven]
        for one in self.driven:
            with pytest.raises(fails):
                call(one)
        return []

    # What writers do ----------------------------------------------------------------------------------------

    @rule(name=names, away=aways, epoch=epochs, sequence=st.integers(0, 6), anew=flags)
    def lease(self, name: str, away: int, epoch: int, sequence: int, anew: bool) -> None:
        name = self.pick(name, away)
        since = None if anew else Position(epoch, sequence)
        log = self.logs.get(name)

        def take(one: Driven) -> None:
            lease = one.store.lease(one.name(name), since=since, seconds=1000, wait=0)
            one.leases[name] = lease.token
            if log is not None and since is not None and log.holds(since):
                assert (lease.log, lease.missed) == (None, log.since(since.sequence))
            else:
                assert (lease.log, lease.missed) == (one.store.load(one.name(name)), ())

        self.ask(take, LeaseTimeout if name in self.leased else None)
        self.leased.add(name)

    @rule(name=names, away=aways, kind=tokens)
    def release(self, name: str, away: int, kind: str) -> None:
        name = self.pick(name, away)
        self.ask(lambda one: one.store.release(one.name(name), one.token(name, kind)))
        if self.is_current(name, kind):
            self._released(name)

    def _released(self, name: str) -> None:
        self.leased.remove(name)
        for one in self.driven:
            one.former[name] = one.leases.pop(name)

    @rule(name=names, away=aways, epoch=epochs, snapshot=contents, rows=some_rows, kind=tokens)
    def begin(self, name: str, away: int, epoch: int, snapshot: bytes, rows: set[str], kind: str) -> None:
        name = self.pick(name, away)
        old = self.logs.get(name)
        fails: type[StoreError] | None = None
        if not self.is_current(name, kind):
            fails = LeaseLost
        elif old is not None and old.epoch >= epoch:
            fails = EpochNotNewer

        def begin(one: Driven) -> Position:
            token = one.token(name, kind)
            return one.store.begin(one.name(name), epoch=epoch, snapshot=snapshot, rows=rows, lease=token)

        assert set(self.ask(begin, fails)) <= {Position(epoch, 0)}
        if fails is None:
            self.logs[name] = ModelLog(epoch, snapshot)
            self.rows[name] |= rows

    @rule(
        name=names,
        away=aways,
        update=contents,
        rows=some_rows,
        kind=tokens,
        keep=st.booleans(),
        back=st.integers(-1, 3),
    )
    def append(self, name: str, away: int, update: bytes, rows: set[str], kind: str, keep: bool, back: int) -> None:
        """`back` entries before the head; mostly at it, because hypothesis prefers small numbers."""
        name = self.pick(name, away)
        log = self.logs.get(name)
        expect = Position(log.epoch, len(log.updates) - back) if log else Position(1, 0)

        def append(one: Driven) -> Position:
            token = one.token(name, kind)
            return one.store.append(one.name(name), update, expect=expect, lease=token, rows=rows, keep_lease=keep)

        if log is None or not log.holds(expect):
            self.ask(append, PositionLost)
        elif back:
            for one in self.driven:
                with pytest.raises(HeadMoved) as moved:
                    append(one)
                assert moved.value.missed == log.since(expect.sequence)
        else:
            log.updates.append(update)
            log.changed |= {"written"}
            self.rows[name] |= rows
            assert set(self.ask(append)) == {log.head}
            if not keep and self.is_current(name, kind):
                self._released(name)

    @rule(name=names, away=aways, snapshot=contents, epoch=epochs, sequence=st.integers(0, 6))
    def compact(self, name: str, away: int, snapshot: bytes, epoch: int, sequence: int) -> None:
        name = self.pick(name, away)
        log = self.logs.get(name)
        at = Position(log.epoch if log and epoch > 1 else epoch, sequence)
        found = log is not None and log.holds(at)
        self.ask(lambda one: one.store.compact(one.name(name), snapshot, at=at), None if found else PositionLost)
        if log is not None and found:
            log.snapshot, log.at, log.changed = snapshot, sequence, frozenset({"snapshotted"})

    @rule(name=names, away=aways, updates=st.lists(contents, max_size=3), rows=some_rows, keep=flags)
    def build(self, name: str, away: int, updates: list[bytes], rows: set[str], keep: bool) -> None:
        """All of it in order, so that the other rules find logs to work on."""
        name = self.pick(name, away)
        if name not in self.leased:
            self.lease(name, 0, 1, 0, anew=False)
        epoch = self.logs[name].epoch + 1 if name in self.logs else 1
        self.begin(name, 0, epoch, b"built", rows, "current")
        for update in updates:
            self.append(name, 0, update, rows, "current", keep=True, back=0)
        if not keep:
            self.release(name, 0, "current")

    @rule(name=names, away=aways)
    def delete(self, name: str, away: int) -> None:
        name = self.pick(name, away)
        self.ask(lambda one: one.store.delete(one.name(name)))
        self.logs.pop(name, None)
        self.rows[name] = set()

    @rule(name=names, away=aways)
    def quarantine(self, name: str, away: int) -> None:
        name = self.pick(name, away)
        moved = self.ask(lambda one: one.store.quarantine(one.name(name)))
        if name not in self.logs:
            assert set(moved) == {None}
            return
        known = f"{name} away {len(self.away)}"
        for one, called in zip(self.driven, moved, strict=True):
            assert called is not None
            assert re.fullmatch(rf"quarantine:\d+:{one.name(name)}", called)
            one.away[known] = called
            one.usage[known] = one.usage.pop(name)
        self.away.append(known)
        self.rows[known] = set()
        self.logs[known] = self.logs.pop(name)
        self.logs[known].changed = frozenset({"used"})

    @rule(name=names, away=aways, rows=some_rows)
    def add_rows(self, name: str, away: int, rows: set[str]) -> None:
        name = self.pick(name, away)
        self.ask(lambda one: one.store.add_rows(one.name(name), rows))
        self.rows[name] |= rows

    @rule(name=names, away=aways, rows=some_rows)
    def remove_rows(self, name: str, away: int, rows: set[str]) -> None:
        name = self.pick(name, away)
        self.ask(lambda one: one.store.remove_rows(one.name(name), rows))
        self.rows[name] -= rows

    @rule(some=st.sets(st.tuples(names, aways), max_size=4))
    def touch(self, some: set[tuple[str, int]]) -> None:
        touched = {self.pick(name, away) for name, away in some}
        self.ask(lambda one: one.store.touch([one.name(name) for name in touched]))
        for name in touched & self.logs.keys():
            self.logs[name].changed = frozenset({"used"})

    # What readers see ---------------------------------------------------------------------------------------

    def called(self, one: Driven) -> Iterator[tuple[str, str]]:
        """All names: the model's, and the store's."""
        return ((name, one.name(name)) for name in self.rows)

    @invariant()
    def logs_are_those_of_the_model(self) -> None:
        for one in self.driven:
            there = sorted(one.name(name) for name in self.logs)
            assert list(one.store.names()) == there
            for prefix in ("a", "quarantine:"):
                assert list(one.store.names(prefix)) == [name for name in there if name.startswith(prefix)]
            heads = {one.name(name): log.head for name, log in self.logs.items()}
            assert one.store.heads([called for _, called in self.called(one)]) == heads
            for name, expected in self.logs.items():
                log = one.store.load(one.name(name))
                assert log is not None
                assert (log.head, log.at, log.snapshot) == (expected.head, expected.at, expected.snapshot)
                assert log.entries == expected.since(expected.at)

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        for one in self.driven:
            holders = {
                row: frozenset(called for name, called in self.called(one) if row in self.rows[name]) for row in ROWS
            }
            assert one.store.documents_of(ROWS) == {row: found for row, found in holders.items() if found}
            for name, called in self.called(one):
                assert one.store.rows(called) == self.rows[name]
                assert one.store.size(called) == self._size(name)

    def _size(self, name: str) -> Size:
        log, rows = self.logs.get(name), len(self.rows[name])
        if log is None:
            return Size(rows=rows)
        updates = log.updates[log.at :]
        entry_bytes = sum(map(len, updates))
        return Size(entries=len(updates), entry_bytes=entry_bytes, snapshot_bytes=len(log.snapshot), rows=rows)

    @invariant()
    def times_change_when_something_is_done_and_only_then(self) -> None:
        for one in self.driven:
            called = dict(self.called(one))
            found = one.store.usage(list(called.values()))
            assert found.keys() == {called[name] for name in self.logs}
            assert list(one.store.unused(HOUR)) == []
            assert sorted(one.store.unused(-HOUR)) == sorted(found)
            told = {name: found[called[name]] for name in self.logs}
            for name, log in self.logs.items():
                _assert_changed(one.usage.get(name), told[name], log.changed)
            one.usage = told
        for log in self.logs.values():
            log.changed = frozenset()

    @rule(name=names, away=aways, epoch=epochs, sequence=st.integers(0, 6))
    def read_from_anywhere(self, name: str, away: int, epoch: int, sequence: int) -> None:
        name = self.pick(name, away)
        log = self.logs.get(name)
        position = Position(log.epoch if log and epoch > 1 else epoch, sequence)
        found = log is not None and log.holds(position)
        answers = self.ask(lambda one: one.store.since(one.name(name), position), None if found else PositionLost)
        assert all(log is not None and entries == log.since(sequence) for entries in answers)


def _assert_changed(before: Usage | None, after: Usage, changed: frozenset[str]) -> None:
    if changed == EVERYTHING:
        assert after.written >= after.begun == after.snapshotted == after.used > 0
        return
    assert before is not None
    for name in EVERYTHING:
        was, now = getattr(before, name), getattr(after, name)
        assert now >= was if name in changed else now == was
