"""Which rooms are open in this process: who enters first opens one, who leaves last closes it."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from rxcrdt import conf, documents, relay, tenants, workers
from rxcrdt.document import Document
from rxcrdt.exceptions import DocumentGone
from rxcrdt.names import LogName
from rxcrdt.processes import PerProcess
from rxcrdt.rooms import Room
from rxcrdt.sockets import Limits, Socket
from rxcrdt.upkeep import upkeep

__all__ = ["Lobby", "lobby", "socket_limits"]

logger = logging.getLogger(__name__)


def socket_limits() -> Limits:
    settings = conf.settings()
    return Limits(waiting_bytes=settings.max_socket_bytes, awareness_bytes=settings.max_awareness_bytes)


@dataclass(slots=True, eq=False)
class _Place:
    """A room that is open, or being opened for all who wait for it; ``sockets`` are those who want it."""

    key: str
    opening: Future[Room] = field(init=False)
    room: Room | None = None
    document: Document | None = None
    sockets: set[Socket] = field(default_factory=set)


class Lobby:
    """The rooms of one process, by the names of their documents' logs. For any thread and any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._of: dict[Socket, _Place] = {}

    async def enter(self, key: str, name: str, socket: Socket) -> Room:
        """The room of the document ``name``, whose log is ``key``. Opened by whoever comes first.

        Raises what opening raised, DocumentGone if there is no such row; then there is nothing to ``leave``.
        """
        with self._lock:
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = _Place(key)
                place.opening = workers.submit(self._open, place, name)
            place.sockets.add(socket)
            self._of[socket] = place
        try:
            opening = asyncio.wrap_future(place.opening)
            opening.add_done_callback(_retrieve)
            # Shielded: whoever stops waiting must not cancel the opening for all others.
            return await asyncio.shield(opening)
        except BaseException:
            self.leave(socket)
            raise

    def leave(self, socket: Socket) -> None:
        """The last one out closes the room. Harmless for somebody who is not in."""
        with self._lock:
            place = self._of.pop(socket, None)
            if place is None:
                return
            place.sockets.discard(socket)
            if place.sockets:
                return
            self._take_down(place)
        if not place.opening.done():
            place.opening.add_done_callback(_say_unheard)
        place.opening.add_done_callback(lambda _: _close(place))

    def rooms(self) -> list[Room]:
        """The rooms that are open now."""
        with self._lock:
            return [place.room for place in self._places.values() if place.room is not None]

    def _open(self, place: _Place, name: str) -> Room:
        with tenants.within(LogName.parse(place.key).namespace):
            document = documents.open(name)
        room = Room(document, limits=socket_limits(), on_gone=lambda _: self._gone(place), on_lost=self.leave)
        document.subscribe(room)
        try:
            document.catch_up()  # it may have stood on the shelf for a while
        except BaseException:
            _let_go(room, document)
            raise
        relay.join(room.log, room)
        upkeep().add(room)
        place.document, place.room = document, room
        return room

    def _gone(self, place: _Place) -> None:
        """The document's row is gone. Should it come back, it will have another room."""
        with self._lock:
            self._take_down(place)

    def _take_down(self, place: _Place) -> None:
        """Whoever enters from now on opens a room of his own."""
        if self._places.get(place.key) is place:
            del self._places[place.key]


def _retrieve(opening: asyncio.Future[Room]) -> None:
    """Whoever waited may have left, and asyncio would complain of an exception that nobody asked for."""
    if not opening.cancelled():
        opening.exception()


def _say_unheard(opening: Future[Room]) -> None:
    """All who would have logged it have left."""
    error = opening.exception()
    if error is not None and not isinstance(error, DocumentGone):
        logger.error("A document could not be opened, and all its clients have left meanwhile.", exc_info=error)


def _close(place: _Place) -> None:
    room, document = place.room, place.document
    if room is None or document is None:
        return  # it never opened
    room.closed = True
    upkeep().remove(room)
    relay.leave(room.log, room)
    workers.in_background(f"{place.key} could not be closed, and stays in memory.", _let_go, room, document)


def _let_go(room: Room, document: Document) -> None:
    """Takes the document's lock, which may take a while."""
    document.unsubscribe(room)
    documents.close(document)


lobby: PerProcess[Lobby] = PerProcess(Lobby)
