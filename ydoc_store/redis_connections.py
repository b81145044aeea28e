"""Connections to servers whose *life* is known, each lent to one thread at a time.

A server's life ends when it restarts or another server takes its place: the last second of writes may be lost with it.
Redis names it: `run_id` is another one after a restart, `master_replid` after a promotion. It is read over each
connection, at its start and every second.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError, ResponseError

from ydoc_store.redis_errors import Reconnected, Unsent
from ydoc_store.redis_servers import Connection, Pool

_LIFE_SECONDS = 1.0  # how long what a connection's server said of itself is believed
_FRESH_SECONDS = 0.01  # how long after its last answer a connection is not looked at before it is used again


@dataclass(slots=True)
class Life:
    """What a connection's server said of itself, when it was asked, and whether somebody relies on it now."""

    word: str = ""
    asked: float = 0.0
    lent: bool = False


@dataclass(slots=True)
class Lent:
    connection: Connection
    pool: Pool
    life: Life
    process: int
    answered: float = 0.0


class Connections:
    """Those that were just used are kept at hand: what redis-py does when it gives and takes one back costs as much as
    Redis does for an append."""

    def __init__(self) -> None:
        self._idle: defaultdict[int, list[Lent]] = defaultdict(list)  # by the pool's id
        self._lives: WeakKeyDictionary[Connection, Life] = WeakKeyDictionary()
        self._doubted = 0.0

    def greeted(self, connection: Connection) -> None:
        """It was just connected, perhaps to another server.

        redis-py does so by itself when it is told to send something over a connection that somebody closed. A call that
        has its server's life from before must not be sent then.
        """
        if (life := self._lives.get(connection)) and life.asked:
            life.asked = 0.0
            if life.lent:
                raise Reconnected("The connection was closed, and had to be opened again")

    def doubt(self) -> None:
        """What servers said of themselves until now is not believed any more."""
        self._doubted = time.monotonic()

    def close(self) -> None:
        for idle in list(self._idle.values()):
            while idle:
                lent = idle.pop()
                lent.connection.disconnect()
                self._release(lent)

    @contextmanager
    def lent(self, pool: Pool) -> Iterator[Lent]:
        """Raises Unsent if there is no connection."""
        lent = self._take(pool)
        try:
            yield lent
        except (ResponseError, Unsent):  # an answer: the connection is in order
            self._give_back(lent)
            raise
        except BaseException:
            lent.connection.disconnect()
            self._release(lent)
            raise
        self._give_back(lent)

    def _take(self, pool: Pool) -> Lent:
        process, idle = os.getpid(), self._idle[id(pool)]
        while idle:
            try:
                lent = idle.pop()
            except IndexError:  # another thread took the last one
                break
            if lent.process == process and time.monotonic() - lent.answered < _FRESH_SECONDS:
                lent.life.lent = True
                return lent
            self._release(lent)
        try:
            connection = pool.get_connection()
        except (RedisError, OSError) as error:
            raise Unsent from error
        life = self._lives.setdefault(connection, Life())
        life.lent = True
        return Lent(connection, pool, life, process)

    def _give_back(self, lent: Lent) -> None:
        lent.answered = time.monotonic()
        lent.life.lent = False
        self._idle[id(lent.pool)].append(lent)

    def _release(self, lent: Lent) -> None:
        lent.life.lent = False
        lent.pool.release(lent.connection)

    def life(self, lent: Lent) -> str:
        """The life of the server at the other end. Raises Unsent."""
        life, now = lent.life, time.monotonic()
        if life.asked <= max(self._doubted, now - _LIFE_SECONDS):
            life.asked = 0.0
            try:
                life.word = _ask_for_life(lent.connection)
            except (RedisError, OSError) as error:
                lent.connection.disconnect()
                raise Unsent from error
            life.asked = now
        return life.word


def _ask_for_life(connection: Connection) -> str:
    connection.send_packed_command(connection.pack_commands([("INFO", "server"), ("INFO", "replication")]))
    answers = [connection.read_response(), connection.read_response()]
    found = re.findall(rb"^(?:run_id|master_replid):(\w+)", b"\n".join(answers), re.MULTILINE)
    return hashlib.sha256(b" ".join(found)).hexdigest()[:16]
