"""Rooms: a document and everybody in this process who has it open.

A room listens to its document, and hands every entry to its sockets, in the log's order. A socket that got
its step 2 at some position gets every entry after it exactly once, or is closed: it enrols while the document
holds its lock, and from then on only the order of one queue counts (``rxcrdt.groups``).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from rxcrdt import relay, workers
from rxcrdt.awareness import Awareness, Entry, Heard, Owner, portions
from rxcrdt.deletes import Deletes, covers, deletes_only
from rxcrdt.exceptions import Refused
from rxcrdt.groups import Group
from rxcrdt.lineage import older_lineages
from rxcrdt.outbox import AwarenessFrame, UpdateFrame
from rxcrdt.processes import process_id
from rxcrdt.protocol import CloseCode, encode_state_vector, encode_step1, parse_state_vector
from rxcrdt.sockets import Limits, Socket
from ydoc_store import Entry as LogEntry
from ydoc_store import Position

__all__ = ["Room", "RoomDocument"]

logger = logging.getLogger(__name__)

#: Awareness of another process's socket that is not renewed for so long is gone, with its process perhaps.
#: (y-websocket's clients renew theirs every 15 s, and forget others' after 30.)
SILENT_SECONDS: Final = 45.0
MAX_INCOMING: Final = 1000
GONE: Final = "This document does not exist any more."


class RoomDocument(Protocol):
    """What a room needs of a document; see ``rxcrdt.documents.Document``."""

    @property
    def name(self) -> str: ...
    @property
    def log(self) -> str: ...
    @property
    def position(self) -> Position | None: ...
    def answer(self, state_vector: bytes, enroll: Callable[[bytes], None]) -> bytes: ...
    def state_vector(self) -> bytes: ...
    def subscribe(self, listener: Room) -> None: ...
    def unsubscribe(self, listener: Room) -> None: ...
    def receive(self, entries: Sequence[LogEntry]) -> None: ...
    def catch_up(self) -> None: ...
    def reconcile(self) -> object: ...


class Room:
    """``on_gone`` is called when the document's row is gone, ``on_lost`` for a socket whose event loop is."""

    def __init__(
        self,
        document: RoomDocument,
        *,
        limits: Limits,
        on_gone: Callable[[Room], None] = lambda _: None,
        on_lost: Callable[[Socket], None] = lambda _: None,
    ) -> None:
        self.document = document
        self.closed = False  # everybody has left
        self._limits = limits
        self._on_gone = on_gone
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._groups: dict[asyncio.AbstractEventLoop, Group] = {}
        self._awareness = Awareness(max_bytes=limits.awareness_bytes)
        self._incoming: list[LogEntry] = []
        self._behind = self._following = False
        self._deletes: Deletes | None = None
        self._ended = False

    # Sockets; on their event loop ---------------------------------------------------------------------------

    def join(self, socket: Socket) -> None:
        """Raises Refused if the document's row is gone."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._ended:
                raise Refused(CloseCode.NOT_FOUND, GONE)
            group = self._groups.get(loop)
            if group is None:
                group = self._groups[loop] = Group(loop, max_bytes=self._limits.waiting_bytes)
        group.join(socket)

    def leave(self, socket: Socket) -> None:
        """Whatever became of it. The ids that it brought are nulled for everybody else."""
        with self._lock:
            group = self._groups.get(asyncio.get_running_loop())
            if group is not None:
                group.leave(socket)
                if not group.sockets:
                    del self._groups[group.loop]
        self._null(socket)

    def greet(self, socket: Socket) -> None:
        """Tells the socket who is here."""
        with self._lock:
            entries = self._awareness.entries()
        for portion in portions(entries, max_bytes=self._limits.awareness_bytes):
            socket.put(AwarenessFrame.of(portion))

    def receive_awareness(self, socket: Socket, entries: Iterable[Entry]) -> None:
        """What a client says about itself, and all that it echoes. Raises ProtocolError."""
        owner = _owner(socket)
        with self._lock:
            heard: Heard = self._awareness.receive(owner, entries, time.monotonic())
        if heard.answer:
            socket.put(AwarenessFrame.of(heard.answer))
        if heard.accepted:
            self._post(AwarenessFrame.of(heard.accepted))
            relay.publish_awareness(self.log, owner, heard.accepted)

    # Sockets; in a worker thread ----------------------------------------------------------------------------

    def answer(self, socket: Socket, state_vector: bytes, *, greet: bool = False) -> None:
        """Step 2 for ``state_vector``, then our own step 1. From here on the socket gets every entry.

        With ``greet``, it is told next who is here.

        Truth ids of older lineages that the client has are named in our step 1, too: nobody wants them back.
        """
        with self._lock:
            group = self._groups.get(socket.loop)
        if group is None:
            return

        def enroll(update: bytes) -> None:
            group.enroll(socket, update)

        ours = parse_state_vector(self.document.answer(state_vector, enroll))
        old = older_lineages(parse_state_vector(state_vector), ours)
        question = encode_step1(encode_state_vector(ours | old))

        def ask() -> None:
            socket.put(question)
            if greet:
                self.greet(socket)

        group.call(ask)

    def knows(self, update: bytes) -> bool:
        """Whether a client's update says nothing new: no content, and no deletes but those it was told.

        Raises ProtocolError. Deletes only accumulate, so what was known once need not be read again.
        """
        said = deletes_only(update)
        if not said:
            return said is not None
        if self._deletes is None or not covers(self._deletes, said):
            self._deletes = self._known_deletes()
        ours = parse_state_vector(self.document.state_vector())
        return covers(self._deletes, said, ignoring=lambda client: client in older_lineages({client: 0}, ours))

    def _known_deletes(self) -> Deletes:
        """What a client that has everything is sent: deletes, unless an entry came in between."""
        answers: list[bytes] = []
        deletes: Deletes | None = None
        while deletes is None:
            self.document.answer(self.document.state_vector(), answers.append)
            deletes = deletes_only(answers.pop())
        return deletes

    # The document; under its lock, from any thread ----------------------------------------------------------

    def deliver(self, position: Position, update: bytes) -> None:
        """The next entry of the log. Encoded once, handed over once an event loop."""
        self._post(UpdateFrame.of(update))

    def gone(self) -> None:
        """The document's row is gone: everybody is closed, for good."""
        with self._lock:
            self._ended = True
        self.close_all(CloseCode.NOT_FOUND, GONE)
        self._on_gone(self)

    def close_all(self, code: int, reason: str) -> None:
        for group in self._all_groups():
            if not group.close_all(code, reason):
                self._bury(group)

    def _post(self, item: UpdateFrame | AwarenessFrame) -> None:
        for group in self._all_groups():
            if not group.post(item):
                self._bury(group)

    def _all_groups(self) -> tuple[Group, ...]:
        with self._lock:
            return tuple(self._groups.values())

    def _bury(self, group: Group) -> None:
        """Its event loop was closed, and none of its sockets will say that it leaves."""
        with self._lock:
            if self._groups.get(group.loop) is not group:
                return
            del self._groups[group.loop]
        logger.warning("An event loop with %d open sockets was closed.", len(group.sockets))
        for socket in tuple(group.sockets):
            self._null(socket)
            self._on_lost(socket)

    def _null(self, socket: Socket) -> None:
        owner = _owner(socket)
        with self._lock:
            nulls = self._awareness.leave(owner)
        if nulls:
            self._post(AwarenessFrame.of(nulls))
            relay.publish_awareness(self.log, owner, nulls)

    # Other processes; in the relay's thread -----------------------------------------------------------------

    def joined(self) -> None:
        """Others may have written, come and gone unheard; and they may not have heard who is here."""
        self.entries_came(())
        self.awareness_asked()
        relay.ask_awareness(self.log)

    def entries_came(self, entries: Sequence[LogEntry]) -> None:
        """Entries that another process wrote, or (with none) that there may be some."""
        with self._lock:
            if entries and len(self._incoming) < MAX_INCOMING:
                self._incoming.extend(entries)
            else:
                self._behind = True
            if self._following:
                return
            self._following = True
        workers.submit(self._follow)

    def _follow(self) -> None:
        while True:
            with self._lock:
                entries, self._incoming = self._incoming, []
                behind, self._behind = self._behind, False
                if not entries and not behind:
                    self._following = False
                    return
            try:
                if entries:
                    self.document.receive(entries)
                if behind:
                    self.document.catch_up()
            except BaseException:  # a panic of the engine, too: whoever stopped here would never follow again
                logger.exception("%s could not follow its log, and tries again at the next poll.", self.log)

    def awareness_came(self, owner: Owner, entries: Sequence[Entry]) -> None:
        with self._lock:
            news = self._awareness.hear(owner, entries, time.monotonic())
        if news:
            self._post(AwarenessFrame.of(news))

    def awareness_asked(self) -> None:
        with self._lock:
            said = self._awareness.of_process(process_id())
        for owner, entries in said:
            if here := [entry for entry in entries if not entry.gone]:
                relay.publish_awareness(self.log, owner, here)

    # Upkeep; in its thread ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def log(self) -> str:
        return self.document.log

    @property
    def position(self) -> Position | None:
        return self.document.position

    def catch_up(self) -> None:
        self.entries_came(())

    def reconcile(self, done: Callable[[], None]) -> None:
        def compare() -> None:
            try:
                if not self.closed:
                    self.document.reconcile()
            finally:
                done()

        workers.in_background(
            f"{self.log} could not be compared with the database; it is tried again, see RECONCILE_SECONDS.",
            compare,
        )

    def expire_awareness(self) -> None:
        with self._lock:
            nulls = self._awareness.expire(process_id(), time.monotonic() - SILENT_SECONDS)
        if nulls:
            self._post(AwarenessFrame.of(nulls))


def _owner(socket: Socket) -> Owner:
    return Owner(process_id(), socket.number, socket.user)
