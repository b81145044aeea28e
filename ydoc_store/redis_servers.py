"""Which server holds a key: the one of the URL, or one of a cluster's. Connects when it is first asked."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AskError, RedisClusterException, RedisError
from redis.retry import Retry

from ydoc_store.redis_errors import Unsent
from ydoc_store.redis_urls import RedisOptions

Pool = Any  # redis.ConnectionPool, whose type arguments differ between redis-py 6 and 8
Connection = Any  # any of redis-py's connections

_CONNECTIONS = 2**31  # of one process: as many as threads use the store at once


class Servers(Protocol):
    def pool_for(self, key: bytes) -> Pool:
        """The connections to the server that holds this key."""

    def primaries(self) -> list[Pool]:
        """The connections to every server that holds keys."""

    def redirected(self, error: AskError) -> Pool:
        """Where a server said that a key is, or is going to be."""

    def look_again(self) -> None:
        """A server did not answer as expected: the cluster may be another one now."""

    def close(self) -> None: ...


def _common(options: RedisOptions, on_connect: Callable[[Connection], None]) -> dict[str, Any]:
    return {
        **options.address,
        "socket_connect_timeout": options.connect_seconds,
        "socket_timeout": options.read_seconds,
        "retry": Retry(NoBackoff(), 0),  # the store knows what may be repeated, redis-py does not
        "redis_connect_func": on_connect,
        "protocol": 2,
    }


class OneServer:
    """`greeted` is called with each connection as soon as it is up."""

    def __init__(self, options: RedisOptions, greeted: Callable[[Connection], None]) -> None:
        def on_connect(connection: Connection) -> None:
            connection.on_connect()
            greeted(connection)

        kinds = {"rediss": redis.SSLConnection, "unix": redis.UnixDomainSocketConnection}
        self._pool: Pool = redis.ConnectionPool(
            connection_class=kinds.get(options.scheme, redis.Connection),
            max_connections=_CONNECTIONS,
            **_common(options, on_connect),
        )

    def pool_for(self, key: bytes) -> Pool:
        return self._pool

    def primaries(self) -> list[Pool]:
        return [self._pool]

    def redirected(self, error: AskError) -> Pool:
        raise error

    def look_again(self) -> None:
        pass

    def close(self) -> None:
        self._pool.disconnect()


class Cluster:
    """redis-py's cluster client is asked for the nodes only: scripts are sent by us, who must know the connection."""

    def __init__(self, options: RedisOptions, greeted: Callable[[Connection], None]) -> None:
        self._options = options
        self._greeted = greeted
        self._opening = Lock()
        self._client: Any = None

    def pool_for(self, key: bytes) -> Pool:
        client = self._opened()
        try:
            return client.get_redis_connection(client.get_node_from_key(key)).connection_pool
        except (RedisError, RedisClusterException) as error:  # no node has the key's slot, for the moment
            self.look_again()
            raise Unsent from error

    def primaries(self) -> list[Pool]:
        client = self._opened()
        return [client.get_redis_connection(node).connection_pool for node in client.get_primaries()]

    def redirected(self, error: AskError) -> Pool:
        client = self._opened()
        node = client.get_node(host=error.host or None, port=error.port)
        if node is None or type(error) is not AskError:
            self.look_again()
            node = client.get_node(host=error.host or None, port=error.port)
        if node is None:
            raise Unsent from error
        return client.get_redis_connection(node).connection_pool

    def look_again(self) -> None:
        client = self._opened()
        try:
            client.nodes_manager.initialize()
        except (RedisError, RedisClusterException, OSError) as error:
            raise Unsent from error

    def _opened(self) -> Any:
        if self._client is not None:
            return self._client
        with self._opening:
            if self._client is None:
                self._client = self._open()
            return self._client

    def _open(self) -> Any:
        address = _common(self._options, self._greeted)
        del address["db"]
        if self._options.scheme == "rediss":
            address["ssl"] = True
        try:
            return redis.RedisCluster(**address)
        except (RedisError, RedisClusterException, OSError) as error:
            raise Unsent from error

    def close(self) -> None:
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None
