"""Documents that nobody has open are evicted, others never; and whoever comes back gets what the database says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from rxcrdt import Layer, conf, documents, retention
from rxcrdt.names import LogName
from rxcrdt.snapshots import compare, snapshot
from rxcrdt.testing import Client
from rxcrdt.upkeep import upkeep
from tests.conditions import until
from tests.oracle.following import Follower
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Library, Shelf
from tests.testapp.serializers import LibrarySerializer

pytestmark = pytest.mark.django_db(transaction=True)

WEEK = 7 * 24 * 3600.0


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    Shelf.objects.create(library=library, label="top")
    return library


@pytest.fixture
def nothing_is_kept() -> Iterator[None]:
    with override_settings(RXCRDT={"STORE": "memory://", "RETENTION_SECONDS": 1e-9}):
        conf.use_store(conf.store())
        yield
        conf.use_store(None)


def log_of(library: Library) -> LogName:
    return LogName.parse(documents.get(f"library/{library.pk}").log)


def test_what_was_used_lately_stays(library: Library) -> None:
    snapshot("library", library.pk)
    assert retention.sweep() == 0
    assert not retention.evict(log_of(library), unused_for=WEEK)
    assert list(conf.store().names()) == [str(log_of(library))]


@pytest.mark.usefixtures("nothing_is_kept")
def test_what_was_not_goes_with_its_rows_and_is_built_again(library: Library) -> None:
    client = Follower(f"library/{library.pk}")
    client.close()
    assert retention.sweep() == 1
    assert list(conf.store().names()) == []
    assert conf.store().rows(client.document.log) == set()
    Shelf.objects.all().delete()
    documents.forget_all()
    document = documents.open(f"library/{library.pk}")
    document.answer(client.doc.get_state(), client.doc.apply_update)
    client.document = document
    assert client.state == snapshot("library", library.pk)
    assert client.ghosts() == set()
    documents.close(document)


@pytest.mark.usefixtures("nothing_is_kept")
def test_one_process_an_hour_looks(library: Library) -> None:
    assert retention.sweep() == 0
    snapshot("library", library.pk)
    assert retention.sweep() == 0, "the turn was taken a moment ago"
    assert list(conf.store().names()) == [str(log_of(library))]


def test_a_save_is_no_use(library: Library) -> None:
    snapshot("library", library.pk)
    log = str(log_of(library))
    used = conf.store().usage([log])[log].used
    library.name = "second"
    library.save()
    usage = conf.store().usage([log])[log]
    assert usage.used == used
    assert usage.written > used


@pytest.mark.usefixtures("nothing_is_kept")
def test_the_one_who_still_has_it_open_gets_it_back(library: Library) -> None:
    """As if the touch had come too late by a moment."""
    follower = Follower(f"library/{library.pk}")
    assert retention.sweep() == 1
    library.name = "second"
    library.save()
    follower.document.catch_up()
    assert follower.state == snapshot("library", library.pk)
    assert follower.ghosts() == set()
    assert compare("library", library.pk) is None
    follower.close()


async def test_open_rooms_touch_their_logs(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TOUCH_SECONDS", 0.01)
    with override_settings(RXCRDT={"STORE": "memory://", "POLL_SECONDS": 0.01}):
        conf.use_store(conf.store())
        async with Client(f"library/{library.pk}") as client:
            await client.settle()
            (log,) = conf.store().names()
            first = conf.store().usage([log])[log].used
            until(lambda: conf.store().usage([log])[log].used > first)
        running = upkeep.forget()
        assert running is not None
        running.close()
        conf.use_store(None)


@pytest.fixture
def with_text(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = {LibrarySerializer: Layer(write={"update"}, text={"code"})}
    monkeypatch.setattr(LibraryAnchor, "layers", layers)


@pytest.mark.usefixtures("nothing_is_kept", "with_text")
def test_what_people_type_into_stays_unless_the_project_says_otherwise(library: Library) -> None:
    snapshot("library", library.pk)
    assert not retention.evict(log_of(library), unused_for=0)
    with override_settings(RXCRDT={"STORE": "memory://", "EVICT_TEXT": True}):
        assert retention.evict(log_of(library), unused_for=0)


@pytest.mark.usefixtures("nothing_is_kept")
def test_other_tenants_and_versions_are_swept_and_strangers_are_not(library: Library) -> None:
    store = conf.store()
    names = ["other|library/1@3f9a1c02de", "|library/1@lastweek", "|unregistered/1@3f9a1c02de", "somebody else's"]
    for name in names:
        lease = store.lease(name, since=None, seconds=1, wait=0)
        store.begin(name, epoch=1, snapshot=b"\x00\x00", rows=["a row"], lease=lease.token)
        store.release(name, lease.token)
    assert retention.sweep() == 3
    assert list(store.names()) == ["somebody else's"]


def test_nobody_is_evicted_while_he_writes(library: Library) -> None:
    snapshot("library", library.pk)
    log = log_of(library)
    lease = conf.store().lease(str(log), since=None, seconds=10, wait=0)
    assert not retention.evict(log, unused_for=0)
    conf.store().release(str(log), lease.token)
    assert retention.evict(log, unused_for=0)


@pytest.mark.usefixtures("nothing_is_kept")
def test_the_proof_that_a_client_has_seen_a_later_lineage_stays_as_long_as_it_is_needed(library: Library) -> None:
    """Two versions' logs: who has seen the later one must not get the earlier one."""
    snapshot("library", library.pk)
    ours = log_of(library)
    later = ours._replace(schema="nextweek00")
    store = conf.store()
    head = store.head(str(ours))
    assert head is not None
    lease = store.lease(str(later), since=None, seconds=1, wait=0)
    row = f"testapp.library:{library.pk}"
    store.begin(str(later), epoch=head.epoch + 1, snapshot=b"\x00\x00", rows=[row], lease=lease.token)
    store.release(str(later), lease.token)
    assert not retention.evict(later, unused_for=0)
    assert retention.evict(ours, unused_for=0)
    assert retention.evict(later, unused_for=0)
