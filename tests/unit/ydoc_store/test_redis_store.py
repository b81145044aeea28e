"""What is particular to the Redis store: its keys, its scripts, and servers that are not as they should be."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from tests.redis_urls import own_store
from tests.servers import RedisServer, redis_server
from ydoc_store import CorruptStore, LeaseTimeout, LogTooNew, Position, StoreUnavailable
from ydoc_store.redis import RedisStore
from ydoc_store.redis_keys import Keys
from ydoc_store.testing.tools import DOC, PATIENCE, Background, append_all, append_leased, begin, updates_of, wait_until

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One of this module's own: it is flushed and configured."""
    with redis_server(options=["--unixsocket", "redis.sock"]) as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis(port=server.port) as client:
        client.flushall()
        yield client


@pytest.fixture
def store(server: RedisServer, client: Any) -> Iterator[RedisStore]:
    with RedisStore(server.url) as store:
        yield store


@contextmanager
def configured(client: Any, **settings: str) -> Iterator[None]:
    before = {name: client.config_get(name)[name] for name in settings}
    for name, value in settings.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)


@contextmanager
def commands(client: Any) -> Iterator[dict[str, int]]:
    """How often Redis ran each command that came from outside or from a script."""
    client.config_resetstat()
    counted: dict[str, int] = {}
    yield counted
    for name, stats in client.info("commandstats").items():
        counted[name.removeprefix("cmdstat_")] = stats["calls"]


# Keys -------------------------------------------------------------------------------------------------------


def test_all_keys_begin_with_the_prefix_and_those_of_a_document_are_in_one_slot(
    client: Any, server: RedisServer
) -> None:
    with RedisStore(f"{server.url}?prefix=app1:") as store:
        for name in ("", "}", "{x}", "{}", "board/1", "a}b{c"):
            begin(store, name, rows=["row"])
            store.lease(name, since=None, seconds=30, wait=0)
            keys = (store._keys.of(name).log, store._keys.of(name).rows, store._keys.of(name).lease)
            assert len({redis.crc.key_slot(key) for key in keys}) == 1
            assert all(client.exists(key) for key in keys)
        store.incarnation()
        assert all(key.startswith(b"app1:") for key in client.scan_iter())


def test_stores_with_different_prefixes_know_nothing_of_each_other(client: Any, server: RedisServer) -> None:
    with RedisStore(f"{server.url}?prefix=a:") as one, RedisStore(f"{server.url}?prefix=b:") as two:
        begin(one, rows=["row"])
        assert (two.load(DOC), list(two.names()), two.documents_of(["row"])) == (None, [], {})


def test_a_deleted_document_leaves_no_key(store: RedisStore, client: Any) -> None:
    begin(store, rows=[f"row {number}" for number in range(2000)])
    append_leased(store, b"1", None)
    store.delete(DOC)
    assert client.keys() == []


def test_many_rows_are_kept_in_few_keys() -> None:
    """Small hashes are packed: 120 bytes a row, with its place among its document's rows; with a set for each, 360."""
    keys = {Keys(b"p:").bucket(b"boards.task:%d" % number) for number in range(100_000)}
    assert 16_000 < len(keys) <= 16_384


def test_a_row_takes_little_memory(store: RedisStore, client: Any) -> None:
    before = client.info("memory")["used_memory"]
    for number in range(40):
        store.add_rows(f"boards.board/{number}@3f9a1c02de", [f"boards.task:{number * 1000 + n}" for n in range(1000)])
    assert (client.info("memory")["used_memory"] - before) / 40_000 < 200


# Round trips ------------------------------------------------------------------------------------------------


def test_an_append_with_a_lease_and_known_rows_is_one_call(store: RedisStore, client: Any) -> None:
    begin(store, rows=["row"])
    lease = store.lease(DOC, since=None, seconds=60, wait=0)
    store.append(DOC, b"1", expect=Position(1, 0))
    with commands(client) as counted:
        store.append(DOC, b"2", expect=Position(1, 1), lease=lease.token, rows=["row"])
    assert (counted["evalsha"], counted.get("eval", 0)) == (1, 0)


