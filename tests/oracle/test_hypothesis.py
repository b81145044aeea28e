"""The oracle once more, with hypothesis making every choice: what it finds is made small, and can be repeated."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from rxcrdt.snapshots import serialized, snapshot
from rxcrdt.testing import own_store
from rxcrdt.values import difference
from tests.oracle.following import Follower, comparable
from tests.oracle.operations import CREATED, Writer
from tests.testapp.models import Library

EXAMPLES = int(os.environ.get("RXCRDT_ORACLE_EXAMPLES", "30"))


def _empty() -> None:
    """Rows of the example before: deleted without signals, as if they had never been."""
    with connection.cursor() as cursor:
        tables = [model._meta.db_table for model in CREATED]
        tables += [field.m2m_db_table() for model in CREATED for field in model._meta.local_many_to_many]
        with connection.constraint_checks_disabled():
            for statement in connection.ops.sql_flush(_no_style(), list(dict.fromkeys(tables)), allow_cascade=True):
                cursor.execute(statement)


def _no_style() -> Any:
    from django.core.management.color import no_style

    return no_style()


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(choices=st.randoms(use_true_random=False), transactions=st.integers(15, 25))
def test_after_every_commit_document_followers_and_serializer_agree(choices: random.Random, transactions: int) -> None:
    _empty()
    writer = Writer(choices)
    with own_store():
        writer.populate()
        followers = {pk: Follower(f"library/{pk}") for pk in Library.objects.values_list("pk", flat=True)}
        try:
            for _ in range(transactions):
                writer.transaction()
                for pk, follower in followers.items():
                    expected = comparable(serialized("library", pk))
                    states = (comparable(snapshot("library", pk)), comparable(follower.state))
                    found = next(filter(None, (difference(state, expected) for state in states)), None)
                    if found:
                        note("\n".join(writer.log))
                    assert found is None
        finally:
            for follower in followers.values():
                follower.close()
