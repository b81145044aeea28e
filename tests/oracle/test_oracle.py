"""After every commit, whatever was written: the document is what the serializer gives, and so is what followers hold.

A failure prints the seed and the writes. ``RXCRDT_ORACLE_RUNS`` runs more seeds than the usual ones.
"""

from __future__ import annotations

import os

import pytest

from rxcrdt import documents
from rxcrdt.snapshots import serialized, snapshot
from rxcrdt.values import difference
from tests.oracle.following import Follower, comparable
from tests.oracle.operations import Writer
from tests.testapp.models import Library

RUNS = int(os.environ.get("RXCRDT_ORACLE_RUNS", "25"))
FIRST = int(os.environ.get("RXCRDT_ORACLE_FIRST", "0"))
TRANSACTIONS = 25


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + RUNS))
def test_the_document_is_what_the_serializer_gives_after_every_commit(seed: int) -> None:
    writer = Writer(seed)
    writer.populate()
    followers = {pk: Follower(f"library/{pk}") for pk in Library.objects.values_list("pk", flat=True)}
    try:
        for _ in range(TRANSACTIONS):
            start = len(writer.log)
            writer.transaction()
            for pk, follower in followers.items():
                expected = comparable(serialized("library", pk))
                for what, found in (("the document", snapshot("library", pk)), ("a follower", follower.state)):
                    problem = difference(comparable(found), expected)
                    steps = "\n".join(writer.log[start:])
                    assert problem is None, f"seed {seed}: {what} of library {pk} differs: {problem}\nafter\n{steps}"
    finally:
        for follower in followers.values():
            follower.close()
    for follower in followers.values():
        sequences = [position.sequence for position in follower.positions]
        assert sequences == list(range(1, len(sequences) + 1)), "an entry was left out, repeated or out of order"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(1, RUNS // 5)))
def test_a_document_built_anew_is_the_one_that_grew(seed: int) -> None:
    writer = Writer(1000 + seed)
    writer.populate()
    pk = Library.objects.values_list("pk", flat=True)[0]
    snapshot("library", pk)
    for _ in range(TRANSACTIONS):
        writer.transaction()
    grown = snapshot("library", pk)
    documents.get(f"library/{pk}").discard()
    assert difference(comparable(grown), comparable(snapshot("library", pk))) is None
