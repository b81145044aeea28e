"""Lists out of a property: rows that are new to them are seen, whatever stands between them and the owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model, QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from rxcrdt import depends_on
from rxcrdt.ways import ways
from tests.integration.test_schemas import Show, of, save, show
from tests.shapes.models import Address, Berth, Country, Harbour, Owner, Ship
from tests.testapp.models import Book, Chapter, Genre, Library, Shelf

__all__ = ["show"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)

Give = Callable[[type[Model], str, Callable[[Any], Any]], None]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """A property for a model."""
    return lambda model, name, getter: monkeypatch.setattr(model, name, property(getter), raising=False)


def names_of(found: list[tuple[Any, ...]]) -> set[str]:
    return {"__".join(step.attr for step in way) for way in found}


def test_ways_go_against_foreign_keys_and_end_after_a_many_to_many_relation() -> None:
    assert names_of(ways(Harbour, Ship)) == {"berths__ships"}
    assert names_of(ways(Country, Ship)) == {"harbours__berths__ships"}
    assert names_of(ways(Library, Genre)) == {"shelves__books__genres"}
    assert names_of(ways(Library, Chapter)) == {"shelves__books__chapters"}
    assert "harbours" in names_of(ways(Owner, Harbour))
    assert names_of(ways(Genre, Chapter)) == set()


def test_a_row_between_may_decide_what_is_listed(show: Show, give: Give) -> None:
    """Although it is a layer itself."""
    give(Harbour, "long_stays", lambda harbour: Ship.objects.filter(berth__harbour=harbour, berth__length__gte=50))
    harbour = Harbour.objects.create(slug="one")
    berth = Berth.objects.create(harbour=harbour, number=1)
    Ship.objects.create(name="ship", berth=berth)
    lists: dict[str, Any] = {"long_stays": of(Ship, "name")(many=True), "berths": of(Berth, "number")(many=True)}
    shown = show(of(Harbour, "slug", **lists), harbour)
    for length in (60, 40, 70):
        berth.length = length
        with shown.changing():
            berth.save()


def test_a_new_row_whose_foreign_key_leads_to_no_layer(show: Show, give: Give) -> None:
    give(Harbour, "docked", lambda harbour: Ship.objects.filter(berth__harbour=harbour).exclude(name="wreck"))
    harbour, other = (Harbour.objects.create(slug=slug) for slug in ("one", "two"))
    berth = Berth.objects.create(harbour=harbour, number=1)
    shown = show(of(Harbour, "slug", docked=of(Ship, "name")(many=True)), harbour)
    with shown.changing():
        ship = Ship.objects.create(name="ship", berth=berth)
    with shown.changing():
        save(ship, name="wreck")
    with shown.changing():
        save(ship, name="raised")
    another = Berth.objects.create(harbour=harbour, number=2)
    with shown.changing():
        Ship.objects.create(name="second", berth=another)
    with shown.changing():
        save(another, harbour=other)
    Ship.objects.create(name="third", berth=another)
    with shown.changing():
        save(another, harbour=harbour)
    shown.forget()
    with shown.changing():
        Ship.objects.create(name="fourth", berth=another)
    with shown.changing():
        berth.delete()


def test_over_two_models_between(show: Show, give: Give) -> None:
    give(Country, "ships", lambda country: Ship.objects.filter(berth__harbour__country=country))
    land = Country.objects.create(code="la", name="Land")
    shown = show(of(Country, "name", ships=of(Ship, "name")(many=True)), land)
    harbour = Harbour.objects.create(slug="harbour", country=land)
    berth = Berth.objects.create(harbour=harbour, number=1)
    with shown.changing():
        Ship.objects.create(name="ship", berth=berth)
    shown.forget()
    with shown.changing():
        Ship.objects.create(name="second", berth=berth)
    with shown.changing():
        save(harbour, country=None)


def test_across_a_many_to_many_relation(show: Show, give: Give) -> None:
    give(Shelf, "sorts", lambda shelf: Genre.objects.filter(books__shelf=shelf).distinct())
    shelf = Shelf.objects.create(library=Library.objects.create(name="library"), label="shelf")
    book = Book.objects.create(title="book", shelf=shelf)
    shown = show(of(Shelf, "label", sorts=of(Genre, "name")(many=True)), shelf)
    genre = Genre.objects.create(name="genre")
    with shown.changing():
        book.genres.add(genre)
    with shown.changing():
        genre.books.clear()
    shown.forget()
    with shown.changing():
        genre.books.add(book)


def test_a_property_of_a_row_further_on(show: Show, give: Give) -> None:
    give(Owner, "berths", lambda owner: Berth.objects.filter(harbour__owner=owner))
    owners = [Owner.objects.create(name=name) for name in "ab"]
    harbour = Harbour.objects.create(slug="harbour", owner=owners[0])
    another = Harbour.objects.create(slug="another", owner=owners[0])
    berths = of(Berth, "number")(source="owner.berths", many=True)
    shown = show(of(Harbour, "slug", berths=berths), harbour)
    with shown.changing():
        Berth.objects.create(harbour=another, number=1)
    Berth.objects.create(harbour=Harbour.objects.create(slug="third", owner=owners[1]), number=2)
    with shown.changing():
        save(harbour, owner=owners[1])


def test_a_property_may_declare_what_it_filters_by(show: Show, give: Give) -> None:
    """No foreign key leads from a ship to a harbour of that owner's name."""

    @depends_on("owner__address")
    def neighbours(harbour: Harbour) -> QuerySet[Address]:
        street = harbour.owner.address.street if harbour.owner and harbour.owner.address else ""
        return Address.objects.filter(street__startswith=street).order_by("pk")

    give(Harbour, "neighbours", neighbours)
    streets = [Address.objects.create(street=street) for street in ("a", "ab", "b")]
    owner = Owner.objects.create(name="owner", address=streets[0])
    harbour = Harbour.objects.create(slug="harbour", owner=owner)
    shown = show(of(Harbour, "slug", neighbours=of(Address, "street")(many=True)), harbour)
    with shown.changing():
        save(owner, address=streets[1])
    with shown.changing():
        save(owner, address=streets[2])


