"""Rows that a relation leads to and its queryset leaves out: they come in as soon as they say so themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Prefetch
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

import rxcrdt
from rxcrdt import conf, documents
from rxcrdt.keys import row_key
from tests.integration.test_schemas import Show, Shown, of, save, show
from tests.shapes.models import Address, Berth, Country, Harbour, Owner, Pilot, Ship
from tests.testapp.models import Book, Chapter, Genre, Library, Shelf

__all__ = ["show"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)

SHOWN = Genre.objects.exclude(name__startswith="-")
GENRES = Prefetch("genres", queryset=SHOWN)


@pytest.fixture
def book() -> Book:
    library = Library.objects.create(name="library")
    book = Book.objects.create(title="book", shelf=Shelf.objects.create(library=library))
    book.genres.set([Genre.objects.create(name=name) for name in ("b", "-c")])
    return book


@pytest.fixture
def hidden() -> Genre:
    """A genre of the book that is not shown."""
    return Genre.objects.get(name="-c")


@pytest.fixture(params=["projected here", "projected elsewhere"])
def elsewhere(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "projected elsewhere")


@contextmanager
def becoming_visible(shown: Shown, elsewhere: bool) -> Iterator[None]:
    """By what is saved inside, in the process that projected the document or in one that has only read it."""
    if elsewhere:
        shown.forget()
    with shown.changing():
        yield


def index_of(shown: Shown) -> set[str]:
    return conf.store().rows(shown.follower.document.log)


def test_a_row_of_a_filtered_many_to_many_list(show: Show, book: Book, hidden: Genre, elsewhere: bool) -> None:
    queryset = Book.objects.prefetch_related(GENRES)
    shown = show(of(Book, "title", genres=of(Genre, "name")(many=True)), book, queryset=queryset)
    with becoming_visible(shown, elsewhere):
        save(hidden, name="c")
    with shown.changing():
        save(hidden, name="-c")
    with becoming_visible(shown, elsewhere):
        save(hidden, name="a")


def test_a_row_that_is_added_hidden_and_one_that_leaves_hidden(
    show: Show, book: Book, hidden: Genre, elsewhere: bool
) -> None:
    queryset = Book.objects.prefetch_related(GENRES)
    shown = show(of(Book, "title", genres=of(Genre, "name")(many=True)), book, queryset=queryset)
    added = Genre.objects.create(name="-d")
    book.genres.add(added)
    book.genres.remove(hidden)
    with becoming_visible(shown, elsewhere):
        save(added, name="d")
    before = shown.state
    save(hidden, name="c")
    assert shown.state == before
    with shown.changing():
        hidden.books.add(book)


def test_the_first_rows_of_a_many_to_many_list(show: Show, book: Book, hidden: Genre, elsewhere: bool) -> None:
    given = Prefetch("genres", queryset=Genre.objects.order_by("-name")[:1], to_attr="last")
    genres = of(Genre, "name")(many=True, source="last")
    shown = show(of(Book, "title", genres=genres), book, queryset=Book.objects.prefetch_related(given))
    assert [genre["name"] for genre in shown.state["genres"]] == ["b"]
    with becoming_visible(shown, elsewhere):
        save(hidden, name="c")


@pytest.mark.parametrize("source", [None, "visible"])
def test_a_list_under_another_name(show: Show, book: Book, hidden: Genre, source: str | None) -> None:
    given = Prefetch("genres", queryset=SHOWN, to_attr=source)
    shelf = of(Shelf, "label", books=of(Book, "title", genres=of(Genre, "name")(many=True, source=source))(many=True))
    books = Prefetch("books", queryset=Book.objects.prefetch_related(given))
    shown = show(shelf, book.shelf, queryset=Shelf.objects.prefetch_related(books))
    with shown.changing():
        save(hidden, name="c")
    with shown.changing():
        save(hidden, name="-c")
    second = Book.objects.create(title="second")
    second.genres.add(hidden)
    with shown.changing():
        save(second, shelf=book.shelf)
    with shown.changing():
        save(hidden, name="a")


@pytest.mark.parametrize("twins_first", [True, False])
def test_a_single_row(show: Show, twins_first: bool, elsewhere: bool) -> None:
    """One layer, shown by a relation that hides and by one that does not."""
    owner = Owner.objects.create(name="hidden")
    harbour = Harbour.objects.create(slug="harbour", owner=owner)
    queryset = Harbour.objects.prefetch_related(Prefetch("owner", queryset=Owner.objects.exclude(name="hidden")))
    serializer = of(Owner, "name")
    twins = of(Harbour, "slug", layer="Twin", owner=serializer())(many=True)
    fields: dict[str, Any] = (
        {"twins": twins, "owner": serializer()} if twins_first else {"owner": serializer(), "twins": twins}
    )
    shown = show(of(Harbour, "slug", **fields), harbour, queryset=queryset)
    assert shown.state["owner"] is None
    with becoming_visible(shown, elsewhere):
        save(owner, name="shown")
    with shown.changing():
        save(owner, name="hidden")
    with shown.changing():
        harbour.twins.add(Harbour.objects.create(slug="twin", owner=owner))
    with becoming_visible(shown, elsewhere):
        save(owner, name="shown again")
    with shown.changing():
        save(owner, name="hidden")


def test_a_single_row_that_is_replaced_while_it_is_hidden(show: Show, elsewhere: bool) -> None:
    one, two = (Owner.objects.create(name="hidden") for _ in range(2))
    harbour = Harbour.objects.create(slug="harbour", owner=one)
    queryset = Harbour.objects.prefetch_related(Prefetch("owner", queryset=Owner.objects.exclude(name="hidden")))
    shown = show(of(Harbour, "slug", owner=of(Owner, "name")()), harbour, queryset=queryset)
    save(harbour, owner=two)
    save(one, name="one")
    assert shown.state["owner"] is None
    with becoming_visible(shown, elsewhere):
        save(two, name="two")


def test_a_single_row_by_a_key_that_is_not_primary(show: Show, elsewhere: bool) -> None:
    land = Country.objects.create(code="la", name="hidden")
    harbour = Harbour.objects.create(slug="harbour", country=land)
    queryset = Harbour.objects.prefetch_related(Prefetch("country", queryset=Country.objects.exclude(name="hidden")))
    shown = show(of(Harbour, "slug", country=of(Country, "code", "name")()), harbour, queryset=queryset)
    with becoming_visible(shown, elsewhere):
        save(land, name="shown")
    with shown.changing():
        save(land, name="hidden")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_plain_fields_read_through_a_queryset_that_hides(
    show: Show, book: Book, hidden: Genre, elsewhere: bool
) -> None:
    def get_names(_: Any, row: Book) -> str:
        return " ".join(genre.name for genre in row.genres.all())

    keys: Any = serializers.PrimaryKeyRelatedField(source="genres", many=True, read_only=True)
    serializer = of(Book, names=serializers.SerializerMethodField(), genre_ids=keys)
    serializer.get_names = rxcrdt.depends_on("genres")(get_names)  # type: ignore[attr-defined]
    shown = show(serializer, book, queryset=Book.objects.prefetch_related(GENRES))
    with becoming_visible(shown, elsewhere):
        save(hidden, name="c")
    with shown.changing():
        save(hidden, name="-c")
    with becoming_visible(shown, elsewhere):
        save(hidden, name="a")
    added = Genre.objects.create(name="-d")
    book.genres.add(added)
    with becoming_visible(shown, elsewhere):
        save(added, name="d")


@pytest.fixture
def pilot() -> Pilot:
    """Who is retired, and whom the model's own manager therefore hides."""
    harbour = Harbour.objects.create(slug="harbour")
    pilot = Pilot.objects.create(name="pilot", retired=True)
    pilot.harbours.add(harbour)
    return pilot


