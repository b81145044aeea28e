"""Changes wait for their transaction's commit, and are flushed once after it.

They wait on the connection's own ``run_on_commit`` list, so that a rolled-back savepoint takes its part away. A
transaction's part of each savepoint is one entry there, its flush another, always behind the parts and of no
savepoint: of several flushes only the last one works. (A flag of one's own goes wrong after a rollback.)
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import connections

from rxcrdt import flushing
from rxcrdt.changes import Changes
from rxcrdt.transactions import in_test_case

__all__ = ["collect"]

logger = logging.getLogger("rxcrdt.tracking")

LOOKED_AT = 8  # entries at the list's end, where other people's hooks may stand between ours


class _Part:
    """What was changed under one set of savepoints; once that is committed, it goes to the transaction's total."""

    def __init__(self, total: _Total):
        self.total = total
        self.changes = Changes()

    def __call__(self) -> None:
        self.total.changes.update(self.changes)


class _Total:
    """What a transaction's parts came to."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.last: _Flush | None = None


class _Flush:
    def __init__(self, using: str, total: _Total):
        self.using = using
        self.total = total

    def __call__(self) -> None:
        if self.total.last is self:
            changes, self.total.changes = self.total.changes, Changes()
            flushing.committed(self.using, changes)


def collect(using: str, changes: Changes) -> None:
    """Flushes ``changes`` when the transaction that is open in ``using`` commits; now, if there is none."""
    connection = connections[using]
    if not connection.in_atomic_block:
        if connection.get_autocommit():
            flushing.committed(using, changes)
        else:
            logger.warning(
                "A save in %r with autocommit switched off: nobody tells when it is committed, so documents show it "
                "at their next full comparison. Use transaction.atomic().",
                using,
            )
        return
    waiting: list[Any] = connection.run_on_commit
    savepoints = set(connection.savepoint_ids)
    part = None if in_test_case(using) else _found(waiting, savepoints)
    if part is None:
        part = _appended(using, waiting, savepoints)
    part.changes.update(changes)


def _found(waiting: list[Any], savepoints: set[str]) -> _Part | None:
    """The part that these savepoints have already, if it is not far away in the list.

    Not asked for in a TestCase, which never commits: ``captureOnCommitCallbacks`` takes the hooks that were added
    inside of it, so that every change there needs hooks of its own.
    """
    if len(waiting) < 2:
        return None
    held, part, _ = waiting[-2]
    if isinstance(part, _Part) and held == savepoints and isinstance(waiting[-1][1], _Flush):
        return part
    return _settled(waiting, savepoints).get(frozenset(savepoints))


def _settled(waiting: list[Any], savepoints: set[str]) -> dict[frozenset[str], _Part]:
    """Makes one part of those that share their fate, by the savepoints that can still take it away.

    A savepoint that is not open any more was released: had it been rolled back, its parts would not be there. Without
    this, a transaction of many short savepoints would hold a part for each.
    """
    parts: dict[frozenset[str], _Part] = {}
    superfluous: list[int] = []
    for place in range(max(0, len(waiting) - LOOKED_AT), len(waiting)):
        held, hook, _ = waiting[place]
        if isinstance(hook, _Part):
            first = parts.setdefault(frozenset(held & savepoints), hook)
            if first is not hook:
                first.changes.update(hook.changes)
                superfluous.append(place)
        elif isinstance(hook, _Flush) and hook.total.last is not hook:
            superfluous.append(place)
    for place in reversed(superfluous):
        del waiting[place]
    return parts


def _appended(using: str, waiting: list[Any], savepoints: set[str]) -> _Part:
    total = _total_of(waiting)
    part, flush = _Part(total), _Flush(using, total)
    total.last = flush
    waiting.append((savepoints, part, True))
    waiting.append((set(), flush, True))
    return part


def _total_of(waiting: list[Any]) -> _Total:
    """The total of this transaction, whoever else registered hooks behind it; a new one for its first change."""
    found = next((hook.total for _, hook, _ in reversed(waiting) if isinstance(hook, _Flush)), None)
    return found or _Total()
