"""The names of logs in quarantine: `quarantine:<unix milliseconds>:<the name it had>`."""

from __future__ import annotations

import re
from collections.abc import Callable

_QUARANTINED = re.compile(r"quarantine:([0-9]+):(.*)", re.DOTALL)


def free_name(name: str, now: float, taken: Callable[[str], bool]) -> str:
    """The first name for a log that is put into quarantine now, in seconds, that nobody has."""
    milliseconds = int(now * 1000)
    while taken(moved := quarantined(name, milliseconds)):
        milliseconds += 1
    return moved


def quarantined(name: str, milliseconds: int | str) -> str:
    return f"quarantine:{milliseconds}:{name}"


def split(name: str) -> tuple[str, str] | None:
    """The moment and the former name of a log in quarantine; None for any other."""
    found = name.startswith("quarantine:") and _QUARANTINED.fullmatch(name)
    return (found[1], found[2]) if found else None


def moment(name: str) -> float:
    """When this log was put into quarantine, in seconds; 0 if it was not."""
    parts = split(name)
    return int(parts[0]) / 1000 if parts else 0.0
