"""One connection to a store's file: opening it, creating it, refusing what is not ours."""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from pathlib import Path

from ydoc_store import sqlite_statements as sql
from ydoc_store.exceptions import StoreTooNew, StoreUnavailable
from ydoc_store.sqlite_errors import explain, is_busy

Identity = tuple[int, int]  # device and inode: two files that had the same path at different times differ

_WAL_SIZE_LIMIT = 16 * 2**20  # bytes that the -wal file keeps after a burst


class FileConnection(sqlite3.Connection):
    """A connection that knows which file it opened."""

    identity: Identity
    _durable = True
    _patience = -1.0

    def set_durable(self, durable: bool) -> None:
        """Whether a commit that was reported survives a power cut: a lost tail would let clocks be used twice."""
        if durable != self._durable:
            self.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def set_patience(self, seconds: float) -> None:
        """How long SQLite itself waits for a lock."""
        if seconds != self._patience:
            self.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
            self._patience = seconds


def identify(path: Path) -> Identity | None:
    """What lies at `path` now, or None."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_file(path: Path, busy_seconds: float) -> FileConnection:
    """Open the store, and create it if there is none. Raises StoreError only."""
    for _attempt in range(3):
        before = identify(path)
        connection = _connect(path, busy_seconds)
        if (identity := identify(path)) == before and identity is not None:
            connection.identity = identity
            return connection
        connection.close()  # just created, or replaced while we opened it: which file do we hold?
    raise StoreUnavailable(f"Cannot open the store {path}: the file keeps being replaced. Find out who does it.")


def _connect(path: Path, busy_seconds: float) -> FileConnection:
    try:
        connection = sqlite3.connect(
            path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, factory=FileConnection
        )
    except sqlite3.Error as error:
        raise explain(path, "open", error, busy_seconds) from error
    try:
        _prepare(connection, path, busy_seconds)
    except sqlite3.Error as error:
        connection.close()
        raise explain(path, "open", error, busy_seconds) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: FileConnection, path: Path, busy_seconds: float) -> None:
    connection.execute("BEGIN")  # all of it as at one moment: somebody else may be creating it
    ours = _is_ours(connection, path)
    connection.execute("COMMIT")
    if not ours:
        _write_ahead(connection, path, busy_seconds)
        _create(connection, path)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the platter
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_LIMIT}")


def _is_ours(connection: FileConnection, path: Path) -> bool:
    """Whether the schema is there; False for an empty file. Raises for anything else, a newer store included."""
    application = _number(connection, "PRAGMA application_id")
    version = _number(connection, "PRAGMA user_version")
    if application == sql.APPLICATION_ID and version == sql.SCHEMA_VERSION:
        return True
    if application == sql.APPLICATION_ID:
        raise StoreTooNew(
            f"The store {path} has schema version {version}; this version of rxcrdt knows "
            f"{sql.SCHEMA_VERSION}. Upgrade rxcrdt in every process, or give this one a file of its own."
        )
    if application or version or _number(connection, sql.COUNT_TABLES):
        raise StoreUnavailable(
            f"{path} is an SQLite database, but not a store. Give the store a file of its own: "
            "name another path in its URL."
        )
    return False


def _number(connection: FileConnection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])


def _write_ahead(connection: FileConnection, path: Path, busy_seconds: float) -> None:
    """Switch the file to WAL, for good.

    Several processes may do so at once. SQLite may then say that it is busy, without having waited.
    """
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
            continue
        if mode == "wal":
            return
        raise StoreUnavailable(
            f"The store {path} lies on a file system without shared memory, which SQLite's WAL needs. Use a local disk."
        )


def _create(connection: FileConnection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ours(connection, path):  # nobody was faster
            for statement in sql.SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(sql.INSERT_STORE, (uuid.uuid4().hex,))
            connection.execute(f"PRAGMA application_id = {sql.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {sql.SCHEMA_VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
