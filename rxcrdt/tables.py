"""A document's content as plain dictionaries, with who refers to whom, and the smallest change from before to after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rxcrdt.hidden import Hidden
from rxcrdt.keys import Node, base_model, node_key
from rxcrdt.layers import Plan
from rxcrdt.order import arrange, arranged
from rxcrdt.projection import Forest
from rxcrdt.values import Json, same

__all__ = ["Content", "Patch", "Tables"]

Entries = dict[str, Json]
Content = dict[str, dict[str, Entries]]  # root → key → register or child → value


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What becomes of one ``Y.Map`` at depth two: ``after`` is None where it goes, ``before`` where it comes."""

    root: str
    key: str
    before: Entries | None
    after: Entries | None


class Tables:
    """The content of one document; changed by ``put`` and ``merge``, until ``patches`` tells what that came to."""

    def __init__(self, plan: Plan, content: Content):
        self.plan = plan
        self.content: Content = {root: {} for root in self._roots()}
        self.sources: dict[Node, dict[str, bool]] = {}
        self.dependents: dict[str, set[Node]] = {}
        self.hidden = Hidden()
        self.holders: dict[Node, set[tuple[str, str, str]]] = {}
        self._before: dict[tuple[str, str], Entries | None] = {}
        self._loose: set[Node] = set()
        self._arranged: dict[tuple[str, str], tuple[list[str], dict[str, int]]] = {}
        for root, table in content.items():
            for key, entries in table.items():
                self.put(root, key, entries)
        self.settle()

    def _roots(self) -> Iterator[str]:
        self._children = {}
        for layer in self.plan.layers.values():
            yield layer.name
            for relation in layer.relations.values():
                if relation.many:
                    self._children[f"{layer.name}.{relation.name}"] = relation.child
                    yield f"{layer.name}.{relation.name}"

    # Reading

    def __contains__(self, node: object) -> bool:
        return isinstance(node, tuple) and node[1] in self.content.get(node[0], ())

    def get(self, root: str, key: str) -> Entries | None:
        return self.content.get(root, {}).get(key)

    def keys(self, layer: str) -> Mapping[str, Entries]:
        return self.content[layer]

    def around(self, table: str, parent: str, child: str) -> list[str]:
        """The child between its neighbours, as far as it has some, in the order of the list."""
        children = self._arranged.get((table, parent))
        if children is None:
            names = arranged(self.content[table].get(parent, {}))
            children = self._arranged[table, parent] = (
                names,
                {name: number for number, name in enumerate(names)},
            )
        names, number = children[0], children[1][child]
        return names[max(0, number - 1) : number + 2]

    def shows(self, row: str) -> bool:
        """Whether the row is known to be part of the document, so that the store's index has it already."""
        label, _, text = row.partition(":")
        key = node_key(text)
        names = (n for n, layer in self.plan.layers.items() if base_model(layer.model)._meta.label_lower == label)
        return row in self.dependents or row in self.hidden or any((name, key) in self for name in names)

    def unsourced(self, layer: str) -> Iterator[Node]:
        """Nodes whose sources are not known here: another process, or an earlier one, projected them."""
        return (node for key in self.content[layer] if (node := (layer, key)) not in self.sources)

    # Changing

    def put(self, root: str, key: str, after: Entries | None) -> None:
        """Sets the entries of one map; None takes it out."""
        table = self.content.setdefault(root, {})
        before = table.get(key)
        if same(before, after):
            return
        self._before.setdefault((root, key), before)
        self._arranged.pop((root, key), None)
        self._refer(root, key, before, after)
        if after is None:
            del table[key]
            self.forget((root, key))
        else:
            table[key] = after
            if before is None and root in self.plan.layers and not self.holders.get((root, key)):
                self._loose.add((root, key))

    def _refer(self, root: str, key: str, before: Entries | None, after: Entries | None) -> None:
        old, new = set(self._references(root, before)), set(self._references(root, after))
        for child, name in old - new:
            holders = self.holders[child]
            holders.discard((root, key, name))
            if not holders:
                del self.holders[child]
                self._loose.add(child)
        for child, name in new - old:
            self.holders.setdefault(child, set()).add((root, key, name))

    def _references(self, root: str, entries: Entries | None) -> Iterator[tuple[Node, str]]:
        if not entries:
            return
        layer = self.plan.layers.get(root)
        if layer is None:
            child = self._children.get(root)
            if child is not None:
                yield from (((child, key), key) for key in entries)
            return
        for relation in layer.relations.values():
            value = entries.get(relation.name)
            if not relation.many and value is not None:
                yield (relation.child, value), relation.name

    def source(self, node: Node, sources: dict[str, bool]) -> None:
        """Remembers which rows the node shows besides its own."""
        self.forget(node)
        self.sources[node] = sources
        for row in sources:
            self.dependents.setdefault(row, set()).add(node)

    def forget(self, node: Node) -> None:
        """Which rows the map ``node`` shows or hides is not known any more: somebody else projected it."""
        for row in self.sources.pop(node, ()):
            nodes = self.dependents[row]
            nodes.discard(node)
            if not nodes:
                del self.dependents[row]
        self.hidden.forget_map(*node)

    def merge(self, forest: Forest, root: Node | None) -> None:
        """Puts a forest in; then takes out what nothing but ``root`` refers to any more."""
        for (name, key), registers in forest.nodes.items():
            self.put(name, key, registers)
        for (table, key), children in forest.lists.items():
            self.put(table, key, None if children is None else arrange(self.content[table].get(key, {}), children))
        for node, sources in forest.sources.items():
            if node in self:
                self.source(node, sources)
        for place, rows in forest.hidden.items():
            if place[:2] in self:
                self.hidden.put(place, rows)
        self._sweep(root)

    def replace(self, forest: Forest, root: Node | None) -> None:
        """Makes ``forest``, which is a whole document, the content."""
        for name, table in self.content.items():
            wanted = forest.nodes if name in self.plan.layers else forest.lists
            for key in [key for key in table if (name, key) not in wanted]:
                self.put(name, key, None)
        self.merge(forest, root)

    def _sweep(self, root: Node | None) -> None:
        while self._loose:
            node = self._loose.pop()
            if node == root or node not in self or node in self.holders:
                continue
            layer = self.plan.layers[node[0]]
            self.put(node[0], node[1], None)
            for relation in layer.relations.values():
                if relation.many:
                    self.put(f"{layer.name}.{relation.name}", node[1], None)

    # What it came to

    def patches(self) -> list[Patch]:
        """What changed since ``settle``, one patch a map."""
        found = []
        for (root, key), before in self._before.items():
            after = self.get(root, key)
            if not same(before, after):
                found.append(Patch(root=root, key=key, before=before, after=after))
        return found

    def settle(self) -> None:
        """The content as it is now is what changes count from."""
        self._before.clear()
        self._loose.clear()
