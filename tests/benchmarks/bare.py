"""Redis without the store: the connections, what its processor did, what its memory holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ydoc_store.redis_urls import CONNECT_SECONDS, READ_SECONDS

__all__ = ["connect", "cpu_of", "used_memory"]

Client = Any  # redis.Redis, whose methods' types say "or awaitable"


def connect(url: str) -> Client:
    """A client with the settings of the store's own connections."""
    return redis.Redis.from_url(
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=READ_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def cpu_of(client: Client) -> Callable[[], float]:
    """The CPU seconds that the server has used so far."""

    def read() -> float:
        info = client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    return read


def used_memory(client: Client) -> int:
    return int(client.info("memory")["used_memory"])
