"""What Redis may hold instead of a log: it is named, moved out of the way as it is, and the document begins again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.redis_urls import own_store
from tests.servers import running_redis
from ydoc_store import CorruptStore, LeaseTimeout, LogTooNew, Position, PositionLost, StoreError
from ydoc_store.redis import RedisStore
from ydoc_store.redis_keys import Keys
from ydoc_store.testing.tools import DOC, Background, append_all, append_leased, begin, updates_of
from ydoc_store.testing.usage import ANY_TIME, HOUR

pytestmark = pytest.mark.redis

OLD = 5


@pytest.fixture(params=["redis_url", "redis_cluster_url"], ids=["server", "cluster"])
def store(request: pytest.FixtureRequest) -> Iterator[RedisStore]:
    with RedisStore(own_store(request.getfixturevalue(request.param))) as store:
        begin(store, epoch=OLD, snapshot=b"old", rows=["row"])
        append_all(store, [b"1", b"2"])
        begin(store, "healthy")
        yield store


@pytest.fixture
def client(store: RedisStore) -> Iterator[Any]:
    port = urlsplit(store.url).port
    assert port is not None
    kind = redis.RedisCluster if store._client.options.cluster else redis.Redis
    with kind(host="127.0.0.1", port=port) as client:
        yield client


# How a log is spoiled ---------------------------------------------------------------------------------------


def write_nonsense(client: Any, key: bytes) -> None:
    client.lset(key, 0, b"\xff nonsense")


def write_a_newer_layout(client: Any, key: bytes) -> None:
    client.lset(key, 0, b"2 whatever comes next")


def write_impossible_times(client: Any, key: bytes) -> None:
    """As long as times are: the log can be read, when it was used cannot."""
    header = client.lindex(key, 0)
    client.lset(key, 0, header[:-55] + b"x" * 55)


def drop_the_snapshot(client: Any, key: bytes) -> None:
    client.ltrim(key, 0, 0)


def replace_by_a_string(client: Any, key: bytes) -> None:
    client.delete(key)
    client.set(key, b"Dear diary")


def replace_by_a_hash(client: Any, key: bytes) -> None:
    client.delete(key)
    client.hset(key, "Dear", "diary")


def restore_from_another_life(client: Any, key: bytes) -> None:
    """A backup of another Redis, in which this very document had another history."""
    with running_redis() as url:
        prefix = key[: key.index(b"{")].decode()
        with RedisStore(f"{url}?prefix={prefix}") as other, redis.Redis.from_url(url) as its_client:
            begin(other, epoch=OLD, snapshot=b"of another life")
            append_all(other, [b"other"] * 7)
            dumped = its_client.dump(key)
    client.delete(key)
    client.restore(key, 0, dumped)


Spoil = Callable[[Any, bytes], None]
UNREADABLE: dict[Spoil, type[StoreError]] = {
    write_nonsense: CorruptStore,
    drop_the_snapshot: CorruptStore,
    replace_by_a_string: CorruptStore,
    replace_by_a_hash: CorruptStore,
    write_a_newer_layout: LogTooNew,
}


def assert_begins_again(store: RedisStore) -> None:
    assert store.load(DOC) is None
    begin(store, epoch=OLD + 1, snapshot=b"new", rows=["new"])
    append_leased(store, b"a", Position(OLD + 1, 0))
    assert updates_of(store) == [b"a"]
    assert store.rows(DOC) >= {"new"}
    assert store.documents_of(["row"]) == {"row": frozenset({DOC})}


@pytest.mark.parametrize("spoil", UNREADABLE)
def test_an_unreadable_log_is_moved_as_it_is(store: RedisStore, client: Any, spoil: Spoil) -> None:
    spoil(client, store._keys.of(DOC).log)
    before = client.dump(store._keys.of(DOC).log)
    with pytest.raises(UNREADABLE[spoil]):
        store.load(DOC)
    with pytest.raises(UNREADABLE[spoil]):
        store.lease(DOC, since=Position(OLD, 2), seconds=30, wait=0)
    moved = store.quarantine(DOC)
    assert moved is not None
    assert re.fullmatch(rf"quarantine:\d{{13}}:{DOC}", moved)
    assert client.dump(store._keys.of(moved).log) == before
    with pytest.raises(UNREADABLE[spoil]):
        store.load(moved)
    assert list(store.names()) == ["healthy", moved]
    assert store.rows(DOC) == {"row"}
    assert_begins_again(store)
    assert list(store.names()) == [DOC, "healthy", moved]
    store.delete(moved)
    assert list(store.names()) == [DOC, "healthy"]
    assert not client.exists(store._keys.of(moved).log)
    assert updates_of(store) == [b"a"]


@pytest.mark.parametrize("spoil", UNREADABLE)
def test_an_unreadable_log_was_never_used_until_it_is_in_quarantine(
    store: RedisStore, client: Any, spoil: Spoil
) -> None:
    spoil(client, store._keys.of(DOC).log)
    store.touch([DOC, "healthy"])
    assert store.usage([DOC, "healthy"]).keys() == {"healthy"}
    assert list(store.unused(HOUR)) == [DOC]
    moved = store.quarantine(DOC)
    assert list(store.unused(HOUR)) == []
    assert sorted(store.unused(ANY_TIME)) == sorted(["healthy", str(moved)])
    assert store.usage([str(moved)]) == {}


def test_a_log_whose_times_cannot_be_read_can_be_used_and_gets_new_ones(store: RedisStore, client: Any) -> None:
    write_impossible_times(client, store._keys.of(DOC).log)
    assert updates_of(store) == [b"1", b"2"]
    assert store.usage([DOC]) == {}
    assert list(store.unused(HOUR)) == [DOC]
    append_all(store, [b"3"])
    begin(store, epoch=OLD + 1)
    assert store.usage([DOC]).keys() == {DOC}
    assert list(store.unused(HOUR)) == []


def test_a_log_of_another_life_is_no_log_and_can_be_quarantined(store: RedisStore, client: Any) -> None:
    restore_from_another_life(client, store._keys.of(DOC).log)
    with pytest.raises(PositionLost, match="Begin a new lineage"):
        store.since(DOC, Position(OLD, 2))
    used = store.usage([DOC])[DOC].used
    moved = store.quarantine(DOC)
    assert moved is not None
    assert store.load(moved) is None
    assert client.llen(store._keys.of(moved).log) == 2 + 7
    assert store.usage([moved])[moved].used > used
    assert_begins_again(store)


def test_a_log_of_another_life_can_be_begun_again_without_quarantine(store: RedisStore, client: Any) -> None:
    restore_from_another_life(client, store._keys.of(DOC).log)
    assert_begins_again(store)


# Beside the log ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["rows", "lease"])
def test_rows_and_leases_that_are_none_are_moved_along(store: RedisStore, client: Any, key: str) -> None:
    taken = getattr(store._keys.of(DOC), key)
    client.delete(taken)
    client.set(taken, b"Dear diary")
    calls: dict[str, Callable[[], object]] = {
        "rows": lambda: store.add_rows(DOC, ["new"]),
        "lease": lambda: store.lease(DOC, since=None, seconds=30, wait=0),
    }
    with pytest.raises(CorruptStore, match="holds something else"):
        calls[key]()
    moved = store.quarantine(DOC)
    assert moved is not None
    assert client.get(getattr(store._keys.of(moved), key)) == b"Dear diary"
    assert_begins_again(store)
    store.delete(moved)
    assert not client.exists(getattr(store._keys.of(moved), key))


def test_quarantine_does_not_ask_who_holds_the_lease(store: RedisStore, client: Any) -> None:
    """Its holder finds its position lost; it is still the one who may begin the log again."""
    with RedisStore(store.url) as other:
        lease = other.lease(DOC, since=None, seconds=60, wait=0)
        write_nonsense(client, store._keys.of(DOC).log)
        moved = store.quarantine(DOC)
        with pytest.raises(PositionLost):
            other.append(DOC, b"3", expect=Position(OLD, 2), lease=lease.token)
        with pytest.raises(LeaseTimeout):
            store.lease(DOC, since=None, seconds=30, wait=0)
        waiting = Background(lambda: append_leased(store, b"next", None))
        other.begin(DOC, epoch=OLD + 1, snapshot=b"new", rows=(), lease=lease.token)
        other.append(DOC, b"a", expect=Position(OLD + 1, 0), lease=lease.token)
        waiting.result()
        assert updates_of(store) == [b"a", b"next"]
        assert moved in set(other.names())


# Keys -------------------------------------------------------------------------------------------------------

PARTS = st.sampled_from(["quarantine:", "1", "23", ":", "}", "{", "board/1", ":log", "é", "\n", "}:quarantine:4"])
NAMES = st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=12)


@given(name=NAMES, milliseconds=st.integers(0, 10**13))
def test_every_name_has_keys_of_its_own_and_is_found_again(name: str, milliseconds: int) -> None:
    keys, moved = Keys(b"p:"), f"quarantine:{milliseconds}:{name}"
    assert (keys.name(keys.of(name).log), keys.name(keys.of(moved).log)) == (name, moved)
    all_of_them = {*keys.of(name), *keys.of(moved)}
    assert len(all_of_them) == 6
    assert len({redis.crc.key_slot(key) for key in all_of_them}) == 1


@pytest.mark.parametrize(
    "key", [b"p:{doc/:log", b"p:{doc/board/1:log", b"p:{doc/board/1}:other:log", b"p:{doc/\xff}:log"]
)
def test_a_key_that_is_none_of_ours_names_nothing(key: bytes) -> None:
    assert Keys(b"p:").name(key) is None
