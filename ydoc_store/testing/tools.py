"""What the contract tests are written with."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Generic, TypeVar

from ydoc_store.base import DocStore
from ydoc_store.exceptions import HeadMoved
from ydoc_store.values import Position

T = TypeVar("T")

PATIENCE = 20.0  # seconds after which a test stops waiting; a store that works needs far fewer
DOC = "board/1"


def begin(
    store: DocStore,
    name: str = DOC,
    *,
    epoch: int = 1,
    snapshot: bytes = b"snapshot",
    rows: Collection[str] = (),
) -> Position:
    """Start a lineage as a builder does, and give the lease back."""
    lease = store.lease(name, since=None, seconds=30, wait=PATIENCE)
    position = store.begin(name, epoch=epoch, snapshot=snapshot, rows=rows, lease=lease.token)
    store.release(name, lease.token)
    return position


def append_all(store: DocStore, updates: Iterable[bytes], name: str = DOC) -> Position:
    """Append to a log that nobody else writes."""
    position = store.head(name)
    assert position is not None
    for update in updates:
        position = store.append(name, update, expect=position)
    return position


def updates_of(store: DocStore, name: str = DOC) -> list[bytes]:
    """The updates after the snapshot; the log is checked to be whole."""
    log = store.load(name)
    assert log is not None
    assert [entry.position for entry in log.entries] == [
        Position(log.epoch, log.at + number) for number in range(1, len(log.entries) + 1)
    ]
    assert log.head == store.head(name)
    return [entry.update for entry in log.entries]


def append_leased(store: DocStore, update: bytes, since: Position | None, name: str = DOC) -> Position:
    """One write as rxcrdt does it: lease, catch up, append."""
    lease = store.lease(name, since=since, seconds=30, wait=PATIENCE)
    if lease.log is not None:
        since = lease.log.head
    elif lease.missed:
        since = lease.missed[-1].position
    assert since is not None
    return store.append(name, update, expect=since, lease=lease.token)


def append_racing(store: DocStore, update: bytes, expect: Position, name: str = DOC) -> Position:
    """One write without a lease: append wherever the head has gone."""
    while True:
        try:
            return store.append(name, update, expect=expect)
        except HeadMoved as moved:
            expect = moved.missed[-1].position


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {seconds:g} s"
        Event().wait(0.002)


def open_files(folder: Path) -> Counter[str]:
    """How often this process has each file of `folder` open."""
    named = {(found.st_dev, found.st_ino): path.name for path in folder.iterdir() for found in [path.stat()]}
    counted: Counter[str] = Counter()
    for descriptor in range(1024):
        with suppress(OSError):
            found = os.fstat(descriptor)
            counted.update([named[key]] if (key := (found.st_dev, found.st_ino)) in named else [])
    return counted


class Background(Generic[T]):
    """`function` in a thread; `result()` is what it returned, or raises what it raised."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._returned: list[T] = []
        self._raised: list[BaseException] = []
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:  # noqa: BLE001  raised again where the test looks at it
            self._raised.append(error)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def result(self, seconds: float = PATIENCE) -> T:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"still running after {seconds:g} s"
        if self._raised:
            raise self._raised[0]
        return self._returned[0]


def all_at_once(functions: Collection[Callable[[], T]], seconds: float = 3 * PATIENCE) -> list[T]:
    """Run every function in a thread of its own; their results in order."""
    threads = [Background(function) for function in functions]
    return [thread.result(seconds) for thread in threads]
