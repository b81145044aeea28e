"""Bulk writes of rows of every shape, and of rows that a document does not show yet."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, OuterRef, Subquery
from rest_framework import serializers

from rxcrdt import bulk, changed
from rxcrdt.managers import AnchoredQuerySet
from tests.integration.test_schemas import Show, of, save, show
from tests.shapes.fleets import Zone
from tests.shapes.models import Berth, Country, Ferry, Flag, Harbour, Mark, Owner, Ship, Tide, Tug
from tests.testapp.models import Book, Genre, Person, Review, Shelf

__all__ = ["show"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)


def rows(model: Any) -> AnchoredQuerySet[Any]:
    return AnchoredQuerySet(model)


@pytest.fixture(params=["the statement tells", "the database does not"], autouse=True)
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """As on PostgreSQL and SQLite, and as on databases that cannot say what they wrote."""
    told = bool(request.param == "the statement tells")
    if not told:
        monkeypatch.setattr(bulk, "is_told", lambda *_: False)
    return told


@pytest.fixture
def harbour() -> Harbour:
    return Harbour.objects.create(slug="harbour")


@pytest.fixture
def other() -> Harbour:
    return Harbour.objects.create(slug="other")


def test_rows_that_were_hidden(show: Show, harbour: Harbour) -> None:
    """They are in no index: to whom they belong says who has to look, whatever was updated."""
    berth = Berth.objects.create(harbour=harbour, number=1, retired=True)
    shown = show(of(Harbour, "id", berths=of(Berth, "number")(many=True)), harbour)
    with shown.changing():
        rows(Berth).update(retired=False)
    with shown.changing():
        rows(Berth).update(retired=True)
    with shown.changing():
        berth.retired = False
        rows(Berth).bulk_update([berth], ["retired"])


@pytest.mark.parametrize("how", ["a row", "a key", "a query", "a column", "several"])
def test_a_foreign_key(show: Show, harbour: Harbour, other: Harbour, how: str) -> None:
    """Both documents show what moved, and what the row itself holds: who moved it in which way is no matter."""
    berth = Berth.objects.create(harbour=other, number=harbour.pk)
    serializer = of(Harbour, "id", berths=of(Berth, "number")(many=True))
    shown, left = show(serializer, harbour), show(serializer, other, name="left")
    berths = rows(Berth).filter(pk=berth.pk)
    with shown.changing(), left.changing():
        match how:
            case "a row":
                berths.update(harbour=harbour)
            case "a key":
                berths.update(harbour_id=harbour.pk)
            case "a query":
                berths.update(harbour=Subquery(Harbour.objects.filter(pk=OuterRef("number")).values("pk")))
            case "a column":
                berths.update(harbour=F("number"))
            case "several":
                berth.harbour = harbour
                rows(Berth).bulk_update([berth], ["harbour", "length"])


def test_a_foreign_key_to_what_is_not_the_primary_key(show: Show) -> None:
    land, sea = Country.objects.create(code="la", name="Land"), Country.objects.create(code="se", name="Sea")
    for slug in ("one", "two"):
        Harbour.objects.create(slug=slug, country=sea)
    serializer = of(Country, "name", harbours=of(Harbour, "slug")(many=True))
    shown, left = show(serializer, land), show(serializer, sea, name="left")
    with shown.changing(), left.changing():
        rows(Harbour).filter(slug="one").update(country=land)
    with shown.changing():
        rows(Harbour).bulk_create([Harbour(slug="three", country=land)])
    with shown.changing():
        rows(Harbour).update(country=None)


def test_the_rows_of_a_through_model(show: Show) -> None:
    """Nothing but the rows themselves knows what they joined before."""
    shelf = Shelf.objects.create(library_id=_library())
    first, second = (Book.objects.create(shelf=shelf, title=title) for title in ("first", "second"))
    mira, noor = Person.objects.create(name="mira"), Person.objects.create(name="noor")
    serializer = of(Book, "title", reviewers=of(Person, "id", "name")(many=True))
    shown, left = show(serializer, second), show(serializer, first, name="left")
    with left.changing():
        rows(Review).bulk_create([Review(book=first, person=mira, stars=1)])
    with left.changing():
        rows(Review).update(person=noor)
    with shown.changing(), left.changing():
        rows(Review).update(book=second)
    with shown.changing(), left.changing():
        rows(Review).update(book=first, person=mira)
    with left.changing():
        rows(Review).all()._raw_delete("default")


def test_a_row_that_joins_two_is_not_one_of_them(show: Show) -> None:
    """Even if it has the primary key of one that is in the list already."""
    book = Book.objects.create(title="book")
    mira, noor = Person.objects.create(name="mira"), Person.objects.create(name="noor")
    Review.objects.create(pk=mira.pk + 1000, book=book, person=mira)
    shown = show(of(Book, "title", reviewers=of(Person, "id", "name")(many=True)), book)
    with shown.changing():
        rows(Review).bulk_create([Review(pk=mira.pk, book=book, person=noor)])


def test_keys_that_the_database_has_in_another_form(show: Show) -> None:
    """UUIDs are text in SQLite."""
    north, south = (Zone.objects.create(name=name) for name in ("north", "south"))
    part = Zone.objects.create(name="part", parent=north)
    serializer = of(Zone, "id", "name", parts=of(Zone, "id", "name", layer="Part")(many=True))
    shown, left = show(serializer, south), show(serializer, north, name="left")
    with left.changing():
        rows(Zone).filter(pk=part.pk).update(name="renamed")
    with shown.changing(), left.changing():
        rows(Zone).filter(pk=part.pk).update(parent=south)
    with shown.changing():
        rows(Zone).bulk_create([Zone(name="another", parent_id=str(south.pk).upper())])
    with shown.changing():
        rows(Zone).filter(parent=south)._raw_delete("default")


def test_the_rows_of_a_through_model_that_is_djangos_own(show: Show) -> None:
    """It has no manager of the project's: its rows are told of with ``changed``."""
    first, second = (Book.objects.create(title=title) for title in ("first", "second"))
    genre, other = Genre.objects.create(name="genre"), Genre.objects.create(name="other")
    serializer = of(Book, "title", genres=of(Genre, "name")(many=True))
    shown, elsewhere = show(serializer, first), show(serializer, second, name="second")
    through: Any = Book.genres.through
    with shown.changing(), elsewhere.changing():
        through.objects.bulk_create([through(book=book, genre=genre) for book in (first, second)])
        changed(through.objects.all())
    with shown.changing():
        rows(through).filter(book=first).update(genre=other)
    with elsewhere.changing():
        row = through.objects.get(book=second)
        through.objects.filter(pk=row.pk)._raw_delete("default")
        changed(row)


