"""Stock y-websocket clients in a Node process, told from here what to do: see ``tests/node/fleet.js``."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rxcrdt.protocol import parse_state_vector

__all__ = ["VERSIONS", "Fleet", "Report"]

NODE_TESTS = Path(__file__).resolve().parent.parent / "node"
VERSIONS = ("1.5.4", "2.1.0", "3.0.0", "3.1.0")
LONGEST_LINE = 2**27


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One client: ``attempts`` is how often it made a WebSocket."""

    state: Any
    tables: dict[str, Any]
    vector: dict[int, int]
    synced: bool
    attempts: int
    closes: list[int]
    denied: int


class Fleet:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Fleet:
        if not (NODE_TESTS / "node_modules" / "yjs").exists():
            pytest.fail(f"yjs is not installed: run `npm ci` in {NODE_TESTS}, as `make test` does.")
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                "node", str(NODE_TESTS / "fleet.js"), stdin=pipe, stdout=pipe, limit=LONGEST_LINE
            )
        )

    async def open(self, name: str, url: str, document: str, version: str) -> None:
        await self._ask("open", name=name, url=url, document=document, version=version)

    async def offline(self, names: Sequence[str]) -> None:
        await self._ask("offline", names=names)

    async def online(self, names: Sequence[str]) -> None:
        await self._ask("online", names=names)

    async def report(self) -> dict[str, Report]:
        return {
            name: Report(**{**said, "vector": parse_state_vector(base64.b64decode(said["vector"]))})
            for name, said in (await self._ask("report")).items()
        }

    async def _ask(self, command: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **given}).encode() + b"\n")
        answer = await self._process.stdout.readline()
        assert answer, "the Node process has ended; see what it printed above"
        return json.loads(answer)

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
