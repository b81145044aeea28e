"""Waiting for a condition, with a deadline; never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["eventually", "until"]

SECONDS = 10.0


async def eventually(condition: Callable[[], object]) -> None:
    """Returns once ``condition`` holds, or fails after ten seconds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        await asyncio.sleep(0.002)


def until(condition: Callable[[], object]) -> None:
    """``eventually``, for tests without an event loop."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.002)
