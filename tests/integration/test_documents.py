"""A process's documents: what is kept, retried, given back and told, whatever happens in between."""

from __future__ import annotations

import logging
import threading

import pytest
from django.test import override_settings

import rxcrdt.backlog
from rxcrdt import conf, documents, folding, workers
from rxcrdt.backlog import backlog
from rxcrdt.changes import Changes
from rxcrdt.document import Document
from rxcrdt.layers import plan
from rxcrdt.names import log_name
from rxcrdt.registry import registry
from rxcrdt.replica import Replica
from rxcrdt.snapshots import compare, snapshot
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.models import Book, Library, Person, Shelf
from ydoc_store import Entry, Position, StoreUnavailable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store() -> Interposed:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    return interposed


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    Shelf.objects.create(library=library, label="top")
    return library


def another_process(name: str) -> Document:
    """The document as another process holds it: a copy of its own, which shares the store and nothing else."""
    anchor, value = registry.resolve(name)
    return Document(anchor, name, value, log_name(plan(anchor), name))


def rename(library: Library, name: str) -> None:
    library.name = name
    library.save()


def unavailable() -> None:
    raise StoreUnavailable("gone for a moment")


# Leases and the log


def test_a_flush_that_has_nothing_to_write_gives_the_lease_back(store: Interposed, library: Library) -> None:
    log = documents.get(f"library/{library.pk}").log
    snapshot("library", library.pk)
    library.save()
    lease = conf.store().lease(log, since=None, seconds=1, wait=0)
    conf.store().release(log, lease.token)
    assert "append" not in store.calls


def test_so_does_one_that_fails_before_it_writes(store: Interposed, library: Library) -> None:
    log = documents.get(f"library/{library.pk}").log
    snapshot("library", library.pk)
    store.before("append", unavailable)
    store.before("since", unavailable)
    rename(library, "second")
    lease = conf.store().lease(log, since=None, seconds=1, wait=0)
    conf.store().release(log, lease.token)


