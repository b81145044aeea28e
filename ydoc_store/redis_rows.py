"""The index of rows in Redis. On a cluster it lies on other nodes than the logs, so its changes are calls of their own.

The order keeps it from knowing too little, whenever a process dies: a row is in the index before it is among its
document's rows, and is taken out only afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from ydoc_store import redis_scripts as scripts
from ydoc_store.redis_client import Client
from ydoc_store.redis_keys import Keys
from ydoc_store.redis_scripts import Call, Script

_ROWS_A_CALL = 1000  # what Redis does in about a millisecond, in which it does nothing else


class Rows:
    """Rows are bytes here. Nothing is tried twice: that is for the caller."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def of(self, name: str) -> list[bytes]:
        found: list[bytes] = self._client.call(Call(scripts.ROWS_ALL, [self._keys.of(name).rows]))
        return found

    def add_to_index(self, name: str, rows: Collection[bytes]) -> None:
        self._change_index(scripts.INDEX_ADD, name, rows)

    def add(self, name: str, rows: Collection[bytes]) -> None:
        self.add_to_index(name, rows)
        self._client.call_all([Call(scripts.ROWS_ADD, [self._keys.of(name).rows], part) for part in _parts(rows)])

    def remove(self, name: str, rows: Collection[bytes]) -> None:
        self._client.call_all([Call(scripts.ROWS_REMOVE, [self._keys.of(name).rows], part) for part in _parts(rows)])
        self.remove_from_index(name, rows)

    def remove_from_index(self, name: str, rows: Collection[bytes]) -> None:
        """For rows that the document has no longer. Those that somebody gave it again meanwhile stay."""
        self._change_index(scripts.INDEX_REMOVE, name, rows)
        calls = [Call(scripts.ROWS_KNOWN, [self._keys.of(name).rows], part) for part in _parts(rows)]
        again = [row for known in self._client.call_all(calls) for row in known]
        self.add_to_index(name, again)

    def documents_of(self, rows: Collection[bytes]) -> dict[str, frozenset[str]]:
        parts = list(self._by_place(rows))
        answers = self._client.call_all([self._index_call(scripts.INDEX_FIND, "", part) for part in parts])
        return {
            row.decode(): frozenset(_names(value))
            for part, values in zip(parts, answers, strict=True)
            for row, value in zip(part, values, strict=True)
            if value is not None
        }

    def _change_index(self, script: Script, name: str, rows: Collection[bytes]) -> None:
        self._client.call_all([self._index_call(script, name, part) for part in self._by_place(rows)])

    def _index_call(self, script: Script, name: str, rows: Sequence[bytes]) -> Call:
        return Call(script, [self._keys.bucket(row) for row in rows], (name, *rows))

    def _by_place(self, rows: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Rows that one script may be called for: on a cluster those with the same hash tag."""
        if not self._client.options.cluster:
            yield from _parts(rows)
            return
        places: dict[bytes, list[bytes]] = {}
        for row in rows:
            places.setdefault(self._keys.bucket(row).partition(b"}")[0], []).append(row)
        for place in places.values():
            yield from _parts(place)


def _parts(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(rows)
    while part := list(islice(left, _ROWS_A_CALL)):
        yield part


def _names(value: bytes) -> Iterator[str]:
    """See lua/_index.lua."""
    at = 0
    while at < len(value):
        colon = value.index(b":", at)
        end = colon + 1 + int(value[at:colon])
        yield value[colon + 1 : end].decode()
        at = end
