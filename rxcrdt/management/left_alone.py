"""Logs that a command meets and leaves alone: of other tenants, of other versions of the code, in quarantine."""

from __future__ import annotations

from collections import Counter

from django.core.management.base import OutputWrapper

from rxcrdt.names import LogName

__all__ = ["LeftAlone"]


class LeftAlone:
    """Names the first one of each kind, and counts the others. ``done`` is what is not done to them: "compared"."""

    def __init__(self, stdout: OutputWrapper, done: str) -> None:
        self._stdout = stdout
        self._done = done
        self._count: Counter[str] = Counter()

    def add(self, log: LogName, reason: str) -> None:
        self._count[reason] += 1
        if self._count[reason] == 1:
            self._stdout.write(f"{log.document} is not {self._done}: it is {reason}.")

    def conclude(self) -> None:
        for reason, number in self._count.items():
            if number > 1:
                self._stdout.write(f"{number:,} documents {reason} are not {self._done}.")
