"""Many changed rows of long lists: their neighbours tell whether the lists are in order, however they are read."""

from __future__ import annotations

import random

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from rxcrdt import current, refresh
from rxcrdt.changes import Changes
from rxcrdt.snapshots import compare, snapshot
from tests.testapp.models import Book, Library, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shelves() -> list[Shelf]:
    library = Library.objects.create(name="library")
    made = [Shelf.objects.create(library=library, label=str(number), position=number) for number in range(2)]
    Book.objects.bulk_create(
        Book(shelf=shelf, title=f"book {number}", position=number) for shelf in made for number in range(60)
    )
    snapshot("library", library.pk)
    return made


@pytest.mark.parametrize("together", [3, 7, 500])
@pytest.mark.parametrize("seed", range(2))
def test_rows_read_in_groups_are_put_in_order(
    seed: int, together: int, shelves: list[Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "CHUNK", together)
    monkeypatch.setattr(refresh, "MANY", 0)
    chosen = random.Random(seed)
    for _ in range(3):
        with transaction.atomic():
            for book in chosen.sample(list(Book.objects.all()), 20):
                what = chosen.random()
                if what < 0.6:
                    book.title += "!"
                elif what < 0.8:
                    book.position = chosen.randrange(60)
                elif what < 0.9:
                    book.shelf = chosen.choice(shelves)
                else:
                    book.delete()
                if book.pk is not None:
                    book.save()
        assert compare("library", shelves[0].library_id) is None


def test_two_neighbours_that_changed_places_are_seen_in_different_groups(
    shelves: list[Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "CHUNK", 3)
    monkeypatch.setattr(refresh, "MANY", 0)
    books = list(Book.objects.filter(shelf=shelves[0]))
    with transaction.atomic():
        for one, other in zip(books[5:45:10], books[6:46:10], strict=True):
            one.position, other.position = other.position, one.position
            one.save()
            other.save()
    assert compare("library", shelves[0].library_id) is None


def test_long_lists_are_not_read_for_some_changed_rows(shelves: list[Shelf], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "MANY", 10)
    books = list(Book.objects.filter(shelf=shelves[0])[:15])
    assert _books_read(books) == {book.pk for book in Book.objects.filter(shelf=shelves[0])[:16]}
    assert compare("library", shelves[0].library_id) is None


def test_short_lists_are_read_where_most_of_their_rows_changed(
    shelves: list[Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "MANY", 10)
    monkeypatch.setattr(refresh, "CHUNK", 10)
    with CaptureQueriesContext(connection) as context:
        _books_read(list(Book.objects.filter(shelf=shelves[0]))[::2])
    by_key = [query["sql"] for query in context.captured_queries if 'WHERE "testapp_book"."id" IN' in query["sql"]]
    assert len(by_key) <= 30 / 10, "the changed ones, without their neighbours"
    assert compare("library", shelves[0].library_id) is None


def _books_read(books: list[Book]) -> set[int]:
    """Which rows the flush of a save of all ``books`` makes instances of: the saves themselves make none."""
    read: set[int] = set()

    def note(instance: Book, **_: object) -> None:
        read.add(instance.pk)

    post_init.connect(note, sender=Book)
    try:
        with transaction.atomic():
            for book in books:
                book.title += "!"
                book.save()
    finally:
        post_init.disconnect(note, sender=Book)
    return read


@pytest.mark.parametrize(("size", "times"), [(10, 1), (500, 2)])
def test_many_changes_are_looked_up_in_the_document_once(
    size: int, times: int, shelves: list[Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For few of them one query may do, so that a snapshot is not begun before it is known to be needed."""
    monkeypatch.setattr(current, "CHUNK", size)
    marked, mark = [], refresh.Refresh.mark

    def noting(self: refresh.Refresh, changes: Changes) -> None:
        marked.append(changes)
        mark(self, changes)

    monkeypatch.setattr(refresh.Refresh, "mark", noting)
    _books_read(list(Book.objects.filter(shelf=shelves[0])[:15]))
    assert len(marked) == times
    assert compare("library", shelves[0].library_id) is None
