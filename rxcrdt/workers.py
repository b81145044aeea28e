"""The threads in which everything runs that may block: the database, the store, a document's lock.

Nothing of that ever runs on an event loop. There are two pools, so that comparing many documents with the
database does not keep anybody from opening one: sockets wait for the first, nobody waits for the second.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, TypeVar

from django.db import close_old_connections

from rxcrdt.conf import settings
from rxcrdt.processes import PerProcess

__all__ = ["Panic", "finish", "in_background", "run", "submit", "wait_for_background"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

BACKGROUND_THREADS: Final = 2


class Panic(RuntimeError):
    """Something raised a BaseException that is no Exception, as pycrdt does when its Rust side panics."""


class _Pools:
    def __init__(self) -> None:
        self.sockets = ThreadPoolExecutor(settings().threads, "rxcrdt")
        self.background = ThreadPoolExecutor(BACKGROUND_THREADS, "rxcrdt-background")
        self.waiting: set[Future[None]] = set()


_pools = PerProcess(_Pools)


def submit(function: Callable[..., T], *args: object) -> Future[T]:
    """Runs ``function`` in a thread of the sockets' pool, in a copy of the caller's context.

    Database connections are looked after as in a request. A panic arrives as ``Panic``.
    """
    return _pools().sockets.submit(contextvars.copy_context().run, _job, function, args)


async def run(function: Callable[..., T], *args: object) -> T:
    """``submit``, awaited. Cancelling the caller does not stop what has begun."""
    return await asyncio.wrap_future(submit(function, *args))


def in_background(what: str, function: Callable[..., object], *args: object) -> None:
    """Runs ``function`` when there is time. If it raises, ``what`` says in the log what that means."""
    pools = _pools()
    try:
        job = pools.background.submit(_logged, what, function, args)
    except RuntimeError:  # the interpreter is going down
        logger.debug("Not done any more: %s", what)
        return
    pools.waiting.add(job)
    job.add_done_callback(pools.waiting.discard)


async def finish(seconds: float) -> bool:
    """``wait_for_background``, for an event loop."""
    return await asyncio.to_thread(wait_for_background, seconds)


def wait_for_background(seconds: float) -> bool:
    """Returns when all that ``in_background`` was given is done, and what that gave it in turn; False if that takes
    longer."""
    until = time.monotonic() + seconds
    while jobs := tuple(_pools().waiting):
        if wait(jobs, until - time.monotonic()).not_done:
            return False
    return True


def _job(function: Callable[..., T], args: tuple[object, ...]) -> T:
    close_old_connections()
    try:
        return function(*args)
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as panic:
        raise Panic(f"{type(panic).__name__}: {panic}") from panic
    finally:
        close_old_connections()


def _logged(what: str, function: Callable[..., object], args: tuple[object, ...]) -> None:
    try:
        _job(function, args)
    except Exception:
        logger.exception("%s", what)
