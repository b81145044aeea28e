"""The sockets over real servers: what TCP does to a slow reader, and several processes with one document."""

from __future__ import annotations

import asyncio
import os
import socket as sockets
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import uvicorn
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import override_settings
from pycrdt import Doc, Map
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from rxcrdt import conf, consumers, documents
from rxcrdt.asgi import websocket_application
from rxcrdt.awareness import NULL, Entry, encode_entries, parse_entries
from rxcrdt.protocol import (
    AwarenessUpdate,
    Message,
    SyncStep2,
    SyncUpdate,
    decode,
    encode_awareness,
    encode_step1,
)
from tests.conditions import eventually, until
from tests.servers import ROOT, free_port, running_uvicorn
from tests.testapp.models import Library
from ydoc_store import open_store

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


class Remote:
    """A client over TCP: synchronises, and then reads for itself."""

    def __init__(self, url: str, document: str) -> None:
        self.url = f"{url.replace('http', 'ws', 1)}/ws/{document}"
        self.doc: Doc[Any] = Doc()
        self.messages: list[Message] = []
        self.connection: ClientConnection | None = None
        self.reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.connection = await connect(self.url, compression=None)
        await self.send(encode_step1(self.doc.get_state()))
        self.reading = asyncio.create_task(self._read(self.connection))
        await eventually(lambda: self.messages)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.connection is not None
        assert self.reading is not None
        await self.connection.close()
        await self.reading

    async def send(self, frame: bytes) -> None:
        assert self.connection is not None
        await self.connection.send(frame)

    async def _read(self, connection: ClientConnection) -> None:
        try:
            async for frame in connection:
                message = decode(bytes(frame), max_bytes=2**30)  # type: ignore[arg-type] # never a str
                self.messages.append(message)
                if isinstance(message, SyncStep2 | SyncUpdate):
                    self.doc.apply_update(message.update)
        except ConnectionClosed:
            return

    @property
    def code(self) -> int | None:
        assert self.connection is not None
        return self.connection.close_code

    @property
    def title(self) -> Any:
        (library,) = (self.doc.get("Library", type=Map).to_py() or {}).values()
        return library["title"]

    @property
    def present(self) -> dict[int, bytes]:
        """Client id → its state, of those who are here."""
        states: dict[int, Entry] = {}
        for message in self.messages:
            if isinstance(message, AwarenessUpdate):
                states.update((entry.client, entry) for entry in parse_entries(message.payload))
        return {client: entry.state for client, entry in states.items() if entry.state != NULL}


# One server in this process


class Served:
    """uvicorn in a thread, as ``make demo`` starts it, with this process's documents and settings."""

    def __enter__(self) -> str:
        self.listening = sockets.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            websocket_application(),
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            log_level="error",
            lifespan="off",
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.listening],))
        self.thread.start()
        until(lambda: self.server.started)
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.listening.close()
        assert not self.thread.is_alive()


@pytest.fixture
async def served() -> AsyncIterator[str]:
    server = Served()
    yield await asyncio.to_thread(server.__enter__)
    await asyncio.to_thread(server.__exit__)
    assert not consumers._connections()
    await eventually(lambda: not documents._shelf.pins)


@pytest.fixture(autouse=True)
async def no_connection_is_left(transactional_db: None) -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()  # that of the thread of ``asave``, which PostgreSQL would miss


@pytest.fixture
def library(transactional_db: None) -> Library:
    return Library.objects.create(name="Bodleian")


@pytest.fixture
def document(library: Library) -> str:
    return f"library/{library.pk}"


async def test_codes_reach_a_client_over_tcp(served: str, document: str) -> None:
    async with connect(f"{served.replace('http', 'ws')}/ws/library/4711") as connection:
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        assert (connection.close_code, connection.close_reason) == (4404, "There is no such document.")
    async with Remote(served, document) as client:
        assert client.connection is not None
        await client.connection.send("text")
        await eventually(lambda: client.code == 4422)


async def test_a_reader_that_stops_is_closed_and_others_notice_nothing(library: Library, document: str) -> None:
    """Its socket's buffers fill, then ours, up to the setting; then it is closed, and may synchronise anew."""
    settings = {"STORE": "memory://", "MAX_SOCKET_BYTES": 200_000}
    with override_settings(RXCRDT=settings):
        server = Served()
        url = await asyncio.to_thread(server.__enter__)
        try:
            async with Remote(url, document) as reader:
                with _stopped(url, document) as stopped:
                    await eventually(lambda: len(consumers._connections()) == 2)
                    for number in range(500):
                        await _write(library, f"{number}", ballast=20_000)
                        await eventually(lambda number=number: reader.title == f"{number}")  # type: ignore[misc]
                        if any(connection._socket.closed for connection in consumers._connections()):
                            break
                    assert number > 10  # not at the first one
                    await eventually(lambda: len(consumers._connections()) == 1)
                    assert stopped.fileno() > 0  # it is our end that ended it
                await _write(library, "after")
                await eventually(lambda: reader.title == "after")
        finally:
            await asyncio.to_thread(server.__exit__)


