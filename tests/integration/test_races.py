"""The races of the design, each forced: a step of one writer is held until another one has done its worst."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings

from rxcrdt import conf, documents
from rxcrdt.backlog import backlog
from rxcrdt.changes import Changes
from rxcrdt.document import Document
from rxcrdt.layers import plan
from rxcrdt.names import log_name
from rxcrdt.registry import registry
from rxcrdt.snapshots import compare, snapshot
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import StoreUnavailable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store() -> Iterator[Interposed]:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    return interposed


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    Shelf.objects.create(library=library, label="top")
    return library


def elsewhere(write: Callable[[], Any]) -> threading.Thread:
    """Runs ``write`` in a thread with a database connection of its own, as another request would."""

    def run() -> None:
        try:
            write()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def another_process(name: str) -> Document:
    """The document as another process holds it: a copy of its own, which shares the store and nothing else."""
    anchor, value = registry.resolve(name)
    return Document(anchor, name, value, log_name(plan(anchor), name))


def rename(library: Library, name: str) -> None:
    row = Library.objects.get(pk=library.pk)
    row.name = name
    row.save()


# A save during a cold build


def test_a_save_after_the_first_reading_of_a_build_is_in_the_document(store: Interposed, library: Library) -> None:
    """It finds the row in nobody's index; the builder reads once more, after it announced its rows."""
    store.before("add_rows", lambda: elsewhere(lambda: rename(library, "second")).join())
    assert snapshot("library", library.pk)["title"] == "second"
    assert store.done


def test_a_save_after_the_last_reading_of_a_build_waits_for_the_builder(store: Interposed, library: Library) -> None:
    threads: list[threading.Thread] = []
    asked = threading.Event()

    def save() -> None:
        store.after("documents_of", asked.set)
        threads.append(elsewhere(lambda: rename(library, "second")))
        assert asked.wait(10), "the save did not ask who shows the row"

    store.before("begin", save)
    assert snapshot("library", library.pk)["title"] == "first"
    threads[0].join(20)
    assert compare("library", library.pk) is None
    assert snapshot("library", library.pk)["title"] == "second"


def test_a_row_that_comes_in_is_announced_before_it_is_read_for_good(store: Interposed, library: Library) -> None:
    """A shelf full of books enters; one of them is saved after it was read, before anybody could know of it."""
    other = Library.objects.create(name="elsewhere")
    shelf = Shelf.objects.create(library=other, label="moving")
    book = Book.objects.create(shelf=shelf, title="before")
    snapshot("library", library.pk)
    threads: list[threading.Thread] = []

    def overtake() -> None:
        threads.append(elsewhere(lambda: _retitle(book, "after")))
        threads[0].join(1)  # it finds nobody and is done; or it waits for us

    store.before("add_rows", lambda: None)  # announces the shelf, which was saved: nothing is read yet
    store.before("add_rows", overtake)
    shelf.library = library
    shelf.save()
    threads[0].join(30)
    assert store.done
    assert compare("library", library.pk) is None
    assert snapshot("library", library.pk)["shelves"][1]["books"][0]["title"] == "after"


def _retitle(book: Book, title: str) -> None:
    row = Book.objects.get(pk=book.pk)
    row.title = title
    row.save()


# Overlapping moves


@pytest.mark.parametrize("held", ["documents_of", "lease", "append"])
def test_a_row_moved_by_two_at_once_ends_in_one_document(store: Interposed, library: Library, held: str) -> None:
    """A→B and A→C, each by an instance that knows of A only; B's flush is held until C's is through."""
    a, b, c = library, Library.objects.create(name="b"), Library.objects.create(name="c")
    shelves = [Shelf.objects.create(library=place, label=place.name) for place in (a, b, c)]
    book = Book.objects.create(shelf=shelves[0], title="wanted")
    followers = [Follower(f"library/{place.pk}") for place in (a, b, c)]
    to_b, to_c = Book.objects.get(pk=book.pk), Book.objects.get(pk=book.pk)
    to_b.shelf, to_c.shelf = shelves[1], shelves[2]
    threads: list[threading.Thread] = []

    def overtake() -> None:
        threads.append(elsewhere(to_c.save))
        threads[0].join(1)  # under the lease of one document it waits for us, and flushes when we are done

    store.before(held, overtake)
    to_b.save()
    threads[0].join(30)
    assert store.done
    for place, follower in zip((a, b, c), followers, strict=True):
        assert compare("library", place.pk) is None
        assert follower.state == snapshot("library", place.pk)
        follower.close()
    held_by = [place.name for place in (a, b, c) if "wanted" in str(snapshot("library", place.pk))]
    assert held_by == ["c"]


# Leases and appends


@override_settings(RXCRDT={"STORE": "memory://", "LEASE_SECONDS": 0.05})
def test_a_writer_whose_lease_expired_and_was_taken_reads_again(store: Interposed, library: Library) -> None:
    name = f"library/{library.pk}"
    follower = Follower(name)
    other = another_process(name)
    other.ensure()

    def overtake() -> None:
        Shelf.objects.filter(library=library).update(label="theirs")
        other.flush("default", Changes(saved={f"testapp.shelf:{Shelf.objects.get().pk}"}))

    store.before("append", overtake)
    rename(library, "second")
    assert store.done
    assert store.calls.count("append") == 3, "ours that failed, theirs, ours again"
    assert compare("library", library.pk) is None
    assert follower.state == snapshot("library", library.pk)
    assert follower.state["shelves"][0]["label"] == "theirs"
    assert [position.sequence for position in follower.positions] == [1, 2]
    other.catch_up()
    assert other.content() == documents.get(name).content()
    follower.close()


