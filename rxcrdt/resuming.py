"""Beginning to await something outside of the task that will finish it, if there is anything to finish."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Self

__all__ = ["Resumed"]


class Resumed:
    """The rest of an awaitable, to be awaited once, by a task.

    What Python 3.12's eager tasks do, for 3.11, and without a new task each time.
    """

    __slots__ = ("_rest", "_waiting_for")

    def __init__(self, rest: Generator[Any, Any, object], waiting_for: Any) -> None:
        self._rest = rest
        self._waiting_for = waiting_for

    @classmethod
    def begin(cls, awaitable: Awaitable[object]) -> Self | None:
        """Runs it as far as it goes without waiting. None if that was to its end; raises what it raises."""
        rest = awaitable.__await__()
        try:
            waiting_for = next(rest)
        except StopIteration:
            return None
        return cls(rest, waiting_for)

    def __await__(self) -> Generator[Any, Any, None]:
        rest, waiting_for = self._rest, self._waiting_for
        try:
            while True:
                try:
                    sent = yield waiting_for
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the rest
                    waiting_for = rest.throw(error)
                else:
                    waiting_for = rest.send(sent)
        except StopIteration:
            return
