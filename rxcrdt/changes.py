"""What a transaction changed, as signals tell it: names of rows, never their values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Changes", "Linked"]


class Linked(NamedTuple):
    """Something about the rows that ``owner`` reaches by ``via`` changed; ``child`` says which, if one is meant."""

    via: str
    owner: str
    child: str | None


@dataclass(slots=True)
class Changes:
    """Row keys that were ``saved`` or are ``gone``, and the links between rows that were touched."""

    saved: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    links: set[Linked] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.saved or self.gone or self.links)

    def __len__(self) -> int:
        return len(self.saved) + len(self.gone) + len(self.links)

    def update(self, other: Changes) -> None:
        self.saved |= other.saved
        self.gone |= other.gone
        self.links |= other.links

    @classmethod
    def together(cls, parts: Iterable[Changes]) -> Changes:
        total = cls()
        for part in parts:
            total.update(part)
        return total

    def rows(self) -> set[str]:
        """Every row whose documents have to be told."""
        return self.saved | self.gone | {link.owner for link in self.links}