def test_what_a_failed_append_left_in_the_document_is_seen_by_nobody(store: Interposed, library: Library) -> None:
    name = f"library/{library.pk}"
    follower = Follower(name)
    document = documents.get(name)
    before = document.state_vector()

    def fail() -> None:
        raise StoreUnavailable("the disk is full")

    store.before("append", fail)
    rename(library, "second")
    assert follower.updates == [follower.updates[0]]
    assert document.state_vector() == before
    backlog.retry()
    assert follower.state == snapshot("library", library.pk)
    assert follower.state["title"] == "second"
    follower.close()


def test_an_append_of_unknown_outcome_is_looked_up_and_not_repeated(store: Interposed, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")

    def vanish() -> None:
        raise StoreUnavailable("the connection broke before the answer came")

    store.after("append", vanish)
    rename(library, "second")
    assert store.calls.count("append") == 1
    assert backlog.is_empty()
    assert [position.sequence for position in follower.positions] == [1]
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_an_append_of_unknown_outcome_is_found_later_if_the_store_stays_away(
    store: Interposed, library: Library
) -> None:
    follower = Follower(f"library/{library.pk}")

    def vanish() -> None:
        raise StoreUnavailable("the connection broke before the answer came")

    store.after("append", vanish)
    store.before("since", vanish)
    rename(library, "second")
    assert not backlog.is_empty()
    backlog.retry()
    assert store.calls.count("append") == 1, "it was in the log all along"
    assert [position.sequence for position in follower.positions] == [1]
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


# Transactions


def test_a_snapshot_inside_a_transaction_writes_nothing_to_the_store(store: Interposed, library: Library) -> None:
    with transaction.atomic():
        Shelf.objects.create(library=library, label="uncommitted")
        state = snapshot("library", library.pk)
        transaction.set_rollback(True)
    assert [shelf["label"] for shelf in state["shelves"]] == ["top", "uncommitted"]
    assert not {"begin", "append", "add_rows", "lease"} & set(store.calls)
    assert [shelf["label"] for shelf in snapshot("library", library.pk)["shelves"]] == ["top"]


def test_a_hook_of_somebody_else_that_raises_is_mended_by_the_next_comparison(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")

    def raising() -> None:
        raise RuntimeError("a hook of the project's own")

    @transaction.atomic
    def write() -> None:
        transaction.on_commit(raising)
        rename(library, "second")

    with pytest.raises(RuntimeError, match="the project's own"):
        write()
    assert Library.objects.get().name == "second"
    assert follower.state is not None
    assert follower.state["title"] == "first", "the hook kept ours from running: if not, this test tests nothing"
    follower.document.reconcile()
    assert follower.state["title"] == "second"
    follower.close()


DYING = """
import django; django.setup()
import os, sys
from rxcrdt import flushing
from tests.testapp.models import Library

flushing.flush = lambda *_: os._exit(9)  # killed between the commit and the flush
row = Library.objects.get(pk=int(sys.argv[1]))
row.name = "second"
row.save()
"""


def test_a_process_killed_between_commit_and_flush_is_mended_by_the_next_opener(
    library: Library, child_environment: dict[str, str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    with override_settings(RXCRDT={"STORE": url}):
        conf.use_store(None)
        snapshot("library", library.pk)
        environment = {**child_environment, "RXCRDT_TEST_STORE": url}
        done = subprocess.run([sys.executable, "-c", DYING, str(library.pk)], env=environment, check=False)
        assert done.returncode == 9
        assert Library.objects.get().name == "second"
        documents.forget_all()
        opened = documents.open(f"library/{library.pk}")
        opened.reconcile()  # as the first room of a document does
        assert snapshot("library", library.pk)["title"] == "second"
        documents.close(opened)


def test_whoever_gets_to_write_flushes_for_all_who_wait(store: Interposed, library: Library) -> None:
    """Ten threads save while the first flush is held: what waited becomes one entry."""
    follower = Follower(f"library/{library.pk}")
    rows = [Shelf.objects.create(library=library, label=str(number)) for number in range(10)]
    before = len(follower.positions)
    document = documents.get(f"library/{library.pk}")
    threads: list[threading.Thread] = []

    def crowd() -> None:
        for row in rows:
            row.label = f"new {row.label}"
            threads.append(elsewhere(row.save))
        waiting = threading.Event()
        while len(document._waiting) < len(rows):
            waiting.wait(0.005)

    store.before("append", crowd)
    rename(library, "second")
    for thread in threads:
        thread.join(30)
    assert len(follower.positions) - before == 2
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def test_changes_of_a_failed_flush_are_kept_for_the_next_one(store: Interposed, library: Library) -> None:
    document = documents.get(f"library/{library.pk}")
    snapshot("library", library.pk)

    def fail() -> None:
        raise StoreUnavailable("gone for a moment")

    store.before("lease", fail)
    with pytest.raises(StoreUnavailable):
        document.flush("default", Changes(saved={f"testapp.library:{library.pk}"}))
    Library.objects.filter(pk=library.pk).update(name="second")
    document.flush_waiting()
    assert snapshot("library", library.pk)["title"] == "second"
