"""What is particular to leases that are kept in a file, with times that processes must agree on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ydoc_store import CorruptStore, LeaseTimeout, StoreUnavailable, sqlite_leases
from ydoc_store.sqlite import SqliteStore
from ydoc_store.testing.tools import DOC, Background, begin


class Clock:
    """The system's clock, which an administrator may set."""

    offset = 0.0
    monotonic = staticmethod(time.monotonic)

    def time(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sqlite_leases, "time", clock)
    return clock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "store.sqlite3") as store:
        yield store


def count(store: SqliteStore, table: str) -> int:
    with store._connections.reading() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_clock_that_is_set_back_does_not_prolong_the_lease_of_a_dead_writer(store: SqliteStore, clock: Clock) -> None:
    store.lease(DOC, since=None, seconds=30, wait=0)
    with pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=30, wait=0)
    clock.offset = -3600
    store.lease(DOC, since=None, seconds=30, wait=0)


def test_a_waiter_who_died_is_passed_over(store: SqliteStore, clock: Clock) -> None:
    """It is in line for a second after it last said that it lives; a living one says so again and again."""
    first = store.lease(DOC, since=None, seconds=60, wait=0)
    store._leases._step_up(DOC, "token of a writer who was killed", 30, stay=True)
    store.release(DOC, first.token)
    with pytest.raises(LeaseTimeout, match="in line"):
        store.lease(DOC, since=None, seconds=30, wait=0)
    clock.offset = 2
    store.lease(DOC, since=None, seconds=30, wait=0)


def test_a_waiter_keeps_its_place_for_longer_than_a_dead_one_would(store: SqliteStore) -> None:
    first = store.lease(DOC, since=None, seconds=60, wait=0)
    waiting = Background(lambda: store.lease(DOC, since=None, seconds=60, wait=20))
    with pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=60, wait=2.5)
    store.release(DOC, first.token)
    with pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=60, wait=0)
    waiting.result()


def test_nothing_piles_up_behind_writers_who_died(store: SqliteStore, clock: Clock) -> None:
    for number in range(5):
        store.lease(f"board/{number}", since=None, seconds=30, wait=0)
        store._leases._step_up(f"board/{number}", f"killed {number}", 30, stay=True)
    clock.offset = 7200
    held = store.lease(DOC, since=None, seconds=30, wait=0)
    with pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=30, wait=0.01)
    assert (count(store, "leases"), count(store, "waiting")) == (1, 0)
    store.release(DOC, held.token)
    assert count(store, "leases") == 0


def test_a_lease_whose_log_cannot_be_read_is_given_back(store: SqliteStore) -> None:
    begin(store)
    with store._connections.writing() as connection:
        connection.execute("UPDATE documents SET head = 1")
    with pytest.raises(CorruptStore):
        store.lease(DOC, since=None, seconds=60, wait=0)
    assert count(store, "leases") == 0


def test_a_store_that_fails_while_somebody_waits_tells_him(store: SqliteStore, tmp_path: Path) -> None:
    store.lease(DOC, since=None, seconds=60, wait=0)
    waiting = Background(lambda: store.lease(DOC, since=None, seconds=60, wait=20))
    tmp_path.rename(tmp_path.with_name("gone"))
    with pytest.raises(StoreUnavailable, match="does not exist"):
        waiting.result()
