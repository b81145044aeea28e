"""Deletes of many rows in one statement, where Django would read them only because rxcrdt listens.

Django sends ``post_delete`` for every row if anybody listens, and has to read the rows for that. An
``AnchoredQuerySet`` need not be listened to: it knows what its statements delete.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.deletion import Collector
from django.db.models.signals import ModelSignal, post_delete, pre_delete

from rxcrdt.tracking import NAME, is_watched

__all__ = ["at_once"]

Rows = TypeVar("Rows", bound=QuerySet[Any])


def at_once(queryset: Rows) -> Rows | None:
    """The queryset for ``_raw_delete``, if that is all that its ``delete()`` would do, were it not for us: nothing goes
    with its rows, and nobody else listens. None otherwise, and where Django refuses to delete."""
    query = queryset.query
    refused = query.is_sliced or query.distinct_fields or query.combinator or queryset._fields is not None  # type: ignore[attr-defined]
    if refused or not is_watched(queryset.model):
        return None
    rows: Any = queryset.order_by().select_related(None)
    rows.query.select_for_update = False
    rows._for_write = True
    return rows if _WithoutUs(using=rows.db, origin=queryset).can_fast_delete(rows) else None


class _WithoutUs(Collector):
    def _has_signal_listeners(self, model: type[Model]) -> bool:
        return any(_others_listen(signal, model) for signal in (pre_delete, post_delete))


def _others_listen(signal: ModelSignal, model: type[Model]) -> bool:
    senders = (id(None), id(model))
    keys = (key for key, *_ in signal.receivers)
    return any(sender in senders and not str(name).startswith(NAME) for name, sender in keys)
