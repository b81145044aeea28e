"""Leases in Redis: one holder a name, and a line of threads and processes that wait. The clock is the server's."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from ydoc_store import messages
from ydoc_store import redis_scripts as scripts
from ydoc_store.exceptions import LeaseTimeout, StoreError
from ydoc_store.redis_client import Client
from ydoc_store.redis_errors import Unsent
from ydoc_store.redis_keys import Keys
from ydoc_store.redis_scripts import Call
from ydoc_store.values import Position

_ALIVE = 1.0  # seconds after which a waiter that said nothing counts as dead, and is passed over
_LONGEST_SLEEP = 0.25  # seconds after which a waiter says that it lives, and looks whether those before it still do
_SHORTEST_SLEEP = 0.001
_AFTER_ERROR = 0.02


class Leases:
    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def take(self, name: str, *, since: Position | None, seconds: float, wait: float) -> tuple[str, Any]:
        """The token of a new lease, and what lease.lua has read: see there. Raises LeaseTimeout."""
        token = uuid.uuid4().hex
        deadline = time.monotonic() + wait
        call = self._call(name, token, since, seconds, stay=wait > 0)
        granted = False
        try:
            answer = self._ask(name, call)
            while answer[0] == b"busy" and (left := deadline - time.monotonic()) > 0:
                self._sleep(name, token, left, answer)
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

    def _call(self, name: str, token: str, since: Position | None, seconds: float, *, stay: bool) -> Call:
        known: tuple[str | int, str | int] = (since.epoch, since.sequence) if since else ("", "")
        milliseconds, alive = int(seconds * 1000), int(_ALIVE * 1000)
        keys = [self._keys.of(name).log, self._keys.of(name).lease]
        return Call(scripts.LEASE, keys, (token, milliseconds, int(stay), alive, *known))

    def _ask(self, name: str, call: Call) -> Any:
        """May be repeated: who asks again for a lease that he has gets it again."""
        return self._client.attempt(f"lease {name!r}", lambda: self._client.call(call), repeat=True)

    def _sleep(self, name: str, token: str, left: float, answer: Any) -> None:
        """Until Redis says that it is our turn, the lease expires, or it is time to say that we live."""
        _, busy, ahead = answer
        seconds = min(left, _LONGEST_SLEEP, self._client.options.read_seconds / 2)
        if not ahead:
            seconds = min(seconds, busy / 1000)
        try:
            self._client.wait(b"%s:%s" % (self._keys.of(name).lease, token.encode()), max(seconds, _SHORTEST_SLEEP))
        except (Unsent, RedisError, RedisClusterException, OSError):  # whoever asks next learns why
            time.sleep(min(left, _AFTER_ERROR))
        self._client.check_open()
