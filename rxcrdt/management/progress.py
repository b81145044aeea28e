"""How far a command has come: on a terminal a bar that is written over, elsewhere a line now and then."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from django.core.management.base import OutputWrapper

from rxcrdt.management.quantities import duration, several

__all__ = ["Pace", "Progress"]

T = TypeVar("T")

REDRAW_SECONDS: Final = 0.05
LINE_SECONDS: Final = 10.0  # where there is no terminal: a cron job's mail, a container's log
BAR: Final = 20  # columns
CLEAR: Final = "\r\x1b[K"


class Progress:
    """``over`` gives the items of a run one by one and shows how many are done. Written to stderr, in no colour."""

    def __init__(self, stream: OutputWrapper, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._shown = float("-inf") if self._is_terminal else clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Call it before anything else is printed, which would stand in the bar otherwise."""
        if self._is_terminal:
            self._write(CLEAR)
            self._shown = float("-inf")

    def say(self, text: str) -> None:
        """What is being done before the number of items is known; on a terminal only."""
        if self._is_terminal:
            self._write(CLEAR + text)

    def over(self, items: Sequence[T], name: Callable[[T], str] = str) -> Iterator[T]:
        """The items, one by one, as soon as what is done with the one before has ended."""
        began = self._clock()
        for done, item in enumerate(items):
            self._show(done, len(items), name(item), self._clock() - began)
            yield item

    def _show(self, done: int, total: int, name: str, seconds: float) -> None:
        now = self._clock()
        if now - self._shown < (REDRAW_SECONDS if self._is_terminal else LINE_SECONDS):
            return
        self._shown = now
        speed = _speed(done, total, seconds)
        if self._is_terminal:
            filled = BAR * done // total
            text = f"[{'#' * filled}{'.' * (BAR - filled)}] {done + 1:,}/{total:,} {name}{speed}"
            self._write(CLEAR + text[: shutil.get_terminal_size().columns - 1])
        else:
            self._stream.write(f"{done:,} of {several(total)} done{speed}.", str)

    def _write(self, text: str) -> None:
        self._stream.write(text, str, ending="")  # str: no error, so not in red
        self._stream.flush()


def _speed(done: int, total: int, seconds: float) -> str:
    if not done or seconds <= 0:
        return ""
    return f", {done / seconds:.3g}/s, {duration((total - done) * seconds / done)} left"


class Pace:
    """At most so many steps a second, evenly: whoever fell behind does not catch up in a burst."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = 1 / rate
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    def wait(self) -> None:
        """Until the next step may begin; the first one may at once."""
        now = self._clock()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._seconds
