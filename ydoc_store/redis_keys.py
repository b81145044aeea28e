"""Under which keys a store keeps what.

All keys of a document share one hash tag, and so one node of a cluster. The index of rows is 16,384 hashes under
256 tags: small hashes are kept packed, and take a fraction of what a key for each row takes.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ydoc_store import quarantine

_BUCKETS = 1 << 14
_A_TAG = 1 << 6  # buckets

_LOG = b":log"
_QUARANTINE = "quarantine:"
_QUARANTINED = re.compile(rf":{_QUARANTINE}([0-9]+)")
_ENDING = re.compile(rf"(?:{_QUARANTINED.pattern})*")


class DocumentKeys(NamedTuple):
    log: bytes
    rows: bytes
    lease: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the store whose keys begin with `prefix`, which has no brace in it."""

    prefix: bytes

    def of(self, name: str) -> DocumentKeys:
        return _keys_of(self._documents, name)

    @property
    def _documents(self) -> bytes:
        """What follows the brace keeps the tag from being empty, as it would be for the names "" and "}"."""
        return self.prefix + b"{doc/"

    def bucket(self, row: bytes) -> bytes:
        """The hash of the index that has this row as a field."""
        tag, bucket = divmod(zlib.crc32(row) % _BUCKETS, _A_TAG)
        return b"%s{rows/%x}:%x" % (self.prefix, tag, bucket)

    @property
    def incarnation(self) -> bytes:
        return self.prefix + b"incarnation"

    def logs(self, prefix: str) -> bytes:
        """A pattern for the keys of all logs whose names begin with `prefix`, and of others."""
        escaped = b"".join(b"\\" + byte if byte in b"\\*?[]^-" else byte for byte in _bytes(prefix.encode()))
        if prefix.startswith(_QUARANTINE) or _QUARANTINE.startswith(prefix):  # these keys begin with the former names
            escaped = b""
        return self._documents + escaped + b"*" + _LOG

    def name(self, log: bytes) -> str | None:
        """The name of the log under this key; None if it is none of ours."""
        try:
            name, brace, ending = log[len(self._documents) : -len(_LOG)].decode().rpartition("}")
        except UnicodeDecodeError:
            return None
        if not brace or not _ENDING.fullmatch(ending):
            return None
        for moment in _QUARANTINED.findall(ending):
            name = quarantine.quarantined(name, moment)
        return name


@lru_cache(maxsize=4096)
def _keys_of(documents: bytes, name: str) -> DocumentKeys:
    """A log in quarantine stays in its slot: `{doc/board/1}:quarantine:<when>:log`. No two names share a key, as what
    follows the last brace says how often the name had been put there."""
    moments: list[str] = []
    while parts := quarantine.split(name):
        moment, name = parts
        moments.append(f":{_QUARANTINE}{moment}")
    stem = documents + f"{name}}}{''.join(reversed(moments))}".encode()
    return DocumentKeys(stem + _LOG, stem + b":rows", stem + b":lease")


def _bytes(text: bytes) -> list[bytes]:
    return [text[at : at + 1] for at in range(len(text))]
