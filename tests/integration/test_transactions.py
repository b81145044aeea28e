"""Commit, and only commit; one transaction, one entry, one message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import transaction
from django.test import override_settings
from django.utils import timezone, translation

import rxcrdt
from rxcrdt import conf, relay
from rxcrdt.layer_link import _group as group_name
from rxcrdt.snapshots import compare, snapshot
from tests.oracle.following import Follower
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import open_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    shelf = Shelf.objects.create(library=library, label="top")
    for number in range(50):
        Book.objects.create(shelf=shelf, title=str(number), position=number)
    return library


@pytest.fixture
def follower(library: Library) -> Iterator[Follower]:
    follower = Follower(f"library/{library.pk}")
    yield follower
    follower.close()


@transaction.atomic
def _save_all(books: Any) -> None:
    for book in books:
        book.title += "!"
        book.save()


def test_a_transaction_that_touches_fifty_rows_is_one_entry(library: Library, follower: Follower) -> None:
    _save_all(Book.objects.all())
    assert [position.sequence for position in follower.positions] == [1]
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None


def test_so_is_one_with_savepoints_and_hooks_of_others_in_between(library: Library, follower: Follower) -> None:
    hooks: list[str] = []
    with transaction.atomic():
        for number, book in enumerate(Book.objects.all()):
            transaction.on_commit(lambda: hooks.append("somebody else's"))
            with transaction.atomic():
                book.title += "!"
                book.save()
                if number % 2:
                    transaction.set_rollback(True)
    assert len(hooks) == 50
    assert [position.sequence for position in follower.positions] == [1]
    assert compare("library", library.pk) is None


def test_what_is_rolled_back_is_not_even_an_entry(library: Library, follower: Follower) -> None:
    with transaction.atomic():
        _save_all(Book.objects.all())
        transaction.set_rollback(True)
    assert follower.positions == []
    _save_all(Book.objects.all()[:1])
    assert [position.sequence for position in follower.positions] == [1]
    assert compare("library", library.pk) is None


def test_a_save_that_changes_nothing_is_no_entry(library: Library, follower: Follower) -> None:
    library.save()
    assert follower.positions == []


def test_a_save_under_another_language_and_time_zone_gives_the_same_document(library: Library) -> None:
    book = Book.objects.first()
    assert book is not None
    book.printed_at = timezone.now()
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        book.save()
        foreign = snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    book.save()
    assert snapshot("library", library.pk) == foreign
    assert foreign["shelves"][0]["books"][0]["printed_at"].endswith("Z")


def test_changed_tells_of_writes_that_no_signal_shows(library: Library, follower: Follower) -> None:
    Book.objects.filter(title__lt="3").update(title="bulk")
    assert follower.positions == []
    with transaction.atomic():
        rxcrdt.changed(Book.objects.filter(title="bulk"))
        rxcrdt.changed(library)
        assert follower.positions == []
    assert [position.sequence for position in follower.positions] == [1]
    assert compare("library", library.pk) is None


def test_a_root_that_is_deleted_empties_its_document(library: Library, follower: Follower) -> None:
    library.delete()
    assert follower.is_gone
    assert follower.state is None
    content, meta = follower.document.content()
    assert meta["root"] is None
    assert not any(content.values())


async def test_a_new_lineage_is_one_message_too(tmp_path: Path, redis_url: str) -> None:
    """Others would hear of it at their next poll only."""
    layers = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url], "prefix": "new-lineage"},
        }
    }
    with open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}") as store, override_settings(CHANNEL_LAYERS=layers):
        conf.use_store(store)
        library = await Library.objects.acreate(name="first")
        follower = await sync_to_async(Follower)(f"library/{library.pk}")
        await sync_to_async(relay.flush)(10)
        layer = get_channel_layer()
        channel = await layer.new_channel("listener")
        await layer.group_add(group_name(follower.document.log), channel)
        await sync_to_async(follower.document.rebuild)()
        await sync_to_async(relay.flush)(10)
        message = await asyncio.wait_for(layer.receive(channel), 10)
        assert follower.document.position is not None
        assert (message["epoch"], message["sequence"]) == (follower.document.position.epoch, 0)
        assert "update" not in message, "it is read from the store"
        await sync_to_async(follower.close)()
        conf.use_store(None)


async def test_and_one_message(tmp_path: Path, redis_url: str) -> None:
    layers = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url], "prefix": "one-message"},
        }
    }
    with open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}") as store, override_settings(CHANNEL_LAYERS=layers):
        conf.use_store(store)
        library = await Library.objects.acreate(name="first")
        shelf = await Shelf.objects.acreate(library=library, label="top")
        for number in range(50):
            await Book.objects.acreate(shelf=shelf, title=str(number))
        follower = await sync_to_async(Follower)(f"library/{library.pk}")
        await sync_to_async(relay.flush)(10)  # that the document was built is a message of its own
        layer = get_channel_layer()
        channel = await layer.new_channel("listener")
        await layer.group_add(group_name(follower.document.log), channel)
        await sync_to_async(lambda: _save_all(Book.objects.all()))()
        await sync_to_async(relay.flush)(10)
        message = await asyncio.wait_for(layer.receive(channel), 10)
        assert (message["kind"], message["sequence"]) == ("entry", 1)
        await sync_to_async(lambda: _save_all(Book.objects.all()[:1]))()
        await sync_to_async(relay.flush)(10)
        second = await asyncio.wait_for(layer.receive(channel), 10)
        assert (second["kind"], second["sequence"]) == ("entry", 2), "something came in between"
        await sync_to_async(follower.close)()
        conf.use_store(None)
