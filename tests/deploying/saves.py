"""Random saves of a library's rows, each of them noted, so that somebody else can ask whether a client has seen it.

A row's version is a number of its own that every save of it makes one larger, under the row's lock: whoever shows a
larger one has seen the save, too.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db import models, transaction

from tests.testapp.models import Book, Genre, Library, Person, Shelf

__all__ = ["VERSIONED", "Save", "Saver", "populate"]

#: By layer of the document: the field that holds the version.
VERSIONED: Final = {"Library": "rating", "Shelf": "position", "Book": "pages"}
BOOKS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """``at`` is when it was committed, in Unix seconds; ``shown`` whether the document shows the row since then;
    ``deleted`` that it never will again."""

    at: float
    layer: str
    key: str
    version: int
    shown: bool
    deleted: bool


def populate(seed: int) -> Library:
    library = Library.objects.create(name="the library")
    for number in range(3):
        Shelf.objects.create(library=library, label=f"shelf {number}")
        Person.objects.create(name=f"person {number}")
        Genre.objects.create(name=f"genre {number}")
    saver = Saver(seed)
    while Book.objects.count() < BOOKS:
        saver.create()
    return library


class Saver:
    """Saves at random, by a seed. Two processes may do so at once."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._steps: list[Callable[[], Save | None]] = [
            *[self._save_book] * 6, self._move, self._move, self.create, self._delete, self._save_shelf,
            self._save_library,
        ]  # fmt: skip

    def transaction(self) -> Save | None:
        """One save; None if there was nothing to do, as when another process has deleted the row."""
        return self.random.choice(self._steps)()

    def create(self) -> Save | None:
        def create() -> _Done:
            book = Book.objects.create(
                shelf=self._any(Shelf), title=self._word(), pages=1, position=self.random.randrange(9)
            )
            self._decorate(book)
            return _done(book, shown=True)

        return self._delete() if Book.objects.count() > 2 * BOOKS else _committed(create)

    def _save_book(self) -> Save | None:
        def change(book: Book) -> None:
            book.title = self._word()
            if self.random.random() < 0.3:
                book.position = self.random.randrange(9)
            if self.random.random() < 0.3:
                self._decorate(book)

        return self._change(Book, change)

    def _move(self) -> Save | None:
        """To another shelf, or out of the document for a while."""

        def change(book: Book) -> None:
            book.shelf = None if self.random.random() < 0.3 else self._any(Shelf)

        return self._change(Book, change)

    def _save_shelf(self) -> Save | None:
        return self._change(Shelf, lambda shelf: setattr(shelf, "label", self._word()))

    def _save_library(self) -> Save | None:
        return self._change(Library, lambda library: setattr(library, "name", self._word()))

    def _change(self, model: type[Any], change: Callable[[Any], None]) -> Save | None:
        def save() -> _Done | None:
            row = self._locked(model)
            if row is None:
                return None
            field = VERSIONED[model.__name__]
            setattr(row, field, getattr(row, field) + 1)
            change(row)
            row.save()
            return _done(row, shown=getattr(row, "shelf_id", True) is not None)

        return _committed(save)

    def _delete(self) -> Save | None:
        def delete() -> _Done | None:
            book = self._locked(Book)
            if book is None:
                return None
            book.pages += 1
            done = _done(book, shown=False, deleted=True)
            book.delete()
            return done

        return self.create() if Book.objects.count() < BOOKS // 2 else _committed(delete)

    def _decorate(self, book: Book) -> None:
        """What hangs on it, in the same transaction."""
        book.author = self._any(Person)
        book.genres.set(Genre.objects.filter(pk__in=self.random.sample(self._pks(Genre), 2)))
        if self.random.random() < 0.5:
            book.chapters.create(heading=self._word(), number=self.random.randrange(9))
        else:
            book.chapters.all().delete()

    def _locked(self, model: type[Any]) -> Any:
        """A row that nobody else may save until the transaction ends."""
        pks = self._pks(model)
        return model.objects.select_for_update().filter(pk=self.random.choice(pks)).first() if pks else None

    def _any(self, model: type[Any]) -> Any:
        return model.objects.get(pk=self.random.choice(self._pks(model)))

    @staticmethod
    def _pks(model: type[Any]) -> list[Any]:
        return list(model.objects.order_by("pk").values_list("pk", flat=True))

    def _word(self) -> str:
        return "".join(self.random.choices("abcdefghé🎈 ", k=self.random.randint(1, 8))).strip() or "x"


class _Done(NamedTuple):
    """A ``Save`` that is not committed yet."""

    layer: str
    key: str
    version: int
    shown: bool
    deleted: bool


def _done(row: models.Model, *, shown: bool, deleted: bool = False) -> _Done:
    layer = type(row).__name__
    return _Done(layer, str(row.pk), int(getattr(row, VERSIONED[layer])), shown, deleted)


def _committed(work: Callable[[], _Done | None]) -> Save | None:
    """What ``work`` did, in one transaction. The clock is asked first of all that happens at its commit."""
    at: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: at.append(time.time()))
        done = work()
    return Save(at=at[0], **done._asdict()) if done else None
