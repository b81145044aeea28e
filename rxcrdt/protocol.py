"""The messages of a socket as bytes and back: y-protocols as y-websocket speaks it, see ``docs/protocol.md``.

Sans-IO: knows no socket, no document and no Django. What a client sent is parsed to the last byte before
anything else sees it, and whatever is wrong with it is one ``ProtocolError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rxcrdt.exceptions import MessageTooLarge, ProtocolError
from rxcrdt.lib0 import Reader, encode_bytes, encode_varuint

__all__ = [
    "EMPTY_AWARENESS",
    "EMPTY_UPDATE",
    "AwarenessUpdate",
    "CloseCode",
    "Ignored",
    "Message",
    "QueryAwareness",
    "SyncStep1",
    "SyncStep2",
    "SyncUpdate",
    "decode",
    "encode_auth",
    "encode_awareness",
    "encode_state_vector",
    "encode_step1",
    "encode_step2",
    "encode_update",
    "parse_state_vector",
]


class MessageType(IntEnum):
    SYNC = 0
    AWARENESS = 1
    AUTH = 2
    QUERY_AWARENESS = 3


class SyncType(IntEnum):
    STEP_1 = 0
    STEP_2 = 1
    UPDATE = 2


class CloseCode(IntEnum):
    """Why a socket is closed. y-websocket 3.1 takes 4400 to 4499 as final, and reconnects after others."""

    NOT_AUTHENTICATED = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    TOO_LARGE = 4413
    MALFORMED = 4422
    RESTARTING = 4503
    TOO_SLOW = 4508
    TOO_MANY = 4529


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """What the sender has: it wants the rest. ``state_vector`` is well-formed."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class SyncStep2:
    """The answer to a step 1. ``update`` has not been looked into."""

    update: bytes


@dataclass(frozen=True, slots=True)
class SyncUpdate:
    """A change. ``update`` has not been looked into."""

    update: bytes


@dataclass(frozen=True, slots=True)
class AwarenessUpdate:
    """Who is here. ``payload`` has not been looked into: see ``rxcrdt.awareness``."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """The sender wants to know who is here."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message of another protocol, or one that only servers send."""

    type: int


Message = SyncStep1 | SyncStep2 | SyncUpdate | AwarenessUpdate | QueryAwareness | Ignored

#: An update that says nothing: no structs, no deletes.
EMPTY_UPDATE: Final = b"\x00\x00"
#: An awareness message about nobody: a sign of life that every client understands and none acts upon.
EMPTY_AWARENESS: Final = b"\x01\x01\x00"

_SYNC_STEP_1: Final = bytes((MessageType.SYNC, SyncType.STEP_1))
_SYNC_STEP_2: Final = bytes((MessageType.SYNC, SyncType.STEP_2))
_SYNC_UPDATE: Final = bytes((MessageType.SYNC, SyncType.UPDATE))


def decode(frame: bytes, *, max_bytes: int, max_clients: int = 100_000) -> Message:
    """The one message that a client's frame holds.

    Raises MessageTooLarge beyond ``max_bytes``, or ``max_clients`` in a state vector; ProtocolError for
    whatever is no message.
    """
    if len(frame) > max_bytes:
        raise MessageTooLarge(f"A message of {len(frame)} bytes came; {max_bytes} are allowed.")
    reader = Reader(frame)
    kind = reader.varuint()
    if kind == MessageType.SYNC:
        return _decode_sync(reader, max_clients)
    if kind == MessageType.AWARENESS:
        payload = reader.bytes()
        reader.end()
        return AwarenessUpdate(payload)
    if kind == MessageType.QUERY_AWARENESS:
        reader.end()
        return QueryAwareness()
    return Ignored(kind)


def _decode_sync(reader: Reader, max_clients: int) -> Message:
    kind = reader.varuint()
    payload = reader.bytes()
    reader.end()
    if kind == SyncType.STEP_1:
        parse_state_vector(payload, max_clients=max_clients)
        return SyncStep1(payload)
    if kind == SyncType.STEP_2:
        return SyncStep2(payload)
    if kind == SyncType.UPDATE:
        return SyncUpdate(payload)
    raise ProtocolError(f"A sync message of the unknown kind {kind} came.")


def parse_state_vector(data: bytes, *, max_clients: int = 100_000) -> dict[int, int]:
    """Client id → its clock: how many of its operations the sender has."""
    reader = Reader(data)
    count = reader.varuint()
    if count > max_clients:
        raise MessageTooLarge(f"A state vector of {count} clients came; {max_clients} are allowed.")
    if 2 * count > reader.rest:
        raise ProtocolError(f"A state vector announced {count} clients in {reader.rest} bytes.")
    clocks: dict[int, int] = {}
    varuint = reader.varuint
    for _ in range(count):
        client = varuint()
        clocks[client] = varuint()
    reader.end()
    if len(clocks) != count:
        raise ProtocolError("A state vector named a client twice.")
    return clocks


def encode_state_vector(clocks: Mapping[int, int]) -> bytes:
    parts = [encode_varuint(len(clocks))]
    for client, clock in clocks.items():
        parts += (encode_varuint(client), encode_varuint(clock))
    return b"".join(parts)


def encode_step1(state_vector: bytes) -> bytes:
    return _SYNC_STEP_1 + encode_bytes(state_vector)


def encode_step2(update: bytes) -> bytes:
    return _SYNC_STEP_2 + encode_bytes(update)


def encode_update(update: bytes) -> bytes:
    return _SYNC_UPDATE + encode_bytes(update)


def encode_awareness(payload: bytes) -> bytes:
    return bytes((MessageType.AWARENESS,)) + encode_bytes(payload)


def encode_auth(reason: str) -> bytes:
    """Permission denied: a stock client warns with ``reason``, and stays connected."""
    return bytes((MessageType.AUTH, 0)) + encode_bytes(reason.encode())
