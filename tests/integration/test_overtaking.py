"""A client meets a log whose lineage began before one that it has seen elsewhere: it gets everything all the same."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc

from rxcrdt import conf
from rxcrdt.anchors import Anchor
from rxcrdt.document import Document
from rxcrdt.layers import plan
from rxcrdt.names import log_name
from tests.deploying.versions import SERIALIZERS, Version
from tests.kills.equality import nested, tables
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import Position

pytestmark = pytest.mark.django_db(transaction=True)


class NewAnchor(Anchor):
    queryset = Library.objects.all()
    serializer_class = SERIALIZERS["new"]
    permission_classes = LibraryAnchor.permission_classes


ANCHORS: dict[Version, type[Anchor]] = {"old": LibraryAnchor, "new": NewAnchor}


class Listener:
    def deliver(self, position: Position, update: bytes) -> None: ...
    def gone(self) -> None: ...


class Client:
    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()

    def visit(self, document: Document) -> None:
        document.answer(self.doc.get_state(), self.doc.apply_update)

    @property
    def titles(self) -> list[str] | None:
        state = nested(tables(self.doc))
        return state and [book["title"] for shelf in state["shelves"] for book in shelf["books"]]


@pytest.fixture(autouse=True)
def library(transactional_db: None) -> Library:
    library = Library.objects.create(name="library")
    Book.objects.create(shelf=Shelf.objects.create(library=library), title="first")
    return library


def process(version: Version) -> Document:
    """The document as another process of this version has it open."""
    library, anchor = Library.objects.get(), ANCHORS[version]
    name = f"library/{library.pk}"
    document = Document(anchor, name, str(library.pk), log_name(plan(anchor), name))
    document.ensure()
    document.subscribe(Listener())
    conf.store().touch([document.log])
    return document


@pytest.mark.parametrize("way", [["old", "new", "old"], ["new", "old", "new"], ["old", "new"] * 3])
def test_a_client_that_hops_between_the_versions(way: list[Version]) -> None:
    """A load balancer knows none, and a deploy may be taken back."""
    processes = {version: process(version) for version in ANCHORS}
    client = Client()
    for version in way:
        client.visit(processes[version])
        assert client.titles == ["first"]


def test_the_old_log_begins_anew_during_the_deploy_and_its_clients_move_over() -> None:
    old, new, client = process("old"), process("new"), Client()
    client.visit(old)
    old.rebuild()  # a collapse, say
    client.visit(old)
    client.visit(new)
    assert client.titles == ["first"]


def test_a_client_that_is_ahead_of_a_process_which_has_not_heard_of_the_new_lineage_yet() -> None:
    one, other, client = process("old"), process("old"), Client()
    one.rebuild()
    client.visit(one)
    client.visit(other)
    assert client.titles == ["first"]
    assert other.position == one.position, "it has heard of it now, and has not begun another one"
