"""A process that saves random rows at random moments: ``python -m tests.kills.writer <seed>``.

It obeys single letters on its standard input: ``w`` begins to write, ``r`` rests, which is answered, once nothing
waits to be flushed any more, with a line of JSON: how many transactions went well, and what kept others from it. It
ends with its standard input.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections import Counter

import django

__all__ = ["main"]

A_SECOND = 30  # transactions
ROWS = 150
DRAINED_SECONDS = 40.0


def main(seed: int) -> None:
    from django.core.exceptions import ObjectDoesNotExist
    from django.db import Error

    from tests.kills.crowding import CrowdedWriter

    writer = CrowdedWriter(seed, rows=ROWS)
    done: Counter[str] = Counter()
    writing = False
    print(json.dumps("ready"), flush=True)
    while True:
        command = _command(writer.random.expovariate(A_SECOND) if writing else None)
        if command == "":
            return
        writing = writing if command is None else command == "w"
        if command == "r":
            done["waiting"] = 0 if _drained() else 1
            print(json.dumps(done), flush=True)
        if writing:
            try:
                writer.transaction()
                done["written"] += 1
            except (ObjectDoesNotExist, Error) as error:  # another process was faster: the row is gone, or taken
                done[type(error).__name__] += 1


def _command(seconds: float | None) -> str | None:
    """The next one, None if none came within ``seconds``, "" at the end."""
    ready, _, _ = select.select([0], [], [], seconds)
    return os.read(0, 1).decode() if ready else None


def _drained() -> bool:
    from rxcrdt.backlog import backlog

    deadline = time.monotonic() + DRAINED_SECONDS
    while not backlog.is_empty():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))
