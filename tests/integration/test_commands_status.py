"""``manage.py rxcrdt status``: what it prints, and that it changes nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from django.test import override_settings
from redis import Redis

from rxcrdt import conf, documents, snapshot
from rxcrdt.layers import plan
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from tests.commands import begin_log, head_of, key_of, log_of, make_library, refused, run
from tests.interposing import Interposed
from tests.redis_urls import own_store
from tests.servers import redis_server
from tests.testapp.models import Library
from ydoc_store import DocStore, open_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocStore]:
    """Each of our stores, in turn, as the one of this process."""
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/documents.sqlite3"}.get(request.param)
    with open_store(url or own_store(request.getfixturevalue("redis_url"))) as store:
        conf.use_store(store)
        yield store


def table(*arguments: str) -> list[list[str]]:
    """The cells of the lines before the totals."""
    out, error = run("status", *arguments)
    assert error is None
    lines = out.splitlines()
    end = next(number for number, line in enumerate(lines) if re.match(r"[\d,]+ documents?\b", line))
    return [re.split(r"\s{2,}", line) for line in lines[:end]]


def as_json(*arguments: str) -> dict[str, Any]:
    out, error = run("status", "--json", *arguments)
    assert error is None
    return cast("dict[str, Any]", json.loads(out))


def test_status_prints_a_line_for_each_document(store: DocStore) -> None:
    library, other = make_library(), make_library("South")
    other.name = "West"
    other.save()
    sizes = {each: store.size(log_of(each)) for each in (library, other)}
    heads, *rows = table()
    assert heads == ["document", "schema", "entries", "log", "snapshot", "snapshot age", "rows", "written", "used"]
    schema = plan(registry.get("library")).schema
    assert [[*row[:5], row[6]] for row in rows] == [
        [
            f"library/{each.pk}",
            schema,
            str(sizes[each].entries),
            f"{sizes[each].entry_bytes} B",
            f"{sizes[each].snapshot_bytes / 1000:.1f} kB",
            str(sizes[each].rows),
        ]
        for each in (library, other)
    ]
    assert all(re.fullmatch(r"\d s", row[5]) for row in rows)
    assert all(re.fullmatch(r"\d s ago", cell) for row in rows for cell in row[7:])
    out = run("status")[0]
    assert "2 documents: 1 entry of " in out
    assert "14 rows." in out


def test_status_changes_and_builds_nothing(store: DocStore) -> None:
    library = make_library()
    unopened = Library.objects.create(name="New")
    documents.forget_all()
    log, head, names = store.load(log_of(library)), head_of(library), list(store.names())
    usage, pulse = store.usage(names), store.pulse()
    for arguments in ((), ("--json",), ("--tombstones",), ("library",), (f"library/{library.pk}",)):
        assert run("status", *arguments)[1] is None
    assert "The store has no document" in refused("status", f"library/{unopened.pk}")
    assert (store.load(log_of(library)), head_of(library), list(store.names())) == (log, head, names)
    assert (store.usage(names), store.pulse()) == (usage, pulse)


def test_status_loads_documents_only_where_it_has_to() -> None:
    library = make_library()
    make_library("South")
    counted = Interposed(conf.store())
    conf.use_store(cast("DocStore", counted))
    table()
    assert "load" not in counted.calls
    assert table(f"library/{library.pk}")[0][-1] == "tombstones"
    assert counted.calls.count("load") == 1
    assert table("--tombstones")[0][-1] == "tombstones"
    assert counted.calls.count("load") == 3


def test_status_says_how_much_of_a_document_was_deleted(store: DocStore) -> None:
    library = make_library()
    assert table("--tombstones")[1][-1] == "0%"
    for number in range(100):
        library.name = str(number)
        library.save()
    share = as_json("--tombstones")["documents"][0]["tombstones"]
    assert 0.3 < share < 1
    assert table(f"library/{library.pk}")[1][-1] == f"{share:.0%}"
    assert as_json()["documents"][0]["tombstones"] is None, "not asked for"


def test_status_as_json_has_everything(store: DocStore) -> None:
    library = make_library()
    library.name = "South"
    library.save()
    found = as_json()
    (document,) = found["documents"]
    size, usage = store.size(log_of(library)), store.usage([log_of(library)])[log_of(library)]
    times = {name: pytest.approx(getattr(usage, name)) for name in ("begun", "snapshotted", "written", "used")}
    assert abs(document["written"] - time.time()) < 60
    assert document == {
        "document": f"library/{library.pk}",
        "namespace": "",
        "schema": plan(registry.get("library")).schema,
        "log": log_of(library),
        "opened_by_this_code": True,
        "note": None,
        "problem": None,
        "lost": False,
        "entries": 1,
        "entry_bytes": size.entry_bytes,
        "snapshot_bytes": size.snapshot_bytes,
        "rows": size.rows,
        "tombstones": None,
        **times,
    }
    assert found["totals"] == {
        "documents": 1,
        "entries": 1,
        "entry_bytes": size.entry_bytes,
        "snapshot_bytes": size.snapshot_bytes,
        "rows": size.rows,
    }
    assert found["quarantined"] == []


def test_status_marks_what_this_code_and_tenant_do_not_open(store: DocStore) -> None:
    library = make_library()
    schema = plan(registry.get("library")).schema
    for log in (
        LogName("acme", f"library/{library.pk}", schema),
        LogName("", f"library/{library.pk}", "0123456789"),
        LogName("", "library/999", "0123456789"),
        LogName("", "magazine/1", "0123456789"),
    ):
        begin_log(log)
    out = run("status")[0]
    assert {(row[0], row[1]) for row in table()[1:]} == {
        (f"|library/{library.pk}", schema),
        (f"|library/{library.pk}", "0123456789 *"),
        ("|library/999", "0123456789 *"),
        ("|magazine/1", "0123456789 *"),
        (f"acme|library/{library.pk}", f"{schema} *"),
    }
    assert "* 2 documents of another version of the code: nobody who runs this code opens them." in out
    assert "* 1 document of the tenant 'acme': nobody who runs this code opens it." in out
    notes = {row["schema"]: row["note"] for row in as_json(f"library/{library.pk}")["documents"]}
    assert notes == {schema: None, "0123456789": "of another version of the code"}


def test_status_puts_first_what_it_is_asked_for(store: DocStore) -> None:
    libraries = {"large": make_library(), "small": Library.objects.create(name="S"), "busy": make_library()}
    snapshot("library", libraries["small"].pk)
    for number in range(3):
        libraries["busy"].name = str(number)
        libraries["busy"].save()
    store.touch([log_of(libraries["small"])])
    found = {name: f"library/{library.pk}" for name, library in libraries.items()}

    def sorted_by(order: str) -> list[str]:
        names = {document: name for name, document in found.items()}
        return [names[row[0]] for row in table("--sort", order)[1:]]

    assert sorted_by("name") == sorted(found, key=lambda name: found[name])
    assert sorted_by("entries")[0] == "busy"
    assert sorted_by("bytes") == ["busy", "large", "small"]
    assert sorted_by("rows")[-1] == "small"
    assert sorted_by("written") == ["busy", "small", "large"]
    assert sorted_by("used")[0] == "small"
    assert sorted_by("snapshot")[0] == "large"
    assert sorted_by("tombstones")[0] == "busy"
    assert [row[0] for row in table("--sort", "entries", "--limit", "1")[1:]] == [found["busy"]]
    out = run("status", "--limit", "1")[0]
    assert "3 documents (1 of them are shown): 3 entries" in out, "totals are of all"
    assert "'0' is no whole number above 0" in refused("status", "--limit", "0")


def test_status_is_of_one_document_or_of_those_of_an_anchor(store: DocStore) -> None:
    for pk in (1, 12):
        Library.objects.create(pk=pk, name=str(pk))
        snapshot("library", pk)
    assert [row[0] for row in table("library/1")[1:]] == ["library/1"]
    assert [row[0] for row in table("library")[1:]] == ["library/1", "library/12"]
    assert "There are no documents." in run("status", "board")[0]
    assert "No anchor is named 'lybrary'" in refused("status", "lybrary")


def test_status_names_logs_in_quarantine_and_what_to_do_with_them(store: DocStore) -> None:
    library, other = make_library(), make_library("South")
    store.append(log_of(library), b"\xff\xff\xff", expect=head_of(library))
    moved = store.quarantine(log_of(library))
    documents.forget_all()
    for arguments in ((), ("library",), (f"library/{library.pk}",)):
        out = run("status", *arguments)[0]
        assert re.search(rf"^In quarantine for \d s, \d\.\d kB: '{re.escape(str(moved))}'$", out, re.MULTILINE), out
    assert "`rxcrdt inspect` with such a name, in quotes, says why. They are evicted after 7d." in out
    assert "In quarantine" not in run("status", f"library/{other.pk}")[0]
    (found,) = as_json()["quarantined"]
    assert (found["log"], found["entries"]) == (moved, 1)


def test_status_names_logs_that_cannot_be_read(store: DocStore) -> None:
    library = make_library()
    store.append(log_of(library), b"\xff\xff\xff", expect=head_of(library))
    out = run("status", "--tombstones")[0]
    assert f"library/{library.pk} cannot be read, and is projected again when it is opened: " in out
    assert "1 document: 1 entry of 3 B" in out


@pytest.mark.redis
def test_status_says_what_a_restart_of_redis_took() -> None:
    with redis_server(options=["--appendonly", "yes"]) as server, open_store(server.url) as store:
        conf.use_store(store)
        library = make_library()
        make_library("South")
        server.kill()
        server.start()
        snapshot("library", library.pk)
        out, error = run("status", "--tombstones")
        assert error is None
        assert "1 document may have lost its end when the store's server restarted: whoever opens one builds it" in out
        assert sorted(row["lost"] for row in as_json()["documents"]) == [False, True]


@pytest.mark.redis
def test_status_says_what_could_go_wrong_with_the_server() -> None:
    options = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
    with redis_server(options=options) as server, open_store(server.url) as store:
        conf.use_store(store)
        make_library()
        assert "maxmemory-policy 'allkeys-lru'" in run("status")[0]
        assert [risk["kind"] for risk in as_json()["risks"]] == ["eviction", "persistence"]


@pytest.mark.redis
def test_a_key_of_another_type_is_a_line_of_its_own(redis_url: str) -> None:
    with open_store(own_store(redis_url)) as store, Redis.from_url(redis_url) as client:
        conf.use_store(store)
        library, other = make_library(), make_library("South")
        client.set(key_of(log_of(library)), "something else")
        assert [row[0] for row in table()[1:]] == [f"library/{library.pk}", f"library/{other.pk}"]
        assert f"library/{library.pk} cannot be read" in run("status")[0]
        problems = [row["problem"] for row in as_json()["documents"]]
        assert "is not a log that a store wrote" in problems[0]
        assert problems[1] is None


def test_status_of_an_empty_store(tmp_path: Path) -> None:
    assert run("status") == ("There are no documents.\n", None)
    with override_settings(RXCRDT={"STORE": "memory://", "NAMESPACE": "acme"}):
        assert as_json()["totals"]["documents"] == 0
