"""Keeping SQLite and `fork` apart.

SQLite's locks belong to a process, but its knowledge of them is memory, which a forked child inherits: the
child would believe that it holds what only its parent holds, or wait for ever for a lock that nobody has. It
must not even open the same file anew while it remembers the parent's. So nothing is open while a process
forks: those who are in a transaction finish it, connections are closed, and both sides open new ones when
they need them.

`subprocess` does not fork in this sense. A fork behind Python's back (by a C extension that calls no hooks)
is not covered.
"""

from __future__ import annotations

import logging
import os
from typing import Protocol
from weakref import WeakSet

logger = logging.getLogger("ydoc_store")

_PATIENCE = 10.0  # seconds that a fork waits for transactions under way


class Pausable(Protocol):
    def pause(self, seconds: float) -> bool: ...
    def resume(self) -> None: ...
    def start_again(self) -> object: ...


_open: WeakSet[Pausable] = WeakSet()
_inherited: list[object] = []  # closing a parent's connection here would meddle with the parent's locks


def close_before_forks(connections: Pausable) -> None:
    _open.add(connections)


def _before() -> None:
    for connections in tuple(_open):
        if not connections.pause(_PATIENCE):
            logger.warning(
                "This process forks while a transaction of the document store has been running for %g s: the "
                "child may be unable to use the store. Fork before threads are started.",
                _PATIENCE,
            )


def _after_in_parent() -> None:
    for connections in tuple(_open):
        connections.resume()


def _after_in_child() -> None:
    _inherited.extend(connections.start_again() for connections in tuple(_open))


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
