"""Every way of writing that Django tells of: whatever it is, the document is what DRF gives."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core import serializers as fixtures
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models.signals import ModelSignal, post_delete, post_save
from django.test.utils import CaptureQueriesContext

from rxcrdt.snapshots import compare, snapshot
from tests.integration.test_schemas import Show, of, show
from tests.oracle.following import Follower
from tests.shapes.fleets import Zone
from tests.shapes.models import Berth, Ferry, Harbour, Mark, Ship
from tests.testapp.models import Book, Chapter, Firm, Genre, Library, Person, Review, Shelf

__all__ = ["show"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def library() -> Library:
    """Two shelves of two books, and one row of everything else."""
    person = Person.objects.create(name="person", firm=Firm.objects.create(name="firm"))
    library = Library.objects.create(name="library", director=person)
    library.patrons.add(person)
    for label in ("top", "bottom"):
        shelf = Shelf.objects.create(library=library, label=label)
        for number in range(2):
            title = f"{label} {number}"
            book = Book.objects.create(shelf=shelf, title=title, position=number, author=person, editor=person)
            book.genres.add(Genre.objects.create(name=title))
            Review.objects.create(book=book, person=person, stars=3)
            Chapter.objects.create(book=book, heading=title)
    return library


@pytest.fixture
def follower(library: Library) -> Iterator[Follower]:
    follower = Follower(f"library/{library.pk}")
    yield follower
    assert compare("library", library.pk) is None
    follower.close()


@contextmanager
def shown_once(library: Library, follower: Follower) -> Iterator[None]:
    """What is written inside is one entry, and the document is right after it."""
    follower.positions.clear()
    yield
    assert len(follower.positions) == 1
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None


@contextmanager
def receiving(signal: ModelSignal, sender: Any, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)


# Fixtures


def test_what_loaddata_brings(library: Library, follower: Follower, tmp_path: Path) -> None:
    """Rows that change, rows that are new, and an M2M relation, in one transaction."""
    shelf = Shelf.objects.get(label="top")
    shelf.label = "renamed"
    new = Book(pk=4711, shelf=shelf, title="new")
    chapter = Chapter(pk=4711, book=new, heading="new")
    path = tmp_path / "fixture.json"
    written = fixtures.serialize("python", [shelf, new, chapter, *Review.objects.all()[:1]])
    written[1]["fields"]["genres"] = [genre.pk for genre in Genre.objects.all()]
    written[3]["fields"]["book"] = new.pk
    path.write_text(json.dumps(written))
    with shown_once(library, follower):
        call_command("loaddata", str(path), verbosity=0)
    assert Book.objects.get(pk=4711).genres.count() == 4


def test_what_loaddata_brings_of_two_tables(show: Show, tmp_path: Path) -> None:
    """Each table's part of the row is an object of its own, and is saved by itself: ``raw``."""
    berth = Berth.objects.create(harbour=Harbour.objects.create(slug="harbour"))
    shown = show(of(Berth, "number", ships=of(Ship, "name", ferry=of(Ferry, "decks")())(many=True)), berth)
    path = tmp_path / "fixture.json"
    path.write_text(
        f'[{{"model": "shapes.ship", "pk": 7, "fields": {{"name": "ferry", "berth": {berth.pk}}}}},'
        f' {{"model": "shapes.ferry", "pk": 7, "fields": {{"decks": 3}}}}]'
    )
    with shown.changing():
        call_command("loaddata", str(path), verbosity=0)
    assert shown.state["ships"] == [{"name": "ferry", "ferry": {"decks": 3}}]


# In memory and in the database


def test_what_was_not_saved_is_not_shown(library: Library, follower: Follower) -> None:
    book = Book.objects.all()[0]
    book.title = "in memory only"
    book.refresh_from_db()
    book.save()
    assert follower.positions == []
    book.title = "in memory only"
    book.save(update_fields=["pages"])
    Shelf.objects.get(label="top").save()
    assert follower.positions == []


@pytest.mark.parametrize("how", ["only", "defer", "refresh_from_db"])
def test_a_row_that_was_not_read_as_a_whole(show: Show, how: str) -> None:
    """The document does not show it yet, and it does not know itself to whom it belongs."""
    harbour = Harbour.objects.create(slug="harbour")
    Berth.objects.create(harbour=harbour, retired=True)
    shown = show(of(Harbour, "id", berths=of(Berth, "number")(many=True)), harbour)
    everything = Berth._base_manager.all()
    berth = {
        "only": lambda: everything.only("retired").get(),
        "defer": lambda: everything.defer("harbour").get(),
        "refresh_from_db": lambda: everything.only("pk").get(),
    }[how]()
    assert "harbour_id" not in berth.__dict__
    if how == "refresh_from_db":
        berth.refresh_from_db(fields=["retired"])
    berth.retired = False
    with shown.changing():
        berth.save()
    elsewhere = Berth.objects.create(harbour=Harbour.objects.create(slug="elsewhere"))
    with CaptureQueriesContext(connection) as queries:
        elsewhere.save()
    assert len(queries) == 1, "nothing is asked of a row that knows"


