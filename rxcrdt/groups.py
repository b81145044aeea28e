"""The sockets of one room on one event loop: messages cross over once a loop, not once a socket."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from rxcrdt.outbox import AwarenessFrame, UpdateFrame
from rxcrdt.protocol import CloseCode, encode_step2
from rxcrdt.sockets import Socket

__all__ = ["Group"]


class Group:
    """``join`` and ``leave`` are for the loop's own thread, everything else is for any.

    What is posted is handed on in that order. ``enroll`` takes its place in it: a socket gets what is posted
    after it, and nothing from before. While the loop is stuck at most ``max_bytes`` wait; beyond, all sockets
    are closed as too slow when it goes on, and synchronise anew.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, max_bytes: int) -> None:
        self.loop = loop
        self.sockets: set[Socket] = set()
        self._enrolled: set[Socket] = set()
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._inbox: deque[UpdateFrame | AwarenessFrame | Callable[[], None]] = deque()
        self._bytes = 0
        self._scheduled = False

    def join(self, socket: Socket) -> None:
        """The socket gets awareness, and updates once it is enrolled."""
        self.sockets.add(socket)

    def leave(self, socket: Socket) -> None:
        self.sockets.discard(socket)
        self._enrolled.discard(socket)

    def post(self, item: UpdateFrame | AwarenessFrame) -> bool:
        """For all. False if the loop is closed, and nobody will get anything any more."""
        return self._put(item, len(item.frame))

    def enroll(self, socket: Socket, update: bytes) -> bool:
        """``update`` is what ``socket`` lacks up to here; from here on it gets everything."""

        def enroll() -> None:
            if socket in self.sockets:
                socket.put(encode_step2(update))
                self._enrolled.add(socket)

        return self._put(enroll, 0)

    def call(self, function: Callable[[], None]) -> bool:
        """On the loop, in its place among what is posted."""
        return self._put(function, 0)

    def close_all(self, code: int, reason: str) -> bool:
        def close_all() -> None:
            for socket in tuple(self.sockets):
                socket.close(code, reason)

        return self._put(close_all, 0)

    def _put(self, item: UpdateFrame | AwarenessFrame | Callable[[], None], size: int) -> bool:
        with self._lock:
            self._inbox.append(item)
            self._bytes += size
            if self._bytes > self._max_bytes:
                self._overflow()
            if self._scheduled:
                return not self.loop.is_closed()
            self._scheduled = True
        try:
            self.loop.call_soon_threadsafe(self._hand_on)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _overflow(self) -> None:
        """The loop is stuck. (Enrolments are dropped as well: those sockets are closed, too.)"""
        self._inbox.clear()
        self._bytes = 0

        def close_all() -> None:
            for socket in tuple(self.sockets):
                socket.close(CloseCode.TOO_SLOW, "The server fell behind.")

        self._inbox.append(close_all)

    def _hand_on(self) -> None:
        with self._lock:
            items, self._inbox = self._inbox, deque()
            self._bytes = 0
            self._scheduled = False
        for item in items:
            if isinstance(item, UpdateFrame):
                for socket in self._enrolled:
                    socket.put(item)
            elif isinstance(item, AwarenessFrame):
                for socket in self.sockets:
                    socket.put(item)
            else:
                item()
