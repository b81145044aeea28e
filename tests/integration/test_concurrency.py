"""Four processes write the same rows at once, each delayed at random wherever somebody may come in between.

``RXCRDT_SEED`` changes the choices, ``RXCRDT_TRANSACTIONS`` how many each makes. A seed repeats the choices; who comes
first also depends on what the machine does meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from rxcrdt import conf
from rxcrdt.snapshots import compare, serialized
from rxcrdt.values import difference
from tests.concurrency.writer import COUNTERS
from tests.oracle.following import Follower, comparable
from tests.oracle.operations import Writer
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import Position

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

SEED = int(os.environ.get("RXCRDT_SEED", "1"))
TRANSACTIONS = int(os.environ.get("RXCRDT_TRANSACTIONS", "100"))
PROCESSES = 4
#: SQLite has one writer at a time, and no levels.
LEVELS = (
    ["READ_COMMITTED", "SERIALIZABLE"]
    if os.environ.get("RXCRDT_TEST_DATABASE", "").startswith("postgresql")
    else ["SERIALIZABLE"]
)


class Watcher(Follower):
    """Sees every update of a document, and every number that became smaller."""

    def __init__(self, name: str):
        super().__init__(name)
        self.numbers: dict[int, int] = {}
        self.steps = 0
        self.stale: list[str] = []

    def deliver(self, position: Position, update: bytes) -> None:
        super().deliver(position, update)
        for shelf in (self.state or {}).get("shelves", ()):
            for book in shelf["books"]:
                self._look(position, book)

    def _look(self, position: Position, book: dict[str, Any]) -> None:
        if not book["title"].isdecimal():
            return  # of the other rows
        number, before = int(book["title"]), self.numbers.get(book["id"], 0)
        if number < before:
            self.stale.append(f"book {book['id']} went from {before} to {number} at {position}")
        self.steps += number != before
        self.numbers[book["id"]] = number


@pytest.fixture(params=["redis", "sqlite"])
def shared_store(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[str]:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    if request.param == "redis":
        url = f"{request.getfixturevalue('redis_url')}?prefix=concurrency-{os.getpid()}-{tmp_path.name}"
    with override_settings(RXCRDT={"STORE": url}):
        conf.use_store(None)
        yield url


@pytest.mark.parametrize("level", LEVELS)
def test_processes_that_write_at_once_leave_every_document_as_the_database_is(
    level: str, shared_store: str, child_environment: dict[str, str]
) -> None:
    Writer(SEED).populate()
    counters = Library.objects.create(name=COUNTERS)
    shelf = Shelf.objects.create(library=counters, label="numbers")
    for place in range(5):
        Book.objects.create(shelf=shelf, title="0", position=place)
    watchers = {pk: Watcher(f"library/{pk}") for pk in Library.objects.values_list("pk", flat=True)}
    watcher = watchers[counters.pk]

    reports = write_at_once({**child_environment, "RXCRDT_TEST_STORE": shared_store}, level, list(watchers.values()))

    assert [report["complaints"] for report in reports] == [[]] * PROCESSES
    done = sum((Counter(report["done"]) for report in reports), Counter[str]())
    counted = sum(int(title) for title in Book.objects.filter(shelf=shelf).values_list("title", flat=True))
    assert counted >= done["count"] > 0.2 * PROCESSES * TRANSACTIONS * 0.45, done
    assert watcher.stale == []
    assert watcher.steps > 0.2 * done["count"], "too few steps seen: this tests little"
    for pk, follower in watchers.items():
        problem = difference(comparable(follower.state), comparable(serialized("library", pk)))
        assert problem is None, f"seed {SEED}: library {pk}: {problem}; {done}"
        assert compare("library", pk) is None
        follower.close()


def write_at_once(environment: dict[str, str], level: str, followers: list[Watcher]) -> list[dict[str, Any]]:
    """Runs the processes, while the followers follow the logs as rooms do. Returns their reports."""
    with started(environment, level) as processes:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        with ThreadPoolExecutor(PROCESSES) as ending:
            outputs = [ending.submit(process.communicate, "\n") for process in processes]
            while not all(output.done() for output in outputs):
                for follower in followers:
                    follower.document.catch_up()
                wait(outputs, 0.01)
        assert [process.returncode for process in processes] == [0] * PROCESSES
    for follower in followers:
        follower.document.catch_up()
    return [json.loads(output.result()[0]) for output in outputs]


@contextmanager
def started(environment: dict[str, str], level: str) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.concurrency.writer"]
    processes = [
        subprocess.Popen(
            [*command, str(PROCESSES * SEED + number), str(TRANSACTIONS), level],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
        connection.close()
