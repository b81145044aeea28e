"""Shapes of models and serializers that the library has none of: after every write the document is what DRF gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Count, F, Model, Prefetch
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from django.utils import translation
from rest_framework import serializers
from rest_framework.permissions import AllowAny

import rxcrdt
from rxcrdt import documents
from rxcrdt.exceptions import ConfigurationError, DocumentGone, NoRequestUser, ProjectionError
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from rxcrdt.snapshots import serialized, snapshot
from rxcrdt.values import difference
from rxcrdt.verifying import stored_difference
from tests.oracle.following import Follower
from tests.shapes.fleets import Fleet, Leg, Tanker, Vessel, Zone
from tests.shapes.models import Address, Berth, Country, Ferry, Flag, Harbour, Mark, Owner, Ship, Tide, Tug
from tests.testapp.models import Book, Charter, Genre, Library, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


class Shown:
    """One document with somebody who follows it."""

    def __init__(self, anchor: type[rxcrdt.Anchor], row: Model):
        self.anchor = anchor
        self.name = anchor.document_name(row)
        self.follower = Follower(self.name)

    @property
    def state(self) -> dict[str, Any]:
        anchor, value = self.name.split("/")
        expected = serialized(anchor, value)
        assert difference(snapshot(anchor, value), expected) is None
        assert difference(self.follower.state, expected) is None
        assert stored_difference(LogName.parse(self.follower.document.log)) is None, "rows that nothing refers to"
        return expected

    @contextmanager
    def changing(self) -> Iterator[None]:
        """What is written inside has to show: a write that changes nothing proves nothing."""
        before = self.state
        yield
        assert self.state != before

    def forget(self) -> None:
        """As for a process that did not project the document: it knows what stands in it, and not why."""
        self.follower.close()
        documents.forget_all()
        self.follower = Follower(self.name)


Show = Callable[..., Shown]


@pytest.fixture
def show() -> Iterator[Show]:
    """Anchors a serializer and opens the document of a row."""
    anchors: list[type[rxcrdt.Anchor]] = []
    shown: list[Shown] = []

    def anchor(serializer: type[serializers.Serializer[Any]], row: Model, **attributes: Any) -> Shown:
        attributes.setdefault("queryset", type(row)._default_manager.all())
        given = {"name": "shape", "serializer_class": serializer, "permission_classes": [AllowAny], **attributes}
        anchors.append(registry.register(type("ShapeAnchor", (rxcrdt.Anchor,), given)))
        shown.append(Shown(anchors[-1], row))
        return shown[-1]

    yield anchor
    for one in shown:
        one.follower.document.unsubscribe(one.follower)
    for each in anchors:
        registry.unregister(each)


def of(model: type[Model], *names: str, layer: str = "", **nested: Any) -> type[serializers.ModelSerializer[Any]]:
    """A ModelSerializer of ``names`` and of the ``nested`` fields; ``layer`` is what it is called in the document."""
    meta = type("Meta", (), {"model": model, "fields": [*names, *nested]})
    return type(f"{layer or model.__name__}Serializer", (serializers.ModelSerializer,), {"Meta": meta, **nested})


def save(row: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


@pytest.fixture
def harbour() -> Harbour:
    return Harbour.objects.create(slug="harbour")


# Keys


def test_rows_are_found_by_a_key_that_is_not_primary(show: Show) -> None:
    """``to_field``: the foreign key's column holds the country's code, in the children and in the parent."""
    land, sea = Country.objects.create(code="la", name="Land"), Country.objects.create(code="se", name="Sea")
    harbour = Harbour.objects.create(slug="one", country=land)
    Harbour.objects.create(slug="elsewhere", country=sea)
    shown = show(of(Country, "code", "name", harbours=of(Harbour, "id", "slug", "country")(many=True)), land)
    for country in (sea, land, None, land):
        with shown.changing():
            save(harbour, country=country)
    with shown.changing():
        Harbour.objects.create(slug="two", country=land)
    with shown.changing():
        harbour.delete()


def test_a_foreign_key_by_such_a_key_shows_the_row_it_finds(show: Show) -> None:
    land, sea = Country.objects.create(code="la", name="Land"), Country.objects.create(code="se", name="Sea")
    harbour = Harbour.objects.create(slug="one", country=land)
    shown = show(of(Harbour, "slug", country=of(Country, "code", "name")()), harbour)
    with shown.changing():
        save(land, name="Renamed")
    for country in (sea, None, land):
        with shown.changing():
            save(harbour, country=country)
    with shown.changing():
        land.delete()


def test_such_a_key_may_look_like_another_rows_primary_key(show: Show, harbour: Harbour) -> None:
    one, two = Country.objects.create(code="one", name="One"), Country.objects.create(code="two", name="Two")
    save(one, code=str(two.pk))
    save(two, code=str(one.pk))
    country = of(Country, "name")
    harbour.twins.set([Harbour.objects.create(slug=place.name, country=place) for place in (one, two)])
    twins = of(Harbour, "slug", layer="Twin", country=country())(many=True)
    shown = show(of(Harbour, "slug", country=country(), twins=twins), harbour)
    for place in (one, two, None, two):
        with shown.changing():
            save(harbour, country=place)


def test_primary_keys_of_two_columns(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "id", tides=of(Tide, "hour", "height")(many=True)), harbour)
    with shown.changing():
        Tide.objects.create(harbour=harbour, hour=3, height=1.5)
    with shown.changing():
        tide = Tide.objects.create(harbour=harbour, hour=1, height=0.5)
    with shown.changing():
        save(tide, height=2.5)
    content, _ = shown.follower.document.content()
    assert set(content["Tide"]) == {f'["{harbour.pk}", "1"]', f'["{harbour.pk}", "3"]'}
    with shown.changing():
        tide.delete()


@pytest.mark.parametrize("code", ["new-1", "=new-1", "=", "new-", "a:b", 'é"/'])
def test_a_primary_key_may_be_any_text(show: Show, harbour: Harbour, code: str) -> None:
    shown = show(of(Harbour, "id", flags=of(Flag, "code", "meaning")(many=True)), harbour)
    with shown.changing():
        flag = Flag.objects.create(code=code, harbour=harbour, meaning="welcome")
    with shown.changing():
        save(flag, meaning="keep off")
    content, _ = shown.follower.document.content()
    assert not any(key.startswith("new-") for key in content["Flag"]), "those are for rows that clients create"
    shown.forget()
    with shown.changing():
        save(flag, meaning="welcome back")
    with shown.changing():
        flag.delete()


def test_two_texts_that_escape_alike_are_two_rows(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "id", flags=of(Flag, "code", "meaning")(many=True)), harbour)
    for code in ("new-1", "=new-1", "==new-1"):
        with shown.changing():
            Flag.objects.create(code=code, harbour=harbour, meaning=code)
    assert len(shown.state["flags"]) == 3


def test_only_the_one_way_to_write_a_key_names_a_document(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "slug"), harbour)
    for value in (f"0{harbour.pk}", f"{harbour.pk} ", f"+{harbour.pk}", "none", "9" * 30, "1e1"):
        with pytest.raises(DocumentGone):
            documents.open(f"shape/{value}")
        with pytest.raises(DocumentGone):
            serialized("shape", value)
        with pytest.raises(DocumentGone), transaction.atomic():
            snapshot("shape", value)
    assert shown.state == {"slug": "harbour"}


def test_a_document_named_by_another_field_ends_when_that_changes(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "slug", "owner"), harbour, lookup_field="slug")
    save(harbour, slug="renamed")
    assert shown.follower.is_gone
    assert shown.follower.state is None
    assert snapshot("shape", "renamed")["slug"] == "renamed"
    save(harbour, slug="harbour")
    assert snapshot("shape", "harbour") == shown.follower.state == {"slug": "harbour", "owner": None}


# Models that share rows


@pytest.mark.parametrize("model", [Ship, Ferry, Tug])
def test_a_row_of_several_models_is_one_row(show: Show, harbour: Harbour, model: type[Model]) -> None:
    """Saved as a ship, as a ferry on top of it or as a tug, which is another name for it."""
    berth = Berth.objects.create(harbour=harbour)
    Ferry.objects.create(name="ferry", berth=berth)
    shown = show(of(Berth, "number", ships=of(Ship, "id", "name")(many=True)), berth)
    row: Any = model._default_manager.all()[0]
    with shown.changing():
        save(row, name="renamed")
    with shown.changing():
        save(row, berth=None)
    with shown.changing():
        save(row, berth=berth)
    with shown.changing():
        model._default_manager.create(name="another", berth=berth)
    with shown.changing():
        row.delete()


@pytest.mark.parametrize("model", [Ship, Ferry, Tug])
def test_so_is_a_root(show: Show, model: type[Model]) -> None:
    ferry = Ferry.objects.create(name="ferry")
    shown = show(of(Ferry, "name", "decks"), ferry)
    with shown.changing():
        save(model._default_manager.get(pk=ferry.pk), name="renamed")


def test_a_child_model_comes_and_goes_under_its_parent(show: Show, harbour: Harbour) -> None:
    """A one-to-one relation from the other side: null while there is none."""
    ship = Ship.objects.create(name="ship")
    shown = show(of(Ship, "name", ferry=of(Ferry, "decks")(read_only=True)), ship)
    assert shown.state["ferry"] is None
    with shown.changing():
        ferry = Ferry(ship_ptr=ship, decks=3)
        ferry.__dict__.update({"name": ship.name, "berth_id": None})
        ferry.save()
    with shown.changing():
        save(ferry, decks=4)
    with shown.changing():
        ferry.delete(keep_parents=True)


# Managers and querysets


def test_lists_are_read_through_the_default_manager(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "id", berths=of(Berth, "number")(many=True)), harbour)
    with shown.changing():
        berth = Berth.objects.create(harbour=harbour, number=1)
    for retired in (True, False, True):
        with shown.changing():
            save(berth, retired=retired)
    save(berth, number=5)
    assert shown.state["berths"] == []


def test_single_rows_are_read_through_the_base_manager(show: Show, harbour: Harbour) -> None:
    """As Django follows a foreign key: to rows that the default manager hides, too."""
    berth = Berth.objects.create(harbour=harbour, number=1)
    ship = Ship.objects.create(name="ship", berth=berth)
    shown = show(of(Ship, "name", berth=of(Berth, "number", "retired")()), ship)
    with shown.changing():
        save(berth, retired=True)
    with shown.changing():
        save(berth, number=2)


def test_a_root_that_leaves_the_queryset_is_gone_and_may_come_back(show: Show, harbour: Harbour) -> None:
    berth = Berth.objects.create(harbour=harbour, number=1)
    serializer = of(Harbour, "slug", berths=of(Berth, "number")(many=True))
    shown = show(serializer, harbour, queryset=Harbour.objects.filter(closed=False))
    save(harbour, closed=True)
    assert shown.follower.is_gone
    assert shown.follower.state is None
    assert not any(shown.follower.document.content()[0].values())
    with pytest.raises(DocumentGone):
        snapshot("shape", harbour.pk)
    save(berth, number=2)
    save(harbour, closed=False)
    assert shown.state["berths"] == [{"number": 2}]
    for closed in (True, False):
        Harbour.objects.filter(pk=harbour.pk).update(closed=closed)
        shown.follower.document.reconcile()
    save(harbour, closed=True)
    Harbour.objects.filter(pk=harbour.pk).update(closed=False)
    assert shown.state["berths"] == [{"number": 2}], "whoever opens an empty document looks again"


def test_annotations_of_the_anchors_queryset_stay_when_the_row_is_read_again(show: Show, harbour: Harbour) -> None:
    Berth.objects.create(harbour=harbour)
    serializer = of(Harbour, "slug", size=serializers.IntegerField())
    shown = show(serializer, harbour, queryset=Harbour.objects.annotate(size=Count("berths")))
    with shown.changing():
        save(harbour, slug="renamed")
    assert shown.state["size"] == 1


@pytest.mark.parametrize("to_attr", [None, "long"])
def test_a_prefetch_decides_which_rows_and_in_which_order(show: Show, harbour: Harbour, to_attr: str | None) -> None:
    given = Berth.objects.filter(length__gte=50).order_by("-length")
    berths = of(Berth, "number", "length")(many=True, source=to_attr)
    queryset = Harbour.objects.prefetch_related(Prefetch("berths", queryset=given, to_attr=to_attr))
    short, middle, long = (Berth.objects.create(harbour=harbour, number=n, length=n) for n in (10, 60, 90))
    shown = show(of(Harbour, "slug", berths=berths), harbour, queryset=queryset)
    assert [berth["length"] for berth in shown.state["berths"]] == [90, 60]
    for row, length in ((short, 100), (short, 70), (long, 20), (middle, 10), (middle, 75)):
        with shown.changing():
            save(row, length=length)
    with shown.changing():
        save(harbour, slug="renamed")
    with shown.changing():
        Berth.objects.create(harbour=harbour, length=72)
    with shown.changing():
        middle.delete()


def test_a_prefetch_may_give_the_first_few_rows_only(show: Show, harbour: Harbour) -> None:
    longest = Prefetch("berths", queryset=Berth.objects.order_by("-length", "id")[:2], to_attr="longest")
    rows = [Berth.objects.create(harbour=harbour, number=n, length=10 * n) for n in range(5)]
    berths = of(Berth, "number", "length")(many=True, source="longest")
    shown = show(of(Harbour, "slug", berths=berths), harbour, queryset=Harbour.objects.prefetch_related(longest))
    assert [berth["length"] for berth in shown.state["berths"]] == [40, 30]
    for row, length in ((rows[3], 45), (rows[0], 50), (rows[0], 5), (rows[3], 1), (rows[2], 100)):
        with shown.changing():
            save(row, length=length)
    with shown.changing():
        rows[2].delete()


def test_a_plain_field_may_read_what_a_prefetch_gives_a_nested_one(show: Show, harbour: Harbour) -> None:
    """Both come in with their row: Django wants the Prefetch first, and once."""
    owner = Owner.objects.create(name="open")
    open_ones = Prefetch("berths__harbour__owner", queryset=Owner.objects.filter(name="open"))
    inner = of(
        Harbour, "slug",
        owner_name=serializers.ReadOnlyField(source="owner.name", default=None),
        owner=of(Owner, "name")(),
    )(read_only=True)  # fmt: skip
    ships = of(Ship, "name")(many=True, read_only=True)
    berths = of(Berth, "number", harbour=inner, ships=ships)(many=True, read_only=True)
    rows = Harbour.objects.prefetch_related(open_ones)
    shown = show(of(Harbour, "id", berths=berths, layer="Outer"), harbour, queryset=rows)
    with shown.changing():
        Berth.objects.create(harbour=harbour, number=1)
    with shown.changing():
        save(harbour, owner=owner)
    with shown.changing():
        save(owner, name="shut")


def test_a_prefetch_may_give_the_rows_at_the_end_of_a_longer_path(show: Show, harbour: Harbour) -> None:
    owner = Owner.objects.create(name="owner")
    another = Harbour.objects.create(slug="another", owner=owner)
    save(harbour, owner=owner)
    berth = Berth.objects.create(harbour=harbour, number=1)
    serializer = of(
        Berth, "number", open=of(Harbour, "slug")(many=True, read_only=True, source="harbour.owner.harbours")
    )
    longer = Prefetch("harbour__owner__harbours", queryset=Harbour.objects.filter(closed=False).order_by("slug"))
    shown = show(serializer, berth, queryset=Berth.objects.prefetch_related(longer))
    for values in ({"closed": True}, {"slug": "zzz"}, {"closed": False}):
        with shown.changing() if values != {"slug": "zzz"} else nullcontext():
            save(another, **values)
        save(berth, number=berth.number + 1)
        assert shown.state


def test_a_step_back_gives_the_row_it_came_from(show: Show, harbour: Harbour) -> None:
    """With what was prefetched for that one: Django remembers whose rows it has read."""
    berths = [Berth.objects.create(harbour=harbour, number=n, length=n * 10) for n in range(3)]
    back = of(Harbour, "slug", layer="Back", numbers=serializers.SlugRelatedField(
        source="berths", many=True, read_only=True, slug_field="number"
    ))  # fmt: skip
    nested = of(Berth, "number", "length", harbour=back(read_only=True))(many=True, read_only=True)
    long = Prefetch("berths", queryset=Berth.objects.filter(length__gte=10).order_by("-length", "id"))
    unseen = Prefetch("berths__harbour", queryset=Harbour.objects.filter(slug="another"))
    rows = Harbour.objects.prefetch_related(long, unseen)
    shown = show(of(Harbour, "id", berths=nested), harbour, queryset=rows)
    assert shown.state["berths"][0]["harbour"] == {"slug": "harbour", "numbers": [2, 1]}
    with shown.changing():
        save(harbour, slug="renamed")
    with shown.changing():
        save(berths[0], length=50)
    with shown.changing():
        save(berths[2], length=0)


ORDERINGS = ["owner__name", "-owner__address__street", F("owner__name").desc(nulls_last=True)]


@pytest.mark.parametrize("by", ORDERINGS, ids=str)
def test_a_list_may_be_ordered_by_what_other_rows_say(show: Show, by: Any) -> None:
    """Nothing of the list's own rows is saved."""
    addresses = [Address.objects.create(street=street) for street in "abc"]
    owners = [Owner.objects.create(name=address.street, address=address) for address in addresses]
    root = Harbour.objects.create(slug="root")
    root.twins.set([Harbour.objects.create(slug=owner.name, owner=owner) for owner in owners])
    twins = Prefetch("twins", queryset=Harbour.objects.order_by(by, "pk"))
    serializer = of(Harbour, "id", twins=of(Harbour, "slug", layer="Twin")(many=True, read_only=True))
    shown = show(serializer, root, queryset=Harbour.objects.prefetch_related(twins))
    with shown.changing():
        save(owners[0], name="z")
        save(addresses[0], street="z")


