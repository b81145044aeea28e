"""Times and sizes, as people write and read them."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Final

__all__ = ["above_zero", "duration", "in_bytes", "in_words", "seconds_of", "several", "whole"]

UNITS: Final = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
WRITTEN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([wdhms])")


def seconds_of(text: str) -> float:
    """``7d``, ``12h``, ``30m`` or ``45s`` in seconds. For argparse, whose error it raises."""
    found = WRITTEN.fullmatch(text.strip().lower())
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no duration: write a number and its unit, as 7d, 12h, 30m or 45s")
    return float(found[1]) * UNITS[found[2]]


def above_zero(text: str) -> float:
    """A number above 0. For argparse, whose error it raises."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def whole(text: str) -> int:
    """A whole number, 1 or larger. For argparse, whose error it raises."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def duration(seconds: float) -> str:
    """``3 d``, ``7 h``, ``5 min``, ``12 s``: the largest unit that is reached, rounded down."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def in_words(seconds: float) -> str:
    """``7d``, ``90m``: what ``seconds_of`` reads, exactly, in the largest unit that does."""
    for unit, length in UNITS.items():
        if unit != "w" and seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:g}s"


def in_bytes(number: int) -> str:
    """``512 B``, ``12.3 kB``, ``4.0 MB``: of a thousand each."""
    if number < 1000:
        return f"{number} B"
    size = float(number)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def several(number: int, one: str = "document", many: str = "") -> str:
    """``1 document``, ``1,200 documents``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
