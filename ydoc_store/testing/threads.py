"""Eight threads on one store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from threading import Barrier, Event

import pytest

from ydoc_store.base import DocStore
from ydoc_store.testing.tools import (
    DOC,
    PATIENCE,
    Background,
    all_at_once,
    append_leased,
    append_racing,
    begin,
    updates_of,
)
from ydoc_store.values import Position

THREADS = 8
WRITES = 12  # a thread


class ThreadContract:
    @pytest.mark.parametrize("append", [append_leased, append_racing])
    def test_eight_threads_append_without_a_gap_or_a_duplicate(
        self, store: DocStore, append: Callable[[DocStore, bytes, Position], Position]
    ) -> None:
        """And nobody starves: each of them gets all its entries in before it loses its patience."""
        start = begin(store)
        together = Barrier(THREADS)

        def write(thread: int) -> list[Position]:
            together.wait(PATIENCE)
            positions = [start]
            for number in range(WRITES):
                positions.append(append(store, f"{thread} {number}".encode(), positions[-1]))
            return positions[1:]

        positions = all_at_once([partial(write, thread) for thread in range(THREADS)])
        assert_everybody_wrote(updates_of(store), positions)

    def test_two_threads_never_hold_one_lease(self, store: DocStore) -> None:
        holders: list[int] = []
        most = []

        def write(thread: int) -> None:
            for _time in range(WRITES):
                lease = store.lease(DOC, since=None, seconds=60, wait=PATIENCE)
                holders.append(thread)
                most.append(len(holders))
                holders.remove(thread)
                store.release(DOC, lease.token)

        all_at_once([partial(write, thread) for thread in range(THREADS)])
        assert most == [1] * (THREADS * WRITES)

    def test_of_eight_appends_at_one_head_one_wins(self, store: DocStore) -> None:
        begin(store)
        for round_ in range(5):
            together = Barrier(THREADS)

            def write(thread: int, head: Position, together: Barrier) -> Position:
                together.wait(PATIENCE)
                return append_racing(store, str(thread).encode(), head)

            head = Position(1, round_ * THREADS)
            positions = all_at_once([partial(write, thread, head, together) for thread in range(THREADS)])
            assert sorted(positions) == [Position(1, head.sequence + n) for n in range(1, THREADS + 1)]

    def test_a_reader_sees_a_whole_log_while_others_append_and_fold(self, store: DocStore) -> None:
        """The snapshot says how many entries it stands for; with those after it, that is always the head."""
        begin(store, snapshot=b"0")
        done = Event()

        def fold() -> int:
            for folded in count():
                head = store.head(DOC)
                assert head is not None
                store.compact(DOC, str(head.sequence).encode(), at=head)
                if done.is_set():
                    return folded
            raise AssertionError

        def read() -> None:
            while not done.is_set():
                log = store.load(DOC)
                assert log is not None
                assert (int(log.snapshot), log.at + len(log.entries)) == (log.at, log.head.sequence)
                assert [int(entry.update) for entry in log.entries] == list(range(log.at, log.head.sequence))

        others: list[Background[int] | Background[None]] = [
            Background(fold),
            Background(read),
            Background(read),
        ]
        position = Position(1, 0)
        for number in range(60):
            position = store.append(DOC, str(number).encode(), expect=position)
        done.set()
        for other in others:
            other.result()
        assert store.head(DOC) == position


def assert_everybody_wrote(updates: list[bytes], positions: list[list[Position]]) -> None:
    """Each writer's entries are in the log once, in the writer's order, at the positions that it was told."""
    writers, writes = len(positions), len(positions[0])
    assert Counter(updates) == Counter(f"{w} {n}".encode() for w in range(writers) for n in range(writes))
    for writer, told in enumerate(positions):
        expected = [f"{writer} {number}".encode() for number in range(writes)]
        assert [updates[position.sequence - 1] for position in told] == expected
