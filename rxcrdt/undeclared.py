"""Reads that a computed field does not declare, named once each: while ``DEBUG`` is on, and in tests that use
``rxcrdt.testing``.

The fields of a plan are told to be watched when the plan is made; elsewhere they are left as they are, so that
production pays nothing.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.db.models import Model, QuerySet

from rxcrdt.dependencies import dependencies_of
from rxcrdt.exceptions import UndeclaredRead
from rxcrdt.keys import base_model
from rxcrdt.paths import path_to, through_of
from rxcrdt.sight import seeing

if TYPE_CHECKING:
    from rxcrdt.layers import Plan, PlannedLayer, Relation

__all__ = ["Read", "name_once", "wanted", "watch", "watching"]

logger = logging.getLogger("rxcrdt.projection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A computed field of a layer read rows of ``model``, which nothing declares."""

    layer: str
    field: str
    owner: type[Model]
    model: type[Model]

    def __str__(self) -> str:
        return f"{self.layer}.{self.field} of {self.owner._meta.label} reads {self.model._meta.label}"

    @property
    def path(self) -> tuple[str, ...]:
        """By which it may be declared; empty where no relation leads there."""
        return path_to(self.owner, self.model)


class _Watch:
    """How many want to know, and what was named to them already."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.named: set[Read] = set()


_watch = _Watch()


def wanted() -> bool:
    return bool(_watch.users or django_settings.DEBUG)


@contextmanager
def watching() -> Iterator[None]:
    """As if ``DEBUG`` were on. Whoever begins is told everything, whatever others were told before."""
    with _watch.lock:
        _watch.users += 1
        _watch.named.clear()
    try:
        yield
    finally:
        with _watch.lock:
            _watch.users -= 1


def name_once(read: Read) -> None:
    """Warns, and logs."""
    with _watch.lock:
        if read in _watch.named:
            return
        _watch.named.add(read)
    declare = f'Declare it with @depends_on("{"__".join(read.path)}"), or tell' if read.path else "Tell"
    message = (
        f"{read}, and does not declare it: where only such a row is saved, documents keep the old value. "
        f"{declare} of it with rxcrdt.changed: see docs/fields.md."
    )
    logger.warning(message)
    warnings.warn(UndeclaredRead(message), stacklevel=2)


def watch(plan: Plan, found: Callable[[Read], None]) -> None:
    """Has the plan's fields tell ``found`` what they read undeclared, whenever they are evaluated."""
    shown = {base_model(layer.model) for layer in plan.layers.values()}
    for layer in plan.layers.values():
        for bound in filter(partial(_may_read, layer.model), layer.flat):
            _watch_field(bound, _Reader(layer, bound.field_name, _declared(layer, bound), found))
        for relation in layer.relations.values():
            if relation.opaque:
                known = shown | _listed(layer, relation)
                _watch_list(relation.field, _Reader(layer, relation.name, known, found))
        if layer.whole:
            everything = [_declared(layer, bound) for bound in layer.serializer._readable_fields]  # type: ignore[attr-defined]
            reader = _Reader(layer, "to_representation", set[type[Model]]().union(*everything), found)
            layer.seeing = reader.seeing


def _may_read(model: type[Model], bound: Any) -> bool:
    """Not so a field of DRF's own that shows a column of the row."""
    if len(bound.source_attrs) != 1 or not type(bound).__module__.startswith("rest_framework."):
        return True
    columns = {field.name for field in model._meta.concrete_fields if not field.is_relation}
    return bound.source_attrs[0] not in columns


def _declared(layer: PlannedLayer, bound: Any) -> set[type[Model]]:
    return _models(step for found in dependencies_of(layer.model, layer.serializer, bound) for step in found.steps)


def _listed(layer: PlannedLayer, relation: Relation) -> set[type[Model]]:
    return _declared(layer, relation.field) | _models(step for way in relation.ways for step in way)


def _models(steps: Iterator[Any]) -> set[type[Model]]:
    found = set()
    for step in steps:
        found.add(base_model(step.model))
        through = through_of(step)
        if through is not None:
            found.add(base_model(through))
    return found


class _Reader:
    """One field of a layer, with what it may read."""

    def __init__(
        self, layer: PlannedLayer, name: str, declared: set[type[Model]], found: Callable[[Read], None]
    ) -> None:
        self._read = partial(Read, layer=layer.name, field=name, owner=layer.model)
        self._declared = declared
        self._found = found

    @contextmanager
    def seeing(self, value: Any) -> Iterator[None]:
        with seeing(value) as read:
            yield
        for model in sorted(read - self._declared, key=lambda model: model._meta.label):
            self._found(self._read(model=model))


def _watch_field(bound: Any, reader: _Reader) -> None:
    for name in ("get_attribute", "to_representation"):
        setattr(bound, name, partial(_seen, reader, getattr(bound, name)))


def _seen(reader: _Reader, method: Callable[[Any], Any], value: Any) -> Any:
    with reader.seeing(value):
        return method(value)


def _watch_list(bound: Any, reader: _Reader) -> None:
    method = bound.get_attribute

    def get_attribute(row: Model) -> Any:
        with reader.seeing(row):
            found = method(row)
            if isinstance(found, QuerySet):
                len(found)  # now, while somebody looks
            return found

    bound.get_attribute = get_attribute
