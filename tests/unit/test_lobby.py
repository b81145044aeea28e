"""Who opens a room for whom, and who closes it; the rest is in the integration tests of the sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from rxcrdt import workers
from rxcrdt.lobby import Lobby
from rxcrdt.rooms import Room
from rxcrdt.sockets import Limits, Socket
from tests.conditions import eventually
from tests.fake_documents import FakeDocument

LIMITS = Limits(waiting_bytes=1000, awareness_bytes=1000)


@pytest.fixture
async def sockets() -> AsyncIterator[list[Socket]]:
    async def send(_: Mapping[str, Any]) -> None: ...

    found = [Socket(send, limits=LIMITS) for _ in range(3)]
    yield found
    for socket in found:
        socket.abandon()


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> list[Future[Room]]:
    """The openings that were begun; none of them has got a thread yet."""
    begun: list[Future[Room]] = []

    def submit(*_: object) -> Future[Room]:
        begun.append(Future())
        return begun[-1]

    monkeypatch.setattr(workers, "submit", submit)
    return begun


async def test_whoever_stops_waiting_does_not_cancel_the_opening_for_the_others(
    sockets: list[Socket], opening: list[Future[Room]]
) -> None:
    lobby = Lobby()
    first, second = [asyncio.ensure_future(lobby.enter("key", "name", socket)) for socket in sockets[:2]]
    await eventually(lambda: opening)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    assert not opening[0].cancelled()
    room = Room(FakeDocument(), limits=LIMITS)
    opening[0].set_result(room)
    assert await second is room
    assert len(opening) == 1


async def test_whoever_comes_after_the_last_one_left_opens_another_room(
    sockets: list[Socket], opening: list[Future[Room]]
) -> None:
    lobby = Lobby()
    first = asyncio.ensure_future(lobby.enter("key", "name", sockets[0]))
    await eventually(lambda: opening)
    opening[0].set_result(Room(FakeDocument(), limits=LIMITS))
    await first
    lobby.leave(sockets[0])
    lobby.leave(sockets[0])  # harmless
    second = asyncio.ensure_future(lobby.enter("key", "name", sockets[1]))
    await eventually(lambda: len(opening) == 2)
    other = Room(FakeDocument(), limits=LIMITS)
    opening[1].set_result(other)
    assert await second is other


async def test_documents_of_different_tenants_are_different_rooms(
    sockets: list[Socket], opening: list[Future[Room]]
) -> None:
    """A room is found by its log, which knows the tenant, not by the document's name."""
    lobby = Lobby()
    waiting = [
        asyncio.ensure_future(lobby.enter(key, "board/12", socket))
        for key, socket in zip(("a|board/12@s", "b|board/12@s"), sockets, strict=False)
    ]
    await eventually(lambda: len(opening) == 2)
    for future in opening:
        future.set_result(Room(FakeDocument(), limits=LIMITS))
    first, second = await asyncio.gather(*waiting)
    assert first is not second