def test_the_row_that_a_list_hangs_on_does_not_order_it(show: Show, harbour: Harbour) -> None:
    """Or a save of it would read all rows of the list again."""
    berths = Prefetch("berths", queryset=Berth.objects.order_by("harbour", "harbour__slug", "number"))
    serializer = of(Harbour, "slug", berths=of(Berth, "number")(many=True, read_only=True))
    shown = show(serializer, harbour, queryset=Harbour.objects.prefetch_related(berths))
    assert shown.follower.document.plan.layers["Berth"].dependencies == ()


def test_what_is_ordered_by_a_foreign_key_is_ordered_as_that_model_is(show: Show) -> None:
    zone = Zone.objects.create(name="zone")
    fleets = [Fleet.objects.create(name=name, zone=zone) for name in "ab"]
    for fleet in fleets:
        Vessel.objects.create(name=fleet.name, fleet=fleet, zone=zone)
    by_fleet = Prefetch("vessels", queryset=Vessel.objects.order_by("fleet", "pk"))
    serializer = of(Zone, "id", vessels=of(Vessel, "name")(many=True, read_only=True))
    shown = show(serializer, zone, queryset=Zone.objects.prefetch_related(by_fleet))
    with shown.changing():
        save(fleets[0], name="c")


def test_a_step_back_from_a_parents_table_reads_what_that_has(show: Show) -> None:
    """The row is a tanker, and is read again as the vessel that it is, too."""
    tanker = Tanker.objects.create(name="tanker", zone=Zone.objects.create(name="zone"))
    Leg.objects.create(vessel=tanker, number=1, name="leg")
    vessel = of(Vessel, "name", zone_name=serializers.ReadOnlyField(source="zone.name"))(read_only=True)
    legs = of(Leg, "number", vessel=vessel)(many=True, read_only=True)
    shown = show(of(Tanker, "id", legs=legs), tanker, queryset=Tanker.objects.prefetch_related("vessel_ptr", "owner"))
    with shown.changing():
        save(tanker, name="renamed")


