"""Bulk writes are seen where the model's manager is ours, at a cost that does not grow with the rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import NotSupportedError, connection, connections, models, transaction
from django.db.models import signals
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

import rxcrdt
from rxcrdt import bulk, documents, tracking
from rxcrdt.managers import AnchoredManager, AnchoredQuerySet
from rxcrdt.returning import returning
from rxcrdt.snapshots import compare, snapshot
from tests.integration.test_tracking import ReadsElsewhere, replica
from tests.oracle.following import Follower
from tests.shapes.fleets import Zone
from tests.testapp.models import Book, Chapter, Library, Shelf

__all__ = ["replica"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)


def books() -> AnchoredQuerySet[Book]:
    return AnchoredQuerySet(Book)


def shelves() -> AnchoredQuerySet[Shelf]:
    return AnchoredQuerySet(Shelf)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    for label in ("top", "bottom"):
        shelf = Shelf.objects.create(library=library, label=label)
        for number in range(3):
            Book.objects.create(shelf=shelf, title=f"{label} {number}", position=number)
    return library


@pytest.fixture
def follower(library: Library) -> Iterator[Follower]:
    follower = Follower(f"library/{library.pk}")
    yield follower
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def titles(follower: Follower) -> list[str]:
    state: Any = follower.state
    return [book["title"] for shelf in state["shelves"] for book in shelf["books"]]


@pytest.mark.usefixtures("follower")
def test_djangos_own_managers_tell_nobody(library: Library) -> None:
    """Or these tests would show nothing."""
    Book.objects.update(title="unseen")
    assert compare("library", library.pk) is not None
    rxcrdt.changed(Book.objects.all())


def test_update(library: Library, follower: Follower) -> None:
    assert books().filter(title__startswith="top").update(title="renamed") == 3
    assert titles(follower) == ["renamed"] * 3 + ["bottom 0", "bottom 1", "bottom 2"]
    assert len(follower.positions) == 1


def test_rows_that_the_update_takes_out_of_its_own_filter(library: Library, follower: Follower) -> None:
    books().filter(position=0).update(position=9)
    assert titles(follower)[2] == "top 0"


def test_an_update_of_a_foreign_key_moves_rows(library: Library, follower: Follower) -> None:
    top, bottom = Shelf.objects.order_by("pk")
    books().filter(shelf=top).update(shelf=bottom)
    state: Any = follower.state
    assert [len(shelf["books"]) for shelf in state["shelves"]] == [0, 6]
    other = Library.objects.create(name="other")
    elsewhere = Follower(f"library/{other.pk}")
    shelves().filter(pk=bottom.pk).update(library=other)
    assert len(titles(elsewhere)) == 6
    assert titles(follower) == []
    elsewhere.close()


def test_bulk_update(library: Library, follower: Follower) -> None:
    changed = list(Book.objects.all())
    for book in changed:
        book.title = f"new {book.title}"
    books().bulk_update(changed, ["title"], batch_size=2)
    assert all(title.startswith("new ") for title in titles(follower))
    assert len(follower.positions) == 1, "one transaction"


def test_bulk_create(library: Library, follower: Follower) -> None:
    shelf = Shelf.objects.get(label="top")
    books().bulk_create([Book(shelf=shelf, title=f"more {number}", position=5) for number in range(3)])
    assert titles(follower)[3:6] == ["more 0", "more 1", "more 2"]
    assert len(follower.positions) == 1


async def test_the_asynchronous_forms(library: Library) -> None:
    from asgiref.sync import sync_to_async

    follower = await sync_to_async(Follower)(f"library/{library.pk}")
    shelf = await Shelf.objects.aget(label="top")
    await books().abulk_create([Book(shelf=shelf, title="more", position=5)])
    await books().filter(title="more").aupdate(title="renamed")
    assert titles(follower)[3] == "renamed"
    await sync_to_async(follower.close)()
    await sync_to_async(connections.close_all)()


@pytest.mark.parametrize("told", [True, False])
def test_rows_that_were_there_before_are_updated(library: Library, follower: Follower, told: bool) -> None:
    """Whether or not the database tells the keys of the rows that it updated."""
    first = Book.objects.order_by("pk")[0]
    shelf = first.shelf
    row = Book(pk=first.pk if told else None, shelf=shelf, title="upserted", position=0)
    if told:
        books().bulk_create([row], update_conflicts=True, unique_fields=["pk"], update_fields=["title"])
        assert titles(follower)[0] == "upserted"
    else:
        books().bulk_create([row], ignore_conflicts=True)
        assert "upserted" in titles(follower)


def test_raw_delete(library: Library, follower: Follower) -> None:
    doomed = books().filter(title__startswith="top")
    doomed._raw_delete(doomed.db)
    assert titles(follower) == ["bottom 0", "bottom 1", "bottom 2"]


def leaves() -> AnchoredQuerySet[Chapter]:
    """Nothing goes with them."""
    return AnchoredQuerySet(Chapter)


@pytest.fixture
def written(library: Library) -> None:
    book = Book.objects.get(title="top 0")
    Chapter.objects.bulk_create(Chapter(book=book, heading=str(number), number=number) for number in range(20))


@pytest.mark.usefixtures("written")
def test_a_delete_with_which_nothing_goes_is_one_statement(library: Library, follower: Follower) -> None:
    doomed = leaves().filter(number__gte=2).order_by("heading").select_related("book")
    assert len(doomed) == 18
    with CaptureQueriesContext(connection) as asked:
        assert doomed.delete() == (18, {"testapp.Chapter": 18})
    writes = [query["sql"] for query in asked if "testapp_chapter" in query["sql"]]
    assert writes[0].startswith("DELETE")
    assert chapters(follower)[0] == ["0", "1"]
    assert len(doomed) == 0
    assert doomed.delete() == (0, {})


@pytest.mark.usefixtures("written")
def test_the_deletes_of_rows_are_seen_all_the_same(library: Library, follower: Follower) -> None:
    Chapter.objects.get(number=3).delete()
    assert len(chapters(follower)[0]) == 19
    Book.objects.filter(title="top 0").delete()
    assert "top 0" not in titles(follower)


@pytest.mark.parametrize("sender", [None, Chapter])
@pytest.mark.usefixtures("written")
def test_where_others_listen_to_deletes_they_are_told_of_each(
    library: Library, follower: Follower, sender: type[Chapter] | None
) -> None:
    told: list[Any] = []

    def listen(instance: Any, **_: Any) -> None:
        told.append(instance)

    signals.post_delete.connect(listen, sender=sender)
    try:
        assert leaves().filter(number__gte=15).delete() == (5, {"testapp.Chapter": 5})
    finally:
        signals.post_delete.disconnect(listen, sender=sender)
    assert len(told) == 5
    assert len(chapters(follower)[0]) == 15


def test_what_goes_with_rows_goes(library: Library, follower: Follower) -> None:
    Chapter.objects.create(book=Book.objects.get(title="top 0"), heading="one", number=1)
    assert books().filter(title__startswith="top").delete() == (4, {"testapp.Chapter": 1, "testapp.Book": 3})
    assert len(titles(follower)) == 3


@pytest.mark.usefixtures("written")
def test_a_delete_that_django_refuses_is_refused(library: Library, follower: Follower) -> None:
    few: Any = leaves().filter(number__lt=5)
    for refused in (few[:2], few.values("heading"), few.values_list("heading"), few.distinct("heading")):
        with pytest.raises(TypeError, match="delete"):
            refused.delete()
    with pytest.raises(NotSupportedError, match="delete"):
        few.union(few).delete()
    assert not hasattr(AnchoredManager(), "delete"), "all rows are not deleted by mistake"
    assert len(chapters(follower)[0]) == 20


def test_what_is_rolled_back_is_not_told(library: Library, follower: Follower) -> None:
    with transaction.atomic():
        books().update(title="never")
        transaction.set_rollback(True)
    assert follower.positions == []


def queries_of(write: Callable[[], object]) -> int:
    """``BEGIN`` and ``COMMIT`` do not count."""
    with CaptureQueriesContext(connection) as queries:
        write()
    return sum(not query["sql"].startswith(("BEGIN", "COMMIT")) for query in queries)


@pytest.mark.parametrize("rows", [10, 1000])
def test_queries_do_not_grow_with_the_rows(rows: int, library: Library) -> None:
    top, bottom = Shelf.objects.order_by("pk")
    new = [Book(shelf=top, title=str(number)) for number in range(rows)]
    djangos = queries_of(lambda: Book.objects.bulk_create(new))
    new = [Book(shelf=top, title=str(number)) for number in range(rows)]
    assert queries_of(lambda: books().bulk_create(new)) == djangos
    assert queries_of(lambda: books().update(title="renamed")) == 1
    assert queries_of(lambda: books().filter(shelf=top).update(shelf=bottom)) == 1


def test_a_model_that_no_anchor_shows_costs_nothing(library: Library) -> None:
    from django.contrib.auth.models import Group

    with CaptureQueriesContext(connection) as queries:
        AnchoredQuerySet(Group).update(name="x")
    assert len(queries) == 1


# A model whose manager it is


def chapters(follower: Follower) -> list[list[str]]:
    state: Any = follower.state
    return [[chapter["heading"] for chapter in book["chapters"]] for book in state["shelves"][0]["books"]]


def test_a_models_own_managers(library: Library, follower: Follower) -> None:
    """The default one, those of relations, and the one by which relations write."""
    first, second, _ = Shelf.objects.get(label="top").books.all()
    first.chapters.bulk_create([Chapter(book=first, heading=str(number), number=number) for number in range(3)])
    assert chapters(follower) == [["0", "1", "2"], [], []]
    second.chapters.add(*first.chapters.filter(number__gt=0))
    assert chapters(follower) == [["0"], ["1", "2"], []]
    second.chapters.filter(number=1).update(heading="renamed")
    assert chapters(follower) == [["0"], ["renamed", "2"], []]
    Chapter.objects.filter(book=second).delete()
    assert chapters(follower) == [["0"], [], []]
    second.chapters.set(Chapter.objects.all())
    assert chapters(follower) == [[], ["0"], []]


# What else was written


def test_one_query_says_which_rows_of_a_queryset_were_changed(library: Library, follower: Follower) -> None:
    Book.objects.update(title="renamed")
    wanted = Book.objects.select_related("author").prefetch_related("genres", "chapters").order_by("-title")
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        rxcrdt.changed(wanted)
        rxcrdt.changed(wanted[1:3])
    (all_of_them, some) = (query["sql"] for query in queries if "SELECT" in query["sql"])
    for query in (all_of_them, some):
        assert "title" not in query.partition("ORDER BY")[0]
        assert "JOIN" not in query
    assert "LIMIT 2" in some
    assert len(follower.positions) == 1
    assert titles(follower) == ["renamed"] * 6


def test_a_queryset_that_was_evaluated_is_taken_as_it_is(library: Library, follower: Follower) -> None:
    first = Book.objects.filter(position=0)
    assert len(first) == 2
    Book.objects.filter(position=0).update(position=9)
    rxcrdt.changed(first)
    assert titles(follower)[2] == "top 0"
    assert len(follower.positions) == 1, "rows that are told of together are one entry, without a transaction too"


# What must not make a write fail, or go elsewhere


def test_what_django_refuses_is_refused(library: Library, follower: Follower) -> None:
    for write in (
        lambda: books()[:1].update(title="x"),
        lambda: books().update(nonsense=1),  # type: ignore[misc]
        lambda: books().union(books()).update(title="x"),
        lambda: books().bulk_update([Book(title="x")], ["title"]),
        lambda: books().bulk_create([Book(title="x")], update_conflicts=True),
    ):
        with pytest.raises((TypeError, FieldDoesNotExist, NotSupportedError, ValueError)):
            write()
    assert books().none().update(title="x") == 0
    assert books().bulk_create([]) == []
    assert follower.positions == []


@pytest.mark.parametrize("is_told", [True, False])
def test_rows_of_which_nothing_can_be_said_are_written_all_the_same(
    library: Library,
    follower: Follower,
    is_told: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    if not is_told:
        monkeypatch.setattr(bulk, "is_told", lambda *_: False)
    monkeypatch.setattr(tracking, "changes_of_rows", broken)
    assert books().update(title="x") == 6
    books().bulk_create([Book(title="y")])
    assert books().all()._raw_delete("default") == 7
    assert caplog.text.count("A change was not noted") == (3 if is_told else 4)
    documents.get(f"library/{library.pk}").reconcile()


def test_an_update_inside_of_a_transaction_that_has_ended_is_djangos_error(library: Library) -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            books().update(title="x")
        transaction.set_rollback(False)


def test_a_table_that_django_does_not_manage_may_be_a_view(
    library: Library, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which one may not ask what was written."""
    monkeypatch.setattr(Book._meta, "managed", False)
    with CaptureQueriesContext(connection) as queries:
        books().update(title="renamed")
    assert "SELECT" in queries[0]["sql"], "that is the way of databases that do not say"
    assert titles(follower) == ["renamed"] * 6


