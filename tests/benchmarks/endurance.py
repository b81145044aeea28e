"""What becomes of a document, and of those who have it open, after a million saves.

Tasks of one board are saved in Django, in transactions of some saves each, with random titles; everything goes the way
of any save: signals, flush, the log in Redis, folds and collapses. A pycrdt document and a yjs document (in Node) take
every update from the first on. What they and the log take is compared with a projection made at that moment.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.report import Aim, Table, as_json, as_text
from tests.benchmarks.sections import Run, Section, Unavailable

if TYPE_CHECKING:
    from rxcrdt.document import Document
    from ydoc_store import DocStore, Log

__all__ = ["SECTION", "main"]

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "tests" / "node"
COLUMNS = 10
LOOKS = 20  # how often all is measured in detail
SIZES_EVERY = 250  # transactions


def measure(run: Run) -> Iterator[Table]:
    """In a process of its own, which has its own database and store."""
    _check_installed()
    written = run.folder / "endurance.json"
    command = [sys.executable, "-m", "tests.benchmarks.endurance", "--json", str(written)]
    command += ["--saves", str(run.choose(1_000_000, 400)), "--rows", str(run.choose(1_000, 50))]
    subprocess.run(command, cwd=ROOT, check=True)
    found = json.loads(written.read_text(encoding="utf-8"))
    aims = [Aim(**{key: value for key, value in aim.items() if key != "met"}) for aim in found.pop("aims")]
    yield Table(**found, aims=aims)


SECTION = Section(name="endurance", title="a document after a million saves, its readers connected", measure=measure)


def _check_installed() -> None:
    if not (NODE / "node_modules" / "yjs").exists():
        raise Unavailable("yjs is not installed. Run `npm ci` in tests/node, as `make test` does.")


def main(arguments: list[str]) -> int:
    """The command of that process; by hand too."""
    options = _parser().parse_args(arguments)
    from tests.servers import running_redis

    with tempfile.TemporaryDirectory(prefix="rxcrdt-endurance-") as folder, running_redis() as redis:
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        os.environ["RXCRDT_TEST_DATABASE"] = f"sqlite:///{folder}/rows.sqlite3"
        os.environ["RXCRDT_TEST_STORE"] = redis
        sys.path.insert(0, str(ROOT / "demo"))
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", run_syncdb=True, verbosity=0)
        with _reader() as reader:
            table = _run(options, reader)
    if options.json:
        options.json.write_text(json.dumps(as_json(table)), encoding="utf-8")
    else:
        print(as_text(table))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.endurance", description=__doc__)
    parser.add_argument("--saves", type=int, default=1_000_000, help="of one task each (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1_000, help="tasks on the board (default: %(default)s)")
    parser.add_argument("--together", type=int, default=10, help="saves in one transaction (default: %(default)s)")
    parser.add_argument("--letters", type=int, default=200, help="in a task's description (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the table there instead of printing it")
    return parser


# The readers


class Reader:
    """A yjs document in Node."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def tell(self, letter: str, content: bytes = b"") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(struct.pack(">I", len(content)) + letter.encode() + content)

    def ask(self, letter: str, content: bytes = b"") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.tell(letter, content)
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def _reader() -> Iterator[Reader]:
    command = ["node", "reader.js"]
    process = subprocess.Popen(command, cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Reader(process)
    finally:
        process.kill()
        process.wait()


# The run


@dataclass(slots=True)
class Worst:
    """The largest ratios to a fresh projection that were seen, at any time."""

    log: float = 0.0
    opening: float = 0.0


def _run(options: argparse.Namespace, reader: Reader) -> Table:
    from rxcrdt import conf
    from tests.oracle.following import Follower

    name = _make_board(options)
    follower = Follower(name)
    rows, worst, random_ = [], Worst(), random.Random(1)
    transactions = options.saves // options.together
    began, cpu, lineages = time.monotonic(), time.process_time(), set[int]()
    for number in range(1, transactions + 1):
        _save_some(options.together, random_)
        for update in follower.updates:
            reader.tell("u", update)
        follower.updates.clear()
        position = follower.document.position
        assert position is not None
        lineages.add(position.epoch)
        shown = number % max(1, transactions // LOOKS) == 0 or number == transactions
        if number % SIZES_EVERY and not shown:
            continue
        log = conf.store().load(follower.document.log)
        assert log is not None
        fresh = _fresh(follower.document)
        _look(worst, log, fresh, follower.document)
        if shown:
            rows.append(_row(number * options.together, len(lineages), log, fresh, follower, reader))
            spent, used = time.monotonic() - began, time.process_time() - cpu
            print(f"{spent:8.0f} s {rows[-1]}", file=sys.stderr, flush=True)
    _check(follower, name)
    each = 1000 * used / options.saves
    return Table(
        title=f"{options.saves:,} saves over {options.rows:,} rows, {options.together} a transaction",
        columns=COLUMN_NAMES,
        rows=rows,
        aims=[
            Aim(text="log and snapshot / fresh, at any time", value=worst.log, limit=2),
            Aim(text="opening / fresh, at any time", value=worst.opening, limit=1.5),
            Aim(text="pycrdt reader / fresh, at the end", value=rows[-1][4], limit=2),
            Aim(text="yjs reader / fresh, at the end", value=rows[-1][5], limit=2),
        ],
        notes=[f"{each:.2f} ms of CPU a save, Django's own part, folds and collapses included ({spent:,.0f} s in all)"],
    )


COLUMN_NAMES = (
    "saves", "lineages", "fresh, bytes", "log + snapshot / fresh", "pycrdt reader / fresh", "yjs reader / fresh",
    "yjs reader, structs", "opening / fresh", "opening in yjs / fresh",
)  # fmt: skip


def _make_board(options: argparse.Namespace) -> str:
    from boards.models import Board, Column, Task

    board = Board.objects.create(name="endurance")
    columns = [Column.objects.create(board=board, name=str(number)) for number in range(COLUMNS)]
    Task.objects.bulk_create(
        Task(
            column=columns[number % COLUMNS],
            title=f"Task number {number:06}",
            description="All of it, and a little more. " * (options.letters // 30),
            position=f"a{number:06}",
            due_date="2026-11-22",
            estimate="2.5",
        )
        for number in range(options.rows)
    )
    return f"board/{board.pk}"


def _save_some(together: int, random_: random.Random) -> None:
    from django.db import transaction

    from boards.models import Task

    first = _first_task()
    with transaction.atomic():
        keys = random_.sample(range(first, first + Task.objects.count()), together)
        for task in Task.objects.filter(pk__in=keys):
            task.title = f"Task {random_.random():.12f}"
            task.save()


def _first_task() -> int:
    from boards.models import Task

    found = Task.objects.order_by("pk").values_list("pk", flat=True).first()
    assert found is not None
    return found


def _fresh(document: Document) -> bytes:
    """What a projection made now would be."""
    from rxcrdt import layout
    from rxcrdt.current import read_whole
    from rxcrdt.lineage import clock_id
    from rxcrdt.tables import Tables

    root, forest = read_whole(document.anchor, document.name, document.name.partition("/")[2], "default")
    tables = Tables(document.plan, {})
    tables.replace(forest, root)
    doc = layout.new_doc(clock_id())
    layout.write(doc, tables.patches(), layout.describe(document.plan, document.name, root))
    return doc.get_update()


def _bytes(log: Log) -> int:
    return len(log.snapshot) + sum(len(entry.update) for entry in log.entries)


def _look(worst: Worst, log: Log, fresh: bytes, document: Document) -> None:
    worst.log = max(worst.log, _bytes(log) / len(fresh))
    worst.opening = max(worst.opening, _opening(log, fresh, document))


def _opening(log: Log, fresh: bytes, document: Document, times: int = 9) -> float:
    """CPU time of what opening a document costs a process: reading the log, making the document, answering a client."""
    from rxcrdt import conf
    from rxcrdt.replica import Replica

    store = conf.store()
    other = f"{document.log}-fresh"
    lease = store.lease(other, since=None, seconds=60, wait=0)
    store.begin(other, epoch=log.epoch + 1, snapshot=fresh, rows=[], lease=lease.token)
    store.release(other, lease.token)

    def open_it(store: DocStore, name: str) -> None:
        found = store.load(name)
        assert found is not None
        Replica(document.plan, found).lacking(b"\x00")

    ratios = []
    for _ in range(times):
        taken = _seconds(lambda: open_it(store, document.log))
        ratios.append(taken / _seconds(lambda: open_it(store, other)))
    store.delete(other)
    return statistics.median(ratios)


def _seconds(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _row(saves: int, lineages: int, log: Log, fresh: bytes, follower: Any, reader: Reader) -> tuple[Any, ...]:
    size = len(fresh)
    theirs = reader.ask("m")
    everything: list[bytes] = []
    follower.document.answer(b"\x00", everything.append)
    opening = reader.ask("o", everything[0])["milliseconds"] / reader.ask("o", fresh)["milliseconds"]
    return (
        saves,
        lineages,
        size,
        round(_bytes(log) / size, 2),
        round(len(_reloaded(follower.doc)) / size, 2),
        round(theirs["bytes"] / size, 2),
        theirs["structs"],
        round(_opening(log, fresh, follower.document), 2),
        round(opening, 2),
    )


def _reloaded(doc: Any) -> bytes:
    """A pycrdt document merges its garbage when it is loaded, a yjs document always."""
    from rxcrdt import layout

    other = layout.new_doc(1)
    other.apply_update(doc.get_update())
    return other.get_update()


def _check(follower: Any, name: str) -> None:
    """Figures of a document that is wrong would be worth nothing."""
    from rxcrdt.snapshots import compare, snapshot

    anchor, _, value = name.partition("/")
    assert compare(anchor, value) is None
    assert follower.state == snapshot(anchor, value)
    assert follower.ghosts() == set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
