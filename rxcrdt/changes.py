"""What a transaction changed, as signals tell it: names of rows, never their values."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["SPILL", "Changes", "Linked", "Packed"]

#: Of more changed rows than these only the names are kept, in little memory.
SPILL = 10_000


class Linked(NamedTuple):
    """Something about the rows that ``owner`` reaches by ``via`` changed; ``child`` says which, if one is meant."""

    via: str
    owner: str
    child: str | None


class Packed(NamedTuple):
    """Names of rows, some bytes each: those of one table and one time have much in common."""

    size: int
    data: bytes

    @classmethod
    def of(cls, rows: set[str]) -> Packed:
        return cls(len(rows), zlib.compress(json.dumps(sorted(rows)).encode(), 1))

    def rows(self) -> set[str]:
        return set(json.loads(zlib.decompress(self.data)))


@dataclass(slots=True)
class Changes:
    """Row keys that were ``saved`` or are ``gone``, and the links between rows that were touched.

    With more than ``SPILL`` of them it is only kept which rows were changed: ``packed``. Documents of those, as
    anything that is ``whole``, are compared with the database from beginning to end.
    """

    saved: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    links: set[Linked] = field(default_factory=set)
    packed: list[Packed] = field(default_factory=list)
    whole: bool = False

    def __bool__(self) -> bool:
        return bool(self.saved or self.gone or self.links or self.packed or self.whole)

    def __len__(self) -> int:
        return len(self.saved) + len(self.gone) + len(self.links) + sum(packed.size for packed in self.packed)

    def update(self, other: Changes) -> None:
        self.saved |= other.saved
        self.gone |= other.gone
        self.links |= other.links
        self.packed += other.packed
        self.whole |= other.whole
        if len(self.saved) + len(self.gone) > SPILL or len(self.links) > 2 * SPILL:
            self._spill()

    def _spill(self) -> None:
        """Which documents show them is not asked before the commit: until then it may come to be others."""
        self.packed.append(Packed.of(self.rows()))
        self.saved, self.gone, self.links = set(), set(), set()

    @classmethod
    def together(cls, parts: Iterable[Changes]) -> Changes:
        total = cls()
        for part in parts:
            total.update(part)
        return total

    def rows(self) -> set[str]:
        """Every row whose documents have to be told, but for those that are packed."""
        return self.saved | self.gone | {link.owner for link in self.links}

    def packed_rows(self) -> Iterator[set[str]]:
        """The others, some ten thousand at a time."""
        for packed in self.packed:
            yield packed.rows()

    @property
    def is_everything(self) -> bool:
        """Of one document: whether all of it has to be read."""
        return self.whole or bool(self.packed)
