"""A store in Redis, on one server or on a cluster: for processes on several machines."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count
from typing import Any, NoReturn, TypeVar

from ydoc_store import messages, quarantine
from ydoc_store import redis_scripts as scripts
from ydoc_store.base import DocStore
from ydoc_store.exceptions import (
    CorruptStore,
    EpochNotNewer,
    HeadMoved,
    LeaseLost,
    LogTooNew,
    PositionLost,
)
from ydoc_store.redis_client import Client
from ydoc_store.redis_keys import Keys
from ydoc_store.redis_leases import Leases
from ydoc_store.redis_risks import risks_of
from ydoc_store.redis_rows import Rows
from ydoc_store.redis_scripts import Argument, Call, Script
from ydoc_store.redis_urls import RedisOptions, read_url
from ydoc_store.values import Entry, Lease, Log, Position, Risk, Size, Usage

T = TypeVar("T")

_KEYS_A_PAGE = 1000
_LOGS_A_CALL = 500
_NAMES_REMEMBERED = 10_000


class RedisStore(DocStore):
    """The store at a URL: see `docs/store.md` for its options. Connects at the first call.

    A log that Redis may have lost the end of (it restarted since, or a replica took over) is no log any more:
    `load` gives None, its positions are lost, and only `names` still tells of it, until it is begun again or deleted.
    """

    shared = True
    poll_seconds = None

    def __init__(self, url: str | RedisOptions) -> None:
        options = read_url(url) if isinstance(url, str) else url
        self.url = options.url
        self._shown = options.shown
        self._keys = Keys(options.prefix.encode())
        self._client = Client(options)
        self._rows = Rows(self._client, self._keys)
        self._leases = Leases(self._client, self._keys)
        self._written = _EverySecond()

    # Reading ------------------------------------------------------------------------------------------------

    def load(self, name: str) -> Log | None:
        return self._loaded(name, self._ask(f"load {name!r}", Call(scripts.LOAD, [self._keys.of(name).log])))

    def _loaded(self, name: str, answer: Any) -> Log | None:
        if answer[0] in (b"none", b"restarted"):
            return None
        if answer[0] != b"ok":
            self._refuse(name, answer, Position(0, 0))
        _, epoch, at, (_header, snapshot, *updates) = answer
        entries = _entries(Position(int(epoch), at), updates)
        return Log(epoch=int(epoch), snapshot=snapshot, at=at, entries=entries)

    def since(self, name: str, position: Position) -> tuple[Entry, ...]:
        call = Call(scripts.SINCE, [self._keys.of(name).log], [position.epoch, position.sequence])
        answer = self._ask(f"read {name!r}", call)
        if answer[0] != b"ok":
            self._refuse(name, answer, position)
        return _entries(position, answer[1])

    def head(self, name: str) -> Position | None:
        return self.heads((name,)).get(name)

    def heads(self, names: Collection[str]) -> dict[str, Position]:
        """On one server one script, on a cluster one a name, all of them sent at once. Unreadable logs are absent."""
        wanted = list(dict.fromkeys(names))
        answers = self._ask_of_many("read the heads of documents", scripts.HEADS, wanted)
        found = [head for answer in answers for head in answer]
        return {name: Position(int(head[0]), head[1]) for name, head in zip(wanted, found, strict=True) if head}

    # Writing ------------------------------------------------------------------------------------------------

    def lease(self, name: str, *, since: Position | None, seconds: float, wait: float) -> Lease:
        token, answer = self._leases.take(name, since=since, seconds=seconds, wait=wait)
        if answer[0] != b"granted":
            self._refuse(name, answer, since or Position(0, 0))
        read = answer[1]
        if read[0] == b"missed":
            assert since is not None
            return Lease(token=token, missed=_entries(since, read[1]))
        return Lease(token=token, log=self._loaded(name, read))

    def release(self, name: str, token: str) -> None:
        self._leases.release(name, token)

    def begin(self, name: str, *, epoch: int, snapshot: bytes, rows: Collection[str], lease: str) -> Position:
        """Looks whether it may, indexes the rows, begins: the index must not know of a log later than others."""
        doing = f"begin {name!r}"
        may = self._begin(doing, name, (lease, epoch, 0, b""))
        if may[0] != b"rows":
            self._refuse_begin(name, may, epoch)
        added = [row.encode() for row in rows]
        self._try(doing, lambda: self._rows.add_to_index(name, {*added, *may[1]}), repeat=True)
        begun = self._begin(doing, name, (lease, epoch, 1, snapshot, *added))
        if begun[0] != b"ok":
            self._refuse_begin(name, begun, epoch)
        return Position(epoch, 0)

    def _begin(self, doing: str, name: str, arguments: Sequence[Argument]) -> Any:
        call = Call(scripts.BEGIN, self._keys.of(name), arguments)
        return self._try(doing, lambda: self._client.call(call))

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
        """One call if the document has the rows already; otherwise two, and one for the index in between."""
        released = lease if lease is not None and not keep_lease else ""
        added = [row.encode() for row in rows]
        answer = self._append(name, expect, released, 0, update, added)
        if answer[0] == b"rows":
            self._try(f"index rows of {name!r}", lambda: self._rows.add_to_index(name, answer[1]), repeat=True)
            answer = self._append(name, expect, released, 1, update, added)
        if answer[0] == b"moved":
            missed = _entries(expect, answer[2])
            raise HeadMoved(messages.head_moved(name, expect, missed[-1].position), missed=missed)
        if answer[0] != b"ok":
            self._refuse(name, answer, expect)
        return Position(expect.epoch, expect.sequence + 1)

    def _append(
        self, name: str, expect: Position, released: str, announced: int, update: bytes, rows: list[bytes]
    ) -> Any:
        written = int(self._written.is_due(name))
        arguments: Sequence[Argument] = (expect.epoch, expect.sequence, released, written, announced, update, *rows)
        return self._ask(f"append to {name!r}", Call(scripts.APPEND, self._keys.of(name), arguments), repeat=False)

    def compact(self, name: str, snapshot: bytes, *, at: Position) -> None:
        call = Call(scripts.COMPACT, [self._keys.of(name).log], (at.epoch, at.sequence, snapshot))
        answer = self._ask(f"compact {name!r}", call, repeat=False)
        if answer[0] != b"ok":
            self._refuse(name, answer, at)

    def delete(self, name: str) -> None:
        doing = f"delete {name!r}"
        call = Call(scripts.DELETE, self._keys.of(name))
        rows = self._try(doing, lambda: self._client.call(call))
        self._try(doing, lambda: self._rows.remove_from_index(name, rows), repeat=True)

    def quarantine(self, name: str) -> str | None:
        """Rows and lease are moved along if they are something else: then nobody could begin the log again."""
        doing = f"quarantine {name!r}"
        now = Call(scripts.NOW, [self._keys.of(name).log])
        for milliseconds in count(int(self._try(doing, lambda: self._client.call(now), repeat=True))):
            moved = quarantine.quarantined(name, milliseconds)
            state = self._move(doing, name, moved)
            if state != b"taken":
                return moved if state == b"moved" else None
        raise AssertionError

    def _move(self, doing: str, name: str, moved: str) -> Any:
        keys = [key for pair in zip(self._keys.of(name), self._keys.of(moved), strict=True) for key in pair]
        return self._try(doing, lambda: self._client.call(Call(scripts.QUARANTINE, keys)))[0]

    # Who uses them? -----------------------------------------------------------------------------------------

    def touch(self, names: Collection[str]) -> None:
        self._ask_of_many("say which documents are used", scripts.TOUCH, list(names))

    def usage(self, names: Collection[str]) -> dict[str, Usage]:
        """Logs that are lost because Redis restarted have one, too."""
        wanted = list(dict.fromkeys(names))
        return {name: usage for name, (_now, usage) in self._usage(wanted).items() if usage is not None}

    def _usage(self, names: list[str]) -> dict[str, tuple[float, Usage | None]]:
        """For each name what time it is on its server, and its log's usage if that can be read."""
        answers = self._ask_of_many("read the usage of documents", scripts.USAGE, names)
        found = [(int(now) / 1000, _usage(times)) for now, logs in answers for times in logs]
        return dict(zip(names, found, strict=True))

    def unused(self, seconds: float) -> Iterator[str]:
        """Of a log in quarantine that nobody can read, its name says since when it lies there."""
        names = list(self.names())
        for at in range(0, len(names), _KEYS_A_PAGE):
            for name, (now, usage) in self._usage(names[at : at + _KEYS_A_PAGE]).items():
                used = usage.used if usage else quarantine.moment(name)
                if used < now - seconds:
                    yield name

    # Rows ---------------------------------------------------------------------------------------------------

    def add_rows(self, name: str, rows: Collection[str]) -> None:
        added = {row.encode() for row in rows}
        self._try(f"index rows of {name!r}", lambda: self._rows.add(name, added), repeat=True)

    def remove_rows(self, name: str, rows: Collection[str]) -> None:
        """A row that somebody gives the document at the same moment stays: best called under the lease."""
        removed = {row.encode() for row in rows}
        self._try(f"remove rows of {name!r}", lambda: self._rows.remove(name, removed), repeat=True)

    def rows(self, name: str) -> set[str]:
        return {
            row.decode() for row in self._try(f"read the rows of {name!r}", lambda: self._rows.of(name), repeat=True)
        }

    def documents_of(self, rows: Collection[str]) -> dict[str, frozenset[str]]:
        wanted = {row.encode() for row in rows}
        return self._try("read the index of rows", lambda: self._rows.documents_of(wanted), repeat=True)

    # The store itself ---------------------------------------------------------------------------------------

    def names(self, prefix: str = "") -> Iterator[str]:
        """All keys of Redis are looked through, page by page, before the first name comes."""
        pattern = self._keys.logs(prefix)

        def scan() -> set[bytes]:
            return {key for page in self._client.scan(pattern, _KEYS_A_PAGE) for key in page}

        names = map(self._keys.name, self._try("list documents", scan, repeat=True))
        yield from sorted(name for name in names if name is not None and name.startswith(prefix))

    def size(self, name: str) -> Size:
        """Reads the log, in Redis, to count its bytes."""
        state, *counts = self._ask(f"measure {name!r}", Call(scripts.SIZE, self._keys.of(name)[:2]))
        if state in (b"none", b"restarted"):
            return Size(rows=counts[0])
        if state != b"ok":
            self._refuse(name, [state], Position(0, 0))
        entries, entry_bytes, snapshot_bytes, rows = counts
        return Size(entries=entries, entry_bytes=entry_bytes, snapshot_bytes=snapshot_bytes, rows=rows)

    def incarnation(self) -> str:
        """A word kept in the data, and the lives of the servers: see `redis_client`."""
        call = Call(scripts.INCARNATION, [self._keys.incarnation], [uuid.uuid4().hex])

        def read() -> str:
            self._client.doubt()
            return f"{self._client.call(call).decode()}-{self._client.lives()}"

        return self._try("read the incarnation of the store", read, repeat=True)

    def pulse(self) -> object:
        """How many changes each server counts since it last saved. Those of other programs count, too."""
        answers = self._try("read the pulse", lambda: self._client.everywhere("INFO", "persistence"), repeat=True)
        return tuple(
            tuple(
                line for line in answer.splitlines() if line.startswith((b"rdb_changes_since", b"rdb_last_save_time"))
            )
            for answer in answers
        )

    def risks(self) -> tuple[Risk, ...]:
        return self._try("read how the server is set up", lambda: risks_of(self._client, self._shown), repeat=True)

    def close(self) -> None:
        self._client.close()

    # What scripts answer ------------------------------------------------------------------------------------

    def _try(self, doing: str, work: Callable[[], T], *, repeat: bool = False) -> T:
        return self._client.attempt(doing, work, repeat=repeat)

    def _ask(self, doing: str, call: Call, *, repeat: bool = True) -> Any:
        """The answer of a script about one log. One of another life is asked for again, as lives may have been read
        before a server changed its own without restarting."""
        answer = self._try(doing, lambda: self._client.call(call), repeat=repeat)
        if answer[0] == b"restarted":
            self._client.doubt()
            answer = self._try(doing, lambda: self._client.call(call), repeat=repeat)
        return answer

    def _ask_of_many(self, doing: str, script: Script, names: Sequence[str]) -> list[Any]:
        """The answers of a script that takes the keys of many logs: on a cluster of one, all of them sent at once."""
        step = 1 if self._client.options.cluster else _LOGS_A_CALL
        keys = [self._keys.of(name).log for name in names]
        calls = [Call(script, keys[at : at + step]) for at in range(0, len(keys), step)]
        return self._try(doing, lambda: self._client.call_all(calls), repeat=True)

    def _refuse_begin(self, name: str, answer: Any, epoch: int) -> NoReturn:
        if answer[0] == b"lease":
            raise LeaseLost(messages.lease_lost(name))
        if answer[0] == b"epoch":
            raise EpochNotNewer(messages.epoch_not_newer(name, epoch, int(answer[1])))
        self._refuse(name, answer, Position(epoch, 0))

    def _refuse(self, name: str, answer: Any, asked: Position) -> NoReturn:
        state = answer[0]
        if state == b"lost":
            _, epoch, at, head = answer
            raise PositionLost(messages.position_lost(name, asked, Position(int(epoch), head), at))
        if state == b"none":
            raise PositionLost(messages.position_lost(name, asked, None, 0))
        if state == b"restarted":
            raise PositionLost(
                f"Redis restarted, or a replica took over, since {name!r} was begun: there is no log whose end is "
                "certain, so its positions are lost. Begin a new lineage."
            )
        if state == b"newer":
            raise LogTooNew(
                f"A newer version of this library has written the log {name!r} in {self._shown}. Upgrade rxcrdt, or "
                "quarantine the log, and let it be built again."
            )
        raise CorruptStore(
            f"The key {self._keys.of(name).log!r} in {self._shown} is not a log that a store wrote. Quarantine or "
            f"delete the log {name!r}, and let it be built again."
        )


def _usage(times: bytes) -> Usage | None:
    """See lua/usage.lua."""
    if not times:
        return None
    begun, snapshotted, written, used = (int(moment) / 1000 for moment in times.split())
    return Usage(begun=begun, snapshotted=snapshotted, written=written, used=used)


class _EverySecond:
    """Says of each name once a second that it is due."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def is_due(self, name: str) -> bool:
        now = time.monotonic()
        if now < self._next.get(name, 0.0):
            return False
        if len(self._next) >= _NAMES_REMEMBERED:
            self._next.clear()
        self._next[name] = now + 1
        return True


def _entries(after: Position, updates: list[bytes]) -> tuple[Entry, ...]:
    return tuple(
        Entry(position=Position(after.epoch, number), update=update)
        for number, update in enumerate(updates, start=after.sequence + 1)
    )
