"""A store in this process's memory: for tests, and for a project that runs as one process and may forget."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition

from ydoc_store import messages, quarantine
from ydoc_store.base import DocStore
from ydoc_store.exceptions import (
    EpochNotNewer,
    HeadMoved,
    LeaseLost,
    LeaseTimeout,
    PositionLost,
    StoreUnavailable,
)
from ydoc_store.values import Entry, Lease, Log, Position, Size, Usage


@dataclass(slots=True)
class _Log:
    """`updates[i]` is the entry at sequence `at + i + 1`."""

    epoch: int
    snapshot: bytes
    at: int = 0
    updates: list[bytes] = field(default_factory=list)
    begun: float = field(default_factory=time.time)
    snapshotted: float = field(init=False)
    written: float = field(init=False)
    used: float = field(init=False)

    def __post_init__(self) -> None:
        self.snapshotted = self.written = self.used = self.begun

    @property
    def usage(self) -> Usage:
        return Usage(begun=self.begun, snapshotted=self.snapshotted, written=self.written, used=self.used)

    @property
    def head(self) -> Position:
        return Position(self.epoch, self.at + len(self.updates))

    def holds(self, position: Position) -> bool:
        return position.epoch == self.epoch and self.at <= position.sequence <= self.head.sequence

    def since(self, sequence: int) -> tuple[Entry, ...]:
        return tuple(
            Entry(position=Position(self.epoch, number), update=update)
            for number, update in enumerate(self.updates[sequence - self.at :], start=sequence + 1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    token: str
    expires: float  # time.monotonic()


class MemoryStore(DocStore):
    """One lock around dictionaries. Every instance is a store of its own; it ends with its process."""

    url = "memory://"
    shared = False
    poll_seconds = None

    def __init__(self) -> None:
        self._changed = Condition()
        self._logs: dict[str, _Log] = {}
        self._rows_of: defaultdict[str, set[str]] = defaultdict(set)
        self._names_of: defaultdict[str, set[str]] = defaultdict(set)
        self._leases: dict[str, _Held] = {}
        self._queues: defaultdict[str, deque[str]] = defaultdict(deque)
        self._incarnation = uuid.uuid4().hex
        self._writes = 0
        self._closed = False

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._changed:
            if self._closed:
                raise StoreUnavailable(messages.closed(self.url))
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reading():
            yield
            self._writes += 1
            self._changed.notify_all()

    def _log_at(self, name: str, position: Position) -> _Log:
        log = self._logs.get(name)
        if log is None or not log.holds(position):
            raise PositionLost(messages.position_lost(name, position, log.head if log else None, log.at if log else 0))
        return log

    def load(self, name: str) -> Log | None:
        with self._reading():
            return self._load(name)

    def _load(self, name: str) -> Log | None:
        if (log := self._logs.get(name)) is None:
            return None
        return Log(epoch=log.epoch, snapshot=log.snapshot, at=log.at, entries=log.since(log.at))

    def since(self, name: str, position: Position) -> tuple[Entry, ...]:
        with self._reading():
            return self._log_at(name, position).since(position.sequence)

    def head(self, name: str) -> Position | None:
        return self.heads((name,)).get(name)

    def heads(self, names: Collection[str]) -> dict[str, Position]:
        with self._reading():
            return {name: self._logs[name].head for name in names if name in self._logs}

    def lease(self, name: str, *, since: Position | None, seconds: float, wait: float) -> Lease:
        token = uuid.uuid4().hex
        with self._writing():
            self._take_turn(name, token, wait)
            self._leases[name] = _Held(token=token, expires=time.monotonic() + seconds)
            log = self._logs.get(name)
            if log is not None and since is not None and log.holds(since):
                return Lease(token=token, missed=log.since(since.sequence))
            return Lease(token=token, log=self._load(name))

    def _take_turn(self, name: str, token: str, wait: float) -> None:
        """Wait until nobody holds the lease of `name` and all who came earlier had their turn."""
        began = time.monotonic()
        queue = self._queues[name]
        queue.append(token)
        try:
            while (patience := self._seconds_until_free(name)) > 0 or queue[0] != token:
                left = began + wait - time.monotonic()
                if left <= 0:
                    raise LeaseTimeout(messages.lease_timeout(name, wait, patience))
                self._changed.wait(min(left, patience) if patience > 0 else left)
                if self._closed:
                    raise StoreUnavailable(messages.closed(self.url))
        finally:
            queue.remove(token)
            if not queue:
                del self._queues[name]
            self._changed.notify_all()

    def _seconds_until_free(self, name: str) -> float:
        held = self._leases.get(name)
        return held.expires - time.monotonic() if held else 0.0

    def release(self, name: str, token: str) -> None:
        with self._writing():
            self._release(name, token)

    def _release(self, name: str, token: str | None) -> None:
        held = self._leases.get(name)
        if held is not None and held.token == token:
            del self._leases[name]

    def begin(self, name: str, *, epoch: int, snapshot: bytes, rows: Collection[str], lease: str) -> Position:
        with self._writing():
            held = self._leases.get(name)
            if held is None or held.token != lease:
                raise LeaseLost(messages.lease_lost(name))
            old = self._logs.get(name)
            if old is not None and old.epoch >= epoch:
                raise EpochNotNewer(messages.epoch_not_newer(name, epoch, old.epoch))
            self._add_rows(name, rows)
            self._logs[name] = _Log(epoch, snapshot)
            return Position(epoch, 0)

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
        with self._writing():
            log = self._log_at(name, expect)
            if log.head != expect:
                raise HeadMoved(messages.head_moved(name, expect, log.head), missed=log.since(expect.sequence))
            self._add_rows(name, rows)
            log.updates.append(update)
            log.written = time.time()
            if not keep_lease:
                self._release(name, lease)
            return log.head

    def compact(self, name: str, snapshot: bytes, *, at: Position) -> None:
        with self._writing():
            log = self._log_at(name, at)
            del log.updates[: at.sequence - log.at]
            log.snapshot, log.at, log.snapshotted = snapshot, at.sequence, time.time()

    def delete(self, name: str) -> None:
        with self._writing():
            self._logs.pop(name, None)
            self._remove_rows(name, tuple(self._rows_of.get(name, ())))

    def quarantine(self, name: str) -> str | None:
        with self._writing():
            if name not in self._logs:
                return None
            now = time.time()
            moved = quarantine.free_name(name, now, self._logs.__contains__)
            log = self._logs[moved] = self._logs.pop(name)
            log.used = now
            return moved

    def add_rows(self, name: str, rows: Collection[str]) -> None:
        with self._writing():
            self._add_rows(name, rows)

    def _add_rows(self, name: str, rows: Collection[str]) -> None:
        if rows:
            self._rows_of[name].update(rows)
        for row in rows:
            self._names_of[row].add(name)

    def remove_rows(self, name: str, rows: Collection[str]) -> None:
        with self._writing():
            self._remove_rows(name, rows)

    def _remove_rows(self, name: str, rows: Collection[str]) -> None:
        for row in rows:
            self._rows_of[name].discard(row)
            self._names_of[row].discard(name)
            if not self._names_of[row]:
                del self._names_of[row]
        if not self._rows_of[name]:
            del self._rows_of[name]

    def rows(self, name: str) -> set[str]:
        with self._reading():
            return set(self._rows_of.get(name, ()))

    def documents_of(self, rows: Collection[str]) -> dict[str, frozenset[str]]:
        with self._reading():
            return {row: frozenset(self._names_of[row]) for row in rows if row in self._names_of}

    def touch(self, names: Collection[str]) -> None:
        with self._reading():  # nobody polls for this
            for name in names:
                if name in self._logs:
                    self._logs[name].used = time.time()

    def usage(self, names: Collection[str]) -> dict[str, Usage]:
        with self._reading():
            return {name: self._logs[name].usage for name in names if name in self._logs}

    def unused(self, seconds: float) -> Iterator[str]:
        with self._reading():
            last = time.time() - seconds
            return iter([name for name, log in self._logs.items() if log.used < last])

    def names(self, prefix: str = "") -> Iterator[str]:
        with self._reading():
            return iter(sorted(name for name in self._logs if name.startswith(prefix)))

    def size(self, name: str) -> Size:
        with self._reading():
            rows = len(self._rows_of.get(name, ()))
            if (log := self._logs.get(name)) is None:
                return Size(rows=rows)
            entry_bytes = sum(map(len, log.updates))
            return Size(entries=len(log.updates), entry_bytes=entry_bytes, snapshot_bytes=len(log.snapshot), rows=rows)

    def incarnation(self) -> str:
        with self._reading():
            return self._incarnation

    def pulse(self) -> object:
        if self._closed:
            raise StoreUnavailable(messages.closed(self.url))
        return self._writes

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
