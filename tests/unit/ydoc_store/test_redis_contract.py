"""The Redis store keeps the contract, on one server and on a cluster of three."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_urls import own_store
from ydoc_store import DocStore, open_store
from ydoc_store.testing import StoreContract

pytestmark = pytest.mark.redis


class TestRedisStore(StoreContract):
    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[DocStore]:
        with open_store(own_store(redis_url)) as store:
            yield store


class TestRedisClusterStore(StoreContract):
    @pytest.fixture
    def store(self, redis_cluster_url: str) -> Iterator[DocStore]:
        with open_store(own_store(redis_cluster_url)) as store:
            yield store
