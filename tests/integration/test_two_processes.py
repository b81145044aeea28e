"""Two processes save the same rows at once: the log has no gap, no race is lost, and the document is the database's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

from rxcrdt import conf, documents
from rxcrdt.snapshots import compare
from tests.oracle.following import Follower
from tests.testapp.models import Book, Library, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

ROWS, ROUNDS = 20, int(os.environ.get("RXCRDT_HAMMER_ROUNDS", "300"))


def test_two_processes_save_the_same_twenty_rows_three_hundred_times_each(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    library = Library.objects.create(name="hammered")
    shelves = [Shelf.objects.create(library=library, label=str(number)) for number in range(2)]
    for number in range(ROWS):
        Book.objects.create(shelf=shelves[number % 2], title=str(number), position=number)
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    with override_settings(RXCRDT={"STORE": url}):
        conf.use_store(None)
        follower = Follower(f"library/{library.pk}")
        first = follower.document.position
        assert first is not None
        command = [sys.executable, "-m", "tests.integration.hammer"]
        environment = {**child_environment, "RXCRDT_TEST_STORE": url}
        processes = [
            subprocess.Popen([*command, str(seed), str(ROUNDS)], env=environment, stderr=subprocess.PIPE)
            for seed in (1, 2)
        ]
        while any(process.poll() is None for process in processes):
            follower.document.catch_up()
            threading.Event().wait(0.02)  # a poll of the log, as a room's: not a busy loop on two cores
        errors = [process.communicate()[1].decode() for process in processes]
        assert [process.returncode for process in processes] == [0, 0], errors
        follower.document.catch_up()

        log = conf.store().load(follower.document.log)
        assert log is not None
        assert log.epoch == first.epoch
        assert [entry.position.sequence for entry in log.entries] == list(range(log.at + 1, log.head.sequence + 1))
        assert follower.positions[-1] == log.head
        sequences = [position.sequence for position in follower.positions]
        assert sequences == sorted(set(sequences))
        assert compare("library", library.pk) is None
        assert follower.state == documents_state(follower)
        documents.forget_all()
        output = StringIO()
        call_command("rxcrdt", "verify", stdout=output, stderr=output)
        follower.document.unsubscribe(follower)


def documents_state(follower: Follower) -> object:
    """What a process that starts now reads out of the store."""
    documents.forget_all()
    fresh = Follower(follower.document.name)
    state = fresh.state
    fresh.close()
    return state
