"""Awareness: what clients say about themselves (a cursor, a name), and whose word counts.

``Entry`` is one client's state; ``Awareness`` is what one process knows of everybody in one document. Pure:
no clock, no socket.

y-websocket sends back every entry that it receives, so a server that believes everything takes one client's
echo for another's word. Here a client id belongs to the socket that first brought it:

- entries about somebody else's id are dropped;
- when a socket dies, its ids are nulled, and only those;
- a client that reconnected while its old socket still seems alive gets its id back with its first newer
  state, because it is the same user; anonymous users are nobody's same user;
- a client whose id was nulled for good reason, and that is back with the old clock, is told so: it answers
  with a newer one. (Without that it would stay invisible until its clock has overtaken the null's.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from rxcrdt.exceptions import MessageTooLarge, ProtocolError
from rxcrdt.lib0 import Reader, encode_bytes, encode_varuint

__all__ = ["NULL", "Awareness", "Entry", "Heard", "Owner", "encode_entries", "parse_entries", "portions"]

NULL: Final = b"null"
MAX_NESTING: Final = 64
MAX_IDS: Final = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """The state of one client: JSON as UTF-8, ``NULL`` when it left. The one with the larger clock holds."""

    client: int
    clock: int
    state: bytes

    @property
    def gone(self) -> bool:
        return self.state == NULL


@dataclass(frozen=True, slots=True)
class Owner:
    """A socket: the process that serves it, its number there, and its user's key (None: anonymous)."""

    process: str
    socket: int
    user: str | None = None


def parse_entries(payload: bytes, *, max_entries: int = 1000) -> list[Entry]:
    """The entries of an awareness message, their JSON not yet looked into."""
    reader = Reader(payload)
    count = reader.varuint()
    if count > max_entries:
        raise MessageTooLarge(f"An awareness message about {count} clients came; {max_entries} are allowed.")
    entries = [Entry(reader.varuint(), reader.varuint(), _state(reader.bytes())) for _ in range(count)]
    reader.end()
    return entries


def _state(state: bytes) -> bytes:
    return NULL if len(state) < 100 and state.strip(b" \t\r\n") == NULL else state


def encode_entries(entries: Sequence[Entry]) -> bytes:
    parts = [encode_varuint(len(entries))]
    for entry in entries:
        parts += (encode_varuint(entry.client), encode_varuint(entry.clock), encode_bytes(entry.state))
    return b"".join(parts)


def portions(entries: Iterable[Entry], *, max_bytes: int, max_entries: int = 100) -> Iterable[list[Entry]]:
    """``entries`` in portions small enough that a client may echo each of them."""
    portion: list[Entry] = []
    size = 0
    for entry in entries:
        if portion and (size + len(entry.state) > max_bytes or len(portion) == max_entries):
            yield portion
            portion, size = [], 0
        portion.append(entry)
        size += len(entry.state)
    if portion:
        yield portion


def check_state(state: bytes) -> None:
    """Whether ``JSON.parse`` takes it: every receiving client would throw otherwise. Raises ProtocolError."""
    try:
        value = json.loads(state.decode(), parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"An awareness state is not JSON: {error}") from error
    if state.count(b"[") + state.count(b"{") > MAX_NESTING and _nesting(value) > MAX_NESTING:
        raise ProtocolError(f"An awareness state is nested more than {MAX_NESTING} deep.")


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is none of its values")


