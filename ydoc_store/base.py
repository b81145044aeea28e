"""`DocStore`: what a store of document logs does, and what every backend promises.

A store keeps, under a name, a *log*: a snapshot and the updates after it. Updates are opaque bytes. Beside
the logs it keeps an index from row keys to the names of the logs that may hold them, and one short *lease* a
name, so that one writer at a time prepares an entry.

A backend writes the methods without an `a` in front; those with one call them in a thread. All methods may be
called from any thread. All of them raise `StoreUnavailable` when the backend cannot be reached, besides the
errors that each one names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Iterator
from types import TracebackType
from typing import Self

from ydoc_store.asynchronous import in_thread, lease_in_thread
from ydoc_store.values import Entry, Lease, Log, Position, Risk, Size, Usage

__all__ = ["DocStore", "Entry", "Lease", "Log", "Position", "Risk", "Size", "Usage"]


class DocStore(ABC):
    """Logs by name: `ydoc_store.open_store(url)`, or one of your own, proved by `testing.StoreContract`.

    `url` opens the same store again, in another process too if `shared`. `poll_seconds` is how often asking
    `pulse()` for the writes of other processes makes sense; None where there are none, or where the caller decides.
    """

    url: str
    shared: bool
    poll_seconds: float | None

    # Reading ------------------------------------------------------------------------------------------------

    @abstractmethod
    def load(self, name: str) -> Log | None:
        """The whole log as it is at one moment, or None."""

    @abstractmethod
    def since(self, name: str, position: Position) -> tuple[Entry, ...]:
        """The entries after `position`, in order, without a gap.

        Raises PositionLost if the log has another epoch, if `position` is before its snapshot or beyond its
        head, or if there is no log.
        """

    @abstractmethod
    def head(self, name: str) -> Position | None:
        """The position of the last entry (that of the snapshot, if nothing came after it), or None."""

    @abstractmethod
    def heads(self, names: Collection[str]) -> dict[str, Position]:
        """`head` of many names in one round trip. Names without a log are absent."""

    # Writing ------------------------------------------------------------------------------------------------

    @abstractmethod
    def lease(self, name: str, *, since: Position | None, seconds: float, wait: float) -> Lease:
        """Become the one writer of `name` (which needs no log yet) for `seconds`, and learn what was missed.

        Waits up to `wait` seconds, first come, first served, and raises LeaseTimeout then; `wait=0` tries
        once. A lease that expired is taken over. An expired lease that nobody took over is still good.
        """

    @abstractmethod
    def release(self, name: str, token: str) -> None:
        """Give a lease back. Does nothing if it is not the current one (any more)."""

    @abstractmethod
    def begin(self, name: str, *, epoch: int, snapshot: bytes, rows: Collection[str], lease: str) -> Position:
        """Start a new lineage: the log becomes `snapshot` at `Position(epoch, 0)`, whatever it was before.

        `rows` are added to the index in the same transaction, so nobody sees the log without them; rows of
        the old lineage stay indexed until `remove_rows`, because the index must never know too little. The
        lease is kept, for the entries that follow. Raises LeaseLost if `lease` is not the current one,
        EpochNotNewer if the log's epoch is not below `epoch`; nothing is changed then.
        """

    @abstractmethod
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
        """Add one entry if the head is still at `expect`, and return the new head.

        In the same transaction, `rows` are indexed and `lease` is released (`keep_lease` keeps it, but does not
        prolong it). Raises HeadMoved, with what was missed, if entries came after `expect`, and PositionLost if
        `expect` is not in the log; nothing is changed then, and the lease is still held. StoreUnavailable leaves
        open whether the entry is in the log: look there before trying again.

        The comparison, not the lease, is what keeps two writers apart: a writer whose lease was taken over
        succeeds if it is first, so that slow writers cannot rob each other for ever without one entry getting in.
        """

    @abstractmethod
    def compact(self, name: str, snapshot: bytes, *, at: Position) -> None:
        """Let `snapshot` stand for everything up to `at`. Later entries, the epoch and the head stay.

        Needs no lease. Raises PositionLost if `at` is not in the log: somebody else folded further, for instance.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Forget the log and its rows, if any. A lease stays with its holder, who will find PositionLost."""

    @abstractmethod
    def quarantine(self, name: str) -> str | None:
        """Move the log out of the way, unread, whatever is there, and return the name under which it now lies.

        That is `quarantine:<unix milliseconds>:<name>`, or None if there was nothing. It is one step: of several who
        try, one gets the name. `name` has no log then, keeps its rows and its lease, and may be begun with any epoch.
        The moved log counts as used now. `names` lists it, `delete` forgets it, `load` of it raises what it raised
        before. Needs no lease, because a log that cannot be read may not be leased either.
        """

    # Which documents hold this row? -------------------------------------------------------------------------

    @abstractmethod
    def add_rows(self, name: str, rows: Collection[str]) -> None:
        """Say that the log `name`, which need not exist yet, may hold these rows. Known ones are ignored."""

    @abstractmethod
    def remove_rows(self, name: str, rows: Collection[str]) -> None:
        """Say that the log no longer holds these rows. Unknown ones are ignored."""

    @abstractmethod
    def rows(self, name: str) -> set[str]:
        """All rows indexed for `name`."""

    @abstractmethod
    def documents_of(self, rows: Collection[str]) -> dict[str, frozenset[str]]:
        """Row key → names of the logs that may hold it, in one round trip. Rows of no log are absent."""

    # Who uses them? -----------------------------------------------------------------------------------------

    @abstractmethod
    def touch(self, names: Collection[str]) -> None:
        """Somebody has these logs open: they are used now. One round trip. Names without a log are ignored."""

    @abstractmethod
    def usage(self, names: Collection[str]) -> dict[str, Usage]:
        """When each log was begun, folded, written, used, in one round trip. Names without a log are absent."""

    @abstractmethod
    def unused(self, seconds: float) -> Iterator[str]:
        """The names of the logs last used more than `seconds` ago, in any order. Logs may come and go meanwhile.

        Logs whose usage cannot be read count as never used. Whoever deletes them should look once more: a log may
        have come into use since its name was given.
        """

    # The store itself ---------------------------------------------------------------------------------------

    @abstractmethod
    def names(self, prefix: str = "") -> Iterator[str]:
        """The names of all logs that begin with `prefix`, sorted. Logs may come and go meanwhile."""

    @abstractmethod
    def size(self, name: str) -> Size:
        """What a log occupies; all zero if there is none."""

    @abstractmethod
    def incarnation(self) -> str:
        """Another string once the store may have lost data: a new file, a new memory store."""

    @abstractmethod
    def pulse(self) -> object:
        """A value that differs (`!=`) from an earlier one if anybody, in any process, wrote in between.

        It may differ without a reason. Costs microseconds: made for polling.
        """

    def risks(self) -> tuple[Risk, ...]:
        """What could go wrong with how the store's server is set up; what it does not tell is left out."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Close every connection. Anything but another `close` raises StoreUnavailable afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # From an event loop -------------------------------------------------------------------------------------

    async def aload(self, name: str) -> Log | None:
        return await in_thread(self.load, name)

    async def asince(self, name: str, position: Position) -> tuple[Entry, ...]:
        return await in_thread(self.since, name, position)

    async def ahead(self, name: str) -> Position | None:
        return await in_thread(self.head, name)

    async def aheads(self, names: Collection[str]) -> dict[str, Position]:
        return await in_thread(self.heads, names)

    async def alease(self, name: str, *, since: Position | None, seconds: float, wait: float) -> Lease:
        """As `lease`. If the caller is cancelled, a lease granted meanwhile is released."""
        return await lease_in_thread(self, name, since=since, seconds=seconds, wait=wait)

    async def arelease(self, name: str, token: str) -> None:
        await in_thread(self.release, name, token)

    async def abegin(self, name: str, *, epoch: int, snapshot: bytes, rows: Collection[str], lease: str) -> Position:
        return await in_thread(self.begin, name, epoch=epoch, snapshot=snapshot, rows=rows, lease=lease)

    async def aappend(
        self,
        name: str,
        update: bytes,
        *,
        expect: Position,
        lease: str | None = None,
        rows: Collection[str] = (),
        keep_lease: bool = False,
    ) -> Position:
        """As `append`. If the caller is cancelled, whether the entry is in the log is open."""
        return await in_thread(self.append, name, update, expect=expect, lease=lease, rows=rows, keep_lease=keep_lease)

    async def acompact(self, name: str, snapshot: bytes, *, at: Position) -> None:
        await in_thread(self.compact, name, snapshot, at=at)

    async def adelete(self, name: str) -> None:
        await in_thread(self.delete, name)

    async def aquarantine(self, name: str) -> str | None:
        return await in_thread(self.quarantine, name)

    async def aadd_rows(self, name: str, rows: Collection[str]) -> None:
        await in_thread(self.add_rows, name, rows)

    async def aremove_rows(self, name: str, rows: Collection[str]) -> None:
        await in_thread(self.remove_rows, name, rows)

    async def arows(self, name: str) -> set[str]:
        return await in_thread(self.rows, name)

    async def adocuments_of(self, rows: Collection[str]) -> dict[str, frozenset[str]]:
        return await in_thread(self.documents_of, rows)

    async def atouch(self, names: Collection[str]) -> None:
        await in_thread(self.touch, names)

    async def ausage(self, names: Collection[str]) -> dict[str, Usage]:
        return await in_thread(self.usage, names)

    async def aunused(self, seconds: float) -> AsyncIterator[str]:
        names = self.unused(seconds)
        while (name := await in_thread(next, names, None)) is not None:
            yield name

    async def anames(self, prefix: str = "") -> AsyncIterator[str]:
        names = self.names(prefix)
        while (name := await in_thread(next, names, None)) is not None:
            yield name

    async def asize(self, name: str) -> Size:
        return await in_thread(self.size, name)

    async def aincarnation(self) -> str:
        return await in_thread(self.incarnation)

    async def apulse(self) -> object:
        return await in_thread(self.pulse)

    async def arisks(self) -> tuple[Risk, ...]:
        return await in_thread(self.risks)

    async def aclose(self) -> None:
        await in_thread(self.close)