def test_what_readers_ask_for_is_one_call(store: RedisStore, client: Any) -> None:
    begin(store, rows=["row"])
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(DOC),
        "since": lambda: store.since(DOC, Position(1, 0)),
        "heads": lambda: store.heads([f"board/{number}" for number in range(400)]),
        "usage": lambda: store.usage([f"board/{number}" for number in range(400)]),
        "touch": lambda: store.touch([f"board/{number}" for number in range(400)]),
        "documents_of": lambda: store.documents_of([f"row {number}" for number in range(1000)]),
    }
    for call in calls.values():
        call()
    for name, call in calls.items():
        with commands(client) as counted:
            call()
        assert (name, counted["evalsha"], counted.get("eval", 0)) == (name, 1, 0)


def test_the_unused_are_asked_for_page_by_page(store: RedisStore, client: Any) -> None:
    for number in range(30):
        begin(store, f"board/{number}")
    with commands(client) as counted:
        assert len(list(store.unused(-3600))) == 30
    assert counted["evalsha"] + counted.get("eval", 0) <= 2


def test_when_it_was_written_is_noted_at_most_once_a_second(store: RedisStore, client: Any) -> None:
    """It would cost each append a tenth more."""
    begin(store)
    with commands(client) as counted:
        append_all(store, [b"x"] * 50)
    assert counted["rpush"] == 50
    assert 1 <= counted["lset"] <= 5
    with RedisStore(store.url) as other, commands(client) as counted:
        append_all(other, [b"x"])
    assert counted["lset"] == 1


def test_scripts_that_redis_has_forgotten_are_sent_again(store: RedisStore, client: Any) -> None:
    begin(store)
    append_all(store, [b"1"])
    client.script_flush()
    store.append(DOC, b"2", expect=Position(1, 1))
    client.script_flush()
    assert store.heads([DOC, *(f"board/{number}" for number in range(2000))]) == {DOC: Position(1, 2)}
    assert updates_of(store) == [b"1", b"2"]


# What should not be there -----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [b"", b"nonsense", b"1 2", b"1 1 x a -", b"-1 1 0 a -", b"1 1 0 a - 1 2 3 4"])
def test_a_log_that_no_store_wrote_is_named_and_can_be_deleted(store: RedisStore, client: Any, header: bytes) -> None:
    begin(store)
    client.lset(store._keys.of(DOC).log, 0, header)
    for call in (
        lambda: store.load(DOC),
        lambda: store.since(DOC, Position(1, 0)),
        lambda: store.append(DOC, b"1", expect=Position(1, 0)),
        lambda: store.compact(DOC, b"", at=Position(1, 0)),
        lambda: store.size(DOC),
        lambda: store.lease(DOC, since=None, seconds=30, wait=0),
    ):
        with pytest.raises(CorruptStore, match=r"not a log.*delete the log 'board/1'"):
            call()
    begin(store, "healthy")
    assert store.heads([DOC, "healthy"]) == {"healthy": Position(1, 0)}
    store.delete(DOC)
    assert begin(store) == Position(1, 0)


@pytest.mark.parametrize("key", ["log", "rows", "lease"])
def test_a_key_of_another_type_is_named_and_changes_nothing(store: RedisStore, client: Any, key: str) -> None:
    begin(store, rows=["row"])
    taken = getattr(store._keys.of(DOC), key)
    client.delete(taken)
    client.set(taken, "Dear diary")
    calls: dict[str, Callable[[], object]] = {
        "log": lambda: store.load(DOC),
        "rows": lambda: store.append(DOC, b"1", expect=Position(1, 0), rows=["new"]),
        "lease": lambda: store.lease(DOC, since=None, seconds=30, wait=0),
    }
    with pytest.raises(CorruptStore, match=r"board/1|not a log"):
        calls[key]()
    assert client.get(taken) == b"Dear diary"
    if key != "log":
        assert updates_of(store) == []


def test_a_log_of_a_newer_version_is_left_alone(store: RedisStore, client: Any) -> None:
    begin(store)
    client.lset(store._keys.of(DOC).log, 0, b"2 whatever comes next")
    with pytest.raises(LogTooNew, match="Upgrade rxcrdt"):
        store.load(DOC)
    with pytest.raises(LogTooNew):
        store.lease(DOC, since=None, seconds=30, wait=0)
    assert client.lindex(store._keys.of(DOC).log, 0) == b"2 whatever comes next"


