"""The SQLite store and its file: missing, read-only, full, locked, damaged, replaced, too new, or not ours."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Event

import pytest

from ydoc_store import CorruptStore, Position, PositionLost, StoreTooNew, StoreUnavailable, open_store
from ydoc_store.sqlite import SqliteStore
from ydoc_store.testing.tools import DOC, PATIENCE, Background, all_at_once, append_all, begin, updates_of, wait_until

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path, busy_seconds=0.2) as store:
        yield store


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike `tmp_path`."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@contextmanager
def as_a_user_with_few_rights() -> Iterator[None]:
    """File modes do not stop root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


# Opening ----------------------------------------------------------------------------------------------------


def test_nothing_is_created_before_the_first_call(path: Path) -> None:
    with SqliteStore(path) as store:
        assert not path.exists()
        assert store.head(DOC) is None
        assert path.exists()


def test_what_was_written_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, rows=["row"])
        append_all(store, [b"1"])
        incarnation = store.incarnation()
    with SqliteStore(path) as store:
        assert updates_of(store) == [b"1"]
        assert store.documents_of(["row"]) == {"row": frozenset({DOC})}
        assert store.incarnation() == incarnation


def test_its_url_opens_the_same_file_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a folder").mkdir()
    monkeypatch.chdir(tmp_path / "a folder")
    with open_store("sqlite:///50%25%20of%23it.sqlite3") as store:
        begin(store)
        monkeypatch.chdir(tmp_path)
        with open_store(store.url) as again:
            assert again.head(DOC) == Position(1, 0)
    assert (tmp_path / "a folder" / "50% of#it.sqlite3").exists()


def test_many_who_create_one_file_at_once_agree_on_one_store(path: Path) -> None:
    def create(path: Path, together: Barrier, number: int) -> str:
        together.wait(PATIENCE)
        with SqliteStore(path) as store:
            store.add_rows(DOC, [str(number)])
            return store.incarnation()

    for attempt in range(12):
        file, together = path.with_name(f"{attempt}.sqlite3"), Barrier(8)
        assert len(set(all_at_once([partial(create, file, together, number) for number in range(8)]))) == 1
        with SqliteStore(file) as store:
            assert len(store.rows(DOC)) == 8


