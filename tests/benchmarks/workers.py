"""Processes (or threads) that all begin to measure at the same moment.

A task is a generator: it prepares itself and yields, is sent the moment at which to begin, and returns its result.
Clocks are `time.monotonic`, which is one clock for all processes of a machine.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Measuring", "WorkerEnded", "Workers", "in_threads", "sleep_until"]

R = TypeVar("R")
Measuring = Generator[None, float, R]

_HEAD_START = 0.05  # seconds from the word to the beginning


class WorkerEnded(Exception):
    """A worker process ended; its traceback was printed."""


class Workers:
    """Processes started afresh, as a server's are, and kept for the next measurement."""

    def __init__(self) -> None:
        self._started: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, pipe in self._started:
            pipe.close()
            if error is not None:
                process.kill()
            process.join()

    def run(self, tasks: Sequence[Callable[[], Measuring[R]]]) -> list[R]:
        """Each task, which has to be picklable, in a process of its own; the results in order."""
        while len(self._started) < len(tasks):
            self._started.append(_start())
        pipes = [pipe for (_, pipe), _ in zip(self._started, tasks, strict=False)]
        try:
            for pipe, task in zip(pipes, tasks, strict=True):
                pipe.send(task)
            for pipe in pipes:
                pipe.recv()
            begin = time.monotonic() + _HEAD_START
            for pipe in pipes:
                pipe.send(begin)
            return [pipe.recv() for pipe in pipes]
        except (EOFError, OSError) as error:
            raise WorkerEnded("A worker process ended: its traceback is above.") from error


def _start() -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()
    return process, here


def _serve(pipe: Connection) -> None:
    while True:
        try:
            task: Callable[[], Measuring[Any]] = pipe.recv()
        except EOFError:
            return
        measuring = task()
        next(measuring)
        pipe.send(None)
        pipe.send(_result(measuring, pipe.recv()))


def _result(measuring: Measuring[R], begin: float) -> R:
    try:
        measuring.send(begin)
    except StopIteration as stop:
        result: R = stop.value
        return result
    raise AssertionError("a task yields once")


def in_threads(tasks: Sequence[Callable[[], Measuring[R]]]) -> list[R]:
    """The same in threads of this process."""
    prepared = [task() for task in tasks]
    for measuring in prepared:
        next(measuring)
    results: dict[int, R] = {}
    begin = time.monotonic() + _HEAD_START

    def work(number: int, measuring: Measuring[R]) -> None:
        results[number] = _result(measuring, begin)

    threads = [threading.Thread(target=work, args=each) for each in enumerate(prepared)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) < len(tasks):
        raise WorkerEnded("A thread ended: its traceback is above.")
    return [results[number] for number in range(len(tasks))]


def sleep_until(moment: float) -> None:
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)
