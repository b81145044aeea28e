"""hocuspocus' SQLite and Redis extensions beside ours, where they do the same job: see docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import boards, passing_on, saving
from tests.benchmarks.node import check_installed, peer_version
from tests.benchmarks.report import Table
from tests.benchmarks.sections import Run, Section

__all__ = ["SECTION"]


def measure(run: Run) -> Iterator[Table]:
    check_installed()
    for tasks in run.choose((100, 10_000), (100,)):
        snapshot = run.folder / f"board-{tasks}.yjs"
        snapshot.write_bytes(boards.board(tasks))
        yield saving.measure(run, snapshot, tasks)
        yield passing_on.measure(run, snapshot, tasks)
    names = ("server", "extension-sqlite", "extension-redis")
    versions = [
        *(peer_version(f"@hocuspocus/{name}") for name in names),
        peer_version("better-sqlite3"),
        peer_version("yjs"),
    ]
    yield Table(title="Versions of the peers", columns=["package"], rows=[(version,) for version in versions])


SECTION = Section(name="peers", title="hocuspocus' SQLite and Redis extensions", measure=measure)
