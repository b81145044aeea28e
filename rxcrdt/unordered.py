"""Lists that nothing orders: PostgreSQL may give one order now and another at the next query, and neither is wrong."""

from __future__ import annotations

import json

from rxcrdt.layers import Plan, PlannedLayer, Relation
from rxcrdt.values import Json

__all__ = ["settled"]


def settled(plan: Plan, state: Json) -> Json:
    """``state``, as the serializer gives it, with such lists in the order of their content: for comparisons.

    A list out of a property stays as it is: nobody knows whether it is ordered.
    """
    return _settled(plan, plan.layers[plan.root], state)


def _settled(plan: Plan, layer: PlannedLayer, state: Json) -> Json:
    if not isinstance(state, dict):
        return state
    found = dict(state)
    for relation in layer.relations.values():
        child, value = plan.layers[relation.child], found.get(relation.name)
        if isinstance(value, list):
            rows = [_settled(plan, child, row) for row in value]
            found[relation.name] = rows if _is_ordered(relation, child) else sorted(rows, key=_as_text)
        else:
            found[relation.name] = _settled(plan, child, value)
    return found


def _is_ordered(relation: Relation, child: PlannedLayer) -> bool:
    if relation.opaque:
        return True
    queryset = getattr(relation.lookup, "queryset", None)
    if queryset is None:
        queryset = child.model._default_manager.all()
    return bool(queryset.ordered)


def _as_text(row: Json) -> str:
    return json.dumps(row, sort_keys=True)
