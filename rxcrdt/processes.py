"""What there is once a process: threads, rooms, the connection to other processes. A fork begins without."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess", "process_id"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One ``T``, made at the first call, and made anew by the first call after a fork. Thread-safe."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[int, T] | None = None
        # A lock a process: the parent's may have been held by a thread that the fork did not take along.
        self._locks: dict[int, threading.Lock] = {}

    def __call__(self) -> T:
        made, process = self._made, os.getpid()
        if made is None or made[0] != process:
            with self._locks.setdefault(process, threading.Lock()):
                made = self._made
                if made is None or made[0] != process:
                    made = self._made = (process, self._make())
        return made[1]

    def existing(self) -> T | None:
        """What this process has made, if it has."""
        made = self._made
        return made[1] if made is not None and made[0] == os.getpid() else None

    def forget(self) -> T | None:
        """The next call makes another one; returns the one that there was, for whoever has to end it."""
        existing, self._made = self.existing(), None
        return existing


process_id: PerProcess[str] = PerProcess(lambda: uuid.uuid4().hex)
"""A name for this process that no other one has, on whatever machine."""
