"""A client that notes when it saw what, and how late it saw each save."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rxcrdt import layout
from tests.deploying.saves import VERSIONED, Save
from tests.deploying.versions import Version
from tests.kills.equality import Witness
from tests.kills.peers import Peer

__all__ = ["Client", "by_row"]

Row = tuple[str, str]  # layer and key
EVER: Final = float("inf")


class Client:
    """A ``Peer``, and what it showed at every moment. ``arrive`` and ``leave`` say when it has to be told."""

    def __init__(self, name: str, url: str, document: str, version: Version, witness: Witness) -> None:
        self.peer = Peer(name, url, document, witness)
        self.version = version
        self._arrivals = 1
        self._shows: dict[Row, int] = {}
        self._moments: dict[Row, list[tuple[float, int | None]]] = {}
        self._windows: list[tuple[float, float]] = []
        self._looking = False
        self._observing = self.peer.doc.observe(self._changed)
        self.peer.online()

    # What it shows

    def _changed(self, event: Any) -> None:
        """Within the engine's transaction, where a document cannot be read."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        now = time.time()
        shows = {
            (layer, key): int(registers[field])
            for layer, field in VERSIONED.items()
            for key, registers in layout.read_root(self.peer.doc, layer).items()
        }
        for row in shows.keys() | self._shows.keys():
            if shows.get(row) != self._shows.get(row):
                self._moments.setdefault(row, []).append((now, shows.get(row)))
        self._shows = shows

    @property
    def rows(self) -> set[Row]:
        return set(self._shows)

    # When it is connected

    @property
    def is_where_it_should_be(self) -> bool:
        """Nobody has thrown it out in between."""
        return self.peer.connections == self._arrivals

    def arrive(self) -> None:
        """From now on it has to be told."""
        self._windows.append((time.time(), EVER))

    def leave(self) -> None:
        """Its connection is about to end."""
        self._arrivals += 1
        begun, _ = self._windows.pop()
        self._windows.append((begun, time.time()))

    # How late it saw something

    def lateness(self, saves: Mapping[Row, list[Save]], bound: float) -> Iterable[tuple[Save, float]]:
        """Of each save that it had to be told, after how many seconds it was seen, infinite if never."""
        for row, of_row in saves.items():
            for save in of_row:
                due = self._due(save, bound)
                if due is not None:
                    yield save, max(0.0, self._seen(save, of_row, self._moments.get(row, [])) - due)

    def _due(self, save: Save, bound: float) -> float | None:
        """When its server could first tell: at the save, or when it came back. None if it left too soon after that."""
        for begin, end in self._windows:
            due = max(begin, save.at)
            if self._windows[0][0] <= save.at and due + bound <= end:
                return due
        return None

    @staticmethod
    def _seen(save: Save, of_row: Iterable[Save], moments: list[tuple[float, int | None]]) -> float:
        """The first moment at which it showed the save, a later one, or rightly nothing of the row any more."""
        hidden = [other.at for other in of_row if not other.shown and other.version >= save.version]
        shown = [at for at, version in moments if version is not None and version >= save.version]
        ways = shown[:1]
        for at in hidden:
            since = bisect_right(moments, at, key=lambda moment: moment[0])
            if since == 0 or moments[since - 1][1] is None:
                ways.append(at)
            ways += [when for when, version in moments[since:] if version is None][:1]
        return min(ways, default=EVER)


def by_row(saves: Iterable[Save]) -> dict[Row, list[Save]]:
    found: dict[Row, list[Save]] = {}
    for save in saves:
        found.setdefault((save.layer, save.key), []).append(save)
    return found
