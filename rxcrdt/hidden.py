"""Rows that a relation leads to and does not show, for its queryset leaves them out: a save of one may change that."""

from __future__ import annotations

from collections.abc import Collection

from rxcrdt.keys import Node

__all__ = ["Hidden", "Place"]

Place = tuple[str, str, str]  # the parent's layer and key, and the relation's name


class Hidden:
    """By relation of one node: the row keys of what it hides. Not known where another process read the relation."""

    def __init__(self) -> None:
        self._rows: dict[Node, dict[str, frozenset[str]]] = {}  # by the parent's node and the relation
        self._places: dict[str, set[Place]] = {}

    def __contains__(self, row: object) -> bool:
        return row in self._places

    def knows(self, node: Node, relation: str) -> bool:
        return relation in self._rows.get(node, ())

    def places(self, row: str) -> tuple[Place, ...]:
        """Whose relations hide ``row``."""
        return tuple(self._places.get(row, ()))

    def put(self, place: Place, rows: Collection[str]) -> None:
        self.forget(place)
        self._rows.setdefault(place[:2], {})[place[2]] = frozenset(rows)
        for row in rows:
            self._places.setdefault(row, set()).add(place)

    def forget(self, place: Place) -> None:
        for row in self._rows.get(place[:2], {}).pop(place[2], ()):
            places = self._places[row]
            places.discard(place)
            if not places:
                del self._places[row]

    def forget_map(self, root: str, key: str) -> None:
        """Forgets what hangs on one ``Y.Map`` of the document: that of a list, or a node with all its relations."""
        layer, _, relation = root.rpartition(".")
        self.forget((layer, key, relation))
        for name in tuple(self._rows.get((root, key), ())):
            self.forget((root, key, name))
        self._rows.pop((root, key), None)
