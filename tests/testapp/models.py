"""A library: a schema with every kind of relation and of field that a document can hold."""

from __future__ import annotations

import uuid

from django.db import models

from rxcrdt import AnchoredManager


class Firm(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Person(models.Model):
    name = models.CharField(max_length=50)
    firm = models.ForeignKey(Firm, null=True, on_delete=models.SET_NULL, related_name="people")

    def __str__(self) -> str:
        return self.name


class Genre(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Library(models.Model):
    name = models.CharField(max_length=50)
    code = models.UUIDField(default=uuid.uuid4)
    opened = models.DateField(null=True)
    fee = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    rating = models.FloatField(default=0)
    hours = models.DurationField(null=True)
    extra = models.JSONField(default=dict, blank=True)
    plan = models.FileField(blank=True)
    open = models.BooleanField(default=True)
    director = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="directs")
    patrons = models.ManyToManyField(Person, related_name="patron_of", blank=True)

    def __str__(self) -> str:
        return self.name


class Charter(models.Model):
    """Hangs on its library one to one, from the other side."""

    library = models.OneToOneField(Library, on_delete=models.CASCADE, related_name="charter")
    text = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.text


class Shelf(models.Model):
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="shelves")
    label = models.CharField(max_length=50)
    position = models.IntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.label


class Book(models.Model):
    class Kind(models.TextChoices):
        NOVEL = "novel", "Novel"
        ATLAS = "atlas", "Atlas"

    shelf = models.ForeignKey(Shelf, null=True, on_delete=models.CASCADE, related_name="books")
    title = models.CharField(max_length=50)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.NOVEL)
    pages = models.IntegerField(default=0)
    printed_at = models.DateTimeField(null=True)
    position = models.IntegerField(default=0)
    author = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="wrote")
    editor = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="edited")
    genres = models.ManyToManyField(Genre, related_name="books", blank=True)
    reviewers = models.ManyToManyField(Person, through="Review", related_name="reviewed")

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.title


class Review(models.Model):
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="reviews")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="reviews")
    stars = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.stars} stars"


class Chapter(models.Model):
    """Bulk writes of chapters are told of."""

    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="chapters")
    heading = models.CharField(max_length=50)
    number = models.IntegerField(default=0)

    objects = AnchoredManager()

    class Meta:
        ordering = ["number", "id"]
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.heading


class Stranger(models.Model):
    """In no anchor."""

    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name
