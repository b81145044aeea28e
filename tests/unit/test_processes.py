"""What a process has once: made at the first use, by one thread, and anew after a fork."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from rxcrdt import workers
from rxcrdt.processes import PerProcess, process_id


def in_child(work: Callable[[], bytes]) -> bytes:
    """What ``work`` gives in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return found


def test_it_is_made_once_by_however_many_threads() -> None:
    made: list[int] = []

    def make() -> object:
        made.append(1)
        time.sleep(0.02)  # so that all of them come while the first one makes it
        return object()

    once = PerProcess(make)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(once())) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert len(set(map(id, found))) == 1


def test_a_fork_has_its_own_even_if_a_thread_was_making_one() -> None:
    begun, finish = threading.Event(), threading.Event()
    parent = os.getpid()

    def make() -> int:
        if os.getpid() == parent:
            begun.set()
            finish.wait(10)
        return os.getpid()

    once = PerProcess(make)
    maker = threading.Thread(target=once)
    maker.start()
    begun.wait(10)
    try:
        assert in_child(lambda: str(once() == os.getpid()).encode()) == b"True"
    finally:
        finish.set()
        maker.join()
    assert once() == os.getpid()


def test_forgotten_is_made_again() -> None:
    once = PerProcess(object)
    assert once.existing() is None
    first = once()
    assert once.existing() is first
    assert once.forget() is first
    assert once.forget() is None
    assert once() is not first


def test_processes_have_different_names() -> None:
    mine = process_id()
    assert process_id() == mine
    assert in_child(lambda: process_id().encode()) != mine.encode()


def test_a_fork_has_threads_of_its_own_to_work_in() -> None:
    assert workers.submit(os.getpid).result(10) == os.getpid()
    assert in_child(lambda: str(workers.submit(os.getpid).result(10) == os.getpid()).encode()) == b"True"
