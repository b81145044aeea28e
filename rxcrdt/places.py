"""Where rows stand in the lists of a document: between which neighbours. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rxcrdt.keys import Node
from rxcrdt.layers import Relation

__all__ = ["Chain", "in_groups"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """``keys``: the changed row ``key`` between its neighbours in a list of ``parent``.

    All rows of a list that were not changed are in order. If each changed one is between its neighbours in the database
    too, all are.
    """

    parent: Node
    relation: Relation
    keys: Sequence[str]
    key: str

    def is_torn(self, place: Mapping[str, int]) -> bool:
        """Whether the list has to be read. ``place`` numbers rows in the order in which one query gave them; a changed
        row that it did not give is gone, which is seen otherwise."""
        there = [place[key] for key in self.keys if key in place]
        return self.key in place and (len(there) < len(self.keys) or there != sorted(there))


def in_groups(keys: Iterable[str], chains: Iterable[Chain], size: int) -> Iterator[tuple[set[str], list[Chain]]]:
    """The rows to be read, at most ``size`` together: those of ``keys``, and each chain in one piece."""
    left = set(keys)
    wanted: set[str] = set()
    group: list[Chain] = []
    for chain in chains:
        if len(wanted.union(chain.keys)) > size:
            yield wanted, group
            wanted, group = set(), []
        wanted.update(chain.keys)
        group.append(chain)
        left.difference_update(chain.keys)
    for key in left:
        if len(wanted) >= size:
            yield wanted, group
            wanted, group = set(), []
        wanted.add(key)
    if wanted:
        yield wanted, group