def test_opening_waits_for_another_process_that_is_just_creating_the_file(path: Path) -> None:
    """SQLite itself does not wait when it switches to WAL: of four processes, one in a hundred openings failed."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with SqliteStore(path, busy_seconds=PATIENCE) as store:
            opening = Background(lambda: store.head(DOC))
            with pytest.raises(AssertionError, match="did not come true"):
                wait_until(lambda: not opening.is_running, 0.3)
            other.execute("ROLLBACK")
            assert opening.result() is None


def test_a_missing_folder_is_named_and_the_store_works_once_it_is_there(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "missing" / "store.sqlite3") as store:
        with pytest.raises(StoreUnavailable, match="missing does not exist: create it"):
            store.load(DOC)
        (tmp_path / "missing").mkdir()
        begin(store)


def test_a_folder_in_the_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with SqliteStore(path) as store, pytest.raises(StoreUnavailable, match="Check that the path is a file"):
        store.load(DOC)


def test_a_file_that_may_not_be_written_says_so_and_heals(open_folder: Path) -> None:
    path = open_folder / "store.sqlite3"
    with SqliteStore(path) as store:
        begin(store)
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with as_a_user_with_few_rights(), SqliteStore(path) as store:
        with pytest.raises(StoreUnavailable, match="this user") as unavailable:
            append_all(store, [b"1"])
        assert str(path) in str(unavailable.value)
        assert isinstance(unavailable.value.__cause__, sqlite3.Error)
    path.chmod(0o666)
    open_folder.chmod(0o777)
    with as_a_user_with_few_rights(), SqliteStore(path) as store:
        append_all(store, [b"1"])


# Not a store ------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    content = b"Dear diary, " * 1000
    path.write_bytes(content)
    with SqliteStore(path) as store, pytest.raises(CorruptStore, match="not an SQLite database"):
        store.load(DOC)
    assert path.read_bytes() == content


def test_the_projects_own_database_is_left_alone(path: Path) -> None:
    query(path, "CREATE TABLE auth_user (id INTEGER PRIMARY KEY)")
    with SqliteStore(path) as store, pytest.raises(StoreUnavailable, match=r"not a store.*file of its own"):
        begin(store)
    assert query(path, "SELECT name FROM sqlite_master") == [("auth_user",)]
    assert query(path, "PRAGMA journal_mode") == [("delete",)]


def test_a_store_of_a_newer_version_is_left_alone(path: Path) -> None:
    with SqliteStore(path) as store:
        begin(store)
    query(path, "PRAGMA user_version = 99")
    with SqliteStore(path) as store, pytest.raises(StoreTooNew, match=r"version 99.*Upgrade rxcrdt"):
        store.load(DOC)


def test_a_damaged_file_is_reported_and_not_read_past(path: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, snapshot=b"s" * 50_000)
        append_all(store, [b"u" * 5_000] * 20)
    damaged = bytearray(path.read_bytes())
    damaged[8192:] = b"\xff" * (len(damaged) - 8192)
    path.write_bytes(damaged)
    with (
        SqliteStore(path) as store,
        pytest.raises(CorruptStore, match="move it and its -wal and -shm files away"),
    ):
        store.load(DOC)


def test_a_deleted_log_leaves_nothing_in_the_file(store: SqliteStore, path: Path) -> None:
    begin(store, rows=["row"])
    append_all(store, [b"1", b"2"])
    store.delete(DOC)
    tables = query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    counts = {name: query(path, f"SELECT count(*) FROM {name}")[0][0] for (name,) in tables}
    assert counts == {"store": 1, **dict.fromkeys(counts.keys() - {"store"}, 0)}


def test_a_log_with_a_gap_is_reported_and_can_be_deleted(store: SqliteStore, path: Path) -> None:
    begin(store)
    append_all(store, [b"1", b"2", b"3"])
    query(path, "DELETE FROM entries WHERE sequence = 2")
    with pytest.raises(CorruptStore, match="gap between sequence 0 and 3"):
        store.load(DOC)
    with pytest.raises(CorruptStore, match="gap between sequence 1 and 3"):
        store.since(DOC, Position(1, 1))
    assert [entry.update for entry in store.since(DOC, Position(1, 2))] == [b"3"]
    with pytest.raises(CorruptStore):
        store.lease(DOC, since=Position(1, 0), seconds=60, wait=0)
    store.delete(DOC)
    assert begin(store, epoch=2) == Position(2, 0)


def test_a_log_with_a_gap_is_moved_as_it_is_and_the_document_begins_again(store: SqliteStore, path: Path) -> None:
    begin(store, rows=["row"])
    append_all(store, [b"1", b"2", b"3"])
    query(path, "DELETE FROM entries WHERE sequence = 2")
    moved = store.quarantine(DOC)
    assert moved is not None
    with pytest.raises(CorruptStore, match=f"{moved}.*gap between sequence 0 and 3"):
        store.load(moved)
    assert begin(store, epoch=2, rows=["new"]) == Position(2, 0)
    append_all(store, [b"a"])
    assert (updates_of(store), store.rows(DOC)) == ([b"a"], {"row", "new"})
    assert list(store.names()) == [DOC, moved]
    store.delete(moved)
    store.delete(DOC)
    counts = [query(path, f"SELECT count(*) FROM {name}")[0][0] for name in ("documents", "snapshots", "entries")]
    assert counts == [0, 0, 0]


def test_a_log_whose_times_are_missing_counts_as_never_used(store: SqliteStore, path: Path) -> None:
    begin(store)
    begin(store, "another")
    query(path, f"UPDATE documents SET used = NULL, begun = NULL WHERE name = '{DOC}'")
    assert store.usage([DOC, "another"]).keys() == {"another"}
    assert list(store.unused(3600)) == [DOC]
    begin(store, epoch=2)
    assert store.usage([DOC]).keys() == {DOC}


# In use -----------------------------------------------------------------------------------------------------


def test_a_file_that_somebody_keeps_locked_says_so_and_heals(store: SqliteStore, path: Path) -> None:
    begin(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"locked for 0\.2 s"):
            append_all(store, [b"1"])
        assert updates_of(store) == []
    assert append_all(store, [b"1"]) == Position(1, 1)


def test_a_write_waits_for_a_lock_that_is_given_back_in_time(path: Path) -> None:
    with (
        SqliteStore(path, busy_seconds=20) as store,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        begin(store)
        other.execute("BEGIN IMMEDIATE")
        waiting = Background(lambda: append_all(store, [b"1"]))
        assert store.head(DOC) == Position(1, 0)
        assert waiting.is_running
        other.execute("COMMIT")
        assert waiting.result() == Position(1, 1)


def test_a_full_disk_says_so_changes_nothing_and_heals(store: SqliteStore) -> None:
    """SQLite's own limit of pages raises the error that a full disk raises."""
    begin(store)
    with store._connections.reading() as connection:
        connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreUnavailable, match="make room"):
        store.append(DOC, b"x" * 100_000, expect=Position(1, 0), rows=["row"])
    assert updates_of(store) == []
    assert store.rows(DOC) == set()
    store.append(DOC, b"x" * 100_000, expect=Position(1, 0))