def test_generic_relations(show: Show, harbour: Harbour, other: Harbour) -> None:
    owner = Owner.objects.create(pk=harbour.pk, name="owner")
    mark = Mark.objects.create(text="a", target=other)
    shown = show(of(Harbour, "id", marks=of(Mark, "text")(many=True)), harbour)
    with shown.changing():
        rows(Mark).update(object_id=harbour.pk)
    with shown.changing():
        rows(Mark).update(content_type=ContentType.objects.get_for_model(owner))
    with shown.changing():
        rows(Mark).bulk_create([Mark(text="b", target=harbour), Mark(text="c", target=owner)])
    mark.target = harbour
    with shown.changing():
        rows(Mark).bulk_update([mark], ["content_type", "object_id"])


@pytest.mark.parametrize("model", [Ship, Ferry, Tug])
def test_rows_of_several_models(show: Show, harbour: Harbour, model: Any) -> None:
    berth = Berth.objects.create(harbour=harbour)
    Ferry.objects.create(name="ferry")
    shown = show(of(Berth, "number", ships=of(Ship, "name", layer="Vessel")(many=True)), berth)
    with shown.changing():
        rows(model).update(berth=berth)
    with shown.changing():
        rows(model).update(name="renamed")
    with shown.changing():
        rows(model).update(berth=None)


