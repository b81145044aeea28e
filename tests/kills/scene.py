"""Everybody around a Redis that is about to be killed: two web servers, two processes that save, clients of all kinds.

Whatever happened to Redis, ``assert_all_is_well`` says what must hold once writing has stopped.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from asgiref.sync import sync_to_async

from rxcrdt.protocol import parse_state_vector
from rxcrdt.snapshots import serialized
from tests.kills.complaints import unexpected
from tests.kills.equality import Witness, as_text, filled
from tests.kills.fleet import VERSIONS, Fleet, Report
from tests.kills.peers import Peer
from tests.oracle.following import comparable
from tests.oracle.operations import Writer
from tests.servers import ROOT, running_uvicorn
from tests.testapp.models import Library

__all__ = ["Scene", "populate"]

SECONDS = 30.0
LOOK_EVERY = 0.05


def populate(seed: int) -> list[str]:
    """Rows to begin with; returns the documents' names."""
    Writer(seed).populate()
    return [f"library/{pk}" for pk in Library.objects.values_list("pk", flat=True)]


class Scene:
    """``async with Scene(…) as scene:``. ``store`` and ``layer`` are what the processes are told as their Redis.

    Those who ``stay`` never let go; ``sleepers`` go offline before the first kill, some of them until the end;
    ``hoppers`` come and go.
    """

    def __init__(
        self,
        documents: list[str],
        *,
        seed: int,
        store: str,
        layer: str | None,
        reconcile_seconds: float,
        environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        self.documents = documents
        self.random = random.Random(seed)
        self.witness = Witness()
        self.peers: dict[str, Peer] = {}
        self.stay: list[Peer] = []
        self.sleepers: list[Peer] = []
        self.hoppers: list[Peer] = []
        self.yjs_stay: list[str] = []
        self.yjs_sleepers: list[str] = []
        self.written: list[dict[str, int]] = []
        self._seed = seed
        self._folder = folder
        self._environment = {
            **environment,
            "DJANGO_SETTINGS_MODULE": "tests.kills.settings",
            "RXCRDT_TEST_STORE": store,
            "RXCRDT_TEST_LOGS": str(folder),
            "RXCRDT_TEST_SETTINGS": json.dumps({"RECONCILE_SECONDS": reconcile_seconds}),
        }
        if layer is not None:
            self._environment["RXCRDT_TEST_REDIS"] = layer
        self._stack = ExitStack()
        self._writers: list[asyncio.subprocess.Process] = []

    # Beginning and end --------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._fleet = await Fleet.start()
        try:
            starting = [asyncio.to_thread(self._start_server) for _ in range(2)]
            for number in range(2):
                self._writers.append(await self._start_writer(self._seed * 100 + number))
            self.urls = list(await asyncio.gather(*starting))
            for writer in self._writers:
                await _line(writer)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(peer.offline() for peer in self.peers.values()), return_exceptions=True)
        await self._fleet.close()
        for writer in self._writers:
            await _end(writer)
        await asyncio.to_thread(self._stack.close)

    def _start_server(self) -> str:
        return self._stack.enter_context(running_uvicorn(environment=self._environment))

    async def _start_writer(self, seed: int) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "tests.kills.writer", str(seed)]
        return await asyncio.create_subprocess_exec(*command, env=self._environment, cwd=ROOT, stdin=pipe, stdout=pipe)

    async def write(self) -> None:
        for writer in self._writers:
            await _tell(writer, "w")

    async def rest(self) -> None:
        """Returns when the last save was made, and nothing waits to be flushed any more."""
        for writer in self._writers:
            await _tell(writer, "r")
        self.written = [await _line(writer) for writer in self._writers]

    # Clients ------------------------------------------------------------------------------------------------

    async def open_everybody(self) -> None:
        for number, document in enumerate(self.documents):
            here, there = self.random.sample(self.urls, 2)
            self.stay += [self._peer("stays here", here, document), self._peer("stays there", there, document)]
            self.sleepers += [self._peer(f"sleeper {part}", here, document) for part in range(2)]
            self.hoppers.append(self._peer("hopper", there, document))
            self.yjs_stay.append(await self._open_yjs("stays", there, document, number))
            for part in range(2):
                self.yjs_sleepers.append(await self._open_yjs(f"sleeper {part}", here, document, number + 1 + part))
        await self.eventually(self._all_synced, "everybody has got his document")
        await self.eventually_yjs(lambda report: report.synced, "and so have all y-websocket clients")

    def _peer(self, name: str, url: str, document: str) -> Peer:
        peer = Peer(name, url, document, self.witness)
        self.peers[peer.name] = peer
        peer.online()
        return peer

    async def _open_yjs(self, name: str, url: str, document: str, number: int) -> str:
        version = VERSIONS[number % len(VERSIONS)]
        name = f"y-websocket {version} {name} of {document}"
        await self._fleet.open(name, url, document, version)
        return name

    def _all_synced(self) -> bool:
        return all(peer.synced for peer in self.peers.values())

    async def send_sleepers_away(self) -> None:
        for peer in self.sleepers:
            await peer.offline()
        await self._fleet.offline(self.yjs_sleepers)

    async def wake(self, which: slice) -> None:
        for peer in self.sleepers[which]:
            peer.online()
        await self._fleet.online(self.yjs_sleepers[which])

    async def hop(self) -> None:
        """One of those who come and go does."""
        peer = self.random.choice(self.hoppers)
        if peer.is_online:
            await peer.offline()
        else:
            peer.online()

    async def gather(self) -> None:
        """Everybody who is away comes back."""
        for peer in self.peers.values():
            if not peer.is_online:
                peer.online()
        await self._fleet.online(self.yjs_sleepers)

    async def open_newcomers(self) -> None:
        for number, document in enumerate(self.documents):
            for url in self.urls:
                self._peer(f"new at {url}", url, document)
            await self._open_yjs("new", self.urls[0], document, number)

    @property
    def summary(self) -> str:
        """What happened, for whoever reads a failure."""
        lineages = {document: len(epochs) for document, epochs in sorted(self.witness.lineages.items())}
        told = sum(peer.updates for peer in self.peers.values())
        return (
            f"seed {self._seed}; lineages {lineages}; saved {self.written}; clients were told {told} updates; "
            f"{self.witness.agreed} times two were found at one point"
        )

    # Waiting ------------------------------------------------------------------------------------------------

    async def progress(self) -> None:
        """Until somebody who stays, anybody, has heard a few more of the changes."""
        peer = self.random.choice(self.stay)
        enough = peer.updates + self.random.randint(1, 4)
        await self.eventually(lambda: peer.updates >= enough, f"{peer.name} hears of saves")

    async def eventually(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            for peer in self.peers.values():
                peer.check()
            assert time.monotonic() < deadline, f"In vain waited {SECONDS:.0f} s until {what}."
            await asyncio.sleep(LOOK_EVERY)

    async def eventually_yjs(self, condition: Callable[[Report], object], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while left := [name for name, report in (await self._fleet.report()).items() if not condition(report)]:
            assert time.monotonic() < deadline, f"In vain waited {SECONDS:.0f} s until {what}: {left}"
            await asyncio.sleep(LOOK_EVERY)

    # What must hold -----------------------------------------------------------------------------------------

    async def assert_all_is_well(self) -> None:
        """Writing has stopped. Everybody is to have what the database has, and nothing else."""
        expected = {document: await self._expected(document) for document in self.documents}
        await self._assert_equal_to_the_database(expected)
        await self._assert_no_ghosts()
        for peer in self.stay:
            assert peer.connections == 1, f"{peer.name} was thrown out: {peer.closes}"
        reports = await self._fleet.report()
        for name in self.yjs_stay:
            assert reports[name].attempts == 1, f"{name} was thrown out: {reports[name].closes}"
        denied = [peer.name for peer in self.peers.values() if peer.denied]
        denied += [name for name, report in reports.items() if report.denied]
        assert not denied, (
            f"these said nothing that they had not been told, and were warned that they may not: {denied}"
        )
        for done in self.written:
            assert done["waiting"] == 0, "changes were never flushed"
            assert done["written"] > sum(done.values()) / 2, f"hardly any save went well: {done}"
        complaints = unexpected(self._folder)
        assert not complaints, "\n".join(complaints)

    async def _expected(self, document: str) -> str:
        state = await sync_to_async(serialized)(*document.split("/"))
        return as_text(comparable(state))

    async def _assert_equal_to_the_database(self, expected: Mapping[str, str]) -> None:
        def differing() -> Iterator[str]:
            for peer in self.peers.values():
                if as_text(comparable(peer.state)) != expected[peer.document]:
                    yield peer.name

        try:
            await self.eventually(lambda: not any(differing()), "everybody has what the database has")
        except AssertionError as error:
            raise AssertionError(f"{error} Not these: {list(differing())}") from None

        def is_equal(report: Report) -> bool:
            document = f"library/{report.state['id']}" if report.state else ""
            return document in expected and as_text(comparable(report.state)) == expected[document]

        await self.eventually_yjs(is_equal, "every y-websocket client has what the database has")

    async def _assert_no_ghosts(self) -> None:
        """Nobody holds a node that somebody new has not; where state vectors are equal, everything else is, too."""
        reports = await self._fleet.report()
        held = [
            (peer.name, peer.document, parse_state_vector(peer.doc.get_state()), peer.text)
            for peer in self.peers.values()
        ]
        for name, report in reports.items():
            held.append((name, f"library/{report.state['id']}", report.vector, as_text(filled(report.tables))))
        fresh = {document: text for name, document, _, text in held if name.startswith("new at")}
        by_vector: dict[tuple[str, frozenset[tuple[int, int]]], tuple[str, str]] = {}
        for name, document, vector, text in held:
            assert text == fresh[document], f"{name} holds what somebody new does not: {text}\n{fresh[document]}"
            other, others = by_vector.setdefault((document, frozenset(vector.items())), (name, text))
            assert text == others, f"{name} and {other} have equal state vectors, and differ"

    async def verify(self) -> None:
        """``manage.py rxcrdt verify``: what the store has, compared by a process that has seen nothing else."""
        command = [sys.executable, "-m", "django", "rxcrdt", "verify"]
        done = await asyncio.to_thread(
            subprocess.run, command, env=self._environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{len(self.documents)} equal" in done.stdout


async def _tell(writer: asyncio.subprocess.Process, command: str) -> None:
    assert writer.stdin is not None
    writer.stdin.write(command.encode())
    await writer.stdin.drain()


async def _end(writer: asyncio.subprocess.Process) -> None:
    """Politely, unless it is in the middle of waiting for a Redis that a failed test left behind."""
    assert writer.stdin is not None
    writer.stdin.close()
    try:
        async with asyncio.timeout(5):
            await writer.wait()
    except TimeoutError:
        writer.kill()
        await writer.wait()


async def _line(writer: asyncio.subprocess.Process) -> Any:
    assert writer.stdout is not None
    line = await writer.stdout.readline()
    assert line, "a process that writes has ended; see what it printed above"
    return json.loads(line)
