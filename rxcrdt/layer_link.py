"""One process's connection to a channel layer: one channel, on one event loop in a thread of its own.

One subscription a process, not one a socket. The thread starts when the first message is sent or the first
topic joined, and is a daemon: it keeps no process alive. So many messages may wait, further ones are dropped.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from rxcrdt.awareness import Entry as AwarenessEntry
from rxcrdt.awareness import Owner, parse_entries
from rxcrdt.outages import Outage
from ydoc_store import Entry, Position

__all__ = ["Layer", "LayerLink", "Subscriber"]

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000  # messages; of 64 KiB at most, and of some 100 bytes as a rule
CALL_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0
JOIN_AGAIN_SECONDS: Final = 3600.0  # channels_redis forgets the members of a group after a day
AT_EXIT_SECONDS: Final = 1.0


class Layer(Protocol):
    """What is used of a channel layer."""

    async def new_channel(self, prefix: str = ..., /) -> str: ...
    async def receive(self, channel: str, /) -> dict[str, Any]: ...
    async def group_add(self, group: str, channel: str, /) -> None: ...
    async def group_discard(self, group: str, channel: str, /) -> None: ...
    async def group_send(self, group: str, message: dict[str, Any], /) -> None: ...


class Subscriber(Protocol):
    """Whoever has a document open. Called in the link's thread: must not block."""

    def joined(self) -> None:
        """From now on everything is heard; what was said before, or during an outage, was not."""

    def entries_came(self, entries: Sequence[Entry]) -> None:
        """Entries of the log; with none, the log may have some that did not come."""

    def awareness_came(self, owner: Owner, entries: Sequence[AwarenessEntry]) -> None: ...

    def awareness_asked(self) -> None: ...