def test_a_step_back_under_a_name_of_its_own_is_read_anew(show: Show, harbour: Harbour) -> None:
    Berth.objects.create(harbour=harbour, number=1)
    origin = of(Harbour, "slug", layer="Back")(read_only=True, source="origin")
    nested = of(Berth, "number", harbour=origin)(many=True, read_only=True)
    named = Prefetch("berths__harbour", queryset=Harbour.objects.filter(slug="named"), to_attr="origin")
    shown = show(of(Harbour, "id", berths=nested), harbour, queryset=Harbour.objects.prefetch_related(named))
    assert shown.state["berths"][0]["harbour"] is None
    for slug in ("named", "harbour"):
        with shown.changing():
            save(harbour, slug=slug)


def test_one_class_of_which_a_prefetch_gives_other_rows_is_another_layer(show: Show, harbour: Harbour) -> None:
    """``berths`` of the twins are all there are, and those of the harbour itself are not."""
    Berth.objects.create(harbour=harbour, number=1, length=5)
    other = Harbour.objects.create(slug="other")
    berth = Berth.objects.create(harbour=other, number=2, length=50)
    harbour.twins.add(other)
    owner = Owner.objects.create(name="owner")
    for row in (harbour, other):
        save(row, owner=owner)
    inner = of(Harbour, "slug", berths=of(Berth, "number")(many=True, read_only=True), layer="Inner")
    twins = of(Harbour, "slug", twins=inner(many=True, read_only=True), layer="Twins")
    serializer = of(Owner, "name", some=inner(many=True, read_only=True, source="harbours"),
                    all=twins(many=True, read_only=True, source="harbours"))  # fmt: skip
    long = Prefetch("harbours__twins__berths", queryset=Berth.objects.filter(length__gte=10))
    shown = show(serializer, owner, queryset=Owner.objects.prefetch_related(long))
    with shown.changing():
        save(berth, length=1)
    with shown.changing():
        save(berth, number=3)
    with shown.changing():
        save(berth, length=100)


