"""What a register can hold: the JSON that DRF's renderer gives, as ``JSON.parse`` reads it."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.settings import api_settings
from rest_framework.utils.encoders import JSONEncoder

from rxcrdt.exceptions import ProjectionError

__all__ = ["MAX_NESTING", "Json", "difference", "plain", "same"]

Json = Any  # None, bool, int, float, str, list and dict of these; mypy has no useful recursive form of it

MAX_NESTING = 64  # deeper values crash the Yjs engine of every reader
LARGEST_EXACT = 2**53
TOO_DEEP = f"a JSON value is nested more than {MAX_NESTING} deep; a document cannot hold it"


def plain(value: Any) -> Json:
    """``value`` as plain JSON. Raises ProjectionError for what is none, and for nesting deeper than 64.

    Numbers are as JavaScript reads them: an integral one is an ``int``, one beyond 2**53 the nearest ``float``.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -LARGEST_EXACT <= value <= LARGEST_EXACT else _large(value)
    try:
        text = json.dumps(value, cls=JSONEncoder, allow_nan=not api_settings.STRICT_JSON)
        return _numbers(json.loads(text, parse_constant=_no_json), MAX_NESTING)
    except RecursionError as error:  # not even its text can be made
        raise ProjectionError(TOO_DEEP) from error
    except (TypeError, ValueError) as error:
        raise ProjectionError(f"{str(value)[:80]!r} ({kind.__name__}) is no JSON value: {error}") from error


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _large(value: int) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ProjectionError("an integer beyond 1.8e308 is no JSON number that a browser could read") from error


def _numbers(value: Json, depth: int) -> Json:
    kind = type(value)
    if kind is float:
        return int(value) if value.is_integer() and abs(value) <= LARGEST_EXACT else value
    if kind is int:
        return value if -LARGEST_EXACT <= value <= LARGEST_EXACT else _large(value)
    if kind is list or kind is dict:
        if not depth:
            raise ProjectionError(TOO_DEEP)
        if kind is list:
            return [_numbers(item, depth - 1) for item in value]
        return {name: _numbers(item, depth - 1) for name, item in value.items()}
    return value


def same(one: Json, other: Json) -> bool:
    """Whether two plain values are the same JSON. ``true`` is not ``1``, which Python's own ``==`` takes it for."""
    kind = type(one)
    if kind is bool or type(other) is bool:
        return one is other
    if kind is dict:
        return type(other) is dict and one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if kind is list:
        return type(other) is list and len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def difference(found: Json, expected: Json, path: str = "") -> str | None:
    """The first place where two JSON values differ, or None. ``true``, ``1`` and ``1.0`` are three values.

    Two exceptions, for a document's numbers are JavaScript's: where ``expected`` holds an integral float, an
    equal ``int`` is no difference; beyond 2**53 an integer is the nearest double.
    """
    if type(expected) in (int, float) and type(found) in (int, float):
        exact = type(found) is float and type(expected) is int and abs(expected) <= LARGEST_EXACT
        if not exact and float(found) == float(expected):
            return None
        return f"{path or 'root'}: {found!r}, expected {expected!r}"
    if type(found) is not type(expected):
        return f"{path or 'root'}: {found!r}, expected {expected!r}"
    if isinstance(expected, dict):
        for name in expected.keys() | found.keys():
            here = f"{path}.{name}" if path else str(name)
            if name not in found:
                return f"{here}: is missing, expected {expected[name]!r}"
            if name not in expected:
                return f"{here}: {found[name]!r} should not be there"
            inner = difference(found[name], expected[name], here)
            if inner:
                return inner
        return None
    if isinstance(expected, list):
        if len(found) != len(expected):
            return f"{path}: {len(found)} items, expected {len(expected)}: {found!r:.200}, expected {expected!r:.200}"
        pairs = enumerate(zip(found, expected, strict=True))
        return next((d for i, (a, b) in pairs if (d := difference(a, b, f"{path}[{i}]"))), None)
    return None if found == expected else f"{path or 'root'}: {found!r}, expected {expected!r}"
