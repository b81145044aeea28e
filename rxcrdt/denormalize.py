"""Tables back to the nested state that the serializer gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxcrdt.order import arranged
from rxcrdt.tables import Content
from rxcrdt.values import Json

__all__ = ["denormalize"]


def denormalize(content: Content, meta: Mapping[str, Any]) -> dict[str, Json] | None:
    """The nested state of a document: ``content`` by its own description ``meta``; None if its row is gone.

    Needs nothing of the project, so that any layout-1 document can be read. Rows that stand in several
    places are the same object in all of them.
    """
    root = meta.get("root")
    return None if root is None else _Nesting(content, meta["layers"]).node(root[0], root[1])


class _Nesting:
    def __init__(self, content: Content, layers: Mapping[str, Mapping[str, Any]]):
        self.content = content
        self.layers = layers
        self.made: dict[tuple[str, str], dict[str, Json]] = {}

    def node(self, name: str, key: str) -> dict[str, Json]:
        found = self.made.get((name, key))
        if found is None:
            found = self.made[name, key] = self._make(self.layers[name], name, key)
        return found

    def _make(self, layer: Mapping[str, Any], name: str, key: str) -> dict[str, Json]:
        registers = self.content[name][key]
        state: dict[str, Json] = {}
        for field in dict.fromkeys((*layer["fields"], *registers)):
            if field in layer["many"] and field not in registers:
                places = self.content[f"{name}.{field}"].get(key)
                if places is not None:
                    state[field] = [self.node(layer["many"][field], child) for child in arranged(places)]
            elif field in registers:
                value = registers[field]
                if field in layer["one"] and value is not None:
                    value = self.node(layer["one"][field], value)
                elif field in layer["floats"] and type(value) is int:
                    value = float(value)
                state[field] = value
        return state
