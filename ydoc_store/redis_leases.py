"""Leases in Redis: one holder a name, and a line of threads and processes that wait. The clock is the server's."""

from __future__ import annotations

import os
import random
import time
import uuid
from contextlib import suppress
from threading import Condition
from typing import Any

from ydoc_store import messages
from ydoc_store import redis_scripts as scripts
from ydoc_store.exceptions import LeaseTimeout, StoreError
from ydoc_store.redis_client import Client
from ydoc_store.redis_keys import Keys
from ydoc_store.redis_scripts import Call
from ydoc_store.values import Position

_ALIVE = 1.0  # seconds after which a waiter that said nothing counts as dead, and is passed over
_POLL = 0.0005  # seconds between the first looks of the first in line
_SLOWEST_POLL = 0.02
_SOON = 0.1  # seconds after which a waiter looks less often


class Leases:
    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._changed = Condition()  # a lease was given back in this process: see `tell_waiters`
        self._waiting = 0

    def _own_process(self) -> None:
        """A forked child must not wait for locks of threads that only its parent has."""
        if self._process != os.getpid():
            self._start()

    def take(self, name: str, *, since: Position | None, seconds: float, wait: float) -> tuple[str, Any]:
        """The token of a new lease, and what lease.lua has read: see there. Raises LeaseTimeout."""
        self._own_process()
        token = uuid.uuid4().hex
        deadline = time.monotonic() + wait
        call = self._call(name, token, since, seconds, stay=wait > 0)
        granted = False
        try:
            answer = self._ask(name, call)
            began = time.monotonic()
            while answer[0] == b"busy" and (left := deadline - time.monotonic()) > 0:
                self._pause(answer[2], time.monotonic() - began, left)
                answer = self._ask(name, call)
            granted = answer[0] == b"granted"
            if granted and answer[1][0] == b"restarted":  # as `RedisStore._ask`
                self._client.doubt()
                answer = self._ask(name, call)
        finally:
            if wait > 0 and not granted:
                with suppress(StoreError):  # he is passed over anyway
                    self.release(name, token)
        if answer[0] == b"busy":
            raise LeaseTimeout(messages.lease_timeout(name, wait, answer[1] / 1000))
        return token, answer

    def release(self, name: str, token: str) -> None:
        call = Call(scripts.RELEASE, [self._keys.of(name).lease], [token])
        self._client.attempt(f"release {name!r}", lambda: self._client.call(call), repeat=True)
        self.tell_waiters()

    def tell_waiters(self) -> None:
        """A lease was given back, or the store closed: the waiters of this process look now, not at their next poll."""
        self._own_process()
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def _call(self, name: str, token: str, since: Position | None, seconds: float, *, stay: bool) -> Call:
        known: tuple[str | int, str | int] = (since.epoch, since.sequence) if since else ("", "")
        milliseconds, alive = int(seconds * 1000), int(_ALIVE * 1000)
        keys = [self._keys.of(name).log, self._keys.of(name).lease]
        return Call(scripts.LEASE, keys, (token, milliseconds, int(stay), alive, *known))

    def _ask(self, name: str, call: Call) -> Any:
        """May be repeated: who asks again for a lease that he has gets it again."""
        return self._client.attempt(f"lease {name!r}", lambda: self._client.call(call), repeat=True)

    def _pause(self, ahead: int, waited: float, left: float) -> None:
        """Longer for those further back, and for those who have waited long anyway."""
        pause = _POLL * (1 + 2 * ahead) + max(0.0, waited - _SOON) / 20
        seconds = min(pause, _SLOWEST_POLL) * random.uniform(0.5, 1.5)  # noqa: S311
        with self._changed:
            self._waiting += 1
            self._changed.wait(min(left, seconds))
            self._waiting -= 1
        self._client.check_open()
