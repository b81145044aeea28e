"""A truth id is never given twice: not after the store was lost, not by two at once, not with the clock set back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from rxcrdt import conf, documents, truth_ids
from rxcrdt.lineage import FIRST_TRUTH_ID, clock_id
from rxcrdt.models import TruthId
from rxcrdt.snapshots import compare
from tests.testapp.models import Library

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def read_only_database() -> Iterator[None]:
    on, off = {
        "sqlite": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
        "postgresql": ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(on)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(off)


@pytest.fixture
def clock_in_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth_ids, "clock_id", lambda after=0: max(FIRST_TRUTH_ID, after + 1))


def test_the_clock_says_which_and_the_database_remembers() -> None:
    before = clock_id()
    first = truth_ids.claim()
    assert before <= first <= clock_id()
    assert TruthId.objects.get().last == first
    assert truth_ids.claim(first + 10**6) == first + 10**6 + 1
    assert TruthId.objects.get().last == first + 10**6 + 1


def test_a_clock_that_was_set_back_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    last = truth_ids.claim()
    monkeypatch.setattr(truth_ids, "clock_id", lambda after=0: max(FIRST_TRUTH_ID, after + 1))
    assert [truth_ids.claim() for _ in range(3)] == [last + 1, last + 2, last + 3]


def test_a_document_whose_store_is_lost_begins_above_its_old_lineage(clock_in_1970: None) -> None:
    """The store forgot, and so did the process: only the database can know."""
    library = Library.objects.create(name="first")
    epochs = []
    for _ in range(3):
        document = documents.open(f"library/{library.pk}")
        assert document.position is not None
        epochs.append(document.position.epoch)
        conf.store().delete(document.log)
        documents.forget_all()
    assert epochs == sorted(set(epochs))


def test_many_at_once_get_one_each(clock_in_1970: None) -> None:
    def claim_some() -> list[int]:
        try:
            return [truth_ids.claim() for _ in range(10)]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        claimed = [each for some in [threads.submit(claim_some) for _ in range(4)] for each in some.result()]
    assert len(set(claimed)) == 40
    assert TruthId.objects.get().last == max(claimed)


def test_while_the_database_is_read_only_what_it_remembers_has_to_do(
    clock_in_1970: None, caplog: pytest.LogCaptureFixture
) -> None:
    last = truth_ids.claim()
    with read_only_database(), caplog.at_level(logging.WARNING, "rxcrdt"):
        assert truth_ids.claim() == last + 1
    assert "could not be kept in the database" in caplog.text


def test_a_project_that_was_not_migrated_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    library = Library.objects.create(name="first")
    with connection.schema_editor() as schema:
        schema.delete_model(TruthId)
    try:
        document = documents.open(f"library/{library.pk}")
    finally:
        with connection.schema_editor() as schema:
            schema.create_model(TruthId)
    assert "manage.py migrate rxcrdt" in caplog.text
    assert compare("library", library.pk) is None
    documents.close(document)


def test_the_migration_makes_what_the_model_says() -> None:
    output = StringIO()
    call_command("makemigrations", "rxcrdt", check=True, dry_run=True, stdout=output, stderr=output)
    assert "No changes detected" in output.getvalue()


def test_a_database_that_was_restored_knows_less_than_the_log(clock_in_1970: None) -> None:
    """From a backup, on a machine whose clock is wrong: what the process has seen counts too."""
    library = Library.objects.create(name="first")
    document = documents.open(f"library/{library.pk}")
    assert document.position is not None
    TruthId.objects.update(last=truth_ids.claim(FIRST_TRUTH_ID + 10**6))
    document.rebuild()
    before = document.position.epoch
    TruthId.objects.update(last=FIRST_TRUTH_ID)
    document.rebuild()
    assert document.position.epoch == before + 1
