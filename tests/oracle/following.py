"""Somebody who has seen nothing but a document's first answer and the updates after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from pycrdt import Doc

from rxcrdt import documents, layout
from rxcrdt.denormalize import denormalize
from rxcrdt.layers import plan
from rxcrdt.tables import Tables
from rxcrdt.values import Json
from ydoc_store import Position

__all__ = ["Follower", "comparable"]


def comparable(state: Any) -> Any:
    """``state`` as the database defines it: people have no ordering, and on PostgreSQL lists without one may come
    otherwise at the next query, whoever wrote nothing in between."""
    if connection.vendor != "postgresql":
        return state
    if isinstance(state, list):
        return [comparable(item) for item in state]
    if not isinstance(state, dict):
        return state
    found = {name: comparable(value) for name, value in state.items()}
    for name in {"patrons", "reviewers"} & found.keys():
        found[name] = sorted(found[name], key=lambda person: person["id"])
    return found


class Follower:
    """Applies what it is told, in the order it is told, and notes every update."""

    def __init__(self, name: str):
        self.document = documents.open(name)
        self.updates: list[bytes] = []
        self.positions: list[Position] = []
        self.is_gone = False
        self._told = threading.Event()
        self.doc: Doc[Any] = layout.new_doc(1)
        self.document.subscribe(self)
        self.document.answer(b"\x00", self._apply)

    def _apply(self, update: bytes) -> None:
        self.updates.append(update)
        self.doc.apply_update(update)
        self._told.set()

    def deliver(self, position: Position, update: bytes) -> None:
        self.positions.append(position)
        self._apply(update)

    def gone(self) -> None:
        self.is_gone = True

    def wait_until(self, holds: Callable[[dict[str, Json] | None], bool], *, seconds: float) -> bool:
        """Whether ``holds`` the state within ``seconds``; for what another thread delivers."""
        deadline = time.monotonic() + seconds
        while not holds(self.state):
            if not self._told.wait(deadline - time.monotonic()):
                return holds(self.state)
            self._told.clear()
        return True

    @property
    def state(self) -> dict[str, Json] | None:
        meta = layout.read_root(self.doc, layout.META)
        roots = Tables(plan(self.document.anchor), {}).content
        return denormalize(layout.read(self.doc, roots), meta)

    def ghosts(self) -> set[tuple[str, str]]:
        """Nodes that are in the follower's document and not in the database's."""
        content, _ = self.document.content()
        mine = layout.read(self.doc, content)
        return {(root, key) for root, table in mine.items() for key in table} - {
            (root, key) for root, table in content.items() for key in table
        }

    def close(self) -> None:
        self.document.unsubscribe(self)
        documents.close(self.document)
