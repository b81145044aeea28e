"""Writes of many rows at once, for which Django sends no signal: which rows they were, and to whom those belong.

Where a database says itself what a statement wrote (``rxcrdt.returning``), that takes no query.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from django.db.models import Model, QuerySet

from rxcrdt import tracking
from rxcrdt.changes import Changes
from rxcrdt.owners import Row, parts
from rxcrdt.returning import Rows, is_told, returning

__all__ = ["created", "delete", "rows_of", "update"]

FETCHED = 2000  # rows at a time

Write: TypeAlias = Callable[..., int]


def update(queryset: QuerySet[Any], values: dict[str, Any], write: Write) -> int:
    """``write(**values)``, which updates the queryset's rows, and reports them."""
    model, using = queryset.model, queryset.db
    if not tracking.is_watched(model):
        return write(**values)
    if not is_told(model, using):
        return _update_untold(queryset, values, lambda: write(**values))
    changes = _left(queryset, _attnames(model, values))
    return _told(model, using, changes, lambda: write(**values), gone=False)


def delete(queryset: QuerySet[Any], using: str, write: Write) -> int:
    """``write(using)``, which deletes the queryset's rows with one statement, and reports them."""
    model = queryset.model
    if not tracking.is_watched(model):
        return write(using)
    if is_told(model, using):
        return _told(model, using, Changes(), lambda: write(using), gone=True)
    changes = _changes(model, lambda: rows_of(queryset.using(using)), using, gone=True)
    count = write(using)
    tracking.note(using, lambda: changes)
    return count


def created(queryset: QuerySet[Any], rows: Sequence[Any], *, updated: Collection[str] | None) -> None:
    """Reports ``rows``, which ``bulk_create`` wrote. ``updated``: fields of rows that were there before; None if those
    were left as they were. Unless these fields say to whom a row belongs, the instance does not."""
    model, using = queryset.model, queryset.db
    if not tracking.is_watched(model):
        return
    columns = tracking.link_columns(model)

    def values() -> Iterator[Row]:
        yield from ((row.pk if row._is_pk_set() else None, *map(row.__dict__.get, columns)) for row in rows)
        if updated is not None and not _attnames(model, updated).issuperset(columns):
            yield from _now(model, (row.pk for row in rows if row._is_pk_set()), using)

    tracking.note(using, lambda: tracking.changes_of_rows(model, values(), using))


# Statements that say what they wrote


def _told(model: type[Model], using: str, changes: Changes, write: Callable[[], int], *, gone: bool) -> int:
    def take(rows: Rows) -> None:
        changes.update(_changes(model, lambda: rows, using, gone=gone))

    with returning(model, tracking.link_columns(model), using, take):
        count = write()
    tracking.note(using, lambda: changes)
    return count


def _left(queryset: QuerySet[Any], changed: set[str]) -> Changes:
    """What rows leave that nobody remembers afterwards: the names that they had, and what they joined."""
    model = queryset.model
    renamed = any(field.attname in changed for field in model._meta.pk_fields)
    parted = tracking.joins(model) and changed.intersection(tracking.link_columns(model))
    return _changes(model, lambda: rows_of(queryset), queryset.db) if renamed or parted else Changes()


# Others


def _update_untold(queryset: QuerySet[Any], values: dict[str, Any], write: Callable[[], int]) -> int:
    """Reads the rows that match before they are updated, and again after that if they may belong to others now."""
    model, using = queryset.model, queryset.db
    changed = _attnames(model, values)
    renaming = not changed.isdisjoint(field.attname for field in model._meta.pk_fields)
    moving = renaming or not changed.isdisjoint(tracking.link_columns(model))
    moved: list[Row] = []

    def before() -> Iterator[Row]:
        for row in rows_of(queryset):
            if moving:
                moved.append(row if renaming else row[:1])
            yield row

    def after() -> Iterable[Row]:
        return _renamed(model, moved, values) if renaming else _now(model, (row[0] for row in moved), using)

    changes = _changes(model, before, using)
    count = write()
    changes.update(_changes(model, after, using))
    tracking.note(using, lambda: changes)
    return count


def _renamed(model: type[Model], rows: Iterable[Row], values: dict[str, Any]) -> Iterator[Row]:
    """Rows whose primary key the update has changed: nobody knows to what, so that they are found through their owners.

    Where an expression has changed the owner too, nobody knows that one either.
    """
    given: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        for name in {field.name, field.attname} & values.keys():
            value = values[name]
            target: Any = getattr(field, "target_field", None)
            key = getattr(value, target.attname) if isinstance(value, Model) and target is not None else value
            given[field.attname] = None if hasattr(key, "resolve_expression") else key
    columns = tracking.link_columns(model)
    for row in rows:
        yield (None, *(given.get(column, old) for column, old in zip(columns, row[1:], strict=True)))


def _changes(model: type[Model], rows: Callable[[], Iterable[Row]], using: str, *, gone: bool = False) -> Changes:
    return tracking.quietly(using, lambda: tracking.changes_of_rows(model, rows(), using, gone=gone))


def _now(model: type[Model], keys: Iterable[Any], using: str) -> Iterator[Row]:
    """What the database has of these rows by now, 900 a query."""
    for part in parts(keys):
        yield from rows_of(model._base_manager.using(using).filter(pk__in=part))


def rows_of(queryset: QuerySet[Any]) -> Iterator[Row]:
    """The primary keys and link columns of its rows: one query, whose answer is never in memory as a whole."""
    rows = queryset if queryset.query.is_sliced else queryset.order_by()
    return rows.values_list("pk", *tracking.link_columns(queryset.model)).iterator(chunk_size=FETCHED)


def _attnames(model: type[Model], names: Iterable[str]) -> set[str]:
    """``shelf_id`` for ``shelf``. What is no field's name is left out: Django complains of it."""
    wanted = set(names)
    if "pk" in wanted:
        wanted.update(field.name for field in model._meta.pk_fields)
    return {field.attname for field in model._meta.concrete_fields if wanted & {field.name, field.attname}}