def test_a_table_on_top_of_another(show: Show) -> None:
    ferry = Ferry.objects.create(name="ferry")
    shown = show(of(Ferry, "name", "decks"), ferry)
    with shown.changing():
        rows(Ferry).update(decks=5)
    with shown.changing():
        rows(Ferry).update(name="renamed", decks=6)


def test_a_primary_key(show: Show, harbour: Harbour) -> None:
    """The row of the old name is gone, and another one has come."""
    Flag.objects.create(code="a", harbour=harbour, meaning="welcome")
    shown = show(of(Harbour, "id", flags=of(Flag, "code", "meaning")(many=True)), harbour)
    with shown.changing():
        rows(Flag).update(code="b")


def test_a_primary_key_of_two_columns(show: Show, harbour: Harbour, other: Harbour) -> None:
    Tide.objects.create(harbour=harbour, hour=1, height=1)
    serializer = of(Harbour, "id", tides=of(Tide, "hour", "height")(many=True))
    shown, left = show(serializer, other), show(serializer, harbour, name="left")
    with left.changing():
        rows(Tide).update(height=2.5)
    with left.changing():
        rows(Tide).update(hour=2)
    with shown.changing(), left.changing():
        rows(Tide).update(harbour=other)
    with shown.changing():
        rows(Tide).bulk_create([Tide(harbour=other, hour=7)])
    with shown.changing():
        rows(Tide).filter(hour=7)._raw_delete("default")


@pytest.mark.parametrize("fields", [["retired"], ["retired", "harbour"]])
def test_rows_that_were_there_before(show: Show, harbour: Harbour, other: Harbour, fields: list[str]) -> None:
    """``update_conflicts``: unless that is updated, too, the row belongs to whom it did, whatever the instance says."""
    berth = Berth.objects.create(harbour=harbour, number=1, retired=True)
    serializer = of(Harbour, "id", berths=of(Berth, "number")(many=True))
    shown = show(serializer, other if "harbour" in fields else harbour)
    upserted = Berth(pk=berth.pk, harbour=other, number=2, retired=False)
    with shown.changing():
        rows(Berth).bulk_create([upserted], update_conflicts=True, unique_fields=["pk"], update_fields=fields)


def test_rows_of_which_the_key_is_not_told(show: Show, harbour: Harbour) -> None:
    """``ignore_conflicts``: they are found through those to whom they belong."""
    serializer = of(
        Harbour,
        berths=of(Berth, "number", layer="Any")(many=True),
        long_berths=of(Berth, "length", layer="Long")(many=True, read_only=True),
        berth_ids=serializers.PrimaryKeyRelatedField(source="berths", many=True, read_only=True),
    )
    shown = show(serializer, harbour)
    with shown.changing():
        rows(Berth).bulk_create([Berth(harbour=harbour, length=150)], ignore_conflicts=True)


def test_a_list_out_of_a_property(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "id", long_berths=of(Berth, "length")(many=True, read_only=True)), harbour)
    with shown.changing():
        rows(Berth).bulk_create([Berth(harbour=harbour, length=150)], ignore_conflicts=True)
    with shown.changing():
        rows(Berth).update(length=160)
    with shown.changing():
        rows(Berth).update(length=16)
    with shown.changing():
        rows(Berth).update(length=F("length") * 10)


def test_what_a_field_shows_of_another_row(show: Show, harbour: Harbour) -> None:
    owner = Owner.objects.create(name="owner")
    save(harbour, owner=owner)
    shown = show(of(Harbour, owner_name=serializers.CharField(source="owner.name")), harbour)
    with shown.changing():
        rows(Owner).update(name="renamed")
    with shown.changing():
        rows(Harbour).update(owner=Owner.objects.create(name="another"))


def _library() -> int:
    from tests.testapp.models import Library

    return Library.objects.create(name="library").pk
