"""How a list out of a property may have found its rows: by foreign keys that lead from them to the owner.

What such a list filters by, nobody can see. A row that is new to it is in no index, but it points at something; so
the rows are followed that stand between the owner and what the list shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db.models import Model

from rxcrdt.keys import base_model
from rxcrdt.paths import Hop, hops_back

__all__ = ["ways"]

LONGEST = 3


def ways(owner: type[Model], child: type[Model]) -> list[tuple[Hop, ...]]:
    """The steps from ``owner`` to ``child``, each against a foreign key, the last one maybe across a many-to-many
    relation; through no model twice."""
    return list(_ways((), owner, base_model(child), {base_model(owner)}))


def _ways(
    before: tuple[Hop, ...], owner: type[Model], child: type[Model], passed: Collection[type[Model]]
) -> Iterator[tuple[Hop, ...]]:
    for step in hops_back(owner):
        model = base_model(step.model)
        way = (*before, step)
        if model is child:
            yield way
        elif len(way) < LONGEST and not step.field.many_to_many and model not in passed:
            yield from _ways(way, step.model, child, {*passed, model})
