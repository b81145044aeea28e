"""A process that saves the same rows again and again: ``python -m tests.integration.hammer <seed> <rounds>``."""

from __future__ import annotations

import random
import sys

import django

django.setup()

from django.db import connection, transaction  # noqa: E402

from rxcrdt import tombstones  # noqa: E402
from rxcrdt.backlog import backlog  # noqa: E402
from tests.testapp.models import Book, Shelf  # noqa: E402


def main(seed: int, rounds: int) -> None:
    """Each round saves every book once: alone, or some in one transaction; titles, places and shelves."""
    tombstones.FEW = 10**9  # one lineage: whoever sees another one has lost the log
    choice = random.Random(seed)
    books = list(Book.objects.order_by("pk").values_list("pk", flat=True))
    shelves = list(Shelf.objects.order_by("pk").values_list("pk", flat=True))
    for number in range(rounds):
        choice.shuffle(books)
        for pk in books:
            with transaction.atomic():
                book = Book.objects.select_for_update().get(pk=pk)
                book.title = f"{seed}.{number}"
                if choice.random() < 0.2:
                    book.position = choice.randrange(10)
                if choice.random() < 0.05:
                    book.shelf_id = choice.choice(shelves)
                book.save()
    if not backlog.is_empty():
        backlog.retry()
    connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
