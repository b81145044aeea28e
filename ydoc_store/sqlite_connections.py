"""The connections of one process to one store file.

Each is lent to one thread at a time. None is open while the process forks. All are opened anew when the file was
deleted or replaced under the running process.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock

from ydoc_store import messages
from ydoc_store.exceptions import StoreError, StoreUnavailable
from ydoc_store.forking import close_before_forks
from ydoc_store.sqlite_errors import explain, is_busy
from ydoc_store.sqlite_file import FileConnection, identify, open_file

_MAX_IDLE = 8  # connections kept open; a burst of threads opens more, and closes them again
_RETRY = (0.0001, 0.001)  # seconds between two attempts to become SQLite's one writer


class Connections:
    """A pool. The file is opened when the first connection is needed, and created if it is not there."""

    def __init__(self, path: Path, url: str, busy_seconds: float) -> None:
        self._path = path
        self._url = url
        self._busy_seconds = busy_seconds
        self._closed = False
        self._start()
        close_before_forks(self)

    def _start(self) -> None:
        """The state of a process that has nothing open, a forked child for instance."""
        self._changed = Condition()
        self._writer = Lock()  # threads of one process queue here, not with SQLite
        self._watching = Lock()
        self._idle: list[FileConnection] = []
        self._watcher: FileConnection | None = None
        self._lent = 0
        self._pauses = 0  # forks under way
        self.released = Condition()  # a lease was given back in this process: see `sqlite_leases`

    @contextmanager
    def reading(self) -> Iterator[FileConnection]:
        """A connection of one's own: for single statements, or a transaction that the caller begins and ends."""
        with self._lending("read", self._busy_seconds) as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[FileConnection]:
        """One transaction, undone by any error.

        `durable=False` saves the fsync: a power cut (not a crash of this process) may undo the transaction,
        and a later durable one makes it durable, too.
        """
        with self._only_writer(), self._lending("write", 0.0) as connection:
            self._begin(connection, durable)
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _lending(self, doing: str, patience: float) -> Iterator[FileConnection]:
        with self._in_use(), self._explaining(doing):
            connection = self._idle_or_new()
            try:
                connection.set_patience(patience)
                yield connection
            except StoreError:  # raised by a store that did not like what it read: the connection is in order
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._take_back(connection)
                raise
            except BaseException:
                connection.close()  # which rolls back
                raise
            self._take_back(connection)

    def pulse(self) -> object:
        """Which file it is, and SQLite's count of the commits by other connections: this one never writes."""
        with self._watching, self._in_use(), self._explaining("read"):
            watcher = self._watcher
            if watcher is None or watcher.identity != identify(self._path):
                self._drop_watcher()
                watcher = self._watcher = open_file(self._path, self._busy_seconds)
            try:
                (version,) = watcher.execute("PRAGMA data_version").fetchone()
            except BaseException:
                self._drop_watcher()
                raise
            return watcher.identity, version

    def close(self) -> None:
        with self._watching, self._changed:
            self._closed = True
            self._close_all()
        with self.released:
            self.released.notify_all()

    def __del__(self) -> None:
        self._close_all()

    def _begin(self, connection: FileConnection, durable: bool) -> None:
        """Become the one writer.

        SQLite's own waiting sleeps up to 100 ms at a time, and can so miss, for seconds, every gap that busy
        writers leave; short random pauses do not.
        """
        connection.set_durable(durable)
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(*_RETRY))  # noqa: S311

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        writer = self._writer
        if not writer.acquire(timeout=self._busy_seconds):
            raise StoreUnavailable(
                f"Cannot write the store {self._path}: other threads of this process wrote for "
                f"{self._busy_seconds:g} s. Is the disk slow?"
            )
        try:
            yield
        finally:
            writer.release()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Counted, so that a fork can wait until nobody is inside SQLite."""
        with self._changed:
            while self._pauses:
                self._changed.wait()
            if self._closed:
                raise StoreUnavailable(messages.closed(self._url))
            self._lent += 1
        try:
            yield
        finally:
            with self._changed:
                self._lent -= 1
                if self._lent == 0:
                    self._changed.notify_all()

    @contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(self._path, doing, error, self._busy_seconds) from error

    def _idle_or_new(self) -> FileConnection:
        there = identify(self._path)
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            if connection.identity == there:
                return connection
            connection.close()  # the file was deleted or replaced: what we wrote there, nobody would see
        return open_file(self._path, self._busy_seconds)

    def _take_back(self, connection: FileConnection) -> None:
        if len(self._idle) < _MAX_IDLE and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def _close_all(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self._drop_watcher()

    def _drop_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    # What `forking` calls -----------------------------------------------------------------------------------

    def pause(self, seconds: float) -> bool:
        """Let nobody in, wait until all are out, close everything. False: somebody did not leave in time."""
        with self._changed:
            self._pauses += 1
            if not self._changed.wait_for(lambda: not self._lent, timeout=seconds):
                return False
            self._close_all()
            return True

    def resume(self) -> None:
        with self._changed:
            self._pauses -= 1
            self._changed.notify_all()

    def start_again(self) -> object:
        """In a forked child: forget the parent's locks and connections. Returns what must not be closed."""
        inherited = self._idle, self._watcher
        self._start()
        return inherited
