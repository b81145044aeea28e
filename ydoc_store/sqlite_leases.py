"""Leases in the SQLite file: one holder a name, and a line of threads and processes that wait."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass

from ydoc_store import messages
from ydoc_store import sqlite_statements as sql
from ydoc_store.exceptions import LeaseTimeout
from ydoc_store.sqlite_connections import Connections
from ydoc_store.sqlite_file import FileConnection

_ALIVE = 1.0  # seconds after which a waiter that said nothing counts as dead, and is passed over
_POLL = 0.0005  # seconds between the first looks of the first in line
_SLOWEST_POLL = 0.02
_CLOCK_STEP = 1.0  # a lease granted further in the future than this was granted before the clock was set back
_FORGOTTEN = 3600.0  # seconds after which the expired lease of a process that died is no longer kept as good


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What a waiter sees: for how many seconds the name is leased to somebody, and how many come first."""

    busy: float
    ahead: int

    @property
    def is_my_turn(self) -> bool:
        return self.busy <= 0 and self.ahead == 0


class Leases:
    """Grants are transactions without an fsync: a power cut ends every holder that they protect."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def take(self, name: str, *, seconds: float, wait: float) -> str:
        """The token of a new lease. Raises LeaseTimeout."""
        token = uuid.uuid4().hex
        deadline = time.monotonic() + wait
        line = self._step_up(name, token, seconds, stay=wait > 0)
        if line.is_my_turn:
            return token
        try:
            line = self._wait(name, token, seconds, deadline, line)
        finally:
            if wait > 0 and not line.is_my_turn:
                self._leave(token)
        if not line.is_my_turn:
            raise LeaseTimeout(messages.lease_timeout(name, wait, line.busy))
        return token

    def release(self, name: str, token: str) -> None:
        with self._connections.writing(durable=False) as connection:
            connection.execute(sql.RELEASE, (name, token))
        self.tell_waiters()

    def tell_waiters(self) -> None:
        """A lease was given back in this process: its own waiters look now, and not at their next poll."""
        released = self._connections.released
        with released:
            released.notify_all()

    def _wait(self, name: str, token: str, seconds: float, deadline: float, line: _Line) -> _Line:
        """Stay in line until it is our turn and the lease is ours, or until the deadline."""
        began = said_alive = time.monotonic()
        while (left := deadline - time.monotonic()) > 0:
            self._pause(line, time.monotonic() - began, left)
            with self._connections.reading() as connection:
                line = self._look(connection, name, token)
            if line.is_my_turn or time.monotonic() - said_alive > _ALIVE / 2:
                said_alive = time.monotonic()
                line = self._step_up(name, token, seconds, stay=True)
                if line.is_my_turn:
                    break
        return line

    def _pause(self, line: _Line, waited: float, left: float) -> None:
        """Longer for those further back, and for those who have waited long anyway."""
        seconds = min(_POLL * (1 + line.ahead) + waited / 20, _SLOWEST_POLL)
        seconds *= random.uniform(0.5, 1.5)  # noqa: S311
        released = self._connections.released
        with released:
            released.wait(min(left, seconds))

    def _step_up(self, name: str, token: str, seconds: float, *, stay: bool) -> _Line:
        """Take the lease if it is our turn; otherwise, if we `stay`, be in line and say that we are alive."""
        with self._connections.writing(durable=False) as connection:
            line = self._look(connection, name, token)
            now = time.time()
            if line.is_my_turn:
                connection.execute(sql.GRANT, (name, token, now, now + seconds))
                connection.execute(sql.LEAVE, (token,))
            elif stay:
                connection.execute(sql.STAND_IN_LINE, (name, token, now + _ALIVE))
            return line

    def _look(self, connection: FileConnection, name: str, token: str) -> _Line:
        now = time.time()
        asked = {"name": name, "token": token, "now": now, "not_before_set_back": now + _CLOCK_STEP}
        expires, ahead = connection.execute(sql.LOOK, asked).fetchone()
        return _Line(busy=expires - now if expires else 0.0, ahead=ahead)

    def _leave(self, token: str) -> None:
        """Leave the line without the lease, and sweep behind those who died in it, or with it."""
        now = time.time()
        with self._connections.writing(durable=False) as connection:
            connection.execute(sql.LEAVE, (token,))
            connection.execute(sql.FORGET_DEAD_WAITERS, (now - _ALIVE,))
            connection.execute(sql.FORGET_OLD_LEASES, (now - _FORGOTTEN,))
