"""Random calls: memory, SQLite and Redis, in lock step, do what a model of one page does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from tests.redis_urls import own_store
from ydoc_store import DocStore, open_store
from ydoc_store.testing.machine import StoreMachine


class WithoutServerMachine(StoreMachine):
    def open_all(self) -> Sequence[DocStore]:
        self.folder = TemporaryDirectory()
        return [open_store("memory://"), open_store(f"sqlite:///{Path(self.folder.name)}/store.sqlite3")]

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


class AllMachine(WithoutServerMachine):
    url = ""

    def open_all(self) -> Sequence[DocStore]:
        return [*super().open_all(), open_store(own_store(self.url))]


class ClusterMachine(StoreMachine):
    url = ""

    def open(self) -> DocStore:
        return open_store(own_store(self.url))


@pytest.fixture(scope="module")
def _server(redis_url: str) -> None:
    AllMachine.url = redis_url


@pytest.fixture(scope="module")
def _cluster(redis_cluster_url: str) -> None:
    ClusterMachine.url = redis_cluster_url


TestWithoutServer = WithoutServerMachine.TestCase
TestWithoutServer.settings = settings(max_examples=15, stateful_step_count=40, deadline=None, print_blob=True)
TestAll = pytest.mark.redis(pytest.mark.usefixtures("_server")(AllMachine.TestCase))
TestAll.settings = settings(max_examples=50, stateful_step_count=40, deadline=None, print_blob=True)
TestCluster = pytest.mark.redis(pytest.mark.usefixtures("_cluster")(ClusterMachine.TestCase))
TestCluster.settings = settings(max_examples=10, stateful_step_count=40, deadline=None, print_blob=True)
