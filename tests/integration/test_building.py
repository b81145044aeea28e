"""Building a document: read once where nobody commits meanwhile, again where somebody does; nothing is left behind."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction
from django.db.models import Model
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from rxcrdt import conf, current, documents, quiet
from rxcrdt.garbage import search_put_off
from rxcrdt.snapshots import compare, snapshot
from tests.interposing import Interposed
from tests.testapp.models import Book, Library, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store() -> Interposed:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    return interposed


@pytest.fixture
def library() -> Library:
    found = Library.objects.create(name="first")
    shelf = Shelf.objects.create(library=found, label="a")
    Book.objects.create(shelf=shelf, title="one")
    return found


def _elsewhere(work: Callable[[], object]) -> None:
    """As another process: over another connection, and done when this returns."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def _retitle() -> None:
    Book.objects.update(title="two")


def _readings_of(act: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as context:
        act()
    return sum('FROM "testapp_library"' in query["sql"] for query in context.captured_queries)


# One reading or two


def test_a_document_is_read_once_if_nobody_commits_meanwhile(library: Library) -> None:
    assert _readings_of(lambda: snapshot("library", library.pk)) == 1
    assert compare("library", library.pk) is None


def test_a_commit_between_reading_and_announcing_makes_it_be_read_again(store: Interposed, library: Library) -> None:
    store.before("add_rows", lambda: _elsewhere(_retitle))
    assert _readings_of(lambda: snapshot("library", library.pk)) == 2
    assert compare("library", library.pk) is None


def test_a_commit_of_this_very_connection_counts_too(store: Interposed, library: Library) -> None:
    store.before("add_rows", _retitle)
    assert _readings_of(lambda: snapshot("library", library.pk)) == 2
    assert compare("library", library.pk) is None


def test_a_transaction_that_was_open_at_the_first_reading_counts_too(store: Interposed, library: Library) -> None:
    """On SQLite there is none: a reader of these tests locks the file."""
    written, may_commit = threading.Event(), threading.Event()

    def write_slowly() -> None:
        try:
            with transaction.atomic():
                _retitle()
                written.set()
                assert may_commit.wait(20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=write_slowly)
    if connection.vendor == "sqlite":
        may_commit.set()
    thread.start()
    assert written.wait(20)
    if connection.vendor == "sqlite":
        thread.join()

    def commit() -> None:
        may_commit.set()
        thread.join()

    store.before("add_rows", commit)
    snapshot("library", library.pk)
    thread.join()
    assert compare("library", library.pk) is None


def test_marks_are_equal_until_somebody_commits(library: Library) -> None:
    before = quiet.mark("default")
    assert before is not None
    assert quiet.mark("default") == before
    list(Book.objects.all())
    assert quiet.mark("default") == before
    _elsewhere(_retitle)
    assert quiet.mark("default") != before


def test_nothing_is_promised_inside_of_a_transaction() -> None:
    with transaction.atomic():
        assert quiet.mark("default") is None


def test_nothing_is_promised_where_rows_may_come_from_several_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings, "other", connections.settings["default"])
    assert quiet.mark("default") is None


# Garbage


def test_no_row_that_was_read_waits_for_the_search_for_garbage(library: Library) -> None:
    rows: list[weakref.ref[Model]] = []

    def note(instance: Model, **_: object) -> None:
        if not isinstance(instance, Library):  # its file field refers to it, and it to that
            rows.append(weakref.ref(instance))

    document = documents.get(f"library/{library.pk}")
    gc.collect()
    gc.disable()
    post_init.connect(note)
    try:
        current.read_whole(document.anchor, document.name, str(library.pk), "default")
        assert len(rows) >= 2
        assert [row() for row in rows if row() is not None] == []
    finally:
        post_init.disconnect(note)
        gc.enable()


def test_the_search_goes_on_after_the_block_and_after_an_error() -> None:
    with search_put_off():
        assert not gc.isenabled()
        with search_put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), search_put_off():
        _ = 1 / 0
    assert gc.isenabled()


def test_a_second_thread_does_not_put_it_off_for_longer() -> None:
    inside, leave = threading.Event(), threading.Event()

    def read() -> None:
        with search_put_off():
            inside.set()
            assert leave.wait(20)

    with search_put_off():
        thread = threading.Thread(target=read)
        thread.start()
        assert inside.wait(20)
    assert gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_a_fork_in_between_searches_in_the_child() -> None:
    with search_put_off():
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert not gc.isenabled()


def test_a_process_that_does_not_search_by_itself_goes_on_not_to() -> None:
    gc.disable()
    try:
        with search_put_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
