"""A process that writes among others: ``python -m tests.concurrency.writer <seed> <transactions> <isolation level>``.

Besides random rows it counts: the books of the library "counters" bear a number that only ever grows. What went well,
what others made impossible, and whatever rxcrdt logged, comes as one line of JSON at the end.
"""

from __future__ import annotations

import json
import logging
import random
import sys
from collections import Counter
from typing import Any

import django

__all__ = ["COUNTERS", "main"]

COUNTERS = "counters"
ROWS = 120


class Complaints(logging.Handler):
    """Whatever is logged that somebody should look at."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.said.append(f"{record.name}: {record.getMessage()} {error or ''}")


def main(seed: int, transactions: int, level: str) -> None:
    from django.core.exceptions import ObjectDoesNotExist
    from django.db import Error, connection

    from rxcrdt import conf
    from rxcrdt.backlog import backlog
    from tests.concurrency.delays import Delayed

    _isolate(level)
    complaints = Complaints()
    logging.getLogger("rxcrdt").addHandler(complaints)
    choice = random.Random(seed)
    conf.use_store(Delayed(conf.store(), choice))  # type: ignore[arg-type]
    step, done = _steps(choice), Counter[str]()
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(transactions):
        try:
            done[step()] += 1
        except (ObjectDoesNotExist, Error) as error:  # another process was faster: the row is gone, or taken
            done[type(error).__name__] += 1
    while not backlog.is_empty():
        backlog.retry()
    connection.close()
    print(json.dumps({"done": done, "complaints": complaints.said}), flush=True)


def _isolate(level: str) -> None:
    """For single statements, too, which Django's ``isolation_level`` leaves at the server's default."""
    from django.db import connection

    if connection.vendor == "postgresql":
        name = level.lower().replace("_", " ")
        escaped = name.replace(" ", r"\ ")
        connection.settings_dict["OPTIONS"] = {"options": f"-c default_transaction_isolation={escaped}"}
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == (name,)


def _steps(choice: random.Random) -> Any:
    from django.db import models, transaction

    from rxcrdt import documents
    from tests.kills.crowding import CrowdedWriter
    from tests.testapp.models import Book, Library, Shelf

    kept = {
        Library: list(Library.objects.filter(name=COUNTERS).values_list("pk", flat=True)),
        Shelf: list(Shelf.objects.filter(library__name=COUNTERS).values_list("pk", flat=True)),
        Book: list(Book.objects.filter(shelf__library__name=COUNTERS).values_list("pk", flat=True)),
    }

    class Elsewhere(CrowdedWriter):
        """Leaves the counters alone: what it saves may be what it read before others saved."""

        def _row(self, model: type[models.Model]) -> Any:
            rows = model._base_manager.exclude(pk__in=kept.get(model, []))
            pks = list(rows.order_by("pk").values_list("pk", flat=True))
            return model._base_manager.get(pk=self.random.choice(pks)) if pks else None

    writer = Elsewhere(choice, rows=ROWS)

    def count() -> None:
        with transaction.atomic():
            for pk in sorted(choice.sample(kept[Book], choice.randint(1, 3))):
                book = Book.objects.select_for_update().get(pk=pk)
                book.title = str(int(book.title) + 1)
                book.save(update_fields=["title"])

    def compare() -> None:
        """As a room does every minute, and whoever opens a document."""
        pk = choice.choice(list(Library.objects.values_list("pk", flat=True)))
        documents.get(f"library/{pk}").reconcile()

    def step() -> str:
        what = choice.choices([count, writer.transaction, compare], [0.45, 0.5, 0.05])[0]
        what()
        return what.__name__

    return step


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
