"""Computed fields that read other rows and do not declare it: seen by evaluating them for a few rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - that is its name
from django.db import DatabaseError, transaction
from django.db.models import Model

from rxcrdt.anchors import Anchor
from rxcrdt.checks.messages import named
from rxcrdt.checks.settings import readable
from rxcrdt.exceptions import ProjectionError
from rxcrdt.layers import Plan, PlannedLayer, watched_plan
from rxcrdt.projection import Forest, Projector
from rxcrdt.reading import Reader, reading
from rxcrdt.registry import registry
from rxcrdt.undeclared import Read

__all__ = ["check_reads"]

logger = logging.getLogger("rxcrdt.checks")

ROWS = 5  # of each layer: a field may read more of one row than of another


def check_reads(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """For ``manage.py check --database``, which ``migrate`` does too: tables may not be there yet."""
    if not databases or not readable():
        return []
    return [message for anchor in registry for message in _check(anchor, databases)]


def _check(anchor: type[Anchor], databases: Sequence[str]) -> Iterator[CheckMessage]:
    try:
        using = anchor.base_queryset().db
        found = _reads(anchor, using) if using in databases else []
    except Exception as error:  # noqa: BLE001 - a serializer may raise anything; other checks and the log name it
        logger.debug("What %s reads cannot be looked at: %s", named(anchor), error)
        return
    if found:
        reads = [f"{read.layer}.{read.field} reads {read.model._meta.label}" for read in found]
        by_field = groupby(found, key=lambda read: (read.layer, read.field))
        ways = [f"{layer}.{field}: {_declaration(list(each))}" for (layer, field), each in by_field]
        yield Warning(
            f"Its documents do not follow what computed fields read: {'; '.join(reads)}.",
            hint=f"Declare it ({'; '.join(ways)}), or tell of such rows with rxcrdt.changed: see docs/fields.md.",
            obj=named(anchor),
            id="rxcrdt.W013",
        )


def _declaration(reads: list[Read]) -> str:
    paths = [f'"{"__".join(read.path)}"' for read in reads if read.path]
    return f"@depends_on({', '.join(paths)})" if paths else "no relation leads there"


def _reads(anchor: type[Anchor], using: str) -> list[Read]:
    """What the fields of a few rows of each layer read. Nothing that they write stays."""
    found: set[Read] = set()
    current = watched_plan(anchor, found.add)
    try:
        with reading(using), transaction.atomic(using=using):
            _evaluate(current, using)
            transaction.set_rollback(True, using=using)
    except DatabaseError as error:
        logger.debug("The rows of %s cannot be read: %s", named(anchor), error)
    return sorted(found, key=lambda read: (read.layer, read.field, read.model._meta.label))


def _evaluate(current: Plan, using: str) -> None:
    reader = Reader(current, using, in_snapshot=True)
    projector = Projector(current, reader.below)
    for layer in current.layers.values():
        assert layer.queryset is not None
        rows = list(layer.queryset.using(using)[:ROWS])
        reader.prepare(layer, rows)
        for row in rows:
            with suppress(ProjectionError):  # whatever is wrong with it is told where it is projected for good
                _evaluate_row(projector, layer, row)


def _evaluate_row(projector: Projector, layer: PlannedLayer, row: Model) -> None:
    forest = Forest()
    registers = projector.own(forest, layer, row)
    for relation in layer.relations.values():
        if relation.opaque:
            projector.relate(forest, registers, layer, relation, row)
