"""The Redis store, with several processes on one server, and on one cluster."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.redis_urls import own_store
from ydoc_store import DocStore, open_store
from ydoc_store.testing.processes import OpenStore, ProcessContract

pytestmark = [pytest.mark.processes, pytest.mark.redis]


class TestRedisStoreProcesses(ProcessContract):
    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[DocStore]:
        with open_store(own_store(redis_url)) as store:
            yield store

    @pytest.fixture
    def open_again(self, store: DocStore) -> OpenStore:
        return partial(open_store, store.url)


class TestRedisClusterStoreProcesses(ProcessContract):
    @pytest.fixture
    def store(self, redis_cluster_url: str) -> Iterator[DocStore]:
        with open_store(own_store(redis_cluster_url)) as store:
            yield store

    @pytest.fixture
    def open_again(self, store: DocStore) -> OpenStore:
        return partial(open_store, store.url)
