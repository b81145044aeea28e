"""Who is told of a document's entries, and how far they were told."""

from __future__ import annotations

import logging
from typing import Protocol

from rxcrdt.replica import Replica
from ydoc_store import Position

__all__ = ["Audience", "Listener"]

logger = logging.getLogger("rxcrdt.documents")


class Listener(Protocol):
    """Both are called under the document's lock, from any thread, and must not block."""

    def deliver(self, position: Position, update: bytes) -> None:
        """The next entry of the log; or, with a larger step, one update that stands for all entries up to there."""

    def gone(self) -> None:
        """The root row left the anchor's queryset: the document is empty."""


class Audience:
    """The listeners of one document. Not locked: the document does that."""

    def __init__(self, name: str):
        self.name = name
        self.position: Position | None = None  # what they have been told; None before there was anything
        self._state = b""
        self._listeners: list[Listener] = []

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    def tell(self, replica: Replica, update: bytes) -> None:
        """``update`` brought the replica to where it is."""
        self.pass_over(replica)
        for listener in tuple(self._listeners):
            try:
                listener.deliver(replica.position, update)
                if replica.root is None:
                    listener.gone()
            except Exception:
                logger.exception("%s could not be delivered to %r, which has a gap now.", self.name, listener)

    def pass_over(self, replica: Replica) -> None:
        """The replica is further, and there is nothing to say about it."""
        self.position, self._state = replica.position, replica.state()

    def bring_to(self, replica: Replica) -> None:
        """The replica was loaded anew: all that was not told yet goes out as one update, a new lineage too."""
        before, state = self.position, self._state
        self.pass_over(replica)
        if before is not None and before != replica.position:
            self.tell(replica, replica.lacking(state))
