"""From a signal to a flush: what is noted, for which transaction, and out of which database it is read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Model
from django.db.models.signals import post_save
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

import rxcrdt
from rxcrdt import conf, documents
from rxcrdt.backlog import backlog
from rxcrdt.snapshots import compare, snapshot
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.models import Book, Chapter, Firm, Genre, Library, Person, Review, Shelf
from tests.testapp.serializers import BookSerializer

pytestmark = pytest.mark.django_db(transaction=True)


class Asked(Interposed):
    """Notes of which rows it was asked for their documents."""

    def __init__(self, store: Any):
        super().__init__(store)
        self.asked: list[set[str]] = []

    def documents_of(self, rows: set[str]) -> Any:
        self.asked.append(set(rows))
        return self.__getattr__("documents_of")(rows)


@pytest.fixture
def store() -> Asked:
    asked = Asked(conf.store())
    conf.use_store(asked)  # type: ignore[arg-type]
    return asked


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first", director=Person.objects.create(name="director"))
    shelf = Shelf.objects.create(library=library, label="top")
    book = Book.objects.create(shelf=shelf, title="book")
    book.genres.add(Genre.objects.create(name="genre"))
    return library


@pytest.fixture
def follower(library: Library) -> Iterator[Follower]:
    follower = Follower(f"library/{library.pk}")
    yield follower
    follower.close()


def _key(row: Model) -> str:
    return f"{row._meta.label_lower}:{row.pk}"


# Savepoints


def test_for_what_a_savepoint_took_back_nobody_is_asked(store: Asked) -> None:
    with transaction.atomic(), transaction.atomic():
        Person.objects.create(name="undone")
        transaction.set_rollback(True)
    assert store.asked == []


def test_nor_where_something_else_of_the_transaction_stays(store: Asked) -> None:
    with transaction.atomic():
        kept = Person.objects.create(name="kept")
        with transaction.atomic():
            with transaction.atomic():
                Person.objects.create(name="undone")
            Person.objects.create(name="undone too")
            transaction.set_rollback(True)
        with transaction.atomic():
            another = Person.objects.create(name="kept too")
    assert store.asked == [{_key(kept), _key(another)}]


def test_nor_where_a_savepoint_inside_of_it_was_released_before(store: Asked) -> None:
    kept, undone, undone_too, another = (Person.objects.create(name=name) for name in "abcd")
    store.asked.clear()
    with transaction.atomic():
        kept.save()
        with transaction.atomic():
            with transaction.atomic():
                undone.save()
            with transaction.atomic():
                undone_too.save()
            undone.save()
            transaction.set_rollback(True)
        with transaction.atomic():
            another.save()
    assert store.asked == [{_key(kept), _key(another)}]


# What must not make a save fail


def test_an_error_of_the_database_that_ends_the_transaction_reaches_whoever_would_try_it_again(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    """On PostgreSQL a query of ours that fails, say for a conflict of two transactions, fails all that follow in it."""
    book, person = Book.objects.get(), Person.objects.get()
    review = Review.objects.create(book=book, person=person)

    def failing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        reads = sql.startswith("SELECT") and "testapp_review" in sql
        return execute("SELECT something FROM nowhere" if reads else sql, () if reads else params, many, context)

    def save() -> None:
        with transaction.atomic(), connection.execute_wrapper(failing):
            review.save(force_update=True)

    if connection.vendor == "postgresql":
        with pytest.raises(DatabaseError, match="nowhere"):
            save()
    else:
        save()
        assert "was joined to before is not known" in caplog.text


def test_a_signal_that_cannot_be_read_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    """Projects send signals by hand, with whatever they have."""
    post_save.send(sender=Library, instance=object(), using="default")
    assert "A change was not noted" in caplog.text


def test_with_autocommit_switched_off_nothing_is_told_before_it_is_committed(
    library: Library, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    transaction.set_autocommit(False)
    try:
        Shelf.objects.create(library=library, label="uncommitted")
        assert "autocommit switched off" in caplog.text
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert follower.positions == []
    assert backlog.is_empty()


@pytest.mark.parametrize("step", ["documents_of", "lease"])
def test_a_thread_that_is_told_to_end_ends(store: Asked, library: Library, follower: Follower, step: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    store.before(step, interrupt)
    library.name = "second"
    with pytest.raises(KeyboardInterrupt):
        library.save()
    assert Library.objects.get(pk=library.pk).name == "second"


# Which database


class ReadsElsewhere:
    """As projects with a replica have it: what is read comes from there, late."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return True


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[None]:
    """A replica that has not got anything yet: whoever reads there fails."""
    connections.settings["replica"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "replica.sqlite3"),
        "OPTIONS": {},
    }
    yield
    connections["replica"].close()
    del connections["replica"]
    del connections.settings["replica"]


