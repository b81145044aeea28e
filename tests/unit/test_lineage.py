"""Lineages: what tells one from another, and what ends an older one."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Map, merge_updates

from rxcrdt.lineage import FIRST_TRUTH_ID, clock_id, kill_set, older_lineages, read_state_vector

OLD, NEW, CLIENT = FIRST_TRUTH_ID + 1, FIRST_TRUTH_ID + 2, 77


def _doc(client: int, **values: Any) -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=client)
    doc.get("table", type=Map).update(values)
    return doc


def _held(doc: Doc[Any]) -> Any:
    return doc.get("table", type=Map).to_py()


@pytest.mark.parametrize("clients", [[], [1], [CLIENT, OLD, NEW], [2**53 - 1], [127, 128, 16383, 16384]])
def test_a_state_vector_is_read_as_the_engine_writes_it(clients: list[int]) -> None:
    whole: Doc[Any] = Doc()
    for client in clients:
        whole.apply_update(_doc(client, **{str(number): number for number in range(200)}).get_update())
    assert read_state_vector(whole.get_state()) == dict.fromkeys(clients, 200)


def test_only_lineages_that_the_log_lacks_are_older() -> None:
    assert older_lineages({OLD: 5, NEW: 3, CLIENT: 9}, {NEW: 4}) == {OLD: 5}
    assert older_lineages({CLIENT: 9, FIRST_TRUTH_ID - 1: 2}, {NEW: 4}) == {}, "a client's own writes are no lineage"
    assert older_lineages({FIRST_TRUTH_ID: 1}, {}) == {FIRST_TRUTH_ID: 1}


def test_a_kill_set_ends_an_older_lineage_and_nothing_else() -> None:
    theirs = _doc(OLD, gone="ghost", kept="old")
    theirs.apply_update(_doc(CLIENT, mine="written by the client").get_update())
    ours = _doc(NEW, kept="new")
    old = older_lineages(read_state_vector(theirs.get_state()), read_state_vector(ours.get_state()))
    theirs.apply_update(merge_updates(ours.get_update(theirs.get_state()), kill_set(old)))
    assert _held(theirs) == {"kept": "new", "mine": "written by the client"}


def test_one_update_ends_several() -> None:
    theirs = _doc(OLD, gone="ghost")
    theirs.apply_update(_doc(OLD + 5, other="ghost").get_update())
    theirs.apply_update(kill_set({OLD: 1, OLD + 5: 1}))
    assert _held(theirs) == {}


def test_an_epoch_is_larger_than_the_last_one_and_than_any_clients_id(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock_id()
    assert FIRST_TRUTH_ID < now < 2**53
    assert clock_id(now) > now
    monkeypatch.setattr("rxcrdt.lineage.time.time_ns", lambda: 0)
    assert clock_id() >= FIRST_TRUTH_ID, "a clock that was set back to 1970"
    assert clock_id(now) == now + 1
