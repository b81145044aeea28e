"""A store in one SQLite file, shared by the threads and processes of one machine: nothing to install or start."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice, takewhile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ydoc_store import messages, quarantine
from ydoc_store import sqlite_statements as sql
from ydoc_store.base import DocStore
from ydoc_store.exceptions import (
    CorruptStore,
    EpochNotNewer,
    HeadMoved,
    LeaseLost,
    PositionLost,
    StoreError,
    StoreUnavailable,
)
from ydoc_store.sqlite_connections import Connections
from ydoc_store.sqlite_file import FileConnection
from ydoc_store.sqlite_leases import Leases
from ydoc_store.values import Entry, Lease, Log, Position, Size, Usage

_MAX_VARIABLES = 512  # in one statement: a power of two; SQLite always takes 999
_NAMES_A_PAGE = 500


class SqliteStore(DocStore):
    """The file at `path`, opened at the first call. A write waits up to `busy_seconds` for other writers.

    `path` needs a local disk. The file is created if its folder exists; if it is deleted while processes use
    it, they begin a new one, which `incarnation()` tells.
    """

    shared = True
    poll_seconds = 0.1

    def __init__(self, path: str | Path, *, busy_seconds: float = 5.0) -> None:
        self.path = Path(path).absolute()
        self.url = f"sqlite:///{quote(str(self.path))}"
        self._connections = Connections(self.path, self.url, busy_seconds)
        self._leases = Leases(self._connections)

    # Reading ------------------------------------------------------------------------------------------------

    def load(self, name: str) -> Log | None:
        with self._connections.reading() as connection:
            connection.execute("BEGIN")
            log = self._load(connection, name)
            connection.execute("COMMIT")
            return log

    def _load(self, connection: FileConnection, name: str) -> Log | None:
        found = connection.execute(sql.LOAD, (name,)).fetchone()
        if found is None:
            return None
        epoch, at, head, snapshot = found
        entries = connection.execute(sql.ENTRIES, (name, at)).fetchall()
        return Log(epoch=epoch, snapshot=snapshot, at=at, entries=self._gapless(name, epoch, at, head, entries))

    def since(self, name: str, position: Position) -> tuple[Entry, ...]:
        with self._connections.reading() as connection:
            return self._since(connection, name, position)

    def _since(self, connection: FileConnection, name: str, position: Position) -> tuple[Entry, ...]:
        found = connection.execute(sql.SINCE, (position.sequence, name)).fetchall()
        if not found:
            raise PositionLost(messages.position_lost(name, position, None, 0))
        epoch, at, head = found[0][:3]
        self._check(name, position, epoch, at, head)
        entries = [row[3:] for row in found if row[3] is not None]
        return self._gapless(name, epoch, position.sequence, head, entries)

    def _check(self, name: str, position: Position, epoch: int, at: int, head: int) -> None:
        if position.epoch != epoch or not at <= position.sequence <= head:
            raise PositionLost(messages.position_lost(name, position, Position(epoch, head), at))

    def _gapless(
        self, name: str, epoch: int, after: int, head: int, found: Sequence[tuple[int, bytes]]
    ) -> tuple[Entry, ...]:
        if [sequence for sequence, _ in found] != list(range(after + 1, head + 1)):
            raise CorruptStore(
                f"The log {name!r} in {self.path} has a gap between sequence {after} and {head}. "
                "Quarantine or delete it, and let it be built again."
            )
        return tuple(Entry(position=Position(epoch, sequence), update=body) for sequence, body in found)

    def head(self, name: str) -> Position | None:
        return self.heads((name,)).get(name)

    def heads(self, names: Collection[str]) -> dict[str, Position]:
        found = self._select_in(sql.HEADS, names)
        return {name: Position(epoch, head) for name, epoch, head in found}

    def _select_in(self, statement: str, values: Collection[str]) -> list[tuple[Any, ...]]:
        """The rows of `statement`, whose `{marks}` take the values; many values are asked in chunks."""
        found: list[tuple[Any, ...]] = []
        with self._connections.reading() as connection:
            for marks, chunk in _chunks(values):
                found += connection.execute(statement.format(marks=marks), chunk).fetchall()
        return found

    # Writing ------------------------------------------------------------------------------------------------

    def lease(self, name: str, *, since: Position | None, seconds: float, wait: float) -> Lease:
        token = self._leases.take(name, seconds=seconds, wait=wait)
        try:
            if since is None:
                return Lease(token=token, log=self.load(name))
            try:
                return Lease(token=token, missed=self.since(name, since))
            except PositionLost:
                return Lease(token=token, log=self.load(name))
        except StoreError:
            with suppress(StoreUnavailable):  # it expires by itself
                self.release(name, token)
            raise

    def release(self, name: str, token: str) -> None:
        self._leases.release(name, token)

    def begin(self, name: str, *, epoch: int, snapshot: bytes, rows: Collection[str], lease: str) -> Position:
        with self._connections.writing() as connection:
            holder = connection.execute(sql.HOLDER, (name,)).fetchone()
            if holder is None or holder[0] != lease:
                raise LeaseLost(messages.lease_lost(name))
            document, old = self._document(connection, name)
            if old is not None and old >= epoch:
                raise EpochNotNewer(messages.epoch_not_newer(name, epoch, old))
            self._add_rows(connection, document, rows)
            connection.execute(sql.DELETE_ALL_ENTRIES, (document,))
            connection.execute(sql.SET_SNAPSHOT, (document, snapshot))
            connection.execute(sql.BEGIN_LOG, {"epoch": epoch, "now": time.time(), "document": document})
        return Position(epoch, 0)

    def _document(self, connection: FileConnection, name: str) -> tuple[int, int | None]:
        """The id of a name, given to it if it has none, and the epoch of its log."""
        connection.execute(sql.ADD_DOCUMENT, (name,))
        document, epoch, _at, _head = connection.execute(sql.DOCUMENT, (name,)).fetchone()
        return document, epoch

    def append(
        self,
        name: str,
        update: bytes,
        *,
        expect: Position,
        lease: str | None = None,
        rows: Collection[str] = (),
        keep_lease: bool = False,
    ) -> Position:
        with self._connections.writing() as connection:
            document = self._document_at(connection, name, expect)
            self._add_rows(connection, document, rows)
            position = Position(expect.epoch, expect.sequence + 1)
            connection.execute(sql.ADD_ENTRY, (document, position.sequence, update))
            connection.execute(sql.SET_HEAD, (position.sequence, time.time(), document))
            if lease is not None and not keep_lease:
                connection.execute(sql.RELEASE, (name, lease))
        if lease is not None and not keep_lease:
            self._leases.tell_waiters()
        return position

    def _document_at(self, connection: FileConnection, name: str, expect: Position) -> int:
        """The id of the document whose head is `expect`."""
        found = connection.execute(sql.DOCUMENT, (name,)).fetchone()
        if found is None or found[1] is None:
            raise PositionLost(messages.position_lost(name, expect, None, 0))
        document, epoch, at, head = found
        self._check(name, expect, epoch, at, head)
        if head != expect.sequence:
            missed = self._since(connection, name, expect)
            raise HeadMoved(messages.head_moved(name, expect, missed[-1].position), missed=missed)
        return int(document)

    def compact(self, name: str, snapshot: bytes, *, at: Position) -> None:
        with self._connections.writing() as connection:
            found = connection.execute(sql.DOCUMENT, (name,)).fetchone()
            if found is None or found[1] is None:
                raise PositionLost(messages.position_lost(name, at, None, 0))
            document, epoch, old, head = found
            self._check(name, at, epoch, old, head)
            connection.execute(sql.DELETE_ENTRIES, (document, at.sequence))
            connection.execute(sql.SET_SNAPSHOT, (document, snapshot))
            connection.execute(sql.SET_AT, (at.sequence, time.time(), document))

    def delete(self, name: str) -> None:
        with self._connections.writing() as connection:
            found = connection.execute(sql.DOCUMENT, (name,)).fetchone()
            if found is not None:
                for statement in sql.DELETE:
                    connection.execute(statement, found[:1])

    def quarantine(self, name: str) -> str | None:
        """The log keeps its id, so its bytes are not touched; the rows get another one."""
        with self._connections.writing() as connection:
            document, epoch, *_ = connection.execute(sql.DOCUMENT, (name,)).fetchone() or (None, None)
            if epoch is None:
                return None
            now = time.time()
            moved = quarantine.free_name(
                name, now, lambda free: connection.execute(sql.DOCUMENT, (free,)).fetchone() is not None
            )
            changes = {"name": name, "moved": moved, "now": now, "document": document}
            for statement in (sql.QUARANTINE, sql.KEEP_NAME, sql.KEEP_ROWS):
                connection.execute(statement, changes)
            return moved

    # Rows ---------------------------------------------------------------------------------------------------

    def add_rows(self, name: str, rows: Collection[str]) -> None:
        if rows:
            with self._connections.writing() as connection:
                document, _ = self._document(connection, name)
                self._add_rows(connection, document, rows)

    def _add_rows(self, connection: FileConnection, document: int, rows: Collection[str]) -> None:
        connection.executemany(sql.ADD_ROW, ((row, document) for row in rows))

    def remove_rows(self, name: str, rows: Collection[str]) -> None:
        with self._connections.writing() as connection:
            found = connection.execute(sql.DOCUMENT, (name,)).fetchone()
            if found is not None:
                connection.executemany(sql.REMOVE_ROW, ((row, found[0]) for row in rows))

    def rows(self, name: str) -> set[str]:
        with self._connections.reading() as connection:
            return {row for (row,) in connection.execute(sql.ROWS, (name,))}

    def documents_of(self, rows: Collection[str]) -> dict[str, frozenset[str]]:
        names: dict[str, set[str]] = {}
        for row, name in self._select_in(sql.DOCUMENTS_OF, rows):
            names.setdefault(row, set()).add(name)
        return {row: frozenset(holders) for row, holders in names.items()}

    # Who uses them? -----------------------------------------------------------------------------------------

    def touch(self, names: Collection[str]) -> None:
        """Does not wait for the disk: what a power cut undoes here is said again soon."""
        if names:
            with self._connections.writing(durable=False) as connection:
                for marks, chunk in _chunks(names):
                    connection.execute(sql.TOUCH.format(marks=marks), (time.time(), *chunk))

    def usage(self, names: Collection[str]) -> dict[str, Usage]:
        return {
            name: Usage(begun=begun, snapshotted=snapshotted, written=written, used=used)
            for name, begun, snapshotted, written, used in self._select_in(sql.USAGE, names)
        }

    def unused(self, seconds: float) -> Iterator[str]:
        return self._pages(sql.UNUSED, "", time.time() - seconds)

    # The store itself ---------------------------------------------------------------------------------------

    def names(self, prefix: str = "") -> Iterator[str]:
        """Read page by page: a log that comes or goes meanwhile may be missed, the others come once each."""
        return takewhile(lambda name: name.startswith(prefix), self._pages(sql.NAMES, prefix))

    def _pages(self, statement: str, start: str, *arguments: float) -> Iterator[str]:
        """The names that `statement` gives, from `start` on, sorted."""
        while True:
            with self._connections.reading() as connection:
                page = connection.execute(statement, (start, *arguments, _NAMES_A_PAGE)).fetchall()
            yield from (name for (name,) in page)
            if len(page) < _NAMES_A_PAGE:
                return
            start = page[-1][0] + "\0"  # the next string that sorts after it

    def size(self, name: str) -> Size:
        with self._connections.reading() as connection:
            found = connection.execute(sql.SIZE, (name,)).fetchone()
        if found is None:
            return Size()
        entries, entry_bytes, snapshot_bytes, rows = found
        return Size(entries=entries, entry_bytes=entry_bytes, snapshot_bytes=snapshot_bytes, rows=rows)

    def incarnation(self) -> str:
        with self._connections.reading() as connection:
            return str(connection.execute(sql.INCARNATION).fetchone()[0])

    def pulse(self) -> object:
        return self._connections.pulse()

    def close(self) -> None:
        self._connections.close()


def _chunks(values: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Question marks and the values that they take, so many at a time.

    The last value is repeated up to a power of two, so that there are few different statements to compile.
    """
    left = iter(values)
    while chunk := list(islice(left, _MAX_VARIABLES)):
        chunk += chunk[-1:] * ((1 << (len(chunk) - 1).bit_length()) - len(chunk))
        yield ",".join("?" * len(chunk)), chunk
