"""What the writing of many rows of a model means: their names, and to whom the columns say that they belong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from django.db.models import Model

from rxcrdt.changes import Changes, Linked
from rxcrdt.keys import row_key
from rxcrdt.paths import Link
from rxcrdt.watched import Watched

__all__ = ["PART", "Row", "changes_of", "parts"]

PART = 900  # rows that are looked at together: SQLite allows 999 variables a query

#: A row's primary key, which may be unknown, and the values of ``Watched.columns``.
Row: TypeAlias = Sequence[Any]

T = TypeVar("T")


def changes_of(watched: Watched, model: type[Model], rows: Iterable[Row], using: str, *, gone: bool = False) -> Changes:
    """As if each row had been saved, or deleted. No query, but for foreign keys with a ``to_field``: one for 900 rows.

    A row that the database has not told the key of is found through its owners.
    """
    total = Changes()
    for part in parts(rows):
        changes = Changes()
        keys = [None if row[0] is None else row_key(model, row[0]) for row in part]
        if model in watched.rows:
            (changes.gone if gone else changes.saved).update(key for key in keys if key is not None)
        for link in watched.links.get(model, ()):
            children = [None] * len(keys) if model in watched.through else keys
            changes.links.update(_linked(link, watched.columns(model), part, children, using))
        total.update(changes)
    return total


def _linked(
    link: Link, columns: Sequence[str], rows: Sequence[Row], children: Sequence[str | None], using: str
) -> Iterator[Linked]:
    values = _values(link, columns, rows, using)
    owners = link.owners_of({value for value in values if value is not None}, using)
    for value, child in zip(values, children, strict=True):
        owner = owners.get(value)
        if owner is not None:
            yield Linked(via=link.via, owner=owner, child=child)


def _values(link: Link, columns: Sequence[str], rows: Sequence[Row], using: str) -> list[Any]:
    place = 1 + columns.index(link.column)
    if link.type_column is None:
        return [row[place] for row in rows]
    kind, wanted = 1 + columns.index(link.type_column), link.content_type(using)
    return [row[place] if row[kind] == wanted else None for row in rows]


def parts(items: Iterable[T], size: int = PART) -> Iterator[list[T]]:
    """The items, ``size`` at a time."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
