"""Which models the anchors watch, and by which columns their rows belong to others: what ``tracking`` listens to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.apps import apps
from django.db.models import ForeignKey, Model

from rxcrdt.anchors import Anchor
from rxcrdt.fallbacks import fallback_owner, falls_back
from rxcrdt.keys import base_model
from rxcrdt.layers import Plan, plan
from rxcrdt.paths import Hop, Link, links_of, through_of
from rxcrdt.unset import Key, keys_read

__all__ = ["Watched", "watch"]

logger = logging.getLogger("rxcrdt.tracking")


@dataclass(slots=True)
class Watched:
    """``rows``: models whose rows documents may show. ``links``: by model, the columns that make its rows part of
    others. ``through``: by an M2M relation's through model, the two models it joins. ``fallbacks``: by model, the links
    whose rows come to another owner when theirs is deleted; ``unset``: the foreign keys that its delete writes to."""

    rows: set[type[Model]] = field(default_factory=set)
    links: dict[type[Model], tuple[Link, ...]] = field(default_factory=dict)
    through: set[type[Model]] = field(default_factory=set)
    fallbacks: dict[type[Model], tuple[Link, ...]] = field(default_factory=dict)
    unset: dict[type[Model], tuple[Key, ...]] = field(default_factory=dict)

    @property
    def models(self) -> set[type[Model]]:
        """All models whose saves and deletes are listened to: proxies, parents and children among them.

        Rows of a through model that Django has made itself are told of by ``m2m_changed``; with listeners of its own,
        it could not be deleted as fast.
        """
        return self.rows | {model for model in self.links if not model._meta.auto_created}

    def __contains__(self, model: type[Model]) -> bool:
        """Whether rows of the model are any news."""
        return model in self.rows or model in self.links

    def columns(self, model: type[Model]) -> tuple[str, ...]:
        """The model's columns that make its rows part of others, each once."""
        names = (name for link in self.links.get(model, ()) for name in (link.column, link.type_column) if name)
        return tuple(dict.fromkeys(names))

    def falling_back(self, model: type[Model], using: str) -> Iterator[tuple[str, str]]:
        """By which link rows come to which owner when a row of ``model`` is deleted."""
        for link in self.fallbacks.get(model, ()):
            owner = fallback_owner(link, using)
            if owner is not None:
                yield link.via, owner


def watch(anchors: Iterable[type[Anchor]]) -> Watched:
    """What the plans of ``anchors`` need to hear of. An anchor that cannot be planned is left out; checks name it."""
    bases: set[type[Model]] = set()
    links: set[Link] = set()
    unset: set[Key] = set()
    watched = Watched()
    for anchor in anchors:
        try:
            current = plan(anchor)
        except Exception:  # a serializer may raise anything; `manage.py check` says what to do
            logger.exception("%s is not anchored: its saves will not be seen.", anchor.__qualname__)
            continue
        for step in _steps(current):
            bases.add(base_model(step.model))
            links.update(links_of(step))
            through = through_of(step)
            if through is not None:
                watched.through.add(through)
        bases.update(base_model(layer.model) for layer in current.layers.values())
        links.update(_opaque_links(current))
        unset.update(keys_read(current))
    for model in apps.get_models(include_auto_created=True):
        if base_model(model) in bases:
            watched.rows.add(model)
        own = tuple(link for link in links if issubclass(model, link.model))
        if own:
            watched.links[model] = own
        left = tuple(link for link in links if issubclass(model, link.target) and falls_back(link))
        if left:
            watched.fallbacks[model] = left
        keys = tuple(key for key in unset if model._meta.concrete_model is key.related_model._meta.concrete_model)
        if keys:
            watched.unset[model] = keys
    return watched


def _steps(current: Plan) -> Iterator[Hop]:
    for layer in current.layers.values():
        for relation in layer.relations.values():
            yield from relation.steps
            yield from (way[-1] for way in relation.ways)
        for dependency in layer.dependencies:
            yield from dependency.steps


def _opaque_links(current: Plan) -> Iterator[Link]:
    """For lists out of a property: any foreign key from the child to a layer's model may be what it filters by."""
    owners = {base_model(layer.model) for layer in current.layers.values()}
    for layer in current.layers.values():
        for relation in layer.relations.values():
            if not relation.opaque:
                continue
            model = current.layers[relation.child].model
            for key in model._meta.get_fields():
                if isinstance(key, ForeignKey) and base_model(key.related_model) in owners:
                    via = f"{model._meta.label_lower}.{key.name}"
                    yield Link(via=via, model=model, target=key.related_model, column=key.attname)
