"""Tables of figures: as text that is also Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Aim", "Table", "as_json", "as_text"]

Cell = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a figure should be: at most `limit`, or at least."""

    text: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells; None where there is nothing to tell. Units stand in `columns`."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    aims: Sequence[Aim] = ()
    notes: Sequence[str] = ()


def as_text(table: Table) -> str:
    cells = [list(table.columns), *([_shown(cell) for cell in row] for row in table.rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(table.columns))]
    left = [any(isinstance(row[number], str) for row in table.rows) for number in range(len(table.columns))]
    lines = [_line(row, widths, left) for row in cells]
    rule = "|".join("-" * (width + 1) + ("-" if is_left else ":") for width, is_left in zip(widths, left, strict=True))
    lines.insert(1, f"|{rule}|")
    below = [*(_verdict(aim) for aim in table.aims), *table.notes]
    return "\n".join([f"### {table.title}", "", *lines, *([""] if below else []), *(f"- {text}" for text in below)])


def _line(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    padded = (
        text.ljust(width) if is_left else text.rjust(width)
        for text, width, is_left in zip(row, widths, left, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _verdict(aim: Aim) -> str:
    bound = "at least" if aim.at_least else "at most"
    met = "met" if aim.met else "MISSED"
    return f"aim: {aim.text} {bound} {_shown(aim.limit)}: {_shown(aim.value)}, {met}"


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def as_json(table: Table) -> dict[str, Any]:
    return {**asdict(table), "aims": [{**asdict(aim), "met": aim.met} for aim in table.aims]}
