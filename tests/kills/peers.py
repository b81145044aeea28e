"""Clients of this process over real sockets: pycrdt documents that come back by themselves, as y-websocket's do."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from pycrdt import Doc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from rxcrdt.protocol import Ignored, SyncStep1, SyncStep2, SyncUpdate, decode, encode_step1, encode_step2
from tests.kills.equality import Witness, as_text, nested, tables

__all__ = ["Peer"]

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.5
AUTH = 2
LOOK_EVERY = 3  # messages


class Peer:
    """One client of ``document``. ``connections`` counts how often it had to connect, ``closes`` the close codes."""

    def __init__(self, name: str, url: str, document: str, witness: Witness) -> None:
        self.name = f"{name} of {document}"
        self.document = document
        self.doc: Doc[Any] = Doc()
        self.connections = self.updates = self.denied = 0
        self.synced = False
        self.closes: Counter[int | None] = Counter()
        self._url = f"{url.replace('http', 'ws', 1)}/ws/{document}"
        self._witness = witness
        self._staying: asyncio.Task[None] | None = None

    @property
    def is_online(self) -> bool:
        """Whether it wants to be."""
        return self._staying is not None

    def online(self) -> None:
        assert self._staying is None
        self._staying = asyncio.create_task(self._stay())

    async def offline(self) -> None:
        task, self._staying = self._staying, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.synced = False

    def check(self) -> None:
        """Raises what ended it, if something did."""
        if self._staying is not None and self._staying.done():
            self._staying.result()

    @property
    def text(self) -> str:
        return as_text(tables(self.doc))

    @property
    def state(self) -> Any:
        return nested(tables(self.doc))

    async def _stay(self) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                async with connect(self._url, compression=None, max_size=None, ping_interval=None) as connection:
                    self.connections += 1
                    before = self.updates
                    await self._follow(connection)
            except (OSError, InvalidHandshake, TimeoutError):
                before = self.updates
            self.synced = False
            await asyncio.sleep(wait)
            wait = FIRST_WAIT if self.updates > before else min(2 * wait, LONGEST_WAIT)

    async def _follow(self, connection: ClientConnection) -> None:
        try:
            await connection.send(encode_step1(self.doc.get_state()))
            async for frame in connection:
                assert isinstance(frame, bytes)
                await self._take(connection, frame)
        except ConnectionClosed:
            pass
        self.closes[connection.close_code] += 1

    async def _take(self, connection: ClientConnection, frame: bytes) -> None:
        message = decode(frame, max_bytes=2**30)
        if isinstance(message, SyncStep1):
            await connection.send(encode_step2(self.doc.get_update(message.state_vector)))
        elif isinstance(message, SyncStep2 | SyncUpdate):
            self.doc.apply_update(message.update)
            self.updates += 1
            self.synced = self.synced or isinstance(message, SyncStep2)
            if self.updates % LOOK_EVERY == 0:
                self._witness.saw(self.name, self.document, self.doc)
        elif isinstance(message, Ignored) and message.type == AUTH:
            self.denied += 1
