"""One client's connection: order, signs of life, slow readers, and the one end that each has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from rxcrdt.outbox import UpdateFrame
from rxcrdt.protocol import EMPTY_AWARENESS
from rxcrdt.sockets import Limits, Socket
from tests.conditions import eventually


class Wire:
    """The server's side of a connection: what was sent, and a tap to stop it."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closes: list[tuple[int, str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failing: Exception | None = None

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.open.wait()
        if self.failing is not None:
            raise self.failing
        if message["type"] == "websocket.close":
            assert type(message["code"]) is int, "daphne refuses an IntEnum"
            self.closes.append((message["code"], message["reason"]))
        else:
            self.frames.append(message["bytes"])


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
async def socket_of(wire: Wire) -> AsyncIterator[Callable[..., Socket]]:
    sockets: list[Socket] = []

    def make(**limits: Any) -> Socket:
        on_closed = limits.pop("on_closed", None)
        found = Limits(**{"waiting_bytes": 10_000, "awareness_bytes": 1000, **limits})
        sockets.append(Socket(wire.send, limits=found, on_closed=on_closed))
        return sockets[-1]

    yield make
    for socket in sockets:
        socket.abandon()


async def test_frames_go_out_in_order(wire: Wire, socket_of: Callable[..., Socket]) -> None:
    socket = socket_of()
    frames = [bytes([number]) for number in range(20)]
    for frame in frames:
        socket.put(frame)
    await socket.drained()
    assert wire.frames == frames


async def test_drained_waits_for_what_is_being_sent(wire: Wire, socket_of: Callable[..., Socket]) -> None:
    socket = socket_of()
    wire.open.clear()
    socket.put(b"1")
    waiting = asyncio.ensure_future(socket.drained())
    await asyncio.wait([waiting], timeout=0.02)
    assert not waiting.done()
    wire.open.set()
    await waiting
    assert wire.frames == [b"1"]


async def test_a_silent_client_gets_a_sign_of_life(wire: Wire, socket_of: Callable[..., Socket]) -> None:
    socket_of(keep_alive_seconds=0.05)
    await eventually(lambda: len(wire.frames) >= 3)
    assert set(wire.frames) == {EMPTY_AWARENESS}


async def test_a_client_that_hears_something_needs_no_sign_of_life(
    wire: Wire, socket_of: Callable[..., Socket]
) -> None:
    socket = socket_of(keep_alive_seconds=0.2)
    for _ in range(40):
        socket.put(b"news")
        await asyncio.sleep(0.01)
    assert EMPTY_AWARENESS not in wire.frames
    await eventually(lambda: EMPTY_AWARENESS in wire.frames)


async def test_the_sign_of_life_comes_well_before_stock_clients_give_up() -> None:
    """After 30 s without a message they close. A look that comes early looks again a twentieth later."""
    assert Limits(waiting_bytes=1, awareness_bytes=1).keep_alive_seconds * 1.05 <= 25


async def test_a_client_that_reads_slowly_is_closed_when_too_much_waits(
    wire: Wire, socket_of: Callable[..., Socket]
) -> None:
    socket = socket_of(waiting_bytes=1000, close_seconds=5)
    wire.open.clear()
    socket.put(b"in flight")
    await asyncio.sleep(0)
    item = UpdateFrame.of(bytes(400))
    closed = []
    for _ in range(3):
        socket.put(item)
        closed.append(socket.closed)
    assert closed == [False, False, True]
    wire.open.set()
    await eventually(lambda: wire.closes)
    assert wire.closes[0][0] == 4508
    assert item.frame not in wire.frames


async def test_a_large_answer_is_not_held_against_the_client(wire: Wire, socket_of: Callable[..., Socket]) -> None:
    socket = socket_of(waiting_bytes=1000)
    socket.put(bytes(100_000))
    await socket.drained()
    assert not socket.closed


async def test_a_client_that_never_reads_is_closed(wire: Wire, socket_of: Callable[..., Socket]) -> None:
    ended = asyncio.Event()
    socket = socket_of(keep_alive_seconds=0.02, stall_seconds=0.1, close_seconds=0.05, on_closed=ended.set)
    wire.open.clear()
    socket.put(b"1")
    await asyncio.wait_for(ended.wait(), 5)
    assert socket.closed
    assert wire.closes == []  # it could not even be told


async def test_closing_says_why_once_and_sends_nothing_more(wire: Wire, socket_of: Callable[..., Socket]) -> None:
    ended: list[int] = []
    socket = socket_of(on_closed=lambda: ended.append(1))
    first = socket.close(4404, "ü" * 100)
    assert socket.close(4403, "again") is first
    socket.put(b"late")
    assert first is not None
    await first
    assert wire.closes == [(4404, "ü" * 61)]  # 123 bytes, and no half letter
    assert wire.frames == []
    assert ended == [1]


async def test_what_waits_for_somebody_who_left_is_forgotten(wire: Wire, socket_of: Callable[..., Socket]) -> None:
    socket = socket_of()
    wire.open.clear()
    socket.put(b"1")
    waiting = asyncio.ensure_future(socket.drained())
    await asyncio.sleep(0)
    socket.abandon()
    await waiting
    socket.put(b"2")
    wire.open.set()
    await asyncio.sleep(0.01)
    assert wire.frames == []
    assert wire.closes == []


async def test_a_send_that_says_the_client_is_gone_ends_it_quietly(
    wire: Wire, socket_of: Callable[..., Socket], caplog: pytest.LogCaptureFixture
) -> None:
    socket = socket_of()
    wire.failing = ConnectionResetError()
    socket.put(b"1")
    await eventually(lambda: socket.closed)
    assert not caplog.records


async def test_a_send_that_fails_otherwise_is_logged_and_the_client_comes_again(
    wire: Wire, socket_of: Callable[..., Socket], caplog: pytest.LogCaptureFixture
) -> None:
    socket = socket_of()
    wire.failing = RuntimeError("broken server")
    socket.put(b"1")
    await eventually(lambda: socket.closed)
    assert "broken server" in caplog.text


async def test_a_panic_while_merging_closes_the_socket_and_nothing_else(
    wire: Wire, socket_of: Callable[..., Socket], caplog: pytest.LogCaptureFixture
) -> None:
    socket = socket_of()
    for _ in range(2):
        socket.put(UpdateFrame.of(b"these are no updates"))
    await eventually(lambda: wire.closes)
    assert wire.closes[0][0] == 4503
    assert "could not be written" in caplog.text
