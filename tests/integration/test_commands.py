"""``manage.py rxcrdt``: what it prints, what it mends, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.test import override_settings
from redis import Redis

from rxcrdt import changed, conf, layout, snapshot, verifying
from rxcrdt.layers import plan
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from rxcrdt.replica import Replica
from rxcrdt.snapshots import serialized
from rxcrdt.tables import Patch
from tests.commands import begin_log, head_of, key_of, log_of, make_library, refused, rename_unseen, run
from tests.oracle.following import Follower
from tests.redis_urls import own_store
from tests.testapp.models import Book, Library, Person, Shelf
from tests.testapp.serializers import BookSerializer
from ydoc_store import DocStore, open_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "LOOK_AGAIN", (0.0,))


@pytest.fixture
def library() -> Library:
    return make_library()


@pytest.fixture
def other() -> Library:
    library = Library.objects.create(name="South")
    snapshot("library", library.pk)
    return library


# inspect


def test_inspect_prints_what_the_serializer_gives(library: Library) -> None:
    out, error = run("inspect", f"library/{library.pk}")
    assert error is None
    assert json.loads(out) == serialized("library", library.pk)


def test_inspect_builds_a_document_that_nobody_has_opened() -> None:
    library = Library.objects.create(name="New")
    out, _ = run("inspect", f"library/{library.pk}")
    assert json.loads(out)["title"] == "New"
    assert conf.store().load(log_of(library)) is not None


def test_inspect_prints_the_document_as_it_is_stored_whatever_the_database_says(library: Library) -> None:
    rename_unseen(library, "Elsewhere")
    assert json.loads(run("inspect", f"library/{library.pk}")[0])["title"] == "North"


def test_inspect_prints_what_another_process_wrote(library: Library) -> None:
    _write_unseen(
        library, Patch(root="Library", key=str(library.pk), before={"title": "North"}, after={"title": "Ours"})
    )
    assert json.loads(run("inspect", f"library/{library.pk}")[0])["title"] == "Ours"


def test_inspect_prints_the_tables(library: Library) -> None:
    Shelf.objects.get().save()  # nothing changed: no entry
    rename_unseen(library, "Renamed")
    changed(library)
    found = json.loads(run("inspect", "--tables", f"library/{library.pk}")[0])
    assert found["position"] == {"epoch": head_of(library).epoch, "sequence": 1}
    assert found["size"]["entries"] == 1
    assert found["size"]["rows"] == 7, "library, director, shelf, two books, two chapters"
    assert found["log"] == log_of(library)
    roots = found["roots"]
    assert roots["rxcrdt"]["document"] == f"library/{library.pk}"
    assert roots["Library"][str(library.pk)]["title"] == "Renamed"
    (order,) = roots["Shelf.books"].values()
    assert sorted(order, key=order.__getitem__) == [str(book.pk) for book in Book.objects.order_by("position")]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lybrary/1", "No anchor is named 'lybrary'"),
        ("library/999999", "There is no library with pk '999999'"),
        ("library/x", "There is no library with pk 'x'"),
        ("library", "A document's name is"),
    ],
)
def test_inspect_says_what_is_wrong_with_a_name(name: str, sentence: str) -> None:
    assert sentence in refused("inspect", name)


# verify


def test_verify_says_that_all_is_well(library: Library, other: Library) -> None:
    out, error = run("verify")
    assert (out, error) == ("Compared: 2 equal.\n", None)


def test_verify_prints_the_first_difference_of_each_document_and_fails(library: Library, other: Library) -> None:
    rename_unseen(library, "East")
    out, error = run("verify")
    assert out.splitlines() == [
        f"library/{library.pk} differs: title: 'North', expected 'East'",
        "Compared: 1 equal, 1 different.",
    ]
    assert "--fix" in str(error)
    assert snapshot("library", library.pk)["title"] == "North", "without --fix nothing is written"


@pytest.mark.parametrize(("table", "is_ordered"), [("Library.patrons", False), ("Shelf.books", True)])
def test_verify_does_not_count_the_order_of_lists_that_nothing_orders(
    library: Library, table: str, is_ordered: bool
) -> None:
    library.patrons.add(*(Person.objects.create(name=name) for name in ("Ada", "Bob")))
    tables = json.loads(run("inspect", "--tables", f"library/{library.pk}")[0])["roots"]
    ((key, before),) = tables[table].items()
    (one, its), (other, others) = before.items()
    _write_unseen(library, Patch(root=table, key=key, before=before, after={one: others, other: its}))
    assert json.loads(run("inspect", "--tables", f"library/{library.pk}")[0])["roots"][table][key] != before
    assert (run("verify")[1] is not None) == is_ordered


def test_verify_mends_with_fix_and_tells_everybody(library: Library) -> None:
    follower = Follower(f"library/{library.pk}")
    rename_unseen(library, "East")
    Book.objects.filter(title="Atlas").update(position=7)
    out, error = run("verify", "--fix")
    assert error is None
    assert f"library/{library.pk} differed, and was projected again: " in out
    assert "Compared: 1 mended." in out
    assert follower.state == serialized("library", library.pk)
    follower.close()
    assert run("verify")[0] == "Compared: 1 equal.\n"


def test_verify_looks_at_one_document_or_at_those_of_an_anchor(library: Library, other: Library) -> None:
    rename_unseen(other, "West")
    assert run("verify", f"library/{library.pk}") == ("Compared: 1 equal.\n", None)
    assert "Compared: 1 different." in run("verify", f"library/{other.pk}")[0]
    assert "Compared: 1 equal, 1 different." in run("verify", "library")[0]
    assert run("verify", "board") == ("Compared: nothing.\n", None)


def test_verify_of_library_1_is_not_of_library_12() -> None:
    for pk in (1, 12):
        Library.objects.create(pk=pk, name=str(pk))
        snapshot("library", pk)
    assert run("verify", "library/1")[0] == "Compared: 1 equal.\n"


def test_verify_says_what_is_wrong_with_a_name(library: Library) -> None:
    assert "No anchor is named 'lybrary'" in refused("verify", "lybrary/1")
    assert "No anchor is named 'lybrary'" in refused("verify", "lybrary")
    unopened = Library.objects.create(name="New")
    assert f"The store has no document library/{unopened.pk}" in refused("verify", f"library/{unopened.pk}")


def test_what_a_save_was_about_to_bring_is_no_difference(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    rename_unseen(library, "East")
    monkeypatch.setattr(verifying, "time", SimpleNamespace(sleep=lambda _: changed(library)))
    assert run("verify") == ("Compared: 1 equal.\n", None)


# Documents that are not as they should be


def test_a_document_whose_row_is_gone_has_to_be_empty(library: Library, other: Library) -> None:
    Library.objects.filter(pk=other.pk)._raw_delete("default")
    library.delete()  # seen, and emptied
    out, error = run("verify")
    assert (
        f"library/{other.pk} differs: its row is gone, but the document shows it\nCompared: 1 equal, 1 different."
        in out
    )
    assert error is not None
    assert "Compared: 1 equal, 1 mended." in run("verify", "--fix")[0]
    assert run("verify")[0] == "Compared: 2 equal.\n"


def test_an_empty_document_whose_row_is_there_again(other: Library) -> None:
    pk = other.pk
    other.delete()
    Library.objects.bulk_create([Library(pk=pk, name="Back")])
    assert f"library/{pk} differs: its row is there, but the document is empty" in run("verify")[0]
    assert "Compared: 1 mended." in run("verify", "--fix")[0]
    assert snapshot("library", pk)["title"] == "Back"


def test_rows_that_nothing_refers_to_are_no_part_of_a_document(library: Library) -> None:
    _write_unseen(library, Patch(root="Person", key="77", before=None, after={"id": 77, "name": "Ghost", "firm": None}))
    assert "differs: Person 77: is in the document, but nothing refers to it" in run("verify")[0]
    assert "Compared: 1 mended." in run("verify", "--fix")[0]
    assert run("verify")[0] == "Compared: 1 equal.\n"


def test_a_list_that_names_a_row_which_is_not_there(library: Library) -> None:
    shelf = str(Shelf.objects.get().pk)
    _write_unseen(library, Patch(root="Book.chapters", key=shelf + "0", before=None, after={}))
    assert f"differs: Book.chapters {shelf}0: is in the document, but nothing refers to it" in run("verify")[0]


def test_a_serializer_that_raises_is_named_and_the_others_are_compared(
    library: Library, other: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(self: BookSerializer, book: Book) -> str:
        raise ZeroDivisionError("headings / 0")

    monkeypatch.setattr(BookSerializer, "get_headings", raises)
    out, error = run("verify", "--fix")
    assert f"library/{library.pk} failed: ZeroDivisionError: headings / 0" in out
    assert "Compared: 1 equal, 1 failed." in out
    assert "see docs/failures.md" in str(error)


def test_a_log_that_cannot_be_read_is_named_and_the_others_are_compared(library: Library, other: Library) -> None:
    conf.store().append(log_of(library), b"\xff\xff\xff", expect=head_of(library))
    out, error = run("verify")
    assert f"library/{library.pk} differs: its log cannot be read: " in out
    assert "Compared: 1 equal, 1 different." in out
    assert "--fix" in str(error)


def test_a_log_that_cannot_be_read_is_put_in_quarantine_and_projected_again_with_fix(library: Library) -> None:
    conf.store().append(log_of(library), b"\xff\xff\xff", expect=head_of(library))
    out, error = run("verify", "--fix")
    assert error is None
    assert "differed, and was projected again: its log cannot be read: " in out
    out, error = run("verify")
    assert error is None
    assert out.splitlines() == [
        f"library/{library.pk} is not compared: it is in quarantine.",
        "Compared: 1 equal.",
    ]


def test_inspect_says_what_is_wrong_with_a_log_in_quarantine(library: Library) -> None:
    conf.store().append(log_of(library), b"\xff\xff\xff", expect=head_of(library))
    moved = conf.store().quarantine(log_of(library))
    assert moved is not None
    found = json.loads(run("inspect", moved)[0])
    assert found["document"] == f"library/{library.pk}"
    assert datetime.now(UTC) - datetime.fromisoformat(found["in_quarantine_since"]) < timedelta(minutes=1)
    assert found["problem"].startswith("the entry 1: ")
    assert (found["entries"], found["bytes"], found["begins"]) == (1, 3, "ffffff")


@pytest.mark.redis
def test_inspect_says_what_it_can_of_a_log_in_quarantine_that_the_store_cannot_read(redis_url: str) -> None:
    with open_store(own_store(redis_url)) as store, Redis.from_url(redis_url) as client:
        conf.use_store(store)
        library = make_library()
        client.set(key_of(log_of(library)), "something else")
        moved = store.quarantine(log_of(library))
        assert moved is not None
        assert "is not a log that a store wrote" in json.loads(run("inspect", moved)[0])["problem"]


def test_inspect_says_that_a_newer_version_wrote_a_log_in_quarantine(library: Library) -> None:
    stored = conf.store().load(log_of(library))
    assert stored is not None
    replica = Replica(plan(registry.get("library")), stored)
    update = layout.write(replica.doc, [], {"layout": 99})
    assert update is not None
    conf.store().append(log_of(library), update, expect=stored.head)
    moved = conf.store().quarantine(log_of(library))
    assert moved is not None
    assert "It has layout 99" in json.loads(run("inspect", moved)[0])["problem"]


def test_inspect_of_a_log_in_quarantine_that_is_sound_or_gone(library: Library) -> None:
    moved = conf.store().quarantine(log_of(library))
    assert moved is not None
    assert json.loads(run("inspect", moved)[0])["problem"] == "Every part of it can be read now."
    conf.store().delete(moved)
    assert "The store has no such log" in json.loads(run("inspect", moved)[0])["problem"]


def test_documents_of_other_tenants_versions_and_anchors_are_named_and_left_alone(library: Library) -> None:
    with override_settings(RXCRDT={"STORE": "memory://", "NAMESPACE": "acme"}):
        snapshot("library", library.pk)
    for name in ("library/1", "library/2", "magazine/1"):
        begin_log(LogName("", name, "0123456789"))
    rename_unseen(library, "East")
    out, error = run("verify", "--fix")
    assert error is None
    assert f"library/{library.pk} is not compared: it is of the tenant 'acme'." in out
    assert "library/1 is not compared: it is of another version of the code." in out
    assert "2 documents of another version of the code are not compared." in out
    assert "magazine/1 is not compared: it is of an anchor 'magazine' that is not registered." in out
    with override_settings(RXCRDT={"STORE": "memory://", "NAMESPACE": "acme"}):
        out = run("verify")[0]
    assert "title: 'North', expected 'East'" in out
    assert "it is of no tenant." in out


def _write_unseen(library: Library, patch: Patch) -> None:
    """As a process with a bug would: an entry in the log that the database knows nothing of."""
    stored = conf.store().load(log_of(library))
    assert stored is not None
    replica = Replica(plan(registry.get("library")), stored)
    update = layout.write(replica.doc, [patch], {})
    assert update is not None
    conf.store().append(log_of(library), update, expect=stored.head)


def test_who_interrupts_a_command_is_told_how_to_go_on(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: BookSerializer, book: Book) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(BookSerializer, "get_headings", interrupt)
    for arguments in (["verify"], ["rebuild", "--all"]):
        _, error = run(*arguments)
        assert str(error) == "Interrupted. What was done so far stays done; run it again for the rest."
        assert error is not None
        assert error.returncode == 130


# On a terminal, and as a process


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_nowhere_else(library: Library, other: Library) -> None:
    terminal, pipe = Terminal(), StringIO()
    call_command("rxcrdt", "verify", stdout=StringIO(), stderr=terminal)
    assert f"[{'.' * 20}] 1/2 library/{library.pk}" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[K"), "the line is cleared"
    call_command("rxcrdt", "verify", stdout=StringIO(), stderr=pipe)
    assert pipe.getvalue() == ""


def test_an_empty_store_in_memory_is_explained() -> None:
    stderr = StringIO()
    call_command("rxcrdt", "verify", stdout=StringIO(), stderr=stderr)
    assert "in the memory of each process" in stderr.getvalue()


@pytest.mark.parametrize(
    ("subcommand", "explained"),
    [
        ("inspect", "--tables"),
        ("verify", "exits with 1"),
        ("status", "documents are loaded for that"),
        ("rebuild", "after the database was restored"),
        ("compact", "Processes do so by themselves"),
        ("evict", "Nothing is lost"),
    ],
)
def test_help_explains_itself(subcommand: str, explained: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("rxcrdt", subcommand, "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "board/12" in text
    assert explained in text


@pytest.fixture
def shared_store(tmp_path: Path) -> Iterator[DocStore]:
    with open_store(f"sqlite:///{tmp_path}/documents.sqlite3") as store:
        conf.use_store(store)
        yield store


@pytest.mark.processes
def test_another_process_verifies_mends_and_ends_with_the_right_code(
    shared_store: DocStore, library: Library, child_environment: dict[str, str]
) -> None:
    environment = {**child_environment, "RXCRDT_TEST_STORE": shared_store.url}

    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "django", "rxcrdt", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    follower = Follower(f"library/{library.pk}")
    rename_unseen(library, "East")
    verified = manage("verify", "-v", "1")
    assert (verified.returncode, "title: 'North', expected 'East'" in verified.stdout) == (1, True), verified.stderr
    assert "CommandError: Run it with --fix" in verified.stderr
    mended = manage("verify", "--fix")
    assert mended.returncode == 0, mended.stderr
    follower.document.catch_up()
    assert follower.state == serialized("library", library.pk)
    follower.close()
    assert manage("verify").returncode == 0
    assert json.loads(manage("inspect", f"library/{library.pk}").stdout)["title"] == "East"
