"""A project in the middle of a deploy: two web workers, replaced one after the other, and processes that save.

Clients reach a worker through a load balancer's port, which leads to its successor later.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from pycrdt import Doc
from rest_framework.renderers import JSONRenderer

from rxcrdt.names import LogName
from rxcrdt.protocol import CloseCode
from tests.deploying.clients import Client, by_row
from tests.deploying.saves import Save
from tests.deploying.versions import SERIALIZERS, Version
from tests.deploying.writers import WriterProcess
from tests.kills.equality import Witness, as_text, tables
from tests.kills.proxy import Proxy
from tests.oracle.following import comparable
from tests.servers import ROOT, running_uvicorn
from tests.testapp.models import Library
from ydoc_store import LeaseTimeout, Position, open_store

__all__ = ["Deploy", "Place"]

SECONDS = 60.0
LOOK_EVERY = 0.02
USUAL_SECONDS = 1.0
SERVICE_RESTART, CUT_OFF = 1012, 1006


class Place:
    """One of the load balancer's backends: a worker, and the clients that are there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.proxy = Proxy(None)
        self.clients: list[Client] = []
        self.version: Version = "old"
        self.worker = ExitStack()
        self.port: int | None = None

    def lead_to(self, worker: ExitStack, url: str, version: Version) -> None:
        self.worker, self.version, self.port = worker, version, urlsplit(url).port
        self.proxy.switch(self.port, gently=True)
        for client in self.clients:
            client.version = version


