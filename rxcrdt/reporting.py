"""Telling of writes that no signal shows: bulk updates, raw SQL, other programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Model, QuerySet

from rxcrdt import tracking

__all__ = ["changed"]


def changed(objects: Model | QuerySet[Any] | Iterable[Model]) -> None:
    """Projects these rows again, as if each had been saved; when the open transaction commits, if there is one.

    ``objects``: a row, a queryset (evaluated here) or any iterable of rows. For rows that were deleted, pass
    instances that still know their primary key and foreign keys.
    """
    rows = [objects] if isinstance(objects, Model) else objects
    for row in rows:
        tracking.report(row)
