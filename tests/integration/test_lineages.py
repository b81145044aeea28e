"""A document that is built anew: whoever holds an older one gets the new one, and loses what is not there any more."""

from __future__ import annotations

import pytest

from rxcrdt import conf, documents, layout
from rxcrdt.denormalize import denormalize
from rxcrdt.layers import plan
from rxcrdt.lineage import FIRST_TRUTH_ID, clock_id
from rxcrdt.snapshots import compare, snapshot
from rxcrdt.tables import Tables
from tests.oracle.following import Follower
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Book, Library, Person, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first", director=Person.objects.create(name="director"))
    for number in range(3):
        shelf = Shelf.objects.create(library=library, label=str(number), position=number)
        Book.objects.create(shelf=shelf, title=f"book {number}")
    return library


def _change_unseen(library: Library) -> None:
    """As while nobody who tracks was there: rows go, come and change, and no signal says so."""
    Book.objects.filter(shelf__label="0")._raw_delete("default")
    Shelf.objects.filter(label="0")._raw_delete("default")
    Library.objects.filter(pk=library.pk).update(name="second", director=None)
    Shelf.objects.bulk_create([Shelf(library=library, label="new", position=-1)])


def test_connected_followers_get_a_new_lineage_as_one_update_without_ghosts(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    before = follower.document.position
    conf.store().delete(follower.document.log)
    _change_unseen(library)
    library.refresh_from_db()
    library.save()
    assert compare("library", library.pk) is None
    assert before is not None
    assert follower.positions[-1].epoch > before.epoch
    assert len(follower.updates) == 2, "the answer, and the new lineage"
    assert follower.state == snapshot("library", library.pk)
    assert follower.ghosts() == set()
    follower.close()


def test_a_client_that_comes_back_with_an_older_lineage_loses_what_is_gone(library: Library) -> None:
    name = f"library/{library.pk}"
    old = Follower(name)
    old.close()
    conf.store().delete(old.document.log)
    documents.forget_all()
    _change_unseen(library)
    document = documents.open(name)
    document.answer(old.doc.get_state(), old.doc.apply_update)
    old.document = document
    assert old.state == snapshot("library", library.pk)
    assert old.ghosts() == set()
    assert compare("library", library.pk) is None
    documents.close(document)


def test_the_log_that_vanished_under_a_follower_is_built_anew_by_its_next_poll(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    conf.store().delete(follower.document.log)
    _change_unseen(library)
    follower.document.catch_up()
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def test_a_lagging_client_of_the_same_lineage_gets_no_more_than_it_lacks(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    state = follower.doc.get_state()
    library.name = "second"
    library.save()
    sizes: list[int] = []
    follower.document.answer(state, lambda update: sizes.append(len(update)))
    follower.document.answer(b"\x00", lambda update: sizes.append(len(update)))
    assert sizes[0] < sizes[1] / 10
    follower.close()


def test_epochs_grow_and_lie_above_every_id_of_a_client() -> None:
    first = clock_id()
    assert first > FIRST_TRUTH_ID
    assert clock_id(first + 10**6) == first + 10**6 + 1
    assert clock_id() < 2**53, "JavaScript reads it exactly"


def test_folding_the_log_into_its_snapshot_changes_nothing_for_anybody(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    for number in range(30):
        library.name = f"name {number}"
        library.save()
    before = conf.store().size(follower.document.log)
    follower.document.compact()
    after = conf.store().size(follower.document.log)
    assert (before.entries, after.entries) == (30, 0)
    assert after.snapshot_bytes < before.entry_bytes + before.snapshot_bytes
    library.name = "after"
    library.save()
    assert follower.state == snapshot("library", library.pk)
    documents.forget_all()
    assert snapshot("library", library.pk)["title"] == "after"
    content = layout.read(follower.doc, Tables(plan(LibraryAnchor), {}).content)
    assert denormalize(content, layout.read_root(follower.doc, layout.META)) == follower.state
    follower.document.unsubscribe(follower)
