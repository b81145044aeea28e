"""Something that we need is down: said when it begins, once a minute while it lasts, and when it ends."""

from __future__ import annotations

import logging
import time
from typing import Final

__all__ = ["Outage"]

REPEAT_SECONDS: Final = 60.0


class Outage:
    """``what`` is down, and ``meaning`` is what users notice of it."""

    def __init__(self, logger: logging.Logger, what: str, meaning: str) -> None:
        self._logger = logger
        self._what = what
        self._meaning = meaning
        self._failures = 0
        self._said_at = 0.0

    def failed(self, error: BaseException) -> None:
        """Once a failure. The first of an outage is logged with its traceback."""
        self._failures += 1
        now = time.monotonic()
        if self._failures == 1:
            self._logger.error("%s fails. %s", self._what, self._meaning, exc_info=error)
        elif now - self._said_at >= REPEAT_SECONDS:
            self._logger.error("%s still fails, %d times now: %s", self._what, self._failures, error)
        else:
            return
        self._said_at = now

    def worked(self) -> None:
        if self._failures:
            self._logger.info("%s works again, after %d failures.", self._what, self._failures)
            self._failures = 0