def test_a_prefetch_that_cannot_be_read_is_an_error_and_no_missing_row(show: Show, harbour: Harbour) -> None:
    """Django cuts a list only where it has a ``to_attr``, and says so by a TypeError, as a bad key does."""
    cut = Harbour.objects.prefetch_related(Prefetch("berths", queryset=Berth.objects.all()[:2]))
    with pytest.raises(TypeError, match="slice"):
        show(of(Harbour, "slug"), harbour, queryset=cut)
    with pytest.raises(TypeError, match="slice"):
        serialized("shape", harbour.pk)


@pytest.mark.parametrize("first", ["berths", "long"])
def test_one_layer_may_be_listed_in_two_ways(show: Show, harbour: Harbour, first: str) -> None:
    """Where a row stands in one list, and whether it does, says nothing of the other."""
    serializer = of(Berth, "number", "length")
    given = Berth.objects.filter(length__gte=50).order_by("-length")
    queryset = Harbour.objects.prefetch_related(Prefetch("berths", queryset=given, to_attr="long"))
    lists: dict[str, Any] = {
        name: serializer(many=True) for name in sorted(("berths", "long"), key=lambda name: name != first)
    }
    both = of(Harbour, "slug", **lists)
    rows = [Berth.objects.create(harbour=harbour, number=n, length=30 * n) for n in range(5)]
    shown = show(both, harbour, queryset=queryset)
    assert len(shown.follower.document.content()[0]["Berth"]) == 5
    for row, length in ((rows[4], 70), (rows[0], 55), (rows[0], 200), (rows[3], 10)):
        with shown.changing():
            save(row, length=length)
    for row, number in ((rows[1], 9), (rows[4], -1)):
        with shown.changing():
            save(row, number=number)
    with shown.changing():
        rows[0].delete()


def test_a_row_that_a_foreign_key_shows_may_leave_a_list_of_its_layer(show: Show, harbour: Harbour) -> None:
    """The list's manager hides what the foreign key's does not, and the layer is read by the latter."""
    serializer = of(Berth, "number", "retired")
    one, two = (Berth.objects.create(harbour=harbour, number=number) for number in (1, 2))
    ship = Ship.objects.create(name="ship", berth=one)
    shown = show(
        of(Ship, "name", berth=serializer(), berths=serializer(source="berth.harbour.berths", many=True)), ship
    )
    for row, retired in ((two, True), (one, True), (two, False), (one, False)):
        with shown.changing():
            save(row, retired=retired)


def test_a_prefetch_may_hide_a_single_row_that_another_relation_shows(show: Show, harbour: Harbour) -> None:
    owner = Owner.objects.create(name="shown")
    save(harbour, owner=owner)
    queryset = Harbour.objects.prefetch_related(Prefetch("owner", queryset=Owner.objects.exclude(name="hidden")))
    serializer = of(Owner, "name")
    other = Harbour.objects.create(slug="other", owner=owner)
    harbour.twins.add(other)
    twins = of(Harbour, "slug", layer="Twin", owner=serializer())(many=True)
    shown = show(of(Harbour, "slug", owner=serializer(), twins=twins), harbour, queryset=queryset)
    with shown.changing():
        save(owner, name="hidden")
    with shown.changing():
        save(harbour, slug="renamed")


