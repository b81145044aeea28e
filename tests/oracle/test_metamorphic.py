"""What must make no difference to a document: how writes are grouped, how often it was saved, what was prefetched.

Each generated history is written to the same rows in several ways. Where a document was built anew, its content is that
of the one that grew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models, transaction

import rxcrdt
from rxcrdt import documents
from rxcrdt.exceptions import DocumentGone
from rxcrdt.registry import registry
from rxcrdt.snapshots import serialized, snapshot
from rxcrdt.testing import own_store
from rxcrdt.values import difference
from tests.oracle.fleet_writes import FleetWriter
from tests.oracle.following import Follower
from tests.oracle.schemas import build
from tests.oracle.trying import Case, draw_case, numbered

RUNS = int(os.environ.get("RXCRDT_ORACLE_RUNS", "25")) // 3
FIRST = int(os.environ.get("RXCRDT_ORACLE_FIRST", "0"))

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.oracle.urls")]

States = dict[str, Any]


@contextmanager
def _rows_as_before() -> Iterator[None]:
    """All rows, and the numbers that new ones get, are the same at each entry."""
    FleetWriter().empty()
    tables = [model._meta.db_table for model in FleetWriter.tables()]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_by_name_sql(_plain(), _sequences(tables)):
            cursor.execute(statement)
    yield


def _plain() -> Any:
    from django.core.management.color import no_style

    return no_style()


def _sequences(tables: list[str]) -> list[dict[str, str | None]]:
    return [{"table": table, "column": "id"} for table in tables if _has_number(table)]


def _has_number(table: str) -> bool:
    keys = {model._meta.db_table: model._meta.pk for model in FleetWriter.tables()}
    return isinstance(keys[table], models.AutoField)


def _states(case: Case, write: Callable[[FleetWriter, Case], None]) -> States:
    """What the case's documents come to when ``write`` has written its history."""
    with _rows_as_before(), own_store():
        writer = FleetWriter()
        anchor = registry.register(build(case.schema, numbered()))
        try:
            writer.populate(case.rows)
            followers = list(_followers(anchor))
            write(writer, case)
            found = {name.partition("/")[2]: _state(name) for name in (f.document.name for f in followers)}
            for follower in followers:
                follower.close()
            return found
        finally:
            registry.unregister(anchor)


def _followers(anchor: type[rxcrdt.Anchor]) -> Iterator[Follower]:
    for row in anchor.model()._base_manager.order_by("pk")[:2]:
        try:
            yield Follower(anchor.document_name(row))
        except DocumentGone:
            continue


def _state(name: str) -> Any:
    anchor, value = name.split("/", 1)
    try:
        return snapshot(anchor, value)
    except DocumentGone:
        return None


def _as_it_comes(writer: FleetWriter, case: Case) -> None:
    for part in case.history:
        writer.write(part)


def _in_one(writer: FleetWriter, case: Case) -> None:
    with transaction.atomic():
        _as_it_comes(writer, case)


def _in_pairs(writer: FleetWriter, case: Case) -> None:
    for start in range(0, len(case.history), 2):
        with transaction.atomic():
            _as_it_comes(writer, replace(case, history=case.history[start : start + 2]))


def _with_more_saves(writer: FleetWriter, case: Case) -> None:
    """Every row is saved once more, as it is, in between."""
    for part in case.history:
        writer.write(part)
        with transaction.atomic():
            writer.save_all()


def _with_processes_that_end(writer: FleetWriter, case: Case) -> None:
    for part in case.history:
        writer.write(part)
        documents.forget_all()


@pytest.mark.parametrize("write", [_in_one, _in_pairs, _with_more_saves, _with_processes_that_end])
@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(1, RUNS // 3)))
def test_one_history_gives_one_document_however_it_is_written(seed: int, write: Callable[..., None]) -> None:
    ContentType.objects.clear_cache()
    case = draw_case(5000 + seed)
    expected, found = _states(case, _as_it_comes), _states(case, write)
    assert expected.keys() == found.keys()
    for name, state in expected.items():
        assert difference(found[name], state) is None, f"seed {seed}, {name}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + RUNS))
def test_what_is_prefetched_makes_no_difference(seed: int) -> None:
    """Prefetches without a queryset of their own, and ``select_related``, are about speed."""
    ContentType.objects.clear_cache()
    case = draw_case(6000 + seed)
    bare = replace(case, schema=replace(case.schema, prefetched=(), selected=()))
    expected, found = _states(case, _as_it_comes), _states(bare, _as_it_comes)
    for name, state in expected.items():
        assert difference(found[name], state) is None, f"seed {seed}, {name}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + RUNS))
def test_built_anew_it_is_what_it_had_become(seed: int) -> None:
    ContentType.objects.clear_cache()

    def build_anew(writer: FleetWriter, case: Case) -> None:
        _as_it_comes(writer, case)
        for anchor in registry:
            if not anchor.get_name().startswith("generated"):
                continue
            for row in anchor.base_queryset()[:2]:
                name = anchor.document_name(row)
                grown = snapshot(*name.split("/", 1))
                documents.get(name).discard()
                assert difference(snapshot(*name.split("/", 1)), grown) is None, f"seed {seed}, {name}"
                assert difference(serialized(*name.split("/", 1)), grown) is None, f"seed {seed}, {name}"

    _states(draw_case(7000 + seed), build_anew)
