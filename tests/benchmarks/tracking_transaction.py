"""A transaction of many saves, which an open document shows, beside the same transaction without any anchor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

from django.db import transaction

from boards.models import Board, Task
from rxcrdt import documents, workers
from rxcrdt.snapshots import compare
from tests.benchmarks.board_rows import make_board, servers_cpu, tasks_of, without_anchors
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import Block, alternate, ratio, time_calls
from tests.benchmarks.tracking_tables import COLUMNS, row

__all__ = ["measure"]

PLAIN, UNSEEN, SEEN = "no anchors", "anchors, no document shows them", "anchors, a document shows them"


def measure(run: Run) -> Iterator[Table]:
    saves, rounds = run.choose((1_000, 7), (20, 1))
    shown, other = make_board(2 * saves), make_board(saves)
    document = documents.open(f"board/{shown.pk}")
    run.say(f"transaction: {saves:,} saves")
    contestants = {
        PLAIN: _saving(shown, saves, plain=True),
        UNSEEN: _saving(other, saves, plain=False),
        SEEN: _saving(shown, saves, plain=False),
    }
    found = alternate(contestants, rounds=rounds)
    document.reconcile()  # what was saved without anchors
    Task.objects.filter(column__board=shown)[0].save()
    assert compare("board", shown.pk) is None
    yield Table(
        title=f"A transaction of {saves:,} saves",
        columns=["the whole transaction", *COLUMNS],
        rows=[row(name, blocks, found[PLAIN]) for name, blocks in found.items()],
        aims=[Aim(text=f"{SEEN} / {PLAIN}", value=ratio(found[SEEN], found[PLAIN], lambda b: b.at(50)), limit=1.5)],
        notes=[f"Medians of {rounds} rounds, in turns. The document has {2 * saves:,} tasks, each save a new title."],
    )


def _saving(board: Board, saves: int, *, plain: bool) -> Callable[[], Block]:
    tasks = tasks_of(board, saves)
    numbers = iter(range(10**9))

    @transaction.atomic
    def save_all(number: int) -> None:
        for task in tasks:
            task.title = f"title {number}"
            task.save()

    def time() -> Block:
        workers.wait_for_background(60)
        with without_anchors() if plain else nullcontext():
            return time_calls(save_all, [next(numbers)], server_cpu=servers_cpu())

    return time
