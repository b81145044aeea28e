"""Calling scripts: on the right server, over a connection whose server's life is known, again where that is safe.

The life goes with every script, which compares it with the one in which the log began. So nobody, whatever he
remembers, continues a log whose end may be missing.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any, TypeVar

from redis.exceptions import (
    AskError,
    MovedError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)

from ydoc_store import messages
from ydoc_store.exceptions import StoreUnavailable
from ydoc_store.redis_connections import Connections, Lent
from ydoc_store.redis_errors import Unsent, explain, may_pass, was_refused
from ydoc_store.redis_scripts import Call
from ydoc_store.redis_servers import Cluster, OneServer, Pool, Servers
from ydoc_store.redis_urls import RedisOptions

T = TypeVar("T")

_TRIES = 4
_PAUSE = 0.05  # seconds before the second try, twice as long before each further one, give or take half
_REDIRECTS = 5
_CLUSTER_SECONDS = 5.0
_NO_INDEX = "-"


class Client:
    """Everything raises `Unsent` or what redis-py raises, except `attempt`, which explains it."""

    def __init__(self, options: RedisOptions) -> None:
        self.options = options
        self._connections = Connections()
        kind = Cluster if options.cluster else OneServer
        self._servers: Servers = kind(options, self._connections.greeted)
        self._index: tuple[str, float] | None = None
        self._closed = False

    def doubt(self) -> None:
        """A log seems to be of another life: ask the servers again before that is believed."""
        self._connections.doubt()
        self._index = None

    def check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(messages.closed(self.options.shown))

    def close(self) -> None:
        self._closed = True
        self._connections.close()
        self._servers.close()

    # Trying -------------------------------------------------------------------------------------------------

    def attempt(self, doing: str, work: Callable[[], T], *, repeat: bool = False) -> T:
        """What `work` returns. It is tried again if that may help and it was not done, or may be done twice (`repeat`).

        Raises StoreUnavailable, or CorruptStore for a key of another type.
        """
        deadline = time.monotonic() + 1.5 * self.options.read_seconds  # of two that time out, the second is the last
        for tries in count(1):
            self.check_open()
            try:
                return work()
            except (Unsent, RedisError, RedisClusterException, OSError) as error:
                self.check_open()
                again = may_pass(error) and (repeat or was_refused(error))
                if not again or tries >= _TRIES or time.monotonic() > deadline:
                    raise explain(self.options, doing, error, tries) from error
            with suppress(Unsent):
                self._servers.look_again()
            time.sleep(_PAUSE * 2 ** (tries - 1) * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError

    # Calling ------------------------------------------------------------------------------------------------

    def call(self, call: Call) -> Any:
        pool = self._servers.pool_for(call.keys[0])
        asking = False
        for _ in range(_REDIRECTS):
            try:
                with self._connections.lent(pool) as lent:
                    return self._run(lent, call, asking)
            except AskError as error:  # or MovedError
                pool, asking = self._servers.redirected(error), not isinstance(error, MovedError)
        raise TryAgainError(f"A key moved {_REDIRECTS} times between the nodes of the cluster")

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """The answers, in order, in one round trip: all is sent, to all servers, before the first answer is read."""
        if len(calls) == 1:
            return [self.call(calls[0])]
        by_pool: dict[int, tuple[Pool, list[int]]] = {}
        for number, call in enumerate(calls):
            pool = self._servers.pool_for(call.keys[0])
            by_pool.setdefault(id(pool), (pool, []))[1].append(number)
        answers: list[Any] = [None] * len(calls)
        with ExitStack() as stack:
            lent = [(stack.enter_context(self._connections.lent(pool)), numbers) for pool, numbers in by_pool.values()]
            asked = [(each.connection, numbers, self._lives_for(each)) for each, numbers in lent]
            for connection, numbers, (run, index) in asked:
                commands = [calls[number].by_hash(run, index) for number in numbers]
                connection.send_packed_command(connection.pack_commands(commands))
            for connection, numbers, _ in asked:
                for number in numbers:
                    try:
                        answers[number] = connection.read_response()
                    except ResponseError as error:
                        answers[number] = error
        for number, answer in enumerate(answers):
            if isinstance(answer, NoScriptError | AskError | TryAgainError):
                answers[number] = self.call(calls[number])
            elif isinstance(answer, ResponseError):
                raise answer
        return answers

    def everywhere(self, *command: str | bytes | int) -> list[Any]:
        """The answer of every primary to a command that names no key."""
        answers = []
        for pool in self._servers.primaries():
            with self._connections.lent(pool) as lent:
                lent.connection.send_command(*command)
                answers.append(lent.connection.read_response())
        return answers

    def wait(self, key: bytes, seconds: float) -> None:
        """Until there is an element in the list `key`, which is taken out, or for so long."""
        with self._connections.lent(self._servers.pool_for(key)) as lent:
            lent.connection.send_command("BLPOP", key, seconds)
            lent.connection.read_response()

    def scan(self, pattern: bytes, page: int) -> Iterator[list[bytes]]:
        """Pages of the keys that match, some of them more than once."""
        for pool in self._servers.primaries():
            cursor = b"0"
            while True:
                with self._connections.lent(pool) as lent:
                    lent.connection.send_command("SCAN", cursor, "MATCH", pattern, "COUNT", page)
                    cursor, keys = lent.connection.read_response()
                yield keys
                if cursor == b"0":
                    break

    def lives(self) -> str:
        """The lives of all primaries, in one word."""
        found = []
        for pool in self._servers.primaries():
            with self._connections.lent(pool) as lent:
                found.append(self._connections.life(lent))
        return hashlib.sha256(" ".join(sorted(found)).encode()).hexdigest()[:16]

    # One connection -----------------------------------------------------------------------------------------

    def _run(self, lent: Lent, call: Call, asking: bool) -> Any:
        connection = lent.connection
        run, index = self._lives_for(lent)
        if asking:
            connection.send_command("ASKING")
            connection.read_response()
        else:
            try:
                connection.send_command(*call.by_hash(run, index))
                return connection.read_response()
            except NoScriptError:
                pass
        connection.send_command(*call.by_text(run, index))
        return connection.read_response()

    def _lives_for(self, lent: Lent) -> tuple[str, str]:
        """What every script gets first: `run` and `index`."""
        return self._connections.life(lent), self._index_life()

    def _index_life(self) -> str:
        """One word for the lives of all who hold a part of the index of rows: it may know too little after any ends."""
        if not self.options.cluster:
            return _NO_INDEX
        life, until = self._index or ("", 0.0)
        if until < time.monotonic():
            try:
                life = self.lives()
            except Unsent:
                if not life:
                    raise
            self._index = life, time.monotonic() + _CLUSTER_SECONDS
        return life
