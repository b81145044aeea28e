"""What the Redis store says of servers that may lose something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from tests.servers import RedisServer, redis_server
from ydoc_store import Risk, StoreUnavailable, open_store
from ydoc_store.redis import RedisStore

pytestmark = pytest.mark.redis

SAVES = {"save": "3600 1"}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """It saves nothing, and evicts nothing."""
    with redis_server() as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis(port=server.port) as client:
        yield client


@contextmanager
def configured(client: Any, settings: dict[str, str]) -> Iterator[None]:
    before = {name: client.config_get(name)[name] for name in settings}
    for name, value in settings.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)


def risks_of(url: str) -> tuple[Risk, ...]:
    with RedisStore(url) as store:
        return store.risks()


@pytest.mark.parametrize("settings", [SAVES, {"appendonly": "yes"}], ids=["save points", "append-only file"])
def test_a_server_that_saves_and_evicts_nothing_is_no_risk(
    server: RedisServer, client: Any, settings: dict[str, str]
) -> None:
    with configured(client, settings):
        assert risks_of(server.url) == ()


def test_a_server_that_saves_nothing_says_what_a_restart_does(server: RedisServer) -> None:
    (risk,) = risks_of(server.url)
    assert risk.kind == "persistence"
    assert "a restart empties it" in risk.message
    assert "appendonly" in risk.hint


@pytest.mark.parametrize(
    ("policy", "consequence"),
    [("allkeys-lru", "documents are not told of changes"), ("volatile-ttl", "drops leases")],
)
def test_a_server_that_evicts_says_what_may_go(server: RedisServer, client: Any, policy: str, consequence: str) -> None:
    with configured(client, {**SAVES, "maxmemory-policy": policy}):
        (risk,) = risks_of(server.url)
    assert risk.kind == "eviction"
    assert policy in risk.message
    assert consequence in risk.message
    assert "noeviction" in risk.hint


def test_both_are_told_and_the_password_is_not(server: RedisServer, client: Any) -> None:
    with configured(client, {"requirepass": "s3cret", "maxmemory-policy": "allkeys-random"}):
        risks = risks_of(f"redis://:s3cret@{urlsplit(server.url).netloc}/0")
    assert [risk.kind for risk in risks] == ["eviction", "persistence"]
    assert "s3cret" not in str(risks)


def test_where_config_is_forbidden_what_it_would_tell_is_left_out(server: RedisServer, client: Any) -> None:
    rights = ["on", ">secret", "~*", "+@all", "-config"]
    client.execute_command("ACL", "SETUSER", "tenant", *rights)
    url = f"redis://tenant:secret@{urlsplit(server.url).netloc}/0"
    assert risks_of(url) == ()
    with configured(client, {"maxmemory-policy": "allkeys-lru"}):
        assert [risk.kind for risk in risks_of(url)] == ["eviction"]


def test_one_node_of_a_cluster_is_enough(redis_cluster_url: str) -> None:
    address = urlsplit(redis_cluster_url)
    with redis.RedisCluster(host=str(address.hostname), port=address.port or 0) as cluster:
        nodes = [cluster.get_redis_connection(node) for node in cluster.get_primaries()]
        for node in nodes:
            node.config_set("save", "3600 1")
        assert risks_of(redis_cluster_url) == ()
        nodes[1].config_set("maxmemory-policy", "allkeys-lfu")
        nodes[2].config_set("save", "")
        try:
            assert [risk.kind for risk in risks_of(redis_cluster_url)] == ["eviction", "persistence"]
        finally:
            nodes[1].config_set("maxmemory-policy", "noeviction")
            for node in nodes:
                node.config_set("save", "")


def test_a_server_that_is_away_cannot_be_asked() -> None:
    with redis_server() as server:
        pass
    with pytest.raises(StoreUnavailable, match="read how the server is set up"):
        risks_of(server.url)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///never-created.sqlite3"])
def test_stores_without_a_server_have_none(url: str) -> None:
    with open_store(url) as store:
        assert store.risks() == ()