def test_an_error_in_the_middle_of_an_append_undoes_all_of_it(store: SqliteStore, path: Path) -> None:
    begin(store)
    query(path, "CREATE TRIGGER broken BEFORE UPDATE ON documents BEGIN SELECT RAISE(ABORT, 'no'); END")
    lease = store.lease(DOC, since=None, seconds=60, wait=0)
    with pytest.raises(StoreUnavailable, match="Cannot write the store"):
        store.append(DOC, b"1", expect=Position(1, 0), rows=["row"], lease=lease.token)
    query(path, "DROP TRIGGER broken")
    assert (updates_of(store), store.rows(DOC)) == ([], set())
    assert store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token) == Position(1, 1)


def test_a_file_deleted_under_running_processes_is_a_new_store_for_all_of_them(path: Path) -> None:
    with SqliteStore(path) as one, SqliteStore(path) as two:
        begin(one, epoch=1)
        append_all(one, [b"1"])
        assert updates_of(two) == [b"1"]
        incarnation, pulse = one.incarnation(), (one.pulse(), two.pulse())
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink()
        assert (one.pulse(), two.pulse()) != pulse
        with pytest.raises(PositionLost, match="no log"):
            one.append(DOC, b"2", expect=Position(1, 1))
        begin(two, epoch=2)
        append_all(two, [b"a"])
        assert updates_of(one) == [b"a"]
        assert one.incarnation() == two.incarnation() != incarnation


def test_a_file_replaced_under_a_running_process_is_opened_anew(store: SqliteStore, path: Path) -> None:
    begin(store)
    other_path = path.with_name("other.sqlite3")
    with SqliteStore(other_path) as other:
        begin(other, epoch=9)
        incarnation = other.incarnation()
    for suffix in ("-wal", "-shm"):  # SQLite would take them for the new file's
        Path(f"{path}{suffix}").unlink()
    os.replace(other_path, path)
    assert store.head(DOC) == Position(9, 0)
    assert store.incarnation() == incarnation


def test_the_first_try_after_a_failure_works_once_the_cause_is_gone(store: SqliteStore, path: Path) -> None:
    begin(store)
    hidden = path.parent.with_name("hidden")
    path.parent.rename(hidden)
    for _time in range(2):
        with pytest.raises(StoreUnavailable, match="does not exist"):
            append_all(store, [b"1"])
        with pytest.raises(StoreUnavailable, match="does not exist"):
            store.pulse()
    hidden.rename(path.parent)
    assert append_all(store, [b"1"]) == Position(1, 1)


def test_closing_waits_for_nobody_and_leaves_no_file_open(path: Path) -> None:
    store = SqliteStore(path)
    entered, leave = Event(), Event()

    def read() -> None:
        with store._connections.reading() as connection:
            connection.execute("SELECT 1")
            entered.set()
            leave.wait(20)

    reading = Background(read)
    assert entered.wait(20)
    store.close()
    leave.set()
    reading.result()
    assert not Path(f"{path}-wal").exists()  # SQLite removes it with the last connection
