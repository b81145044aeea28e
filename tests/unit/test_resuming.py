"""An awaitable that is begun outside of the task that finishes it."""

from __future__ import annotations

import asyncio

import pytest

from rxcrdt.resuming import Resumed


async def test_what_does_not_wait_is_done_at_once() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert Resumed.begin(work()) is None
    assert done == [1]


async def test_what_it_raises_is_raised_at_once() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Resumed.begin(work())


async def test_what_waits_is_finished_by_whoever_awaits_it() -> None:
    tap, steps = asyncio.Event(), []

    async def work() -> None:
        steps.append("begun")
        await tap.wait()
        steps.append("awake")
        await asyncio.sleep(0)
        steps.append(await asyncio.wait_for(asyncio.sleep(0, "slept"), 5))

    resumed = Resumed.begin(work())
    assert resumed is not None
    assert steps == ["begun"]
    task = asyncio.ensure_future(_await(resumed))
    await asyncio.sleep(0)
    tap.set()
    await task
    assert steps == ["begun", "awake", "slept"]


async def test_what_it_waited_for_may_have_come_meanwhile() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    found: list[int] = []

    async def work() -> None:
        found.append(await future)

    resumed = Resumed.begin(work())
    assert resumed is not None
    future.set_result(5)
    await resumed
    assert found == [5]


async def test_an_exception_of_what_it_waits_for_is_its_own() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            await future
        raise KeyError("later")

    resumed = Resumed.begin(work())
    assert resumed is not None
    future.set_exception(ZeroDivisionError())
    with pytest.raises(KeyError):
        await resumed


async def test_cancelling_whoever_awaits_it_cancels_it() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    resumed = Resumed.begin(work())
    assert resumed is not None
    task = asyncio.ensure_future(_await(resumed))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


async def _await(resumed: Resumed) -> None:
    await resumed
