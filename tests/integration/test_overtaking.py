"""A client meets a log whose lineage began before one that it has seen elsewhere: it gets everything all the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from pycrdt import Doc

from rxcrdt import conf, deploys, testing
from rxcrdt.anchors import Anchor
from rxcrdt.document import Document
from rxcrdt.exceptions import NotNow, Refused
from rxcrdt.layers import plan
from rxcrdt.names import log_name
from rxcrdt.protocol import CloseCode
from tests.conditions import until
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
def test_a_client_that_hops_between_the_versions(way: list[Version], monkeypatch: pytest.MonkeyPatch) -> None:
    """A load balancer knows none, and a deploy may be taken back."""
    monkeypatch.setattr(deploys, "OVERTAKING_SECONDS", 0.0)
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


def test_two_logs_do_not_overtake_each_other_without_end() -> None:
    """A log begins anew for clients of the other version once in a while, in whichever process they come."""
    hopping, others = Client(), Client()
    processes = {version: (process(version), process(version)) for version in ANCHORS}
    begun, refused = set(), 0
    for number in range(20):
        for version in ANCHORS:
            document = processes[version][number % 2]
            try:
                hopping.visit(document)
                assert hopping.titles == ["first"]
            except NotNow:
                refused += 1
            head = conf.store().head(document.log)
            assert head is not None
            begun.add((version, head.epoch))
    assert len(begun) <= 4, "the first lineage of each version, and one more"
    assert refused
    for pair in processes.values():
        others.doc = Doc()
        others.visit(pair[0])
        assert others.titles == ["first"], "who does not hop notices nothing"


def test_whoever_was_told_to_come_back_is_answered_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploys, "OVERTAKING_SECONDS", 0.3)
    old, new, client, late = process("old"), process("new"), Client(), Client()
    late.visit(new)
    client.visit(new)
    client.visit(old)
    new.rebuild()
    late.visit(new)
    with pytest.raises(NotNow):
        late.visit(old)
    until(lambda: _is_answered(late, old))
    assert late.titles == ["first"]


@pytest.fixture
def ahead() -> tuple[str, Doc[Any]]:
    """A client of the old version's document that has seen the new one's."""
    old, new, client = process("old"), process("new"), Client()
    client.visit(old)
    new.rebuild()
    client.visit(new)
    assert deploys.may_overtake(old.log)
    return old.name, client.doc


async def test_a_socket_that_comes_too_early_is_to_come_back(
    ahead: tuple[str, Doc[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """4503: y-websocket tries again by itself."""
    name, doc = ahead
    with pytest.raises(Refused) as refused:
        async with testing.Client(name, user=AnonymousUser(), doc=doc):
            pass
    assert refused.value.code == CloseCode.RESTARTING
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def _is_answered(client: Client, document: Document) -> bool:
    try:
        client.visit(document)
    except NotNow:
        return False
    return True