def test_a_prefetch_may_hide_a_single_row(show: Show, harbour: Harbour) -> None:
    owner = Owner.objects.create(name="shown")
    save(harbour, owner=owner)
    queryset = Harbour.objects.prefetch_related(Prefetch("owner", queryset=Owner.objects.exclude(name="hidden")))
    shown = show(of(Harbour, "slug", owner=of(Owner, "name")()), harbour, queryset=queryset)
    with shown.changing():
        save(owner, name="hidden")
    with shown.changing():
        save(harbour, slug="renamed")
    with shown.changing():
        save(owner, name="shown")
        save(harbour, slug="renamed again")


def test_so_does_one_within_another_with_annotations_of_its_own(show: Show, harbour: Harbour) -> None:
    ships = Ship.objects.filter(name__startswith="a").order_by("-name")
    berths = Berth.objects.annotate(crowd=Count("ships")).prefetch_related(Prefetch("ships", queryset=ships))
    serializer = of(
        Harbour,
        "slug",
        berths=of(
            Berth, "number", crowd=serializers.IntegerField(), ships=of(Ship, "name")(many=True)
        )(many=True),
    )  # fmt: skip
    queryset = Harbour.objects.prefetch_related(Prefetch("berths", queryset=berths))
    berth = Berth.objects.create(harbour=harbour)
    for name in ("a", "ab", "b"):
        Ship.objects.create(name=name, berth=berth)
    shown = show(serializer, harbour, queryset=queryset)
    assert shown.state["berths"] == [{"number": 0, "crowd": 3, "ships": [{"name": "ab"}, {"name": "a"}]}]
    first, second, _ = Ship.objects.all()
    for row, name in ((first, "c"), (second, "aa"), (first, "ac")):
        with shown.changing():
            save(row, name=name)
    with shown.changing():
        save(berth, number=4)
    other = Berth.objects.create(harbour=Harbour.objects.create(slug="other"), number=2)
    for name in ("az", "z"):
        Ship.objects.create(name=name, berth=other)
    with shown.changing():
        save(other, harbour=harbour)


def test_so_does_one_that_is_named_by_its_path(show: Show) -> None:
    land = Country.objects.create(code="la", name="Land")
    given = Prefetch("harbours__berths", queryset=Berth.objects.filter(length__gte=50).order_by("-length"))
    queryset = Country.objects.prefetch_related("harbours", given)
    harbours = of(Harbour, "slug", berths=of(Berth, "length")(many=True))(many=True)
    shown = show(of(Country, "name", harbours=harbours), land, queryset=queryset)
    with shown.changing():
        harbour = Harbour.objects.create(slug="harbour", country=land)
    for length in (60, 20, 80):
        berth = Berth.objects.create(harbour=harbour, length=50)
        with shown.changing():
            save(berth, length=length)
    other = Harbour.objects.create(slug="other")
    for length in (10, 70, 90):
        Berth.objects.create(harbour=other, length=length)
    with shown.changing():
        save(other, country=land)
    with shown.changing():
        save(Berth.objects.get(length=10), length=75)


def test_a_list_without_an_order_is_shown_as_the_database_gives_it(show: Show) -> None:
    owner = Owner.objects.create(name="owner")
    harbours = [Harbour.objects.create(slug=str(number), owner=owner) for number in range(4)]
    shown = show(of(Owner, "name", harbours=of(Harbour, "slug")(many=True)), owner)
    with shown.changing():
        save(harbours[1], slug="renamed")
    with shown.changing():
        save(harbours[2], owner=None)
    with shown.changing():
        save(harbours[2], owner=owner)


def test_plain_fields_read_what_the_anchor_prefetched(show: Show, harbour: Harbour) -> None:
    """A method field over a ``to_attr`` list: without it there is no such attribute."""

    def get_lengths(_: Any, row: Any) -> list[int]:
        return [berth.length for berth in row.long]

    given = Berth.objects.filter(length__gte=50)
    queryset = Harbour.objects.prefetch_related(Prefetch("berths", queryset=given, to_attr="long"))
    method = rxcrdt.depends_on("berths")(get_lengths)
    serializer = of(Harbour, "slug", lengths=serializers.SerializerMethodField())
    serializer.get_lengths = method  # type: ignore[attr-defined]
    shown = show(serializer, harbour, queryset=queryset)
    with shown.changing():
        berth = Berth.objects.create(harbour=harbour, length=60)
    for length in (70, 20):
        with shown.changing():
            save(berth, length=length)


# Relations


def test_generic_relations_go_by_the_model_too(show: Show, harbour: Harbour) -> None:
    berth = Berth.objects.create(pk=harbour.pk, harbour=harbour)
    shown = show(of(Harbour, "id", marks=of(Mark, "text")(many=True)), harbour)
    with shown.changing():
        mark = Mark.objects.create(text="mark", target=harbour)
    Mark.objects.create(text="of the berth with that number", target=berth)
    assert shown.state["marks"] == [{"text": "mark"}]
    with shown.changing():
        save(mark, text="changed")
    with shown.changing():
        save(mark, content_type=ContentType.objects.get_for_model(Berth))
    with shown.changing():
        save(mark, target=harbour)
    with shown.changing():
        mark.delete()


def test_rows_may_refer_to_rows_of_their_own_model(show: Show, harbour: Harbour) -> None:
    other = Harbour.objects.create(slug="other")
    shown = show(of(Harbour, "slug", twins=of(Harbour, "slug", layer="Twin")(many=True)), harbour)
    with shown.changing():
        harbour.twins.add(other)
    with shown.changing():
        save(other, slug="renamed")
    with shown.changing():
        other.twins.remove(harbour)
    with shown.changing():
        other.twins.add(harbour)
    with shown.changing():
        other.twins.clear()


