"""Random calls: the Redis store does what a model of one page does, on one server and on a cluster."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.redis_urls import own_store
from ydoc_store import DocStore, open_store
from ydoc_store.testing.machine import StoreMachine

pytestmark = pytest.mark.redis


class RedisMachine(StoreMachine):
    url = ""

    def open(self) -> DocStore:
        return open_store(own_store(self.url))


class ClusterMachine(RedisMachine):
    pass


@pytest.fixture(autouse=True, scope="module")
def _urls(redis_url: str, redis_cluster_url: str) -> None:
    RedisMachine.url, ClusterMachine.url = redis_url, redis_cluster_url


TestRedis = RedisMachine.TestCase
TestRedis.settings = settings(max_examples=25, stateful_step_count=40, deadline=None, print_blob=True)
TestCluster = ClusterMachine.TestCase
TestCluster.settings = settings(max_examples=10, stateful_step_count=40, deadline=None, print_blob=True)
