"""One WebSocket, from its handshake to its end. Only moves messages: a room knows what they are about."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from rxcrdt import conf, workers
from rxcrdt.authentication import TOKEN_PROTOCOL, admit
from rxcrdt.awareness import parse_entries
from rxcrdt.exceptions import DocumentGone, MessageTooLarge, NotNow, ProtocolError, Refused
from rxcrdt.lobby import lobby, socket_limits
from rxcrdt.processes import PerProcess
from rxcrdt.protocol import (
    EMPTY_UPDATE,
    AwarenessUpdate,
    CloseCode,
    Message,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    decode,
    encode_auth,
)
from rxcrdt.rooms import GONE, Room
from rxcrdt.sockets import Send, Socket

__all__ = ["Connection", "serve"]

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

#: What a client may send before its document is open; beyond that it is not read until then.
MAX_HELD: Final = 64
#: A larger frame is parsed in a worker thread.
LARGE_FRAME: Final = 16 * 1024
#: A server that ends waits for its sockets, and for no thread: uvicorn kills itself then. Whoever compares a document
#: at that moment would leave its lease behind, and everybody who saves would wait for that to run out.
FINISH_SECONDS: Final = 5.0
READ_ONLY: Final = "This document is read-only for you: what you change stays in your copy."
TRY_AGAIN: Final = "The server could not open this document now. Try again."

_connections: PerProcess[set[Connection]] = PerProcess(set)


async def serve(scope: Mapping[str, Any], receive: Receive, send: Send, document: str) -> None:
    """Serves one WebSocket scope with the document of that name."""
    if (await receive())["type"] != "websocket.connect":
        return
    try:
        await send({"type": "websocket.accept", "subprotocol": _chosen(scope.get("subprotocols") or ())})
    except OSError:
        return  # the client has left already
    await Connection(scope, receive, send, document).run()


def _chosen(offered: Any) -> str | None:
    """One of them, or browsers give up; rather not the one that holds the token."""
    return min(offered, key=lambda name: name.startswith(TOKEN_PROTOCOL), default=None)


def _retrieve(opening: asyncio.Future[Room]) -> None:
    """Nobody may be left to hear how it went, and asyncio would complain."""
    if not opening.cancelled():
        opening.exception()


class Connection:
    """An accepted WebSocket. Everything that ends it goes through ``run``, which always cleans up."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send, document: str) -> None:
        self._scope = scope
        self._receive = receive
        self._document = document
        self._task = asyncio.current_task()
        self._socket = Socket(send, limits=socket_limits(), on_closed=self._stop)
        self._room: Room | None = None
        self._reading: asyncio.Future[Mapping[str, Any]] | None = None
        self._max_bytes = conf.settings().max_message_bytes
        self._greeted = self._told = self._ending = False

    async def run(self) -> None:
        _connections().add(self)
        try:
            await self._serve()
        except asyncio.CancelledError:
            if not self._socket.closed:  # the server is going down
                await self._end(CloseCode.RESTARTING, "The server restarts.", seconds=1)
                raise
            if self._task is not None:
                self._task.uncancel()  # it was our own ``_stop``
        except Refused as refused:
            await self._end(refused.code, refused.reason)
        except MessageTooLarge as error:
            await self._end(CloseCode.TOO_LARGE, str(error))
        except ProtocolError as error:
            await self._end(CloseCode.MALFORMED, str(error))
        except DocumentGone:
            await self._end(CloseCode.NOT_FOUND, GONE)
        except NotNow as error:
            logger.info("%s", error)
            await self._end(CloseCode.RESTARTING, TRY_AGAIN)
        except Exception:
            logger.exception("%s could not be served; its client will try again.", self._document)
            await self._end(CloseCode.RESTARTING, TRY_AGAIN)
        finally:
            self._clean_up()
            if not _connections():
                await workers.finish(FINISH_SECONDS)

    def _stop(self) -> None:
        """The socket was closed from elsewhere: by its room, or because it does not read."""
        if not self._ending and self._task is not None:
            self._task.cancel()

    async def _end(self, code: int, reason: str, *, seconds: float | None = None) -> None:
        self._ending = True
        closing = self._socket.close(code, reason)
        if closing is not None:
            await asyncio.wait([closing], timeout=seconds)

    def _clean_up(self) -> None:
        self._ending = True
        _connections().discard(self)
        self._socket.abandon()
        if self._reading is not None:
            self._reading.cancel()
        if self._room is not None:
            self._room.leave(self._socket)
        lobby().leave(self._socket)

    # Opening ------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        if len(_connections()) > conf.settings().max_sockets:
            raise Refused(CloseCode.TOO_MANY, "This server has as many connections as it may have.")
        opening = asyncio.ensure_future(self._open())
        opening.add_done_callback(_retrieve)
        try:
            held = await self._read_while(opening)
            if held is None:
                return
            room = await opening
        finally:
            opening.cancel()
        self._room = room
        room.join(self._socket)
        for early in held:
            await self._handle(room, early)
        while (frame := await self._next()) is not None:
            await self._handle(room, frame)

    async def _open(self) -> Room:
        admission = await workers.run(admit, self._scope, self._document)
        self._socket.user = admission.user
        return await lobby().enter(admission.log, admission.document, self._socket)

    async def _read_while(self, opening: asyncio.Future[Room]) -> list[bytes] | None:
        """What comes while the document opens, which may take long; None if the client leaves.

        Reading on keeps pings answered, and a client that left from being waited for.
        """
        held: list[bytes] = []
        while not opening.done() and len(held) < MAX_HELD:
            reading = self._reading = self._reading or asyncio.ensure_future(self._receive())
            await asyncio.wait((reading, opening), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                frame = await self._next()
                if frame is None:
                    return None
                held.append(frame)
        return held

    # Messages -----------------------------------------------------------------------------------------------

    async def _next(self) -> bytes | None:
        """The next frame; None when the client has left."""
        reading, self._reading = self._reading, None
        message = await (self._receive() if reading is None else reading)
        if message["type"] == "websocket.disconnect":
            return None
        frame = message.get("bytes")
        if frame is None:
            raise ProtocolError("A text frame came; every message is a binary one.")
        if len(frame) > self._max_bytes:
            raise MessageTooLarge(f"A message of {len(frame)} bytes came; {self._max_bytes} are allowed.")
        return bytes(frame)

    async def _handle(self, room: Room, frame: bytes) -> None:
        if len(frame) > LARGE_FRAME:
            message = await workers.run(self._decoded, frame)
        else:
            message = self._decoded(frame)
        match message:
            case SyncStep1(state_vector):
                await self._answer(room, state_vector)
            case SyncStep2(update) | SyncUpdate(update):
                await self._drop(room, update)
            case AwarenessUpdate(payload):
                room.receive_awareness(self._socket, parse_entries(payload))
            case QueryAwareness():
                room.greet(self._socket)

    def _decoded(self, frame: bytes) -> Message:
        return decode(frame, max_bytes=self._max_bytes)

    async def _answer(self, room: Room, state_vector: bytes) -> None:
        await self._socket.drained()  # one answer at a time waits for a client that asks and does not read
        greet, self._greeted = not self._greeted, True
        await workers.run(partial(room.answer, greet=greet), self._socket, state_vector)

    async def _drop(self, room: Room, update: bytes) -> None:
        """Nobody may write yet. The client is told once; but not for saying what everybody knows."""
        if self._told or update == EMPTY_UPDATE:
            return
        if update[:1] in (b"", b"\x00") and await workers.run(room.knows, update):
            return
        self._told = True
        self._socket.put(encode_auth(READ_ONLY))
