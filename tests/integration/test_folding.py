"""A log does not grow for ever: its entries are folded into the snapshot, and too many tombstones collapse."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rxcrdt import Layer, conf, documents, folding, retention, tombstones, workers
from rxcrdt.document import Document
from rxcrdt.replica import Replica
from rxcrdt.snapshots import compare, snapshot
from tests.integration.test_documents import another_process
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Book, Library, Shelf
from tests.testapp.serializers import LibrarySerializer
from ydoc_store import LeaseTimeout, Position, Size, open_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store() -> Interposed:
    interposed = Interposed(conf.store())
    conf.use_store(interposed)  # type: ignore[arg-type]
    return interposed


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[None]:
    with open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}") as store:
        conf.use_store(store)
        yield
        conf.use_store(None)


@pytest.fixture(autouse=True)
def few_tombstones_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "FEW", 0)


@pytest.fixture
def library() -> Library:
    library = Library.objects.create(name="first")
    shelf = Shelf.objects.create(library=library, label="top")
    for number in range(3):
        Book.objects.create(shelf=shelf, title=f"book {number}")
    return library


def rename(library: Library, times: int) -> None:
    for number in range(times):
        library.name = f"name {number}"
        library.save()


def size(document: Document) -> Size:
    return conf.store().size(document.log)


def epoch(document: Document) -> int:
    assert document.position is not None
    return document.position.epoch


# Folding


def test_whoever_crosses_the_line_folds_the_log(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SMALLEST", 3000)
    monkeypatch.setattr(tombstones, "TOO_MANY", 1.0)
    follower = Follower(f"library/{library.pk}")
    most = 0
    for _ in range(10):
        rename(library, 5)
        assert workers.wait_for_background(10)
        most = max(most, size(follower.document).entries)
    assert most <= 17, "3000 / (100 + 3 * 50), and those of a last round"
    assert size(follower.document).snapshot_bytes < 10_000
    assert [position.sequence for position in follower.positions] == list(range(1, 51)), "readers saw every entry"
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def test_entries_of_other_processes_count(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processes that write in turns must not each wait until it has crossed the line alone."""
    monkeypatch.setattr(folding, "SMALLEST", 3000)
    document = documents.open(f"library/{library.pk}")
    other = another_process(document.name)
    for number in range(20):
        Library.objects.update(name=f"name {number}")
        (document if number % 2 else other).reconcile()
        assert workers.wait_for_background(10)
    assert size(document).entries <= 12
    documents.close(document)


def test_a_large_document_is_folded_less_often(library: Library) -> None:
    """Folding costs as much as loading: were it done every so many entries, saves would get slower with the rows."""
    document = documents.open(f"library/{library.pk}")
    log = conf.store().load(document.log)
    assert log is not None
    replica = Replica(document.plan, log)
    replica.weight = folding.SMALLEST + 1
    assert folding.is_due(replica.weight, replica.snapshot_bytes)
    replica.snapshot_bytes = folding.PART * (folding.SMALLEST + 1)
    assert not folding.is_due(replica.weight, replica.snapshot_bytes)
    documents.close(document)


def test_only_one_folds_at_a_time(library: Library) -> None:
    document = documents.open(f"library/{library.pk}")
    rename(library, 3)
    turn = conf.store().lease(f"{document.log}#fold", since=None, seconds=10, wait=0)
    document.compact()
    assert size(document).entries == 3
    conf.store().release(f"{document.log}#fold", turn.token)
    document.compact()
    assert size(document).entries == 0
    documents.close(document)


