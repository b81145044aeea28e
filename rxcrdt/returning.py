"""Which rows an UPDATE or a DELETE has written, said by the statement itself: ``RETURNING``.

A query before it would not do: at READ COMMITTED a statement also writes rows that others have committed since that
query. Django does not ask for it, so it is put behind the statement on its way to the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.db import connections
from django.db.models import Model

__all__ = ["is_told", "returning"]

STATEMENTS = ("UPDATE ", "DELETE ")
FETCHED = 2000  # rows at a time

Rows: TypeAlias = "Iterator[tuple[Any, ...]]"


def is_told(model: type[Model], using: str) -> bool:
    """Whether the database can say what it wrote: PostgreSQL and SQLite, for models that are one table.

    A table that Django does not manage may be a view, of which nobody knows.
    """
    connection, meta = connections[using], model._meta
    able = connection.vendor == "postgresql" or (
        connection.vendor == "sqlite" and connection.features.can_return_columns_from_insert
    )
    own = all(field.model._meta.concrete_model is meta.concrete_model for field in meta.concrete_fields)
    return able and own and meta.managed


@contextmanager
def returning(model: type[Model], columns: Sequence[str], using: str, take: Callable[[Rows], None]) -> Iterator[None]:
    """Calls ``take`` with the primary key and these columns of each row that a statement inside wrote.

    They are those after an UPDATE, and those before a DELETE. ``take`` may leave rows, and must not raise.
    """
    statement = _Returning(model, columns, using, take)
    with connections[using].execute_wrapper(statement):
        yield


class _Returning:
    """For ``connection.execute_wrapper``."""

    def __init__(self, model: type[Model], columns: Sequence[str], using: str, take: Callable[[Rows], None]):
        meta = model._meta
        quote = connections[using].ops.quote_name
        fields: list[Any] = [*meta.pk_fields, *map(meta.get_field, columns)]
        self._cols = [field.get_col(meta.db_table) for field in fields]
        self._clause = ", ".join(quote(field.column) for field in fields)
        self._keys = len(meta.pk_fields)
        self._compiler = model._base_manager.using(using).query.get_compiler(using)
        self._take = take

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if many or not sql.startswith(STATEMENTS):
            return execute(sql, params, many, context)
        result = execute(f"{sql} RETURNING {self._clause}", params, many, context)
        cursor = context["cursor"]
        self._take(self._rows(cursor))
        cursor.fetchall()  # what was left: until then SQLite does not say how many there were
        return result

    def _rows(self, cursor: Any) -> Rows:
        converters = self._compiler.get_converters(self._cols)
        while raw := cursor.fetchmany(FETCHED):
            for row in self._compiler.apply_converters(raw, converters) if converters else raw:
                key = row[0] if self._keys == 1 else tuple(row[: self._keys])
                yield (key, *row[self._keys :])
