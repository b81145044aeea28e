"""A client that sees every frame: over the ASGI application, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

from channels.testing import WebsocketCommunicator

from rxcrdt import workers
from rxcrdt.asgi import websocket_application
from rxcrdt.protocol import Message, decode

__all__ = ["Closed", "RawSocket"]

SECONDS = 10.0


class Closed(Exception):
    """The application closed the socket with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code


class RawSocket:
    """``async with RawSocket("library/1") as socket:``, connected; a frame a ``next``."""

    #: What y-websocket sends when it connects with an empty document.
    HELLO = bytes.fromhex("00000100")

    def __init__(self, document: str, *, user: Any = None, path: str | None = None, **scope: Any) -> None:
        subprotocols = scope.pop("subprotocols", None)
        url = quote(f"/ws/{document}" if path is None else path)
        self._communicator = WebsocketCommunicator(websocket_application(), url, subprotocols=subprotocols)
        self._communicator.scope.update(scope)
        if user is not None:
            self._communicator.scope["_force_auth_user"] = user
        self.subprotocol: str | None = None

    async def __aenter__(self) -> Self:
        accepted, self.subprotocol = await self._communicator.connect(timeout=SECONDS)
        assert accepted, "a socket is always accepted: stock clients try again for ever otherwise"
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.task.done():
            await self._communicator.disconnect(timeout=SECONDS)
            assert not self.task.cancelled(), "servers log an application that ends like that"
        await asyncio.to_thread(workers.wait_for_background, SECONDS)

    @property
    def task(self) -> asyncio.Task[None]:
        """The application."""
        task: asyncio.Task[None] = self._communicator.future
        return task

    async def send(self, frame: bytes) -> None:
        await self._communicator.input_queue.put({"type": "websocket.receive", "bytes": frame})

    async def send_text(self, text: str) -> None:
        await self._communicator.input_queue.put({"type": "websocket.receive", "text": text})

    async def next_frame(self) -> bytes:
        """Raises Closed."""
        async with asyncio.timeout(SECONDS):
            message: Mapping[str, Any] = await self._communicator.output_queue.get()
        if message["type"] == "websocket.close":
            assert type(message["code"]) is int, "daphne refuses an IntEnum"
            raise Closed(message["code"], message["reason"])
        assert set(message) == {"type", "bytes"}, "stock clients throw at a text frame"
        assert message["bytes"], "and at an empty one"
        return bytes(message["bytes"])

    async def next(self) -> Message:
        return decode(await self.next_frame(), max_bytes=2**30)

    async def closed(self) -> int:
        """The close code, whatever comes before it."""
        while True:
            try:
                await self.next_frame()
            except Closed as closed:
                return closed.code

    async def synchronised(self) -> None:
        """Says hello, and returns when step 2 and step 1 have come."""
        await self.send(self.HELLO)
        await self.next()
        await self.next()

    @property
    def waiting(self) -> int:
        """How many messages came that were not asked for yet."""
        return int(self._communicator.output_queue.qsize())
