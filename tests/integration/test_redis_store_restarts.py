"""The Redis store when its server is killed, stopped, started again, busy, or replaced by a replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.servers import RedisServer, redis_server, running_redis_cluster
from ydoc_store import (
    EpochNotNewer,
    Lease,
    LeaseLost,
    Position,
    PositionLost,
    StoreUnavailable,
    redis_connections,
)
from ydoc_store.redis import RedisStore
from ydoc_store.testing.tools import DOC, PATIENCE, Background, append_all, begin, updates_of, wait_until

pytestmark = pytest.mark.redis

AOF = ("--appendonly", "yes", "--appendfsync", "always")
RDB = ("--save", "3600", "1")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@contextmanager
def asked(server: RedisServer) -> Iterator[Any]:
    """A client of Redis itself."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        yield client


def assert_lost(store: RedisStore, name: str = DOC) -> None:
    assert store.load(name) is None
    assert store.heads([name]) == {}
    with pytest.raises(PositionLost, match="Begin a new lineage"):
        store.since(name, Position(1, 2))
    with pytest.raises(PositionLost, match="Begin a new lineage"):
        store.append(name, b"3", expect=Position(1, 2))
    with pytest.raises(PositionLost, match="Begin a new lineage"):
        store.compact(name, b"", at=Position(1, 2))
    lease = store.lease(name, since=Position(1, 2), seconds=30, wait=PATIENCE)
    assert (lease.log, lease.missed) == (None, ())
    store.release(name, lease.token)


# Restarts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("options", [AOF, RDB], ids=["aof", "rdb"])
def test_a_log_from_before_a_restart_is_lost_whatever_redis_kept_of_it(options: tuple[str, ...], how: str) -> None:
    """It may have lost its end, and nobody can tell: positions that somebody remembers would mean other entries."""
    with redis_server(options=options) as server, RedisStore(server.url) as store:
        begin(store, rows=["row"])
        append_all(store, [b"1", b"2"])
        incarnation = store.incarnation()
        with asked(server) as client:
            client.save()
        getattr(server, how)()
        server.start()
        assert store.incarnation() != incarnation
        assert_lost(store)
        assert list(store.names()) == [DOC]
        assert store.documents_of(["row"]) == {"row": frozenset({DOC})}
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        with pytest.raises(EpochNotNewer):
            store.begin(DOC, epoch=1, snapshot=b"", rows=(), lease=lease.token)
        store.release(DOC, lease.token)
        assert begin(store, epoch=2) == Position(2, 0)
        append_all(store, [b"a"])
        assert updates_of(store) == [b"a"]


def test_a_new_process_does_not_take_up_a_log_from_before_a_restart() -> None:
    with redis_server(options=AOF) as server:
        with RedisStore(server.url) as store:
            begin(store)
            append_all(store, [b"1", b"2"])
        server.kill()
        server.start()
        with RedisStore(server.url) as store:
            assert_lost(store)


def test_without_persistence_a_restart_leaves_an_empty_store(server: RedisServer) -> None:
    with RedisStore(server.url) as store:
        begin(store, rows=["row"])
        incarnation = store.incarnation()
        server.kill()
        server.start()
        assert store.incarnation() != incarnation
        assert (store.load(DOC), list(store.names()), store.rows(DOC)) == (None, [], set())
        with pytest.raises(PositionLost, match="no log"):
            store.append(DOC, b"1", expect=Position(1, 0))
        begin(store)


def test_a_flush_of_all_data_is_another_incarnation(server: RedisServer) -> None:
    with RedisStore(server.url) as store:
        begin(store)
        incarnation = store.incarnation()
        with asked(server) as client:
            client.flushall()
        assert store.incarnation() != incarnation
        assert store.load(DOC) is None


def test_a_server_that_is_away_is_named_and_the_store_works_once_it_is_back(server: RedisServer) -> None:
    with RedisStore(server.url) as store:
        begin(store)
        server.kill()
        with pytest.raises(StoreUnavailable, match=rf"append to 'board/1'.*127\.0\.0\.1:{server.port}.*Is it running"):
            store.append(DOC, b"1", expect=Position(1, 0))
        with pytest.raises(StoreUnavailable, match=r"tries\).*Is it running") as unavailable:
            store.load(DOC)
        assert isinstance(unavailable.value.__cause__, Exception)
        with pytest.raises(StoreUnavailable):
            store.pulse()
        server.start()
        begin(store)
        append_all(store, [b"1"])