def test_so_may_one_that_a_plain_serializer_shows(show: Show, give: Give) -> None:
    class SizeSerializer(serializers.Serializer[Any]):
        ships = serializers.IntegerField()

    @depends_on("berths__ships")
    def size(harbour: Harbour) -> dict[str, int]:
        return {"ships": sum(berth.ships.count() for berth in harbour.berths.all())}

    give(Harbour, "size", size)
    harbour = Harbour.objects.create(slug="harbour")
    berth = Berth.objects.create(harbour=harbour, number=1)
    shown = show(of(Harbour, "slug", size=SizeSerializer()), harbour)
    with shown.changing():
        Ship.objects.create(name="ship", berth=berth)


def test_what_nobody_looks_at_takes_no_query(show: Show, give: Give) -> None:
    give(Harbour, "docked", lambda harbour: Ship.objects.filter(berth__harbour=harbour))
    harbour, other = (Harbour.objects.create(slug=slug) for slug in ("one", "two"))
    show(of(Harbour, "slug", docked=of(Ship, "name")(many=True)), harbour)
    elsewhere = Berth.objects.create(harbour=other, number=1)
    with CaptureQueriesContext(connection) as saving:
        Ship.objects.create(name="ship", berth=elsewhere)
    assert len(saving.captured_queries) == 1


def test_what_rows_out_of_a_property_show_is_read_for_all_of_them_at_once(show: Show) -> None:
    harbour = Harbour.objects.create(slug="harbour")
    berths = of(Berth, "number", ships=of(Ship, "name")(many=True))(many=True)
    shown = show(of(Harbour, "slug", long_berths=berths), harbour)

    def queries() -> int:
        with CaptureQueriesContext(connection) as reading:
            shown.follower.document.reconcile()
        return len(reading.captured_queries)

    counts = []
    for number in range(3):
        Ship.objects.create(name="ship", berth=Berth.objects.create(harbour=harbour, number=number, length=100))
        counts.append(queries())
    assert counts == counts[:1] * 3