@pytest.mark.parametrize("how", ["save", "delete"])
def test_nor_was_a_row_that_joins_two(library: Library, follower: Follower, how: str) -> None:
    review = Review.objects.only("stars").filter(book__title="top 0").get()
    with shown_once(library, follower):
        if how == "delete":
            review.delete()
        else:
            review.book = Book.objects.get(title="top 1")
            review.save()


def test_keys_that_were_given_as_text(show: Show) -> None:
    zone = Zone.objects.create(name="zone")
    shown = show(of(Zone, "name", parts=of(Zone, "name", layer="Part")(many=True)), zone)
    with shown.changing():
        part = Zone.objects.create(pk=f"{uuid.uuid4()}".upper(), name="part", parent_id=zone.pk.hex)
    with shown.changing():
        part.name = "renamed"
        part.save()


def test_a_row_that_joins_two_others(library: Library, follower: Follower) -> None:
    """Nothing but the row remembers which two they were."""
    review = Review.objects.get(book__title="top 0")
    review.book, review.person = Book.objects.get(title="top 1"), Person.objects.create(name="another")
    with shown_once(library, follower):
        review.save()


# Rows that go


def test_a_cascade_to_the_ground(library: Library, follower: Follower) -> None:
    """A shelf takes its books along, their chapters, their reviews and what they were joined to."""
    with shown_once(library, follower):
        Shelf.objects.filter(label="top").delete()
    assert Chapter.objects.count() == 2


def test_what_is_set_to_null_far_away(library: Library, follower: Follower) -> None:
    """The firm goes, and the people that the books show have none."""
    with shown_once(library, follower):
        Firm.objects.all().delete()
    with shown_once(library, follower):
        Person.objects.all().delete()
    assert follower.state is not None
    assert follower.state["patrons"] == []


def test_a_row_under_another_key_is_another_row(library: Library, follower: Follower) -> None:
    book = Book.objects.all()[0]
    old = book.pk
    with shown_once(library, follower), transaction.atomic():
        book.pk = old + 1000
        book.save()
        Book.objects.filter(pk=old).delete()


def test_generic_relations_and_what_they_stand_on(show: Show) -> None:
    harbour = Harbour.objects.create(slug="harbour")
    elsewhere = Harbour.objects.create(slug="elsewhere")
    shown = show(of(Harbour, "slug", marks=of(Mark, "text")(many=True)), harbour)
    for write in (
        lambda: harbour.marks.create(text="a"),
        lambda: harbour.marks.add(Mark.objects.create(text="b", target=elsewhere), bulk=False),
        lambda: Mark.objects.get(text="a").delete(),
        harbour.marks.clear,
    ):
        with shown.changing():
            write()


# Transactions


def test_durable_and_nested(library: Library, follower: Follower) -> None:
    book = Book.objects.all()[0]
    with shown_once(library, follower), transaction.atomic(durable=True):
        for title in ("one", "two", "three"):
            with transaction.atomic(savepoint=title != "two"):
                book.title = title
                book.save()


def test_savepoints_by_hand(library: Library, follower: Follower) -> None:
    """Django keeps hooks of what is rolled back by hand: more is read than was changed."""
    first, second = Book.objects.all()[:2]
    follower.positions.clear()
    with transaction.atomic():
        first.title = "kept"
        first.save()
        savepoint = transaction.savepoint()
        second.title = "undone"
        second.save()
        transaction.savepoint_rollback(savepoint)
    assert len(follower.positions) == 1
    assert compare("library", library.pk) is None


def test_a_savepoint_that_is_rolled_back_silences_nobody(library: Library, follower: Follower) -> None:
    """What comes after it in the transaction, in the next one, and without any."""
    book = Book.objects.all()[0]
    with shown_once(library, follower), transaction.atomic():
        with transaction.atomic():
            Book.objects.all().delete()
            transaction.set_rollback(True)
        book.title = "first"
        book.save()
    with shown_once(library, follower), transaction.atomic():
        book.title = "second"
        book.save()
    with shown_once(library, follower):
        book.title = "third"
        book.save()


