"""The store itself: its pulse, its incarnation, its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ydoc_store.base import DocStore
from ydoc_store.exceptions import LeaseTimeout, StoreUnavailable
from ydoc_store.testing.tools import DOC, Background, append_all, begin
from ydoc_store.values import Position


class WholeStoreContract:
    def test_the_pulse_differs_after_every_kind_of_write(self, store: DocStore) -> None:
        writes: list[Callable[[], object]] = [
            lambda: begin(store),
            lambda: append_all(store, [b"1"]),
            lambda: store.compact(DOC, b"", at=Position(1, 1)),
            lambda: store.add_rows(DOC, ["row"]),
            lambda: store.remove_rows(DOC, ["row"]),
            lambda: begin(store, epoch=2),
            lambda: store.quarantine(DOC),
            lambda: begin(store, epoch=3),
            lambda: store.delete(DOC),
        ]
        for write in writes:
            before = store.pulse()
            write()
            assert store.pulse() != before

    def test_the_pulse_tells_what_another_thread_wrote(self, store: DocStore) -> None:
        begin(store)
        before = store.pulse()
        Background(lambda: append_all(store, [b"1"])).result()
        assert store.pulse() != before
        before = store.pulse()
        append_all(store, [b"2"])
        assert Background(store.pulse).result() != before

    def test_a_quiet_store_has_a_steady_pulse(self, store: DocStore) -> None:
        begin(store)
        before = store.pulse()
        store.load(DOC)
        store.heads([DOC])
        assert [store.pulse(), Background(store.pulse).result(), store.pulse()] == [before] * 3

    def test_the_incarnation_stays_while_nothing_is_lost(self, store: DocStore) -> None:
        incarnation = store.incarnation()
        begin(store)
        store.delete(DOC)
        assert incarnation
        assert store.incarnation() == incarnation
        assert Background(store.incarnation).result() == incarnation

    def test_a_closed_store_says_so(self, store: DocStore) -> None:
        begin(store)
        store.close()
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.load(DOC),
            lambda: store.since(DOC, Position(1, 0)),
            lambda: store.head(DOC),
            lambda: store.lease(DOC, since=None, seconds=1, wait=0),
            lambda: store.release(DOC, "token"),
            lambda: store.append(DOC, b"1", expect=Position(1, 0)),
            lambda: store.documents_of(["row"]),
            lambda: store.quarantine(DOC),
            lambda: store.touch([DOC]),
            lambda: store.usage([DOC]),
            lambda: list(store.unused(0)),
            lambda: list(store.names()),
            store.incarnation,
            store.pulse,
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable, match="closed"):
                call()

    def test_whoever_waits_for_a_lease_learns_that_the_store_was_closed(self, store: DocStore) -> None:
        store.lease(DOC, since=None, seconds=60, wait=0)
        waiting = Background(lambda: store.lease(DOC, since=None, seconds=60, wait=60))
        with pytest.raises(LeaseTimeout):  # by then the other one stands in line
            store.lease(DOC, since=None, seconds=60, wait=0.2)
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            waiting.result()

    def test_a_store_is_closed_at_the_end_of_its_with_block(self, store: DocStore) -> None:
        with store as same:
            assert same is store
        with pytest.raises(StoreUnavailable, match="closed"):
            store.head(DOC)
