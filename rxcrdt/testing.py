"""For a project's own tests: a Yjs client in the same process, over the real application, without a server.

    async with Client("board/12", user=user) as client:
        await sync_to_async(task.save)()
        await client.settle()
        assert client.state["columns"][0]["tasks"][0]["title"] == "Ship it"

The client's socket works in threads, which see committed rows only: use ``TransactionTestCase`` or
pytest-django's ``transaction=True``. See ``docs/testing.md``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

from pycrdt import Doc

from rxcrdt import conf, layout, tenants, workers
from rxcrdt.asgi import websocket_application
from rxcrdt.asserting import TIMEOUT, assert_projected, own_store
from rxcrdt.denormalize import denormalize
from rxcrdt.exceptions import Refused
from rxcrdt.lib0 import Reader
from rxcrdt.lobby import lobby
from rxcrdt.protocol import MessageType, SyncType, encode_step1, encode_step2, encode_update
from rxcrdt.values import Json

__all__ = ["Client", "Verdict", "assert_projected", "own_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the server said of something that this client wrote."""

    outcome: Literal["refused"]
    reason: str


class Client:
    """A Yjs client of one document, for ``async with``. Speaks what y-websocket speaks.

    ``user`` is who it is, whatever authenticates otherwise; ``token``, ``cookies`` and ``origin`` go through
    authentication instead. ``doc`` is the client's own document; give one to come back with old state. ``namespace``
    is the tenant, where there are several.

    A refusal raises ``rxcrdt.exceptions.Refused`` with the close code: when entering, and from ``settle``.
    """

    def __init__(
        self,
        document: str,
        *,
        user: Any = None,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        origin: str | None = None,
        subprotocols: Iterable[str] = (),
        doc: Doc[Any] | None = None,
        namespace: str | None = None,
    ) -> None:
        self.document = document
        self.doc: Doc[Any] = Doc() if doc is None else doc
        self.verdicts: list[Verdict] = []
        self._user = user
        self._query = urlencode({"token": token}) if token is not None else ""
        self._headers = _headers(cookies or {}, origin)
        self._subprotocols = list(subprotocols)
        self._namespace = namespace
        self._socket: Any = None
        self._pump: asyncio.Task[None] | None = None
        self._synced = 0  # how many answers to our step 1 have come
        self._closed: Refused | None = None
        self._news = asyncio.Event()
        self._applying = False
        self._subscription = self.doc.observe(self._changed)

    async def __aenter__(self) -> Self:
        try:
            await self.online()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.offline()
        self.doc.unobserve(self._subscription)

    # What it holds ------------------------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Json] | None:
        """The document as nested data, as the serializer gives it; None if its row is gone."""
        meta = layout.read_root(self.doc, layout.META)
        if "layers" not in meta:
            return None
        layers: Mapping[str, Any] = meta["layers"]
        tables = [*layers, *(f"{name}.{field}" for name in layers for field in layers[name]["many"])]
        return denormalize(layout.read(self.doc, tables), meta)

    # Its connection -----------------------------------------------------------------------------------------

    async def online(self) -> None:
        """Connects, and returns when it has all that the server has. Raises Refused."""
        from channels.testing import WebsocketCommunicator  # needs daphne, which assert_projected does not

        path = f"{quote(conf.settings().path + self.document)}?{self._query}"
        self._socket = WebsocketCommunicator(
            websocket_application(), path, headers=self._headers, subprotocols=self._subprotocols
        )
        if self._user is not None:
            self._socket.scope["_force_auth_user"] = self._user
        self._socket.scope[tenants.SCOPE] = self._namespace
        self._closed = None
        accepted, _ = await self._socket.connect(timeout=TIMEOUT)
        assert accepted, "the application accepts before it decides"
        self._pump = asyncio.create_task(self._read())
        await self._synchronise()

    async def offline(self) -> None:
        """Disconnects. ``doc`` may be changed meanwhile; the server gets it at ``online``."""
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump
            await self._socket.disconnect(timeout=TIMEOUT)
        # Nothing may go on behind the back of a test that is over.
        await asyncio.to_thread(workers.wait_for_all, TIMEOUT)

    async def settle(self) -> None:
        """Returns when everything that was committed before is here, whichever process wrote it."""
        for room in lobby().rooms():
            if room.name == self.document:
                await workers.run(room.document.catch_up)
        await self._synchronise()

    async def _synchronise(self) -> None:
        """A question and its answer; whatever was on its way comes before the answer."""
        synced = self._synced
        await self._send(encode_step1(self.doc.get_state()))
        await self.wait_for(lambda: self._synced > synced)

    async def wait_for(self, condition: Callable[[], bool], *, timeout: float = TIMEOUT) -> None:  # noqa: ASYNC109
        """Returns when ``condition`` holds, which is looked at whenever a message came. Raises Refused."""
        async with asyncio.timeout(timeout):
            while not condition():
                if self._closed is not None:
                    raise self._closed
                if self._pump is not None and self._pump.done():
                    self._pump.result()
                self._news.clear()
                await self._news.wait()

    # Messages -----------------------------------------------------------------------------------------------

    async def _send(self, frame: bytes) -> None:
        await self._socket.send_to(bytes_data=frame)

    def _changed(self, event: Any) -> None:
        """Our own change goes to the server, if there is a connection."""
        if not self._applying and self._pump is not None:
            self._socket.input_queue.put_nowait({"type": "websocket.receive", "bytes": encode_update(event.update)})

    async def _read(self) -> None:
        while True:
            message = await self._socket.output_queue.get()
            if message["type"] == "websocket.close":
                self._closed = Refused(message.get("code", 1000), message.get("reason", ""))
            else:
                await self._take(message["bytes"])
            self._news.set()

    async def _take(self, frame: bytes) -> None:
        reader = Reader(frame)
        kind = reader.varuint()
        if kind == MessageType.SYNC:
            await self._take_sync(reader.varuint(), reader.bytes())
        elif kind == MessageType.AUTH:
            reader.varuint()
            self.verdicts.append(Verdict(outcome="refused", reason=reader.bytes().decode()))

    async def _take_sync(self, kind: int, payload: bytes) -> None:
        if kind == SyncType.STEP_1:
            await self._send(encode_step2(self.doc.get_update(payload)))
            return
        self._applying = True
        try:
            self.doc.apply_update(payload)
        finally:
            self._applying = False
        if kind == SyncType.STEP_2:
            self._synced += 1


def _headers(cookies: Mapping[str, str], origin: str | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"host", b"testserver")]
    if cookies:
        headers.append((b"cookie", "; ".join(f"{name}={value}" for name, value in cookies.items()).encode()))
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return headers
