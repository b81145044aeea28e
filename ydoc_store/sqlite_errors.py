"""What SQLite's errors mean for whoever runs the store, and what to do about them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ydoc_store.exceptions import CorruptStore, StoreError, StoreUnavailable

_LET_WRITE = "Let this user write the file and its folder: SQLite keeps a -wal and a -shm file beside it."
_WHAT_TO_DO = {
    sqlite3.SQLITE_BUSY: (
        "Another process kept it locked for {seconds:g} s: look for a backup, a copy, or an SQLite shell "
        "with an open transaction."
    ),
    sqlite3.SQLITE_READONLY: _LET_WRITE,
    sqlite3.SQLITE_PERM: _LET_WRITE,
    sqlite3.SQLITE_FULL: "The disk is full: make room.",
    sqlite3.SQLITE_CANTOPEN: (
        "Check that the path is a file, and that this user may read and write it and its folder."
    ),
    sqlite3.SQLITE_IOERR: "Check the disk's free space and its health. Network file systems do not work.",
}
_MISSING_FOLDER = "The folder {folder} does not exist: create it, or name another path in the store's URL."
_REBUILD = (
    "The file is damaged, or not an SQLite database. Stop all processes that use it and move it and its "
    "-wal and -shm files away: a new store is created, and documents are built again."
)


def is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def explain(path: Path, doing: str, error: sqlite3.Error, seconds: float) -> StoreError:
    """The error that a caller can act on: what was tried, what SQLite said, what to do."""
    code = _code(error)
    said = f"Cannot {doing} the store {path}: {error}."
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CorruptStore(f"{said} {_REBUILD}")
    if code == sqlite3.SQLITE_CANTOPEN and not path.parent.is_dir():
        return StoreUnavailable(f"{said} {_MISSING_FOLDER.format(folder=path.parent)}")
    return StoreUnavailable(f"{said} {_WHAT_TO_DO.get(code, '').format(seconds=seconds)}".rstrip())


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, without the extended part; 0 if Python itself complained."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
