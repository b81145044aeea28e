"""Each of the signals' handlers is needed: without it, a write of its kind leaves a document behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from django.db.models import signals
from django.db.models.signals import ModelSignal
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from rxcrdt import Anchor, tracking
from rxcrdt.registry import registry
from rxcrdt.snapshots import serialized
from tests.oracle.following import Follower
from tests.testapp.models import Book, Firm, Genre, Library, Person, Review, Shelf

Handler: TypeAlias = tuple[ModelSignal, tuple[str, int]]

pytestmark = pytest.mark.django_db(transaction=True)


class EmployedSerializer(serializers.ModelSerializer[Person]):
    """Shows a foreign key and not what it leads to."""

    class Meta:
        model = Person
        fields = ["id", "firm_id"]


class EmployedAnchor(Anchor):
    name = "employed"
    queryset = Person.objects.all()
    serializer_class = EmployedSerializer
    permission_classes = [AllowAny]


@pytest.fixture
def followers() -> Iterator[list[Follower]]:
    registry.register(EmployedAnchor)
    library = Library.objects.create(name="first")
    shelf = Shelf.objects.create(library=library, label="top")
    books = [Book.objects.create(shelf=shelf, title=title, position=place) for place, title in enumerate("ab")]
    reader = Person.objects.create(name="reader", firm=Firm.objects.create(name="firm"))
    Review.objects.create(book=books[0], person=reader)
    followers = [Follower(f"library/{library.pk}"), Follower(f"employed/{reader.pk}")]
    yield followers
    for follower in followers:
        follower.close()
    registry.unregister(EmployedAnchor)


def save() -> None:
    library = Library.objects.get()
    library.name = "second"
    library.save()


def delete() -> None:
    Book.objects.get(title="b").delete()


def rejoin() -> None:
    """The through row's own save names the two that it came to; that it left two, only the handler knows."""
    review = Review.objects.get()
    review.book, review.person = Book.objects.get(title="b"), Person.objects.create(name="another")
    review.save()


def leave() -> None:
    """A row that was read without its foreign keys does not know what it joined."""
    Review.objects.only("pk").get().delete()


def unset() -> None:
    """Django writes to the rows that point at what is deleted, and tells of the deleted row only."""
    Firm.objects.get().delete()


def relate() -> None:
    Book.objects.get(title="a").genres.add(Genre.objects.create(name="crime"))


WRITES: dict[str, Callable[[], None]] = {
    "post_save rxcrdt._saved": save,
    "post_delete rxcrdt._deleted": delete,
    "pre_save rxcrdt._moving": rejoin,
    "pre_delete rxcrdt._leaving": leave,
    "pre_delete rxcrdt._unsetting": unset,
    "m2m_changed rxcrdt._related": relate,
}


def handlers() -> dict[str, list[Handler]]:
    """By signal and handler: where it is connected, once a model."""
    found: dict[str, list[Handler]] = {}
    for name, signal in vars(signals).items():
        if isinstance(signal, ModelSignal):
            for (uid, sender), *_ in signal.receivers:
                if isinstance(uid, str) and uid.startswith("rxcrdt."):
                    found.setdefault(f"{name} {uid}", []).append((signal, (uid, sender)))
    return found


def take_away(signal: ModelSignal, key: tuple[str, int]) -> None:
    before = len(signal.receivers)
    signal.receivers = [receiver for receiver in signal.receivers if receiver[0] != key]
    signal.sender_receivers_cache.clear()
    assert len(signal.receivers) < before


@pytest.fixture
def wired() -> Iterator[None]:
    yield
    tracking.wire()


def test_there_is_a_write_for_every_handler() -> None:
    assert set(handlers()) == set(WRITES)


@pytest.mark.parametrize("handler", WRITES)
def test_with_all_handlers_the_document_follows(followers: list[Follower], handler: str) -> None:
    WRITES[handler]()
    assert are_right(followers)


@pytest.mark.parametrize("handler", WRITES)
def test_without_its_handler_the_write_is_not_seen(followers: list[Follower], wired: None, handler: str) -> None:
    for signal, key in handlers()[handler]:
        take_away(signal, key)
    WRITES[handler]()
    assert not are_right(followers)


def are_right(followers: list[Follower]) -> bool:
    names = [follower.document.name.split("/") for follower in followers]
    return [serialized(*name) for name in names] == [follower.state for follower in followers]
