"""How many queries things take: of a document's layers, never of its rows; of a save, hardly any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers
from rest_framework.permissions import AllowAny

import rxcrdt
from rxcrdt import documents
from rxcrdt.registry import registry
from rxcrdt.snapshots import compare, snapshot
from tests.testapp.models import Book, Chapter, Firm, Genre, Library, Person, Shelf, Stranger

pytestmark = pytest.mark.django_db(transaction=True)


class CatalogueFirmSerializer(serializers.ModelSerializer[Firm]):
    class Meta:
        model = Firm
        fields = ["id", "name"]


class CataloguePersonSerializer(serializers.ModelSerializer[Person]):
    firm = CatalogueFirmSerializer()

    class Meta:
        model = Person
        fields = ["id", "name", "firm"]


class CatalogueChapterSerializer(serializers.ModelSerializer[Chapter]):
    class Meta:
        model = Chapter
        fields = ["id", "heading"]


class CatalogueGenreSerializer(serializers.ModelSerializer[Genre]):
    class Meta:
        model = Genre
        fields = ["id", "name"]


class CatalogueBookSerializer(serializers.ModelSerializer[Book]):
    author = CataloguePersonSerializer()
    genres = CatalogueGenreSerializer(many=True)
    chapters = CatalogueChapterSerializer(many=True)

    class Meta:
        model = Book
        fields = ["id", "title", "author", "editor", "genres", "chapters"]


class CatalogueShelfSerializer(serializers.ModelSerializer[Shelf]):
    books = CatalogueBookSerializer(many=True)

    class Meta:
        model = Shelf
        fields = ["id", "label", "books"]


class CatalogueSerializer(serializers.ModelSerializer[Library]):
    shelves = CatalogueShelfSerializer(many=True)

    class Meta:
        model = Library
        fields = ["id", "name", "shelves"]


class CatalogueAnchor(rxcrdt.Anchor):
    """The library without fields that need queries of their own."""

    name = "catalogue"
    queryset = Library.objects.all()
    serializer_class = CatalogueSerializer
    permission_classes = [AllowAny]


@pytest.fixture
def catalogue() -> Iterator[None]:
    registry.register(CatalogueAnchor)
    yield
    registry.unregister(CatalogueAnchor)


LAYERS = 7  # Library, Shelf, Book, Chapter, Genre, Person, Firm


def _fill(shelves: int, books: int, chapters: int) -> Library:
    firm = Firm.objects.create(name="firm")
    people = Person.objects.bulk_create(Person(name=f"person {n}", firm=firm) for n in range(5))
    genres = Genre.objects.bulk_create(Genre(name=f"genre {n}") for n in range(5))
    library = Library.objects.create(name="library", director=people[0])
    made = Shelf.objects.bulk_create(Shelf(library=library, label=str(n), position=n) for n in range(shelves))
    stock = Book.objects.bulk_create(
        Book(shelf=shelf, title=f"book {n}", position=n, author=people[n % 5], editor=people[n % 3])
        for shelf in made
        for n in range(books)
    )
    Book.genres.through.objects.bulk_create(
        Book.genres.through(book=book, genre=genres[number % 5]) for number, book in enumerate(stock)
    )
    Chapter.objects.bulk_create(
        Chapter(book=book, heading=f"chapter {n}", number=n) for book in stock for n in range(chapters)
    )
    return library


def _statements(context: CaptureQueriesContext) -> list[str]:
    """Queries: what begins and ends transactions, and sets their isolation, is none."""
    control = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SET TRANSACTION")
    return [query["sql"] for query in context.captured_queries if not query["sql"].startswith(control)]


def _queries_of(act: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as context:
        act()
    return _statements(context)


@contextmanager
def _at_most_more(queries: int, than: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as context:
        yield
    found = _statements(context)
    assert len(found) <= than + queries, "\n".join(found)


def test_building_a_document_takes_as_many_queries_for_ten_thousand_rows_as_for_ten() -> None:
    small, large = _fill(1, 2, 2), _fill(10, 100, 9)
    few = _queries_of(lambda: snapshot("library", small.pk))
    many = _queries_of(lambda: snapshot("library", large.pk))
    assert len(many) == len(few)
    # Each layer twice (what is saved during the first reading is in nobody's index yet), and the plain
    # fields' M2M key lists and slugs.
    assert len(many) <= 2 * (2 * LAYERS)
    content, _ = documents.get(f"library/{large.pk}").content()
    assert sum(len(content[layer]) for layer in ("Library", "Shelf", "Book", "Chapter", "Genre")) > 10_000
    assert compare("library", large.pk) is None


@pytest.mark.parametrize("kind", [Library, Shelf, Book, Chapter, Person, Firm, Genre])
@pytest.mark.usefixtures("catalogue")
def test_a_save_of_one_row_takes_at_most_two_queries_more(kind: type) -> None:
    library = _fill(2, 10, 2)
    snapshot("catalogue", library.pk)
    row = kind.objects.first()  # type: ignore[attr-defined]
    with _at_most_more(2, than=1):
        row.save()
    assert compare("catalogue", library.pk) is None


@pytest.mark.usefixtures("catalogue")
def test_moving_a_row_to_another_list_takes_two_queries_more() -> None:
    library = _fill(2, 10, 2)
    snapshot("catalogue", library.pk)
    book = Book.objects.first()
    assert book is not None
    book.shelf = Shelf.objects.exclude(books=book)[0]
    with _at_most_more(2, than=1):
        book.save()
    assert compare("catalogue", library.pk) is None


def test_plain_fields_that_show_other_rows_take_a_query_each_beyond_that() -> None:
    """A book's key list, its slugs and its method field: genres, chapters, the editor; and the book itself."""
    library = _fill(2, 10, 2)
    snapshot("library", library.pk)
    genre = Genre.objects.first()
    assert genre is not None
    with _at_most_more(5, than=1):
        genre.save()
    assert compare("library", library.pk) is None


def test_a_save_that_no_document_shows_takes_no_query_more() -> None:
    snapshot("library", _fill(1, 1, 1).pk)
    elsewhere = Library.objects.create(name="nobody looks")
    shelf = Shelf.objects.create(library=elsewhere, label="x")
    stranger = Stranger.objects.create(name="in no anchor")
    for row in (elsewhere, shelf, stranger):
        with _at_most_more(0, than=1):
            row.save()


def test_creating_moving_and_deleting_a_row_takes_two_queries_more() -> None:
    library = _fill(3, 0, 0)
    snapshot("library", library.pk)
    with _at_most_more(2, than=1):
        Shelf.objects.create(library=library, label="new", position=1)
    moved = Shelf.objects.get(label="0")
    moved.position = 5
    with _at_most_more(2, than=1):
        moved.save()
    plain = len(_queries_of(lambda: Shelf(pk=10**9, library=library).delete()))
    with _at_most_more(2, than=plain):
        moved.delete()
    assert compare("library", library.pk) is None


def test_a_transaction_of_many_saves_reads_its_rows_together() -> None:
    library = _fill(50, 0, 0)
    snapshot("library", library.pk)

    @transaction.atomic
    def save_all() -> None:
        for shelf in Shelf.objects.all():
            shelf.label += "!"
            shelf.save()

    with _at_most_more(2, than=51):
        save_all()
    assert compare("library", library.pk) is None
