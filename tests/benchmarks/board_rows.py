"""Boards in the database: rows for the sections that save some."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection

from boards.anchors import BoardAnchor
from boards.models import Board, Column, Task
from rxcrdt.registry import registry
from tests.benchmarks.bare import connect

__all__ = ["make_board", "servers_cpu", "tasks_of", "without_anchors"]

COLUMNS = 10
PEOPLE = 20
WORDS = "ask build call draw fetch give hold join keep lead mend note open plan read send test view wait yield".split()


def make_board(tasks: int) -> Board:
    """A board of ten columns with so many tasks; each of them says some words and is assigned to one of 20 people."""
    text = random.Random(tasks)
    board = Board.objects.create(name=f"{tasks} tasks")
    people = _people()
    board.members.set(people)
    columns = Column.objects.bulk_create(
        Column(board=board, name=f"Column {number}", position=f"a{number}") for number in range(COLUMNS)
    )
    made = (
        Task(
            column=columns[number % COLUMNS],
            title=" ".join(text.choices(WORDS, k=5)),
            description=" ".join(text.choices(WORDS, k=8)),
            position=f"a{number:06}",
            due_date=f"2026-{text.randint(1, 12):02}-{text.randint(1, 28):02}",
            estimate=f"{text.randint(1, 80) / 2:.1f}",
            assignee=people[number % PEOPLE],
        )
        for number in range(tasks)
    )
    Task.objects.bulk_create(made, batch_size=5_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return board


def _people() -> list[Any]:
    users = get_user_model().objects
    return [users.get_or_create(username=f"person{number}")[0] for number in range(PEOPLE)]


def tasks_of(board: Board, count: int) -> list[Task]:
    """Some tasks of the board, spread over all of it."""
    keys = list(Task.objects.filter(column__board=board).order_by("pk").values_list("pk", flat=True))
    return list(Task.objects.filter(pk__in=keys[:: max(1, len(keys) // count)][:count]))


@contextmanager
def without_anchors() -> Iterator[None]:
    """As if rxcrdt was not there."""
    registry.unregister(BoardAnchor)
    try:
        yield
    finally:
        registry.register(BoardAnchor)


def servers_cpu() -> Callable[[], float]:
    """The CPU seconds of this thread's PostgreSQL backend and of Redis so far; always 0 where Linux does not tell."""
    files = [Path(f"/proc/{pid}/schedstat") for pid in (_backend(), _redis())]

    def read() -> float:
        with suppress(OSError):
            return sum(int(file.read_text(encoding="ascii").split()[0]) for file in files) / 1e9
        return 0.0

    return read


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def _redis() -> int:
    with closing(connect(settings.RXCRDT["STORE"])) as client:
        return int(client.info("server")["process_id"])