def test_without_memory_nothing_is_changed_and_it_says_so(store: RedisStore, client: Any) -> None:
    begin(store, rows=["row"])
    append_all(store, [b"1", b"2"])
    before = store.load(DOC)
    lease = store.lease(DOC, since=None, seconds=60, wait=0)
    with configured(client, maxmemory="100kb"):
        for call in (
            lambda: store.append(DOC, b"3", expect=Position(1, 2), lease=lease.token, rows=["row"]),
            lambda: store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=lease.token),
            lambda: store.compact(DOC, b"", at=Position(1, 1)),
            lambda: store.add_rows(DOC, ["new"]),
        ):
            with pytest.raises(StoreUnavailable, match="maxmemory: give it more"):
                call()
        assert store.load(DOC) == before
    assert store.append(DOC, b"3", expect=Position(1, 2), lease=lease.token) == Position(1, 3)


# Logging in -------------------------------------------------------------------------------------------------


def test_a_user_with_a_password_and_only_the_rights_that_it_needs(client: Any, server: RedisServer) -> None:
    rights = ["on", ">s@cret", "~ydoc:*", "+@read", "+@write", "+@connection", "+eval", "+evalsha", "+info", "+time"]
    client.execute_command("ACL", "SETUSER", "documents", *rights)
    address = urlsplit(server.url).netloc
    with RedisStore(f"redis://documents:s%40cret@{address}/0") as store:
        begin(store, rows=["row"])
        append_leased(store, b"1", None)
        assert list(store.names()) == [DOC]
        assert store.pulse() == store.pulse()
        assert store.incarnation() == store.incarnation()
        store.touch([DOC])
        assert store.usage([DOC]).keys() == set(store.unused(-3600)) == {DOC}
        assert store.risks() == ()
        store.delete(str(store.quarantine(DOC)))
        assert list(store.names()) == []
    with (
        RedisStore(f"redis://documents:s%40cret@{address}/0?prefix=elsewhere:") as store,
        pytest.raises(StoreUnavailable, match=r"Let the URL's user run .*prefix"),
    ):
        store.load(DOC)
    with (
        RedisStore(f"redis://documents:mistaken@{address}/0") as store,
        pytest.raises(StoreUnavailable, match="Check the user and the password") as refused,
    ):
        store.load(DOC)
    assert "mistaken" not in str(refused.value)


def test_a_server_that_asks_for_a_password(client: Any, server: RedisServer) -> None:
    with (
        configured(client, requirepass="secret"),
        RedisStore(server.url) as store,
        pytest.raises(StoreUnavailable, match="password"),
    ):
        store.load(DOC)


def test_a_unix_socket_and_a_database_number(client: Any, server: RedisServer) -> None:
    with RedisStore(f"unix://{server.folder}/redis.sock?db=3") as store, RedisStore(server.url) as other:
        begin(store)
        append_all(store, [b"1"])
        assert other.load(DOC) is None
        with RedisStore(server.url.replace("/0", "/3")) as same:
            assert updates_of(same) == [b"1"]


def test_a_node_of_a_cluster_says_that_it_is_one(redis_cluster_url: str) -> None:
    names = [f"board/{number}" for number in range(20)]
    with RedisStore(redis_cluster_url.partition("?")[0]) as store:
        with pytest.raises(StoreUnavailable, match="cluster=true"):
            store.heads(names)
        with pytest.raises(StoreUnavailable, match="cluster=true"):
            list(map(store.load, names))


def test_a_server_that_is_no_cluster_says_so(server: RedisServer) -> None:
    with RedisStore(f"{server.url}?cluster=true") as store, pytest.raises(StoreUnavailable, match=r"[Cc]luster"):
        store.load(DOC)


# Leases -----------------------------------------------------------------------------------------------------


def test_a_waiter_who_died_is_passed_over(store: RedisStore) -> None:
    """It is in line for a second after it last said that it lives; a living one says so again and again."""
    first = store.lease(DOC, since=None, seconds=60, wait=0)
    dead = store._leases._call(DOC, "token of a writer who was killed", None, 30, stay=True)
    assert store._client.call(dead)[0] == b"busy"
    store.release(DOC, first.token)
    with pytest.raises(LeaseTimeout, match="in line"):
        store.lease(DOC, since=None, seconds=30, wait=0)
    began = time.monotonic()
    store.lease(DOC, since=None, seconds=30, wait=PATIENCE)
    assert time.monotonic() - began < 5


