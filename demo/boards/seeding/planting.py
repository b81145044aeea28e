"""Content to rows: the same rows every time, apart from dates, which count from `now`."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction

from boards.models import Board, ChecklistItem, Column, Comment, Label, Task
from boards.seeding.content import PEOPLE, BoardText, TaskText
from boards.seeding.mobile import MOBILE
from boards.seeding.office import OFFICE
from boards.seeding.relaunch import RELAUNCH
from boards.seeding.research import RESEARCH

__all__ = ["PASSWORD", "plant"]

BOARDS = (RELAUNCH, MOBILE, OFFICE, RESEARCH)
PASSWORD = "demo"  # noqa: S105 - it stands on the login page


def plant(now: datetime) -> int:
    """Adds the people and the boards in one transaction; gives the number of rows."""
    with transaction.atomic():
        people = _people()
        return len(people) + sum(_Planter(text, people, now).plant() for text in BOARDS)


def _people() -> dict[str, User]:
    password = make_password(PASSWORD)  # once: hashing it takes longer than all the rest
    return {
        person.username: User.objects.create(
            username=person.username,
            email=f"{person.username}@example.org",
            password=password,
            first_name=person.first_name,
            last_name=person.last_name,
            is_staff=person.staff,
            is_superuser=person.staff,
        )
        for person in PEOPLE
    }


class _Planter:
    """One board's rows, counted."""

    def __init__(self, text: BoardText, people: dict[str, User], now: datetime):
        self.text = text
        self.people = people
        self.now = now
        self.random = random.Random(text.name)  # only shifts comments by minutes
        self.rows = 0

    def plant(self) -> int:
        self.board = Board.objects.create(name=self.text.name, purpose=self.text.purpose)
        self.board.members.set([self.people[name] for name in self.text.members])
        self.labels = {
            name: Label.objects.create(board=self.board, name=name, color=color)
            for name, color in self.text.labels.items()
        }
        self.rows += 1 + len(self.labels)
        for name, tasks in self.text.columns.items():
            column = Column.objects.create(board=self.board, name=name)
            self.rows += 1 + len(tasks)
            for task in tasks:
                self._task(column, task)
        return self.rows

    def _task(self, column: Column, text: TaskText) -> None:
        task = Task.objects.create(
            column=column,
            title=text.title,
            description=text.description,
            due_date=None if text.due is None else (self.now + timedelta(days=text.due)).date(),
            estimate=None if text.hours is None else Decimal(text.hours),
            assignee=self.people[text.who] if text.who else None,
        )
        task.labels.set([self.labels[name] for name in text.labels])
        for item in text.checklist:
            ChecklistItem.objects.create(task=task, text=item.removeprefix("x "), done=item.startswith("x "))
        for author, hours, said in text.comments:
            when = self.now - timedelta(hours=hours, minutes=self.random.randrange(60))
            Comment.objects.create(task=task, author=self.people[author], text=said, created_at=when)
        self.rows += len(text.checklist) + len(text.comments)
