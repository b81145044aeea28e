"""A save of a row that an open document shows, by the size of the document.

Each size has a process of its own, as a large heap makes everything in a process slower; they take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from itertools import count

from django.db import connection
from django.test.utils import CaptureQueriesContext

from boards.models import Task
from rxcrdt import documents, workers
from rxcrdt.snapshots import compare
from tests.benchmarks.board_rows import make_board, servers_cpu, tasks_of, without_anchors
from tests.benchmarks.own_process import start_django
from tests.benchmarks.report import Aim, Cell, Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import Block, alternate, ratio, time_calls
from tests.benchmarks.tracking_tables import COLUMNS, row
from tests.benchmarks.workers import Measuring, Workers

__all__ = ["measure"]

CONTROL = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SET TRANSACTION")  # what asks for nothing
CHECKED = 1_000  # rows; the serializer asks for each of them several times
_boards: dict[int, int] = {}  # in a worker: by size, its board
_numbers = count()


def measure(run: Run) -> Iterator[Table]:
    sizes = run.choose((100, 10_000, 100_000), (20, 50))
    saves, rounds = run.choose((50, 15), (5, 1))
    with ExitStack() as stack:
        processes = {size: stack.enter_context(Workers()) for size in sizes}
        for size in sizes:
            run.say(f"warm: opening a document of {size:,} rows")
            processes[size].run([start_django])
            processes[size].run([partial(_open, size)])
        run.say(f"warm: {rounds + 1} rounds of {saves} saves")
        contestants = {"no anchors": partial(_in, processes[sizes[0]], partial(_save, sizes[0], saves, plain=True))}
        contestants |= {
            _name(size): partial(_in, processes[size], partial(_save, size, saves, plain=False)) for size in sizes
        }
        found = alternate(contestants, rounds=rounds)
        (queries,) = zip(*(processes[size].run([partial(_queries, size)]) for size in sizes), strict=True)
    yield _table(found, sizes, queries, f"Medians of {rounds} rounds of {saves} saves, in turns.")


def _name(size: int) -> str:
    return f"a document of {size:,} rows"


def _in(process: Workers, task: Callable[[], Measuring[Block]]) -> Block:
    return process.run([task])[0]


def _open(size: int) -> Measuring[None]:
    board = make_board(size)
    documents.open(f"board/{board.pk}")
    for task in tasks_of(board, 5):
        task.title = "warm"
        task.save()
    _boards[size] = board.pk
    yield


def _save(size: int, saves: int, *, plain: bool) -> Measuring[Block]:
    tasks = list(Task.objects.filter(column__board=_boards[size]).order_by("title")[:saves])
    assert workers.wait_for_background(600)
    yield
    with without_anchors() if plain else nullcontext():
        return time_calls(_change, tasks, server_cpu=servers_cpu())


def _change(task: Task) -> None:
    task.title = f"title {next(_numbers):06}"
    task.save()


def _queries(size: int) -> Measuring[int]:
    """The most that a save takes, its own one included; and whether the document is right after all of that."""
    taken = []
    for task in Task.objects.filter(column__board=_boards[size])[:20]:
        with CaptureQueriesContext(connection) as context:
            _change(task)
        taken.append(sum(not query["sql"].startswith(CONTROL) for query in context.captured_queries))
    if size <= CHECKED:
        documents.get(f"board/{_boards[size]}").reconcile()  # what was saved without anchors
        assert compare("board", _boards[size]) is None
    yield
    return max(taken)


def _table(found: dict[str, list[Block]], sizes: tuple[int, ...], queries: tuple[int, ...], note: str) -> Table:
    rows: list[tuple[Cell, ...]] = [(*row("no anchors", found["no anchors"], found["no anchors"]), 1)]
    rows += [
        (*row(_name(size), found[_name(size)], found["no anchors"]), taken)
        for size, taken in zip(sizes, queries, strict=True)
    ]
    small, large = found[_name(sizes[0])], found[_name(sizes[-1])]
    text = f"{_name(sizes[-1])} / {_name(sizes[0])}"
    return Table(
        title="A save of one row, a title changed",
        columns=["shown by", *COLUMNS, "queries"],
        rows=rows,
        aims=[
            Aim(text="queries of a save beside its own", value=max(queries) - 1, limit=2),
            Aim(text=f"p50, {text}", value=ratio(large, small, lambda block: block.at(50)), limit=1.5),
            Aim(text=f"all CPU, {text}", value=ratio(large, small, lambda b: b.cpu + b.server_cpu), limit=1.5),
        ],
        notes=[note],
    )
