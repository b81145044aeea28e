"""``manage.py rxcrdt rebuild`` and ``compact``: what they write, what they leave alone, and how they end."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from django.core.management import call_command
from django.test import override_settings
from redis import Redis

from rxcrdt import conf, documents, snapshot, tombstones
from rxcrdt.layers import plan
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from rxcrdt.snapshots import compare, serialized
from tests.commands import begin_log, head_of, key_of, log_of, make_library, refused, rename_unseen, run
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.redis_urls import own_store
from tests.servers import redis_server
from tests.testapp.models import Book, Library
from tests.testapp.serializers import BookSerializer
from ydoc_store import DocStore, open_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocStore]:
    """Each of our stores, in turn, as the one of this process."""
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/documents.sqlite3"}.get(request.param)
    with open_store(url or own_store(request.getfixturevalue("redis_url"))) as store:
        conf.use_store(store)
        yield store


def overwrite(library: Library) -> None:
    """Until more of its document is deleted than is left."""
    for number in range(300):
        library.name = str(number)
        library.save()


@pytest.fixture(autouse=True)
def few_tombstones_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "FEW", 0)


def raises(self: BookSerializer, book: Book) -> str:
    raise ZeroDivisionError("headings / 0")


# rebuild


@pytest.mark.parametrize("arguments", [(), ("library/1", "--all")])
def test_rebuild_wants_to_be_told_which_documents(arguments: tuple[str, ...]) -> None:
    sentence = refused("rebuild", *arguments)
    assert "`rxcrdt rebuild board/12`" in sentence
    assert "`rxcrdt rebuild --all`" in sentence


def test_rebuild_says_what_is_wrong_with_a_name_or_a_rate() -> None:
    assert "No anchor is named 'lybrary'" in refused("rebuild", "lybrary/1")
    assert "The store has no document library/1" in refused("rebuild", "library/1")
    assert "'0' is no number above 0" in refused("rebuild", "--all", "--rate", "0")
    assert "'often' is no number above 0" in refused("rebuild", "--all", "--rate", "often")


def test_rebuild_begins_a_new_lineage_that_says_what_the_database_does(store: DocStore) -> None:
    library, other = make_library(), make_library("South")
    before, others = head_of(library), head_of(other)
    rename_unseen(library, "Restored")
    assert run("rebuild", f"library/{library.pk}") == ("Projected anew: 1 rebuilt.\n", None)
    assert head_of(library).epoch > before.epoch
    assert head_of(other) == others
    documents.forget_all()
    assert compare("library", library.pk) is None


def test_rebuild_begins_anew_although_nothing_differs(store: DocStore) -> None:
    library = make_library()
    before = head_of(library)
    run("rebuild", "--all")
    assert head_of(library).epoch > before.epoch, "the store is not trusted"


def test_rebuild_reaches_those_who_have_it_open_as_one_update() -> None:
    library = make_library()
    follower = Follower(f"library/{library.pk}")
    rename_unseen(library, "Restored")
    Book.objects.filter(title="Atlas").delete()
    told = len(follower.updates)
    assert run("rebuild", "library")[1] is None
    assert len(follower.updates) == told + 1
    assert follower.state == serialized("library", library.pk)
    assert follower.ghosts() == set()
    follower.close()


def test_rebuild_of_library_1_is_not_of_library_12() -> None:
    for pk in (1, 12):
        Library.objects.create(pk=pk, name=str(pk))
        snapshot("library", pk)
    assert run("rebuild", "library/1")[0] == "Projected anew: 1 rebuilt.\n"


def test_rebuild_empties_documents_whose_row_is_gone_and_counts_them(store: DocStore) -> None:
    library, gone = make_library(), Library.objects.create(name="South")
    follower = Follower(f"library/{gone.pk}")
    Library.objects.filter(pk=gone.pk)._raw_delete("default")
    out, error = run("rebuild", "--all")
    assert (out, error) == ("Projected anew: 1 rebuilt, 1 without a row.\n", None)
    assert follower.is_gone
    follower.close()
    assert run("verify")[0] == "Compared: 2 equal.\n"
    assert compare("library", library.pk) is None


def test_rebuild_leaves_alone_what_this_code_and_tenant_do_not_open(store: DocStore) -> None:
    library = make_library()
    schema = plan(registry.get("library")).schema
    others = [
        LogName("acme", f"library/{library.pk}", schema),
        LogName("", f"library/{library.pk}", "0123456789"),
        LogName("", "library/999", "0123456789"),
        LogName("", "magazine/1", "0123456789"),
    ]
    for log in others:
        begin_log(log)
    heads = store.heads([str(log) for log in others])
    out, error = run("rebuild", "--all")
    assert error is None
    assert f"library/{library.pk} is not rebuilt: it is of the tenant 'acme'." in out
    assert "2 documents of another version of the code are not rebuilt." in out
    assert "magazine/1 is not rebuilt: it is of an anchor 'magazine' that is not registered." in out
    assert out.endswith("Projected anew: 1 rebuilt.\n")
    assert store.heads([str(log) for log in others]) == heads


def test_rebuild_is_of_the_tenant_of_the_moment() -> None:
    library = make_library()
    ours = head_of(library)
    with override_settings(RXCRDT={"STORE": "memory://", "NAMESPACE": "acme"}):
        snapshot("library", library.pk)
        assert "Projected anew: 1 rebuilt." in run("rebuild", "library")[0]
    assert head_of(library) == ours


def test_rebuild_names_what_fails_and_rebuilds_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    library = make_library()
    other = Library.objects.create(name="South")
    snapshot("library", other.pk)
    before = head_of(other)
    monkeypatch.setattr(BookSerializer, "get_headings", raises)
    out, error = run("rebuild", "--all")
    assert re.search(rf"^library/{library.pk} failed: .*headings / 0", out, re.MULTILINE), out
    assert "Projected anew: 1 failed, 1 rebuilt." in out
    assert "see docs/failures.md" in str(error)
    assert head_of(other).epoch > before.epoch


def test_rebuild_replaces_a_log_that_cannot_be_read(store: DocStore) -> None:
    library = make_library()
    store.append(log_of(library), b"\xff\xff\xff", expect=head_of(library))
    documents.forget_all()
    assert run("rebuild", "--all") == ("Projected anew: 1 rebuilt.\n", None)
    assert "Compared: 1 equal." in run("verify")[0]
    assert "In quarantine" in run("status")[0]


def test_rebuild_takes_its_time() -> None:
    for number in range(4):
        make_library(str(number))
    began = time.monotonic()
    assert run("rebuild", "--all", "--rate", "20") == ("Projected anew: 4 rebuilt.\n", None)
    assert time.monotonic() - began >= 3 / 20


def test_rebuild_of_an_empty_store_has_nothing_to_do() -> None:
    err = StringIO()
    out = StringIO()
    call_command("rxcrdt", "rebuild", "--all", stdout=out, stderr=err)
    assert out.getvalue() == "Projected anew: nothing.\n"
    assert "in the memory of each process" in err.getvalue()


@pytest.mark.redis
def test_a_store_that_goes_away_ends_it_with_one_sentence() -> None:
    with redis_server() as server, open_store(server.url) as store:
        conf.use_store(store)
        for number in range(3):
            make_library(str(number))
        server.kill()
        for subcommand in (["rebuild", "--all"], ["compact"], ["evict"], ["status"]):
            assert "Is it running, and is the address right?" in refused(*subcommand)


@pytest.mark.redis
@pytest.mark.parametrize("arguments", [["rebuild", "--all"], ["compact"]])
def test_a_store_that_goes_away_meanwhile_ends_it_too(arguments: list[str]) -> None:
    with redis_server() as server, open_store(server.url) as store:
        interposed = Interposed(store)
        conf.use_store(cast("DocStore", interposed))
        for number in range(3):
            make_library(str(number))
        interposed.before("lease", server.kill)
        out, error = run(*arguments)
        assert "Is it running, and is the address right?" in str(error)
        assert out == "", "it does not try all the others"


@pytest.mark.redis
def test_rebuild_builds_again_what_a_restart_of_redis_took() -> None:
    with redis_server(options=["--appendonly", "yes"]) as server, open_store(server.url) as store:
        conf.use_store(store)
        library = make_library()
        server.kill()
        server.start()
        assert store.load(log_of(library)) is None
        assert run("rebuild", "--all") == ("Projected anew: 1 rebuilt.\n", None)
        assert store.load(log_of(library)) is not None
        assert run("verify") == ("Compared: 1 equal.\n", None)


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def test_another_process_rebuilds_compacts_and_evicts(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    redis = own_store(request.getfixturevalue("redis_url")) if kind == "redis" else ""
    with open_store(redis or f"sqlite:///{tmp_path}/documents.sqlite3") as store:
        conf.use_store(store)
        environment = {**child_environment, "RXCRDT_TEST_STORE": redis or store.url}

        def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "django", "rxcrdt", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

        library = make_library()
        follower = Follower(f"library/{library.pk}")
        rename_unseen(library, "Restored")
        rebuilt = manage("rebuild", "--all")
        assert (rebuilt.returncode, rebuilt.stdout) == (0, "Projected anew: 1 rebuilt.\n"), rebuilt.stderr
        follower.document.catch_up()
        assert follower.state == serialized("library", library.pk)
        follower.close()
        Library.objects.get().save()
        assert manage("compact").returncode == 0
        refusal = manage("rebuild")
        assert (refusal.returncode, "CommandError: Say which documents" in refusal.stderr) == (1, True)
        evicted = manage("evict", "--older-than", "0s")
        assert (evicted.returncode, "Evicted: 1 document" in evicted.stdout) == (0, True), evicted.stderr
        assert list(store.names()) == []


# compact


def test_compact_folds_what_was_appended_and_says_how_much_that_was(store: DocStore) -> None:
    library = make_library()
    for number in range(20):
        library.name = f"North {number}"
        library.save()
    before, size = head_of(library), store.size(log_of(library))
    assert size.entries == 20
    out, error = run("compact")
    assert error is None
    assert re.fullmatch(r"Compacted: 1 document, \d\.\d kB before, \d\.\d kB after\.\n", out)
    assert (store.size(log_of(library)).entries, head_of(library).sequence) == (0, before.sequence)
    documents.forget_all()
    assert compare("library", library.pk) is None


def test_compact_leaves_those_who_have_it_open_in_peace() -> None:
    library = make_library()
    follower = Follower(f"library/{library.pk}")
    library.name = "South"
    library.save()
    told = len(follower.updates)
    run("compact", f"library/{library.pk}")
    library.name = "East"
    library.save()
    assert len(follower.updates) == told + 1
    assert follower.state == serialized("library", library.pk)
    follower.close()


def test_compact_begins_anew_where_more_was_overwritten_than_is_left(store: DocStore) -> None:
    library = make_library()
    before = head_of(library)
    overwrite(library)
    assert "Compacted: 1 document" in run("compact")[0]
    assert head_of(library).epoch > before.epoch
    assert run("verify")[0] == "Compared: 1 equal.\n"


def test_compact_looks_at_one_document_or_at_those_of_an_anchor() -> None:
    library, other = make_library(), make_library("South")
    for each in (library, other):
        each.name += "!"
        each.save()
    assert "Compacted: 1 document," in run("compact", f"library/{library.pk}")[0]
    assert conf.store().size(log_of(other)).entries == 1
    assert "Compacted: 2 documents," in run("compact", "library")[0]
    assert conf.store().size(log_of(other)).entries == 0
    assert run("compact", "board") == ("Compacted: nothing.\n", None)
    assert "The store has no document library/999" in refused("compact", "library/999")


def test_compact_folds_documents_whose_row_is_gone(store: DocStore) -> None:
    library = make_library()
    log = log_of(library)
    library.delete()
    assert store.size(log).entries == 1
    out, error = run("compact")
    assert error is None, out
    assert "Compacted: 1 document" in out


def test_compact_puts_aside_what_cannot_be_read_and_folds_the_others(store: DocStore) -> None:
    library, other = make_library(), make_library("South")
    other.name = "West"
    other.save()
    store.append(log_of(library), b"\xff\xff\xff", expect=head_of(library))
    out, error = run("compact")
    assert error is None
    assert "Compacted: 1 document," in out
    assert "1 document could not be read, and is in quarantine: see `rxcrdt status`." in out
    assert store.size(log_of(other)).entries == 0
    assert compare("library", library.pk) is None, "it is built again"


def test_compact_names_what_fails_and_folds_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    library, other = make_library(), Library.objects.create(name="South")
    snapshot("library", other.pk)
    other.name = "West"
    other.save()
    overwrite(library)
    monkeypatch.setattr(BookSerializer, "get_headings", raises)
    out, error = run("compact")
    assert f"library/{library.pk} failed: " in out
    assert "Compacted: 1 document," in out
    assert "see docs/failures.md" in str(error)
    assert conf.store().size(log_of(other)).entries == 0


@pytest.mark.redis
def test_a_key_that_somebody_else_uses_is_a_sentence(redis_url: str) -> None:
    with open_store(own_store(redis_url)) as store, Redis.from_url(redis_url) as client:
        conf.use_store(store)
        library = make_library()
        client.set(key_of(log_of(library)), "something else")
        out, error = run("compact")
        assert f"library/{library.pk} failed: " in out
        assert "see docs/failures.md" in str(error)
        assert "cannot be read" in run("status")[0]
        assert f"library/{library.pk} differs: its log cannot be read: " in run("verify")[0]
        assert run("rebuild", "--all") == ("Projected anew: 1 rebuilt.\n", None)
        assert "In quarantine" in run("status")[0]
        assert run("verify")[0].endswith("Compared: 1 equal.\n")
