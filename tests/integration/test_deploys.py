"""A rolling deploy: processes with old and new code serve one row from two logs, and each sees what the other saved."""

from __future__ import annotations

import pytest
from rest_framework import serializers

from rxcrdt import conf, deploys, documents, retention, workers
from rxcrdt.anchors import Anchor
from rxcrdt.changes import Changes
from rxcrdt.denormalize import denormalize
from rxcrdt.document import Document
from rxcrdt.layers import plan
from rxcrdt.names import LogName, log_name
from rxcrdt.snapshots import compare
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Library, Shelf
from ydoc_store import Position, StoreUnavailable

pytestmark = pytest.mark.django_db(transaction=True)


class OldShelfSerializer(serializers.ModelSerializer[Shelf]):
    class Meta:
        model = Shelf
        fields = ["id", "label"]


class OldLibrarySerializer(serializers.ModelSerializer[Library]):
    """Last week's: without most of the fields."""

    shelves = OldShelfSerializer(many=True, read_only=True)

    class Meta:
        model = Library
        fields = ["id", "name", "shelves"]


class OldLibraryAnchor(Anchor):
    queryset = Library.objects.all()
    serializer_class = OldLibrarySerializer
    permission_classes = LibraryAnchor.permission_classes


class Listener:
    """What a room of an old process gets."""

    def __init__(self) -> None:
        self.updates: list[bytes] = []

    def deliver(self, position: Position, update: bytes) -> None:
        self.updates.append(update)

    def gone(self) -> None: ...


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    Shelf.objects.create(library=library, label="top")
    return library


@pytest.fixture
def old(library: Library) -> Document:
    """The document as a process with last week's code has it open: it shares the store, and nothing else."""
    name = f"library/{library.pk}"
    document = Document(OldLibraryAnchor, name, str(library.pk), log_name(plan(OldLibraryAnchor), name))
    document.ensure()
    document.subscribe(Listener())
    conf.store().touch([document.log])
    return document


def state(document: Document) -> object:
    return denormalize(*document.content())


def follow(document: Document) -> None:
    """What a poll, or the channel layer, makes a room do."""
    assert workers.wait_for_background(10)
    document.catch_up()
    assert workers.wait_for_background(10)


def test_the_two_versions_have_a_log_each(library: Library, old: Document) -> None:
    new = documents.open(f"library/{library.pk}")
    assert new.log != old.log
    assert set(conf.store().names()) == {new.log, old.log}
    documents.close(new)


def test_what_new_code_saves_reaches_those_who_have_the_old_document_open(library: Library, old: Document) -> None:
    follower = Follower(f"library/{library.pk}")
    head = conf.store().head(old.log)
    library.name = "second"
    library.save()
    assert workers.wait_for_background(10)
    Shelf.objects.create(library=library, label="bottom")
    assert workers.wait_for_background(10)
    assert head is not None
    entries = conf.store().since(old.log, head)
    assert [entry.update for entry in entries] == [deploys.NUDGE, deploys.NUDGE], "no code writes another's schema"
    follow(old)
    assert state(old) == {
        "id": library.pk,
        "name": "second",
        "shelves": [{"id": shelf.pk, "label": shelf.label} for shelf in library.shelves.all()],
    }
    assert compare("library", library.pk) is None
    follower.close()


def test_and_what_old_code_saves_those_who_have_the_new_one(library: Library, old: Document) -> None:
    """The old process' flush finds the new log in the index, as ours finds the old one."""
    follower = Follower(f"library/{library.pk}")
    conf.store().touch([follower.document.log])
    Library.objects.update(name="by old code")
    old.flush("default", Changes(saved={f"testapp.library:{library.pk}"}))
    deploys.nudge(follower.document.log)
    follow(follower.document)
    assert follower.state is not None
    assert follower.state["title"] == "by old code"
    follower.close()


def test_clients_are_not_sent_what_has_no_content(library: Library, old: Document) -> None:
    listener = Listener()
    old.subscribe(listener)
    Library.objects.update(opened="2026-11-22")
    library.refresh_from_db()
    library.save()
    before = old.position
    follow(old)
    assert old.position != before
    assert listener.updates == [], "the field that changed is not in the old document"


def test_many_nudges_are_one_comparison(library: Library, old: Document) -> None:
    for number in range(5):
        library.name = f"name {number}"
        library.save()
        assert workers.wait_for_background(10)
    head = conf.store().head(old.log)
    follow(old)
    assert head is not None
    assert old.position == Position(head.epoch, head.sequence + 1)
    assert state(old) == {**state(old), "name": "name 4"}  # type: ignore[dict-item]


def test_a_nudge_that_was_folded_away_is_heard_all_the_same(library: Library, old: Document) -> None:
    library.name = "second"
    library.save()
    assert workers.wait_for_background(10)
    log = conf.store().load(old.log)
    assert log is not None
    conf.store().compact(old.log, log.snapshot, at=log.head)
    follow(old)
    assert state(old) == {**state(old), "name": "second"}  # type: ignore[dict-item]


def test_a_log_that_nobody_has_open_is_left_alone(
    library: Library, old: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "IN_USE_SECONDS", -1.0)
    head = conf.store().head(old.log)
    library.save()
    assert workers.wait_for_background(10)
    assert conf.store().head(old.log) == head


def test_other_tenants_logs_are_left_alone(library: Library, old: Document) -> None:
    """Their rows have the same keys, and are others."""
    theirs = str(LogName("other", f"library/{library.pk}", "3f9a1c02de"))
    store = conf.store()
    lease = store.lease(theirs, since=None, seconds=10, wait=0)
    store.begin(theirs, epoch=1, snapshot=b"\x00\x00", rows=[f"testapp.library:{library.pk}"], lease=lease.token)
    store.release(theirs, lease.token)
    library.save()
    assert workers.wait_for_background(10)
    assert store.head(theirs) == Position(1, 0)


def test_a_nudge_that_fails_fails_no_save(library: Library, old: Document, caplog: pytest.LogCaptureFixture) -> None:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    follower = Follower(f"library/{library.pk}")

    def unavailable() -> None:
        raise StoreUnavailable("gone for a moment")

    interposed.before("usage", unavailable)
    library.name = "second"
    library.save()
    assert workers.wait_for_background(10)
    assert interposed.done
    assert "could not be nudged" in caplog.text
    assert follower.state is not None
    assert follower.state["title"] == "second"
    follower.close()


def test_whoever_writes_the_other_log_is_waited_for(library: Library, old: Document) -> None:
    """A nudge takes its turn: one that came in between would cost the writer its copy."""
    store = conf.store()
    lease = store.lease(old.log, since=old.position, seconds=0.2, wait=0)
    assert old.position is not None
    library.name = "second"
    library.save()
    assert workers.wait_for_background(10)
    head = store.head(old.log)
    assert head is not None
    assert head.sequence == old.position.sequence + 1
    again = store.lease(old.log, since=None, seconds=1, wait=0)
    assert again.token != lease.token, "and gives its turn back"