def test_an_annotation_and_a_join_in_the_filter(library: Library, follower: Follower) -> None:
    many = books().annotate(size=models.Count("shelf__books")).filter(size=3, shelf__label="top").distinct()
    assert many.order_by("title").update(title="joined") == 3
    assert titles(follower)[:3] == ["joined"] * 3


@pytest.mark.usefixtures("replica")
def test_where_it_is_written_it_is_told(library: Library, follower: Follower) -> None:
    """A router may have rows read elsewhere."""
    with override_settings(DATABASE_ROUTERS=[ReadsElsewhere()]):
        assert books().update(title="renamed") == 6
        books().bulk_create([Book(shelf=Shelf.objects.using("default")[0], title="new", position=9)])
        Book.objects.using("default").filter(title="new").update(title="newer")
        rxcrdt.changed(Book.objects.filter(title="newer"))
        assert follower.document.position == follower.positions[-1]
    assert titles(follower) == ["renamed", "renamed", "renamed", "newer", "renamed", "renamed", "renamed"]


def test_what_a_statement_says_it_wrote() -> None:
    """Values as Django reads them, whatever the column has: UUIDs are text in SQLite."""
    north = Zone.objects.create(name="north")
    part = Zone.objects.create(name="part", parent=north)
    found: list[tuple[Any, ...]] = []
    with returning(Zone, ("parent_id",), "default", found.extend):
        assert Zone.objects.update(rank=1) == 2
        assert Zone.objects.count() == 2
        assert Zone.objects.filter(pk=part.pk)._raw_delete("default") == 1
    assert sorted(found[:2], key=str) == sorted([(north.pk, None), (part.pk, north.pk)], key=str)
    assert found[2:] == [(part.pk, north.pk)]


# Others who write at the same time


def test_rows_that_come_to_match_at_the_last_moment(library: Library, follower: Follower) -> None:
    """Somebody else commits just before the statement. A query before it would not have found what it writes."""

    def commit() -> None:
        Book.objects.filter(title="top 0").update(kind=Book.Kind.ATLAS)
        connection.close()

    def committing(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            thread = threading.Thread(target=commit)
            thread.start()
            thread.join(10)
        return execute(sql, *rest)

    with connection.execute_wrapper(committing):
        assert books().filter(kind=Book.Kind.ATLAS).update(title="an atlas") == 1
    assert titles(follower)[0] == "an atlas"


def test_a_manager_for_models() -> None:
    class Meta:
        app_label = "bulk"
        base_manager_name = "objects"

    namespace = {"__module__": __name__, "Meta": Meta, "objects": AnchoredManager()}
    model: Any = type("Thing", (models.Model,), namespace)
    assert isinstance(model.objects.all(), AnchoredQuerySet)
    assert isinstance(model._base_manager.all(), AnchoredQuerySet)
