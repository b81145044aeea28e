"""Order keys: fractional indices that say where a child stands, changed as little as possible."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from fractional_indexing import generate_n_keys_between

__all__ = ["OrderKey", "arrange", "arranged"]

OrderKey = str | list[str]  # a list where a row stands in the list more than once
LONGEST = 64


def arranged(places: Mapping[str, OrderKey]) -> list[str]:
    """The children of an order table's entry, in order. Equal order keys are told apart by the child's key."""
    pairs = [(key, child) for child, order in places.items() for key in ([order] if isinstance(order, str) else order)]
    return [child for _, child in sorted(pairs)]


def arrange(places: Mapping[str, OrderKey], children: Sequence[str]) -> dict[str, OrderKey]:
    """Order keys for ``children`` in this order, keeping as many of ``places`` as an order-keeping choice can.

    The kept ones are a longest increasing subsequence (patience sorting), so that one moved child costs one key.
    All are made anew where a key would grow beyond 64 letters.
    """
    old = _old_keys(places, children)
    keys = _fill(old, _increasing(old))
    if any(len(key) > LONGEST for key in keys):
        keys = list(generate_n_keys_between(None, None, len(children)))
    result: dict[str, OrderKey] = {}
    for child, key in zip(children, keys, strict=True):
        held = result.get(child)
        result[child] = key if held is None else [*([held] if isinstance(held, str) else held), key]
    return result


def _old_keys(places: Mapping[str, OrderKey], children: Sequence[str]) -> list[str | None]:
    """The order key that each child had; a row that stands there twice takes its first, then its second."""
    left = {child: [order] if isinstance(order, str) else sorted(order) for child, order in places.items()}
    return [left[child].pop(0) if left.get(child) else None for child in children]


def _increasing(keys: Sequence[str | None]) -> set[int]:
    """The indices of a longest strictly increasing subsequence of ``keys``; None is never part of it."""
    tails: list[str] = []
    ends: list[int] = []
    previous: dict[int, int | None] = {}
    for index, key in enumerate(keys):
        if key is None:
            continue
        at = bisect_left(tails, key)
        previous[index] = ends[at - 1] if at else None
        tails[at : at + 1], ends[at : at + 1] = [key], [index]
    kept: set[int] = set()
    here: int | None = ends[-1] if ends else None
    while here is not None:
        kept.add(here)
        here = previous[here]
    return kept


def _fill(old: Sequence[str | None], kept: set[int]) -> list[str]:
    """Keys for every place: those at ``kept`` as they were, new ones between them elsewhere."""
    keys: list[str] = []
    fences = sorted(kept)
    lower: str | None = None
    start = 0
    for fence in [*fences, len(old)]:
        upper = old[fence] if fence < len(old) else None
        if fence > start:
            keys.extend(generate_n_keys_between(lower, upper, fence - start))
        if upper is not None:
            keys.append(upper)
        lower, start = upper, fence + 1
    return keys
