"""The Lua scripts of the Redis store, and how one is called: by its hash, by its text the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

Argument = bytes | str | int


@dataclass(frozen=True, slots=True)
class Script:
    text: bytes
    sha: bytes


class Call(NamedTuple):
    """A script with its keys, the first of which says where it runs. The arguments follow `run` and `index`."""

    script: Script
    keys: Sequence[bytes]
    arguments: Sequence[Argument] = ()

    def by_hash(self, run: str, index: str) -> tuple[Argument, ...]:
        return (b"EVALSHA", self.script.sha, len(self.keys), *self.keys, run, index, *self.arguments)

    def by_text(self, run: str, index: str) -> tuple[Argument, ...]:
        return (b"EVAL", self.script.text, len(self.keys), *self.keys, run, index, *self.arguments)


def _read(name: str, *before: str) -> Script:
    folder = files("ydoc_store") / "lua"
    text = b"\n".join((folder / f"{part}.lua").read_bytes() for part in ("_log", *before, name))
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())


LOAD = _read("load")
SINCE = _read("since")
HEADS = _read("heads")
SIZE = _read("size")
APPEND = _read("append")
BEGIN = _read("begin")
COMPACT = _read("compact")
DELETE = _read("delete")
QUARANTINE = _read("quarantine")
NOW = _read("now")
TOUCH = _read("touch")
USAGE = _read("usage")
LEASE = _read("lease")
RELEASE = _read("release")
ROWS_ADD = _read("rows_add")
ROWS_REMOVE = _read("rows_remove")
ROWS_ALL = _read("rows_all")
ROWS_KNOWN = _read("rows_known")
INDEX_ADD = _read("index_add", "_index")
INDEX_REMOVE = _read("index_remove", "_index")
INDEX_FIND = _read("index_find", "_index")
INCARNATION = _read("incarnation")
