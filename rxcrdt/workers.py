"""The threads in which everything runs that may block: the database, the store, a document's lock.

Nothing of that ever runs on an event loop. There are three pools, so that comparing many documents with the
database keeps nobody from opening one, nor a save from being shown: sockets wait for the first, nobody waits for the
second, and the third, a single thread, flushes what writers do not wait for (``rxcrdt.deferring``).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

from django.db import close_old_connections

from rxcrdt.conf import settings
from rxcrdt.processes import PerProcess

__all__ = ["Panic", "finish", "in_background", "in_turn", "run", "submit", "wait_for_all", "wait_for_background"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

BACKGROUND_THREADS: Final = 2


class Panic(RuntimeError):
    """Something raised a BaseException that is no Exception, as pycrdt does when its Rust side panics."""


class _Pools:
    def __init__(self) -> None:
        self.sockets = ThreadPoolExecutor(settings().threads, "rxcrdt")
        self.background = ThreadPoolExecutor(BACKGROUND_THREADS, "rxcrdt-background")
        self.turns = ThreadPoolExecutor(1, "rxcrdt-flush")
        self.waiting: set[Future[Any]] = set()
        self.answering: set[Future[Any]] = set()


_pools = PerProcess(_Pools)


def submit(function: Callable[..., T], *args: object) -> Future[T]:
    """Runs ``function`` in a thread of the sockets' pool, in a copy of the caller's context.

    Database connections are looked after as in a request. A panic arrives as ``Panic``.
    """
    pools = _pools()
    job = pools.sockets.submit(contextvars.copy_context().run, _job, function, args)
    _note(job, pools.answering)
    return job


async def run(function: Callable[..., T], *args: object) -> T:
    """``submit``, awaited. Cancelling the caller does not stop what has begun."""
    return await asyncio.wrap_future(submit(function, *args))


def in_background(what: str, function: Callable[..., object], *args: object) -> None:
    """Runs ``function`` when there is time. If it raises, ``what`` says in the log what that means."""
    if not _begun(_pools().background, what, function, args):
        logger.debug("Not done any more: %s", what)


def in_turn(what: str, function: Callable[..., object], *args: object) -> bool:
    """Runs ``function`` after all that was given before; at exit, the interpreter waits for it. If it raises, ``what``
    says in the log what that means. False if the interpreter is going down already: nothing is begun then."""
    return _begun(_pools().turns, what, function, args)


def _begun(pool: ThreadPoolExecutor, what: str, function: Callable[..., object], args: tuple[object, ...]) -> bool:
    try:
        job = pool.submit(_logged, what, function, args)
    except RuntimeError:  # the interpreter is going down
        return False
    _note(job, _pools().waiting)
    return True


def _note(job: Future[Any], jobs: set[Future[Any]]) -> None:
    jobs.add(job)
    job.add_done_callback(jobs.discard)


async def finish(seconds: float) -> bool:
    """``wait_for_background``, for an event loop."""
    return await asyncio.to_thread(wait_for_background, seconds)


def wait_for_background(seconds: float) -> bool:
    """Returns when all that ``in_background`` and ``in_turn`` were given is done, and what that began; False if it
    takes longer."""
    return _wait(seconds, lambda: tuple(_pools().waiting))


def wait_for_all(seconds: float) -> bool:
    """``wait_for_background``, and for what sockets had begun: those that were closed leave it behind."""
    return _wait(seconds, lambda: (*_pools().waiting, *_pools().answering))


def _wait(seconds: float, unfinished: Callable[[], tuple[Future[Any], ...]]) -> bool:
    until = time.monotonic() + seconds
    while jobs := unfinished():
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
