"""What ties the rows of one layer to those of another: what a change of the one says about the other."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db.models import Model

from rxcrdt.keys import base_model
from rxcrdt.layers import PlannedLayer, Relation
from rxcrdt.paths import Link, links_of

__all__ = ["depends", "label_of", "link_of", "needs_key_only"]


@cache
def label_of(model: type[Model]) -> str:
    return base_model(model)._meta.label_lower


def depends(layer: PlannedLayer, via: str) -> bool:
    """Whether rows of the layer show what another row reaches by ``via``: in plain fields, or in lists further on."""
    further = any(step.via == via for relation in layer.relations.values() for step in relation.steps[1:])
    return further or any(step.via == via for dependency in layer.dependencies for step in dependency.steps)


def link_of(relation: Relation) -> Link | None:
    """The child's own column that makes it a child, if it is one."""
    if len(relation.steps) != 1:
        return None
    step = relation.steps[0]
    links: Any = links_of(step)
    return links[0] if len(links) == 1 and not step.field.many_to_many else None


def needs_key_only(relation: Relation) -> bool:
    step = relation.steps[0]
    if step.field.many_to_many:
        return True
    key = getattr(step.field, "field", None)
    return bool(step.via and key is not None and getattr(key.target_field, "primary_key", False))
