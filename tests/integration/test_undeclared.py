"""Computed fields that read what they do not declare are named: in tests and with DEBUG, and by a check."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.checks import CheckMessage, run_checks
from django.db import connection
from django.db.models import Prefetch
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from rxcrdt import depends_on, undeclared
from rxcrdt.checks import check_reads
from rxcrdt.exceptions import NoRequestUser, ProjectionError, UndeclaredRead
from rxcrdt.sight import seeing
from rxcrdt.testing import own_store
from tests.integration.test_schemas import PlainBerthSerializer, Show, of, save, show
from tests.shapes.models import Address, Berth, Harbour, Mark, Owner, Ship, Tug
from tests.testapp.models import Book, Genre, Library, Shelf

__all__ = ["show"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def named(*expected: str) -> Iterator[None]:
    """Exactly these reads are warned of inside, each as ``field → model``."""
    with warnings.catch_warnings(record=True) as found, undeclared.watching():
        warnings.simplefilter("always")
        yield
    messages = [str(warning.message) for warning in found if warning.category is UndeclaredRead]
    reads = [message.partition(",")[0].partition(".")[2] for message in messages]
    assert sorted(read.replace(" reads ", " → ") for read in reads) == sorted(expected), messages


def with_method(model: Any, method: Callable[[Any], Any], *paths: str, **nested: Any) -> Any:
    """A serializer with the method field ``it`` that declares ``paths``."""
    serializer = of(model, it=serializers.SerializerMethodField(), **nested)
    serializer.get_it = depends_on(*paths)(lambda _, row: method(row))  # type: ignore[attr-defined]
    return serializer


@pytest.fixture
def harbour() -> Harbour:
    harbour = Harbour.objects.create(slug="harbour", owner=Owner.objects.create(name="owner"))
    Ship.objects.create(name="ship", berth=Berth.objects.create(harbour=harbour, number=1))
    return harbour


def count_ships(harbour: Harbour) -> int:
    return sum(berth.ships.count() for berth in harbour.berths.all())


def test_a_method_field_that_makes_queries(show: Show, harbour: Harbour) -> None:
    with named("it of shapes.Harbour → shapes.Berth", "it of shapes.Harbour → shapes.Ship"):
        show(with_method(Harbour, count_ships), harbour)


def test_what_it_declares_is_not_named(show: Show, harbour: Harbour) -> None:
    with named():
        show(with_method(Harbour, count_ships, "berths__ships"), harbour)
    with named("it of shapes.Harbour → shapes.Ship"):
        show(with_method(Harbour, count_ships, "berths"), harbour, name="half")


def test_the_message_says_how_to_declare_it_and_is_logged(
    show: Show, harbour: Harbour, caplog: pytest.LogCaptureFixture
) -> None:
    with undeclared.watching(), pytest.warns(UndeclaredRead) as found:
        show(with_method(Harbour, count_ships), harbour)
    assert all("see docs/fields.md" in str(warning.message) for warning in found)
    assert '@depends_on("berths__ships")' in str(found[1].message)
    assert "Harbour.it of shapes.Harbour reads shapes.Ship, and does not declare it" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_each_is_named_once(show: Show, harbour: Harbour) -> None:
    with named("it of shapes.Harbour → shapes.Owner"):
        shown = show(with_method(Harbour, lambda row: row.owner.name), harbour)
        save(harbour, slug="renamed")
        shown.follower.document.reconcile()
    with named("it of shapes.Harbour → shapes.Owner"):
        save(harbour, slug="renamed again")


def test_what_was_prefetched_is_seen_although_it_makes_no_query(show: Show, harbour: Harbour) -> None:
    """By another field's declaration, by a relation of the serializer, by the anchor's queryset."""
    ships = of(Ship, "name")(many=True)
    berths = of(Berth, "number", ships=ships)(many=True)
    with named("it of shapes.Harbour → shapes.Berth", "it of shapes.Harbour → shapes.Ship"):
        queryset = Harbour.objects.prefetch_related("berths__ships")
        shown = show(with_method(Harbour, lambda row: str([list(b.ships.all()) for b in row.berths.all()]),
                                 berths=berths), harbour, queryset=queryset)  # fmt: skip
        shown.follower.document.reconcile()
    with named("it of shapes.Harbour → shapes.Owner"):
        queryset = Harbour.objects.select_related("owner")
        show(with_method(Harbour, lambda row: row.owner.name), harbour, name="joined", queryset=queryset)


def test_a_list_under_another_name_is_seen_too(show: Show, harbour: Harbour) -> None:
    queryset = Harbour.objects.prefetch_related(Prefetch("berths", to_attr="places"))
    with named("it of shapes.Harbour → shapes.Berth"):
        show(with_method(Harbour, lambda row: len(row.places)), harbour, queryset=queryset)


def test_an_empty_list_is_a_read_too(show: Show, harbour: Harbour) -> None:
    queryset = Harbour.objects.prefetch_related("marks", "twins")
    with named("it of shapes.Harbour → shapes.Mark", "it of shapes.Harbour → shapes.Harbour"):
        show(with_method(Harbour, lambda row: [*row.marks.all(), *row.twins.all()]), harbour, queryset=queryset)


def test_properties_and_related_fields(show: Show, harbour: Harbour) -> None:
    """Whatever shows them; those that say by themselves what they follow are not named."""
    numbers: Any = serializers.ReadOnlyField(source="figures")
    serializer = of(
        Harbour,
        "slug",
        "owner",
        "crowd",
        numbers=numbers,
        berth_ids=serializers.PrimaryKeyRelatedField(source="berths", many=True, read_only=True),
        owner_name=serializers.CharField(source="owner.name"),
        names=serializers.StringRelatedField(source="berths", many=True),
        size=PlainBerthSerializer(source="berths", many=True),
    )
    with named("numbers of shapes.Harbour → shapes.Berth"):
        show(serializer, harbour)


def test_lists_out_of_a_property(show: Show, harbour: Harbour) -> None:
    """Its own rows, and those between, are followed; others are not."""
    with named():
        show(of(Harbour, long_berths=of(Berth, "number", ships=of(Ship, "name")(many=True))(many=True)), harbour)

    def given(row: Harbour) -> Any:
        return Berth.objects.filter(harbour__owner__name="owner")

    with pytest.MonkeyPatch.context() as patch, named("given of shapes.Harbour → shapes.Owner"):
        patch.setattr(Harbour, "given", property(given), raising=False)
        show(of(Harbour, given=of(Berth, "number")(many=True)), harbour, name="given")


def test_a_root_that_decides_about_all_of_its_output(show: Show, harbour: Harbour) -> None:
    class WholeSerializer(serializers.ModelSerializer[Harbour]):
        class Meta:
            model = Harbour
            fields = ["slug", "crowd"]

        def to_representation(self, instance: Harbour) -> dict[str, Any]:
            owner = instance.owner
            return {**super().to_representation(instance), "owner": owner.name if owner else None}

    with named("to_representation of shapes.Harbour → shapes.Owner"):
        show(WholeSerializer, harbour)


def test_rows_of_its_own_model(show: Show, harbour: Harbour) -> None:
    """Other rows are a read, and columns of its own that were left out are not."""
    with named("it of shapes.Harbour → shapes.Harbour"):
        show(with_method(Harbour, lambda row: Harbour.objects.count()), harbour)
    with named():
        show(with_method(Harbour, lambda row: row.closed), harbour, name="few", queryset=Harbour.objects.only("slug"))


def test_content_types_are_no_rows_that_change(show: Show, harbour: Harbour) -> None:
    with named():
        show(with_method(Harbour, lambda row: ContentType.objects.filter(app_label="shapes").exists()), harbour)


def test_names_of_one_table(show: Show, harbour: Harbour) -> None:
    """A tug is a ship under another name; who declares ships hears of tugs."""
    berth = Berth.objects.get()
    with named():
        show(with_method(Berth, lambda row: Tug.objects.filter(berth=row).count(), "ships"), berth)


def test_both_sides_of_a_many_to_many_relation_are_declared_at_once(show: Show) -> None:
    book = Book.objects.create(title="book", shelf=Shelf.objects.create(library=Library.objects.create(name="x")))
    book.genres.add(Genre.objects.create(name="genre"))
    with named():
        show(with_method(Book, lambda row: row.genres.filter(name="genre").count(), "genres"), book)


def test_rows_are_as_they_were(show: Show, harbour: Harbour) -> None:
    """What a field has read, the next one has; what was prefetched is still there: no query is made twice."""
    queryset = Harbour.objects.prefetch_related(Prefetch("berths", to_attr="places"), "twins")
    serializer = with_method(Harbour, lambda row: [row.owner.name, len(row.places), len(row.twins.all())])
    shown = show(serializer, harbour, queryset=queryset)
    queries = []
    looking: Any
    for looking in (undeclared.watching(), nullcontext()):
        with warnings.catch_warnings(record=True), looking, CaptureQueriesContext(connection) as context:
            shown.follower.document.reconcile()
        queries.append(len(context.captured_queries))
    assert queries[0] == queries[1]

    with seeing(harbour):
        assert harbour.owner is not None
    assert type(harbour._state.fields_cache) is dict
    assert "owner" in harbour._state.fields_cache


def test_own_store_and_debug_are_when_it_is_looked(show: Show, harbour: Harbour) -> None:
    assert not undeclared.wanted()
    with own_store():
        assert undeclared.wanted()
        with pytest.warns(UndeclaredRead):
            show(with_method(Harbour, count_ships), harbour)
    assert not undeclared.wanted()
    with override_settings(DEBUG=True):
        assert undeclared.wanted()


def test_columns_are_not_watched_for_they_read_nothing(show: Show, harbour: Harbour) -> None:
    class Shouting(serializers.CharField):
        def to_representation(self, value: str) -> str:
            return value + str(Owner.objects.count())

    serializer = of(Harbour, "id", "slug", "closed", "country", shout=Shouting(source="slug"))
    with named("shout of shapes.Harbour → shapes.Owner"):
        shown = show(serializer, harbour)
        fields = shown.follower.document.plan.layers["Harbour"].flat
        watched = {bound.field_name for bound in fields if "to_representation" in vars(bound)}
    assert watched == {"country", "shout"}


def test_nothing_is_watched_in_production(show: Show, harbour: Harbour) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = show(with_method(Harbour, count_ships), harbour)
    layer = shown.follower.document.plan.layers["Harbour"]
    assert not any({"get_attribute", "to_representation"} & vars(bound).keys() for bound in layer.flat)


def test_where_warnings_are_errors_it_is_the_fields_error(show: Show, harbour: Harbour) -> None:
    with warnings.catch_warnings(), undeclared.watching():
        warnings.simplefilter("error", UndeclaredRead)
        with pytest.raises(ProjectionError, match=r"Harbour\.it of shapes\.Harbour .*UndeclaredRead"):
            show(with_method(Harbour, count_ships), harbour)


# The check


def checked(*databases: str) -> list[CheckMessage]:
    return [m for m in run_checks(databases=list(databases) or None) if m.id == "rxcrdt.W013"]


def test_the_check_reads_a_few_rows_and_names_what_is_not_declared(show: Show, harbour: Harbour) -> None:
    nested = with_method(Berth, lambda row: row.ships.count())
    show(with_method(Harbour, count_ships, "berths__ships", berths=nested(many=True)), harbour)
    (message,) = checked("default")
    assert message.obj == "tests.integration.test_schemas.ShapeAnchor"
    assert message.msg == "Its documents do not follow what computed fields read: Berth.it reads shapes.Ship."
    assert '@depends_on("ships")' in str(message.hint)
    assert checked() == [], "it asks the database, so it runs where that is asked for"
    assert check_reads(databases=["other"]) == []


def test_the_check_says_nothing_of_what_is_declared(show: Show, harbour: Harbour) -> None:
    show(with_method(Harbour, count_ships, "berths__ships"), harbour)
    assert checked("default") == []


def test_the_check_says_nothing_without_rows_or_tables_or_where_a_field_raises(show: Show, harbour: Harbour) -> None:
    def count(row: Harbour) -> int:
        return Mark.objects.extra(tables=["nowhere"]).count() if row.closed else 0

    show(with_method(Harbour, count, "marks"), harbour)
    Harbour.objects.filter(pk=harbour.pk).update(closed=True)
    assert checked("default") == []
    Harbour.objects.all().delete()
    assert checked("default") == []
    assert Harbour.objects.count() == 0, "the connection is as it was"


def test_the_check_sees_lists_out_of_a_property_too(show: Show, harbour: Harbour) -> None:
    with pytest.MonkeyPatch.context() as patch:
        given = property(lambda row: Berth.objects.filter(harbour__owner__name="owner"))
        patch.setattr(Harbour, "given", given, raising=False)
        show(of(Harbour, given=of(Berth, "number")(many=True)), harbour)
        (message,) = checked("default")
    assert "Harbour.given reads shapes.Owner" in message.msg


def test_the_check_goes_on_where_one_row_raises_and_reads_what_the_queryset_prefetches(
    show: Show, harbour: Harbour
) -> None:
    queryset = Harbour.objects.prefetch_related(Prefetch("berths", to_attr="places"))
    raising = Harbour.objects.create(slug="raising")

    def read(row: Any) -> str:
        return f"{len(row.places)} {1 / (row.pk - raising.pk)} {row.owner.name}"

    save(raising, owner=harbour.owner)
    show(with_method(Harbour, read), harbour, queryset=queryset)
    (message,) = checked("default")
    assert "Harbour.it reads shapes.Berth; Harbour.it reads shapes.Owner" in message.msg


def test_the_check_writes_nothing(show: Show, harbour: Harbour) -> None:
    show(with_method(Harbour, lambda row: Address.objects.count()), harbour)

    def write(row: Harbour) -> str:
        return Address.objects.create(street="street").street

    show(with_method(Harbour, write), harbour, name="writing")
    before = Address.objects.count()
    checked("default")
    assert Address.objects.count() == before


# The request's user


@pytest.mark.parametrize("place", ["nested", "plain", "property", "whole"])
def test_a_field_that_asks_for_the_requests_user_is_named_wherever_it_stands(
    show: Show, harbour: Harbour, place: str
) -> None:
    def get_mine(serializer: Any, row: Any) -> bool:
        return bool(getattr(serializer.context["request"], "user", None))

    mine: Any = serializers.SerializerMethodField()
    berths = of(Berth, "number", mine=mine)
    berths.get_mine = get_mine  # type: ignore[attr-defined]
    if place == "plain":
        berths.to_representation = lambda self, row: {"x": get_mine(self, row)}  # type: ignore[assignment, method-assign]
    serializer = of(Harbour, "slug", berths=berths(many=True))
    if place == "whole":
        serializer.to_representation = lambda self, row: {"x": get_mine(self, row)}  # type: ignore[assignment, method-assign]
    if place == "property":
        serializer = of(Harbour, user=_UserField(source="*"))
    where = {"nested": r"Berth\.mine", "plain": r"Harbour\.berths", "property": r"Harbour\.user"}
    expected = where.get(place, r"Harbour\.to_representation")
    with pytest.raises(NoRequestUser, match=expected + r" of shapes.*Compute it in the browser"):
        show(serializer, harbour)


class _UserField(serializers.Field[Any, Any, Any, Any]):
    def to_representation(self, value: Any) -> str:
        return str(self.context["view"].user)
