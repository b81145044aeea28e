"""Transactions that change more rows than anybody wants to hold in memory: their documents are compared in full."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from typing import Any, Self

import pytest
from django.db import connection, transaction

import rxcrdt
from rxcrdt import changes, conf, documents
from rxcrdt.backlog import backlog
from rxcrdt.changes import Changes, Linked
from rxcrdt.snapshots import compare, snapshot
from tests.interposing import Interposed
from tests.oracle.following import Follower, comparable
from tests.oracle.operations import Writer
from tests.testapp.models import Book, Chapter, Library, Shelf
from ydoc_store import StoreUnavailable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows are many."""
    monkeypatch.setattr(changes, "SPILL", 10)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    for label in ("top", "bottom"):
        shelf = Shelf.objects.create(library=library, label=label)
        Book.objects.bulk_create([Book(shelf=shelf, title=f"{label} {n}", position=n) for n in range(20)])
    return library


@pytest.fixture
def follower(library: Library) -> Iterator[Follower]:
    follower = Follower(f"library/{library.pk}")
    yield follower
    follower.close()


@pytest.fixture
def store() -> Interposed:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    return interposed


def is_right(library: Library, follower: Follower) -> bool:
    assert follower.state == snapshot("library", library.pk)
    return compare("library", library.pk) is None


# What is kept


def test_of_many_rows_the_names_are_kept() -> None:
    total = Changes()
    wanted: set[str] = set()
    for number in range(3 * changes.SPILL):
        row, owner = f"testapp.book:{number}", f"testapp.shelf:{number % 7}"
        wanted |= {row, owner}
        total.update(Changes(saved={row}, links={Linked(via="testapp.book.shelf", owner=owner, child=row)}))
    assert len(total.saved) <= changes.SPILL
    assert total.is_everything
    assert wanted == total.rows().union(*total.packed_rows())
    assert sum(len(packed.data) for packed in total.packed) < 6 * 3 * changes.SPILL


def test_any_text_may_be_a_name() -> None:
    rows = {'shapes.flag:"\n', "shapes.flag:\x00é", 'shapes.tide:["1", "2"]'}
    assert changes.Packed.of(rows).rows() == rows


# What is shown


@pytest.mark.usefixtures("few")
def test_it_is_one_entry_all_the_same(library: Library, follower: Follower) -> None:
    shelf = Shelf.objects.create(library=library, label="new")
    follower.positions.clear()
    with transaction.atomic():
        for book in Book.objects.all():
            book.title += "!"
            book.save()
        for number in range(15):
            Book.objects.create(shelf=shelf, title=str(number))
        Book.objects.filter(title__startswith="top").delete()
        assert follower.positions == []
    assert len(follower.positions) == 1
    assert is_right(library, follower)


@pytest.mark.usefixtures("few")
def test_rows_whose_owners_are_as_new_as_they_are(library: Library, follower: Follower) -> None:
    """Neither the shelf nor its books are in any index yet; the shelf's library is."""
    with transaction.atomic():
        shelf = Shelf.objects.create(library=library, label="new")
        for number in range(50):
            Book.objects.create(shelf=shelf, title=str(number))
    assert is_right(library, follower)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("undone", ["the first", "the last", "both"])
def test_savepoints_that_are_rolled_back(library: Library, follower: Follower, undone: str) -> None:
    first, second = Shelf.objects.all()
    with transaction.atomic():
        for shelf, which in ((first, "the first"), (second, "the last")):
            with transaction.atomic():
                for book in shelf.books.all():
                    book.title += "!"
                    book.save()
                transaction.set_rollback(undone in (which, "both"))
    assert len(follower.positions) == (undone != "both")
    assert is_right(library, follower)