def test_writers_and_readers_go_on_while_a_log_is_folded(store: Interposed, library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    rename(library, 3)
    before = follower.document.state_vector()

    def meanwhile() -> None:
        library.name = "meanwhile"
        library.save()
        late = Follower(follower.document.name)
        assert late.state == follower.state
        late.close()
        answers: list[bytes] = []
        follower.document.answer(before, answers.append)
        assert len(answers[0]) < 200, "who holds an older head gets what he lacks, not everything"

    store.before("compact", meanwhile)
    follower.document.compact()
    assert store.done
    assert size(follower.document).entries == 1, "what came after the log was read"
    documents.forget_all()
    assert snapshot("library", library.pk)["title"] == "meanwhile"
    assert follower.state == snapshot("library", library.pk)
    follower.document.unsubscribe(follower)


@pytest.mark.parametrize("step", ["before load", "before compact", "after compact", "before release"])
def test_whoever_dies_while_folding_loses_nothing(step: str, library: Library, file_store: None) -> None:
    follower = Follower(f"library/{library.pk}")
    rename(library, 5)
    head = follower.document.position
    killed = os.fork()
    if killed == 0:
        _die_folding(step, follower.document.log)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == 9, "it got there"
    log = conf.store().load(follower.document.log)
    assert log is not None
    assert log.head == head
    assert len(log.entries) == (5 if step in ("before load", "before compact") else 0)
    with pytest.raises(LeaseTimeout):
        conf.store().lease(f"{follower.document.log}#fold", since=None, seconds=1, wait=0)
    rename(library, 2)
    documents.forget_all()
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.document.unsubscribe(follower)


def _die_folding(step: str, log: str) -> None:
    try:
        when, method = step.split()
        interposed = Interposed(conf.store())
        getattr(interposed, when)(method, lambda: os._exit(9))
        conf.use_store(interposed)  # type: ignore[arg-type]
        document = documents.get_by_log(log)
        assert document is not None
        document.compact()
    finally:
        os._exit(1)


# Collapse


def overwrite(document: Document, until: float = tombstones.TOO_MANY) -> None:
    """Registers are overwritten until there are so many tombstones."""
    number = 0
    while share(document) <= until:
        for _ in range(20):
            number += 1
            Library.objects.update(name=f"name {number}")
            Book.objects.update(title=f"title {number}")
            document.reconcile()


def share(document: Document) -> float:
    log = conf.store().load(document.log)
    assert log is not None
    return tombstones.share(Replica(document.plan, log).doc)


def test_a_fresh_document_has_no_tombstones_and_each_overwritten_register_leaves_one(library: Library) -> None:
    document = documents.open(f"library/{library.pk}")
    assert share(document) == 0
    rename(library, 10)
    document.compact()
    clocks = 10 / share(document)
    rename(library, 10)
    assert share(document) == pytest.approx(20 / (clocks + 10), rel=0.1)
    documents.close(document)


def test_readers_get_a_collapsed_document_as_one_update(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SMALLEST", 10**9)  # not by itself
    follower = Follower(f"library/{library.pk}")
    late = another_process(follower.document.name)
    late.ensure()
    overwrite(follower.document, until=0.9)
    before, fat, told = epoch(follower.document), len(follower.doc.get_update()), len(follower.updates)
    follower.document.compact()
    assert epoch(follower.document) > before
    assert len(follower.updates) == told + 1
    assert follower.state == snapshot("library", library.pk)
    assert follower.ghosts() == set()
    assert compare("library", library.pk) is None
    assert share(follower.document) == 0
    assert len(follower.doc.get_update()) < 0.5 * fat, "the reader's document shrinks, too"
    late.catch_up()
    assert late.position == follower.document.position
    rename(library, 1)
    assert follower.positions[-1] == Position(epoch(follower.document), 1)
    assert follower.state == snapshot("library", library.pk)
    follower.close()


def test_a_few_tombstones_are_not_worth_it(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    document = documents.open(f"library/{library.pk}")
    overwrite(document)
    before = epoch(document)
    monkeypatch.setattr(tombstones, "FEW", 1000)
    document.compact()
    assert epoch(document) == before
    documents.close(document)


def test_a_document_whose_content_outweighs_is_left_alone(library: Library) -> None:
    document = documents.open(f"library/{library.pk}")
    rename(library, 10)
    before = epoch(document)
    document.compact()
    assert epoch(document) == before
    documents.close(document)


@pytest.fixture
def writable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LibraryAnchor, "layers", {LibrarySerializer: Layer(write={"update"})})


def never() -> float:
    return -1.0


@pytest.mark.usefixtures("writable")
def test_nothing_collapses_under_somebody_who_may_write(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(f"library/{library.pk}")
    overwrite(follower.document)
    before = epoch(follower.document)
    monkeypatch.setattr(retention, "IN_USE_SECONDS", never())
    follower.document.compact()
    assert epoch(follower.document) == before, "somebody here has it open"
    follower.close()
    follower.document.compact()
    assert epoch(follower.document) > before


@pytest.mark.usefixtures("writable")
def test_nor_under_somebody_who_has_it_open_in_another_process(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = documents.open(f"library/{library.pk}")
    overwrite(document)
    before = epoch(document)
    conf.store().touch([document.log])
    document.compact()
    assert epoch(document) == before
    monkeypatch.setattr(retention, "IN_USE_SECONDS", never())
    document.compact()
    assert epoch(document) > before
    documents.close(document)


def test_a_save_that_commits_while_the_document_collapses_is_in_the_new_lineage(
    store: Interposed, library: Library
) -> None:
    follower = Follower(f"library/{library.pk}")
    overwrite(follower.document)
    before = epoch(follower.document)
    steps: list[Callable[[str, Callable[[], None]], None]] = [store.before, store.after]

    def save_unseen() -> None:
        Book.objects.filter(title__startswith="title").update(title="unseen")

    for step in steps:
        step("begin", save_unseen)
    follower.document.compact()
    assert epoch(follower.document) > before
    follower.document.reconcile()
    assert follower.state == snapshot("library", library.pk)
    assert compare("library", library.pk) is None
    follower.close()


def test_an_emptied_document_is_folded_and_stays_empty(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    library.delete()
    follower.document.compact()
    assert follower.is_gone
    assert follower.state is None
    assert size(follower.document).entries == 0
    follower.close()
