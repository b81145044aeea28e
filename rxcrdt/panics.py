"""What may be caught: pycrdt's panics are BaseExceptions, and so are the exceptions that are meant to end a thread."""

from __future__ import annotations

import asyncio

__all__ = ["LEAVING"]

LEAVING = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
