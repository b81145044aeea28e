"""A save of a row that no document shows, beside the same save without any anchor: what everybody pays for rxcrdt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings

from boards.models import Task
from rxcrdt import conf, workers
from tests.benchmarks.board_rows import make_board, servers_cpu, tasks_of, without_anchors
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import Block, alternate, ratio, time_calls
from tests.benchmarks.tracking_tables import COLUMNS, row

__all__ = ["measure"]

PLAIN, OURS, LATER = "no anchors", "anchors", "anchors, INLINE off"
Work = Callable[[Task], object]


def measure(run: Run) -> Iterator[Table]:
    saves, rounds = run.choose((100, 21), (5, 1))
    tasks = tasks_of(make_board(run.choose(1_000, 20)), saves)
    what: dict[str, Work] = {"save()": _save, "save() in atomic()": _save_in_atomic, "create(), delete()": _come_and_go}
    for title, waiting in (("PostgreSQL waits for the disk", True), ("PostgreSQL does not wait for the disk", False)):
        with _committing(waiting):
            found: dict[str, list[Block]] = {}
            for name, work in what.items():
                run.say(f"save: {name}, {title}")
                found |= alternate(_contestants(name, work, tasks), rounds=rounds)
            yield _table(title, found, list(what), waiting, f"Medians of {rounds} rounds of {saves} calls, in turns.")


def _contestants(name: str, work: Work, tasks: list[Task]) -> dict[str, Callable[[], Block]]:
    def time(around: AbstractContextManager[object]) -> Block:
        with around:
            conf.store().documents_of(["boards.task:0"])  # connects
            block = time_calls(work, tasks, server_cpu=servers_cpu())
            assert workers.wait_for_background(60)
        return block

    return {
        f"{name}, {PLAIN}": lambda: time(without_anchors()),
        f"{name}, {OURS}": lambda: time(nullcontext()),
        f"{name}, {LATER}": lambda: time(override_settings(RXCRDT={**settings.RXCRDT, "INLINE": False})),
    }


def _save(task: Task) -> None:
    task.title = "b" if task.title == "a" else "a"
    task.save()


def _save_in_atomic(task: Task) -> None:
    with transaction.atomic():
        _save(task)


def _come_and_go(task: Task) -> None:
    Task.objects.create(column_id=task.column_id, title="new", position="b").delete()


@contextmanager
def _committing(waiting: bool) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET synchronous_commit = {'on' if waiting else 'off'}")
    yield


def _table(title: str, found: dict[str, list[Block]], names: list[str], judged: bool, note: str) -> Table:
    rows, aims = [], []
    for name in names:
        plain = found[f"{name}, {PLAIN}"]
        rows += [row(f"{name}, {how}", found[f"{name}, {how}"], plain) for how in (PLAIN, OURS, LATER)]
        if judged:
            more = ratio(found[f"{name}, {OURS}"], plain, lambda block: block.at(50))
            aims.append(Aim(text=f"{name}, p50 with anchors / without", value=more, limit=1.1))
    return Table(title=title, columns=["one call", *COLUMNS], rows=rows, aims=aims, notes=[note])
