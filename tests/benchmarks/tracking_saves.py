"""A save of a row that no document shows, beside the same save without any anchor: what everybody pays for rxcrdt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from django.db import connection, transaction

from boards.models import Task
from rxcrdt import conf
from tests.benchmarks.board_rows import make_board, servers_cpu, tasks_of, without_anchors
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import Block, alternate, ratio, time_calls
from tests.benchmarks.tracking_tables import COLUMNS, row

__all__ = ["measure"]

Work = Callable[[Task], object]


def measure(run: Run) -> Iterator[Table]:
    saves, rounds = run.choose((100, 21), (5, 1))
    tasks = tasks_of(make_board(run.choose(1_000, 20)), saves)
    conf.store().documents_of(["boards.task:0"])  # connects
    what: dict[str, Work] = {"save()": _save, "save() in atomic()": _save_in_atomic, "create(), delete()": _come_and_go}
    for title, waiting in (("PostgreSQL waits for the disk", True), ("PostgreSQL does not wait for the disk", False)):
        with _committing(waiting):
            found: dict[str, list[Block]] = {}
            for name, work in what.items():
                run.say(f"save: {name}, {title}")
                found |= alternate(_contestants(name, work, tasks), rounds=rounds)
            yield _table(title, found, list(what), waiting, f"Medians of {rounds} rounds of {saves} calls, in turns.")


def _contestants(name: str, work: Work, tasks: list[Task]) -> dict[str, Callable[[], Block]]:
    def time(plain: bool) -> Block:
        with without_anchors() if plain else nullcontext():
            return time_calls(work, tasks, server_cpu=servers_cpu())

    return {f"{name}, no anchors": lambda: time(True), f"{name}, anchors": lambda: time(False)}


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
        plain, ours = found[f"{name}, no anchors"], found[f"{name}, anchors"]
        rows += [row(f"{name}, no anchors", plain, plain), row(f"{name}, anchors", ours, plain)]
        if judged:
            more = ratio(ours, plain, lambda block: block.at(50))
            aims.append(Aim(text=f"{name}, p50 with anchors / without", value=more, limit=1.1))
    return Table(title=title, columns=["one call", *COLUMNS], rows=rows, aims=aims, notes=[note])
