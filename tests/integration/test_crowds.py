"""Several processes come to the same conclusion at the same moment: one does it, and the others see that it is done."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from rxcrdt import conf, deploys, documents, folding, relay, tombstones, workers
from rxcrdt.changes import Changes
from rxcrdt.layer_link import LayerLink
from rxcrdt.snapshots import compare, snapshot
from tests.fake_layers import FakeLayer, Hub
from tests.integration.test_deploys import Listener
from tests.integration.test_documents import another_process
from tests.integration.test_folding import epoch, overwrite
from tests.integration.test_quarantine import GARBAGE, kept, with_entry
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import open_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def few_tombstones_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "FEW", 0)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    Book.objects.create(shelf=Shelf.objects.create(library=library, label="top"), title="a book")
    return library


@pytest.fixture
def store() -> Interposed:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    return interposed


def rename(library: Library, times: int) -> None:
    for number in range(times):
        library.name = f"name {number}"
        library.save()


def in_thread(do: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            do()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@contextmanager
def background_waits() -> Iterator[None]:
    """What is given to the background inside begins afterwards."""
    gate = threading.Event()
    for _ in range(workers.BACKGROUND_THREADS):
        workers.in_background("", gate.wait, 30)
    try:
        yield
    finally:
        gate.set()


# Folding


def test_a_log_is_folded_by_one_of_all_who_crossed_the_line(
    store: Interposed, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "SMALLEST", 3000)
    monkeypatch.setattr(tombstones, "TOO_MANY", 1.0)
    processes = [another_process(f"library/{library.pk}") for _ in range(6)]
    for each in processes:
        each.ensure()
        each.subscribe(Listener())
    store.calls.clear()
    for number in range(60):
        Library.objects.update(name=f"name {number}")
        with background_waits():
            processes[number % 6].flush("default", Changes(saved={f"testapp.library:{library.pk}"}))
            for each in processes:
                each.catch_up()
        assert workers.wait_for_background(10)
    assert 2 <= store.calls.count("compact") <= 6, "every 15th entry or so crosses the line"
    assert store.calls.count("load") == store.calls.count("compact"), "the others did not even read it"


def test_the_line_moves_as_the_document_grows(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever folds a log learns how large it is by now; so does whoever finds that another process has folded it."""
    monkeypatch.setattr(folding, "SMALLEST", 1000)
    folder, finder = (another_process(f"library/{library.pk}") for _ in range(2))
    folder.ensure()
    finder.ensure()
    Book.objects.bulk_create(Book(shelf=library.shelves.get(), title=f"book {number}") for number in range(200))
    folder.reconcile()
    assert workers.wait_for_background(10)
    finder.reconcile()
    assert workers.wait_for_background(10)
    size = conf.store().size(folder.log)
    assert size.entries == 0
    for process in (folder, finder):
        replica = process._mirror.replica
        assert replica is not None
        assert (replica.snapshot_bytes, replica.weight) == (size.snapshot_bytes, 0)


