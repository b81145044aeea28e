"""`python -m tests.benchmarks store` and `… tracking`: see docs/benchmarks.md."""

from __future__ import annotations

import signal
import sys


def _end(number: int, _frame: object) -> None:
    """So that a run that is ended stops the servers that it started."""
    sys.exit(128 + number)


if __name__ == "__main__":
    from tests.benchmarks.command import main

    signal.signal(signal.SIGTERM, _end)
    sys.exit(main(sys.argv[1:]))
