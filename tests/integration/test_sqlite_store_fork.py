"""The SQLite store in a process that forks while its threads write, as preloading servers do."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from threading import Event

import pytest

from ydoc_store import DocStore, Position
from ydoc_store.sqlite import SqliteStore
from ydoc_store.testing.tools import (
    PATIENCE,
    Background,
    append_all,
    append_leased,
    begin,
    open_files,
    updates_of,
)

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

FORKS = 6
WRITES = 10


def write(store: DocStore, name: str) -> None:
    position = store.head(name)
    for number in range(WRITES):
        position = append_leased(store, str(number).encode(), position, name)


def test_parent_and_children_write_on_after_forks_in_the_middle_of_transactions(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with SqliteStore(tmp_path / "store.sqlite3") as store:
        names = [f"child/{number}" for number in range(FORKS)]
        for name in ["parent/0", "parent/1", *names]:
            begin(store, name)
        store.pulse()
        done = Event()

        def write_until_done(name: str) -> int:
            position = Position(1, 0)
            while not done.is_set():
                position = append_leased(store, b"x", position, name)
            return position.sequence

        parents = [
            Background(lambda: write_until_done("parent/0")),
            Background(lambda: write_until_done("parent/1")),
        ]
        children = [context.Process(target=write, args=(store, name)) for name in names]
        for child in children:
            child.start()
        for child in children:
            child.join(PATIENCE)
            assert child.exitcode == 0
        done.set()
        written = [parent.result() for parent in parents]
        assert [len(updates_of(store, f"parent/{number}")) for number in range(2)] == written
        assert min(written) > 1
        for name in names:
            assert updates_of(store, name) == [str(number).encode() for number in range(WRITES)]
        with store._connections.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_no_connection_is_open_in_a_forked_child(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    with SqliteStore(tmp_path / "store.sqlite3") as store:
        begin(store)
        store.pulse()
        assert open_files(tmp_path)["store.sqlite3"] > 0
        child = context.Process(target=lambda: there.send(open_files(tmp_path)))
        child.start()
        assert here.poll(PATIENCE)
        assert here.recv() == {}
        child.join(PATIENCE)
        assert append_all(store, [b"1"]) == Position(1, 1)


def test_a_closed_store_stays_closed_in_a_child(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    store = SqliteStore(tmp_path / "store.sqlite3")
    store.close()

    def fails() -> None:
        with pytest.raises(Exception, match="closed"):
            store.head("board/1")

    child = context.Process(target=fails)
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
