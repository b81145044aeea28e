"""A log that cannot be read is kept for inspection, named in the log, projected again; and everybody goes on."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator

import pytest
import redis
from django.db import transaction
from pycrdt import Doc, Map

from rxcrdt import conf, documents
from rxcrdt.document import Document
from rxcrdt.snapshots import compare, snapshot
from tests.integration.test_documents import another_process
from tests.oracle.following import Follower
from tests.servers import redis_server
from tests.testapp.models import Library, Shelf
from ydoc_store import CorruptStore, DocStore, LogTooNew, open_store

GARBAGE = b"\x01\x01\xff"
KILLER = bytes.fromhex("0201019ee1c79bbaadfd04005801016d0178017c3f80000000")  # makes pycrdt 0.14 panic

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def store(request: pytest.FixtureRequest) -> Iterator[DocStore]:
    if request.param == "memory":
        yield conf.store()
        return
    if request.param == "redis":
        url = f"{request.getfixturevalue('server')}?prefix={uuid.uuid4().hex}:"
    else:
        url = f"sqlite:///{request.getfixturevalue('tmp_path') / 'store.sqlite3'}"
    with open_store(url) as store:
        conf.use_store(store)
        yield store
        conf.use_store(None)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    Shelf.objects.create(library=library, label="top")
    return library


def with_snapshot(snapshot: bytes) -> Callable[[DocStore, Document], None]:
    def spoil(store: DocStore, document: Document) -> None:
        head = store.head(document.log)
        assert head is not None
        store.compact(document.log, snapshot, at=head)

    return spoil


def with_entry(update: bytes) -> Callable[[DocStore, Document], None]:
    def spoil(store: DocStore, document: Document) -> None:
        head = store.head(document.log)
        assert head is not None
        store.append(document.log, update, expect=head)

    return spoil


def newer_layout() -> bytes:
    doc: Doc[Map[object]] = Doc()
    doc.get("rxcrdt", type=Map)["layout"] = 2
    return doc.get_update()


WAYS = {
    "a snapshot": with_snapshot(GARBAGE),
    "a snapshot that panics the engine": with_snapshot(KILLER),
    "an entry": with_entry(GARBAGE),
    "an entry that panics the engine": with_entry(KILLER),
    "a newer layout": with_snapshot(newer_layout()),
}


def kept(store: DocStore) -> list[str]:
    return list(store.names("quarantine:"))


@pytest.mark.parametrize("way", WAYS)
def test_followers_go_on_and_the_log_is_kept(
    way: str, store: DocStore, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(f"library/{library.pk}")
    WAYS[way](store, follower.document)
    before = follower.document.position
    with caplog.at_level(logging.ERROR, "rxcrdt"):
        follower.document.catch_up()
        library.name = "second"
        library.save()
        follower.document.catch_up()
    if way in ("an entry", "an entry that panics the engine"):
        assert [name.partition(":")[0] for name in kept(store)] == ["quarantine"]
        assert "cannot be read" in caplog.text
        assert "docs/failures.md" in caplog.text
        assert before is not None
        assert follower.positions[-1].epoch > before.epoch
    assert follower.state == snapshot("library", library.pk)
    assert follower.ghosts() == set()
    assert compare("library", library.pk) is None
    follower.close()


def test_inside_of_a_transaction_it_is_left_to_who_may_write(library: Library) -> None:
    """A snapshot writes nothing to the store there, and has all it needs in the database."""
    document = documents.open(f"library/{library.pk}")
    with_entry(GARBAGE)(conf.store(), document)
    with transaction.atomic():
        library.name = "by this transaction"
        library.save()
        assert snapshot("library", library.pk)["title"] == "by this transaction"
        assert kept(conf.store()) == []


@pytest.mark.parametrize("way", WAYS)
def test_whoever_opens_it_next_gets_what_the_database_says(
    way: str, store: DocStore, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    client = Follower(f"library/{library.pk}")
    client.close()
    log = client.document.log
    WAYS[way](store, client.document)
    documents.forget_all()
    library.name = "second"
    library.save()  # finds it unreadable, and nobody has it open
    document = documents.open(f"library/{library.pk}")
    assert len(kept(store)) == 1
    assert kept(store)[0].endswith(log)
    assert "The log" in caplog.text
    assert compare("library", library.pk) is None
    document.answer(client.doc.get_state(), client.doc.apply_update)
    client.document = document
    assert client.state == snapshot("library", library.pk)
    assert client.ghosts() == set()
    documents.close(document)


def test_two_processes_that_find_it_put_it_aside_once(store: DocStore, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    other = another_process(follower.document.name)
    other.ensure()
    WAYS["an entry"](store, follower.document)
    follower.document.catch_up()
    other.catch_up()
    other.ensure()
    assert len(kept(store)) == 1
    assert other.position == follower.document.position
    assert compare("library", library.pk) is None
    follower.close()


def test_what_is_kept_can_be_looked_at(store: DocStore, library: Library) -> None:
    document = documents.open(f"library/{library.pk}")
    WAYS["an entry"](store, document)
    document.catch_up()
    documents.forget_all()
    documents.open(f"library/{library.pk}")
    log = store.load(kept(store)[0])
    assert log is not None
    assert log.entries[-1].update == GARBAGE


def test_folding_finds_it_too(store: DocStore, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    WAYS["an entry"](store, follower.document)
    follower.document.compact()
    assert len(kept(store)) == 1
    follower.document.catch_up()
    assert follower.state == snapshot("library", library.pk)
    follower.close()


# What only Redis can have


@pytest.fixture
def in_redis(server: str) -> Iterator[tuple[DocStore, redis.Redis]]:
    prefix = f"{uuid.uuid4().hex}:"
    with open_store(f"{server}?prefix={prefix}") as store, redis.Redis.from_url(server) as client:
        conf.use_store(store)
        yield store, client
        conf.use_store(None)


def _log_key(store: DocStore, client: redis.Redis) -> bytes:
    """The only log under the store's prefix."""
    (key,) = client.scan_iter(match=f"{store.url.partition('prefix=')[2]}*}}:log")
    assert isinstance(key, bytes)
    return key


@pytest.mark.redis
@pytest.mark.parametrize(
    ("what", "error"),
    [("a string", CorruptStore), ("a header of garbage", CorruptStore), ("a newer header", LogTooNew)],
)
def test_a_key_that_no_store_of_this_version_wrote(
    what: str, error: type[Exception], in_redis: tuple[DocStore, redis.Redis], library: Library
) -> None:
    store, client = in_redis
    follower = Follower(f"library/{library.pk}")
    key = _log_key(store, client)
    if what == "a string":
        client.set(key, b"not a list")
    else:
        client.lset(key, 0, b"garbage" if what == "a header of garbage" else b"2 of next year")  # type: ignore[arg-type]
    with pytest.raises(error):
        store.load(follower.document.log)
    library.name = "second"
    library.save()
    follower.document.catch_up()
    assert len(kept(store)) == 1
    assert follower.state == snapshot("library", library.pk)
    assert follower.ghosts() == set()
    assert compare("library", library.pk) is None
    follower.close()
