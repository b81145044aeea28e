"""``RXCRDT["INLINE"] = False``: writers do not wait for documents, and documents lack nothing in the end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import TestCase, override_settings

from rxcrdt import conf, deferring, documents, workers
from rxcrdt.backlog import backlog
from rxcrdt.denormalize import denormalize
from rxcrdt.snapshots import compare, snapshot
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.models import Library, Shelf
from ydoc_store import StoreUnavailable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store() -> Iterator[Interposed]:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    with override_settings(RXCRDT={**settings.RXCRDT, "INLINE": False, "RETRY_SECONDS": 0.05}):
        yield interposed
        assert workers.wait_for_background(10)


@pytest.fixture
def follower() -> Iterator[Follower]:
    library = Library.objects.create(name="first")
    follower = Follower(f"library/{library.pk}")
    yield follower
    follower.close()


def rename(name: str) -> None:
    library = Library.objects.get()
    library.name = name
    library.save()


class Held:
    """The store's answer to one call, until ``release``."""

    def __init__(self, store: Interposed, method: str):
        self.begun, self._go_on = threading.Event(), threading.Event()
        store.before(method, self._hold)

    def _hold(self) -> None:
        self.begun.set()
        assert self._go_on.wait(10)

    def release(self) -> None:
        self._go_on.set()
        assert workers.wait_for_background(10)


def title(follower: Follower) -> Any:
    assert follower.state is not None
    return follower.state["title"]


def test_a_save_returns_before_documents_show_it(store: Interposed, follower: Follower) -> None:
    held = Held(store, "documents_of")
    rename("second")
    assert held.begun.wait(10)
    assert title(follower) == "first"
    held.release()
    assert title(follower) == "second"


def test_so_does_a_transaction_and_what_is_rolled_back_is_never_shown(store: Interposed, follower: Follower) -> None:
    held = Held(store, "documents_of")
    with transaction.atomic():
        rename("second")
        savepoint = transaction.savepoint()
        rename("third")
        transaction.savepoint_rollback(savepoint)
    assert title(follower) == "first"
    held.release()
    assert title(follower) == "second"


def test_what_waits_is_flushed_together(store: Interposed, follower: Follower) -> None:
    held = Held(store, "documents_of")
    rename("second")
    assert held.begun.wait(10)
    store.calls.clear()
    for number in range(20):
        rename(f"name {number}")
    before = len(follower.positions)
    held.release()
    assert title(follower) == "name 19"
    assert store.calls.count("documents_of") == 1
    assert len(follower.positions) - before <= 2


def test_a_writer_that_is_far_ahead_waits(
    store: Interposed, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a process that imports for hours would hold every row's name in memory."""
    monkeypatch.setattr(deferring, "MAX_WAITING", 5)
    library, here = Library.objects.get(), []
    held = Held(store, "documents_of")
    rename("second")
    assert held.begun.wait(10)
    for number in range(4):
        store.before("documents_of", lambda: here.append(threading.current_thread()))
        Shelf.objects.create(library=library, label=str(number))
    assert set(here) == {threading.main_thread()}
    held.release()
    assert compare("library", library.pk) is None


def test_a_store_that_is_away_for_a_moment(store: Interposed, follower: Follower) -> None:
    def fail() -> None:
        raise StoreUnavailable("gone for a moment")

    store.before("documents_of", fail)
    rename("second")
    assert follower.wait_until(lambda state: state is not None and state["title"] == "second", seconds=10)
    while not backlog.is_empty():
        threading.Event().wait(0.01)


def test_many_threads_save_and_every_save_is_shown(store: Interposed, follower: Follower) -> None:
    library = Library.objects.get()

    def write(number: int) -> None:
        for part in range(10):
            Shelf.objects.create(library=library, label=f"{number}.{part}")

    futures = [workers.submit(write, number) for number in range(4)]
    for future in futures:
        future.result(60)
    assert workers.wait_for_background(60)
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None


class OfATestCase(TestCase):
    """Nothing is ever committed, and no other thread sees it: flushed by whoever captures the hooks."""

    def test_it_is_flushed_where_it_was_written(self) -> None:
        with override_settings(RXCRDT={**settings.RXCRDT, "INLINE": False}):
            library = Library.objects.create(name="first")
            documents.open(f"library/{library.pk}")
            with self.captureOnCommitCallbacks(execute=True):
                rename("second")
            content = documents.get(f"library/{library.pk}").content()
        state = denormalize(*content)
        assert state is not None
        assert state["title"] == "second"


# Processes that end

WRITING = """
import os, sys, time
import django
from django.conf import settings
settings.RXCRDT["INLINE"] = False
django.setup()
from rxcrdt import conf, flushing
from tests.testapp.models import Library

def rename(name):
    row = Library.objects.get()
    row.name = name
    row.save()

flush = flushing.flush
def slowly(using, changes):
    time.sleep(0.3)
    flush(using, changes)
flushing.flush = slowly
"""
ENDING = "rename('second')\n"
KILLED = "rename('second')\nos._exit(9)\n"
FORKING = """
rename("of the parent")
if os.fork() == 0:
    time.sleep(1)
    rename("second")
    sys.exit()
os.wait()
"""


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[str]:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    with override_settings(RXCRDT={"STORE": url}):
        conf.use_store(None)
        yield url


@pytest.mark.parametrize("script", [ENDING, FORKING], ids=["ending", "forking"])
def test_a_process_that_ends_has_flushed(
    shared: str, follower: Follower, child_environment: dict[str, str], script: str
) -> None:
    run(script, shared, child_environment)
    follower.document.catch_up()
    assert title(follower) == "second"


def test_what_a_killed_process_did_not_flush_is_seen_at_the_next_comparison(
    shared: str, follower: Follower, child_environment: dict[str, str]
) -> None:
    run(KILLED, shared, child_environment, code=9)
    follower.document.catch_up()
    assert title(follower) == "first", "it was killed too late: this tests nothing"
    follower.document.reconcile()
    assert title(follower) == "second"


def run(script: str, store: str, environment: dict[str, str], *, code: int = 0) -> None:
    environment = {**environment, "RXCRDT_TEST_STORE": store}
    command = [sys.executable, "-c", WRITING + script]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "rxcrdt" not in done.stderr
