"""Flushing for writers that do not wait for it, ``RXCRDT["INLINE"] = False``: one thread of the process does it.

Whatever is handed over while it works waits, and is flushed together: a row that is saved ten times in that time is
read once. What waits is lost when the process is killed, as is what lies between a commit and an inline flush: open
documents show it at their next full comparison. Ending a process waits for the thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from rxcrdt import conf, tenants, workers
from rxcrdt.changes import Changes
from rxcrdt.processes import PerProcess

__all__ = ["MAX_WAITING", "hand_over"]

#: A writer that is so many changed rows and links ahead flushes them itself: it would only get further ahead.
MAX_WAITING: Final = 10_000

Flush: TypeAlias = Callable[[str, Changes], None]


class _Waiting:
    """Changes by the database and the tenant in which they are to be flushed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changes: dict[tuple[str, str], Changes] = {}


_waiting = PerProcess(_Waiting)


def hand_over(using: str, changes: Changes, flush: Flush) -> None:
    """Has ``flush``, which never raises, called with ``changes`` and what else comes until the thread gets to it."""
    waiting, key = _waiting(), (using, conf.namespace())
    with waiting.lock:
        found = waiting.changes.get(key)
        if found is None:
            found = waiting.changes[key] = Changes()
            scheduled = False
        else:
            scheduled = True
        found.update(changes)
        ahead = len(found) >= MAX_WAITING
    meaning = "Saves are not shown; documents show them at RECONCILE_SECONDS."
    if ahead or not (scheduled or workers.in_turn(meaning, _flush_waiting, key, flush)):
        _flush_waiting(key, flush)


def _flush_waiting(key: tuple[str, str], flush: Flush) -> None:
    waiting = _waiting()
    with waiting.lock:
        changes = waiting.changes.pop(key, None)
    if changes:
        with tenants.within(key[1]):
            flush(key[0], changes)
