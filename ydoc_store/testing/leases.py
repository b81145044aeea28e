"""Leases: one writer a name, taken over when they expire, and never the only thing between two writers."""

from __future__ import annotations

import time

import pytest

from ydoc_store.base import DocStore
from ydoc_store.exceptions import HeadMoved, LeaseLost, LeaseTimeout, PositionLost
from ydoc_store.testing.tools import DOC, PATIENCE, Background, append_all, begin, updates_of
from ydoc_store.values import Lease, Position


def is_leased(store: DocStore, name: str = DOC) -> bool:
    try:
        lease = store.lease(name, since=None, seconds=30, wait=0)
    except LeaseTimeout:
        return True
    store.release(name, lease.token)
    return False


class LeaseContract:
    def test_a_name_is_leased_to_one_writer_at_a_time(self, store: DocStore) -> None:
        first = store.lease(DOC, since=None, seconds=30, wait=0)
        with pytest.raises(LeaseTimeout, match="Somebody else is writing"):
            store.lease(DOC, since=None, seconds=30, wait=0)
        assert not is_leased(store, "another")
        store.release(DOC, first.token)
        second = store.lease(DOC, since=None, seconds=30, wait=0)
        assert second.token != first.token

    def test_a_writer_who_waits_in_vain_waits_as_long_as_it_said(self, store: DocStore) -> None:
        store.lease(DOC, since=None, seconds=30, wait=0)
        began = time.monotonic()
        with pytest.raises(LeaseTimeout):
            store.lease(DOC, since=None, seconds=30, wait=0.2)
        assert 0.2 <= time.monotonic() - began < 5

    def test_a_writer_who_gave_up_holds_nobody_up(self, store: DocStore) -> None:
        first = store.lease(DOC, since=None, seconds=30, wait=0)
        with pytest.raises(LeaseTimeout):
            store.lease(DOC, since=None, seconds=30, wait=0.05)
        store.release(DOC, first.token)
        assert not is_leased(store)

    # What the holder learns ---------------------------------------------------------------------------------

    def test_a_lease_on_a_name_without_a_log_has_nothing_to_tell(self, store: DocStore) -> None:
        for since in (None, Position(1, 0)):
            lease = store.lease(DOC, since=since, seconds=30, wait=0)
            assert lease == Lease(token=lease.token, log=None, missed=())
            store.release(DOC, lease.token)

    @pytest.mark.parametrize("sequence", [1, 2, 3])
    def test_the_holder_learns_what_it_missed(self, store: DocStore, sequence: int) -> None:
        self._folded_log(store)
        position = Position(5, sequence)
        lease = store.lease(DOC, since=position, seconds=30, wait=0)
        assert lease.log is None
        assert lease.missed == store.since(DOC, position)
        assert len(lease.missed) == 3 - sequence

    @pytest.mark.parametrize("since", [None, Position(4, 1), Position(6, 1), Position(5, 0), Position(5, 4)])
    def test_a_holder_whose_position_is_lost_gets_the_whole_log(self, store: DocStore, since: Position | None) -> None:
        self._folded_log(store)
        lease = store.lease(DOC, since=since, seconds=30, wait=0)
        assert lease.log is not None
        assert lease.log == store.load(DOC)
        assert lease.missed == ()

    @staticmethod
    def _folded_log(store: DocStore) -> None:
        begin(store, epoch=5)
        append_all(store, [b"1", b"2", b"3"])
        store.compact(DOC, b"one", at=Position(5, 1))

    # Giving it back -----------------------------------------------------------------------------------------

    def test_an_append_gives_the_lease_back(self, store: DocStore) -> None:
        begin(store)
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token)
        assert not is_leased(store)

    def test_an_append_can_keep_the_lease(self, store: DocStore) -> None:
        begin(store)
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token, keep_lease=True)
        assert is_leased(store)
        store.append(DOC, b"2", expect=Position(1, 1), lease=lease.token)
        assert not is_leased(store)

    def test_beginning_a_log_keeps_the_lease(self, store: DocStore) -> None:
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        store.begin(DOC, epoch=1, snapshot=b"", rows=(), lease=lease.token)
        assert is_leased(store)
        store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token)
        assert not is_leased(store)

    def test_a_failed_append_keeps_the_lease(self, store: DocStore) -> None:
        begin(store)
        append_all(store, [b"1"])
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        with pytest.raises(HeadMoved):
            store.append(DOC, b"2", expect=Position(1, 0), lease=lease.token)
        with pytest.raises(PositionLost):
            store.append(DOC, b"2", expect=Position(2, 0), lease=lease.token)
        assert is_leased(store)

    def test_releasing_twice_or_what_was_never_leased_does_nothing(self, store: DocStore) -> None:
        store.release(DOC, "never given")
        first = store.lease(DOC, since=None, seconds=30, wait=0)
        store.release(DOC, first.token)
        store.release(DOC, first.token)
        store.lease(DOC, since=None, seconds=30, wait=0)
        store.release(DOC, first.token)
        assert is_leased(store)

    def test_an_append_without_the_lease_leaves_it_with_its_holder(self, store: DocStore) -> None:
        begin(store)
        store.lease(DOC, since=None, seconds=30, wait=0)
        store.append(DOC, b"1", expect=Position(1, 0))
        store.append(DOC, b"2", expect=Position(1, 1), lease="not the holder's")
        assert is_leased(store)

    def test_deleting_a_log_leaves_the_lease_with_its_holder(self, store: DocStore) -> None:
        begin(store)
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        store.delete(DOC)
        assert is_leased(store)
        assert store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=lease.token) == Position(2, 0)

    # Expired ------------------------------------------------------------------------------------------------

    def test_an_expired_lease_is_taken_over(self, store: DocStore) -> None:
        begin(store)
        late = store.lease(DOC, since=None, seconds=0.05, wait=0)
        lease = store.lease(DOC, since=None, seconds=30, wait=PATIENCE)
        store.release(DOC, late.token)
        assert is_leased(store)
        with pytest.raises(LeaseLost, match="Lease it again"):
            store.begin(DOC, epoch=2, snapshot=b"", rows=(), lease=late.token)
        store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token)

    def test_an_expired_lease_that_nobody_took_is_still_good(self, store: DocStore) -> None:
        late = store.lease(DOC, since=None, seconds=0, wait=0)
        store.begin(DOC, epoch=1, snapshot=b"", rows=(), lease=late.token)
        assert store.append(DOC, b"1", expect=Position(1, 0), lease=late.token) == Position(1, 1)

    def test_of_two_writers_after_a_takeover_the_first_wins_and_the_other_is_told(self, store: DocStore) -> None:
        """Whoever it is: if only the last lease counted, slow writers could rob each other for ever."""
        begin(store)
        for sequence, late_is_first in enumerate((True, False)):
            late = store.lease(DOC, since=None, seconds=0, wait=0)
            current = store.lease(DOC, since=None, seconds=30, wait=PATIENCE)
            first, second = (late, current) if late_is_first else (current, late)
            store.append(DOC, b"first", expect=Position(1, sequence), lease=first.token)
            with pytest.raises(HeadMoved) as moved:
                store.append(DOC, b"second", expect=Position(1, sequence), lease=second.token)
            assert [entry.update for entry in moved.value.missed] == [b"first"]
            store.release(DOC, current.token)
        assert updates_of(store) == [b"first", b"first"]

    # Waiting ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("gives_back", ["release", "append"])
    def test_a_waiting_writer_gets_the_lease_and_learns_what_it_missed(self, store: DocStore, gives_back: str) -> None:
        begin(store)
        first = store.lease(DOC, since=None, seconds=60, wait=0)
        waiting = Background(lambda: store.lease(DOC, since=Position(1, 0), seconds=60, wait=PATIENCE))
        if gives_back == "append":
            store.append(DOC, b"1", expect=Position(1, 0), lease=first.token)
        else:
            store.append(DOC, b"1", expect=Position(1, 0), lease=first.token, keep_lease=True)
            assert waiting.is_running
            store.release(DOC, first.token)
        assert [entry.update for entry in waiting.result().missed] == [b"1"]

    def test_a_waiting_writer_takes_over_when_the_lease_expires(self, store: DocStore) -> None:
        store.lease(DOC, since=None, seconds=0.3, wait=0)
        began = time.monotonic()
        store.lease(DOC, since=None, seconds=30, wait=PATIENCE)
        assert 0.2 < time.monotonic() - began < 5

    def test_waiting_for_one_name_does_not_hold_up_another(self, store: DocStore) -> None:
        first = store.lease(DOC, since=None, seconds=60, wait=0)
        waiting = Background(lambda: store.lease(DOC, since=None, seconds=60, wait=PATIENCE))
        begin(store, "another")
        append_all(store, [b"1", b"2"], "another")
        assert waiting.is_running
        store.release(DOC, first.token)
        waiting.result()

    def test_a_writer_that_leases_again_and_again_does_not_starve_one_who_waits(self, store: DocStore) -> None:
        held = store.lease(DOC, since=None, seconds=30, wait=0)
        waiting = Background(lambda: store.lease(DOC, since=None, seconds=30, wait=PATIENCE))
        with pytest.raises(LeaseTimeout):  # by then the other one stands in line
            store.lease(DOC, since=None, seconds=30, wait=0.5)
        store.release(DOC, held.token)
        for _greedy in range(3):
            with pytest.raises(LeaseTimeout):
                store.lease(DOC, since=None, seconds=30, wait=0)
        waiting.result()