def test_a_property_that_returns_a_queryset_is_followed(show: Show, harbour: Harbour) -> None:
    """Nobody knows how it filters: any change of such a row is a reason to look."""
    shown = show(of(Harbour, "id", long_berths=of(Berth, "number", "length")(many=True)), harbour)
    with shown.changing():
        berth = Berth.objects.create(harbour=harbour, length=150)
    for length in (200, 50, 120):
        with shown.changing():
            save(berth, length=length)
    other = Harbour.objects.create(slug="other")
    for place in (other, harbour):
        with shown.changing():
            save(berth, harbour=place)
    with shown.changing():
        berth.delete()


def test_a_row_may_go_from_one_such_property_to_another(show: Show) -> None:
    """By no foreign key, so that nothing says where it went."""
    land = Country.objects.create(code="la", name="Land")
    for slug in ("one", "two"):
        Harbour.objects.create(slug=slug, country=land)
    owner = Owner.objects.create(name="one")
    harbours = of(Harbour, "slug", namesakes=of(Owner, "id")(many=True))(many=True)
    shown = show(of(Country, "code", harbours=harbours), land)
    for name in ("two", "one", "none"):
        with shown.changing():
            save(owner, name=name)


def test_nested_under_such_a_property_everything_is_followed(show: Show, harbour: Harbour) -> None:
    berths = of(Berth, "number", ships=of(Ship, "name")(many=True))(many=True)
    berth = Berth.objects.create(harbour=harbour, length=150)
    shown = show(of(Harbour, "id", long_berths=berths), harbour)
    with shown.changing():
        ship = Ship.objects.create(name="ship", berth=berth)
    with shown.changing():
        save(ship, name="renamed")
    with shown.changing():
        Ferry.objects.create(name="ferry", berth=berth)
    with shown.changing():
        save(ship, berth=None)


def test_dotted_sources_are_followed_along_the_path(show: Show) -> None:
    streets = [Address.objects.create(street=f"street {n}") for n in range(3)]
    owners = [Owner.objects.create(name=f"owner {n}", address=streets[n]) for n in range(2)]
    land = Country.objects.create(code="la")
    harbour = Harbour.objects.create(slug="harbour", owner=owners[0], country=land)
    serializer = of(
        Harbour,
        street=serializers.CharField(source="owner.address.street", default=None),
        address=of(Address, "street")(source="owner.address", read_only=True),
        owned=of(Harbour, "slug", layer="Owned")(source="owner.harbours", many=True, read_only=True),
        neighbours=serializers.PrimaryKeyRelatedField(source="country.harbours", many=True, read_only=True),
    )
    shown = show(serializer, harbour)
    with shown.changing():
        save(streets[0], street="renamed")
    with shown.changing():
        save(owners[0], address=streets[2])
    with shown.changing():
        save(harbour, owner=owners[1])
    with shown.changing():
        another = Harbour.objects.create(slug="another", owner=owners[1])
    with shown.changing():
        save(another, slug="renamed")
    with shown.changing():
        save(another, owner=owners[0], country=land)
    with shown.changing():
        save(another, country=None)
    with shown.changing():
        streets[1].delete()
    with shown.changing():
        save(harbour, owner=None)
    with shown.changing():
        save(harbour, owner=owners[0])
    with shown.changing():
        owners[0].delete()


def test_a_source_of_the_row_itself_is_a_node_beside_it(show: Show, harbour: Harbour) -> None:
    size = of(Berth, "length", layer="Size", ships=of(Ship, "name")(many=True))(source="*")
    berth = Berth.objects.create(harbour=harbour, length=5)
    shown = show(of(Harbour, "slug", berths=of(Berth, "number", size=size)(many=True)), harbour)
    with shown.changing():
        save(berth, length=6)
    with shown.changing():
        ship = Ship.objects.create(name="ship", berth=berth)
    with shown.changing():
        save(ship, name="renamed")
    with shown.changing():
        berth.delete()


def test_keys_that_the_serializer_leaves_out_come_and_go(show: Show, harbour: Harbour) -> None:
    owner = Owner.objects.create(name="owner")
    serializer = of(
        Harbour,
        "slug",
        owner_name=serializers.CharField(source="owner.name", read_only=True),
        address=of(Address, "street")(source="owner.address", read_only=True),
        fellows=of(Harbour, "slug", layer="Fellow")(source="owner.harbours", many=True, read_only=True),
    )
    shown = show(serializer, harbour)
    assert shown.state == {"slug": "harbour"}
    with shown.changing():
        save(harbour, owner=owner)
    assert shown.state["address"] is None
    with shown.changing():
        save(harbour, owner=None)
    assert shown.state == {"slug": "harbour"}


# Serializers


class PlainBerthSerializer(serializers.ModelSerializer[Berth]):
    """Decides about its output by itself."""

    ships = of(Ship, "name")(many=True)

    class Meta:
        model = Berth
        fields = ["number", "ships"]

    def to_representation(self, instance: Berth) -> dict[str, Any]:
        return {"berth": super().to_representation(instance), "kind": "odd" if instance.number % 2 else "even"}


class JoinedShipsSerializer(serializers.ListSerializer[Any]):
    def to_representation(self, data: Any) -> Any:
        return [ship["name"].upper() for ship in super().to_representation(data)]


class JoinedShipSerializer(serializers.ModelSerializer[Ship]):
    class Meta:
        model = Ship
        fields = ["name"]
        list_serializer_class = JoinedShipsSerializer


def test_a_nested_class_that_overrides_its_output_is_a_plain_value(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "slug", berths=PlainBerthSerializer(many=True)), harbour)
    with shown.changing():
        berth = Berth.objects.create(harbour=harbour, number=1)
    with shown.changing():
        save(berth, number=2)
    with shown.changing():
        ship = Ship.objects.create(name="ship", berth=berth)
    with shown.changing():
        save(ship, name="renamed")
    content, _ = shown.follower.document.content()
    assert set(content) == {"Harbour"}
    with shown.changing():
        ship.delete()


def test_so_is_a_list_class_that_overrides_its_output(show: Show, harbour: Harbour) -> None:
    berth = Berth.objects.create(harbour=harbour)
    shown = show(of(Berth, "number", ships=JoinedShipSerializer(many=True)), berth)
    with shown.changing():
        ship = Ship.objects.create(name="ship", berth=berth)
    with shown.changing():
        save(ship, name="renamed")
    with shown.changing():
        ship.delete()


