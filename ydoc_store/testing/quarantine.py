"""Getting a log out of the way. What it is for, logs that nobody can read, only a store's own tests can make."""

from __future__ import annotations

import re
from functools import partial

import pytest

from ydoc_store.base import DocStore
from ydoc_store.exceptions import LeaseTimeout, PositionLost
from ydoc_store.testing.logs import ODD_NAMES
from ydoc_store.testing.tools import DOC, all_at_once, append_all, begin, updates_of
from ydoc_store.testing.usage import ANY_TIME, HOUR
from ydoc_store.values import Position

THREADS = 8


def quarantine(store: DocStore, name: str = DOC) -> str:
    moved = store.quarantine(name)
    assert moved is not None
    return moved


class QuarantineContract:
    def test_the_log_lies_under_another_name_and_its_own_has_none(self, store: DocStore) -> None:
        begin(store, epoch=7, snapshot=b"s", rows=["row"])
        append_all(store, [b"1", b"2"])
        log = store.load(DOC)
        moved = quarantine(store)
        assert re.fullmatch(rf"quarantine:\d{{13,}}:{DOC}", moved)
        assert (store.load(DOC), store.head(DOC), store.usage([DOC])) == (None, None, {})
        assert store.load(moved) == log
        assert store.head(moved) == Position(7, 2)
        assert list(store.names()) == list(store.names("quarantine:")) == [moved]
        assert list(store.names("board/")) == []
        with pytest.raises(PositionLost, match="no log"):
            store.append(DOC, b"3", expect=Position(7, 2))

    def test_rows_stay_with_the_name_and_it_can_be_begun_with_any_epoch(self, store: DocStore) -> None:
        begin(store, epoch=7, rows=["row", "other"])
        moved = quarantine(store)
        assert (store.rows(DOC), store.rows(moved)) == ({"row", "other"}, set())
        assert store.documents_of(["row"]) == {"row": frozenset({DOC})}
        begin(store, epoch=3, snapshot=b"again", rows=["new"])
        append_all(store, [b"a"])
        assert (updates_of(store), store.rows(DOC)) == ([b"a"], {"row", "other", "new"})
        assert store.head(moved) == Position(7, 0)

    def test_the_lease_stays_with_its_holder(self, store: DocStore) -> None:
        begin(store)
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        quarantine(store)
        with pytest.raises(LeaseTimeout):
            store.lease(DOC, since=None, seconds=30, wait=0)
        assert store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=lease.token) == Position(2, 0)
        store.append(DOC, b"1", expect=Position(2, 0), lease=lease.token)
        store.release(DOC, store.lease(DOC, since=None, seconds=30, wait=0).token)

    def test_where_there_is_nothing_nothing_happens(self, store: DocStore) -> None:
        store.add_rows(DOC, ["row"])
        held = store.lease(DOC, since=None, seconds=30, wait=0)
        assert store.quarantine(DOC) is None
        assert store.rows(DOC) == {"row"}
        assert list(store.names()) == []
        assert store.begin(DOC, epoch=1, snapshot=b"", rows=(), lease=held.token) == Position(1, 0)

    def test_a_name_can_be_quarantined_again_and_again(self, store: DocStore) -> None:
        moved = []
        for epoch in range(1, 6):
            begin(store, epoch=epoch)
            moved.append(quarantine(store))
        assert [store.head(name) for name in moved] == [Position(epoch, 0) for epoch in range(1, 6)]
        assert list(store.names()) == sorted(moved)

    def test_what_lies_in_quarantine_can_be_quarantined_begun_and_deleted_as_any_log(self, store: DocStore) -> None:
        begin(store, rows=["row"])
        moved = quarantine(store)
        again = quarantine(store, moved)
        assert re.fullmatch(rf"quarantine:\d+:{moved}", again)
        begin(store, moved, epoch=2, rows=["row"])
        assert list(store.names()) == sorted([moved, again])
        assert store.documents_of(["row"]) == {"row": frozenset({DOC, moved})}
        assert (store.size(again).rows, store.size(moved).rows) == (0, 1)
        store.delete(moved)
        assert list(store.names("q")) == [again]
        store.delete(again)
        assert list(store.names()) == list(store.unused(ANY_TIME)) == []
        assert store.documents_of(["row"]) == {"row": frozenset({DOC})}

    def test_any_name_can_be_quarantined(self, store: DocStore) -> None:
        moved = {}
        for name in (*ODD_NAMES, "}", "a}b{c", "quarantine:", "quarantine:1:", "x}:quarantine:1", ":quarantine:1:log"):
            begin(store, name, snapshot=name.encode())
            moved[quarantine(store, name)] = name
            begin(store, name, snapshot=b"new")
        assert list(store.names()) == sorted([*moved, *moved.values()])
        for name, former in moved.items():
            assert name.endswith(former)
            log = store.load(name)
            assert log is not None
            assert log.snapshot == former.encode()
            store.delete(name)
        assert list(store.names()) == sorted(moved.values())

    def test_it_counts_as_used_at_that_moment(self, store: DocStore) -> None:
        begin(store)
        before = store.usage([DOC])[DOC]
        moved = quarantine(store)
        after = store.usage([moved])[moved]
        assert (after.begun, after.snapshotted, after.written) == (before.begun, before.snapshotted, before.written)
        assert after.used >= before.used
        assert list(store.unused(HOUR)) == []
        assert list(store.unused(ANY_TIME)) == [moved]

    def test_of_many_who_quarantine_one_log_one_gets_its_name(self, store: DocStore) -> None:
        begin(store)
        log = store.load(DOC)
        found = all_at_once([partial(store.quarantine, DOC) for _thread in range(THREADS)])
        (moved,) = [name for name in found if name is not None]
        assert list(store.names()) == [moved]
        assert store.load(moved) == log