def test_a_log_that_begins_anew_while_it_is_folded_needs_no_folding(
    store: Interposed, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(f"library/{library.pk}")
    rename(library, 3)
    other = another_process(follower.document.name)
    store.before("compact", other.rebuild)
    with caplog.at_level(logging.WARNING):
        follower.document.compact()
    assert store.done
    assert caplog.messages == []
    follower.document.catch_up()
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_two_who_find_too_many_tombstones_begin_one_lineage(store: Interposed, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    overwrite(follower.document)
    other = another_process(follower.document.name)
    other.ensure()
    before = epoch(follower.document)
    store.calls.clear()
    store.after("release", other.compact)  # the first release is that of the turn to fold
    follower.document.compact()
    assert store.done
    assert store.calls.count("begin") == 1
    follower.document.catch_up()
    assert epoch(follower.document) > before
    assert compare("library", library.pk) is None
    follower.close()


# Quarantine


def test_two_who_cannot_read_a_log_put_it_aside_once(store: Interposed, library: Library) -> None:
    """One of them looks while the other has looked and not moved it yet; what he would move then is the new log."""
    follower = Follower(f"library/{library.pk}")
    other = another_process(follower.document.name)
    other.ensure()
    other.subscribe(Listener())
    with_entry(GARBAGE)(store, follower.document)  # type: ignore[arg-type]
    threads: list[threading.Thread] = []

    def meanwhile() -> None:
        threads.append(in_thread(other.catch_up))
        threads[0].join(0.5)  # where nobody waits for anybody, it is done by then

    store.before("quarantine", meanwhile)
    follower.document.catch_up()
    threads[0].join(20)
    for each in (other, follower.document):
        each.catch_up()
    assert len(kept(store)) == 1  # type: ignore[arg-type]
    assert other.position == follower.document.position == conf.store().head(other.log)
    conf.store().lease(f"{other.log}#aside", since=None, seconds=1, wait=0)  # nobody has the turn any more
    follower.close()


# Nudges


def test_a_save_does_not_wait_for_whoever_writes_the_other_versions_log(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    store, theirs = conf.store(), f"|library/{library.pk}@3f9a1c02de"
    writing = store.lease(theirs, since=None, seconds=60, wait=0)
    begun = store.begin(theirs, epoch=1, snapshot=b"\0\0", rows=[f"testapp.library:{library.pk}"], lease=writing.token)
    store.touch([theirs])
    rename(library, 3)  # would take as long as the lease
    assert follower.state is not None
    assert follower.state["title"] == "name 2"
    assert store.head(theirs) == begun
    store.release(theirs, writing.token)
    assert workers.wait_for_background(10)
    assert 1 <= len(store.since(theirs, begun)) <= 2, "one stands for all that waited"
    follower.close()


def test_whoever_asks_for_the_document_now_gets_what_another_version_saved(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    Library.objects.update(name="by other code")
    deploys.nudge(follower.document.log)
    assert snapshot("library", library.pk)["title"] == "by other code"
    follower.close()


def test_so_does_a_process_that_reads_the_log_only_now(library: Library) -> None:
    log = documents.open(f"library/{library.pk}").log
    Library.objects.update(name="by other code")
    deploys.nudge(log)
    documents.forget_all()
    assert snapshot("library", library.pk)["title"] == "by other code"


def test_a_copy_that_was_lost_is_no_nudge(store: Interposed, library: Library) -> None:
    """As after a write that failed: what was not seen here is all there is to read."""
    follower = Follower(f"library/{library.pk}")
    rename(library, 1)
    other = another_process(follower.document.name)
    other.ensure()
    rename(library, 1)
    follower.document._mirror.drop()
    other._mirror.drop()
    store.calls.clear()
    other.subscribe(Listener())
    for each in (other, follower.document):
        each.catch_up()
    assert workers.wait_for_background(10)
    assert store.calls.count("rows") == 0, "no comparison"
    follower.close()


def test_a_nudge_that_was_answered_is_none_for_whoever_reads_the_log_again(store: Interposed, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    deploys.nudge(follower.document.log)
    follower.document.catch_up()
    assert workers.wait_for_background(10)
    assert store.calls.count("rows") == 2, "built, and compared"
    follower.document._mirror.drop()
    follower.document.catch_up()
    assert workers.wait_for_background(10)
    assert store.calls.count("rows") == 2
    follower.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub()
    link = LayerLink(lambda: FakeLayer(hub), process="this one")
    with open_store(f"sqlite:///{tmp_path}/store.sqlite3") as store:
        conf.use_store(store)
        before, relay._link._made = relay._link._made, (os.getpid(), link)
        yield hub
        relay._link._made = before
    link.close()


def test_other_processes_hear_of_a_nudge(hub: Hub, library: Library) -> None:
    log = documents.open(f"library/{library.pk}").log
    deploys.nudge(log)
    assert relay.flush(10)
    last = hub.sent[-1]
    assert (last["topic"], last["sequence"], last["update"]) == (log, 1, deploys.NUDGE)
