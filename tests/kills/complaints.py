"""What the processes of a test logged: that Redis was away may be said, anything else is a bug."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["AsJson", "unexpected"]

#: What a log may say of while the server that it is about is killed again and again; by logger.
OF_THE_STORE = frozenset({"HeadMoved", "LeaseLost", "LeaseTimeout", "PositionLost", "StoreUnavailable"})
OF_THE_LAYER = frozenset({"ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "TimeoutError"})
EXPECTED = {"rxcrdt.layer_link": OF_THE_LAYER}


class AsJson(logging.Formatter):
    """A line a record; ``error`` is the name of the exception that came with it, if one did."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {"logger": record.name, "level": record.levelname, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            said |= {"error": record.exc_info[0].__name__, "trace": self.formatException(record.exc_info)}
        return json.dumps(said)


def unexpected(folder: Path) -> list[str]:
    """Errors that no kill of Redis explains, with their tracebacks."""
    return [
        f"{said['logger']}: {said['message']}\n{said.get('trace', '')}"
        for said in _records(folder)
        if said["logger"].startswith(("rxcrdt", "ydoc_store"))
        and said["level"] in ("ERROR", "CRITICAL")
        and said.get("error") not in EXPECTED.get(said["logger"], OF_THE_STORE)
    ]


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.log")):
        yield from map(json.loads, file.read_text().splitlines())
