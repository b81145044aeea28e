"""The update of one changed field: what the log keeps and every socket gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from boards.models import Task
from rxcrdt import documents
from tests.benchmarks.board_rows import make_board, tasks_of
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run

__all__ = ["measure"]


class _Listener:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def deliver(self, position: object, update: bytes) -> None:
        self.sizes.append(len(update))

    def gone(self) -> None: ...


def measure(run: Run) -> Iterator[Table]:
    rows, sizes = [], []
    for tasks in run.choose((100, 10_000), (20,)):
        run.say(f"bytes: {tasks:,} rows")
        found = list(_of_board(tasks))
        rows += [(f"{what}, {tasks:,} tasks", size) for what, size in found]
        sizes += [size for what, size in found if "one field" in what]
    yield Table(
        title="Bytes of an update",
        columns=["one save", "bytes"],
        rows=rows,
        aims=[Aim(text="the update of one changed field, bytes", value=max(sizes), limit=60)],
        notes=[
            "The text itself included. Each is the second change of its field, in a document that others have open."
        ],
    )


def _of_board(tasks: int) -> Iterator[tuple[str, int]]:
    board = make_board(tasks)
    document, listener = documents.open(f"board/{board.pk}"), _Listener()
    document.subscribe(listener)
    task, other = tasks_of(board, tasks)[:2]
    changes: list[tuple[str, dict[str, Any]]] = [
        ("one field: a title of 20 letters", {"title": "a title of 20 letter"}),
        ("one field: a date", {"due_date": "2026-11-22"}),
        ("one field: nothing", {"due_date": None}),
        ("one field: another assignee", {"assignee_id": other.assignee_id}),
        ("moved to the end of its list", {"position": "z"}),
        ("moved to another list", {"column_id": other.column_id}),
    ]
    for what, values in changes:
        yield what, _size(task, values, listener)
    listener.sizes.clear()
    Task.objects.create(column_id=task.column_id, title="a new one", position="zz")
    yield "a new task", listener.sizes[0]
    document.unsubscribe(listener)
    documents.close(document)


def _size(task: Task, values: dict[str, Any], listener: _Listener) -> int:
    """After another value, so that nothing of what is written comes for the first time."""
    before = {name: getattr(task, name) for name in values}
    for given in (values, before, values):
        listener.sizes.clear()
        for name, value in given.items():
            setattr(task, name, value)
        task.save()
    (size,) = listener.sizes
    return size
