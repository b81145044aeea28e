"""Random writes on the library's schema: every relation kind, in and out of documents, by every way that signals."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import models, transaction

from tests.testapp.models import Book, Chapter, Charter, Firm, Genre, Library, Person, Review, Shelf

__all__ = ["Writer"]

CREATED = (Library, Shelf, Book, Chapter, Person, Firm, Genre, Review, Charter)


class _RollBackError(Exception):
    pass


class Writer:
    """Writes at random, by a seed or by whoever makes the choices. ``log`` says what was done."""

    def __init__(self, seed: int | random.Random):
        self.random = random.Random(seed) if isinstance(seed, int) else seed
        self.log: list[str] = []
        self._steps: list[Callable[[], None]] = [
            *[self._create] * 4, *[self._save] * 4, self._move, self._move, self._move, self._delete,
            self._delete_many, self._join, self._join, self._rejoin, self._reorder,
        ]  # fmt: skip

    def populate(self) -> None:
        for model in CREATED * 3:
            self._new(model)

    def transaction(self) -> None:
        """One transaction, or a few writes in autocommit; some are rolled back, whole or in part."""
        kind = self.random.choice(["single", "single", "several", "savepoint", "rolled back"])
        self.log.append(f"-- {kind}")
        if kind == "single":
            self.step()
            return
        try:
            with transaction.atomic():
                self._some()
                if kind == "savepoint":
                    self._savepoints()
                elif kind == "rolled back":
                    raise _RollBackError
        except _RollBackError:
            self.log.append("-- (undone)")

    def _savepoints(self) -> None:
        for undo in (True, False, True):
            try:
                with transaction.atomic():
                    self._some()
                    if undo:
                        raise _RollBackError
            except _RollBackError:
                self.log.append("-- (savepoint undone)")
            if self.random.random() < 0.5:
                self._some()

    def _some(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            self.step()

    def step(self) -> None:
        self.random.choice(self._steps)()

    # Rows and values

    def _row(self, model: type[models.Model]) -> Any:
        pks = list(model._base_manager.order_by("pk").values_list("pk", flat=True))
        return model._base_manager.get(pk=self.random.choice(pks)) if pks else None

    def _maybe(self, model: type[models.Model]) -> Any:
        return self._row(model) if self.random.random() < 0.8 else None

    def _word(self) -> str:
        letters = self.random.choices('abcdefghéß\u2028🎈"\\ ', k=self.random.randint(1, 6))
        return "".join(letters).strip() or "x"

    def _number(self) -> int:
        return self.random.randint(-2, 3)

    def _json(self, depth: int = 2) -> Any:
        kinds = [None, True, False, 0, 1, 1.5, -3, 2**53, 10**18, 1e300, "", self._word()]
        if depth and self.random.random() < 0.5:
            inner = [self._json(depth - 1) for _ in range(self.random.randint(0, 3))]
            return inner if self.random.random() < 0.5 else {self._word(): value for value in inner}
        return self.random.choice(kinds)

    # Creating and saving

    def _create(self) -> None:
        self._new(self.random.choice(CREATED[1:]))

    def _new(self, model: type[models.Model]) -> None:
        values = self._values(model)
        if values is not None:
            row = model._base_manager.create(**values)
            self.log.append(f"create {row._meta.model_name} {row.pk} {values}")

    def _values(self, model: type[models.Model]) -> dict[str, Any] | None:
        values = {**self._columns(model), **self._keys(model)}
        missing = any(value is None and not model._meta.get_field(name).null for name, value in values.items())
        taken = model is Charter and Charter.objects.filter(library=values["library"]).exists()
        return None if missing or taken else values

    def _columns(self, model: type[models.Model]) -> dict[str, Any]:
        makers: dict[type[models.Model], Callable[[], dict[str, Any]]] = {
            Library: lambda: {
                "name": self._word(),
                "opened": self.random.choice([None, date(2026, 2, 3)]),
                "fee": Decimal(self._number()) / 4,
                "rating": self.random.choice([0.0, 1.0, 2.5, 1e16]),
                "hours": self.random.choice([None, timedelta(hours=3, microseconds=5)]),
                "extra": self.random.choice([{"tags": ["a", self._word()]}, {"deep": self._json()}]),
                "open": self.random.choice([True, False]),
            },
            Shelf: lambda: {"label": self._word(), "position": self._number()},
            Book: lambda: {
                "title": self._word(),
                "kind": self.random.choice(Book.Kind.values),
                "pages": self._number(),
                "printed_at": self.random.choice([None, datetime(2026, 1, 2, 3, tzinfo=UTC)]),
                "position": self._number(),
            },
            Chapter: lambda: {"heading": self._word(), "number": self._number()},
            Person: lambda: {"name": self._word()},
            Firm: lambda: {"name": self._word()},
            Genre: lambda: {"name": self._word()},
            Review: lambda: {"stars": self._number()},
            Charter: lambda: {"text": self._word()},
        }
        return makers[model]()

    def _keys(self, model: type[models.Model]) -> dict[str, Any]:
        keys = [field for field in model._meta.get_fields() if isinstance(field, models.ForeignKey)]
        return {key.name: (self._maybe if key.null else self._row)(key.related_model) for key in keys}

    def _save(self) -> None:
        model = self.random.choice(CREATED)
        row = self._row(model)
        if row is None:
            return
        columns = self._columns(model)
        name = self.random.choice(sorted(columns))
        setattr(row, name, columns[name])
        row.save(update_fields=[name] if self.random.random() < 0.3 else None)
        self.log.append(f"save {row._meta.model_name} {row.pk} {name}={columns[name]!r}")

    def _move(self) -> None:
        """A foreign key is pointed elsewhere: into the document, out of it, to another list."""
        model = self.random.choice([Shelf, Book, Book, Chapter, Person, Library])
        row = self._row(model)
        if row is None:
            return
        keys = self._keys(model)
        name = self.random.choice(sorted(keys))
        if keys[name] is None and not model._meta.get_field(name).null:
            return
        setattr(row, name, keys[name])
        row.save()
        self.log.append(f"move {row._meta.model_name} {row.pk} {name}={getattr(keys[name], 'pk', None)}")

    def _reorder(self) -> None:
        books = list(Book.objects.order_by("pk"))
        for row in self.random.sample(books, min(3, len(books))):
            row.position = self._number()
            row.save(update_fields=["position"])
            self.log.append(f"reorder book {row.pk} {row.position}")

    # Deleting

    def _delete(self) -> None:
        row = self._row(self.random.choice(CREATED[1:]))
        if row is not None:
            self.log.append(f"delete {row._meta.model_name} {row.pk}")
            row.delete()

    def _delete_many(self) -> None:
        model = self.random.choice([Chapter, Genre, Person, Review])
        row = self._row(model)
        if row is not None:
            self.log.append(f"delete {model._meta.model_name} up to {row.pk}")
            model._base_manager.filter(pk__lte=row.pk, pk__gte=row.pk - 1).delete()

    # Many to many

    def _join(self) -> None:
        book, genre, library, person = self._row(Book), self._row(Genre), self._row(Library), self._row(Person)
        sides: list[tuple[Any, Any]] = []
        if book and genre:
            sides += [(book.genres, genre), (genre.books, book)]
        if library and person:
            sides += [(library.patrons, person), (person.patron_of, library)]
        if not sides:
            return
        manager, other = self.random.choice(sides)
        how = self.random.choice(["add", "add", "add", "remove", "clear", "set"])
        self.log.append(f"{how} {manager.instance!r}[{manager.instance.pk}] {type(other).__name__} {other.pk}")
        if how == "clear":
            manager.clear()
        elif how == "set":
            manager.set([other])
        else:
            getattr(manager, how)(other)

    def _rejoin(self) -> None:
        """A row of an explicit through model leaves one pair for another."""
        review, book, person = self._row(Review), self._row(Book), self._row(Person)
        if review and book and person:
            review.book, review.person = book, person
            review.save()
            self.log.append(f"rejoin review {review.pk}: book {book.pk}, person {person.pk}")
