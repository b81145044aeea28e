"""The threads for what may block."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from django.db import connection

from rxcrdt import workers
from rxcrdt.workers import Panic

tenant = contextvars.ContextVar("tenant", default="nobody")


def test_work_sees_its_callers_context_and_does_not_change_it() -> None:
    tenant.set("acme")
    assert workers.submit(tenant.get).result(10) == "acme"
    workers.submit(tenant.set, "other").result(10)
    assert tenant.get() == "acme"


async def test_it_can_be_awaited_and_raises_what_was_raised() -> None:
    assert await workers.run(threading.current_thread) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await workers.run(divmod, 1, 0)


class PanicException(BaseException):
    """What pycrdt raises when its Rust side panics: no Exception."""


def panic() -> None:
    raise PanicException("called `Option::unwrap()` on a `None` value")


async def test_a_panic_arrives_as_an_exception() -> None:
    """As a BaseException it would pass every handler of an event loop's task."""
    with pytest.raises(Panic) as found:
        await workers.run(panic)
    assert isinstance(found.value.__cause__, PanicException)


def test_background_work_that_fails_is_logged_with_what_it_means(caplog: pytest.LogCaptureFixture) -> None:
    workers.in_background("Nobody was told.", divmod, 1, 0)
    workers.in_background("Everybody panicked.", panic)
    assert workers.wait_for_background(10)
    assert "Nobody was told." in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "Everybody panicked." in caplog.text


def test_waiting_for_background_work_has_an_end() -> None:
    finish = threading.Event()
    workers.in_background("", finish.wait, 10)
    assert not workers.wait_for_background(0.01)
    finish.set()
    assert workers.wait_for_background(10)


def test_waiting_for_background_work_waits_for_what_that_began() -> None:
    finish, done = threading.Event(), threading.Event()

    def second() -> None:
        finish.wait(10)
        done.set()

    workers.in_background("", lambda: workers.in_background("", second))
    threading.Timer(0.1, finish.set).start()
    assert workers.wait_for_background(10)
    assert done.is_set()


@pytest.mark.django_db(transaction=True)
def test_no_database_connection_outlives_the_work() -> None:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    workers.submit(ask).result(10)
    assert {workers.submit(lambda: connection.connection).result(10) for _ in range(32)} == {None}


async def test_waiting_for_all_work_waits_for_what_closed_sockets_left_behind() -> None:
    finish, begun, done = threading.Event(), threading.Event(), threading.Event()

    def answer() -> None:
        begun.set()
        finish.wait(10)
        done.set()

    socket = asyncio.ensure_future(workers.run(answer))
    await asyncio.to_thread(begun.wait, 10)
    socket.cancel()
    assert workers.wait_for_background(10), "that is not its business"
    assert not workers.wait_for_all(0.01)
    finish.set()
    assert await asyncio.to_thread(workers.wait_for_all, 10)
    assert done.is_set()
