"""What a document does at its edges: found by taking single lines away and seeing nothing fail."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pycrdt
import pytest
import redis

from rxcrdt import Layer, conf, deploys, documents, folding, tombstones, workers
from rxcrdt.backlog import backlog
from rxcrdt.changes import Changes
from rxcrdt.document import Document
from rxcrdt.snapshots import snapshot
from tests.integration.test_deploys import Listener, follow, old, state  # noqa: F401
from tests.integration.test_documents import another_process
from tests.integration.test_folding import epoch, overwrite
from tests.integration.test_quarantine import GARBAGE, _log_key, in_redis, kept, server, with_entry  # noqa: F401
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Library, Shelf
from tests.testapp.serializers import LibrarySerializer
from ydoc_store import DocStore

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def few_tombstones_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "FEW", 0)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    Shelf.objects.create(library=library, label="top")
    return library


@pytest.fixture
def store() -> Interposed:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    return interposed


def rename(library: Library, times: int) -> None:
    for number in range(times):
        library.name = f"name {number}"
        library.save()


def test_a_document_that_the_store_has_is_loaded_and_not_projected(store: Interposed, library: Library) -> None:
    snapshot("library", library.pk)
    documents.forget_all()
    store.calls.clear()
    documents.open(f"library/{library.pk}")
    assert store.calls == ["load"]


def test_a_nudge_that_comes_with_the_lease_is_heard(library: Library, old: Document) -> None:  # noqa: F811
    """As in a room that hears of nothing, and saves."""
    Library.objects.update(name="by new code")
    deploys.nudge(old.log)
    old.flush("default", Changes(saved={"testapp.shelf:4711"}))
    assert workers.wait_for_background(10)
    assert state(old)["name"] == "by new code"  # type: ignore[index]


def test_a_document_that_nobody_has_open_is_not_compared(store: Interposed, library: Library) -> None:
    document = documents.open(f"library/{library.pk}")
    deploys.nudge(document.log)
    store.calls.clear()
    document.catch_up()
    assert workers.wait_for_background(10)
    assert store.calls == ["since"]


def test_many_nudges_wait_as_one_comparison(store: Interposed, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    gate = threading.Event()
    for _ in range(workers.BACKGROUND_THREADS):
        workers.in_background("", gate.wait, 30)
    store.calls.clear()
    for _ in range(5):
        deploys.nudge(follower.document.log)
        follower.document.catch_up()
    gate.set()
    assert workers.wait_for_background(10)
    assert store.calls.count("rows") == 1
    follower.close()


@pytest.mark.parametrize("anew", ["rebuild", "reconcile"])
def test_what_compares_answers_nudges(anew: str, store: Interposed, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    deploys.nudge(follower.document.log)
    store.calls.clear()
    getattr(follower.document, anew)()
    assert workers.wait_for_background(10)
    assert store.calls.count("rows") == 1
    follower.close()


def _open_in_a_new_process(name: str) -> None:
    documents.forget_all()
    documents.open(name)


WAYS: dict[str, Callable[[Document, Library], object]] = {
    "a poll": lambda document, library: document.catch_up(),
    "a save": lambda document, library: library.save(),
    "a comparison": lambda document, library: document.reconcile(),
    "a fold": lambda document, library: document.compact(),
    "a room": lambda document, library: _open_in_a_new_process(document.name),
}


@pytest.mark.redis
@pytest.mark.parametrize("way", WAYS)
def test_whoever_finds_what_is_no_log_puts_it_aside(
    way: str,
    in_redis: tuple[DocStore, redis.Redis],  # noqa: F811
    library: Library,
) -> None:
    store, client = in_redis
    follower = Follower(f"library/{library.pk}")
    client.set(_log_key(store, client), b"not a list")
    WAYS[way](follower.document, library)
    assert len(kept(store)) == 1
    assert backlog.is_empty()


@pytest.mark.parametrize("way", WAYS)
def test_whoever_finds_an_entry_that_is_none_puts_its_log_aside(way: str, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    with_entry(GARBAGE)(conf.store(), follower.document)
    WAYS[way](follower.document, library)
    assert len(kept(conf.store())) == 1
    assert backlog.is_empty()


def test_whoever_read_it_before_somebody_else_began_it_anew_leaves_that_alone(
    store: Interposed, library: Library
) -> None:
    document = documents.open(f"library/{library.pk}")
    with_entry(GARBAGE)(store, document)  # type: ignore[arg-type]
    documents.forget_all()
    other = another_process(document.name)
    store.after("load", other.ensure)
    again = documents.open(document.name)
    assert store.done
    assert len(kept(store)) == 1  # type: ignore[arg-type]
    assert again.position == other.position == conf.store().head(document.log)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, MemoryError])
def test_whoever_is_interrupted_while_he_reads_puts_nothing_aside(
    interruption: type[BaseException], library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = documents.open(f"library/{library.pk}")
    rename(library, 1)
    documents.forget_all()
    apply_update = pycrdt.Doc.apply_update

    def interrupted(*_: object) -> None:
        monkeypatch.setattr(pycrdt.Doc, "apply_update", apply_update)
        raise interruption

    monkeypatch.setattr(pycrdt.Doc, "apply_update", interrupted)
    with pytest.raises(interruption):
        documents.open(document.name)
    assert kept(conf.store()) == []


@pytest.mark.parametrize("layer", [Layer(write={"update"}), Layer(text={"code"})])
def test_whatever_may_be_written_is_not_collapsed(
    layer: Layer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LibraryAnchor, "layers", {LibrarySerializer: layer})
    follower = Follower(f"library/{library.pk}")
    overwrite(follower.document)
    before = epoch(follower.document)
    follower.document.compact()
    assert epoch(follower.document) == before
    follower.close()


def test_a_log_that_is_due_is_folded_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SMALLEST", 1000)
    document = documents.open(f"library/{library.pk}")
    gate = threading.Event()
    for _ in range(workers.BACKGROUND_THREADS):
        workers.in_background("", gate.wait, 30)
    rename(library, 8)
    waiting = len(workers._pools().waiting)
    gate.set()
    assert workers.wait_for_background(10)
    assert waiting - workers.BACKGROUND_THREADS <= 2
    documents.close(document)


def test_what_is_folded_is_not_folded_again(store: Interposed, library: Library) -> None:
    document = documents.open(f"library/{library.pk}")
    rename(library, 3)
    document.compact()
    document.compact()
    assert store.calls.count("compact") == 1
    documents.close(document)


def test_there_is_nothing_to_fold_where_there_is_no_log(library: Library) -> None:
    documents.get(f"library/{library.pk}").compact()
    assert list(conf.store().names()) == []


def test_an_empty_document_has_no_tombstones() -> None:
    assert tombstones.share(pycrdt.Doc()) == 0


def test_a_copy_that_is_read_again_where_it_was_tells_nobody(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    told = len(follower.updates)
    follower.document._mirror.drop()  # as after a write that failed
    follower.document.catch_up()
    assert len(follower.updates) == told
    follower.close()


def test_a_nudge_goes_behind_what_was_written(
    store: Interposed,
    library: Library,
    old: Document,  # noqa: F811
) -> None:
    real = conf.store()
    store.before("lease", lambda: real._store.append(old.log, b"\x00\x00", expect=old.position))  # type: ignore[attr-defined]
    deploys.nudge(old.log)
    assert store.done
    assert real._store.head(old.log).sequence == old.position.sequence + 2  # type: ignore[attr-defined, union-attr]


@pytest.mark.parametrize("step", ["head", "lease", "append"])
def test_a_log_that_goes_while_it_is_nudged_fails_no_save(
    step: str,
    store: Interposed,
    library: Library,
    old: Document,  # noqa: F811
) -> None:
    store.before(step, lambda: store._store.delete(old.log))
    library.name = "second"
    library.save()
    assert workers.wait_for_background(10)
    assert store.done
    store._store.lease(old.log, since=None, seconds=1, wait=0)  # nobody holds it
