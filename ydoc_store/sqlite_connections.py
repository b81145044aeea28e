"""The connections of one process to one store file: lent out one at a time, safe for threads, for `fork`, and
for a file that is deleted or replaced under a running process."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from weakref import WeakSet

from ydoc_store import messages
from ydoc_store.exceptions import StoreError, StoreUnavailable
from ydoc_store.sqlite_file import FileConnection, explain, identify, open_file

logger = logging.getLogger("ydoc_store")

_MAX_IDLE = 8  # connections kept open; a burst of threads opens more, and closes them again
_FORK_PATIENCE = 10.0  # seconds that a fork waits for transactions under way


class Connections:
    """A pool. `path` is opened when the first connection is needed, and again whenever another file lies
    there."""

    def __init__(self, path: Path, url: str, busy_seconds: float) -> None:
        self.path = path
        self.url = url
        self.busy_seconds = busy_seconds
        self._closed = False
        self._reset()
        _ALL.add(self)

    def _reset(self) -> None:
        self._changed = Condition()
        self._writer = Lock()  # threads of this process wait here, and not with SQLite's sleeps
        self._watching = Lock()
        self._idle: list[FileConnection] = []
        self._watcher: FileConnection | None = None
        self._lent = 0
        self._forking = False

    @contextmanager
    def reading(self) -> Iterator[FileConnection]:
        """A connection of one's own. Each statement sees the store at one moment."""
        with self._lending(), self._explaining("read"):
            connection = self._idle_or_new()
            try:
                yield connection
            except StoreError:
                self._take_back(connection)
                raise
            except BaseException:
                connection.close()
                raise
            self._take_back(connection)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[FileConnection]:
        """One transaction; an error rolls it back. `durable=False` saves the fsync: a power cut may undo the
        transaction, together with all that came after it, but neither a crash of this process nor anything
        later is at risk."""
        with self._only_writer(), self._lending(), self._explaining("write"):
            connection = self._idle_or_new()
            try:
                self._begin(connection, durable)
                yield connection
                connection.execute("COMMIT")
            except StoreError:
                connection.execute("ROLLBACK")
                self._take_back(connection)
                raise
            except BaseException:
                connection.close()  # rolls back, too
                raise
            self._take_back(connection)

    def pulse(self) -> object:
        """Which file it is, and SQLite's counter of the commits that *other* connections made: this one never
        writes."""
        with self._watching, self._lending(), self._explaining("read"):
            if self._watcher is None or self._watcher.identity != identify(self.path):
                self._drop_watcher()
                self._watcher = open_file(self.path, self.busy_seconds)
            try:
                version = self._watcher.execute("PRAGMA data_version").fetchone()[0]
            except BaseException:
                self._drop_watcher()
                raise
            return self._watcher.identity, version

    def close(self) -> None:
        with self._watching, self._changed:
            self._closed = True
            self._close_idle()
            self._drop_watcher()

    def _begin(self, connection: FileConnection, durable: bool) -> None:
        if connection.durable != durable:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.durable = durable
        connection.execute("BEGIN IMMEDIATE")

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        if not self._writer.acquire(timeout=self.busy_seconds):
            raise StoreUnavailable(
                f"Cannot write the store {self.path}: other threads of this process wrote for {self.busy_seconds:g} s. Is the disk slow?"
            )
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _lending(self) -> Iterator[None]:
        """Count who uses SQLite: no connection may be open while the process forks."""
        with self._changed:
            while self._forking:
                self._changed.wait()
            if self._closed:
                raise StoreUnavailable(messages.closed(self.url))
            self._lent += 1
        try:
            yield
        finally:
            with self._changed:
                self._lent -= 1
                if self._forking:
                    self._changed.notify_all()

    @contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(self.path, doing, error, self.busy_seconds) from error

    def _idle_or_new(self) -> FileConnection:
        there = identify(self.path)
        with self._changed:
            while self._idle:
                connection = self._idle.pop()
                if connection.identity == there:
                    return connection
                connection.close()  # the file was deleted or replaced: what we wrote there, nobody would see
        return open_file(self.path, self.busy_seconds)

    def _take_back(self, connection: FileConnection) -> None:
        with self._changed:
            if len(self._idle) < _MAX_IDLE and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _drop_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    # SQLite's locks belong to a process, its bookkeeping of them is memory: a child would inherit the belief
    # that it holds what only its parent holds. So nothing is open while the process forks.

    def before_fork(self) -> None:
        deadline = time.monotonic() + _FORK_PATIENCE
        with self._changed:
            self._forking = True
            while self._lent:
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() > deadline:
                    logger.warning(
                        "Forking in the middle of a transaction on %s: the child may not be able to write it.",
                        self.path,
                    )
                    return
            self._close_idle()
            self._drop_watcher()

    def after_fork_in_parent(self) -> None:
        with self._changed:
            self._forking = False
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        _INHERITED.append(
            (self._idle, self._watcher)
        )  # closing them here would meddle with the parent's locks
        self._reset()


_ALL: WeakSet[Connections] = WeakSet()
_INHERITED: list[object] = []


def _before_fork() -> None:
    for connections in tuple(_ALL):
        connections.before_fork()


def _after_fork_in_parent() -> None:
    for connections in tuple(_ALL):
        connections.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for connections in tuple(_ALL):
        connections.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
