"""Rows that point at what is deleted: the delete writes to their foreign keys, and Django sends no signal for that."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Prefetch, QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers
from rest_framework.permissions import AllowAny

import rxcrdt
from rxcrdt.registry import registry
from rxcrdt.snapshots import serialized
from tests.oracle.following import Follower
from tests.shapes.fleets import OPEN_SEA, Fleet, Vessel, Zone

pytestmark = pytest.mark.django_db(transaction=True)


class PlainSerializer(serializers.ModelSerializer[Vessel]):
    class Meta:
        model = Vessel
        fields = ["id", "name"]


class KeySerializer(serializers.ModelSerializer[Vessel]):
    class Meta:
        model = Vessel
        fields = ["id", "fleet_id"]


class MethodSerializer(serializers.ModelSerializer[Vessel]):
    free = serializers.SerializerMethodField()

    class Meta:
        model = Vessel
        fields = ["id", "free"]

    def get_free(self, vessel: Vessel) -> bool:
        return vessel.fleet_id is None


class WholeSerializer(serializers.ModelSerializer[Vessel]):
    class Meta:
        model = Vessel
        fields = ["id"]

    def to_representation(self, instance: Vessel) -> Any:
        return f"{instance.pk} of {instance.fleet_id}"


def zone_of(
    inner: type[serializers.ModelSerializer[Vessel]], **options: Any
) -> type[serializers.ModelSerializer[Zone]]:
    meta = type("Meta", (), {"model": Zone, "fields": ["id", "vessels"]})
    body = {"vessels": inner(many=True, read_only=True, **options), "Meta": meta}
    return type("ZoneSerializer", (serializers.ModelSerializer,), body)


FREE: Prefetch[Any] = Prefetch("vessels", queryset=Vessel.objects.filter(fleet=None))
BY_FLEET: Prefetch[Any] = Prefetch("vessels", queryset=Vessel.objects.order_by("fleet", "-pk"))

WAYS: dict[str, tuple[Any, QuerySet[Zone]]] = {
    "its key is shown": (zone_of(KeySerializer), Zone.objects.all()),
    "a method reads it": (zone_of(MethodSerializer), Zone.objects.all()),
    "so does an overridden output": (zone_of(WholeSerializer), Zone.objects.all()),
    "a list leaves rows out by it": (zone_of(PlainSerializer), Zone.objects.prefetch_related(FREE)),
    "a list is ordered by it": (zone_of(PlainSerializer), Zone.objects.prefetch_related(BY_FLEET)),
    "a property leaves rows out by it": (zone_of(PlainSerializer, source="waiting"), Zone.objects.all()),
}


@pytest.fixture(params=list(WAYS))
def follower(request: pytest.FixtureRequest) -> Iterator[Follower]:
    """Of a zone with vessels of several fleets."""
    serializer, queryset = WAYS[request.param]
    given = {"name": "unset", "queryset": queryset, "serializer_class": serializer, "permission_classes": [AllowAny]}
    anchor = registry.register(type("UnsetAnchor", (rxcrdt.Anchor,), given))
    zone = Zone.objects.create(id=OPEN_SEA, name="open sea")
    elsewhere = Zone.objects.create(id=uuid.UUID(int=2), name="elsewhere")
    for number in range(4):
        fleet = Fleet.objects.create(name=f"fleet {number}", rank=number, zone=elsewhere)
        Vessel.objects.create(name="vessel", zone=zone, fleet=fleet)
    follower = Follower(f"unset/{OPEN_SEA}")
    yield follower
    follower.close()
    registry.unregister(anchor)


def _shows(follower: Follower, before: Any) -> None:
    assert follower.state == serialized("unset", OPEN_SEA)
    assert follower.state != before


def test_the_delete_of_one_row_shows(follower: Follower) -> None:
    before = follower.state
    Fleet.objects.get(rank=2).delete()
    _shows(follower, before)


def test_so_does_that_of_many(follower: Follower) -> None:
    before = follower.state
    Fleet.objects.filter(rank__gte=2).delete()
    _shows(follower, before)


@pytest.mark.parametrize("follower", ["a method reads it"], indirect=True)
def test_many_are_asked_for_together(follower: Follower) -> None:
    def queries(fleets: int) -> int:
        for _ in range(fleets):
            Vessel.objects.create(zone_id=OPEN_SEA, fleet=Fleet.objects.create(name="more", rank=9, zone_id=OPEN_SEA))
        with CaptureQueriesContext(connection) as asked:
            Fleet.objects.filter(rank=9).delete()
        return len([query for query in asked.captured_queries if '"shapes_vessel"."zone_id"' in query["sql"]])

    assert queries(2) == queries(60)


def test_what_goes_with_a_queryset_is_asked_for_as_well(request: pytest.FixtureRequest) -> None:
    """A zone's parts are zones, too, and are deleted with it: they are not in the queryset that is deleted."""
    meta = type("Meta", (), {"model": Fleet, "fields": ["id", "zone_id"]})
    serializer = type("FleetSerializer", (serializers.ModelSerializer,), {"Meta": meta})
    given = {"queryset": Fleet.objects.all(), "serializer_class": serializer, "permission_classes": [AllowAny]}
    anchor = registry.register(type("FleetAnchor", (rxcrdt.Anchor,), {**given, "name": "unset-fleet"}))
    request.addfinalizer(lambda: registry.unregister(anchor))
    Zone.objects.create(id=OPEN_SEA, name="open sea")
    parent = Zone.objects.create(id=uuid.UUID(int=2), name="bay")
    part = Zone.objects.create(id=uuid.UUID(int=3), name="cove", parent=parent)
    followers = [Follower(f"unset-fleet/{Fleet.objects.create(name='fleet', zone=zone).pk}") for zone in (parent, part)]
    Zone.objects.filter(pk=parent.pk).delete()
    for follower in followers:
        assert follower.state is not None
        assert follower.state["zone_id"] == str(OPEN_SEA)
        follower.close()
