"""``assert_projected`` and ``own_store`` in every kind of test that a project may write."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from rxcrdt import changed, conf, documents, workers
from rxcrdt.exceptions import DocumentGone, NotProjected, Refused, UnknownAnchor
from rxcrdt.protocol import CloseCode
from rxcrdt.testing import Client, assert_projected, own_store
from tests.testapp.models import Library, Shelf


class InATestCase(TestCase):
    def setUp(self) -> None:
        self.enterContext(own_store())
        self.library = Library.objects.create(name="North")
        assert_projected("library", self.library.pk)

    def test_what_is_committed_by_capturing_is_projected(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            Shelf.objects.create(library=self.library, label="A")
        assert_projected("library", self.library.pk)

    def test_two_captures_are_two_commits(self) -> None:
        for label in "AB":
            with self.captureOnCommitCallbacks(execute=True):
                Shelf.objects.create(library=self.library, label=label)
            assert_projected("library", self.library.pk)

    def test_a_save_that_is_not_captured_is_no_commit(self) -> None:
        Shelf.objects.create(library=self.library, label="A")
        with pytest.raises(NotProjected, match=r"shelves: 0 items, expected 1.*captureOnCommitCallbacks"):
            assert_projected("library", self.library.pk)

    def test_it_is_not_for_inside_of_a_transaction(self) -> None:
        with transaction.atomic(), pytest.raises(NotProjected, match="call it after the block"):
            assert_projected("library", self.library.pk)


class InATransactionTestCase(TransactionTestCase):
    def setUp(self) -> None:
        self.enterContext(own_store())
        self.library = Library.objects.create(name="North")

    def test_a_save_is_projected(self) -> None:
        assert_projected("library", self.library.pk)
        with transaction.atomic():
            Shelf.objects.create(library=self.library, label="A")
        assert_projected("library", self.library.pk)

    async def test_a_save_reaches_a_client(self) -> None:
        async with Client(f"library/{self.library.pk}", user=AnonymousUser()) as client:
            await Shelf.objects.acreate(library=self.library, label="A")
            await client.settle()
            assert client.state is not None
            assert [shelf["label"] for shelf in client.state["shelves"]] == ["A"]
        await sync_to_async(assert_projected)("library", self.library.pk)


@pytest.mark.django_db
def test_pytest_captures_as_a_test_case_does(django_capture_on_commit_callbacks: type[object]) -> None:
    library = Library.objects.create(name="North")
    assert_projected("library", library.pk)
    library.name = "South"
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined, call-arg]
        library.save()
    assert_projected("library", library.pk)


@pytest.fixture
def uncommitted(db: None) -> Library:
    return Library.objects.create(name="North")


async def test_a_client_does_not_see_what_is_not_committed(uncommitted: Library) -> None:
    with pytest.raises(Refused) as refused:
        async with Client(f"library/{uncommitted.pk}", user=AnonymousUser()):
            pass
    assert refused.value.code == CloseCode.NOT_FOUND


@pytest.fixture
def work() -> Iterator[threading.Event]:
    """What a socket that was closed left behind, and what goes on for a while; set when it is done."""
    finish, done = threading.Event(), threading.Event()

    def work() -> None:
        finish.wait(20)
        done.set()

    workers.submit(work)
    timer = threading.Timer(0.2, finish.set)
    timer.start()
    yield done
    timer.join()


@pytest.fixture
def library(transactional_db: None) -> Library:
    return Library.objects.create(name="North")


async def test_nothing_goes_on_when_a_client_has_left(work: threading.Event, library: Library) -> None:
    """Django would empty the tables under it, and the two wait for each other's locks."""
    async with Client(f"library/{library.pk}", user=AnonymousUser()):
        pass
    assert work.is_set()


@pytest.mark.django_db(transaction=True)
async def test_nor_when_he_was_not_let_in(work: threading.Event) -> None:
    client = Client("library/4711", user=AnonymousUser())
    with pytest.raises(Refused):
        async with client:
            pass
    assert work.is_set()
    assert client._pump is None


@pytest.mark.django_db(transaction=True)
def test_nor_behind_a_store_of_ones_own(work: threading.Event) -> None:
    with own_store():
        pass
    assert work.is_set()


@pytest.mark.django_db(transaction=True)
def test_a_write_that_nobody_told_of_is_found_and_said() -> None:
    library = Library.objects.create(name="North")
    assert_projected("library", library.pk)
    Library.objects.filter(pk=library.pk).update(name="South")
    with pytest.raises(NotProjected, match=r"title: 'North', expected 'South'.* rxcrdt\.changed\(\)"):
        assert_projected("library", library.pk)
    changed(Library.objects.filter(pk=library.pk))
    assert_projected("library", library.pk)


@pytest.mark.django_db(transaction=True)
def test_rows_that_are_not_there() -> None:
    library = Library.objects.create(name="North")
    pk = library.pk
    assert_projected("library", pk)
    Library.objects.filter(pk=pk)._raw_delete("default")
    with pytest.raises(NotProjected, match="its row is gone, but the document shows it"):
        assert_projected("library", pk)
    changed(library)
    with pytest.raises(DocumentGone):
        assert_projected("library", pk)
    with pytest.raises(UnknownAnchor):
        assert_projected("lybrary", pk)


@pytest.mark.django_db(transaction=True)
def test_a_store_of_ones_own_begins_empty_and_leaves_nothing_behind() -> None:
    library = Library.objects.create(name="North")
    assert_projected("library", library.pk)
    outer = conf.store()
    kept = documents.get(f"library/{library.pk}")
    before = list(outer.names())
    with own_store() as store:
        assert conf.store() is store
        assert list(store.names()) == []
        assert documents.get(f"library/{library.pk}") is not kept
        library.name = "South"
        library.save()
        assert_projected("library", library.pk)
        held = documents.get(f"library/{library.pk}")
    assert conf.store() is outer
    assert list(outer.names()) == before
    assert documents.get(f"library/{library.pk}") is not held