def test_calls_that_may_be_repeated_bridge_a_short_restart(server: RedisServer) -> None:
    with RedisStore(server.url) as store:
        store.head(DOC)
        server.kill()
        reading = Background(lambda: store.documents_of(["row"]))
        server.start()
        assert reading.result() == {}


def test_who_waits_for_a_lease_waits_on_over_a_restart(server: RedisServer) -> None:
    with RedisStore(server.url) as store:
        begin(store)
        held = store.lease(DOC, since=None, seconds=60, wait=0)

        def wait() -> Lease:
            return store.lease(DOC, since=None, seconds=60, wait=PATIENCE)

        waiting = Background(wait)
        with asked(server) as client:
            wait_until(lambda: bool(client.execute_command("HLEN", store._keys.of(DOC).lease) > 4))
        server.kill()
        server.start()
        assert waiting.result().log is None  # nothing was kept: neither the lease nor the log
        with pytest.raises(LeaseLost):
            store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=held.token)


# Connections that redis-py opens again by itself -----------------------------------------------------------


def close_behind_its_back(store: RedisStore) -> None:
    """As other threads do, through redis-py, when they look at the nodes of a cluster anew."""
    connections = [lent.connection for idle in store._client._connections._idle.values() for lent in idle]
    assert connections
    for connection in connections:
        connection.disconnect()


