"""The serializer, introspected once: which layers a document has, what they hold and how they hang together."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.db.models import Model, Prefetch, QuerySet
from rest_framework import serializers

from rxcrdt import undeclared
from rxcrdt.anchors import Anchor
from rxcrdt.context import projection_context
from rxcrdt.dependencies import Dependency, flat_dependencies
from rxcrdt.exceptions import ConfigurationError
from rxcrdt.keys import base_model
from rxcrdt.ordering import ordered_along
from rxcrdt.paths import Hop, walk
from rxcrdt.prefetches import Prefetches, is_ordered, is_sliced, once, prefixed, rows_of, whole
from rxcrdt.sharing import signature
from rxcrdt.ways import ways

__all__ = ["Plan", "PlannedLayer", "Relation", "is_node_serializer", "plan", "watched_plan"]

LAYOUT = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relation:
    """A nested serializer's field: from the rows of one layer to rows of the layer ``child``.

    ``steps`` are empty where the rows are the parent itself (``source="*"``); ``opaque`` relations come out
    of a property or a method. ``checkable``: the child layer's ``queryset`` orders its rows as this relation does,
    so that a row's place can be checked against its neighbours, without reading the list. ``hides``: its queryset may
    leave out rows that no column of theirs ties to the parent, so that their keys are read as well. ``ways``: how an
    opaque relation may have come to its rows, as steps from the parent. ``leading``: the Prefetches of its first steps.
    """

    name: str
    field: Any
    child: str
    many: bool
    steps: tuple[Hop, ...]
    opaque: bool
    lookup: str | Prefetch[Any] | None
    checkable: bool
    hides: bool
    ways: tuple[tuple[Hop, ...], ...] = ()
    leading: tuple[str | Prefetch[Any], ...] = ()

    @property
    def lookups(self) -> tuple[str | Prefetch[Any], ...]:
        """What to prefetch for it, so that neither its rows nor the keys of hidden ones take a query each."""
        everything = whole(self.steps[0]) if self.hides else None
        return tuple(lookup for lookup in (*self.leading, self.lookup, everything) if lookup is not None)

    @property
    def pk_column(self) -> str | None:
        """The parent's attribute that holds the child's primary key, where a look at it is enough.

        It is not where a ``Prefetch`` may hide the row.
        """
        if self.many or len(self.steps) != 1 or isinstance(self.lookup, Prefetch):
            return None
        return self.steps[0].pk_column

    @property
    def follows_columns(self) -> bool:
        """Whether a save of the parent may lead to other children, in a way that no column of it tells by itself."""
        if self.opaque or len(self.steps) > 1:
            return True
        return bool(self.steps) and self.steps[0].via is None and self.pk_column is None

    @property
    def vias(self) -> frozenset[str]:
        return frozenset(step.via for step in self.steps if step.via)


@dataclass(slots=True, kw_only=True, eq=False)
class PlannedLayer:
    """One layer: the rows of ``model``, as ``serializer`` shows them. Not changed after ``plan`` returned it.

    ``queryset`` gives any of the layer's rows again, with what its serializer needs of annotations; ``lookups`` are
    what its plain fields read of others, the ``hidden_lookups`` of these the keys of what querysets leave out there.
    """

    name: str
    model: type[Model]
    serializer: serializers.BaseSerializer[Any]
    whole: bool
    fields: tuple[str, ...]
    flat: tuple[Any, ...] = ()
    relations: dict[str, Relation] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    floats: tuple[str, ...] = ()
    queryset: QuerySet[Any] | None = None
    lookups: tuple[str | Prefetch[Any], ...] = ()
    hidden_lookups: tuple[Prefetch[Any], ...] = ()
    seeing: Callable[[Model], AbstractContextManager[Any]] = nullcontext  # watches what a ``whole`` one reads

    def describe(self) -> dict[str, Any]:
        one = {r.name: r.child for r in self.relations.values() if not r.many}
        many = {r.name: r.child for r in self.relations.values() if r.many}
        return {"fields": list(self.fields), "one": one, "many": many, "floats": list(self.floats)}


@dataclass(kw_only=True, eq=False)
class Plan:
    """All layers of an anchor's documents, by name; children before or after their parents alike."""

    anchor: type[Anchor]
    root: str
    layers: dict[str, PlannedLayer]
    lookups: tuple[str | Prefetch[Any], ...]

    @cached_property
    def description(self) -> dict[str, Any]:
        return {name: layer.describe() for name, layer in sorted(self.layers.items())}

    @cached_property
    def schema(self) -> str:
        """A short hash of what the documents look like: another one is another log."""
        kinds = {
            name: {f.field_name: type(f).__name__ for f in layer.flat} for name, layer in sorted(self.layers.items())
        }
        text = json.dumps([LAYOUT, self.root, self.description, kinds], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def hiding(self, label: str) -> Iterator[tuple[PlannedLayer, Relation]]:
        """The relations that may hide rows of the model ``label``, each with the layer it starts from."""
        for layer, relation in self._hiding:
            if base_model(relation.steps[0].model)._meta.label_lower == label:
                yield layer, relation

    @cached_property
    def _hiding(self) -> list[tuple[PlannedLayer, Relation]]:
        layers = self.layers.values()
        return [(layer, relation) for layer in layers for relation in layer.relations.values() if relation.hides]

    def holding(self, child: str) -> Iterator[tuple[PlannedLayer, Relation]]:
        """The relations that lead to the layer ``child``, each with the layer it starts from."""
        for layer in self.layers.values():
            for relation in layer.relations.values():
                if relation.child == child:
                    yield layer, relation


_local = threading.local()  # serializer instances are not shared between threads: fields may keep state


def plan(anchor: type[Anchor]) -> Plan:
    """The anchor's plan; made once a thread. ConfigurationError if the serializer cannot be anchored."""
    watched = undeclared.wanted()
    plans: dict[tuple[type[Anchor], bool], Plan] = _local.__dict__.setdefault("plans", {})
    found = plans.get((anchor, watched))
    if found is None:
        found = _Planner(anchor).plan() if not watched else watched_plan(anchor, undeclared.name_once)
        plans[anchor, watched] = found
    return found


def watched_plan(anchor: type[Anchor], name: Callable[[undeclared.Read], None]) -> Plan:
    """A plan of one's own, whose fields tell ``name`` what they read and do not declare."""
    made = _Planner(anchor).plan()
    undeclared.watch(made, name)
    return made


def is_node_serializer(serializer: Any) -> bool:
    """Whether its rows become nodes: a ModelSerializer that shows its fields one by one, as DRF does.

    A class that overrides ``to_representation`` decides about all of its output at once, so that a nested one
    becomes a plain JSON value of the field that it stands in.
    """
    child = serializer
    if isinstance(serializer, serializers.ListSerializer):
        if type(serializer).to_representation is not serializers.ListSerializer.to_representation:
            return False
        child = serializer.child
    return isinstance(child, serializers.ModelSerializer) and not _is_whole(child)


def _is_whole(serializer: Any) -> bool:
    kind = type(serializer)
    standard = serializers.Serializer
    return kind.to_representation is not standard.to_representation or kind.data is not standard.data


@dataclass(slots=True)
class _Place:
    """Where a nested serializer stands: the fields' names and the prefetch path that lead to it."""

    serializer: Any
    names: tuple[str, ...]
    prefetch_path: tuple[str, ...] | None


class _Planner:
    def __init__(self, anchor: type[Anchor]):
        self.anchor = anchor
        self.prefetches = Prefetches(anchor.base_queryset())
        self.layers: dict[str, PlannedLayer] = {}
        self.read_as: dict[str, tuple[bool, Prefetch[Any] | None]] = {}  # what decides a layer's ``queryset``

    def plan(self) -> Plan:
        serializer_class = self.anchor.serializer_class
        if serializer_class is None or not issubclass(serializer_class, serializers.ModelSerializer):
            raise ConfigurationError(
                f"{self.anchor.__qualname__}.serializer_class has to be a ModelSerializer, not {serializer_class!r}."
            )
        root = _Place(serializer_class(context=projection_context(self.anchor)), (), ())
        self.names = self._name_layers(root)
        self._add(root)
        layers = self.layers
        root_layer = layers[self.names[()]]
        root_layer.queryset = self.anchor.base_queryset().prefetch_related(None)
        return Plan(anchor=self.anchor, root=root_layer.name, layers=layers, lookups=self._root_lookups(root_layer))

    # Names

    def _name_layers(self, root: _Place) -> dict[tuple[str, ...], str]:
        places = list(self._places(root))
        kinds: dict[type, set[str]] = {}
        for place in places:
            kind, path = type(place.serializer), place.prefetch_path
            kinds.setdefault(kind, set()).add(signature(place.serializer, self.prefetches, path))
        names: dict[tuple[str, ...], str] = {}
        owners: dict[str, type] = {}
        for place in places:
            kind = type(place.serializer)
            name = self._given_name(kind)
            if len(kinds[kind]) > 1 or kind.__name__ == "NestedSerializer":
                name = "/".join((self._given_name(type(root.serializer)), *place.names))
            if owners.setdefault(name, kind) is not kind:
                raise ConfigurationError(
                    f"{self.anchor.__qualname__}: {kind.__module__}.{kind.__qualname__} and "
                    f"{owners[name].__module__}.{owners[name].__qualname__} would both be the layer {name!r}. "
                    f"Name one of them: layers = {{{kind.__name__}: Layer(name=…)}}, see docs/anchors.md."
                )
            names[place.names] = name
        return names

    def _given_name(self, kind: type) -> str:
        option = self.anchor.layers.get(kind)
        return (option.name if option else None) or kind.__name__.removesuffix("Serializer") or kind.__name__

    def _places(self, place: _Place) -> Iterator[_Place]:
        yield place
        if _is_whole(place.serializer):
            return
        for child in place.serializer._readable_fields:
            if is_node_serializer(child):
                serializer = getattr(child, "child", child)
                inner = self._inner(place, child.source_attrs)
                yield from self._places(_Place(serializer, (*place.names, child.field_name), inner))

    def _inner(self, place: _Place, attrs: list[str]) -> tuple[str, ...] | None:
        """The prefetch path of what ``attrs`` lead to; None behind a property."""
        path = place.prefetch_path
        steps, _ = self.prefetches.resolve(place.serializer.Meta.model, path, attrs)
        return None if path is None or len(steps) < len(attrs) else (*path, *attrs)

    # Layers

    def _add(self, place: _Place) -> None:
        name = self.names[place.names]
        if name in self.layers:
            return
        serializer = place.serializer
        model = serializer.Meta.model
        as_whole = _is_whole(serializer)
        fields = tuple(serializer._readable_fields)
        nested = () if as_whole else tuple(f for f in fields if is_node_serializer(f))
        flat = tuple(f for f in fields if f not in nested)
        layer = self.layers[name] = PlannedLayer(
            name=name,
            model=model,
            serializer=serializer,
            whole=as_whole,
            fields=tuple(f.field_name for f in fields),
            flat=() if as_whole else flat,
            floats=() if as_whole else tuple(str(f.field_name) for f in flat if isinstance(f, serializers.FloatField)),
        )
        for child in nested:
            self._add_relation(layer, place, child)
        relations = layer.relations.values()
        through = [self._through(relation, place) for relation in relations if len(relation.steps) > 1]
        through += [way[:-1] for relation in relations for way in relation.ways]
        shown = fields if as_whole else (*flat, *(relation.field for relation in relations if relation.opaque))
        layer.dependencies = flat_dependencies(model, serializer, shown, through)
        layer.hidden_lookups = self._hidden_lookups(layer, place)
        layer.lookups = self._row_lookups(layer, place)

    def _add_relation(self, layer: PlannedLayer, place: _Place, child: Any) -> None:
        many = isinstance(child, serializers.ListSerializer)
        serializer = child.child if many else child
        attrs = child.source_attrs
        path = place.prefetch_path
        steps, given = self.prefetches.resolve(layer.model, path, attrs)
        opaque = bool(attrs) and len(steps) < len(attrs)
        inner = self._inner(place, attrs)
        along = self.prefetches.along(path or (), tuple(attrs)) if inner and len(attrs) > 1 else ()
        relation = Relation(
            name=child.field_name,
            field=child,
            child=self.names[(*place.names, child.field_name)],
            many=many,
            steps=() if opaque else steps,
            opaque=opaque,
            lookup=None if opaque or not attrs else (along[-1] if along else given or "__".join(attrs)),
            checkable=False,
            hides=len(steps) == 1 and not opaque and self.prefetches.hides(steps[0], inner),
            ways=self._ways(layer.model, serializer.Meta.model, attrs) if opaque else (),
            leading=tuple(along[:-1]),
        )
        known = relation.child in self.layers
        self._add(_Place(serializer, (*place.names, child.field_name), inner))
        rows = rows_of(serializer.Meta.model, many, given)
        if not known:
            self.layers[relation.child].queryset = rows
            self.read_as[relation.child] = many, given
        if many:
            self._depend(self.layers[relation.child], ordered_along(rows, steps[-1] if steps else None))
        alike = not known or (given is None and self.read_as.get(relation.child) == (many, None))
        alike = alike and not is_sliced(given)
        checkable = many and not opaque and len(steps) == 1 and alike and is_ordered(rows)
        layer.relations[relation.name] = replace(relation, checkable=checkable)

    @staticmethod
    def _depend(layer: PlannedLayer, paths: list[tuple[Hop, ...]]) -> None:
        """Its rows stand where they do because of rows at the ends of ``paths``."""
        found = [Dependency(steps=steps) for steps in paths]
        layer.dependencies = tuple(dict.fromkeys((*layer.dependencies, *found)))
        layer.lookups = tuple(once((*layer.lookups, *(d.lookup for d in found if d.lookup))))

    def _ways(self, model: type[Model], child: type[Model], attrs: list[str]) -> tuple[tuple[Hop, ...], ...]:
        steps = walk(model, attrs)
        return tuple((*steps, *way) for way in ways(steps[-1].model if steps else model, child))

    def _through(self, relation: Relation, place: _Place) -> tuple[Hop, ...]:
        """The steps of a longer relation whose rows matter besides its children; those too if they may be hidden."""
        path = None if place.prefetch_path is None else (*place.prefetch_path, *relation.field.source_attrs)
        return relation.steps if self.prefetches.hides(relation.steps[-1], path) else relation.steps[:-1]

    # What has to be read before a serializer runs, so that it asks nothing row by row

    def _hidden_lookups(self, layer: PlannedLayer, place: _Place) -> tuple[Prefetch[Any], ...]:
        found: dict[str, Prefetch[Any]] = {}
        for dependency in layer.dependencies:
            attrs = tuple(step.attr for step in dependency.steps)
            for number, step in enumerate(dependency.steps):
                path = None if place.prefetch_path is None else (*place.prefetch_path, *attrs[: number + 1])
                lookup = whole(step, attrs[:number]) if self.prefetches.hides(step, path) else None
                if lookup is not None:
                    found[lookup.prefetch_to] = lookup
        return tuple(found.values())

    def _row_lookups(self, layer: PlannedLayer, place: _Place) -> tuple[str | Prefetch[Any], ...]:
        """For single rows of the layer: what its own fields read. Relations are read when they change."""
        paths = [tuple(d.lookup.split("__")) for d in layer.dependencies if d.lookup]
        path = place.prefetch_path
        if path is None:
            return (*("__".join(attrs) for attrs in dict.fromkeys(paths)), *layer.hidden_lookups)
        listed = {tuple(relation.field.source_attrs) for relation in layer.relations.values()}
        found = [lookup for attrs in paths for lookup in self.prefetches.along(path, attrs)]
        found += self.prefetches.below(layer.model, path, without=listed)
        found += layer.hidden_lookups
        return tuple(once(found))

    def _root_lookups(self, root: PlannedLayer) -> tuple[str | Prefetch[Any], ...]:
        lookups: list[str | Prefetch[Any]] = []
        seen: set[tuple[str, ...]] = set()

        def visit(layer: PlannedLayer, path: tuple[str, ...]) -> None:
            prefix = "__".join(path)
            lookups.extend("__".join((*path, d.lookup)) for d in layer.dependencies if d.lookup)
            lookups.extend(prefixed(prefix, lookup) for lookup in layer.hidden_lookups)
            for relation in layer.relations.values():
                if relation.opaque:
                    continue
                inner = (*path, *relation.field.source_attrs)
                if relation.field.source_attrs and inner not in seen:
                    seen.add(inner)
                    if not self.prefetches.gives(inner):
                        lookups.append("__".join(inner))
                    hidden = relation.lookups[1:] if relation.hides else ()
                    lookups.extend(prefixed(prefix, lookup) for lookup in hidden)
                visit(self.layers[relation.child], inner)

        visit(root, ())
        return tuple(dict.fromkeys(lookups))
