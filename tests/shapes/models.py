"""Harbours: keys, managers and relations that the library's schema has none of."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils.translation import gettext_lazy

from rxcrdt import depends_on


class Country(models.Model):
    """Is referred to by its code, which is not its primary key."""

    code = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Address(models.Model):
    street = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.street


class Owner(models.Model):
    name = models.CharField(max_length=50)
    address = models.ForeignKey(Address, null=True, on_delete=models.SET_NULL, related_name="owners")

    def __str__(self) -> str:
        return self.name


class Mark(models.Model):
    """Stands on a row of any model."""

    text = models.CharField(max_length=50)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    target = GenericForeignKey()

    class Meta:
        ordering = ["text", "id"]

    def __str__(self) -> str:
        return self.text


class Harbour(models.Model):
    slug = models.CharField(max_length=50, unique=True)
    is_open = models.CharField(
        max_length=1, default="y", choices=[("y", gettext_lazy("Yes")), ("n", gettext_lazy("No"))]
    )
    closed = models.BooleanField(default=False)
    country = models.ForeignKey(Country, null=True, on_delete=models.SET_NULL, to_field="code", related_name="harbours")
    owner = models.ForeignKey(Owner, null=True, on_delete=models.SET_NULL, related_name="harbours")
    twins: models.ManyToManyField[Harbour, Any] = models.ManyToManyField("self", symmetrical=True)
    marks = GenericRelation(Mark)

    def __str__(self) -> str:
        return self.slug

    @property
    def long_berths(self) -> models.QuerySet[Berth]:
        return Berth.objects.filter(harbour=self, length__gte=100).order_by("length", "id")

    @property
    def namesakes(self) -> models.QuerySet[Owner]:
        return Owner.objects.filter(name=self.slug).order_by("id")

    @property
    def figures(self) -> list[dict[str, int]]:
        return [{"number": berth.number} for berth in self.berths.all()]

    @property
    @depends_on("berths__ships")
    def crowd(self) -> int:
        return sum(berth.ships.count() for berth in self.berths.all())


class InUse(models.Manager["Berth"]):
    def get_queryset(self) -> models.QuerySet[Berth]:
        return super().get_queryset().filter(retired=False)


class AtWork(models.Manager["Pilot"]):
    def get_queryset(self) -> models.QuerySet[Pilot]:
        return super().get_queryset().filter(retired=False)


class Berth(models.Model):
    """The default manager shows those in use only."""

    harbour = models.ForeignKey(Harbour, on_delete=models.CASCADE, related_name="berths")
    number = models.IntegerField(default=0)
    length = models.IntegerField(default=0)
    retired = models.BooleanField(default=False)

    objects: ClassVar[models.Manager[Berth]] = InUse()

    class Meta:
        ordering = ["number", "id"]

    def __str__(self) -> str:
        return str(self.number)


class Pilot(models.Model):
    """The default manager shows those at work only; no column of theirs says whose they are."""

    name = models.CharField(max_length=50)
    retired = models.BooleanField(default=False)
    harbours = models.ManyToManyField(Harbour, related_name="pilots")

    objects: ClassVar[models.Manager[Pilot]] = AtWork()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Ship(models.Model):
    berth = models.ForeignKey(Berth, null=True, on_delete=models.SET_NULL, related_name="ships")
    name = models.CharField(max_length=50)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Ferry(Ship):
    """A table of its own on top of the ship's."""

    decks = models.IntegerField(default=1)


class Tug(Ship):
    """The ship's table under another name."""

    class Meta:
        proxy = True


class Flag(models.Model):
    """The primary key is text, and anybody's choice."""

    code = models.CharField(max_length=50, primary_key=True)
    harbour = models.ForeignKey(Harbour, on_delete=models.CASCADE, related_name="flags")
    meaning = models.CharField(max_length=50)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code


class Tide(models.Model):
    """The primary key is two columns."""

    pk = models.CompositePrimaryKey("harbour_id", "hour")
    harbour = models.ForeignKey(Harbour, on_delete=models.CASCADE, related_name="tides")
    hour = models.IntegerField()
    height = models.FloatField(default=0)

    class Meta:
        ordering = ["hour"]

    def __str__(self) -> str:
        return f"{self.hour}: {self.height}"


from tests.shapes import fleets  # noqa: E402, F401 - the second half of the app's models