@pytest.mark.parametrize("how", ["save", "changed"])
def test_what_was_written_is_read_where_it_was_written(
    library: Library, follower: Follower, second: str, how: str
) -> None:
    row = Library.objects.using(second).get(pk=library.pk)
    row.name = "second"
    with CaptureQueriesContext(connection) as default, CaptureQueriesContext(connections[second]) as other:
        if how == "save":
            row.save(using=second)
        else:
            Library.objects.using(second).filter(pk=library.pk).update(name="second")
            rxcrdt.changed(row)
    assert follower.state is not None
    assert follower.state["title"] == "second"
    assert any(query["sql"].startswith("SELECT") for query in other.captured_queries)
    assert default.captured_queries == []


@pytest.mark.usefixtures("replica")
def test_a_replica_is_never_read(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    """Neither for a flush, nor for a build, nor by the serializer's own queries through the rows."""
    with override_settings(DATABASE_ROUTERS=[ReadsElsewhere()]):
        follower = Follower(f"library/{library.pk}")
        book = Book.objects.using("default").get()
        book.title = "second"
        book.save()
        book.genres.add(Genre.objects.create(name="another"))
        Shelf.objects.create(library=library, label="bottom")
        follower.document.reconcile()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
    assert len(follower.positions) == 3
    assert compare("library", library.pk) is None
    assert follower.state == snapshot("library", library.pk)
    follower.close()
    documents.forget_all()


def _is_in_a_snapshot() -> bool:
    if connection.vendor != "postgresql":
        return connection.in_atomic_block  # in SQLite a transaction is one
    with connection.cursor() as cursor:
        cursor.execute("SHOW TRANSACTION ISOLATION LEVEL")
        return bool(cursor.fetchone() == ("repeatable read",))


def test_what_takes_several_queries_is_read_in_one_snapshot(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building a document, comparing it, and a flush that has to look further than the row that was saved."""
    seen: list[bool] = []

    def get_headings(self: BookSerializer, book: Book) -> str:
        seen.append(_is_in_a_snapshot())
        return ""

    monkeypatch.setattr(BookSerializer, "get_headings", get_headings)
    documents.get(f"library/{library.pk}").reconcile()
    built = len(seen)
    Book.objects.get().save()
    assert 0 < built < len(seen)
    assert all(seen)


def test_so_is_what_turns_out_to_take_several(library: Library, follower: Follower) -> None:
    """One query needs no transaction; if it shows that a list has to be read too, all is read again, in one."""
    for number in range(3):
        Shelf.objects.create(library=library, label=str(number), position=number)
    shelf = Shelf.objects.all()[0]
    shelf.position = 9
    with CaptureQueriesContext(connection) as context:
        shelf.save()
    statements = [query["sql"].partition(" ")[0] for query in context.captured_queries]
    before, began, after = " ".join(statements).partition("BEGIN")
    assert began
    assert before.count("SELECT") <= 1
    assert after.count("SELECT") >= 1
    assert follower.state == snapshot("library", library.pk)


def test_what_comes_in_is_read_layer_by_layer(library: Library, follower: Follower) -> None:
    """Not row by row: a shelf of twenty books takes as many queries as a shelf of two."""
    elsewhere = Library.objects.create(name="elsewhere")
    counts = []
    for books in (2, 20):
        shelf = Shelf.objects.create(library=elsewhere, label=str(books))
        for number in range(books):
            author = Person.objects.create(name=str(number), firm=Firm.objects.create(name=str(number)))
            book = Book.objects.create(shelf=shelf, title=str(number), author=author, editor=author)
            book.genres.add(Genre.objects.create(name=str(number)))
            Chapter.objects.create(book=book, heading=str(number))
        shelf.library = library
        with CaptureQueriesContext(connection) as context:
            shelf.save()
        counts.append(len(context.captured_queries))
    assert counts[0] == counts[1], counts
    assert compare("library", library.pk) is None
