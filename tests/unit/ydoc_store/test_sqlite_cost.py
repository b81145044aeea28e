"""What a call to the SQLite store costs: statements, transactions, fsyncs, open files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest

from ydoc_store import Position
from ydoc_store.sqlite import SqliteStore
from ydoc_store.sqlite_file import FileConnection
from ydoc_store.testing.tools import DOC, all_at_once, append_all, begin, open_files

FULL, NORMAL = 2, 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "store.sqlite3") as store:
        begin(store, rows=["row 1", "row 2"])
        yield store


@contextmanager
def statements(store: SqliteStore) -> Iterator[list[str]]:
    """The statements that this thread's calls run; nobody else may use the store meanwhile."""
    seen: list[str] = []
    with store._connections.reading() as connection:
        connection.set_trace_callback(seen.append)
    yield seen
    with store._connections.reading() as connection:
        connection.set_trace_callback(None)


def reads(seen: list[str]) -> int:
    return sum(statement.lstrip().startswith("SELECT") for statement in seen)


def test_heads_and_documents_of_are_one_query(store: SqliteStore) -> None:
    with statements(store) as seen:
        store.heads([DOC, *(f"board/{number}" for number in range(511))])
    assert reads(seen) == len(seen) == 1
    assert seen[0].count("'board/") < 999  # the variables that any SQLite takes
    with statements(store) as seen:
        assert store.documents_of(["row 1", "row 2"]).keys() == {"row 1", "row 2"}
    assert reads(seen) == len(seen) == 1


def test_usage_is_one_query_and_touch_one_transaction(store: SqliteStore) -> None:
    names = [DOC, *(f"board/{number}" for number in range(511))]
    with statements(store) as seen:
        assert store.usage(names).keys() == {DOC}
    assert reads(seen) == len(seen) == 1
    with statements(store) as seen:
        store.touch(names)
    assert [statement.split()[0] for statement in seen if "PRAGMA" not in statement] == ["BEGIN", "UPDATE", "COMMIT"]


def test_head_and_since_are_one_query(store: SqliteStore) -> None:
    with statements(store) as seen:
        store.head(DOC)
    assert reads(seen) == len(seen) == 1
    with statements(store) as seen:
        store.since(DOC, Position(1, 0))
    assert reads(seen) == len(seen) == 1


def test_an_append_with_rows_and_a_lease_is_one_transaction(store: SqliteStore) -> None:
    lease = store.lease(DOC, since=None, seconds=60, wait=0)
    with statements(store) as seen:
        store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token, rows=["row 3"])
    assert [statement for statement in seen if statement.startswith(("BEGIN", "COMMIT"))] == [
        "BEGIN IMMEDIATE",
        "COMMIT",
    ]


def test_a_writer_waits_in_short_pauses_and_not_as_sqlite_does(store: SqliteStore) -> None:
    """SQLite sleeps up to 100 ms at a time: among busy writers, one of them could wait for seconds."""
    with store._connections.writing() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (0,)
    with store._connections.reading() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)


def test_an_append_does_not_rewrite_the_snapshot(store: SqliteStore) -> None:
    begin(store, epoch=2, snapshot=b"s" * 2_000_000)
    wal = Path(f"{store.path}-wal")
    with store._connections.reading() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    append_all(store, [b"1"])
    assert wal.stat().st_size < 50_000


def test_entries_reach_the_disk_and_leases_do_not_wait_for_it(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PRAGMA synchronous` as it is when each transaction begins."""
    levels: list[int] = []

    def begin_and_note(self: FileConnection, statement: str, *args: object) -> sqlite3.Cursor:
        if statement == "BEGIN IMMEDIATE":
            levels.append(sqlite3.Connection.execute(self, "PRAGMA synchronous").fetchone()[0])
        return sqlite3.Connection.execute(self, statement, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(FileConnection, "execute", begin_and_note, raising=False)
    lease = store.lease(DOC, since=None, seconds=60, wait=0)
    store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token)
    assert levels == [NORMAL, FULL]
    levels.clear()
    lease = store.lease(DOC, since=None, seconds=60, wait=0)
    store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=lease.token)
    store.release(DOC, lease.token)
    store.add_rows(DOC, ["row"])
    store.compact(DOC, b"", at=Position(2, 0))
    assert levels == [NORMAL, FULL, NORMAL, FULL, FULL]
    levels.clear()
    store.touch([DOC])
    store.quarantine(DOC)
    assert levels == [NORMAL, FULL]


def test_a_burst_of_threads_leaves_few_files_open(store: SqliteStore, tmp_path: Path) -> None:
    together = Barrier(30)

    def read(_number: int) -> None:
        with store._connections.reading():
            together.wait(20)

    all_at_once([partial(read, number) for number in range(30)])
    assert 1 <= open_files(tmp_path)["store.sqlite3-wal"] <= 8  # each connection has its own
