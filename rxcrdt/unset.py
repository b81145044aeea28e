"""Rows whose foreign key a delete writes to (``SET_NULL``, ``SET_DEFAULT``, ``SET``): Django sends no signal for them.

Where the document has the deleted row, that tells it all. It has not where something reads the column itself: a field
shows the key, a list leaves rows out by it, a method or a property may do either. Only then the rows are asked for,
before the delete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import CASCADE, DO_NOTHING, PROTECT, RESTRICT, ForeignKey, Model, QuerySet
from rest_framework.serializers import PrimaryKeyRelatedField

from rxcrdt.layers import Plan, PlannedLayer, Relation
from rxcrdt.paths import walk

__all__ = ["Key", "keys_read", "rows_to_unset"]

Key = ForeignKey[Any, Any]

SIGNALLED = (CASCADE, PROTECT, RESTRICT, DO_NOTHING)


def keys_read(plan: Plan) -> Iterator[Key]:
    """The foreign keys that a delete may write to and that something reads as a column."""
    for model, names in _read(plan):
        for key in model._meta.get_fields():
            if isinstance(key, ForeignKey) and _is_unset(key) and (names is None or names & {key.name, key.attname}):
                yield key


def _is_unset(key: Key) -> bool:
    on_delete = key.remote_field.on_delete
    if on_delete in SIGNALLED:
        return False
    tells = getattr(key.model._base_manager.all(), "tells_of_updates", False)  # an AnchoredQuerySet
    return not (tells and getattr(on_delete, "lazy_sub_objs", False))  # whose ``update`` is what is called then


def _read(plan: Plan) -> Iterator[tuple[type[Model], set[str] | None]]:
    """Models, and which of their columns are read; None for all."""
    for layer in plan.layers.values():
        names = _shown(layer)
        yield layer.model, names
        if names is None or any(_says_more(layer.model, each) for each in layer.flat):
            yield from ((step.model, None) for d in layer.dependencies for step in d.steps)
        if layer.queryset is not None:
            yield layer.model, _columns_of(layer.queryset)
        for relation in layer.relations.values():
            yield from _listed(plan, relation)
    yield from ((model, names) for model, names in _prefetched(plan.anchor.base_queryset()))


def _shown(layer: PlannedLayer) -> set[str] | None:
    """What plain fields show of the row's own columns; None if one of them runs code that may read any."""
    if layer.whole:
        return None
    columns = {name for f in layer.model._meta.concrete_fields for name in (f.name, f.attname)}
    names = set()
    for each in layer.flat:
        first = each.source_attrs[0] if each.source_attrs else ""
        if each.source == "*" or not _is_known(layer.model, first):
            return None
        names |= {first} & columns - {f.name for f in layer.model._meta.concrete_fields if f.is_relation}
    return names


def _says_more(model: type[Model], field: Any) -> bool:
    """Whether it shows more of other rows than their keys."""
    related = getattr(field, "child_relation", field)
    return bool(walk(model, field.source_attrs)) and not isinstance(related, PrimaryKeyRelatedField)


def _is_known(model: type[Model], name: str) -> bool:
    """A column or a relation, and no attribute that may be anything."""
    meta = model._meta
    known = {f.name for f in meta.get_fields()} | {f.attname for f in meta.concrete_fields}
    return name == "pk" or name in known or name in {f.get_accessor_name() for f in meta.related_objects}


def _listed(plan: Plan, relation: Relation) -> Iterator[tuple[type[Model], set[str] | None]]:
    if relation.opaque:
        yield plan.layers[relation.child].model, None
        yield from ((step.model, None) for way in relation.ways for step in way)
    queryset = getattr(relation.lookup, "queryset", None)
    if queryset is not None:
        yield queryset.model, _columns_of(queryset)


def _prefetched(queryset: QuerySet[Any]) -> Iterator[tuple[type[Model], set[str] | None]]:
    yield queryset.model, _columns_of(queryset)
    for lookup in queryset._prefetch_related_lookups:  # type: ignore[attr-defined]
        inner = getattr(lookup, "queryset", None)
        if inner is not None:
            yield from _prefetched(inner)


def _columns_of(queryset: QuerySet[Any]) -> set[str] | None:
    """What decides which rows it gives, and in which order; None for any column, where it has conditions at all."""
    if queryset.query.where or queryset.query.annotations:
        return None
    ordering = [*queryset.query.order_by, *queryset.model._meta.ordering]
    if not all(isinstance(name, str) for name in ordering):
        return None
    return {str(name).lstrip("-+").partition("__")[0] for name in ordering}


def rows_to_unset(
    keys: Iterable[Key], row: Model, origin: Any, using: str
) -> Iterator[tuple[type[Model], QuerySet[Any]]]:
    """By model, the rows that the delete of ``row`` writes to. ``origin`` is what is deleted: those of all rows of a
    queryset are asked for together, when its first one goes; those of what goes with it, one by one."""
    for key in keys:
        name = key.target_field.attname
        owners: Any = [getattr(row, name)]
        if isinstance(origin, QuerySet) and origin.model._meta.concrete_model is row._meta.concrete_model:
            known: dict[Key, set[Any]] = origin.__dict__.setdefault("_rxcrdt_unset", {})
            first = key not in known
            if first:
                known[key] = set(_values(origin, name))
            if owners[0] in known[key]:
                if not first:
                    continue
                owners = _values(origin, name)
        yield key.model, key.model._base_manager.using(using).filter(**{f"{key.name}__in": owners})


def _values(origin: QuerySet[Any], name: str) -> QuerySet[Any]:
    found: QuerySet[Any] = origin._chain().order_by().values_list(name, flat=True)  # type: ignore[attr-defined]
    return found
