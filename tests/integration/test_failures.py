"""A save never fails because of us: each cause, what is logged, and that the document heals when it is gone."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from pycrdt import Doc

from rxcrdt import conf, documents, layout, relay
from rxcrdt.backlog import backlog
from rxcrdt.snapshots import compare, snapshot
from tests.oracle.following import Follower
from tests.servers import free_port
from tests.testapp.models import Book, Library, Shelf
from tests.testapp.serializers import BookSerializer
from ydoc_store import open_store

pytestmark = pytest.mark.django_db(transaction=True)

# Makes pycrdt 0.14 panic: a PanicException, which is no Exception.
KILLER = bytes.fromhex("0201019ee1c79bbaadfd04005801016d0178017c3f80000000")


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    shelf = Shelf.objects.create(library=library, label="top")
    Book.objects.create(shelf=shelf, title="book")
    return library


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "store.sqlite3"
    with open_store(f"sqlite:///{path}") as store:
        conf.use_store(store)
        yield path
        conf.use_store(None)


def _rename(library: Library, name: str) -> None:
    library.name = name
    library.save()
    assert Library.objects.get(pk=library.pk).name == name


def _is_logged_with_a_next_step(caplog: pytest.LogCaptureFixture) -> bool:
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    return bool(errors) and all("docs/failures.md" in message for message in errors)


def _database_files() -> list[Path]:
    """What the database itself must be able to write on: nothing of ours, if it is a server's."""
    if connection.vendor != "sqlite":
        return []
    database = Path(str(connection.settings_dict["NAME"]))
    return [database, *database.parent.glob(database.name + "-*")]


@contextmanager
def _nobody_may_write(path: Path) -> Iterator[None]:
    """The store's file and its folder are read-only: by their modes, or where we are root, by another user's eyes."""
    files = [path.parent, *path.parent.iterdir()]
    modes = [file.stat().st_mode for file in files]
    root = os.geteuid() == 0
    for file in files:
        file.chmod(0o555)
    if root:
        for file in _database_files():
            file.chmod(0o666)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for file, mode in zip(files, modes, strict=True):
            file.chmod(mode)


def test_while_the_stores_file_is_read_only_saves_go_through(
    library: Library, file_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if connection.vendor == "sqlite":
        connection.ensure_connection()
    follower = Follower(f"library/{library.pk}")
    conf.store().close()  # connections that are open may write on: a process that starts now may not
    with open_store(f"sqlite:///{file_store}") as store:
        conf.use_store(store)
        with _nobody_may_write(file_store):
            _rename(library, "second")
            assert _is_logged_with_a_next_step(caplog)
            assert not backlog.is_empty()
        backlog.retry()
        assert backlog.is_empty()
        assert follower.state == snapshot("library", library.pk)
        assert compare("library", library.pk) is None
        follower.close()


def test_while_somebody_locks_the_store_saves_go_through(
    library: Library, file_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot("library", library.pk)
    other = sqlite3.connect(file_store, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    _rename(library, "second")
    assert _is_logged_with_a_next_step(caplog)
    other.execute("ROLLBACK")
    other.close()
    backlog.retry()
    assert snapshot("library", library.pk)["title"] == "second"


def test_the_backlog_tries_again_by_itself(library: Library, file_store: Path) -> None:
    follower = Follower(f"library/{library.pk}")
    other = sqlite3.connect(file_store, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with override_settings(RXCRDT={"STORE": "memory://", "RETRY_SECONDS": 0.05}):
        _rename(library, "second")
        other.execute("ROLLBACK")
        assert follower.wait_until(lambda state: state is not None and state["title"] == "second", seconds=20)
    other.close()
    follower.close()


def test_a_serializer_that_raises_is_named_and_the_document_heals(
    library: Library, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(f"library/{library.pk}")
    book = Book.objects.get()

    def get_headings(self: BookSerializer, book: Book) -> str:
        raise ZeroDivisionError("a bug of the project's own")

    with monkeypatch.context() as patch:
        patch.setattr(BookSerializer, "get_headings", get_headings)
        book.title = "second"
        book.save()
        assert Book.objects.get().title == "second"
        assert "Book.headings of testapp.Book" in caplog.text
        assert "a bug of the project's own" in caplog.text
        assert _is_logged_with_a_next_step(caplog)
        assert follower.state is not None
        assert "second" not in str(follower.state)
    backlog.retry()
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def test_a_serializer_that_raises_for_one_row_keeps_no_other_document_waiting(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Library.objects.create(name="other")
    follower = Follower(f"library/{other.pk}")
    snapshot("library", library.pk)
    monkeypatch.setattr(BookSerializer, "get_headings", lambda self, book: 1 / 0)
    Book.objects.get().save()
    _rename(other, "renamed")
    assert follower.state is not None
    assert follower.state["title"] == "renamed"
    follower.close()


def test_a_panic_of_the_engine_is_logged_and_the_document_heals(
    library: Library, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(f"library/{library.pk}")
    with monkeypatch.context() as patch:
        patch.setattr(layout, "_apply", lambda *_: Doc().apply_update(KILLER))
        _rename(library, "second")
    assert "PanicException" in caplog.text
    assert _is_logged_with_a_next_step(caplog)
    assert follower.state is not None
    assert follower.state["title"] == "first"
    backlog.retry()
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def test_with_the_channel_layer_down_the_log_has_every_save(
    library: Library, file_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    down: dict[str, Any] = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{free_port()}/0"]},
        }
    }
    follower = Follower(f"library/{library.pk}")
    with override_settings(CHANNEL_LAYERS=down):
        _rename(library, "second")
        relay.flush(10)
    assert any(record.levelno >= logging.ERROR for record in caplog.records)
    assert compare("library", library.pk) is None
    assert follower.state == snapshot("library", library.pk)
    documents.forget_all()
    assert snapshot("library", library.pk)["title"] == "second", "in the log, whoever asks"
    follower.document.unsubscribe(follower)


def test_a_save_in_an_anchors_model_before_the_store_can_be_opened_goes_through(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conf.use_store(None)
    with override_settings(RXCRDT={"STORE": f"sqlite:///{tmp_path / 'missing' / 'folder' / 'store.sqlite3'}"}):
        _rename(library, "second")
        assert _is_logged_with_a_next_step(caplog)
        (tmp_path / "missing" / "folder").mkdir(parents=True)
        backlog.retry()
        assert backlog.is_empty()
        assert snapshot("library", library.pk)["title"] == "second"
