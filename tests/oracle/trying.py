"""One generated schema and one history of writes, tried together; what fails is made smaller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any

from rxcrdt import conf
from rxcrdt.current import read_whole
from rxcrdt.exceptions import DocumentGone
from rxcrdt.keys import Node
from rxcrdt.layers import plan
from rxcrdt.order import arranged
from rxcrdt.projection import Forest
from rxcrdt.registry import registry
from rxcrdt.snapshots import serialized, snapshot
from rxcrdt.tables import Content
from rxcrdt.testing import own_store
from rxcrdt.values import difference, same
from tests.oracle.fleet_writes import FleetWriter, Transaction, draw_history, draw_rows, shorter
from tests.oracle.following import Follower
from tests.oracle.schemas import AnchorSpec, build, draw, sketch, smaller

__all__ = ["Case", "Opened", "attempt", "draw_case", "numbered", "shrunk", "tell"]

DOCUMENTS = 3
_numbers = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    schema: AnchorSpec
    rows: tuple[int, ...]
    history: tuple[Transaction, ...]


def draw_case(seed: int | Random, *, transactions: int = 8) -> Case:
    choices = Random(seed) if isinstance(seed, int) else seed
    return Case(
        schema=draw(choices),
        rows=draw_rows(choices, 4),
        history=draw_history(choices, transactions),
    )


def numbered() -> str:
    """A name for an anchor that no other has."""
    return f"generated{next(_numbers)}"


class Opened:
    """One document and somebody who follows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.anchor, self.value = name.split("/", 1)
        self.follower = Follower(name)

    def problem(self) -> str | None:
        """What differs from the serializer now."""
        try:
            expected = serialized(self.anchor, self.value)
        except DocumentGone:
            return None if self.follower.state is None else "the row is gone, and somebody still sees it"
        if self.follower.state is None:  # it was gone, and nobody is told that it came back
            self.close()
            self.follower = Follower(self.name)
        for what, found in (("the document", snapshot(self.anchor, self.value)), ("a follower", self.follower.state)):
            problem = difference(found, expected)
            if problem:
                return f"{what}: {problem}"
        return None

    def unlike_a_fresh_one(self) -> str | None:
        """What differs from a projection of everything: nodes, lists, what is known of sources, the store's index."""
        document = self.follower.document
        if self.follower.state is None:
            return None
        _, forest = read_whole(document.anchor, self.name, self.value, "default")
        content, _ = document.content()
        problem = _unlike(forest, content) or _unlike_sources(forest, document)
        if problem:
            return f"a fresh projection differs: {problem}"
        lost = forest.rows(plan(document.anchor)) - conf.store().rows(document.log)
        return f"not in the index: {sorted(lost)}" if lost else None

    def close(self) -> None:
        self.follower.close()


def _unlike(forest: Forest, content: Content) -> str | None:
    layers = {root: table for root, table in content.items() if "." not in root}
    found: dict[Node, Any] = {(root, key): entries for root, table in layers.items() for key, entries in table.items()}
    for node in found.keys() | forest.nodes.keys():
        if not same(found.get(node), forest.nodes.get(node)):
            return f"{node} is {found.get(node)}, and not {forest.nodes.get(node)}"
    lists = {
        (root, key): arranged(entries)
        for root, table in content.items()
        if root not in layers
        for key, entries in table.items()
    }
    expected = {place: children for place, children in forest.lists.items() if children is not None}
    for place in lists.keys() | expected.keys():
        if lists.get(place) != expected.get(place):
            return f"{place} is {lists.get(place)}, and not {expected.get(place)}"
    return None


def _unlike_sources(forest: Forest, document: Any) -> str | None:
    """What is known of the rows that computed fields show has to be right, or the next save is missed."""
    replica = document._mirror.replica
    if replica is None or replica._tables is None:
        return None
    for node, sources in replica.tables.sources.items():
        if sources != forest.sources.get(node, {}):
            return f"the sources of {node} are {sources}, and not {forest.sources.get(node)}"
    return None


def attempt(case: Case, using: str = "default") -> tuple[str | None, list[str]]:
    """What is wrong (None if nothing is), and all that was written, in the database ``using``, up to there."""
    writer = FleetWriter(using)
    writer.empty()
    anchor = registry.register(build(case.schema, numbered()))
    opened: list[Opened] = []
    try:
        with own_store():
            writer.populate(case.rows)
            model = anchor.model()
            roots = model._base_manager.order_by("pk")[:DOCUMENTS]
            opened.extend(_open(anchor.document_name(row) for row in roots))
            for part in (None, *case.history):
                if part is not None:
                    writer.write(part)
                problem = next(filter(None, (each.problem() for each in opened)), None)
                if problem:
                    return problem, writer.log
            problem = next(filter(None, (each.unlike_a_fresh_one() for each in opened)), None)
            if problem:
                return problem, writer.log
            for each in opened:
                each.close()
    finally:
        registry.unregister(anchor)
    return None, writer.log


def _open(names: Iterator[str]) -> Iterator[Opened]:
    for name in names:
        try:
            yield Opened(name)
        except DocumentGone:  # the anchor's queryset hides it
            continue


# Made smaller


def shrunk(case: Case, fails: Callable[[Case], bool], tries: int = 600) -> Case:
    """The smallest case found that still fails, in at most so many tries."""
    skip = 0
    while True:
        found = False
        for number, less in enumerate(_less(case)):
            if number < skip:
                continue
            tries -= 1
            if tries < 0:
                return case
            if fails(less):
                case, skip, found = less, number, True
                break
        if not found:
            if not skip:
                return case
            skip = 0


def _less(case: Case) -> Iterator[Case]:
    for history in shorter(case.history):
        yield replace(case, history=history)
    for schema in smaller(case.schema):
        yield replace(case, schema=schema)
    for number in range(len(case.rows)):
        yield replace(case, rows=(*case.rows[:number], *case.rows[number + 1 :]))


def tell(case: Case, problem: str, log: list[str]) -> str:
    """A failure for people: what differs, the schema, and the writes."""
    return "\n".join([problem, sketch(case.schema), *log])
