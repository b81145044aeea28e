"""The columns that the tables of `tracking` have in common."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.report import Cell
from tests.benchmarks.timing import Block, of_rounds, ratio

__all__ = ["COLUMNS", "row"]

COLUMNS = ("p50 ms", "CPU ms", "servers' CPU ms", "p50 / first", "CPU / first", "all CPU / first")


def row(what: str, blocks: Sequence[Block], first: Sequence[Block]) -> tuple[Cell, ...]:
    """Times of one call, and what they are in those of the first contestant."""
    return (
        what,
        1e3 * of_rounds(blocks, lambda block: block.at(50)),
        1e3 * of_rounds(blocks, lambda block: block.cpu_each),
        1e3 * of_rounds(blocks, lambda block: block.server_cpu_each),
        ratio(blocks, first, lambda block: block.at(50)),
        ratio(blocks, first, lambda block: block.cpu_each),
        ratio(blocks, first, lambda block: block.cpu_each + block.server_cpu_each),
    )
