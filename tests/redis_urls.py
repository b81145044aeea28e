"""A store of one's own in a Redis that tests share."""

from __future__ import annotations

import itertools

_numbers = itertools.count()


def own_store(url: str) -> str:
    """The URL with a key prefix that no other test of this process uses."""
    return f"{url}{'&' if '?' in url else '?'}prefix=test-{next(_numbers)}:"