@pytest.mark.usefixtures("few")
def test_a_document_that_came_to_show_the_rows_in_the_meantime(library: Library, store: Interposed) -> None:
    """Who opens it during the transaction reads what was before, and is in the index when it commits."""
    follower = Follower(f"library/{library.pk}")
    log = follower.document.log
    rows = store.rows(log)
    store.remove_rows(log, rows)
    with transaction.atomic():
        for book in Book.objects.all():
            book.title += "!"
            book.save()
        store.add_rows(log, rows)
    assert is_right(library, follower)
    follower.close()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("step", ["documents_of", "lease", "append"])
def test_what_fails_is_tried_again(library: Library, store: Interposed, step: str) -> None:
    follower = Follower(f"library/{library.pk}")

    def fail() -> None:
        raise StoreUnavailable("it is down")

    store.before(step, fail)
    with transaction.atomic():
        for book in Book.objects.all():
            book.title += "!"
            book.save()
    assert follower.positions == []
    assert not backlog.is_empty()
    backlog.retry()
    assert is_right(library, follower)
    follower.close()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_written(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The oracle's random writes, with transactions of more and of less than is kept."""
    monkeypatch.setattr(changes, "SPILL", random.Random(seed).randint(0, 4))
    writer = Writer(seed)
    writer.populate()
    followers = [Follower(f"library/{library.pk}") for library in Library.objects.all()]
    for _ in range(15):
        writer.transaction()
        for follower in followers:
            anchor, _, value = follower.document.name.partition("/")
            if not follower.is_gone:
                assert compare(anchor, value) is None, "\n".join(writer.log)
                assert comparable(follower.state) == comparable(snapshot(anchor, value)), "\n".join(writer.log)
    for follower in followers:
        follower.close()


# How much memory


class Traced:
    """Bytes that our code allocated and still holds, beside those of the rows themselves."""

    def __enter__(self) -> Self:
        tracemalloc.start()
        return self

    def held(self) -> int:
        ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/rxcrdt/*")
        taken = tracemalloc.take_snapshot().filter_traces([ours])
        return sum(trace.size for trace in taken.traces)

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()


def test_a_hundred_thousand_rows_are_not_held(library: Library) -> None:
    """Neither those of an import nor those of a statement, of which the second only is traced: that takes its time."""
    book = Book.objects.create(title="of nobody's interest")
    with transaction.atomic():
        for _ in range(10):
            Chapter.objects.bulk_create([Chapter(book=book) for _ in range(10_000)])
        hooks: list[Any] = [hook for _, hook, *_ in connection.run_on_commit]
        kept = [hook.changes for hook in hooks if hasattr(hook, "changes")]
        with Traced() as traced:
            Chapter.objects.update(heading="renamed")
            held = traced.held()
    assert Chapter.objects.count() == 100_000
    assert held < 3_000_000, held
    assert len(kept) == 1
    assert len(kept[0].saved) <= changes.SPILL
    assert sum(packed.size for packed in kept[0].packed) >= 190_000
    assert sum(len(packed.data) for packed in kept[0].packed) < 1_000_000


def test_neither_are_saves(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows here, for tracing takes its time; a tenth of them are kept as well."""
    monkeypatch.setattr(changes, "SPILL", 300)
    shelf = Shelf.objects.create(library=Library.objects.create(name="of nobody's interest"))
    with Traced() as traced, transaction.atomic():
        for _ in range(3_000):
            Book(shelf=shelf, title="x").save()
        held = traced.held()
    assert held < 400_000, held


@pytest.mark.parametrize("undone", [False, True])
def test_neither_are_savepoints(library: Library, monkeypatch: pytest.MonkeyPatch, undone: bool) -> None:
    """A hook for each of them would be more than the rows."""
    monkeypatch.setattr(changes, "SPILL", 100)
    book = Book.objects.first()
    assert book is not None
    with transaction.atomic():
        for _ in range(500):
            with transaction.atomic():
                book.save()
                with transaction.atomic():
                    rxcrdt.changed(library)
                    transaction.set_rollback(undone)
        assert len(connection.run_on_commit) < 10
    documents.forget_all()
