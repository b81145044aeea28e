"""What an open room may miss, and how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from django.test import override_settings

from rxcrdt import conf, retention, upkeep
from rxcrdt.upkeep import Upkeep
from tests.conditions import until
from ydoc_store import Position
from ydoc_store.memory import MemoryStore

NEVER = 1000.0


class PolledStore(MemoryStore):
    """A store whose heads and pulse the test says, and that counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.poll_seconds: float | None = 0.005  # type: ignore[assignment]
        self.positions: dict[str, Position] = {}
        self.beat = 0
        self.pulses = 0
        self.questions = 0
        self.failing: Exception | None = None
        self.touched: list[str] = []
        self.full: Exception | None = None
        self.while_touching: Callable[[], None] = lambda: None

    def touch(self, names: Collection[str]) -> None:
        if self.full is not None:
            raise self.full
        self.while_touching()
        self.touched.extend(names)

    def pulse(self) -> object:
        self.pulses += 1
        return self.beat

    def heads(self, names: Collection[str]) -> dict[str, Position]:
        if self.failing is not None:
            raise self.failing
        self.questions += 1
        return {name: self.positions[name] for name in names if name in self.positions}


class KeptRoom:
    """A room that follows its store when it is told to."""

    def __init__(self, store: PolledStore, log: str = "board/12@schema") -> None:
        self.store = store
        self.log = log
        self.position: Position | None = Position(1, 0)
        self.caught_up = 0
        self.reconciled = 0
        self.finished: list[Callable[[], None]] = []
        self.expired = 0

    def catch_up(self) -> None:
        self.caught_up += 1
        self.position = self.store.positions[self.log]

    def reconcile(self, done: Callable[[], None]) -> None:
        self.reconciled += 1
        self.finished.append(done)

    def expire_awareness(self) -> None:
        self.expired += 1


@pytest.fixture
def store() -> Iterator[PolledStore]:
    store = PolledStore()
    conf.use_store(store)
    yield store
    conf.use_store(None)


@pytest.fixture
def keeper() -> Iterator[Upkeep]:
    keeper = Upkeep()
    yield keeper
    keeper.close()
    if keeper._thread is not None:
        keeper._thread.join(5)


def settings(**seconds: float) -> Any:
    return override_settings(
        RXCRDT={"STORE": "memory://", "POLL_SECONDS": NEVER, "RECONCILE_SECONDS": NEVER, **seconds}
    )


@pytest.fixture
def room(store: PolledStore, keeper: Upkeep) -> Iterator[KeptRoom]:
    room = KeptRoom(store)
    store.positions[room.log] = Position(1, 0)
    with settings():
        keeper.add(room)
        until(lambda: store.questions)
        yield room
        keeper.remove(room)


def test_a_pulse_that_changes_makes_rooms_look_at_their_heads(store: PolledStore, room: KeptRoom) -> None:
    store.positions[room.log] = Position(1, 3)
    store.beat += 1
    until(lambda: room.caught_up)
    assert room.position == Position(1, 3)


def test_without_a_pulse_the_heads_are_left_alone(store: PolledStore, room: KeptRoom) -> None:
    questions, pulses = store.questions, store.pulses
    until(lambda: store.pulses > pulses + 5)
    assert store.questions == questions


def test_a_room_that_is_where_its_log_is_does_not_read_it(store: PolledStore, room: KeptRoom) -> None:
    questions = store.questions
    store.beat += 1
    until(lambda: store.questions > questions)
    assert room.caught_up == 0


def test_if_nothing_else_tells_the_heads_are_read_every_poll_seconds(store: PolledStore, keeper: Upkeep) -> None:
    store.poll_seconds = None
    room = KeptRoom(store)
    store.positions[room.log] = Position(1, 0)
    with settings(POLL_SECONDS=0.01):
        keeper.add(room)
        until(lambda: store.questions > 3)
        store.positions[room.log] = Position(1, 1)
        until(lambda: room.caught_up)


def test_all_rooms_are_looked_up_at_once(store: PolledStore, keeper: Upkeep, room: KeptRoom) -> None:
    others = [KeptRoom(store, f"board/{number}@schema") for number in range(5)]
    with settings():
        for other in others:
            store.positions[other.log] = Position(1, 0)
            keeper.add(other)
        until(lambda: all(other.reconciled for other in others))
        for other in others:
            store.positions[other.log] = Position(1, 1)
        questions = store.questions
        store.beat += 1
        until(lambda: all(other.caught_up for other in others))
        assert store.questions == questions + 1


def test_a_log_that_the_store_lost_is_projected_again(store: PolledStore, room: KeptRoom) -> None:
    room.finished.pop()()
    until(lambda: room.reconciled == 1)
    del store.positions[room.log]
    store.beat += 1
    until(lambda: room.reconciled == 2)


def test_a_room_is_reconciled_when_it_opens_and_every_so_often(store: PolledStore, keeper: Upkeep) -> None:
    room = KeptRoom(store)
    store.positions[room.log] = Position(1, 0)
    with settings(RECONCILE_SECONDS=0.02):
        keeper.add(room)
        for number in range(1, 4):
            until(lambda number=number: room.reconciled == number)  # type: ignore[misc]
            pulses = store.pulses
            until(lambda pulses=pulses: store.pulses > pulses + 10)  # type: ignore[misc]
            assert room.reconciled == number  # one at a time, however long it takes
            room.finished.pop()()


