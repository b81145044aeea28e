"""A real store with something that happens in between: delays, failures and other writers at a chosen step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ydoc_store import DocStore

__all__ = ["Interposed"]


class Interposed:
    """Passes every call on to ``store``; before or after the named ones, whatever was asked for runs, once each.

    What raises before a call keeps it from being made; what raises after it hides that it worked.
    """

    def __init__(self, store: DocStore):
        self._store = store
        self._before: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._after: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self.calls: list[str] = []

    def before(self, method: str, action: Callable[[], None]) -> None:
        self._before[method].append(action)

    def after(self, method: str, action: Callable[[], None]) -> None:
        self._after[method].append(action)

    @property
    def done(self) -> bool:
        """Whether everything that was asked for has happened."""
        return not any(self._before.values()) and not any(self._after.values())

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            self._run(self._before[name])
            result = found(*args, **kwargs)
            self._run(self._after[name])
            return result

        return call

    @staticmethod
    def _run(actions: list[Callable[[], None]]) -> None:
        if actions:
            actions.pop(0)()