class LayerLink:
    """For any thread: methods never raise, and return at once, but for ``flush`` and ``close``."""

    def __init__(self, make_layer: Callable[[], Layer], *, process: str) -> None:
        self._make_layer = make_layer
        self._process = process
        self._subscribers: dict[str, list[Subscriber]] = {}
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._unsent = 0
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._channel: str | None = None
        self._closed = False
        self._to_send, self._to_listen, self._to_join = asyncio.Event(), asyncio.Event(), asyncio.Event()
        meaning = "Other processes follow by polling (RXCRDT['POLL_SECONDS']); presence is not shared with them."
        self._sending = Outage(logger, "Sending over the channel layer", meaning)
        self._listening = Outage(logger, "Listening to the channel layer", meaning)

    # From any thread ----------------------------------------------------------------------------------------

    def send(self, topic: str, message: dict[str, Any]) -> None:
        with self._lock:
            if self._closed:
                return
            if len(self._waiting) >= MAX_WAITING:
                self._sending.failed(OverflowError(f"{MAX_WAITING} messages wait already"))
                return
            self._waiting.append((topic, message))
            self._unsent += 1
            self._start()
        self._stir()

    def join(self, topic: str, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers.setdefault(topic, []).append(subscriber)
            self._start()
        self._stir()

    def leave(self, topic: str, subscriber: Subscriber) -> None:
        with self._lock:
            subscribers = self._subscribers.get(topic, [])
            if subscriber in subscribers:
                subscribers.remove(subscriber)
            if not subscribers:
                self._subscribers.pop(topic, None)
        self._stir()

    def flush(self, seconds: float) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._unsent, seconds)

    def close(self) -> None:
        """Ends the thread. What was not sent is dropped."""
        with self._lock:
            self._closed = True
            thread, loop, main = self._thread, self._loop, self._main
        if thread is not None and loop is not None and main is not None:
            self._call(loop, main.cancel)
            thread.join(CALL_SECONDS)

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="rxcrdt-relay", daemon=True)
            self._thread.start()
            atexit.register(self._at_exit, os.getpid())

    def _at_exit(self, process: int) -> None:
        if process == os.getpid():
            self.flush(AT_EXIT_SECONDS)

    def _stir(self) -> None:
        with self._lock:
            loop = self._loop
        if loop is not None:
            self._call(loop, self._wake)

    def _wake(self) -> None:
        for event in (self._to_send, self._to_listen, self._to_join):
            event.set()

    @staticmethod
    def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
        try:
            loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed: the link is
            logger.debug("The channel layer's event loop has ended.")

    # In the link's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            logger.debug("The link to the channel layer was closed.")
        except Exception:
            logger.exception("The link to the channel layer broke. Other processes follow by polling.")
        finally:
            with self._lock:
                self._closed, self._loop, self._unsent = True, None, 0
                self._waiting.clear()
                self._lock.notify_all()

    async def _serve(self) -> None:
        layer = self._make_layer()
        with self._lock:
            self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
            if self._closed:
                return
        self._wake()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_all(layer))
            tasks.create_task(self._listen(layer))
            tasks.create_task(self._keep_joined(layer))

    async def _send_all(self, layer: Layer) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while self._waiting:
                topic, message = self._waiting.popleft()
                try:
                    async with asyncio.timeout(CALL_SECONDS):
                        await layer.group_send(_group(topic), self._addressed(topic, message))
                    self._sending.worked()
                except Exception as error:  # noqa: BLE001 - said by the outage
                    self._sending.failed(error)
                with self._lock:
                    self._unsent -= 1
                    self._lock.notify_all()

    def _addressed(self, topic: str, message: dict[str, Any]) -> dict[str, Any]:
        return {**message, "type": "rxcrdt.relay", "topic": topic, "process": self._process}

    async def _listen(self, layer: Layer) -> None:
        while True:
            try:
                while not self._subscribers:
                    self._to_listen.clear()
                    await self._to_listen.wait()
                self._channel = await layer.new_channel("rxcrdt")
                self._to_join.set()
                while True:
                    message = await layer.receive(self._channel)
                    self._listening.worked()
                    self._take(message)
            except Exception as error:  # noqa: BLE001 - said by the outage
                self._channel = None
                self._listening.failed(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _keep_joined(self, layer: Layer) -> None:
        """Keeps the channel a member of exactly the groups of the topics that somebody wants to hear of."""
        joined: set[str] = set()
        channel: str | None = None
        while True:
            self._to_join.clear()
            if channel != self._channel:
                joined, channel = set(), self._channel
            try:
                if channel is not None:
                    async with asyncio.timeout(CALL_SECONDS):
                        await self._join_and_leave(layer, channel, joined)
            except Exception as error:  # noqa: BLE001 - said by the outage
                self._listening.failed(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                async with asyncio.timeout(JOIN_AGAIN_SECONDS):
                    await self._to_join.wait()
            except TimeoutError:
                joined.clear()

    async def _join_and_leave(self, layer: Layer, channel: str, joined: set[str]) -> None:
        with self._lock:
            wanted = set(self._subscribers)
        for topic in joined - wanted:
            await layer.group_discard(_group(topic), channel)
            joined.discard(topic)
        for topic in wanted - joined:
            await layer.group_add(_group(topic), channel)
            joined.add(topic)
            for subscriber in self._of(topic):
                subscriber.joined()

    def _of(self, topic: str) -> tuple[Subscriber, ...]:
        with self._lock:
            return tuple(self._subscribers.get(topic, ()))

    def _take(self, message: Mapping[str, Any]) -> None:
        try:
            if message["process"] == self._process:
                return
            for subscriber in self._of(message["topic"]):
                _hand(subscriber, message)
        except Exception:
            logger.exception("A message of another process could not be understood, and is ignored.")


def _hand(subscriber: Subscriber, message: Mapping[str, Any]) -> None:
    match message["kind"]:
        case "entry":
            position = Position(message["epoch"], message["sequence"])
            update = message.get("update")
            subscriber.entries_came(() if update is None else (Entry(position=position, update=update),))
        case "awareness":
            owner = Owner(message["process"], message["socket"], message["user"])
            subscriber.awareness_came(owner, parse_entries(message["entries"], max_entries=100_000))
        case "who":
            subscriber.awareness_asked()


def _group(topic: str) -> str:
    """Group names are short and ASCII, and documents' names are not."""
    return f"rxcrdt.{hashlib.sha256(topic.encode()).hexdigest()[:40]}"
