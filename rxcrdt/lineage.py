"""Lineages: what begins when a document is projected anew, and what becomes of those who hold an older one.

The id under which the database speaks (the truth id) is the epoch of the log's positions: one number, larger
than any before it, so that no two lineages write under one Yjs client id.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from pycrdt import write_var_uint

__all__ = ["FIRST_TRUTH_ID", "clock_id", "kill_set", "newest_lineage", "older_lineages", "read_state_vector"]

FIRST_TRUTH_ID = 2**32  # clients' own ids lie below; the larger id wins where two write one register


def clock_id(after: int = 0) -> int:
    """A truth id by the clock: about a thousand a second since 1970, above 2**32 and above ``after``."""
    return max(FIRST_TRUTH_ID + time.time_ns() * 1024 // 10**9, after + 1)


def older_lineages(theirs: Mapping[int, int], ours: Mapping[int, int]) -> dict[int, int]:
    """The truth ids of a client's state vector that the log does not have, with their clocks."""
    return {client: clock for client, clock in theirs.items() if client >= FIRST_TRUTH_ID and client not in ours}


def newest_lineage(clocks: Mapping[int, int]) -> int:
    """The largest truth id of which somebody has anything; 0 if there is none."""
    return max((client for client, clock in clocks.items() if client >= FIRST_TRUTH_ID and clock), default=0)


def kill_set(clocks: Mapping[int, int]) -> bytes:
    """An update without content that deletes everything of these ids, up to their clocks.

    Yjs v1 encoding: no structs, then a delete set (https://github.com/yjs/yjs/blob/main/INTERNALS.md).
    """
    parts = [write_var_uint(0), write_var_uint(len(clocks))]
    for client, clock in sorted(clocks.items(), reverse=True):
        parts += [write_var_uint(client), write_var_uint(1), write_var_uint(0), write_var_uint(clock)]
    return b"".join(parts)


def read_state_vector(encoded: bytes) -> dict[int, int]:
    """Client id → clock. The bytes come from pycrdt, or were checked by ``protocol``."""
    numbers = list(_var_uints(encoded))
    return dict(zip(numbers[1::2], numbers[2::2], strict=True))


def _var_uints(data: bytes) -> Iterable[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0
