"""A TCP port in front of a server that may become another one, and that can be cut off without a goodbye."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

__all__ = ["Proxy"]


class Proxy:
    """``with Proxy(port) as proxy:`` listens on ``proxy.port``, in a thread of its own. For any thread."""

    def __init__(self, target: int | None) -> None:
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hold(self) -> None:
        """Nothing gets through to the clients any more, and nobody notices."""
        self._do(self._hold())

    def cut(self) -> None:
        """Ends all connections. What was held is lost, and new connections are refused."""
        self.switch(None)

    def switch(self, target: int | None, *, gently: bool = False) -> None:
        """From now on connections lead to ``target``. Those that are there are cut, unless ``gently``."""
        self._do(self._switch(target, gently))

    # In the thread ------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        await self._switch(None, False)
        await asyncio.sleep(0)

    async def _hold(self) -> None:
        self._flowing.clear()

    async def _switch(self, target: int | None, gently: bool) -> None:
        self._target = target
        if not gently:
            for writer in self._open:
                writer.transport.abort()
        self._flowing.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target is None:
            writer.transport.abort()
            return
        try:
            there, far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far}
        self._open |= ends
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, far, None))
                both.create_task(self._carry(there, writer, self._flowing))
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: asyncio.Event | None
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if gate is not None:
                    await gate.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
