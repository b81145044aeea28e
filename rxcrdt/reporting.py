"""Telling of writes that no signal shows: bulk updates, raw SQL, other programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Model, QuerySet

from rxcrdt import bulk, tracking

__all__ = ["changed"]


def changed(objects: Model | QuerySet[Any] | Iterable[Model]) -> None:
    """Projects these rows again, as if each had been saved; when the open transaction commits, if there is one.

    ``objects``: a row, a queryset or any iterable of rows. Of a queryset that was not evaluated yet, one query reads
    what says which rows they are and to whom they belong. For rows that were deleted, pass instances that still know
    their primary key and foreign keys.
    """
    if isinstance(objects, QuerySet) and objects._result_cache is None:
        rows: Any = objects.all()
        rows._for_write = True  # or ``db`` would be where rows are read, which may not have them yet
        if tracking.is_watched(rows.model):
            tracking.note(rows.db, lambda: tracking.changes_of_rows(rows.model, bulk.rows_of(rows), rows.db))
        return
    tracking.report([objects] if isinstance(objects, Model) else objects)
