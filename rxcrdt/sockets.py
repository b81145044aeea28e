"""One client's connection, as a room sees it: what it is sent, how it is kept alive, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rxcrdt.outbox import AwarenessFrame, Outbox, UpdateFrame
from rxcrdt.protocol import EMPTY_AWARENESS, CloseCode

__all__ = ["Limits", "Send", "Socket"]

logger = logging.getLogger(__name__)

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes and seconds. ``keep_alive_seconds``: y-websocket gives up after 30 s without a message.

    ``waiting_bytes``: what may wait for a client that reads slowly; ``stall_seconds``: how long one frame may
    take; ``close_seconds``: how long we try to say why we close.
    """

    waiting_bytes: int
    awareness_bytes: int
    keep_alive_seconds: float = 20.0
    stall_seconds: float = 60.0
    close_seconds: float = 5.0


class Socket:
    """Everything here is called on the event loop that made it.

    Frames go out in the order of ``put``, one task writes them. A socket ends once: by ``close``, which says
    why, or by ``abandon`` when the client is gone. After either, ``put`` does nothing.
    """

    MOST_REASON_BYTES: Final = 123  # what a WebSocket close frame has room for

    def __init__(self, send: Send, *, limits: Limits, on_closed: Callable[[], object] | None = None) -> None:
        """``on_closed`` is called when a ``close`` is through, whether the client has heard of it or not."""
        self.number = next(_numbers)
        self.user: str | None = None
        self.closed = False
        self._limits = limits
        self._on_closed = on_closed
        self._send = send
        self._outbox = Outbox(awareness_bytes=limits.awareness_bytes)
        self.loop = asyncio.get_running_loop()
        self._wake: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._sent_at = self._began_at = self.loop.time()
        self._writer = self.loop.create_task(self._write())
        self._closing: asyncio.Task[None] | None = None
        self._timer = self.loop.call_later(limits.keep_alive_seconds, self._look)

    # Sending ------------------------------------------------------------------------------------------------

    def put(self, item: UpdateFrame | AwarenessFrame | bytes) -> None:
        """Send this after what is already waiting. Closes the socket when too much waits."""
        if self.closed:
            return
        self._outbox.put(item)
        if self._outbox.bytes > self._limits.waiting_bytes:
            self.close(CloseCode.TOO_SLOW, "You read more slowly than the document changes.")
        elif (wake := self._wake) is not None:
            self._wake = None
            wake.set_result(None)

    async def drained(self) -> None:
        """Returns once everything was handed to the server, or the socket has ended."""
        while not self.closed and (self._wake is None or self._outbox):
            self._drained = self._drained or self.loop.create_future()
            await self._drained

    async def _write(self) -> None:
        try:
            while True:
                frame = self._outbox.next()
                if frame is None:
                    await self._idle()
                    continue
                self._began_at = self.loop.time()
                await self._send({"type": "websocket.send", "bytes": frame})
                self._sent_at = self.loop.time()
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except OSError:  # how servers say that the client has left; our reader will learn of it
            self.abandon()
        except BaseException:  # a panic in a merge is a BaseException
            logger.exception("A socket could not be written, and is closed; its client connects again.")
            self.close(CloseCode.RESTARTING, "An error on the server.")

    async def _idle(self) -> None:
        self._release_drained()
        self._wake = self.loop.create_future()
        await self._wake

    def _release_drained(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    # Staying alive ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Called when the client may have heard nothing for ``keep_alive_seconds``."""
        now = self.loop.time()
        if self._wake is None:
            if now - self._began_at >= self._limits.stall_seconds:
                self.close(CloseCode.TOO_SLOW, "You do not read.")
                return
        elif now - self._sent_at >= self._limits.keep_alive_seconds:
            self.put(EMPTY_AWARENESS)
            self._sent_at = now
        due = max(self._sent_at, self._began_at) + self._limits.keep_alive_seconds
        self._timer = self.loop.call_at(max(due, now + self._limits.keep_alive_seconds / 20), self._look)

    # Ending -------------------------------------------------------------------------------------------------

    def close(self, code: int, reason: str) -> asyncio.Task[None] | None:
        """End it with this close code. What still waited is not sent. Returns the task that says goodbye."""
        if not self.closed:
            self._end()
            self._closing = self.loop.create_task(self._say_goodbye(code, reason))
        return self._closing

    def abandon(self) -> None:
        """The client is gone."""
        if not self.closed:
            self._end()

    def _end(self) -> None:
        self.closed = True
        self._outbox.clear()
        self._timer.cancel()
        self._release_drained()
        if self._writer is not asyncio.current_task(self.loop):
            self._writer.cancel()

    async def _say_goodbye(self, code: int, reason: str) -> None:
        short = reason.encode()[: self.MOST_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(self._limits.close_seconds):
                await asyncio.wait([self._writer])
                # A plain int: daphne takes no IntEnum.
                await self._send({"type": "websocket.close", "code": int(code), "reason": short})
        except TimeoutError:
            logger.info("A client that does not read was closed with %d without hearing of it.", code)
        except OSError:
            logger.debug("A client was gone before it was closed with %d.", code)
        except Exception:
            logger.exception("A socket could not be closed with %d.", code)
        finally:
            if self._on_closed is not None:
                self._on_closed()
