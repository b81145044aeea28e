"""Does the store say what the serializers do? Documents as they are stored, compared, and mended where wanted.

A document is read from its log, not through ``documents.open``: what an open document would catch up with is part
of what is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from rxcrdt import conf, documents
from rxcrdt.denormalize import denormalize
from rxcrdt.exceptions import DocumentGone, RxcrdtError
from rxcrdt.keys import Node
from rxcrdt.layers import Plan, plan
from rxcrdt.logs import not_ours
from rxcrdt.names import LogName
from rxcrdt.panics import LEAVING
from rxcrdt.registry import registry
from rxcrdt.replica import Replica
from rxcrdt.snapshots import serialized
from rxcrdt.tables import Content
from rxcrdt.unordered import settled
from rxcrdt.values import Json, difference
from ydoc_store import StoreError, StoreUnavailable

__all__ = ["Finding", "Outcome", "sentence", "stored_difference", "verify"]

#: A save may be committed and not be in the log yet. What differs is looked at again after so many seconds each.
LOOK_AGAIN: Final = (0.1, 0.4)


class Outcome(Enum):
    """What became of looking at one log."""

    EQUAL = auto()
    DIFFERENT = auto()
    FIXED = auto()
    FAILED = auto()  # it could not be read, projected or mended
    NOT_OURS = auto()  # nobody who runs this code opens it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``detail`` is the first difference, the error, or why the log was not compared."""

    log: LogName
    outcome: Outcome
    detail: str = ""


def verify(log: LogName, *, fix: bool = False) -> Finding:
    """Compares one log with what its serializer gives now; with ``fix`` projects it again where it differs."""
    reason = not_ours(log)
    if reason:
        return Finding(log=log, outcome=Outcome.NOT_OURS, detail=reason)
    try:
        found = _lasting_difference(log)
        if found is None:
            return Finding(log=log, outcome=Outcome.EQUAL)
        if not fix:
            return Finding(log=log, outcome=Outcome.DIFFERENT, detail=found)
        _project_again(log)
        left = _lasting_difference(log)
    except LEAVING:
        raise
    except BaseException as error:  # noqa: BLE001 - pycrdt's panics too: the other documents are still looked at
        return Finding(log=log, outcome=Outcome.FAILED, detail=sentence(error))
    if left is not None:
        return Finding(log=log, outcome=Outcome.FAILED, detail=f"still differs after it was projected again: {left}")
    return Finding(log=log, outcome=Outcome.FIXED, detail=found)


def sentence(error: BaseException) -> str:
    """The error as it is shown to people; those that were not written for them with their kind."""
    return str(error) if isinstance(error, RxcrdtError | StoreError) else f"{type(error).__name__}: {error}"


def _project_again(log: LogName) -> None:
    document = documents.open(log.document)
    try:
        document.reconcile()
    finally:
        documents.close(document)


def _lasting_difference(log: LogName) -> str | None:
    found = stored_difference(log)
    for seconds in LOOK_AGAIN:
        if found is None:
            return None
        time.sleep(seconds)
        found = stored_difference(log)
    return found


def stored_difference(log: LogName) -> str | None:
    """The first place where the stored document differs from its serializer, or None; the order of lists that nothing
    orders does not count.

    A document whose row is gone has to be empty; rows that nothing refers to must not be in one.
    """
    anchor, value = registry.resolve(log.document)
    try:
        stored = conf.store().load(str(log))
        if stored is None:
            return None  # deleted meanwhile: whoever opens it builds it
        content, meta = Replica(plan(anchor), stored).content()
    except (StoreUnavailable, *LEAVING):
        raise
    except BaseException as error:  # noqa: BLE001 - bytes that are no Yjs update make pycrdt raise anything, and panic
        return f"its log cannot be read: {sentence(error)}"
    try:
        expected = serialized(anchor.get_name(), value)
    except DocumentGone:
        return None if meta.get("root") is None else "its row is gone, but the document shows it"
    try:
        state = denormalize(content, meta)
        if state is None:
            return "its row is there, but the document is empty"
        return _difference(plan(anchor), state, expected) or _left_over(content, meta)
    except KeyError as error:
        return f"something refers to {error}, which is not there"


def _difference(current: Plan, state: Json, expected: Json) -> str | None:
    found = difference(state, expected)
    return found and difference(settled(current, state), settled(current, expected)) and found


def _left_over(content: Content, meta: Mapping[str, Any]) -> str | None:
    layers = meta["layers"]
    reached = _reached(content, meta)
    for root, table in content.items():
        name = root if root in layers else root.rpartition(".")[0]
        for key in table:
            if (name, key) not in reached:
                return f"{root} {key}: is in the document, but nothing refers to it"
    return None


def _reached(content: Content, meta: Mapping[str, Any]) -> set[Node]:
    reached: set[Node] = set()
    waiting: list[Node] = [(meta["root"][0], meta["root"][1])]
    while waiting:
        node = name, key = waiting.pop()
        if node in reached:
            continue
        reached.add(node)
        layer, registers = meta["layers"][name], content[name][key]
        waiting.extend((child, registers[field]) for field, child in layer["one"].items() if registers.get(field))
        for field, child in layer["many"].items():
            waiting.extend((child, each) for each in content[f"{name}.{field}"].get(key, ()))
    return reached