def test_a_waiter_keeps_its_place_for_longer_than_a_dead_one_would(store: RedisStore) -> None:
    first = store.lease(DOC, since=None, seconds=60, wait=0)
    waiting = Background(lambda: store.lease(DOC, since=None, seconds=60, wait=20))
    with pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=60, wait=2.5)
    store.release(DOC, first.token)
    with pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=60, wait=0)
    waiting.result()


def test_a_waiter_is_told_and_does_not_keep_asking(store: RedisStore, client: Any) -> None:
    """Eight processes that ask again and again would keep Redis, and the holder, from their work."""
    held = store.lease(DOC, since=None, seconds=60, wait=0)
    waiting = Background(lambda: store.lease(DOC, since=None, seconds=60, wait=20))
    key = store._keys.of(DOC).lease
    wait_until(lambda: bool(client.hlen(key) > 4))
    with commands(client) as counted, pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=60, wait=1)
    assert counted["evalsha"] + counted.get("eval", 0) < 15
    with commands(client) as counted:
        store.release(DOC, held.token)
        waiting.result()
    assert counted["rpush"] == 1
    assert client.keys("*:lease:*") == []


def test_whoever_gives_up_lets_the_next_one_know(store: RedisStore, client: Any) -> None:
    """The first in line was told, and is gone before it took what it waited for."""
    held = store.lease(DOC, since=None, seconds=60, wait=0)
    first = store._leases._call(DOC, "first", None, 60, stay=True)
    assert store._client.call(first)[0] == b"busy"
    waiting = Background(lambda: store.lease(DOC, since=None, seconds=60, wait=20))
    wait_until(lambda: bool(client.hlen(store._keys.of(DOC).lease) > 5))
    store.release(DOC, held.token)
    assert client.exists(store._keys.of(DOC).lease + b":first")
    with commands(client) as counted:
        store._leases.release(DOC, "first")
        waiting.result()
    assert counted["rpush"] == 1


def test_leases_and_lines_end_by_themselves(store: RedisStore, client: Any) -> None:
    held = store.lease(DOC, since=None, seconds=30, wait=0)
    with pytest.raises(LeaseTimeout):
        store.lease(DOC, since=None, seconds=30, wait=0.05)
    assert client.hlen(store._keys.of(DOC).lease) == 4  # nobody is in line any more
    assert 0 < client.pttl(store._keys.of(DOC).lease) < 2 * 3600 * 1000
    store.release(DOC, held.token)
    assert not client.exists(store._keys.of(DOC).lease)


# Forks and threads ------------------------------------------------------------------------------------------


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def any_store(request: pytest.FixtureRequest) -> Iterator[RedisStore]:
    with RedisStore(own_store(request.getfixturevalue(request.param))) as store:
        yield store


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_parent_and_children_write_on_after_forks_in_the_middle_of_calls(any_store: RedisStore) -> None:
    context = multiprocessing.get_context("fork")
    store, stop = any_store, Event()
    names = [f"child/{number}" for number in range(4)]
    for name in ["parent", *names]:
        begin(store, name)

    def write(name: str) -> None:
        position = store.head(name)
        for _time in range(10):
            position = append_leased(store, name.encode(), position, name)

    def write_on() -> int:
        position = Position(1, 0)
        while not stop.is_set():
            position = append_leased(store, b"parent", position, "parent")
        return position.sequence

    parent = Background(write_on)
    wait_until(lambda: store.head("parent") != Position(1, 0))
    children = [context.Process(target=write, args=(name,)) for name in names]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
        assert child.exitcode == 0
    stop.set()
    written = parent.result()
    assert updates_of(store, "parent") == [b"parent"] * written
    for name in names:
        assert updates_of(store, name) == [name.encode()] * 10


def test_the_scripts_are_part_of_the_package() -> None:
    import ydoc_store

    folder = Path(ydoc_store.__file__).parent / "lua"
    assert {path.name for path in folder.iterdir()} >= {"_log.lua", "append.lua", "lease.lua"}