def test_a_root_that_overrides_its_output_is_one_node(show: Show, harbour: Harbour) -> None:
    berth = Berth.objects.create(harbour=harbour)
    shown = show(PlainBerthSerializer, berth)
    with shown.changing():
        save(berth, number=1)
    with shown.changing():
        ship = Ship.objects.create(name="ship", berth=berth)
    with shown.changing():
        save(ship, name="renamed")


class ChosenSerializer(serializers.ModelSerializer[Ship]):
    """Takes the fields' names as an argument, as many projects have it."""

    def __init__(self, *args: Any, only: list[str] | None = None, upper: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.upper = upper
        for name in set(self.fields) - set(only or self.fields):
            del self.fields[name]

    shout = serializers.SerializerMethodField()

    class Meta:
        model = Ship
        fields = ["id", "name", "shout"]

    def get_shout(self, ship: Ship) -> str:
        return ship.name.upper() if self.upper else ship.name


@pytest.mark.parametrize("other", [{"only": ["name"]}, {"upper": True}])
def test_one_class_with_other_arguments_is_another_layer(show: Show, harbour: Harbour, other: dict[str, Any]) -> None:
    berth = Berth.objects.create(harbour=harbour)
    Berth.objects.create(harbour=harbour)
    ship = Ship.objects.create(name="ship", berth=berth)
    few = ChosenSerializer(many=True, source="ships", **other)
    serializer = of(Berth, "number", ships=ChosenSerializer(many=True), few=few)
    shown = show(serializer, berth)
    with shown.changing():
        save(ship, name="renamed")
    content, _ = shown.follower.document.content()
    assert {"Berth/ships", "Berth/few"} <= set(content)
    with shown.changing():
        save(ship, berth=None)


def test_one_class_in_two_places_is_one_layer(show: Show, harbour: Harbour) -> None:
    person = Owner.objects.create(name="owner")
    save(harbour, owner=person)
    twin = Harbour.objects.create(slug="twin", owner=person)
    owner = of(Owner, "name")
    serializer = of(Harbour, "slug", owner=owner(), twins=of(Harbour, "slug", owner=owner())(many=True))
    with pytest.raises(ConfigurationError, match="would both be the layer 'Harbour'"):
        show(serializer, harbour, name="twins")
    inner = of(Harbour, "slug", layer="Twin", owner=owner())
    shown = show(of(Harbour, "slug", owner=owner(), twins=inner(many=True)), harbour)
    with shown.changing():
        harbour.twins.add(twin)
    with shown.changing():
        save(person, name="renamed")
    content, _ = shown.follower.document.content()
    assert set(content) == {"Harbour", "Twin", "Owner", "Harbour.twins"}
    assert len(content["Owner"]) == 1


def test_depth_names_its_layers_by_their_place(show: Show, harbour: Harbour) -> None:
    address = Address.objects.create(street="street")
    owner = Owner.objects.create(name="owner", address=address)
    save(harbour, owner=owner, country=Country.objects.create(code="la", name="Land"))
    meta = type("Meta", (), {"model": Harbour, "fields": ["slug", "owner", "country"], "depth": 2})
    shown = show(type("DeepSerializer", (serializers.ModelSerializer,), {"Meta": meta}), harbour)
    with shown.changing():
        save(address, street="renamed")
    with shown.changing():
        save(owner, address=None)
    with shown.changing():
        save(harbour, owner=None)
    content, _ = shown.follower.document.content()
    assert {"Deep/owner", "Deep/owner/address", "Deep/country"} <= set(content)


def test_computed_properties_declare_what_they_read(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "slug", crowd=serializers.IntegerField(read_only=True)), harbour)
    berth = Berth.objects.create(harbour=harbour)
    with shown.changing():
        ship = Ship.objects.create(name="ship", berth=berth)
    with shown.changing():
        save(ship, berth=None)


def test_slug_and_string_fields_show_more_than_keys(show: Show, harbour: Harbour) -> None:
    owner = Owner.objects.create(name="owner")
    berth = Berth.objects.create(harbour=harbour, number=1)
    save(harbour, owner=owner)
    serializer = of(
        Harbour,
        owner=serializers.StringRelatedField(),
        streets=serializers.SlugRelatedField(source="owner", slug_field="address__street", read_only=True),
        berths=serializers.StringRelatedField(many=True),
        berth_ids=serializers.PrimaryKeyRelatedField(source="berths", many=True, read_only=True),
    )
    address = Address.objects.create(street="street")
    owner.address = address
    owner.save()
    shown = show(serializer, harbour)
    with shown.changing():
        save(owner, name="renamed")
    with shown.changing():
        save(address, street="renamed")
    with shown.changing():
        save(berth, number=2)
    with shown.changing():
        berth.delete()


def test_lists_of_keys_change_by_what_their_rows_say(show: Show, harbour: Harbour) -> None:
    """Their foreign key may take them out, their other columns to another place."""
    other = Harbour.objects.create(slug="other")
    one, two = (Berth.objects.create(harbour=harbour, number=number) for number in (1, 2))
    keys: Any = serializers.PrimaryKeyRelatedField(source="berths", many=True, read_only=True)
    shown = show(of(Harbour, berth_ids=keys), harbour)
    with shown.changing():
        save(one, harbour=other)
    with shown.changing():
        save(one, harbour=harbour)
    with shown.changing():
        save(two, number=0)
    with shown.changing():
        save(two, retired=True)


def test_the_key_of_a_row_that_is_deleted_goes(show: Show, harbour: Harbour) -> None:
    """``SET_NULL`` is done by the database, and says nothing of whom it changed."""
    owner = Owner.objects.create(name="owner")
    save(harbour, owner=owner)
    shown = show(of(Harbour, "slug", "owner"), harbour)
    with shown.changing():
        save(harbour, slug="renamed")  # from now on it is known which rows show the owner
    with shown.changing():
        owner.delete()


def test_a_row_that_moves_while_its_neighbours_go_stands_where_it_belongs(show: Show, harbour: Harbour) -> None:
    rows = [Berth.objects.create(harbour=harbour, number=number) for number in range(5)]
    shown = show(of(Harbour, "slug", berths=of(Berth, "number")(many=True)), harbour)
    with shown.changing(), transaction.atomic():
        rows[2].delete()
        save(rows[1], number=10)
    with shown.changing(), transaction.atomic():
        rows[0].delete()
        save(rows[4], number=-1)


