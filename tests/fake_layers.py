"""A channel layer for tests: a hub that several links share, and what can go wrong with one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["FakeLayer", "Hub"]


class Hub:
    """What lies between the processes. ``carry`` may drop, repeat and reorder: message → messages."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.members: dict[str, list[tuple[FakeLayer, str]]] = {}
        self.sent: list[dict[str, Any]] = []
        self.carry: Callable[[dict[str, Any]], list[dict[str, Any]]] = lambda message: [message]

    def send(self, group: str, message: dict[str, Any]) -> None:
        with self.lock:
            self.sent.append(message)
            members = list(self.members.get(group, []))
        for each in self.carry(message):
            for layer, channel in members:
                layer.put(channel, dict(each))


class FakeLayer:
    """One process's end of a hub. ``failing`` raises from every call, ``hanging`` lets sends wait."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.failing: Exception | None = None
        self.hanging = False
        self.joins: list[str] = []
        self._queues: dict[str, asyncio.Queue[dict[str, Any] | Exception]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def _check(self) -> None:
        if self.failing is not None:
            raise self.failing

    def put(self, channel: str, message: dict[str, Any] | Exception) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._queues[channel].put_nowait, message)

    def break_off(self, error: Exception) -> None:
        """Whoever listens gets an error, and the layer has forgotten its channel."""
        with self.hub.lock:
            for members in self.hub.members.values():
                members[:] = [(layer, channel) for layer, channel in members if layer is not self]
        for channel in tuple(self._queues):
            self.put(channel, error)

    async def new_channel(self, prefix: str = "specific") -> str:
        self._check()
        self._loop = asyncio.get_running_loop()
        channel = f"{prefix}!{len(self._queues)}"
        self._queues[channel] = asyncio.Queue()
        return channel

    async def receive(self, channel: str) -> dict[str, Any]:
        self._check()
        message = await self._queues[channel].get()
        if isinstance(message, Exception):
            raise message
        return message

    async def group_add(self, group: str, channel: str) -> None:
        self._check()
        self.joins.append(group)
        with self.hub.lock:
            self.hub.members.setdefault(group, []).append((self, channel))

    async def group_discard(self, group: str, channel: str) -> None:
        self._check()
        with self.hub.lock:
            self.hub.members[group].remove((self, channel))

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.hanging:
            await asyncio.Event().wait()
        self._check()
        self.hub.send(group, message)
