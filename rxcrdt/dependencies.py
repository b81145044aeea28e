"""Rows that a layer's plain fields show besides their own: a save of one of them changes the field's value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from rest_framework import serializers
from rest_framework.relations import (
    HyperlinkedRelatedField,
    ManyRelatedField,
    PrimaryKeyRelatedField,
    RelatedField,
)

from rxcrdt.declaring import declared_paths
from rxcrdt.exceptions import ConfigurationError
from rxcrdt.paths import Hop, walk

__all__ = ["Dependency", "dependencies_of", "flat_dependencies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A relation path that plain fields of a layer read.

    ``held``: only the last row's key shows, and by a foreign key, so that it matters whether the row is there, not
    what it says. (A row of a list may leave it, or move in it, by what it says.)
    """

    steps: tuple[Hop, ...]
    held: bool = False

    @property
    def lookup(self) -> str | None:
        """What to prefetch so that the rows of the path can be read without a query each."""
        if self.held and len(self.steps) == 1 and self.steps[0].pk_column:
            return None
        return "__".join(step.attr for step in self.steps)

    def rows(self, row: Model) -> Iterator[tuple[type[Model], Any, bool]]:
        """``(model, primary key, held)`` of every row along the path, from ``row`` whose ``lookup`` is prefetched."""
        here: list[Any] = [row]
        for number, step in enumerate(self.steps, 1):
            held = self.held and number == len(self.steps)
            if held and step.pk_column is not None:
                yield from ((step.model, pk, True) for r in here if (pk := getattr(r, step.pk_column)) is not None)
                return
            yield from ((step.model, pk, False) for owner in here for pk in step.keys(owner))
            here = [found for owner in here for found in _reached(owner, step)]
            yield from ((type(found), found.pk, held) for found in here)


def _reached(owner: Model, step: Hop) -> Iterable[Model]:
    try:
        value = getattr(owner, step.attr)
    except ObjectDoesNotExist:
        return ()
    if step.many:
        rows: Iterable[Model] = value.all()
        return rows
    return () if value is None else (value,)


def flat_dependencies(
    model: type[Model], serializer: Any, flat: Iterable[Any], through: Iterable[tuple[Hop, ...]]
) -> tuple[Dependency, ...]:
    """The paths that ``flat`` (bound fields of ``serializer``) read, and the ``through`` rows of longer relations."""
    found = [Dependency(steps=steps) for steps in through if steps]
    for bound in flat:
        found.extend(dependencies_of(model, serializer, bound))
    return tuple(dict.fromkeys(found))


def dependencies_of(model: type[Model], serializer: Any, field: Any) -> Iterator[Dependency]:
    """The paths that one bound field of ``serializer`` reads, from rows of ``model``."""
    attrs = list(field.source_attrs)
    if isinstance(field, serializers.SerializerMethodField):
        method = getattr(type(serializer), field.method_name or "", None)
        yield from _declared(model, method, f"{type(serializer).__qualname__}.{field.method_name}")
        return
    if isinstance(field, serializers.BaseSerializer):
        yield from _of_nested(model, field, attrs)
        return
    steps = walk(model, attrs)
    related = field.child_relation if isinstance(field, ManyRelatedField) else field
    if steps:
        whole = len(steps) == len(attrs)
        forward = whole and steps[-1].via is None
        yield Dependency(steps=steps, held=forward and isinstance(related, RelatedField) and _shows_key_only(related))
        if whole and isinstance(related, serializers.SlugRelatedField):
            more = walk(steps[-1].model, (related.slug_field or "").split("__"))
            if more:
                yield Dependency(steps=steps + more)
    if attrs and len(steps) < len(attrs):
        yield from _of_attribute(steps, steps[-1].model if steps else model, attrs[len(steps)])


def _of_attribute(steps: tuple[Hop, ...], owner: type[Model], name: str) -> Iterator[Dependency]:
    """What the property or method ``name`` of the rows that ``steps`` lead to declares."""
    for dependency in _declared(owner, getattr(owner, name, None), f"{owner.__qualname__}.{name}"):
        yield Dependency(steps=steps + dependency.steps)


def _shows_key_only(field: Any) -> bool:
    if isinstance(field, HyperlinkedRelatedField):
        return bool(field.use_pk_only_optimization())
    return isinstance(field, PrimaryKeyRelatedField)


def _of_nested(model: type[Model], field: Any, attrs: list[str]) -> Iterator[Dependency]:
    """A nested serializer that stands in the document as one JSON value: everything that it shows.

    One over a property or a method: what that declares.
    """
    inner = getattr(field, "child", field)
    steps = walk(model, attrs)
    if steps:
        yield Dependency(steps=steps)
    if len(steps) < len(attrs):
        yield from _of_attribute(steps, steps[-1].model if steps else model, attrs[len(steps)])
        return
    inner_model = steps[-1].model if steps else model
    for child in getattr(inner, "_readable_fields", ()):
        for dependency in dependencies_of(inner_model, inner, child):
            yield Dependency(steps=steps + dependency.steps, held=dependency.held)


def _declared(model: type[Model], function: Any, where: str) -> Iterator[Dependency]:
    for path in declared_paths(function):
        attrs = path.split("__")
        steps = walk(model, attrs)
        if len(steps) < len(attrs):
            raise ConfigurationError(
                f"{where} declares depends_on({path!r}), but {model.__qualname__} has no relation "
                f"{attrs[len(steps)]!r} on that path. Name relations as in select_related: see docs/fields.md."
            )
        yield Dependency(steps=steps)
