"""While a document is projected, rows are read where they are written: a replica may not have yet what is told of.

Querysets that are named a database read there in any case. But Django asks the project's routers again for every
relation that is prefetched or followed, and a router that spreads reads would send those to a replica.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import router
from django.db.models import Model

__all__ = ["reading_where_written"]

_active: ContextVar[bool] = ContextVar("rxcrdt_reading_where_written", default=False)


class _WhereWritten:
    """A router that stands before the project's own and has no opinion but while a document is projected."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return router.db_for_write(model, **hints) if _active.get() else None


_where_written = _WhereWritten()


@contextmanager
def reading_where_written() -> Iterator[None]:
    """Inside, whoever leaves it to the routers reads a model where the routers would write it."""
    if router.routers and _where_written not in router.routers:  # without routers Django stays with the row's database
        router.routers.insert(0, _where_written)
    before = _active.set(True)
    try:
        yield
    finally:
        _active.reset(before)