def _nesting(value: object) -> int:
    depth, level = 0, [value]
    while level := [
        child
        for parent in level
        if isinstance(parent, dict | list)
        for child in (parent.values() if isinstance(parent, dict) else parent)
    ]:
        depth += 1
    return depth + 1


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a message: ``accepted`` goes to everybody, ``answer`` only to who sent it."""

    accepted: list[Entry]
    answer: list[Entry]


@dataclass(slots=True)
class _Present:
    owner: Owner
    entry: Entry
    heard: float


class Awareness:
    """Everybody in one document, as one process knows it. Not thread-safe.

    ``max_bytes``: how much the states of one socket's ids may take together; ``max_ids``: how many ids one
    socket may have, further ones are dropped; ``max_gone``: how many departed ids are remembered.
    """

    def __init__(self, *, max_bytes: int, max_ids: int = MAX_IDS, max_gone: int = 1000) -> None:
        self._max_bytes = max_bytes
        self._max_ids = max_ids
        self._max_gone = max_gone
        self._present: dict[int, _Present] = {}
        self._ids: dict[Owner, set[int]] = {}
        self._gone: dict[int, int] = {}  # client → the clock of its null, the oldest first

    # One's own sockets --------------------------------------------------------------------------------------

    def receive(self, owner: Owner, entries: Iterable[Entry], now: float) -> Heard:
        """What a client sent through its socket. ``now`` in seconds, from any start.

        Raises ProtocolError for a state that is no JSON, MessageTooLarge for too much of it.
        """
        heard = Heard([], [])
        for entry in entries:
            if self._may(owner, entry):
                self._check(owner, entry)
                self._set(owner, entry, now)
                heard.accepted.append(entry)
            elif not entry.gone and entry.clock <= self._gone.get(entry.client, -1):
                heard.answer.append(Entry(entry.client, self._gone[entry.client], NULL))
        return heard

    def _check(self, owner: Owner, entry: Entry) -> None:
        others = sum(
            len(self._present[client].entry.state) for client in self._ids.get(owner, ()) if client != entry.client
        )
        if others + len(entry.state) > self._max_bytes:
            raise MessageTooLarge(f"One connection's awareness takes more than {self._max_bytes} bytes.")
        check_state(entry.state)

    def _may(self, owner: Owner, entry: Entry) -> bool:
        known = self._present.get(entry.client)
        if known is None:
            room = len(self._ids.get(owner, ())) < self._max_ids
            return room and not entry.gone and entry.clock > self._gone.get(entry.client, -1)
        if known.owner == owner:
            return _newer(entry, known.entry)
        return (
            not entry.gone
            and owner.user is not None
            and owner.user == known.owner.user
            and entry.clock > known.entry.clock
        )

    def leave(self, owner: Owner) -> list[Entry]:
        """The socket is dead: the nulls of its ids, for everybody."""
        return self._null(owner, 1)

    def _null(self, owner: Owner, step: int) -> list[Entry]:
        nulls = []
        for client in sorted(self._ids.get(owner, ())):
            entry = self._present[client].entry
            clock = entry.clock if entry.gone else entry.clock + step
            self._forget(client, clock)
            if not entry.gone:
                nulls.append(Entry(client, clock, NULL))
        return nulls

    # Other processes ----------------------------------------------------------------------------------------

    def hear(self, owner: Owner, entries: Iterable[Entry], now: float) -> list[Entry]:
        """What another process accepted from, or nulled for, its socket ``owner``; the news in it."""
        news = []
        for entry in entries:
            known = self._present.get(entry.client)
            if known is None:
                if entry.gone or entry.clock <= self._gone.get(entry.client, -1):
                    continue
            elif not _newer(entry, known.entry):
                if known.owner == owner:
                    known.heard = now
                continue
            if entry.gone:
                self._forget(entry.client, entry.clock)
            else:
                self._set(owner, entry, now)
            news.append(entry)
        return news

    def expire(self, process: str, before: float) -> list[Entry]:
        """The nulls of sockets of processes other than ``process`` that were silent since ``before``.

        With the clock as it was, as clients do it: whoever is still there comes back with the next one.
        """
        silent = {
            known.owner for known in self._present.values() if known.owner.process != process and known.heard < before
        }
        owners = [owner for owner in silent if all(self._present[c].heard < before for c in self._ids[owner])]
        return [null for owner in owners for null in self._null(owner, 0)]

    def of_process(self, process: str) -> list[tuple[Owner, list[Entry]]]:
        """What the sockets of ``process`` said, to tell others."""
        return [
            (owner, [self._present[client].entry for client in sorted(ids)])
            for owner, ids in self._ids.items()
            if owner.process == process
        ]

    # Both ---------------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """Everybody who is here now."""
        return [known.entry for known in self._present.values() if not known.entry.gone]

    def _set(self, owner: Owner, entry: Entry, now: float) -> None:
        known = self._present.get(entry.client)
        if known is not None and known.owner != owner:
            self._disown(known.owner, entry.client)
        self._gone.pop(entry.client, None)
        self._ids.setdefault(owner, set()).add(entry.client)
        self._present[entry.client] = _Present(owner, entry, now)

    def _forget(self, client: int, clock: int) -> None:
        self._disown(self._present.pop(client).owner, client)
        self._gone[client] = clock
        if len(self._gone) > self._max_gone:
            del self._gone[next(iter(self._gone))]

    def _disown(self, owner: Owner, client: int) -> None:
        ids = self._ids[owner]
        ids.discard(client)
        if not ids:
            del self._ids[owner]


def _newer(entry: Entry, known: Entry) -> bool:
    return entry.clock > known.clock or (entry.clock == known.clock and entry.gone and not known.gone)