def _stopped(url: str, document: str) -> sockets.socket:
    """A client that asks, and never reads an answer."""
    host, port = url.removeprefix("http://").split(":")
    connection = sockets.socket()
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    connection.sendall(
        f"GET /ws/{document} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in connection.recv(12)
    connection.sendall(bytes([0x82, 0x84, 0, 0, 0, 0]) + bytes.fromhex("00000100"))
    return connection


async def _write(library: Library, name: str, *, ballast: int = 0) -> None:
    library.name, library.extra = name, {"ballast": name.ljust(ballast)}
    await library.asave()


# Another server


@contextmanager
def running_daphne(environment: Mapping[str, str]) -> Iterator[str]:
    """The server that ``manage.py runserver`` becomes with daphne installed."""
    port = free_port()
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0", "tests.asgi:application"]
    server = subprocess.Popen(command, env=dict(environment), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        _, complaints = server.communicate(timeout=20)
    assert "Traceback" not in complaints, complaints


def _listens(port: int) -> bool:
    with sockets.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_daphne_serves_it_as_well(library: Library, document: str, shared: dict[str, str]) -> None:
    with running_daphne(shared) as url:
        async with Remote(url, document) as client, Remote(url, document) as other:
            await _write(library, "renamed")
            await eventually(lambda: client.title == other.title == "renamed")
            await client.send(b"")
            await eventually(lambda: client.code == 4422)
            await _write(library, "again")
            await eventually(lambda: other.title == "again")
        async with connect(f"{url.replace('http', 'ws')}/ws/library/4711") as connection:
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            assert connection.close_code == 4404


# Several processes


@pytest.fixture
def shared(tmp_path: Path, child_environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """This process writes to the store that the servers read."""
    url = f"sqlite:///{tmp_path}/documents.sqlite3"
    with open_store(url) as store:
        conf.use_store(store)
        yield {**child_environment, "RXCRDT_TEST_STORE": url}
        conf.use_store(None)


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, environment: dict[str, str], *, port: int | None = None) -> str:
    return stack.enter_context(running_uvicorn(environment=environment, port=port))


async def test_without_a_channel_layer_the_store_alone_brings_saves_to_every_process(
    library: Library, document: str, shared: dict[str, str], servers: ExitStack
) -> None:
    """Three processes, one SQLite file: a save in the third is in both others within a second."""
    first, second = start(servers, shared), start(servers, shared)
    async with Remote(first, document) as here, Remote(second, document) as there:
        for number in range(10):
            library.name = f"{number}"
            await library.asave()
            async with asyncio.timeout(1):
                await eventually(lambda number=number: here.title == there.title == f"{number}")  # type: ignore[misc]


async def test_over_a_channel_layer_presence_is_shared_and_ids_keep_their_owners(
    library: Library, document: str, shared: dict[str, str], servers: ExitStack, redis_url: str
) -> None:
    environment = {**shared, "RXCRDT_TEST_REDIS": redis_url}
    first, second = start(servers, environment), start(servers, environment)

    def awareness(*entries: Entry) -> bytes:
        return encode_awareness(encode_entries(entries))

    async with Remote(first, document) as anna:
        await anna.send(awareness(Entry(1, 0, b'"anna"')))
        await eventually(lambda: anna.present == {1: b'"anna"'})
        async with Remote(second, document) as bert:
            await eventually(lambda: bert.present == {1: b'"anna"'})  # told by the other process
            await bert.send(awareness(Entry(1, 5, b'"a lie"'), Entry(2, 0, b'"bert"')))
            await eventually(lambda: anna.present == bert.present == {1: b'"anna"', 2: b'"bert"'})
        await eventually(lambda: anna.present == {1: b'"anna"'})


async def test_a_server_that_is_killed_takes_nothing_along(
    library: Library, document: str, shared: dict[str, str]
) -> None:
    port = free_port()
    with ExitStack() as first:
        url = start(first, shared, port=port)
        client = Remote(url, document)
        await client.__aenter__()
    await eventually(lambda: client.code is not None)
    assert client.code is not None
    assert not 4400 <= client.code <= 4499  # it will come again
    library.name = "meanwhile"
    await library.asave()
    with ExitStack() as second:
        again = Remote(start(second, shared, port=port), document)
        again.doc = client.doc
        async with again:
            await eventually(lambda: again.title == "meanwhile")
            assert isinstance(again.messages[0], SyncStep2)
            assert len(again.messages[0].update) < 200  # what it lacks, not the document


async def test_processes_that_are_forked_with_documents_open_serve_for_themselves(
    library: Library, document: str, shared: dict[str, str]
) -> None:
    """A pre-forking server: what the parent had open is not the child's."""
    opened = await sync_to_async(documents.open)(document)

    def in_child() -> bytes:
        async def main() -> bytes:
            from rxcrdt.testing import Client

            async with Client(document) as client:
                assert client.state is not None
                return str(client.state["title"]).encode()

        return asyncio.run(main())

    found = await asyncio.to_thread(_forked, in_child)
    await sync_to_async(documents.close)(opened)
    assert found == b"Bodleian"


def _forked(work: Any) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return found