def test_a_new_room_does_not_wait_for_the_next_look(store: PolledStore, keeper: Upkeep) -> None:
    store.poll_seconds = None
    with settings():
        first, second = KeptRoom(store, "a"), KeptRoom(store, "b")
        keeper.add(first)
        until(lambda: first.reconciled)
        keeper.add(second)
        until(lambda: second.reconciled)


def test_a_new_room_is_compared_with_its_head_whatever_the_pulse_says(
    store: PolledStore, keeper: Upkeep, room: KeptRoom
) -> None:
    """What came between its opening and now may have been seen by nobody."""
    late = KeptRoom(store, "late")
    store.positions["late"] = Position(1, 1)
    with settings():
        keeper.add(late)
        until(lambda: late.caught_up)


def test_a_store_that_fails_is_said_once_and_asked_again(
    store: PolledStore, room: KeptRoom, caplog: pytest.LogCaptureFixture
) -> None:
    store.positions[room.log] = Position(1, 1)
    store.failing = OSError("no disk")
    store.beat += 1
    pulses = store.pulses
    until(lambda: store.pulses > pulses + 10)
    assert caplog.text.count("no disk") == 1
    store.failing = None
    until(lambda: room.caught_up)


def test_awareness_expires_now_and_then(store: PolledStore, keeper: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "AWARENESS_SECONDS", 0.01)
    room = KeptRoom(store)
    with settings():
        keeper.add(room)
        until(lambda: room.expired > 2)


def test_a_room_that_closed_is_left_alone(store: PolledStore, keeper: Upkeep, room: KeptRoom) -> None:
    other = KeptRoom(store, "other")
    store.positions["other"] = Position(1, 0)
    with settings():
        keeper.add(other)
        until(lambda: other.reconciled)
        keeper.remove(room)
        keeper.remove(room)
        store.positions = {room.log: Position(1, 5), "other": Position(1, 5)}
        store.beat += 1
        until(lambda: other.caught_up)
        assert room.caught_up == 0


def test_the_thread_keeps_no_process_alive_and_sleeps_without_rooms(store: PolledStore, keeper: Upkeep) -> None:
    def threads() -> list[threading.Thread]:
        return [thread for thread in [keeper._thread] if thread is not None]

    room = KeptRoom(store)
    with settings():
        assert threads() == []
        keeper.add(room)
        until(lambda: store.pulses)
        keeper.remove(room)
        assert [thread.daemon for thread in threads()] == [True]
        pulses = _settled(lambda: store.pulses)
        keeper.add(room)
        until(lambda: store.pulses > pulses)


def _settled(count: Callable[[], int]) -> int:
    """What ``count`` gives once it stopped growing for ten natural intervals."""
    deadline, last, since = time.monotonic() + 10, count(), time.monotonic()
    while time.monotonic() - since < 0.05:
        assert time.monotonic() < deadline, "it goes on for ever"
        if count() != last:
            last, since = count(), time.monotonic()
        time.sleep(0.001)
    return last


# Who uses what


def test_the_logs_of_open_rooms_are_touched_at_once_and_then_now_and_then(
    store: PolledStore, keeper: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    with settings():
        keeper.add(KeptRoom(store))
        until(lambda: store.touched == ["board/12@schema"])
        pulses = store.pulses
        until(lambda: store.pulses > pulses + 5)
        assert store.touched == ["board/12@schema"], "not at every look"
        keeper.add(KeptRoom(store, "board/13@schema"))
        until(lambda: store.touched[1:] == ["board/12@schema", "board/13@schema"])
        monkeypatch.setattr(retention, "TOUCH_SECONDS", 0.01)
        keeper.add(KeptRoom(store, "board/14@schema"))
        until(lambda: len(store.touched) > 12)


def test_a_store_that_is_full_is_said_once_and_read_all_the_same(
    store: PolledStore, keeper: Upkeep, caplog: pytest.LogCaptureFixture
) -> None:
    """A Redis without memory refuses what writes, and answers what reads."""
    room = KeptRoom(store)
    store.positions[room.log] = Position(1, 1)
    store.full = OSError("OOM command not allowed")
    with settings():
        keeper.add(room)
        until(lambda: room.caught_up)
        until(lambda: store.pulses > 10)
        assert caplog.text.count("OOM") == 1
        assert room.reconciled
        store.full = None
        until(lambda: store.touched == [room.log])


def test_a_room_is_touched_before_it_is_compared(store: PolledStore, keeper: Upkeep) -> None:
    """What another version saves in between is either read, or comes as a nudge: those go to logs in use only."""
    room = KeptRoom(store)
    compared: list[int] = []
    store.while_touching = lambda: compared.append(room.reconciled)
    with settings():
        keeper.add(room)
        until(lambda: room.reconciled)
    assert compared == [0]


def test_a_room_that_opens_while_others_are_touched_is_touched_too(store: PolledStore, keeper: Upkeep) -> None:
    late = KeptRoom(store, "board/13@schema")

    def once() -> None:
        store.while_touching = lambda: None
        keeper.add(late)

    store.while_touching = once
    with settings():
        keeper.add(KeptRoom(store))
        until(lambda: late.log in store.touched)


def test_unused_documents_are_swept_out_in_the_background(
    store: PolledStore, keeper: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[bool] = []
    monkeypatch.setattr(retention, "sweep", lambda: swept.append(True))
    keeper._sweep_at = 0.0
    with settings():
        keeper.add(KeptRoom(store))
        until(lambda: swept)
        pulses = store.pulses
        until(lambda: store.pulses > pulses + 5)
    assert swept == [True]
    assert keeper._sweep_at > time.monotonic() + 0.9 * retention.SWEEP_SECONDS
