"""A table of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["lines"]


def lines(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> Iterator[str]:
    """The head, and each row; the first ``left`` columns to the left, the others, which are numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
