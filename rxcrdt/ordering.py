"""What a list is ordered by besides its rows' own columns: a save of a row over there may reorder it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from rxcrdt.paths import Hop, walk

__all__ = ["ordered_along"]


def ordered_along(rows: QuerySet[Any], came: Hop | None) -> list[tuple[Hop, ...]]:
    """The relation paths whose last rows decide about the order of ``rows``, which the step ``came`` leads to: but not
    the row that they all came from, which is the same for all of a list."""
    names = rows.query.order_by or (rows.model._meta.ordering if rows.query.default_ordering else ())
    paths = (walk(rows.model, [attr for attr in _name(name).lstrip("-+").split("__") if attr]) for name in names)
    single = [steps for steps in paths if steps and not any(step.many for step in steps)]
    return list(dict.fromkeys(steps for steps in single if came is None or not came.is_undone_by(steps[0])))


def _name(ordering: Any) -> str:
    """``"column__name"``; of an expression, as ``F("column__name").desc()``, too."""
    if isinstance(ordering, str):
        return ordering
    return str(getattr(getattr(ordering, "expression", ordering), "name", ""))
