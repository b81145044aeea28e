"""Rows out of the database: in one snapshot, through the anchor's own querysets, never a query a row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.db import connections, transaction
from django.db.models import Model, Prefetch, prefetch_related_objects

from rxcrdt.anchors import NOT_FOUND
from rxcrdt.context import projecting
from rxcrdt.keys import pk_of
from rxcrdt.layers import Plan, PlannedLayer, Relation
from rxcrdt.prefetches import once, prefixed

__all__ = ["CHUNK", "NeedsSnapshot", "Reader", "one_snapshot", "reading"]

CHUNK = 500  # keys a query; SQLite allows 999 variables where Django asks it

Lookups: TypeAlias = "Sequence[str | Prefetch[Any]]"


class NeedsSnapshot(Exception):
    """A second query is needed, and the first was not made inside of a snapshot: begin again, in one."""


@contextmanager
def one_snapshot(using: str) -> Iterator[None]:
    """All queries inside see the database at one moment. Inside of somebody's transaction: as that sees it."""
    connection = connections[using]
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(using=using, durable=True):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


class Reader:
    """Reads what a plan's layers show, from one database. For one thread and one pass."""

    def __init__(self, plan: Plan, using: str, *, in_snapshot: bool):
        self.plan = plan
        self.using = using
        self._unlimited = in_snapshot
        self._asked = 0

    def _ask(self, queries: int) -> None:
        self._asked += queries
        if self._asked > 1 and not self._unlimited:
            raise NeedsSnapshot

    def whole(self, field: str, value: Any) -> Model | None:
        """The root row with everything that its document shows; None if the anchor's queryset lacks it."""
        self._ask(1 + len(self.plan.lookups))
        queryset = self.plan.anchor.base_queryset().using(self.using)
        lookups = queryset._prefetch_related_lookups  # type: ignore[attr-defined]
        try:
            row: Model = queryset.prefetch_related(None).get(**{field: value})
        except NOT_FOUND:
            return None
        # Not in the ``try``: what goes wrong in a Prefetch does not mean that there is no such row.
        prefetch_related_objects([row], *lookups, *self.plan.lookups)
        return row

    def rows(self, layer: PlannedLayer, keys: Collection[str]) -> list[Model]:
        """The layer's rows of these node keys, in the order of its queryset; those that are gone are left out."""
        assert layer.queryset is not None
        queryset = layer.queryset.using(self.using)
        found: list[Model] = []
        wanted = [pk_of(layer.model, key) for key in keys]
        for start in range(0, len(wanted), CHUNK):
            self._ask(1)
            found.extend(queryset.filter(pk__in=wanted[start : start + CHUNK]))
        return found

    def prepare(self, layer: PlannedLayer, rows: Sequence[Model]) -> None:
        """Reads what the layer's plain fields show of other rows."""
        self._prefetch(rows, layer.lookups)

    def relation(self, relation: Relation, rows: Sequence[Model]) -> None:
        """Reads the rows that ``relation`` leads to from ``rows``, anew."""
        if relation.lookup is not None:
            for row in rows:
                _forget(row, relation.field.source_attrs[0])
            self._prefetch(rows, relation.lookups)
        elif relation.opaque and rows:
            self._ask(2)  # whatever the property asks

    def below(self, layer: PlannedLayer, rows: Sequence[Model]) -> None:
        """Reads all that lies under ``rows``, which are new to the document."""
        self._prefetch(rows, self.lookups_below(layer))

    def lookups_below(self, layer: PlannedLayer) -> list[str | Prefetch[Any]]:
        """What ``below`` prefetches for rows of ``layer``."""
        lookups: list[str | Prefetch[Any]] = list(layer.lookups)
        for relation in layer.relations.values():
            if relation.opaque:
                continue
            lookups.extend(relation.lookups)
            prefix = "__".join(relation.field.source_attrs)
            for inner in self.lookups_below(self.plan.layers[relation.child]):
                lookups.append(prefixed(prefix, inner))
        return once(lookups)

    def _prefetch(self, rows: Sequence[Model], lookups: Lookups) -> None:
        if rows and lookups:
            self._ask(len(lookups))
            prefetch_related_objects(list(rows), *lookups)

    def bare(self, layer: PlannedLayer, keys: Iterable[str]) -> list[Model]:
        """Rows that hold their primary key only, without a query: enough for what points at it."""
        pk = layer.model._meta.pk
        assert pk is not None
        return [layer.model.from_db(self.using, [pk.attname], [pk_of(layer.model, key)]) for key in keys]


def _forget(row: Model, name: str) -> None:
    getattr(row, "_prefetched_objects_cache", {}).pop(name, None)
    row._state.fields_cache.pop(name, None)


@contextmanager
def reading(using: str) -> Iterator[None]:
    """One snapshot, and the project's own language and time zone."""
    with projecting(), one_snapshot(using):
        yield
