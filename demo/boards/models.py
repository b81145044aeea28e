"""A project board: columns of tasks, with labels, checklists and comments."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from fractional_indexing import generate_key_between

from rxcrdt import AnchoredManager

__all__ = ["Board", "ChecklistItem", "Column", "Comment", "Label", "Task"]


class Board(models.Model):
    """What a team works on together. Only its members see it."""

    name = models.CharField(max_length=80)
    purpose = models.CharField(max_length=200, blank=True, help_text="One sentence, shown under the name.")
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="boards", blank=True)

    objects = AnchoredManager()  # bulk writes tell open pages, too

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class Ordered(models.Model):
    """A row with a place among its siblings.

    The place is a fractional index: a new key fits between any two others, so that moving a row changes that
    row only. Keys are compared as bytes; on PostgreSQL give the field ``db_collation="C"``.
    """

    siblings_of: ClassVar[str]  # the foreign key to what the siblings have in common

    position = models.CharField(
        max_length=64, blank=True, help_text="Sorted as plain text. Left empty, the row goes to the end."
    )

    objects = AnchoredManager()

    class Meta:
        abstract = True
        ordering = ["position", "pk"]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Puts a row without a place behind its last sibling."""
        if not self.position:
            siblings = type(self)._default_manager.filter(**{self.siblings_of: getattr(self, self.siblings_of)})
            last = siblings.order_by("position").values_list("position", flat=True).last()
            self.position = generate_key_between(last or None, None)
        super().save(*args, **kwargs)


class Column(Ordered):
    """A step that tasks pass through."""

    siblings_of = "board"

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="columns")
    name = models.CharField(max_length=60)

    def __str__(self) -> str:
        return f"{self.board}: {self.name}"


class Label(models.Model):
    """What kind of work a task is."""

    class Color(models.TextChoices):
        """Names; the page decides how each looks in light and dark."""

        RED = "red"
        ORANGE = "orange"
        YELLOW = "yellow"
        GREEN = "green"
        TEAL = "teal"
        BLUE = "blue"
        VIOLET = "violet"
        PINK = "pink"
        GRAY = "gray"

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField(max_length=40)
    color = models.CharField(max_length=12, choices=Color, default=Color.GRAY)

    objects = AnchoredManager()

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class Task(Ordered):
    """Something to do."""

    siblings_of = "column"

    column = models.ForeignKey(Column, on_delete=models.CASCADE, related_name="tasks")
    title = models.CharField(max_length=160)
    description = models.TextField(blank=True)
    due_date = models.DateField(null=True, blank=True)
    estimate = models.DecimalField("estimate in hours", max_digits=5, decimal_places=1, null=True, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="tasks"
    )
    labels = models.ManyToManyField(Label, related_name="tasks", blank=True)

    def __str__(self) -> str:
        return self.title


class ChecklistItem(Ordered):
    """A part of a task that can be ticked off."""

    siblings_of = "task"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="checklist")
    text = models.CharField(max_length=160)
    done = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.text


class Comment(models.Model):
    """What somebody said about a task."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="comments")
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    objects = AnchoredManager()

    class Meta:
        ordering = ["created_at", "pk"]

    def __str__(self) -> str:
        return self.text[:60]