class Deploy:
    """``async with Deploy(…) as deploy:`` begins with two workers of the old version, and a writer of each."""

    def __init__(
        self, library: Library, *, seed: int, bound: float, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.document = f"collection/{library.pk}"
        self.places = [Place("first"), Place("second")]
        self.ghosts_without_kill_sets = 0
        self._library = library
        self._seed = seed
        self._bound = bound
        self._folder = folder
        self._environment = {
            **environment,
            "DJANGO_SETTINGS_MODULE": "tests.deploying.settings",
            "RXCRDT_TEST_LOGS": str(folder),
        }
        self._witness = Witness()
        self._newcomers = 0
        self._had: dict[Client, bytes] = {}  # by those who moved over: their document when they left
        self._lateness: list[float] = []
        self._writers: dict[Version, WriterProcess] = {}
        self._ended: list[WriterProcess] = []
        self._stack = ExitStack()

    # Beginning and end --------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            for place in self.places:
                self._stack.enter_context(place.proxy)
            workers = await asyncio.gather(*(self._start_worker("old") for _ in self.places))
            for place, (worker, url) in zip(self.places, workers, strict=True):
                place.lead_to(worker, url, "old")
            for version in SERIALIZERS:
                await self.start_writer(version)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for version in tuple(self._writers):
                await self.end_writer(version)
        finally:
            await asyncio.gather(*(client.peer.offline() for client in self.clients), return_exceptions=True)
            await asyncio.to_thread(self._stack.close)

    def _environment_of(self, version: Version) -> dict[str, str]:
        return {**self._environment, "RXCRDT_TEST_VERSION": version}

    async def _start_worker(self, version: Version) -> tuple[ExitStack, str]:
        worker = self._stack.enter_context(ExitStack())
        server = running_uvicorn(environment=self._environment_of(version))
        return worker, await asyncio.to_thread(worker.enter_context, server)

    # Writing ------------------------------------------------------------------------------------------------

    async def start_writer(self, version: Version, **environment: str) -> None:
        number = len(self._writers) + len(self._ended)
        self._writers[version] = await WriterProcess.start(
            self._seed * 100 + number,
            self._folder / f"{number}.saves",
            {**self._environment_of(version), **environment},
        )

    async def end_writer(self, version: Version) -> None:
        writer = self._writers.pop(version)
        self._ended.append(writer)
        await writer.end()

    def saves(self) -> list[Save]:
        return [save for writer in (*self._ended, *self._writers.values()) for save in writer.saves]

    async def write(self, count: int) -> None:
        """Until every writer has made so many saves more. They go on."""
        enough = {writer: len(writer.saves) + count for writer in self._writers.values()}
        for writer in enough:
            await writer.write()
        await self.eventually(
            lambda: all(len(writer.saves) >= number for writer, number in enough.items()), f"{count} saves are made"
        )

    async def rest(self) -> None:
        for writer in self._writers.values():
            await writer.rest()

    # Clients ------------------------------------------------------------------------------------------------

    @property
    def clients(self) -> list[Client]:
        return [client for place in self.places for client in place.clients]

    async def open(self, place: Place, *names: str) -> list[Client]:
        clients = [self._client(place, name, place.proxy) for name in names]
        await self._all_synced(clients)
        return clients

    async def open_hopper(self, place: Place) -> tuple[Client, Proxy]:
        """Somebody who is not always led to the same place."""
        proxy = self._stack.enter_context(Proxy(place.port))
        client = self._client(place, "hopper", proxy)
        await self._all_synced([client])
        return client, proxy

    def _client(self, place: Place, name: str, proxy: Proxy) -> Client:
        name, url = f"{place.name}: {name}", f"http://127.0.0.1:{proxy.port}"
        client = Client(name, url, self.document, place.version, self._witness)
        place.clients.append(client)
        return client

    async def hop(self, hopper: tuple[Client, Proxy], place: Place) -> None:
        """Its connection breaks, and the load balancer leads it to ``place``."""
        client, proxy = hopper
        client.leave()
        for other in self.places:
            other.clients = [each for each in other.clients if each is not client]
        place.clients.append(client)
        client.version = place.version
        proxy.switch(place.port)
        await self._all_synced([client])

    async def _all_synced(self, clients: Iterable[Client]) -> None:
        await self.eventually(
            lambda: all(client.peer.synced and client.is_where_it_should_be for client in clients),
            "everybody has got a document",
        )
        for client in clients:
            client.arrive()

    # The deploy ---------------------------------------------------------------------------------------------

    async def replace(self, place: Place) -> None:
        """A new worker takes the place of an old one, which gets a SIGTERM. Its clients come back when some rows that
        they hold are gone."""
        worker, url = await self._start_worker("new")
        await self.stop(place)
        self._had = {client: client.peer.doc.get_update() for client in place.clients}
        held = {row for client in place.clients for row in client.rows}
        await self.eventually(lambda: self._gone() & held, "rows that they hold are gone")
        place.lead_to(worker, url, "new")
        await self._all_synced(place.clients)

    async def stop(self, place: Place) -> None:
        """A SIGTERM; returns when the worker has ended, and its clients have noticed."""
        for client in place.clients:
            client.leave()
        await asyncio.to_thread(place.worker.close)
        await self.eventually(lambda: not any(client.peer.synced for client in place.clients), "they have noticed")

    def _gone(self) -> set[tuple[str, str]]:
        """Rows that will never be in the document again."""
        newest = {row: max(saves, key=lambda save: save.version) for row, saves in by_row(self.saves()).items()}
        return {row for row, save in newest.items() if save.deleted}

    def heads(self) -> dict[str, Position | None]:
        """The document's logs, by schema."""
        with open_store(self._environment["RXCRDT_TEST_STORE"]) as store:
            names = [name for name in store.names() if LogName.parse(name).document == self.document]
            return {LogName.parse(name).schema: store.head(name) for name in names}

    def unused_for(self, schema: str) -> float:
        """For how many seconds nobody has said that this log is open."""
        log = self._log(schema)
        with open_store(self._environment["RXCRDT_TEST_STORE"]) as store:
            return time.time() - store.usage([log])[log].used

    def is_leased(self, schema: str) -> bool:
        """Whether whoever wants to write this log has to wait."""
        log = self._log(schema)
        with open_store(self._environment["RXCRDT_TEST_STORE"]) as store:
            try:
                store.release(log, store.lease(log, since=None, seconds=1, wait=0).token)
            except LeaseTimeout:
                return True
        return False

    def _log(self, schema: str) -> str:
        return str(LogName("", self.document, schema))

    # What must hold -----------------------------------------------------------------------------------------

    async def assert_all_is_well(self) -> None:
        """Writing has stopped. Everybody is to have what his worker's serializer says, and nothing else."""
        expected = {version: await sync_to_async(self._serialized)(version) for version in SERIALIZERS}

        def differing() -> list[str]:
            return [
                client.peer.name
                for client in self.clients
                if as_text(comparable(client.peer.state)) != expected[client.version]
            ]

        await self.eventually(lambda: not differing(), "everybody has what the serializer says", differing)
        for place in self.places:
            await self._assert_nobody_has_more_than_somebody_new(place)
        for client in self.clients:
            peer = client.peer
            assert client.is_where_it_should_be, f"{peer.name} was thrown out: {peer.closes}"
            assert set(peer.closes) <= {SERVICE_RESTART, CloseCode.RESTARTING, CUT_OFF}, f"{peer.name}: {peer.closes}"
            self._witness.saw(peer.name, self.document, peer.doc)
        complaints = list(self._complaints())
        assert not complaints, "\n".join(complaints)

    def _serialized(self, version: Version) -> str:
        serializer = SERIALIZERS[version](Library.objects.get(pk=self._library.pk))
        return as_text(comparable(json.loads(JSONRenderer().render(serializer.data))))

    async def _assert_nobody_has_more_than_somebody_new(self, place: Place) -> None:
        self._newcomers += 1
        (new,) = await self.open(place, f"newcomer {self._newcomers}")
        for client in place.clients:
            assert client.peer.text == new.peer.text, f"{client.peer.name} holds what somebody new does not"
            had = self._had.pop(client, None)
            if had is not None:
                self.ghosts_without_kill_sets += _told_nothing_else(had, new) != new.peer.text

    def _complaints(self) -> Iterator[str]:
        """Nothing fails in a deploy: so whatever a process has to say is too much."""
        for file in sorted(self._folder.glob("*.log")):
            for said in map(json.loads, file.read_text().splitlines()):
                if said["level"] in ("WARNING", "ERROR", "CRITICAL"):
                    yield f"{said['logger']}: {said['message']}\n{said.get('trace', '')}"

    def assert_nobody_was_late(self) -> None:
        """Every save was on every client that was connected within the bound, and half of them within a second."""
        saves, late = by_row(self.saves()), []
        for client in self.clients:
            for save, seconds in client.lateness(saves, self._bound):
                self._lateness.append(seconds)
                if seconds > self._bound:
                    late.append(f"{client.peer.name}, {seconds:.2f} s: {save}")
        assert not late, f"{len(late)} of {len(self._lateness)} were late:\n" + "\n".join(late[:20])
        assert sorted(self._lateness)[len(self._lateness) // 2] < USUAL_SECONDS, self.summary

    async def verify(self, version: Version) -> None:
        """``manage.py rxcrdt verify``, by a process that has seen nothing else."""
        command = [sys.executable, "-m", "django", "rxcrdt", "verify"]
        environment = self._environment_of(version)
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def summary(self) -> str:
        """What happened, for whoever reads the output."""
        seconds = sorted(self._lateness)
        places = {"p50": len(seconds) // 2, "p99": len(seconds) * 99 // 100, "at most": -1}
        figures = ", ".join(f"{seconds[place]:.3f} s ({name})" for name, place in places.items())
        return (
            f"seed {self._seed}: {len(self.saves())} saves were seen {len(seconds)} times, after {figures}; "
            f"{len(self._witness.lineages[self.document])} lineages"
        )

    async def eventually(
        self, condition: Callable[[], object], what: str, details: Callable[[], object] = lambda: ""
    ) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            for client in self.clients:
                client.peer.check()
            assert time.monotonic() < deadline, f"In vain waited {SECONDS:.0f} s until {what}. {details()}"
            await asyncio.sleep(LOOK_EVERY)


def _told_nothing_else(had: bytes, new: Client) -> str:
    """What somebody would hold who had this and was told only what he lacks, as Yjs itself says."""
    doc: Doc[Any] = Doc()
    doc.apply_update(had)
    doc.apply_update(new.peer.doc.get_update(doc.get_state()))
    return as_text(tables(doc))
