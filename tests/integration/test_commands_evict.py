"""``manage.py rxcrdt evict``: what it deletes, and what it keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings
from redis import Redis

from rxcrdt import Layer, conf, documents, snapshot
from rxcrdt.layers import plan
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from rxcrdt.snapshots import compare
from tests.commands import begin_log, head_of, key_of, log_of, make_library, refused, run
from tests.conditions import until
from tests.redis_urls import own_store
from tests.servers import redis_server
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Library
from tests.testapp.serializers import LibrarySerializer
from ydoc_store import DocStore, StoreUnavailable, open_store

pytestmark = pytest.mark.django_db(transaction=True)

#: Short enough for a test to wait for.
LONG = ("--older-than", "0.05s")
SECONDS = 0.05


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocStore]:
    """Each of our stores, in turn, as the one of this process."""
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/documents.sqlite3"}.get(request.param)
    with open_store(url or own_store(request.getfixturevalue("redis_url"))) as store:
        conf.use_store(store)
        yield store


def until_unused(*logs: str) -> None:
    until(lambda: set(logs) <= set(conf.store().unused(SECONDS)))


def test_evict_deletes_what_nobody_has_open_and_says_how_much_that_was(store: DocStore) -> None:
    library, other = make_library(), make_library("South")
    size = store.size(log_of(library)).snapshot_bytes + store.size(log_of(other)).snapshot_bytes
    until_unused(log_of(library), log_of(other))
    assert run("evict", *LONG) == (f"Evicted: 2 documents, {size / 1000:.1f} kB.\n", None)
    assert list(store.names()) == []
    documents.forget_all()
    assert compare("library", library.pk) is None, "it is built again"


def test_evict_keeps_what_was_open_a_moment_ago(store: DocStore) -> None:
    library, other = make_library(), make_library("South")
    until_unused(log_of(library))
    assert run("evict") == ("Evicted: nothing (unused for 7d or longer).\n", None)
    assert run("evict", "--older-than", "12h")[0] == "Evicted: nothing (unused for 12h or longer).\n"
    names = list(store.names())
    assert len(names) == 2
    out = run("evict", f"library/{other.pk}")[0]
    assert re.search(rf"^library/{other.pk} was open \d s ago, and stays\.$", out, re.MULTILINE)
    assert list(store.names()) == names
    assert "Would be evicted: nothing" in run("evict", "library", "--dry-run")[0]


def test_evict_waits_for_as_long_as_the_settings_say(store: DocStore) -> None:
    library = make_library()
    until_unused(log_of(library))
    with override_settings(RXCRDT={"STORE": "memory://", "RETENTION_SECONDS": SECONDS}):
        assert "Evicted: 1 document," in run("evict")[0]


def test_a_save_is_no_use_and_a_touch_is(store: DocStore) -> None:
    library, other = make_library(), make_library("South")
    until(lambda: {log_of(library), log_of(other)} <= set(store.unused(1.0)))
    library.name = "North again"
    library.save()
    store.touch([log_of(other)])
    out = run("evict", "--dry-run", "--older-than", "1s")[0]
    assert f"library/{library.pk} (last open" in out, "nobody looks at what was saved"
    assert f"library/{other.pk}" not in out


def test_evict_with_dry_run_only_says_what_it_would_do(store: DocStore) -> None:
    library = make_library()
    until_unused(log_of(library))
    before = head_of(library)
    out, error = run("evict", "--dry-run", *LONG)
    assert error is None
    first, last = out.splitlines()
    assert re.fullmatch(rf"library/{library.pk} \(last open \d s ago\): \d\.\d kB", first)
    assert last.startswith("Would be evicted: 1 document, ")
    assert head_of(library) == before


def test_evict_is_of_one_document_or_of_those_of_an_anchor(store: DocStore) -> None:
    for pk in (1, 12, 2):
        Library.objects.create(pk=pk, name=str(pk))
        snapshot("library", pk)
    logs = [documents.get(f"library/{pk}").log for pk in (1, 12, 2)]
    until_unused(*logs)
    assert "Evicted: 1 document," in run("evict", "library/1", *LONG)[0]
    assert sorted(store.names()) == sorted(logs[1:])
    assert "Evicted: nothing" in run("evict", "board", *LONG)[0]
    assert "Evicted: 2 documents," in run("evict", "library", *LONG)[0]


def test_evict_is_of_every_tenant_and_every_version_of_the_code(store: DocStore) -> None:
    library = make_library()
    schema = plan(registry.get("library")).schema
    others = [
        LogName("acme", f"library/{library.pk}", schema),
        LogName("", f"library/{library.pk}", "0123456789"),
        LogName("", "magazine/1", "0123456789"),
    ]
    for log in others:
        begin_log(log)
    until_unused(log_of(library), *map(str, others))
    assert "Evicted: 4 documents," in run("evict", *LONG)[0]
    assert list(store.names()) == []


def test_evict_is_of_logs_in_quarantine_too(store: DocStore) -> None:
    library = make_library()
    moved = store.quarantine(log_of(library))
    assert moved is not None
    snapshot("library", library.pk)
    documents.forget_all()
    until_unused(moved, log_of(library))
    out, _ = run("evict", f"library/{library.pk}", "--dry-run", *LONG)
    assert re.search(rf"^library/{library.pk} \(in quarantine for \d s\): ", out, re.MULTILINE)
    assert "Would be evicted: 2 documents," in out
    assert "Evicted: 2 documents," in run("evict", f"library/{library.pk}", *LONG)[0]
    assert list(store.names()) == []


def test_evict_leaves_alone_what_others_keep_in_the_same_store(store: DocStore) -> None:
    library = make_library()
    lease = store.lease("board/12", since=None, seconds=5, wait=0)
    store.begin("board/12", epoch=1, snapshot=b"\x00\x00", rows=[], lease=lease.token)
    until_unused(log_of(library), "board/12")
    assert "Evicted: 1 document," in run("evict", *LONG)[0]
    assert list(store.names()) == ["board/12"]
    assert run("status")[0].startswith("There are no documents.")


def test_evict_of_a_document_is_of_this_tenant(store: DocStore) -> None:
    library = make_library()
    theirs = LogName("acme", f"library/{library.pk}", plan(registry.get("library")).schema)
    begin_log(theirs)
    aside = store.quarantine(str(theirs))
    begin_log(theirs)
    assert aside is not None
    until_unused(log_of(library), str(theirs), aside)
    assert "Evicted: 1 document," in run("evict", f"library/{library.pk}", *LONG)[0]
    assert sorted(store.names()) == sorted([str(theirs), aside])
    assert "Evicted: nothing" in run("evict", "library", *LONG)[0]


@pytest.mark.redis
def test_evict_leaves_alone_what_a_newer_version_writes(redis_url: str) -> None:
    """To this version it is unreadable, and looks unused."""
    with open_store(own_store(redis_url)) as store, Redis.from_url(redis_url) as client:
        conf.use_store(store)
        log = log_of(make_library())
        key = key_of(log)
        client.lset(key, 0, b"2" + client.lindex(key, 0)[1:])
        out, error = run("evict", *LONG)
        assert "A newer version of this library" in out
        assert error is not None
        assert list(store.names()) == [log]
        moved = store.quarantine(log)
        assert moved is not None
        until_unused(moved)
        assert "Evicted: 1 document," in run("evict", *LONG)[0]


@pytest.mark.redis
def test_evict_of_a_key_in_quarantine_that_is_no_log_at_all(redis_url: str) -> None:
    with open_store(own_store(redis_url)) as store, Redis.from_url(redis_url) as client:
        conf.use_store(store)
        library = make_library()
        client.set(key_of(log_of(library)), "something else")
        moved = store.quarantine(log_of(library))
        assert moved is not None
        until_unused(moved)
        out, error = run("evict", *LONG)
        assert (error, list(store.names())) == (None, []), out


def test_evict_keeps_documents_with_writable_text_unless_the_settings_let_them_go(
    store: DocStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = make_library()
    until_unused(log_of(library))
    layers: dict[Any, Layer] = {LibrarySerializer: Layer(text={"name"})}
    monkeypatch.setattr(LibraryAnchor, "layers", layers)
    out, error = run("evict", *LONG)
    assert error is None
    assert f"library/{library.pk} is not evicted: it is of an anchor with writable text" in out
    assert "Evicted: nothing" in out
    with override_settings(RXCRDT={"STORE": "memory://", "EVICT_TEXT": True}):
        assert "Evicted: 1 document," in run("evict", *LONG)[0]


def test_evict_says_what_is_wrong_with_what_it_is_given() -> None:
    for text in ("7", "d", "-3d", "7 days", ""):
        assert "write a number and its unit, as 7d, 12h, 30m or 45s" in refused("evict", f"--older-than={text}")
    assert "No anchor is named 'lybrary'" in refused("evict", "lybrary/1")
    assert "The store has no document library/1" in refused("evict", "library/1")


def test_evict_warns_of_times_within_which_open_documents_are_not_marked() -> None:
    def said(duration: str) -> str:
        err = StringIO()
        call_command("rxcrdt", "evict", "--older-than", duration, stdout=StringIO(), stderr=err)
        return err.getvalue()

    assert "Open documents are marked as used once in 1 min: some that are unused for 45s may be open." in said("45s")
    assert "may be open" not in said("3m")


@pytest.mark.redis
def test_evict_makes_room_in_a_redis_that_is_full() -> None:
    with redis_server() as server, open_store(server.url) as store, Redis.from_url(server.url) as client:
        conf.use_store(store)
        logs = [LogName("", f"library/{number}", "0123456789") for number in range(20)]
        for log in logs:
            begin_log(log, b"x" * 20_000)
        until_unused(*map(str, logs))
        client.config_set("maxmemory", client.info("memory")["used_memory"] - 50_000)
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            store.lease("|library/1@0123456789", since=None, seconds=1, wait=0)
        assert run("evict", *LONG) == ("Evicted: 20 documents, 400.0 kB.\n", None)
        store.lease("|library/1@0123456789", since=None, seconds=1, wait=0)
