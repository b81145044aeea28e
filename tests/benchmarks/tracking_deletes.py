"""`queryset.delete()` of many rows that no document shows, beside the same without any anchor.

Rows of a model that nothing points at and nobody listens to, Django deletes with one statement. Whoever listens makes
it read the rows first, and call the listener for each: so does rxcrdt, unless the manager is an ``AnchoredManager``, as
those of the boards are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.db.models import QuerySet

from boards.models import ChecklistItem, Task
from rxcrdt import conf
from tests.benchmarks.board_rows import make_board, servers_cpu, tasks_of, without_anchors
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import Block, alternate, ratio, time_calls
from tests.benchmarks.tracking_tables import COLUMNS, row

__all__ = ["measure"]

Fill = Callable[[Task, int], QuerySet[Any]]


def measure(run: Run) -> Iterator[Table]:
    rows, rounds = run.choose((20_000, 5), (50, 1))
    (task,) = tasks_of(make_board(1), 1)
    conf.store().documents_of(["boards.task:0"])  # connects
    kinds: dict[str, Fill] = {
        "checklist items, at which nothing points": _fill_leaves,
        "tasks, with a checklist item each": _fill_parents,
    }
    for what, fill in kinds.items():
        run.say(f"delete: {rows:,} {what}")
        made = partial(fill, task, rows)
        contestants = {
            "no anchors": partial(_timed, made, _delete, plain=True),
            "anchors": partial(_timed, made, _delete, plain=False),
            "anchors, Django's own manager": partial(_timed, made, _delete_listened_to, plain=False),
        }
        found = alternate(contestants, rounds=rounds)
        yield Table(
            title=f"{rows:,} {what}",
            columns=["delete()", *COLUMNS],
            rows=[row(name, blocks, found["no anchors"]) for name, blocks in found.items()],
            aims=[
                Aim(
                    text="time with anchors / without",
                    value=ratio(found["anchors"], found["no anchors"], lambda block: block.at(50)),
                    limit=1.1,
                )
            ],
            notes=[f"Medians of {rounds} rounds, in turns."],
        )


def _timed(made: Callable[[], QuerySet[Any]], delete: Callable[[QuerySet[Any]], object], *, plain: bool) -> Block:
    filled = made()
    with without_anchors() if plain else nullcontext():
        return time_calls(delete, [filled], server_cpu=servers_cpu())


def _delete(rows: QuerySet[Any]) -> object:
    return rows.delete()


def _delete_listened_to(rows: QuerySet[Any]) -> object:
    return QuerySet(rows.model, query=rows.query.chain(), using=rows.db).delete()


def _fill_leaves(task: Task, rows: int) -> QuerySet[Any]:
    ChecklistItem.objects.bulk_create(
        ChecklistItem(task=task, text=f"item {number}", position=f"a{number:06}") for number in range(rows)
    )
    return ChecklistItem.objects.all()


def _fill_parents(task: Task, rows: int) -> QuerySet[Any]:
    tasks = Task.objects.bulk_create(
        Task(column_id=task.column_id, title=f"task {number}", position=f"b{number:06}") for number in range(rows)
    )
    ChecklistItem.objects.bulk_create(ChecklistItem(task=made, text="item", position="a") for made in tasks)
    return Task.objects.exclude(pk=task.pk)
