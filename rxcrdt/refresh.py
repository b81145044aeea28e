"""Changes to tables: which nodes and lists a transaction touched, read again and put in. One instance a pass.

What has to be read is found from the document itself (who refers to a row, whose fields show it), so that neither
old values of instances nor a walk of the database are needed. Nothing is changed before all has been read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Model

from rxcrdt.changes import Changes, Linked
from rxcrdt.keys import Node, node_key
from rxcrdt.layers import Plan, PlannedLayer, Relation
from rxcrdt.places import Chain, in_groups
from rxcrdt.projection import Forest, Projector
from rxcrdt.reading import CHUNK, Reader
from rxcrdt.tables import Tables
from rxcrdt.ties import depends, label_of, link_of, needs_key_only

__all__ = ["Refresh"]

MANY = 100  # up to as many changed rows of a layer, their neighbours are read and never whole lists


class Refresh:
    """Reads again what ``changes`` touched of the document that ``tables`` hold.

    ``forest`` is what was read, ``gone`` tells that the root row is, ``fresh`` are the nodes that come in.
    """

    def __init__(self, plan: Plan, document: str, tables: Tables, root: Node, reader: Reader):
        self.plan = plan
        self.document = document
        self.tables = tables
        self.root = root
        self.reader = reader
        self.projector = Projector(plan, reader.below)
        self.forest = Forest()
        self.fresh: set[Node] = set()
        self.missing: set[Node] = set()
        self._own: dict[str, set[str]] = {}
        self._lists: dict[tuple[str, str], set[str]] = {}
        self._done: set[tuple[str, ...]] = set()
        self._rows: dict[Node, Model] = {}
        self._listed: dict[Node, Model] = {}
        self._dropped: set[tuple[str, str, str]] = set()
        self._entering: dict[str, list[Model]] = {}

    @property
    def gone(self) -> bool:
        return self.root in self.missing

    # Which nodes and lists

    def mark(self, changes: Changes, whole: Iterable[Node] = ()) -> None:
        """Notes what ``changes`` touch, and the nodes ``whole`` with all their relations."""
        for row in changes.saved | changes.gone:
            self._mark_row(row, gone=row in changes.gone)
        for link in changes.links:
            self._mark_link(link)
        for node in whole:
            if node in self.tables:
                self._touch(node)
                for relation in self.plan.layers[node[0]].relations.values():
                    if relation.pk_column is None:
                        self._list(node, relation)

    def _mark_row(self, row: str, *, gone: bool) -> None:
        for node in self._nodes(row):
            self._touch(node)
        for node in self.tables.dependents.get(row, ()):
            if gone or not self.tables.sources[node][row]:
                self._touch(node)
        label = row.partition(":")[0]
        known = self.tables.shows(row)
        for layer in self.plan.layers.values():
            if any(label_of(step.model) == label for d in layer.dependencies for step in d.steps):
                for node in self._unsourced(layer.name, known=known):
                    self._touch(node)
        self._mark_hidden(row, label, known=known)
        self._mark_opaque(label)

    def _unsourced(self, layer: str, *, known: bool) -> Iterator[Node]:
        """Nodes that may show a row. Where it is not ``known`` here at all, another process has read something since,
        found the row, and no value that changed: so any node may."""
        return self.tables.unsourced(layer) if known else ((layer, key) for key in self.tables.keys(layer))

    def _mark_hidden(self, row: str, label: str, *, known: bool) -> None:
        """Relations that hid the row may show it now; so may those that another process read."""
        for layer_name, key, name in self.tables.hidden.places(row):
            self._list((layer_name, key), self.plan.layers[layer_name].relations[name])
        for layer, relation in self.plan.hiding(label):
            for key in self.tables.keys(layer.name):
                if not known or not self.tables.hidden.knows((layer.name, key), relation.name):
                    self._list((layer.name, key), relation)

    def _mark_opaque(self, label: str, via: str = "") -> None:
        """Lists out of a property: nobody knows whose, so all are read again."""
        for layer in self.plan.layers.values():
            for relation in (each for each in layer.relations.values() if each.opaque):
                shown = label_of(self.plan.layers[relation.child].model) == label
                if shown or any(way[-1].via == via for way in relation.ways):
                    for key in self.tables.keys(layer.name):
                        self._list((layer.name, key), relation)

    def _mark_link(self, link: Linked) -> None:
        for node in self._nodes(link.owner):
            for relation in self.plan.layers[node[0]].relations.values():
                if relation.steps and relation.steps[0].via == link.via and not self._holds(node, relation, link.child):
                    self._list(node, relation)
            self._touch_dependent(node, link.via)
            self._mark_holders(node, link.via)
        label = link.via.rpartition(".")[0] if link.child is None else link.child.partition(":")[0]
        self._mark_opaque(label, link.via)
        for node in tuple(self.tables.dependents.get(link.owner, ())):
            self._touch_dependent(node, link.via)
        for layer in self.plan.layers.values():
            if depends(layer, link.via):
                for node in self.tables.unsourced(layer.name):
                    self._touch(node)

    def _mark_holders(self, node: Node, via: str) -> None:
        """An M2M relation was changed from the child's side: the lists that it stands in are read again."""
        for root, parent, _ in self.tables.holders.get(node, ()):
            if root not in self.plan.layers:
                layer, relation = self._relation_of(root)
                if via in relation.vias and relation.steps[-1].field.many_to_many:
                    self._list((layer.name, parent), relation)

    def _touch_dependent(self, node: Node, via: str) -> None:
        if depends(self.plan.layers[node[0]], via):
            self._touch(node)

    def _holds(self, parent: Node, relation: Relation, child: str | None) -> bool:
        """Whether the child stands there already, so that reading the child will tell all there is to tell."""
        if child is None or relation.opaque or len(relation.steps) > 1:
            return False
        key = node_key(child.partition(":")[2])
        if relation.many:
            entries = self.tables.get(f"{parent[0]}.{relation.name}", parent[1])
            return entries is not None and key in entries
        registers = self.tables.get(*parent)
        return registers is not None and registers.get(relation.name) == key

    def _nodes(self, row: str) -> Iterator[Node]:
        label, _, text = row.partition(":")
        key = node_key(text)
        for layer in self.plan.layers.values():
            if label_of(layer.model) == label and (layer.name, key) in self.tables:
                yield layer.name, key

    def _touch(self, node: Node) -> None:
        if ("own", *node) in self._done:
            return
        self._done.add(("own", *node))
        self._own.setdefault(node[0], set()).add(node[1])
        for relation in self.plan.layers[node[0]].relations.values():
            if relation.follows_columns:
                self._list(node, relation)

    def _list(self, parent: Node, relation: Relation) -> None:
        if ("list", *parent, relation.name) not in self._done:
            self._done.add(("list", *parent, relation.name))
            self._lists.setdefault((parent[0], relation.name), set()).add(parent[1])

    @property
    def queries(self) -> int:
        """How many queries the marked nodes and lists will take: a list may bring rows in, with all below them."""
        own = sum(1 + len(self.plan.layers[name].lookups) for name in self._own)
        relations = [self.plan.layers[name].relations[relation] for name, relation in self._lists]
        below = (len(self.reader.lookups_below(self.plan.layers[r.child])) for r in relations)
        return own + sum(below) + sum(max(1, len(relation.lookups)) for relation in relations)

    # Reading

    def hint(self, earlier: Refresh) -> None:
        """Reads first the lists that an earlier pass, which could not go on, found to be needed: the rows in
        them need no query of their own."""
        for (layer, relation), keys in earlier._lists.items():
            for key in keys:
                self._list((layer, key), self.plan.layers[layer].relations[relation])
        if self._lists:
            self._read_all_lists()

    def read(self) -> None:
        """Reads all that was marked, and what that shows to be touched too."""
        while (self._own or self._lists) and not self.gone:
            while self._own:
                name, keys = self._own.popitem()
                self._read_own(self.plan.layers[name], keys)
            self._read_all_lists()
        for name, rows in self._entering.items():
            self.reader.below(self.plan.layers[name], rows)
            self.projector.deep(self.forest, name, rows, self._known)
        self.fresh = {node for node in self.forest.nodes if node not in self.tables}

    def _read_all_lists(self) -> None:
        while self._lists:
            (name, relation), keys = next(iter(self._lists.items()))
            layer = self.plan.layers[name]
            self._read_lists(layer, layer.relations[relation], keys)
            del self._lists[name, relation]

    def _known(self, node: Node) -> bool:
        return node in self.tables and node not in self.missing

    def _read_own(self, layer: PlannedLayer, keys: set[str]) -> None:
        known = {key: row for key in keys if (row := self._listed.get((layer.name, key))) is not None}
        by_place = len(keys) <= MANY or 3 * len(keys) <= self._listed_with(layer, keys)
        found: dict[str, Model] = {}
        torn: list[Chain] = []
        for wanted, group in in_groups(keys - known.keys(), self._chains(layer, keys) if by_place else (), CHUNK):
            place: dict[str, int] = {}
            for number, row in enumerate(self.reader.rows(layer, wanted)):
                key = node_key(row.pk)
                place[key], found[key] = number, row
            torn += [chain for chain in group if chain.is_torn(place)]
        changed = [*known.values(), *(row for key, row in found.items() if key in keys - known.keys())]
        gone = keys - known.keys() - found.keys()
        if self._renamed(layer, changed):
            self.missing.add(self.root)
        self.missing.update((layer.name, key) for key in gone)
        if self.gone:
            return
        self.reader.prepare(layer, changed)
        for row in changed:
            self._project_own(layer, row)
        self._fetch_targets(layer, changed)
        for key in gone:
            self._let_go((layer.name, key))
        for chain in torn:
            self._list(chain.parent, chain.relation)
        self._check_parents(layer, changed, by_place=by_place)

    def _renamed(self, layer: PlannedLayer, rows: list[Model]) -> bool:
        """Whether the root row has another lookup value by now, and is another document's."""
        roots = (row for row in rows if (layer.name, node_key(row.pk)) == self.root)
        return any(self.plan.anchor.document_name(row) != self.document for row in roots)

    def _standing(self, layer: PlannedLayer, keys: set[str]) -> Iterator[tuple[str, str, Relation, str]]:
        """Each changed row with each list that it stands in and whose order can be checked."""
        for parent_layer, relation in self.plan.holding(layer.name):
            table = f"{parent_layer.name}.{relation.name}"
            for key in keys if relation.checkable else ():
                for root, parent, _ in self.tables.holders.get((layer.name, key), ()):
                    if root == table and ("list", parent_layer.name, parent, relation.name) not in self._done:
                        yield table, parent, relation, key

    def _listed_with(self, layer: PlannedLayer, keys: set[str]) -> int:
        """How many rows all lists together have that a changed row stands in: as many are read if not by place."""
        lists = {(table, parent) for table, parent, _, _ in self._standing(layer, keys)}
        return sum(len(self.tables.get(table, parent) or ()) for table, parent in lists)

    def _chains(self, layer: PlannedLayer, keys: set[str]) -> list[Chain]:
        """For each list that a changed row stands in: the row between its neighbours. List by list and in their order,
        so that chains that have rows in common are read together."""
        chains = []
        for table, parent, relation, key in self._standing(layer, keys):
            order = (self.tables.get(table, parent) or {})[key]
            around = self.tables.around(table, parent, key)
            chain = Chain(parent=(table.rpartition(".")[0], parent), relation=relation, keys=around, key=key)
            chains.append((table, parent, order if isinstance(order, str) else max(order), chain))
        return [chain for *_, chain in sorted(chains, key=lambda found: found[:3])]

    def _project_own(self, layer: PlannedLayer, row: Model) -> None:
        node = (layer.name, node_key(row.pk))
        self._rows[node] = row
        before = self.forest.nodes.get(node) or self.tables.get(*node) or {}
        registers = self.projector.own(self.forest, layer, row)
        for relation in layer.relations.values():
            if relation.pk_column is None and relation.name in before:
                registers[relation.name] = before[relation.name]

    def _fetch_targets(self, layer: PlannedLayer, rows: list[Model]) -> None:
        """Rows that a changed foreign key points at and that are not in the document yet."""
        for relation in layer.relations.values():
            if relation.pk_column is None:
                continue
            lacking = []
            for row in rows:
                registers = self.forest.nodes[layer.name, node_key(row.pk)]
                key = registers.get(relation.name)
                if key is not None and not self._known((relation.child, key)):
                    lacking.append(row)
            self.reader.relation(relation, lacking)
            for row in lacking:
                registers = self.forest.nodes[layer.name, node_key(row.pk)]
                self._enter(relation, self.projector.relate(self.forest, registers, layer, relation, row))

    def _enter(self, relation: Relation, children: list[Model]) -> None:
        for child in children:
            if not self._known((relation.child, node_key(child.pk))):
                self._entering.setdefault(relation.child, []).append(child)

    def _let_go(self, node: Node) -> None:
        """The row is not there any more: whoever refers to it is read again, or simply loses it."""
        for root, key, name in self.tables.holders.get(node, ()):
            holder = self.plan.layers.get(root)
            if holder is None:
                self._unless_shown(root, key, name)
                self._leave(root, key, name)
            elif holder.relations[name].pk_column is not None:
                self._done.discard(("own", root, key))
                self._touch((root, key))
            else:
                self._list((root, key), holder.relations[name])

    def _unless_shown(self, table: str, parent: str, child: str) -> None:
        """A list that was read already, as one of known rows, shows a row that its layer's own queryset hides: the
        row comes in from there, by reading the list once more."""
        if child in (self.forest.lists.get((table, parent)) or ()):
            layer, relation = self._relation_of(table)
            self._done.discard(("list", layer.name, parent, relation.name))

    def _leave(self, table: str, parent: str, child: str) -> None:
        layer, relation = self._relation_of(table)
        if relation.checkable and not relation.hides:
            self._dropped.add((table, parent, child))
        else:
            self._list((layer.name, parent), relation)

    def _relation_of(self, table: str) -> tuple[PlannedLayer, Relation]:
        name, _, relation = table.rpartition(".")
        return self.plan.layers[name], self.plan.layers[name].relations[relation]

    def _check_parents(self, layer: PlannedLayer, rows: list[Model], *, by_place: bool) -> None:
        """Do the rows still stand where their own columns say, and only there?"""
        for parent_layer, relation in self.plan.holding(layer.name):
            link = link_of(relation)
            for row in rows:
                key = node_key(row.pk)
                parents = self._parents(parent_layer, relation, (layer.name, key))
                if link is not None:
                    self._check_parent(parent_layer, relation, key, parents, link.owner_of(row))
                if relation.hides if not relation.many else not (relation.checkable and by_place):
                    for parent in parents:
                        self._list((parent_layer.name, parent), relation)

    def _parents(self, layer: PlannedLayer, relation: Relation, child: Node) -> set[str]:
        table = f"{layer.name}.{relation.name}" if relation.many else layer.name
        name = child[1] if relation.many else relation.name
        holders = self.tables.holders.get(child, ())
        return {key for root, key, held in holders if root == table and held == name}

    def _check_parent(
        self, layer: PlannedLayer, relation: Relation, child: str, parents: set[str], owner: str | None
    ) -> None:
        label, _, text = (owner or "").partition(":")
        wanted = node_key(text) if label == label_of(layer.model) else None
        for parent in parents - {wanted}:
            if relation.many:
                self._leave(f"{layer.name}.{relation.name}", parent, child)
            else:
                self._list((layer.name, parent), relation)
        if wanted is not None and wanted not in parents and (layer.name, wanted) in self.tables:
            self._list((layer.name, wanted), relation)

    def _read_lists(self, layer: PlannedLayer, relation: Relation, keys: set[str]) -> None:
        keys = {key for key in keys if (layer.name, key) not in self.missing}
        rows = [self._rows[layer.name, key] for key in keys if (layer.name, key) in self._rows]
        unread = [key for key in keys if (layer.name, key) not in self._rows]
        if unread:
            bare = len(relation.steps) == 1 and needs_key_only(relation)
            rows += self.reader.bare(layer, unread) if bare else self.reader.rows(layer, unread)
        self.reader.relation(relation, rows)
        for row in rows:
            node = (layer.name, node_key(row.pk))
            if node not in self.forest.nodes:
                self.forest.nodes[node] = dict(self.tables.get(*node) or {})
            children = self.projector.relate(self.forest, self.forest.nodes[node], layer, relation, row)
            self._enter(relation, children)
            if relation.checkable:  # they come from the queryset that their layer is read by
                self._listed.update({(relation.child, node_key(child.pk)): child for child in children})

    # Putting in

    def merge(self) -> None:
        """Changes the tables; everything is emptied if the root row is gone."""
        if self.gone:
            self.tables.replace(Forest(), None)
            return
        for table, parent, child in self._dropped:
            entries = self.tables.get(table, parent)
            if entries is not None and (table, parent) not in self.forest.lists:
                self.tables.put(table, parent, {key: order for key, order in entries.items() if key != child})
        self.tables.merge(self.forest, self.root)
