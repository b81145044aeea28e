"""A real store whose every call may come late and return late, as if the process had been put aside there."""

from __future__ import annotations

import random
import time
from typing import Any, Final

from ydoc_store import DocStore

__all__ = ["Delayed"]

#: Between these lie all the moments at which somebody else may come in between: after the commit, before the lease,
#: after it (the rows are read next), after the reading, before the append, and after it.
POINTS: Final = frozenset({"documents_of", "lease", "add_rows", "remove_rows", "append", "release"})
SHARE = 0.3
LONGEST = 0.03


class Delayed:
    """Passes every call on to ``store``."""

    def __init__(self, store: DocStore, choice: random.Random):
        self._store = store
        self._random = choice

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in POINTS:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._delay()
            result = found(*args, **kwargs)
            self._delay()
            return result

        return call

    def _delay(self) -> None:
        if self._random.random() < SHARE:
            time.sleep(self._random.uniform(0, LONGEST))
