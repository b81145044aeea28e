"""What an update deletes, read out of its bytes: enough to see that a client only repeats what it was told.

A Yjs client answers step 1 with everything that it knows to be deleted, however little it has to say (deletes
do not show in state vectors), so whether an update is empty does not tell a reader from a writer.
"""

from __future__ import annotations

from collections.abc import Callable

from rxcrdt.lib0 import Reader

__all__ = ["Deletes", "covers", "deletes_only"]

#: Client id → half-open ranges of clocks, sorted, apart from each other.
Deletes = dict[int, list[tuple[int, int]]]


def deletes_only(update: bytes) -> Deletes | None:
    """The deletes of an update that brings no content; None if it brings some.

    Raises ProtocolError if what follows is no delete set, to the last byte.
    """
    reader = Reader(update)
    if reader.varuint() != 0:
        return None
    deletes: Deletes = {}
    for _ in range(reader.varuint()):
        client = reader.varuint()
        ranges = deletes.setdefault(client, [])
        for _ in range(reader.varuint()):
            clock = reader.varuint()
            ranges.append((clock, clock + reader.varuint()))
    reader.end()
    return {client: _merged(ranges) for client, ranges in deletes.items()}


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return merged


def covers(known: Deletes, said: Deletes, *, ignoring: Callable[[int], bool] = lambda _: False) -> bool:
    """Whether every range of ``said`` lies in ``known``; ids for which ``ignoring`` holds do not count."""
    return all(ignoring(client) or _within(ranges, known.get(client, [])) for client, ranges in said.items())


def _within(inner: list[tuple[int, int]], outer: list[tuple[int, int]]) -> bool:
    candidates = iter(outer)
    candidate = next(candidates, None)
    for start, end in inner:
        while candidate is not None and candidate[1] < end:
            candidate = next(candidates, None)
        if candidate is None or candidate[0] > start:
            return False
    return True
