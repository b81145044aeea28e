"""What a section of the benchmarks is, and what it is given."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.benchmarks.report import Table
from tests.benchmarks.workers import Workers
from tests.servers import running_postgresql, running_redis

__all__ = ["Run", "Section", "Unavailable"]

T = TypeVar("T")


class Unavailable(Exception):
    """A section needs something that is not installed; the message says what to do."""


class Run:
    """One run: its folder, its servers and processes, started when first asked for and stopped at the end.

    `load_before` is how much else the machine did in the minute before.
    """

    def __init__(self, *, folder: Path, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.load_before = os.getloadavg()[0]
        self._began = time.monotonic()
        self._stack = ExitStack()
        self._redis: str | None = None
        self._postgresql: str | None = None
        self._workers: Workers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def redis(self) -> str:
        """The URL of a Redis server that writes nothing to disk."""
        if self._redis is None:
            self._redis = self._stack.enter_context(running_redis())
        return self._redis

    @property
    def postgresql(self) -> str:
        """The URL of a PostgreSQL server that waits for the disk when it commits, as one does that nobody changed."""
        if self._postgresql is None:
            self._postgresql = self._stack.enter_context(running_postgresql(options=["-c", "fsync=on"]))
        return self._postgresql

    @property
    def has_postgresql(self) -> bool:
        """Whether a section asked for it."""
        return self._postgresql is not None

    @property
    def workers(self) -> Workers:
        if self._workers is None:
            self._workers = self._stack.enter_context(Workers())
        return self._workers

    def sqlite(self, name: str) -> str:
        """The URL of a store in a file of this run."""
        return f"sqlite:///{self.folder / name}.sqlite3"

    def choose(self, full: T, quick: T) -> T:
        """What a full run takes, or a quick one."""
        return quick if self.quick else full

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {what}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """`measure` yields its tables as they are ready; it may raise Unavailable before the first one."""

    name: str
    title: str
    measure: Callable[[Run], Iterator[Table]]
