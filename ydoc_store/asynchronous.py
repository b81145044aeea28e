"""How a blocking store is called from an event loop: in a thread, one implementation for all backends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ydoc_store.exceptions import LeaseTimeout
from ydoc_store.values import Lease, Position

if TYPE_CHECKING:
    from ydoc_store.base import DocStore

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in the loop's default executor. A cancelled call still runs to its end there."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def lease_in_thread(store: DocStore, name: str, *, since: Position | None, seconds: float, wait: float) -> Lease:
    """Lease without blocking the loop or its executor, and without leaking the lease of a cancelled caller.

    Whoever really has to wait does so in a thread of its own: waiters that filled the shared executor would
    keep the holder's append, which needs a thread of it too, from ever giving the lease back.
    """
    lease = partial(store.lease, name, since=since, seconds=seconds)
    try:
        return await _unless_cancelled(store, name, partial(lease, wait=0.0), None)
    except LeaseTimeout:
        if wait <= 0:
            raise
    own_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ydoc-store-lease")
    try:
        return await _unless_cancelled(store, name, partial(lease, wait=wait), own_thread)
    finally:
        own_thread.shutdown(wait=False)


async def _unless_cancelled(
    store: DocStore, name: str, lease: Callable[[], Lease], executor: ThreadPoolExecutor | None
) -> Lease:
    granted = asyncio.get_running_loop().run_in_executor(executor, lease)
    try:
        return await asyncio.shield(granted)
    except asyncio.CancelledError:
        granted.add_done_callback(lambda done: _give_back(store, name, done))
        raise


def _give_back(store: DocStore, name: str, done: asyncio.Future[Lease]) -> None:
    """Nobody is left to use the lease: release it, so that the next writer need not wait until it expires."""
    if done.cancelled() or done.exception() is not None:
        return
    asyncio.get_running_loop().run_in_executor(None, store.release, name, done.result().token)
