"""Rows to nodes: what a layer's serializer shows of an instance, split into registers, references and lists.

Pure: no queries of its own, no store, no clock. Instances come with what ``Plan.lookups`` name already read;
a serializer that asks for more (a method field, say) asks through the instance, as it would in a view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model
from django.db.models.manager import BaseManager
from rest_framework.fields import SkipField
from rest_framework.relations import PKOnlyObject

from rxcrdt.exceptions import NoRequestUser, ProjectionError
from rxcrdt.hidden import Place
from rxcrdt.keys import Node, node_key, row_key, row_key_of
from rxcrdt.layers import Plan, PlannedLayer, Relation
from rxcrdt.values import Json, plain

__all__ = ["ABSENT", "Forest", "Projector", "node_row_key"]

ABSENT: Any = object()  # what the serializer left out


@dataclass(slots=True)
class Forest:
    """A part of a document, or all of it: what nodes hold, and which rows that came from.

    ``lists``: by order table and parent's key, the children's keys in order; None where the serializer gave
    null or nothing. ``sources``: for each node the row keys that it shows besides its own, True if only
    their being there matters. ``hidden``: for each relation of a node that may hide rows, the row keys of those.
    """

    nodes: dict[Node, dict[str, Json]] = field(default_factory=dict)
    lists: dict[tuple[str, str], list[str] | None] = field(default_factory=dict)
    sources: dict[Node, dict[str, bool]] = field(default_factory=dict)
    hidden: dict[Place, set[str]] = field(default_factory=dict)

    def rows(self, plan: Plan) -> set[str]:
        """The row keys of all that it shows."""
        nodes = {node_row_key(plan, node) for node in self.nodes}
        return nodes.union(*self.sources.values(), *self.hidden.values())


def node_row_key(plan: Plan, node: Node) -> str:
    """The key in the store's index of the row that a node shows."""
    return row_key_of(plan.layers[node[0]].model, node[1])


class Projector:
    """Projects instances of one plan. Not shared between threads, as a plan is not.

    ``below`` reads what rows show that came out of a property: nothing has been read for those.
    """

    def __init__(self, plan: Plan, below: Callable[[PlannedLayer, Sequence[Model]], None]):
        self.plan = plan
        self._below = below

    def deep(self, forest: Forest, layer_name: str, rows: Iterable[Model], known: Callable[[Node], bool]) -> None:
        """Puts ``rows`` and everything below them into ``forest``, but what is there or ``known`` already."""
        waiting: list[tuple[str, Model]] = [(layer_name, row) for row in rows]
        while waiting:
            name, row = waiting.pop()
            node = (name, node_key(row.pk))
            if node in forest.nodes or known(node):
                continue
            layer = self.plan.layers[name]
            registers = self.own(forest, layer, row)
            for relation in layer.relations.values():
                children = self.relate(forest, registers, layer, relation, row)
                if relation.opaque:
                    self._below(self.plan.layers[relation.child], children)
                waiting.extend((relation.child, child) for child in children)

    def own(self, forest: Forest, layer: PlannedLayer, row: Model) -> dict[str, Json]:
        """The registers of the layer's plain fields, and those of to-one relations that a column of ``row`` decides."""
        node = (layer.name, node_key(row.pk))
        registers = self._whole(layer, row) if layer.whole else self._flat(layer, row)
        for relation in layer.relations.values():
            if relation.pk_column is not None:
                pk = getattr(row, relation.pk_column)
                registers[relation.name] = None if pk is None else node_key(pk)
        forest.nodes[node] = registers
        if layer.dependencies:
            forest.sources[node] = _sources(layer, row)
        return registers

    def _flat(self, layer: PlannedLayer, row: Model) -> dict[str, Json]:
        registers: dict[str, Json] = {}
        for bound in layer.flat:
            try:
                attribute = bound.get_attribute(row)
                missing = attribute.pk if isinstance(attribute, PKOnlyObject) else attribute
                registers[bound.field_name] = None if missing is None else plain(bound.to_representation(attribute))
            except SkipField:
                continue
            except Exception as error:
                raise _located(error, layer, bound.field_name, row) from error
        return registers

    def _whole(self, layer: PlannedLayer, row: Model) -> dict[str, Json]:
        try:
            serializer: Any = layer.serializer
            with layer.seeing(row):
                data = type(serializer)(row, *serializer._args[1:], **serializer._kwargs).data
            return {name: plain(value) for name, value in data.items()}
        except Exception as error:
            raise _located(error, layer, "to_representation", row) from error

    def relate(
        self, forest: Forest, registers: dict[str, Json], layer: PlannedLayer, relation: Relation, row: Model
    ) -> list[Model]:
        """Reads one relation of ``row``: sets its register or its list, and returns the children's rows, in order."""
        children = self._children(forest, registers, layer, relation, row)
        if relation.hides:
            step = relation.steps[0]
            hidden = {row_key(step.model, pk) for pk in step.keys(row)}
            hidden.difference_update(row_key(step.model, child.pk) for child in children)
            forest.hidden[layer.name, node_key(row.pk), relation.name] = hidden
        return children

    def _children(
        self, forest: Forest, registers: dict[str, Json], layer: PlannedLayer, relation: Relation, row: Model
    ) -> list[Model]:
        value = self._related(layer, relation, row)
        key = node_key(row.pk)
        registers.pop(relation.name, None)
        if value is None:
            registers[relation.name] = None
        if relation.many:
            gone = value is None or value is ABSENT
            children = [] if gone else [_model(child, layer, relation) for child in value]
            table = f"{layer.name}.{relation.name}"
            forest.lists[table, key] = None if gone else [node_key(child.pk) for child in children]
            return children
        if value is None or value is ABSENT:
            return []
        registers[relation.name] = node_key(_model(value, layer, relation).pk)
        return [value]

    def _related(self, layer: PlannedLayer, relation: Relation, row: Model) -> Any:
        try:
            value = relation.field.get_attribute(row)
        except SkipField:
            return ABSENT
        except Exception as error:
            raise _located(error, layer, relation.name, row) from error
        return value.all() if relation.many and isinstance(value, BaseManager) else value


def _model(value: Any, layer: PlannedLayer, relation: Relation) -> Model:
    if not isinstance(value, Model):
        raise ProjectionError(
            f"{layer.name}.{relation.name} gave a {type(value).__name__}, but its ModelSerializer needs a model's row. "
            f"Use a plain Serializer for values that are no rows: see docs/fields.md."
        )
    return value


def _sources(layer: PlannedLayer, row: Model) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for model, pk, held in _rows(layer, row):
        key = row_key(model, pk)
        found[key] = held and found.get(key, True)
    return found


def _rows(layer: PlannedLayer, row: Model) -> Iterator[tuple[type[Model], Any, bool]]:
    for dependency in layer.dependencies:
        yield from dependency.rows(row)


def _located(error: Exception, layer: PlannedLayer, name: str, row: Model) -> ProjectionError:
    kind = NoRequestUser if isinstance(error, NoRequestUser) else ProjectionError
    what = str(error) if isinstance(error, ProjectionError) else f"{type(error).__name__}: {error}"
    return kind(f"{layer.name}.{name} of {row._meta.label} {row.pk} cannot be projected: {what}")
