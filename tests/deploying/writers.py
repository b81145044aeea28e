"""The processes that save, as a test holds them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.deploying.saves import Save
from tests.servers import ROOT

__all__ = ["WriterProcess"]


class WriterProcess:
    """``tests.deploying.writer`` in a process of its own. It rests at first."""

    def __init__(self, process: asyncio.subprocess.Process, file: Path) -> None:
        self._process = process
        self._file = file

    @classmethod
    async def start(cls, seed: int, file: Path, environment: Mapping[str, str]) -> Self:
        """``file`` is where it notes its saves."""
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "tests.deploying.writer", str(seed), str(file)]
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, stdin=pipe, stdout=pipe)
        writer = cls(process, file)
        assert await writer._line() == "ready"
        return writer

    @property
    def saves(self) -> list[Save]:
        """What it has saved so far."""
        lines = self._file.read_text().splitlines(keepends=True) if self._file.exists() else []
        return [Save(**json.loads(line)) for line in lines if line.endswith("\n")]

    async def write(self) -> None:
        await self._tell("w")

    async def rest(self) -> None:
        """Returns when its last save was made, and nothing of it waits to be flushed any more."""
        await self._tell("r")
        assert await self._line() is True, "changes were never flushed"

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert await self._process.wait() == 0

    async def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode())
        await self._process.stdin.drain()

    async def _line(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "a process that writes has ended; see what it printed above"
        return json.loads(line)