def test_rows_that_a_manager_hides(show: Show, pilot: Pilot, elsewhere: bool) -> None:
    shown = show(of(Harbour, "slug", pilots=of(Pilot, "name")(many=True)), Harbour.objects.get())
    for retired in (False, True, False):
        with becoming_visible(shown, elsewhere):
            save(pilot, retired=retired)
    added = Pilot.objects.create(name="added", retired=True)
    added.harbours.set(Harbour.objects.all())
    with becoming_visible(shown, elsewhere):
        save(added, retired=False)


def test_plain_fields_of_rows_out_of_a_property(
    show: Show, pilot: Pilot, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Prefetch leads there, but the manager hides all the same."""
    monkeypatch.setattr(Owner, "places", property(lambda owner: owner.harbours.all()), raising=False)
    owner = Owner.objects.create(name="owner")
    save(Harbour.objects.get(), owner=owner)
    names: Any = serializers.SlugRelatedField(source="pilots", many=True, read_only=True, slug_field="name")
    shown = show(of(Owner, "name", places=of(Harbour, "slug", names=names)(many=True)), owner)
    with becoming_visible(shown, elsewhere):
        save(pilot, retired=False)
    added = Pilot.objects.create(name="added", retired=True)
    added.harbours.set(Harbour.objects.all())
    with becoming_visible(shown, elsewhere):
        save(added, retired=False)


def test_what_plain_fields_read_of_a_single_row_that_is_hidden(show: Show, elsewhere: bool) -> None:
    owner = Owner.objects.create(name="hidden")
    land = Country.objects.create(code="la", name="hidden")
    harbour = Harbour.objects.create(slug="harbour", owner=owner, country=land)
    queryset = Harbour.objects.prefetch_related(
        Prefetch("owner", queryset=Owner.objects.exclude(name="hidden")),
        Prefetch("country", queryset=Country.objects.exclude(name="hidden")),
    )
    names: dict[str, Any] = {
        name: serializers.CharField(source=f"{name}.name", default=None) for name in ("owner", "country")
    }
    shown = show(of(Harbour, "slug", **names), harbour, queryset=queryset)
    for row in (owner, land):
        with becoming_visible(shown, elsewhere):
            save(row, name="shown")


def test_rows_of_a_longer_source_that_a_manager_hides(show: Show) -> None:
    harbour = Harbour.objects.create(slug="harbour")
    berth = Berth.objects.create(harbour=harbour, number=1)
    berths = of(Berth, "number")(source="berth.harbour.berths", many=True)
    shown = show(of(Ship, "name", berths=berths), Ship.objects.create(name="ship", berth=berth))
    retired = Berth.objects.create(harbour=harbour, number=2, retired=True)
    with shown.changing():
        save(retired, retired=False)


def test_hidden_rows_at_the_end_of_a_longer_source(show: Show, book: Book, hidden: Genre, elsewhere: bool) -> None:
    chapter = Chapter.objects.create(book=book, heading="chapter")
    given = Prefetch("book__genres", queryset=SHOWN)
    genres = of(Genre, "name")(source="book.genres", many=True)
    shown = show(of(Chapter, "heading", genres=genres), chapter, queryset=Chapter.objects.prefetch_related(given))
    with becoming_visible(shown, elsewhere):
        save(hidden, name="c")


def test_a_comparison_keeps_hidden_rows_in_the_index(show: Show, book: Book, hidden: Genre) -> None:
    queryset = Book.objects.prefetch_related(GENRES)
    shown = show(of(Book, "title", genres=of(Genre, "name")(many=True)), book, queryset=queryset)
    shown.follower.document.reconcile()
    assert row_key(Genre, hidden.pk) in index_of(shown)
    book.genres.remove(hidden)
    shown.follower.document.reconcile()
    assert row_key(Genre, hidden.pk) not in index_of(shown)


def test_a_transaction_may_hide_one_row_and_show_another(show: Show, book: Book, hidden: Genre) -> None:
    queryset = Book.objects.prefetch_related(GENRES)
    shown = show(of(Book, "title", genres=of(Genre, "name")(many=True)), book, queryset=queryset)
    with shown.changing(), transaction.atomic():
        save(Genre.objects.get(name="b"), name="-b")
        save(hidden, name="c")
    with shown.changing(), transaction.atomic():
        save(hidden, name="-c")
        save(Genre.objects.get(name="-b"), name="b")


def test_relations_that_hide_nothing_take_no_query_more(show: Show, book: Book) -> None:
    """The keys of hidden rows are read only where there may be some, and only when the relation is read."""
    serializer = of(Book, "title", genres=of(Genre, "name")(many=True))
    plain = show(serializer, book)
    filtered = show(serializer, book, name="filtered", queryset=Book.objects.prefetch_related(GENRES))
    for shown, more in ((plain, 0), (filtered, 1)):
        with CaptureQueriesContext(connection) as saving:
            shown.follower.document.reconcile()
        keys = [query["sql"] for query in saving.captured_queries if "testapp_book_genres" in query["sql"]]
        assert len(keys) == 1 + more
    genre = Genre.objects.get(name="b")
    with CaptureQueriesContext(connection) as saving:
        save(genre, name="a")
    assert len(saving.captured_queries) == 1 + 2, "the save, and the row for each document"


def test_a_hidden_row_that_nobody_looks_at_takes_no_query(show: Show, book: Book) -> None:
    queryset = Book.objects.prefetch_related(GENRES)
    shown = show(of(Book, "title", genres=of(Genre, "name")(many=True)), book, queryset=queryset)
    stranger = Genre.objects.create(name="-x")
    Book.objects.create(title="another").genres.add(stranger)
    with CaptureQueriesContext(connection) as saving:
        save(stranger, name="x")
    assert len(saving.captured_queries) == 1
    assert len(shown.state["genres"]) == 1


def test_after_another_process_read_the_relation(show: Show, book: Book, hidden: Genre) -> None:
    """What it found hidden shows nowhere in the document."""
    queryset = Book.objects.prefetch_related(GENRES)
    shown = show(of(Book, "title", genres=of(Genre, "name")(many=True)), book, queryset=queryset)
    book.genres.add(Genre.objects.create(name="-e"))  # from now on it is known here what the list hides
    added = Genre.objects.create(name="-d")
    with _another_process():
        book.genres.add(added)
    with shown.changing():
        save(added, name="d")


@contextmanager
def _another_process() -> Iterator[None]:
    """What is saved inside is flushed by copies of the documents that this process does not keep."""
    ours, documents._shelf = documents._shelf, documents._Shelf()
    yield
    documents._shelf = ours


def test_after_another_process_found_the_same_value_elsewhere(show: Show) -> None:
    """It changed nothing in the document, so that nobody was told which rows the value comes from now."""
    owners = [Owner.objects.create(name=name, address=Address.objects.create(street="same")) for name in "ab"]
    harbour = Harbour.objects.create(slug="harbour", owner=owners[0])
    street = serializers.CharField(source="owner.address.street")
    shown = show(of(Harbour, "slug", street=street), harbour)
    save(harbour, slug="renamed")  # from now on it is known here which rows the street comes from
    with _another_process():
        save(harbour, owner=owners[1])
    assert owners[1].address is not None
    with shown.changing():
        save(owners[1].address, street="another")


def test_a_row_that_left_is_searched_for_once(show: Show) -> None:
    harbours = [Harbour.objects.create(slug=slug) for slug in "ab"]
    shown = show(of(Harbour, "slug", "crowd", berths=of(Berth, "number")(many=True)), harbours[0])
    berth = Berth.objects.create(harbour=harbours[0], number=1)
    with shown.changing():
        save(berth, harbour=harbours[1])
    assert row_key(Berth, berth.pk) in index_of(shown)
    save(berth, number=2)
    assert row_key(Berth, berth.pk) not in index_of(shown)
    with shown.changing():
        save(berth, harbour=harbours[0])
    with shown.changing():
        save(berth, number=3)


def test_where_the_lease_may_be_over_the_index_is_left_as_it_is(show: Show) -> None:
    """Whoever has it now may have announced the row a moment ago."""
    harbours = [Harbour.objects.create(slug=slug) for slug in "ab"]
    shown = show(of(Harbour, "slug", berths=of(Berth, "number")(many=True)), harbours[0])
    berth = Berth.objects.create(harbour=harbours[0], number=1)
    with shown.changing():
        save(berth, harbour=harbours[1])
    with override_settings(RXCRDT={"STORE": "memory://", "LEASE_SECONDS": 1e-9}):
        save(berth, number=2)
    assert row_key(Berth, berth.pk) in index_of(shown)
    save(berth, number=3)
    assert row_key(Berth, berth.pk) not in index_of(shown)


@pytest.fixture
def shelf(show: Show, book: Book) -> Shown:
    """A shelf of two books, of which the first has a hidden genre; and it is known here what both hide."""
    second = Book.objects.create(title="second", shelf=book.shelf)
    books = Prefetch("books", queryset=Book.objects.prefetch_related(GENRES))
    serializer = of(Shelf, "label", books=of(Book, "title", genres=of(Genre, "name")(many=True))(many=True))
    shown = show(serializer, book.shelf, queryset=Shelf.objects.prefetch_related(books))
    for one in (book, second):
        one.genres.add(Genre.objects.create(name=f"-{one.title}"))
    return shown


def test_a_hidden_row_costs_the_list_that_hides_it_and_no_more(shelf: Shown, hidden: Genre) -> None:
    with CaptureQueriesContext(connection) as saving:
        save(hidden, name="-still hidden")
    reads = [query["sql"] for query in saving.captured_queries if query["sql"].startswith("SELECT")]
    assert len(reads) == 2, "the list, and the keys of all that it leads to"


def test_what_another_process_wrote_into_a_list_is_not_known_any_more(shelf: Shown, hidden: Genre) -> None:
    """The row is hidden in one list that is known here, and in one that has changed elsewhere."""
    visible = Genre.objects.create(name="visible")
    with _another_process():
        Book.objects.get(title="second").genres.add(hidden, visible)
    with shelf.changing():
        save(hidden, name="c")
    assert [len(book["genres"]) for book in shelf.state["books"]] == [2, 2]