def test_what_others_wrote_meanwhile_comes_with_the_lease(store: Interposed, library: Library) -> None:
    """Nobody has told us of it yet; still the first append fits, and listeners get both entries."""
    follower = Follower(f"library/{library.pk}")
    other = another_process(follower.document.name)
    other.ensure()
    Shelf.objects.update(label="theirs")
    other.flush("default", Changes(saved={f"testapp.shelf:{Shelf.objects.get().pk}"}))
    store.calls.clear()
    rename(library, "second")
    assert store.calls.count("append") == 1
    assert not {"load", "since"} & set(store.calls)
    assert [position.sequence for position in follower.positions] == [1, 2]
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_a_lease_that_cannot_be_given_back_fails_nothing(
    store: Interposed, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot("library", library.pk)
    store.before("release", unavailable)
    library.save()
    assert store.done
    assert backlog.is_empty()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_somebody_elses_entry_is_not_taken_for_an_append_of_unknown_outcome(
    store: Interposed, library: Library
) -> None:
    """Ours did not get there, but another process's did meanwhile."""
    name = f"library/{library.pk}"
    follower = Follower(name)
    other = another_process(name)
    other.ensure()

    def overtaken() -> None:
        store.release(other.log, store._store.lease(other.log, since=None, seconds=0.01, wait=30).token)
        Shelf.objects.update(label="theirs")
        other.flush("default", Changes(saved={f"testapp.shelf:{Shelf.objects.get().pk}"}))
        raise StoreUnavailable("and then the connection broke")

    with override_settings(RXCRDT={"STORE": "memory://", "LEASE_SECONDS": 0.05}):
        store.before("append", overtaken)
        rename(library, "second")
        backlog.retry()
    assert store.done
    assert compare("library", library.pk) is None
    assert follower.state == snapshot("library", library.pk)
    assert follower.state["title"] == "second"
    assert follower.state["shelves"][0]["label"] == "theirs"
    follower.close()


def test_a_row_that_a_comparison_found_gone_is_taken_out_of_the_index(library: Library) -> None:
    shelf = Shelf.objects.get()
    key = f"testapp.shelf:{shelf.pk}"
    document = documents.get(f"library/{library.pk}")
    snapshot("library", library.pk)
    assert key in conf.store().rows(document.log)
    shelf.delete()
    document.reconcile()
    assert conf.store().rows(document.log) == {f"testapp.library:{library.pk}"}


def test_a_log_that_cannot_be_folded_fails_no_save(
    store: Interposed, library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folding, "SMALLEST", 1)
    monkeypatch.setattr(folding, "PART", 10**6)
    follower = Follower(f"library/{library.pk}")
    store.before("compact", unavailable)
    rename(library, "second")
    assert workers.wait_for_background(10)
    assert store.done
    assert backlog.is_empty()
    assert "could not be folded" in caplog.text
    rename(library, "third")
    assert workers.wait_for_background(10)
    assert conf.store().size(follower.document.log).entries == 0
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_a_lineage_is_newer_than_the_one_before_however_the_clock_goes(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(f"library/{library.pk}")
    before = follower.document.position
    assert before is not None
    conf.store().delete(follower.document.log)
    monkeypatch.setattr("rxcrdt.lineage.time.time_ns", lambda: 0)
    rename(library, "second")
    follower.document.catch_up()
    after = follower.document.position
    assert after is not None
    assert after.epoch > before.epoch
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_a_changed_field_is_an_update_of_a_few_dozen_bytes(library: Library) -> None:
    """The row keeps its map, so that what others do to it meanwhile stays: only the register is written."""
    author = Person.objects.create(name="author")
    for number in range(100):
        Book.objects.create(shelf=Shelf.objects.get(), title=str(number), author=author)
    follower = Follower(f"library/{library.pk}")
    author.name = "renamed"
    author.save()
    assert len(follower.updates[-1]) < 60
    book = Book.objects.all()[99]
    book.position = -1
    book.save()
    assert len(follower.updates[-1]) < 60
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_a_log_that_the_store_evicted_is_built_anew_by_the_next_save(library: Library) -> None:
    """The index still says that the document shows the row."""
    follower = Follower(f"library/{library.pk}")
    rows = conf.store().rows(follower.document.log)
    conf.store().delete(follower.document.log)
    conf.store().add_rows(follower.document.log, rows)
    for name in ("second", "third"):
        rename(library, name)
        assert follower.state == snapshot("library", library.pk)
        assert follower.state["title"] == name
    assert len(follower.updates) == 3, "the answer, the new lineage, and the third name"
    follower.close()


# What other processes write


def test_entries_from_elsewhere_may_come_late_twice_and_in_any_order(library: Library) -> None:
    name = f"library/{library.pk}"
    follower = Follower(name)
    other = another_process(name)
    other.ensure()
    start = other.position
    assert start is not None
    for number in range(4):
        Library.objects.update(name=str(number))
        other.flush("default", Changes(saved={f"testapp.library:{library.pk}"}))
    entries = conf.store().since(other.log, start)
    follower.document.receive([entries[1]])
    assert [position.sequence for position in follower.positions] == [1, 2, 3, 4], "the gap is read, and all after it"
    for entry in (*reversed(entries), entries[0]):
        follower.document.receive([entry])
    assert len(follower.positions) == 4
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_what_others_wrote_is_what_our_next_write_starts_from(library: Library) -> None:
    """Undone by us, it is written again; left alone, it is not written a second time."""
    follower = Follower(f"library/{library.pk}")
    rename(library, "known to this process")
    other = another_process(follower.document.name)
    other.ensure()
    Library.objects.update(name="theirs")
    Shelf.objects.update(label="of them, too")
    keys = {f"testapp.library:{library.pk}", f"testapp.shelf:{Shelf.objects.get().pk}"}
    other.flush("default", Changes(saved=keys))
    follower.document.catch_up()
    assert follower.state is not None
    assert follower.state["title"] == "theirs"
    rename(library, "known to this process")
    assert follower.state == snapshot("library", library.pk)
    assert follower.state["title"] == "known to this process"
    assert b"of them, too" in follower.updates[-2]
    assert b"of them, too" not in follower.updates[-1]
    follower.close()


def test_which_rows_a_field_shows_is_forgotten_when_others_project_it(library: Library) -> None:
    """We have seen the book with its first editor; with its second it came from another process."""
    first, second = (Person.objects.create(name=name) for name in ("first", "second"))
    book = Book.objects.create(shelf=Shelf.objects.get(), title="book", editor=first)
    follower = Follower(f"library/{library.pk}")
    book.title = "projected here"
    book.save()
    other = another_process(follower.document.name)
    other.ensure()
    Book.objects.update(editor=second)
    other.flush("default", Changes(saved={f"testapp.book:{book.pk}"}))
    follower.document.catch_up()
    second.name = "renamed"
    second.save()
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    assert "renamed" in str(follower.state)
    follower.close()


def test_an_entry_that_comes_while_we_write_is_taken_afterwards(store: Interposed, library: Library) -> None:
    """Nobody waits for the writer; the writer looks again when it is done."""
    follower = Follower(f"library/{library.pk}")
    other = another_process(follower.document.name)
    other.ensure()

    def write_elsewhere() -> None:
        Shelf.objects.update(label="theirs")
        other.flush("default", Changes(saved={f"testapp.shelf:{Shelf.objects.get().pk}"}))
        follower.document.catch_up()  # as told by the channel layer

    store.after("append", write_elsewhere)
    rename(library, "second")
    assert [position.sequence for position in follower.positions] == [1, 2]
    assert follower.state == snapshot("library", library.pk)
    assert follower.state["shelves"][0]["label"] == "theirs"
    follower.close()


def test_an_entry_that_cannot_be_applied_drops_the_copy_and_it_is_read_again(
    store: Interposed, library: Library
) -> None:
    """Nobody knows what the engine did with half of it. The log, which never had it, is in order."""
    follower = Follower(f"library/{library.pk}")
    position = follower.document.position
    assert position is not None
    following = Position(position.epoch, position.sequence + 1)
    store.calls.clear()
    follower.document.receive([Entry(position=following, update=b"\x01\x01\xff")])
    assert store.calls == ["load"]
    rename(library, "second")
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def test_a_copy_takes_no_entry_that_does_not_follow(library: Library) -> None:
    document = documents.open(f"library/{library.pk}")
    rename(library, "second")
    log = conf.store().load(document.log)
    assert log is not None
    (entry,) = log.entries
    replica = Replica(document.plan, log)
    for step in (0, 2):
        wrong = Entry(position=Position(log.epoch, entry.position.sequence + step), update=entry.update)
        with pytest.raises(ValueError, match="does not follow"):
            replica.apply([wrong])


# Listeners


def test_whoever_comes_later_gets_all_there_is(library: Library) -> None:
    """The answer to those who have nothing is kept, but not beyond the next entry."""
    followers = [Follower(f"library/{library.pk}")]
    for name in ("second", "third"):
        rename(library, name)
        followers.append(Follower(f"library/{library.pk}"))
    other = another_process(followers[0].document.name)
    other.ensure()
    Library.objects.update(name="theirs")
    other.flush("default", Changes(saved={f"testapp.library:{library.pk}"}))
    followers[0].document.catch_up()
    followers.append(Follower(f"library/{library.pk}"))
    for follower in followers:
        assert follower.state == snapshot("library", library.pk)
        follower.close()


def test_a_listener_that_raises_keeps_nothing_from_the_others(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def deliver(self, position: Position, update: bytes) -> None:
            raise ZeroDivisionError

        def gone(self) -> None:
            raise ZeroDivisionError

    document = documents.open(f"library/{library.pk}")
    document.subscribe(Broken())
    follower = Follower(document.name)
    rename(library, "second")
    assert follower.state == snapshot("library", library.pk)
    assert backlog.is_empty()
    assert "could not be delivered" in caplog.text
    follower.close()


def test_nothing_comes_between_an_answer_and_the_first_entry(store: Interposed, library: Library) -> None:
    """Whoever enrols in the answer misses no entry and gets none twice: a writer waits until it is done."""
    document = documents.open(f"library/{library.pk}")
    written = threading.Event()
    seen: list[bool] = []

    def write() -> None:
        document.flush("default", Changes(saved={f"testapp.library:{library.pk}"}))
        written.set()

    Library.objects.update(name="second")
    reached = threading.Event()
    store.after("append", reached.set)
    thread = threading.Thread(target=write)

    def enroll(_: bytes) -> None:
        thread.start()
        seen.append(reached.wait(0.5))

    document.answer(b"\x00", enroll)
    thread.join(20)
    assert written.is_set()
    assert seen == [False], "an entry was appended while somebody was being answered"


# What is kept for later


def test_the_backlog_goes_on_until_it_works(store: Interposed, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    with override_settings(RXCRDT={"STORE": "memory://", "RETRY_SECONDS": 0.02}):
        for _ in range(3):
            store.before("documents_of", unavailable)
        for _ in range(3):
            store.before("lease", unavailable)
        rename(library, "second")
        assert follower.wait_until(lambda state: state is not None and state["title"] == "second", seconds=20)
    assert store.done
    follower.close()


def test_beyond_its_limit_the_backlog_compares_open_documents_in_full(
    store: Interposed, library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rxcrdt.backlog, "MAX_UNROUTED", 2)
    follower = Follower(f"library/{library.pk}")
    rows = [Shelf.objects.create(library=library, label=str(number)) for number in range(3)]
    for number, row in enumerate(rows):
        store.before("documents_of", unavailable)
        row.label = f"changed {number}"
        row.save()
    assert "are forgotten" in caplog.text
    backlog.retry()
    assert follower.state == snapshot("library", library.pk)
    assert "changed 2" in str(follower.state)
    assert backlog.is_empty()
    follower.close()


# The shelf


@override_settings(RXCRDT={"STORE": "memory://", "DOCUMENTS_IN_MEMORY": 3})
def test_documents_in_use_are_kept_and_others_forgotten() -> None:
    libraries = [Library.objects.create(name=str(number)) for number in range(10)]
    opened = documents.open(f"library/{libraries[0].pk}")
    for library in libraries[1:]:
        documents.close(documents.open(f"library/{library.pk}"))
    assert documents.get(opened.name) is opened
    assert len(documents._shelf.documents) <= 3
    documents.close(opened)
    for library in libraries[1:5]:
        documents.get(f"library/{library.pk}")
    assert documents.get(opened.name) is not opened


@override_settings(RXCRDT={"STORE": "memory://", "DOCUMENTS_IN_MEMORY": 1})
def test_so_are_those_whose_changes_wait(store: Interposed) -> None:
    first, *others = [Library.objects.create(name=str(number)) for number in range(5)]
    snapshot("library", first.pk)
    store.before("lease", unavailable)
    rename(first, "second")
    for library in others:
        snapshot("library", library.pk)
    backlog.retry()
    assert snapshot("library", first.pk)["title"] == "second"


def test_a_log_of_another_version_of_the_code_is_left_alone(library: Library) -> None:
    """As during a rolling deploy: the row is in the index for a log that this process cannot write."""
    snapshot("library", library.pk)
    document = documents.get(f"library/{library.pk}")
    theirs = document.log[:-10] + "0123456789"
    conf.store().add_rows(theirs, {f"testapp.library:{library.pk}"})
    assert documents.get_by_log(theirs) is None
    assert documents.get_by_log(f"tenant|{document.log}") is None
    assert documents.get_by_log("nobody/1@0123456789") is None
    assert documents.get_by_log(document.log) is document
    rename(library, "second")
    assert conf.store().load(theirs) is None
    assert snapshot("library", library.pk)["title"] == "second"
