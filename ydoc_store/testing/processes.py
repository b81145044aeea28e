"""Several processes on one store. They are started afresh ("spawn"), as a server's workers are."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from ydoc_store.base import DocStore
from ydoc_store.testing.threads import assert_everybody_wrote
from ydoc_store.testing.tools import (
    DOC,
    PATIENCE,
    append_all,
    append_leased,
    append_racing,
    begin,
    updates_of,
    wait_until,
)
from ydoc_store.values import Position

PROCESSES = 4
WRITES = 25  # a process

OpenStore = Callable[[], DocStore]


class ProcessContract:
    @pytest.mark.parametrize("append", [append_leased, append_racing])
    def test_four_processes_append_without_a_gap_or_a_duplicate(
        self,
        store: DocStore,
        open_again: OpenStore,
        append: Callable[[DocStore, bytes, Position], Position],
    ) -> None:
        begin(store)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
            writers = [pool.submit(_write_many, open_again, append, number) for number in range(PROCESSES)]
            positions = [writer.result(4 * PATIENCE) for writer in writers]
        assert_everybody_wrote(updates_of(store), positions)

    def test_a_process_sees_what_another_one_wrote(self, store: DocStore, open_again: OpenStore) -> None:
        begin(store, rows=["here"])
        before, incarnation = store.pulse(), store.incarnation()
        with _process(_append_one, open_again) as (pipe, _):
            assert pipe.recv() == (incarnation, {"here": frozenset({DOC})})
        assert store.pulse() != before
        assert store.heads([DOC]) == {DOC: Position(1, 1)}
        assert store.documents_of(["there"]) == {"there": frozenset({DOC})}

    def test_the_lease_of_a_killed_process_is_taken_over(self, store: DocStore, open_again: OpenStore) -> None:
        begin(store)
        with _process(_lease_and_wait, open_again) as (pipe, process):
            assert pipe.recv() == "leased"
            kill(process)
        lease = store.lease(DOC, since=Position(1, 0), seconds=30, wait=PATIENCE)
        assert store.append(DOC, b"1", expect=Position(1, 0), lease=lease.token) == Position(1, 1)

    def test_a_process_killed_while_it_waits_in_line_holds_nobody_up(
        self, store: DocStore, open_again: OpenStore
    ) -> None:
        first = store.lease(DOC, since=None, seconds=60, wait=0)
        with _process(_wait_for_lease, open_again) as (pipe, process):
            assert pipe.recv() == "waiting"
            kill(process)
        store.release(DOC, first.token)
        store.lease(DOC, since=None, seconds=60, wait=PATIENCE)

    def test_every_append_that_a_killed_process_was_told_of_is_in_the_log(
        self, store: DocStore, open_again: OpenStore
    ) -> None:
        begin(store)
        told = Position(1, 0)
        with _process(_append_for_ever, open_again) as (pipe, process):
            while told.sequence < 30:
                told = pipe.recv()
            kill(process)
            while pipe.poll():
                try:
                    told = pipe.recv()
                except EOFError:
                    break
        updates = updates_of(store)
        assert len(updates) - told.sequence in (0, 1)
        assert updates == [str(number).encode() for number in range(len(updates))]
        append_all(store, [b"life goes on"])

    def test_a_waiting_process_gets_the_lease_soon_after_it_is_released(
        self, store: DocStore, open_again: OpenStore
    ) -> None:
        begin(store)
        first = store.lease(DOC, since=None, seconds=60, wait=0)
        with _process(_wait_for_lease, open_again) as (pipe, _):
            assert pipe.recv() == "waiting"
            store.append(DOC, b"1", expect=Position(1, 0), lease=first.token)
            assert pipe.poll(PATIENCE)
            assert pipe.recv() == [b"1"]


def kill(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(PATIENCE)


@contextmanager
def _process(target: Callable[..., None], open_again: OpenStore) -> Iterator[tuple[Connection, BaseProcess]]:
    """A process that runs `target(pipe, open_again)`, and this side's end of the pipe."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, open_again), daemon=True)
    process.start()
    there.close()
    try:
        yield here, process
        process.join(PATIENCE)
    finally:
        process.kill()


def _write_many(
    open_again: OpenStore, append: Callable[[DocStore, bytes, Position], Position], number: int
) -> list[Position]:
    with open_again() as store:
        store.add_rows("writers", [str(number)])
        wait_until(lambda: len(store.rows("writers")) == PROCESSES, 3 * PATIENCE)
        positions = [Position(1, 0)]
        for write in range(WRITES):
            positions.append(append(store, f"{number} {write}".encode(), positions[-1]))
        return positions[1:]


def _append_one(pipe: Connection, open_again: OpenStore) -> None:
    with open_again() as store:
        found = store.incarnation(), store.documents_of(["here"])
        append_leased(store, b"1", None)
        store.add_rows(DOC, ["there"])
        pipe.send(found)


def _lease_and_wait(pipe: Connection, open_again: OpenStore) -> None:
    with open_again() as store:
        store.lease(DOC, since=None, seconds=1, wait=PATIENCE)
        pipe.send("leased")
        pipe.recv()


def _wait_for_lease(pipe: Connection, open_again: OpenStore) -> None:
    with open_again() as store:
        store.head(DOC)
        pipe.send("waiting")
        lease = store.lease(DOC, since=Position(1, 0), seconds=60, wait=PATIENCE)
        pipe.send([entry.update for entry in lease.missed])


def _append_for_ever(pipe: Connection, open_again: OpenStore) -> None:
    with open_again() as store:
        position = Position(1, 0)
        while True:
            position = append_leased(store, str(position.sequence).encode(), position)
            pipe.send(position)
