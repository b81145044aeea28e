"""lib0's variable-length encoding, which everything on the wire is made of, read strictly and in linear time.

pycrdt's own helpers are lenient (a truncated message comes back short, a string with multi-byte letters cut),
so nothing that a client sent is read with them.
"""

from __future__ import annotations

from typing import Final

from rxcrdt.exceptions import ProtocolError

__all__ = ["MAX_VARUINT", "Reader", "encode_bytes", "encode_varuint"]

#: JavaScript's largest safe integer: no peer can have meant a larger one.
MAX_VARUINT: Final = 2**53 - 1
_MAX_VARUINT_BYTES: Final = 8


class Reader:
    """Reads ``data`` from the front. Everything that is not exactly as lib0 writes it is a ProtocolError."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def varuint(self) -> int:
        """A varUint: seven bits a byte, the lowest first, in as few bytes as it takes; up to MAX_VARUINT."""
        data, start = self.data, self.at
        if start < len(data) and data[start] < 0x80:
            self.at = start + 1
            return data[start]
        value = shift = 0
        for index in range(start, min(start + _MAX_VARUINT_BYTES, len(data))):
            byte = data[index]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if byte == 0 or value > MAX_VARUINT:
                    raise ProtocolError(f"The number at byte {start} is not a varUint as lib0 writes it.")
                self.at = index + 1
                return value
        raise ProtocolError(f"The number at byte {start} does not end.")

    def bytes(self) -> bytes:
        """A varUint8Array: its length as a varUint, then that many bytes."""
        length = self.varuint()
        end = self.at + length
        if end > len(self.data):
            raise ProtocolError(f"{length} bytes were announced at byte {self.at}; {len(self.data) - self.at} came.")
        start, self.at = self.at, end
        return self.data[start:end]

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self.data) - self.at

    def end(self) -> None:
        """Nothing may be left."""
        if self.rest:
            raise ProtocolError(f"{self.rest} bytes came after the end of the message.")


def encode_varuint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(0x80 | (value & 0x7F))
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_bytes(data: bytes) -> bytes:
    """A varUint8Array; a varString too, given its UTF-8."""
    return encode_varuint(len(data)) + data