@pytest.fixture
def believes_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if everything happened within milliseconds."""
    monkeypatch.setattr(redis_connections, "_FRESH_SECONDS", 60.0)
    monkeypatch.setattr(redis_connections, "_LIFE_SECONDS", 60.0)


@pytest.mark.usefixtures("believes_for_long")
def test_a_connection_that_leads_to_another_life_carries_nothing_from_before() -> None:
    with redis_server(options=AOF) as server, RedisStore(server.url) as store:
        begin(store)
        append_all(store, [b"1", b"2"])
        server.kill()
        server.start()
        close_behind_its_back(store)
        assert_lost(store)


@pytest.mark.usefixtures("believes_for_long")
def test_an_append_over_a_connection_that_somebody_closed_is_sent_over_another(server: RedisServer) -> None:
    with RedisStore(server.url) as store:
        begin(store)
        close_behind_its_back(store)
        append_all(store, [b"1"])
        close_behind_its_back(store)
        store.append(DOC, b"2", expect=Position(1, 1))
        assert updates_of(store) == [b"1", b"2"]


def test_a_lease_of_another_life_keeps_nobody_waiting() -> None:
    """What its holder meant to continue is gone."""
    with redis_server(options=AOF) as server, RedisStore(server.url) as store:
        begin(store)
        held = store.lease(DOC, since=None, seconds=3600, wait=0)
        server.kill()
        server.start()
        lease = store.lease(DOC, since=Position(1, 0), seconds=30, wait=PATIENCE)
        assert lease.log is None
        with pytest.raises(LeaseLost):
            store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=held.token)
        assert store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=lease.token) == Position(2, 0)


# Time-outs --------------------------------------------------------------------------------------------------


@contextmanager
def busy(server: RedisServer, seconds: float) -> Iterator[None]:
    """Redis does nothing else for a while."""
    with redis.Redis(port=server.port) as client:
        connection: Any = client.connection_pool.get_connection()
        connection.send_command("DEBUG", "SLEEP", str(seconds))
        yield
        connection.read_response()
        client.connection_pool.release(connection)


def test_an_append_that_got_no_answer_is_not_repeated(server: RedisServer) -> None:
    """Whether it is in the log is open. Here it is: Redis had received it, and ran it as soon as it could."""
    with RedisStore(f"{server.url}?socket_timeout=0.3") as store:
        begin(store)
        append_all(store, [b"1"])
        with busy(server, 0.8), pytest.raises(StoreUnavailable, match=r"did not answer within 0\.3 s.*socket_timeout"):
            store.append(DOC, b"2", expect=Position(1, 1))
        assert updates_of(store) == [b"1", b"2"]


def test_a_read_that_got_no_answer_is_repeated(server: RedisServer) -> None:
    with RedisStore(f"{server.url}?socket_timeout=0.3") as store:
        begin(store)
        with busy(server, 0.4):
            assert store.head(DOC) == Position(1, 0)


def test_a_lease_that_got_no_answer_is_asked_for_again_and_is_the_same(server: RedisServer) -> None:
    with RedisStore(f"{server.url}?socket_timeout=0.3") as store:
        begin(store)
        with busy(server, 0.4):
            lease = store.lease(DOC, since=Position(1, 0), seconds=60, wait=0)
        assert store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token) == Position(1, 1)


# Replicas ---------------------------------------------------------------------------------------------------


@contextmanager
def with_replica(server: RedisServer) -> Iterator[RedisServer]:
    with redis_server(options=["--replicaof", "127.0.0.1", str(server.port)]) as replica, asked(replica) as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        yield replica


def test_a_replica_takes_no_writes_and_says_where_they_go(server: RedisServer) -> None:
    with (
        with_replica(server) as replica,
        RedisStore(replica.url) as store,
        pytest.raises(StoreUnavailable, match="It is a replica: name the primary"),
    ):
        store.lease(DOC, since=None, seconds=30, wait=0)


def test_logs_are_lost_when_a_replica_takes_over(server: RedisServer) -> None:
    with with_replica(server) as replica, RedisStore(server.url) as store, asked(replica) as client:
        begin(store)
        append_all(store, [b"1", b"2"])
        wait_until(lambda: bool(client.exists(store._keys.of(DOC).log)))
        server.kill()
        client.replicaof("NO", "ONE")
        with RedisStore(replica.url) as after:
            assert_lost(after)


def test_logs_are_lost_when_the_first_primary_takes_over_again(server: RedisServer) -> None:
    """It never restarted, and its connections are open: but meanwhile it took over what the other one had."""
    with with_replica(server) as replica, RedisStore(server.url) as store, asked(server) as one, asked(replica) as two:
        wait_until(lambda: one.info("replication")["connected_slaves"] == 1)
        begin(store)
        append_all(store, [b"1", b"2"])
        wait_until(lambda: two.llen(store._keys.of(DOC).log) == 4)
        two.replicaof("NO", "ONE")
        one.replicaof("127.0.0.1", str(replica.port))
        wait_until(lambda: one.info("replication")["master_link_status"] == "up")
        one.replicaof("NO", "ONE")
        wait_until(lambda: store.head(DOC) is None)
        assert_lost(store)


# The cluster ------------------------------------------------------------------------------------------------


def test_when_a_node_of_a_cluster_restarts_the_logs_of_all_nodes_are_lost() -> None:
    """The index of their rows lay there, too: it may know too little, of documents on any node."""
    with running_redis_cluster(options=AOF) as servers, RedisStore(f"{servers[0].url}?cluster=true") as store:
        names = [f"board/{number}" for number in range(12)]
        for name in names:
            begin(store, name, rows=[f"row {number}" for number in range(30)])
            append_all(store, [b"1", b"2"], name)
        incarnation = store.incarnation()
        servers[1].kill()
        servers[1].start()
        with asked(servers[1]) as client:
            wait_until(lambda: client.cluster("info")["cluster_state"] == "ok")
        assert store.incarnation() != incarnation
        for name in names:
            assert_lost(store, name)
            begin(store, name, epoch=2)
            append_all(store, [b"a"], name)
        with RedisStore(store.url) as other:
            assert [updates_of(other, name) for name in names] == [[b"a"]] * 12


def test_keys_that_move_to_another_node_are_followed() -> None:
    """Two of them: one while it moves, one after it has moved."""
    with running_redis_cluster() as servers, RedisStore(f"{servers[0].url}?cluster=true") as store:
        names = [f"board/{number}" for number in range(40)]
        for name in names:
            store.add_rows(name, ["row"])
        with asked(servers[0]) as one, asked(servers[1]) as two:
            ids = [client.cluster("myid") for client in (one, two)]
            there = [name for name in names if owns(one, store._keys.of(name).rows)]
            for name in there:
                slot = one.cluster("keyslot", store._keys.of(name).rows)
                two.cluster("setslot", slot, "importing", ids[0])
                one.cluster("setslot", slot, "migrating", ids[1])
                one.migrate("127.0.0.1", servers[1].port, store._keys.of(name).rows, 0, 1000)
                assert store.rows(name) == {"row"}  # ASK
                for client in (one, two):
                    client.cluster("setslot", slot, "node", ids[1])
                assert store.rows(name) == {"row"}  # MOVED
        assert len(there) > 3
        assert [store.rows(name) for name in names] == [{"row"}] * 40


def owns(client: Any, key: bytes) -> bool:
    try:
        return bool(client.exists(key))
    except redis.ResponseError:
        return False
