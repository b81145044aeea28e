"""Documents as rxcrdt makes them: a board of so many tasks, in the layout of docs/layout.md, without a database."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import replace

import django
from django.apps import apps

from tests.servers import ROOT

if str(ROOT / "demo") not in sys.path:
    sys.path.append(str(ROOT / "demo"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
if not apps.ready:
    django.setup()

from boards.anchors import BoardAnchor
from rxcrdt import layout
from rxcrdt.layers import plan
from rxcrdt.projection import Forest, node_row_key
from rxcrdt.replica import Replica
from rxcrdt.tables import Tables
from rxcrdt.values import Json
from ydoc_store import Entry, Log, Position

__all__ = ["EPOCH", "board", "change", "history", "load", "row_keys"]

EPOCH = 2**42  # a truth id: above every client's own id
COLUMNS = 10
WORDS = "ask build call draw fetch give hold join keep lead mend note open plan read send test view wait yield".split()


def board(tasks: int) -> bytes:
    """The snapshot of a new lineage with so many tasks: what `Document` begins a log with."""
    root = ("Board", "1")
    tables = Tables(plan(BoardAnchor), {})
    tables.replace(_forest(tasks), root)
    doc = layout.new_doc(EPOCH)
    layout.write(doc, tables.patches(), layout.describe(plan(BoardAnchor), "board/1", root))
    return doc.get_update()


def _forest(tasks: int) -> Forest:
    text = random.Random(tasks)
    forest = Forest()
    people = [str(number) for number in range(1, 21)]
    columns = [str(number) for number in range(1, COLUMNS + 1)]
    forest.nodes["Board", "1"] = {"id": 1, "name": "A board", "purpose": ""}
    forest.lists.update({("Board.members", "1"): people, ("Board.labels", "1"): [], ("Board.columns", "1"): columns})
    for key in people:
        forest.nodes["Person", key] = {"id": int(key), "username": f"person{key}", "name": f"Person {key}"}
    keys = [str(number) for number in range(1, tasks + 1)]
    for number, column in enumerate(columns):
        forest.nodes["Column", column] = {"id": int(column), "name": f"Column {column}"}
        forest.lists["Column.tasks", column] = keys[number::COLUMNS]
    for key in keys:
        forest.nodes["Task", key] = _task(key, text)
        forest.lists.update({(f"Task.{name}", key): [] for name in ("labels", "checklist", "comments")})
    return forest


def _task(key: str, text: random.Random) -> dict[str, Json]:
    return {
        "id": int(key),
        "title": " ".join(text.choices(WORDS, k=5)),
        "description": " ".join(text.choices(WORDS, k=8)),
        "due_date": f"2026-{text.randint(1, 12):02}-{text.randint(1, 28):02}",
        "estimate": f"{text.randint(1, 80) / 2:.1f}",
        "assignee": str(text.randint(1, 20)),
    }


def row_keys(tasks: int) -> list[str]:
    """The keys in the store's index of the first so many tasks."""
    return [node_row_key(plan(BoardAnchor), ("Task", str(number))) for number in range(1, tasks + 1)]


def load(log: Log | None) -> Replica:
    """As a process opens a document."""
    if log is None:
        raise AssertionError("there is no log to load")
    return Replica(plan(BoardAnchor), log)


def change(replica: Replica, task: int, title: str) -> bytes:
    """The update of one changed field, as a flush makes it. `replica.appended` has to follow."""
    key = str(task)
    tables = replica.tables
    tables.put("Task", key, {**(tables.get("Task", key) or {}), "title": title})
    update = replica.write(tables.patches(), {})
    if update is None:
        raise AssertionError("the title was the same before")
    return update


def history(tasks: int, entries: int) -> Log:
    """A board's log: its snapshot, and entries that change one field each."""
    log = Log(epoch=EPOCH, snapshot=board(tasks), at=0)
    replica = load(log)
    made = []
    for number in range(1, entries + 1):
        update = change(replica, number % tasks + 1, f"changed, {number}")
        made.append(Entry(position=Position(EPOCH, number), update=update))
        replica.appended(made[-1].position, update)
    return replace(log, entries=tuple(made))
