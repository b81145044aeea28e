"""The Node programs in `peers/`: processes that take commands, a line of JSON each."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.sections import Unavailable

__all__ = ["Answer", "Peer", "check_installed", "peer_version", "running"]

PEERS = Path(__file__).resolve().parent / "peers"
MODULES = PEERS / "node_modules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command gave, the CPU seconds that it took, and the bytes that it wrote (None if nobody counts them)."""

    value: Any
    cpu: float
    written: int | None


class Peer:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, command: str, **given: Any) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The Node process ended at {command!r}: what it said is above.")
        answer = json.loads(line)
        return Answer(value=answer["answer"], cpu=answer["cpu"], written=answer["written"])


@contextmanager
def running(program: str) -> Iterator[Peer]:
    """`peers/<program>`, until the end of the block. It speaks to people on stderr, which is ours."""
    node = shutil.which("node") or "node"
    process = subprocess.Popen(
        [node, program], cwd=PEERS, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1
    )
    try:
        yield Peer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_installed() -> None:
    """Unavailable, with what to run, if the peers are not there."""
    if shutil.which("node") is None:
        raise Unavailable("Node 20 or newer is not on PATH.")
    if not (MODULES / "@hocuspocus").is_dir():
        raise Unavailable("hocuspocus is not installed. Run `npm ci` in tests/benchmarks/peers first.")
    if not (MODULES / "better-sqlite3" / "build" / "Release" / "better_sqlite3.node").is_file():
        raise Unavailable(
            "better-sqlite3, which hocuspocus' SQLite extension needs, has no binary: its install script fetches or "
            "compiles it. Run `npm rebuild better-sqlite3` in tests/benchmarks/peers first."
        )


def peer_version(package: str) -> str:
    about = json.loads((MODULES / package / "package.json").read_text(encoding="utf-8"))
    return f"{package.rpartition('/')[2]} {about['version']}"
