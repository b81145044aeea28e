"""Rows that come to another owner because theirs is deleted: Django updates them, and sends no signal for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from rest_framework import serializers
from rest_framework.permissions import AllowAny

import rxcrdt
from rxcrdt.registry import registry
from rxcrdt.snapshots import serialized
from tests.oracle.following import Follower
from tests.shapes.fleets import OPEN_SEA, Fleet, Leg, Vessel, Zone

pytestmark = pytest.mark.django_db(transaction=True)


class FleetSerializer(serializers.ModelSerializer[Fleet]):
    class Meta:
        model = Fleet
        fields = ["id", "name"]


class LegSerializer(serializers.ModelSerializer[Leg]):
    class Meta:
        model = Leg
        fields = ["number", "name"]


class ZoneSerializer(serializers.ModelSerializer[Zone]):
    fleets = FleetSerializer(many=True, read_only=True)
    legs = LegSerializer(many=True, read_only=True)
    names: Any = serializers.SlugRelatedField(source="fleets", many=True, read_only=True, slug_field="name")

    class Meta:
        model = Zone
        fields = ["id", "fleets", "legs", "names"]


class ZoneAnchor(rxcrdt.Anchor):
    name = "fallback-zone"
    queryset = Zone.objects.all()
    serializer_class = ZoneSerializer
    permission_classes = [AllowAny]


@pytest.fixture
def follower() -> Iterator[Follower]:
    registry.register(ZoneAnchor)
    Zone.objects.create(id=OPEN_SEA, name="open sea")
    follower = Follower(f"fallback-zone/{OPEN_SEA}")
    yield follower
    follower.close()
    registry.unregister(ZoneAnchor)


@pytest.mark.parametrize("many", [False, True])
def test_what_is_set_to_its_default_comes_to_that(follower: Follower, many: bool) -> None:
    zone = Zone.objects.create(id=uuid.UUID(int=2), name="bay")
    Fleet.objects.create(name="first", zone=zone)
    if many:
        Zone.objects.filter(pk=zone.pk).delete()
    else:
        zone.delete()
    assert follower.state is not None
    assert follower.state["names"] == ["first"]
    assert follower.state == serialized("fallback-zone", OPEN_SEA)


def test_so_does_what_is_set_to_what_a_function_gives(follower: Follower) -> None:
    parent = Zone.objects.create(id=uuid.UUID(int=2), name="bay")
    zone = Zone.objects.create(id=uuid.UUID(int=3), name="cove", parent=parent)
    Leg.objects.create(vessel=Vessel.objects.create(name="one"), number=1, name="out", zone=zone)
    with transaction.atomic():
        parent.delete()  # the zone goes with it
    assert follower.state is not None
    assert [leg["name"] for leg in follower.state["legs"]] == ["out"]
    assert follower.state == serialized("fallback-zone", OPEN_SEA)
