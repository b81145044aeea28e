"""Leases in the SQLite file: one holder a name, and a line of those who wait, across threads and
processes."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass
from threading import Condition

from ydoc_store import messages
from ydoc_store import sqlite_statements as sql
from ydoc_store.exceptions import LeaseTimeout
from ydoc_store.sqlite_connections import Connections
from ydoc_store.sqlite_file import FileConnection

_ALIVE = 1.0  # seconds after which a waiter that said nothing counts as dead, and loses its place
_POLL = 0.002  # seconds between two looks of the first in line; the others look less often
_SLOWEST_POLL = 0.02
_CLOCK_STEP = 1.0  # a lease granted further in the future than this was granted before the clock was set back
_FORGOTTEN = 3600.0  # seconds after which the lease of a process that died is not even kept as "still good"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What a waiter sees: seconds until the holder's lease ends (0 if nobody holds it), and how many come
    first."""

    busy: float
    ahead: int

    @property
    def is_my_turn(self) -> bool:
        return self.busy <= 0 and self.ahead == 0


class Leases:
    """Grants are transactions without an fsync: after a power cut there is no holder left to protect."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._released = Condition()

    def take(self, name: str, *, seconds: float, wait: float) -> str:
        """The token of a new lease. Raises LeaseTimeout."""
        token = uuid.uuid4().hex
        deadline = time.monotonic() + wait
        line = self._try(name, token, seconds, queue=wait > 0)
        if line.is_my_turn:
            return token
        try:
            return self._wait(name, token, seconds, deadline, line)
        except BaseException as error:
            if wait > 0:
                self._leave(token)
            if isinstance(error, TimeoutError):
                raise LeaseTimeout(messages.lease_timeout(name, wait, line.busy)) from None
            raise

    def release(self, name: str, token: str) -> None:
        with self._connections.writing(durable=False) as connection:
            connection.execute(sql.RELEASE, (name, token))
        self.tell_waiters()

    def tell_waiters(self) -> None:
        """Somebody in this process gave a lease back: whoever waits in this process need not wait for its
        next look."""
        with self._released:
            self._released.notify_all()

    def _wait(self, name: str, token: str, seconds: float, deadline: float, line: _Line) -> str:
        said_alive = time.monotonic()
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            pause = min(_POLL * (1 + line.ahead), _SLOWEST_POLL) * random.uniform(0.5, 1.5)  # noqa: S311
            with self._released:
                self._released.wait(min(left, pause))
            with self._connections.reading() as connection:
                line = self._look(connection, name, token)
            if line.is_my_turn or time.monotonic() - said_alive > _ALIVE / 2:
                said_alive = time.monotonic()
                line = self._try(name, token, seconds, queue=True)
                if line.is_my_turn:
                    return token

    def _try(self, name: str, token: str, seconds: float, *, queue: bool) -> _Line:
        """Take the lease if it is this token's turn; otherwise stay in line, if `queue`."""
        with self._connections.writing(durable=False) as connection:
            line = self._look(connection, name, token)
            now = time.time()
            if line.is_my_turn:
                connection.execute(sql.LEAVE, (token,))
                connection.execute(sql.GRANT, (name, token, now, now + seconds))
            elif queue:
                connection.execute(sql.QUEUE, (name, token, now + _ALIVE))
            return line

    def _look(self, connection: FileConnection, name: str, token: str) -> _Line:
        now = time.time()
        holder = connection.execute(sql.HOLDER, (name,)).fetchone()
        busy = holder[2] - now if holder and holder[1] <= now + _CLOCK_STEP else 0.0
        (ahead,) = connection.execute(sql.AHEAD, (name, now, token)).fetchone()
        return _Line(busy=busy, ahead=ahead)

    def _leave(self, token: str) -> None:
        with self._connections.writing(durable=False) as connection:
            connection.execute(sql.LEAVE, (token,))
            connection.execute(sql.FORGET_DEAD_WAITERS, (time.time() - _ALIVE,))
            connection.execute(sql.FORGET_OLD_LEASES, (time.time() - _FORGOTTEN,))
        self.tell_waiters()