def test_keys_across_many_to_many_are_in_the_order_of_their_rows(show: Show, harbour: Harbour) -> None:
    library = Library.objects.create(name="library")
    book = Book.objects.create(title="book", shelf=Shelf.objects.create(library=library))
    book.genres.set([Genre.objects.create(name=name) for name in "abc"])
    keys: Any = serializers.PrimaryKeyRelatedField(source="genres", many=True, read_only=True)
    shown = show(of(Book, genre_ids=keys), book)
    with shown.changing():
        save(Genre.objects.all()[0], name="z")


def test_the_key_of_a_row_on_the_other_side_of_a_one_to_one_relation(show: Show) -> None:
    one, two = Library.objects.create(name="one"), Library.objects.create(name="two")
    charter = Charter.objects.create(library=one)
    key: Any = serializers.PrimaryKeyRelatedField(source="charter", read_only=True)
    shown = show(of(Library, charter_id=key), one)
    for library in (two, one):
        with shown.changing():
            save(charter, library=library)
    with shown.changing():
        charter.delete()


urlpatterns = [path("owners/<name>/", lambda request, name: HttpResponse(name), name="owner")]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    "field",
    [
        serializers.StringRelatedField(),
        serializers.SlugRelatedField(slug_field="name", read_only=True),
        serializers.HyperlinkedRelatedField(view_name="owner", lookup_field="name", read_only=True),
    ],
)
def test_a_related_field_that_shows_more_than_the_key_follows_its_row(show: Show, harbour: Harbour, field: Any) -> None:
    owner = Owner.objects.create(name="owner")
    save(harbour, owner=owner)
    shown = show(of(Harbour, owner=field), harbour)
    for name in ("renamed", "renamed again"):  # for the second one it is known which rows show the owner
        with shown.changing():
            save(owner, name=name)
    with shown.changing():
        owner.delete()


def test_a_field_that_shows_the_key_only_hides_no_other(show: Show, harbour: Harbour) -> None:
    owner = Owner.objects.create(name="owner")
    save(harbour, owner=owner)
    name: Any = serializers.CharField(source="owner.name", default=None)
    key: Any = serializers.PrimaryKeyRelatedField(read_only=True)
    shown = show(of(Harbour, owner_name=name, owner=key), harbour)
    for text in ("renamed", "renamed again"):
        with shown.changing():
            save(owner, name=text)


def test_a_process_that_did_not_project_the_document_sees_what_it_shows_too(show: Show, harbour: Harbour) -> None:
    """It does not know which rows the fields came from: a change of such a model is a reason to look."""
    owner = Owner.objects.create(name="owner")
    berth = Berth.objects.create(harbour=harbour)
    save(harbour, owner=owner)
    serializer = of(
        Harbour,
        owner_name=serializers.CharField(source="owner.name"),
        berth_ids=serializers.PrimaryKeyRelatedField(source="berths", many=True, read_only=True),
        crowd=serializers.IntegerField(read_only=True),
    )
    shown = show(serializer, harbour)
    shown.forget()
    with shown.changing():
        save(owner, name="renamed")
    shown.forget()
    with shown.changing():
        Ship.objects.create(name="ship", berth=berth)
    shown.forget()
    with shown.changing():
        berth.delete()


def test_what_python_takes_for_equal_is_written_all_the_same(show: Show) -> None:
    library = Library.objects.create(name="library", extra={"a": 1})
    shown = show(of(Library, "extra", "rating"), library)
    values: list[Any] = [True, 1, {"b": [0]}, {"b": [False]}, [], {}, None, 0, False, 1.5, ""]
    for value in values:
        before = json.dumps(shown.state)
        save(library, extra={"a": value})
        assert json.dumps(shown.state) != before
    for rating in (5, 2.5, 1e16):
        save(library, rating=rating)
        assert json.dumps(snapshot("shape", library.pk)["rating"]) == json.dumps(float(rating))


# What a projection runs in


def test_translated_values_are_in_the_projects_own_language(show: Show, harbour: Harbour) -> None:
    serializer = of(Harbour, "slug", open=serializers.CharField(source="get_is_open_display", read_only=True))
    with translation.override("de"):
        shown = show(serializer, harbour)
        save(harbour, is_open="n")
        assert serialized("shape", harbour.pk)["open"] == shown.follower.state["open"] == "No"  # type: ignore[index]
        save(harbour, owner=Owner.objects.create(name="owner"), is_open="y")
        assert shown.follower.state["open"] == "Yes"  # type: ignore[index]


@override_settings(RXCRDT={"STORE": "memory://", "BASE_URL": "https://example.com:8443"}, ALLOWED_HOSTS=[])
def test_absolute_addresses_begin_with_the_projects_own(show: Show, harbour: Harbour) -> None:
    def get_link(self: Any, row: Harbour) -> str:
        link: str = self.context["request"].build_absolute_uri(f"/harbours/{row.slug}")
        return link

    serializer = of(Harbour, link=serializers.SerializerMethodField())
    serializer.get_link = get_link  # type: ignore[attr-defined]
    shown = show(serializer, harbour)
    assert shown.state["link"] == "https://example.com:8443/harbours/harbour"


@pytest.mark.parametrize("what", ["user", "auth", "session"])
@pytest.mark.parametrize("whose", ["", "_request."])
def test_what_belongs_to_one_user_is_refused_by_name(show: Show, harbour: Harbour, what: str, whose: str) -> None:
    """A document is shared: nothing in it may depend on who asks."""

    def get_mine(self: Any, row: Harbour) -> str:
        request = self.context["view"].request
        return str(getattr(request._request if whose else request, what))

    if whose and what == "auth":
        return  # Django's own request has none
    serializer = of(Harbour, mine=serializers.SerializerMethodField())
    serializer.get_mine = get_mine  # type: ignore[attr-defined]
    with pytest.raises(NoRequestUser, match=rf"Harbour\.mine of shapes\.Harbour .* the request's {what}"):
        show(serializer, harbour)


def test_a_nested_serializer_over_what_is_no_row_says_so(show: Show, harbour: Harbour) -> None:
    Berth.objects.create(harbour=harbour)
    with pytest.raises(ProjectionError, match=r"gave a dict.*see docs/fields\.md"):
        show(of(Harbour, "slug", figures=of(Berth, "number")(many=True)), harbour)
