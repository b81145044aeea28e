"""Fleets: a schema of the second kind. A tree, UUID, text and composite keys, through rows with columns of their own
(the same pair twice, too), tables on top of others, several ways from one row to another. Some models tell of bulk
writes themselves."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models

from rxcrdt import AnchoredManager, depends_on

OPEN_SEA = uuid.UUID(int=1)


def open_sea() -> uuid.UUID:
    return OPEN_SEA


class Zone(models.Model):
    """A tree; keys are UUIDs. The one with the first key is never deleted: fleets fall back to it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50)
    rank = models.IntegerField(default=0)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="parts")

    class Meta:
        ordering = ["rank", "name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def waiting(self) -> models.QuerySet[Vessel]:
        """A list that no relation gives, cut to its first rows."""
        return Vessel.objects.filter(zone=self, fleet=None).order_by("-rank", "pk")[:2]


class Fleet(models.Model):
    name = models.CharField(max_length=50)
    rank = models.IntegerField(default=0)
    zone = models.ForeignKey(Zone, default=OPEN_SEA, on_delete=models.SET_DEFAULT, related_name="fleets")
    flagship = models.ForeignKey("Vessel", null=True, on_delete=models.SET_NULL, related_name="flag_of")
    allies: models.ManyToManyField[Fleet, Any] = models.ManyToManyField("self", symmetrical=True)
    rivals: models.ManyToManyField[Fleet, Any] = models.ManyToManyField(
        "self", symmetrical=False, related_name="rival_of"
    )
    remarks = GenericRelation("Remark", object_id_field="object_id")

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def heavy(self) -> list[Vessel]:
        """A list that is a list, and no queryset."""
        return [vessel for vessel in self.vessels.all() if vessel.rank > 0]

    @property
    @depends_on("vessels__crew")
    def strength(self) -> int:
        return sum(len(vessel.crew.all()) for vessel in self.vessels.all())


class Vessel(models.Model):
    name = models.CharField(max_length=50)
    rank = models.IntegerField(default=0)
    draught = models.FloatField(default=0)
    fleet = models.ForeignKey(Fleet, null=True, on_delete=models.SET_NULL, related_name="vessels")
    zone = models.ForeignKey(Zone, null=True, on_delete=models.CASCADE, related_name="vessels")
    sister = models.OneToOneField("self", null=True, on_delete=models.SET_NULL, related_name="sister_of")
    captain = models.OneToOneField("Sailor", null=True, on_delete=models.SET_NULL, related_name="commands")
    tags: models.ManyToManyField[Tag, Any] = models.ManyToManyField("Tag", through="Tagging", related_name="vessels")
    visits = models.ManyToManyField(Zone, related_name="visitors")
    remarks = GenericRelation("Remark", object_id_field="object_id")

    class Meta:
        ordering = ["rank", "id"]

    def __str__(self) -> str:
        return self.name


class Tanker(Vessel):
    """A table of its own on top of the vessel's."""

    volume = models.IntegerField(default=0)
    owner = models.ForeignKey("Sailor", null=True, on_delete=models.CASCADE, related_name="tankers")


class Skiff(Vessel):
    """The vessel's table under another name, in another order."""

    class Meta:
        proxy = True
        ordering = ["-rank", "id"]


class Sailor(models.Model):
    name = models.CharField(max_length=50)
    rank = models.IntegerField(default=0)
    vessel = models.ForeignKey(Vessel, null=True, on_delete=models.SET_NULL, related_name="crew")
    mentor = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="pupils")

    objects: ClassVar[models.Manager[Sailor]] = AnchoredManager()

    class Meta:
        base_manager_name = "objects"
        ordering = ["-rank", "name", "id"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """The key is text; who renames a tag changes its primary key."""

    code = models.CharField(max_length=50, primary_key=True)
    rank = models.IntegerField(default=0)

    class Meta:
        ordering = ["rank", "code"]

    def __str__(self) -> str:
        return self.code


class Tagging(models.Model):
    """A through row; nothing keeps a vessel from having a tag twice."""

    vessel = models.ForeignKey(Vessel, on_delete=models.CASCADE, related_name="taggings")
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="taggings")
    weight = models.IntegerField(default=0)
    by = models.ForeignKey(Sailor, null=True, on_delete=models.SET_NULL, related_name="taggings")

    objects: ClassVar[models.Manager[Tagging]] = AnchoredManager()

    class Meta:
        base_manager_name = "objects"
        ordering = ["weight", "id"]

    def __str__(self) -> str:
        return f"{self.tag_id}: {self.weight}"


class Leg(models.Model):
    """The key is a vessel and a number."""

    pk = models.CompositePrimaryKey("vessel_id", "number")
    vessel = models.ForeignKey(Vessel, on_delete=models.CASCADE, related_name="legs")
    number = models.IntegerField()
    name = models.CharField(max_length=50)
    zone = models.ForeignKey(Zone, null=True, on_delete=models.SET(open_sea), related_name="legs")

    objects: ClassVar[models.Manager[Leg]] = AnchoredManager()

    class Meta:
        base_manager_name = "objects"
        ordering = ["number", "vessel_id"]

    def __str__(self) -> str:
        return self.name


class Remark(models.Model):
    """Stands on a fleet or a vessel, which may have the same number."""

    name = models.CharField(max_length=50)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    target = GenericForeignKey()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name
