"""What a client's document holds, in one form for every engine, and whether it is what others hold."""

from __future__ import annotations

import json
from typing import Any

from pycrdt import Doc

from rxcrdt import layout
from rxcrdt.deletes import deletes_only
from rxcrdt.denormalize import denormalize
from rxcrdt.lineage import FIRST_TRUTH_ID
from rxcrdt.protocol import parse_state_vector

__all__ = ["Witness", "as_text", "filled", "nested", "tables"]

Tables = dict[str, dict[str, Any]]


def tables(doc: Doc[Any]) -> Tables:
    """Everything in the document, whether its root refers to it or not."""
    return filled({root: layout.read_root(doc, root) for root in list(doc.keys())})


def filled(content: Tables) -> Tables:
    """Without empty roots: engines differ in when they name one."""
    return {root: table for root, table in content.items() if table}


def nested(content: Tables) -> Any:
    """The nested state; None if nothing has come yet, or the row is gone."""
    meta = content.get(layout.META)
    if not meta:
        return None
    roots = [*meta["layers"]]
    roots += [f"{name}.{field}" for name, layer in meta["layers"].items() for field in layer["many"]]
    return denormalize({root: content.get(root, {}) for root in roots}, meta)


def as_text(content: Any) -> str:
    """One text for one content. Numbers are JavaScript's."""
    return json.dumps(_as_javascript(content), sort_keys=True)


def _as_javascript(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_javascript(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_javascript(item) for item in value]
    return float(value) + 0.0 if type(value) in (int, float) else value


class Witness:
    """Remembers what was seen at every point of every lineage: whoever else is there must see the same.

    What a client had before its newest lineage must not count: all of it is dead, or it would be a ghost.
    """

    def __init__(self) -> None:
        self._seen: dict[object, tuple[str, str]] = {}
        self.lineages: dict[str, set[int]] = {}
        self.agreed = 0  # how often two clients were found at one point

    def saw(self, who: str, document: str, doc: Doc[Any]) -> None:
        clocks = {client: clock for client, clock in parse_state_vector(doc.get_state()).items() if clock}
        newest = max(clocks)
        assert newest >= FIRST_TRUTH_ID
        self.lineages.setdefault(document, set()).add(newest)
        deletes = deletes_only(doc.get_update(doc.get_state()))
        assert deletes is not None
        place = (document, newest, clocks[newest], tuple(deletes.get(newest, ())))
        content = as_text(tables(doc))
        before, seer = self._seen.setdefault(place, (content, who))
        assert before == content, f"{who} and {seer} differ at {place}"
        self.agreed += seer != who