def test_a_hook_that_saves(library: Library, follower: Follower) -> None:
    """Between the commit and the flush: it is in no transaction, and flushed by itself."""
    book = Book.objects.all()[0]

    def save() -> None:
        Shelf.objects.create(library=library, label="by the hook")

    with transaction.atomic():
        transaction.on_commit(save)
        book.title = "in the transaction"
        book.save()
        transaction.on_commit(save)
    assert compare("library", library.pk) is None
    assert follower.state == snapshot("library", library.pk)


# Receivers of others


@pytest.mark.parametrize("is_atomic", [True, False])
def test_a_save_inside_of_post_save(library: Library, follower: Follower, is_atomic: bool) -> None:
    def counting(instance: Book, **_: Any) -> None:
        if instance.pages < 3:
            instance.pages += 1
            instance.save()
        Shelf.objects.get(books=instance).save()
        Shelf.objects.create(library=library, label=f"page {instance.pages}")

    book = Book.objects.all()[0]
    with receiving(post_save, Book, counting):
        if is_atomic:
            with shown_once(library, follower), transaction.atomic():
                book.save()
        else:
            book.save()
    assert compare("library", library.pk) is None
    assert follower.state == snapshot("library", library.pk)


def test_a_delete_inside_of_post_save_and_a_save_inside_of_post_delete(library: Library, follower: Follower) -> None:
    def deleting(instance: Book, **_: Any) -> None:
        instance.delete()

    def saving(instance: Book, **_: Any) -> None:
        Shelf.objects.create(library=library, label=f"instead of {instance.title}")

    with receiving(post_save, Book, deleting), receiving(post_delete, Book, saving):
        Book.objects.all()[0].save()
    assert compare("library", library.pk) is None
    assert Book.objects.count() == 3


def test_a_receiver_that_raises(library: Library, follower: Follower) -> None:
    """The save fails, for whatever reason; without a transaction of its own the row is written all the same."""

    def failing(**_: Any) -> None:
        raise ZeroDivisionError

    book = Book.objects.all()[0]
    book.title = "second"
    with receiving(post_save, Book, failing), pytest.raises(ZeroDivisionError):
        book.save()
    assert compare("library", library.pk) is None
    assert Book.objects.filter(title="second").exists()


# Threads and event loops


async def test_asynchronous_forms(library: Library) -> None:
    follower = await sync_to_async(Follower)(f"library/{library.pk}")

    async def shown() -> None:
        assert await sync_to_async(compare)("library", library.pk) is None
        assert follower.state == await sync_to_async(snapshot)("library", library.pk)

    shelf = await Shelf.objects.aget(label="top")
    book = await Book.objects.acreate(shelf=shelf, title="new")
    await shown()
    book.title = "renamed"
    await book.asave()
    await shown()
    genre, _ = await Genre.objects.aget_or_create(name="new")
    await book.genres.aadd(genre)
    await shown()
    await book.genres.aset([])
    await shown()
    await Book.objects.aupdate_or_create(title="renamed", defaults={"title": "again"})
    await shown()
    await book.adelete()
    await shown()
    await shelf.books.all().adelete()
    await shown()
    assert len(follower.positions) == 7
    await sync_to_async(follower.close)()


def test_threads(library: Library, follower: Follower) -> None:
    """Each has a connection of its own, and so hooks of its own."""
    books = list(Book.objects.all())
    together = threading.Barrier(len(books))

    def write(book: Book) -> None:
        together.wait(10)
        for number in range(5):
            with transaction.atomic():
                book.title = f"{number} of {book.pk}"
                book.save()
                Chapter.objects.create(book=book, heading=str(number))
                if number == 2:
                    transaction.set_rollback(True)
        connections.close_all()

    threads = [threading.Thread(target=write, args=(book,)) for book in books]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    assert len(follower.positions) <= 16


# Two anchors


def test_two_anchors_of_one_model_keep_their_rows_apart(show: Show, library: Library, follower: Follower) -> None:
    """Layers of one name, of different fields, of the same rows."""
    titles = of(Book, "id", "title", layer="Book")
    shelf = Shelf.objects.get(label="top")
    shown = show(of(Library, "id", shelves=of(Shelf, "label", books=titles(many=True))(many=True)), library)
    of_one = show(of(Shelf, "label", books=of(Book, "pages", layer="Book")(many=True)), shelf, name="of-one")
    book = Book.objects.filter(shelf=shelf)[0]
    with shown.changing(), shown_once(library, follower):
        book.title = "renamed"
        book.save()
    assert of_one.follower.positions == []
    with of_one.changing(), shown_once(library, follower):
        book.pages = 77
        book.save()
    with shown.changing(), of_one.changing(), shown_once(library, follower):
        book.delete()
