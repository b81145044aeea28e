"""A process that saves random rows of a library: ``python -m tests.deploying.writer <seed> <file>``.

It obeys single letters on its standard input: ``w`` begins to write, ``r`` rests, which is answered with a line of
JSON once nothing waits to be flushed any more: whether that came true. Every save is a line of JSON in the file. It
ends with its standard input.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from dataclasses import asdict
from pathlib import Path

import django

__all__ = ["main"]

A_SECOND = 8
DRAINED_SECONDS = 20.0


def main(seed: int, file: Path) -> None:
    from tests.deploying.saves import Saver

    saver = Saver(seed)
    writing = False
    print(json.dumps("ready"), flush=True)
    with file.open("a") as noted:
        while (command := _command(saver.random.expovariate(A_SECOND) if writing else None)) != "":
            writing = writing if command is None else command == "w"
            if command == "r":
                print(json.dumps(_drained()), flush=True)
            if writing and (save := saver.transaction()):
                noted.write(json.dumps(asdict(save)) + "\n")
                noted.flush()


def _command(seconds: float | None) -> str | None:
    """The next one, None if none came within ``seconds``, "" at the end."""
    ready, _, _ = select.select([0], [], [], seconds)
    return os.read(0, 1).decode() if ready else None


def _drained() -> bool:
    from rxcrdt.backlog import backlog

    deadline = time.monotonic() + DRAINED_SECONDS
    while not backlog.is_empty() and time.monotonic() < deadline:
        time.sleep(0.01)
    return backlog.is_empty()


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), Path(sys.argv[2]))
