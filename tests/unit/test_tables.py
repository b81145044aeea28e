"""A document's content: who refers to whom, what goes with its last holder, and the smallest change."""

from __future__ import annotations

import pytest

from rxcrdt.layers import plan
from rxcrdt.projection import Forest
from rxcrdt.tables import Content, Patch, Tables
from tests.testapp.anchors import LibraryAnchor

ROOT = ("Library", "1")


@pytest.fixture
def tables() -> Tables:
    """A library with a director, who wrote one of the two books on its only shelf."""
    content: Content = {
        "Library": {"1": {"title": "library", "director": "1", "charter": None}},
        "Person": {"1": {"name": "director", "firm": "1"}},
        "Firm": {"1": {"name": "firm"}},
        "Shelf": {"1": {"label": "shelf"}},
        "Book": {"1": {"title": "one", "author": "1", "pages": 1}, "2": {"title": "two", "author": None}},
        "Library.shelves": {"1": {"1": "a0"}},
        "Library.patrons": {"1": {}},
        "Shelf.books": {"1": {"1": "a0", "2": "a1"}},
        "Book.genres": {"1": {}, "2": {}},
    }
    return Tables(plan(LibraryAnchor), content)


def _patched(tables: Tables) -> dict[tuple[str, str], Patch]:
    return {(patch.root, patch.key): patch for patch in tables.patches()}


def _merge(tables: Tables, **parts: object) -> None:
    tables.merge(Forest(**parts), ROOT)  # type: ignore[arg-type]


def test_what_is_as_it_was_is_no_patch(tables: Tables) -> None:
    _merge(tables, nodes={ROOT: dict(tables.get(*ROOT) or {})}, lists={("Shelf.books", "1"): ["1", "2"]})
    assert tables.patches() == []
    tables.put("Firm", "1", {"name": "other"})
    tables.put("Firm", "1", {"name": "firm"})
    assert tables.patches() == [], "there and back"


def test_true_is_not_one(tables: Tables) -> None:
    tables.put("Book", "1", {"title": "one", "author": "1", "pages": True})
    patch = _patched(tables)["Book", "1"]
    assert patch.before is not None
    assert patch.after is not None
    assert (patch.before["pages"], patch.after["pages"]) == (1, True)
    assert patch.after["pages"] is True


def test_patches_count_from_the_last_settling(tables: Tables) -> None:
    tables.put("Firm", "1", {"name": "second"})
    tables.settle()
    assert tables.patches() == []
    tables.put("Firm", "1", {"name": "third"})
    assert _patched(tables)["Firm", "1"] == Patch(
        root="Firm", key="1", before={"name": "second"}, after={"name": "third"}
    )


def test_a_row_goes_with_its_last_holder_and_all_below_it(tables: Tables) -> None:
    library = {**(tables.get(*ROOT) or {}), "director": None}
    _merge(tables, nodes={ROOT: library})
    assert ("Person", "1") in tables, "a book has that author yet"
    _merge(tables, lists={("Shelf.books", "1"): ["2"]})
    for node in (("Book", "1"), ("Person", "1"), ("Firm", "1")):
        assert node not in tables
    assert tables.get("Book.genres", "1") is None
    assert tables.get("Book.genres", "2") == {}
    assert set(tables.holders) == {("Shelf", "1"), ("Book", "2")}


def test_a_row_that_comes_in_and_that_nobody_holds_goes_again(tables: Tables) -> None:
    _merge(tables, nodes={("Person", "9"): {"name": "nobody's", "firm": None}})
    assert ("Person", "9") not in tables
    assert tables.patches() == []


def test_a_row_that_changes_hands_in_one_change_stays(tables: Tables) -> None:
    tables.merge(
        Forest(
            nodes={("Shelf", "2"): {"label": "another"}},
            lists={
                ("Library.shelves", "1"): ["1", "2"],
                ("Shelf.books", "1"): ["2"],
                ("Shelf.books", "2"): ["1"],
            },
        ),
        ROOT,
    )
    assert ("Book", "1") in tables
    assert ("Book", "1") not in _patched(tables)


def test_a_whole_forest_takes_the_place_of_everything(tables: Tables) -> None:
    tables.replace(Forest(nodes={ROOT: {"title": "bare"}}), ROOT)
    assert {root: table for root, table in tables.content.items() if table} == {"Library": {"1": {"title": "bare"}}}
    tables.replace(Forest(), None)
    assert not any(tables.content.values())
    assert tables.holders == {}


def test_a_list_that_the_serializer_gave_as_null_is_none(tables: Tables) -> None:
    _merge(tables, lists={("Shelf.books", "1"): None})
    assert tables.get("Shelf.books", "1") is None
    assert ("Book", "1") not in tables


def test_a_moved_row_costs_one_order_key(tables: Tables) -> None:
    assert tables.around("Shelf.books", "1", "1") == ["1", "2"]
    _merge(tables, lists={("Shelf.books", "1"): ["2", "1"]})
    (patch,) = tables.patches()
    assert patch.before is not None
    assert patch.after is not None
    assert len(patch.before.items() - patch.after.items()) == 1
    assert tables.around("Shelf.books", "1", "1") == ["2", "1"], "not as it was before"


def test_sources_are_remembered_until_somebody_else_projects_the_row(tables: Tables) -> None:
    node = ("Book", "1")
    assert node in set(tables.unsourced("Book"))
    _merge(tables, sources={node: {"testapp.person:9": False}})
    assert tables.dependents == {"testapp.person:9": {node}}
    assert tables.shows("testapp.person:9"), "the store's index has it"
    assert not tables.shows("testapp.person:8")
    assert node not in set(tables.unsourced("Book"))
    _merge(tables, sources={node: {"testapp.person:7": True}})
    assert tables.dependents == {"testapp.person:7": {node}}
    tables.forget(node)
    assert tables.dependents == {}
    _merge(tables, sources={node: {"testapp.person:9": False}})
    _merge(tables, lists={("Shelf.books", "1"): ["2"]})
    assert tables.dependents == {}, "it went with its row"


def test_a_row_is_shown_by_any_layer_of_its_model(tables: Tables) -> None:
    assert tables.shows("testapp.person:1")
    assert not tables.shows("testapp.person:2")
    assert not tables.shows("testapp.stranger:1")
