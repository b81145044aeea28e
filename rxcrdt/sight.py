"""Which models' rows are read in a block of code: by queries, and out of what was prefetched, which makes none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.models import Model, QuerySet

from rxcrdt.keys import base_model
from rxcrdt.paths import hop

__all__ = ["seeing"]

FROM = re.compile(r'\b(FROM|JOIN)\s+(?:["`\w$]+\.)?(?:"([^"]+)"|`([^`]+)`|([\w$]+))', re.IGNORECASE)
#: Rows of these do not change while somebody looks.
SILENT = ("contenttypes", "rxcrdt")


@contextmanager
def seeing(value: Any) -> Iterator[set[type[Model]]]:
    """The models that the block reads rows of, beside ``value`` itself: a row, or several, with what is cached on them.

    Complete when the block is left.
    """
    sight = _Sight(value)
    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(sight.query))
        stack.callback(sight.close)
        sight.open(value)
        yield sight.models


@cache
def _models() -> dict[str, type[Model]]:
    """By table, whose rows they are."""
    models = apps.get_models(include_auto_created=True)
    return {model._meta.db_table.rpartition(".")[2].strip('"`'): base_model(model) for model in models}


class _Sight:
    def __init__(self, value: Any) -> None:
        self.models: set[type[Model]] = set()
        rows = tuple(_rows(value))
        self._opened: dict[int, tuple[Model, dict[str, Any]]] = {}
        # A row whose columns are read one by one makes queries of its own table.
        self._deferring = {base_model(type(row)) for row in rows if row.get_deferred_fields()}
        self._own = {base_model(type(row)) for row in rows}

    def query(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        for word, *names in FROM.findall(sql):
            model = _models().get(next(filter(None, names)))
            again = model in self._own and (word.upper() == "JOIN" or model in self._deferring)
            if model is not None and not again:
                self._note(model)
        return execute(sql, params, many, context)

    def _note(self, model: type[Model]) -> None:
        if model._meta.app_label not in SILENT:
            self.models.add(base_model(model))

    # What is cached on rows

    def open(self, value: Any) -> None:
        for row in _rows(value):
            if id(row) not in self._opened:
                self._opened[id(row)] = row, dict(row.__dict__)
                self._watch(row)

    def _watch(self, row: Model) -> None:
        def note(name: str, value: Any) -> None:
            step = hop(type(row), name)
            if step is not None:
                self._note(step.model)
            elif isinstance(value, Model):
                self._note(type(value))
            self.open(value)

        row._state.fields_cache = _Cache(row._state.fields_cache, note)
        if "_prefetched_objects_cache" in row.__dict__:
            row.__dict__["_prefetched_objects_cache"] = _Cache(row.__dict__["_prefetched_objects_cache"], note)
        for name, value in row.__dict__.items():
            if type(value) is list and value and isinstance(value[0], Model):  # a Prefetch's to_attr
                row.__dict__[name] = _List(value, self)

    def close(self) -> None:
        """Rows are as they were, but for what has been cached since."""
        for row, before in self._opened.values():
            row._state.fields_cache = dict(row._state.fields_cache)
            if "_prefetched_objects_cache" in row.__dict__:
                row.__dict__["_prefetched_objects_cache"] = dict(row.__dict__["_prefetched_objects_cache"])
            for name, value in row.__dict__.items():
                if isinstance(value, _List):
                    row.__dict__[name] = before.get(name, value)
        self._opened.clear()

    def listed(self, rows: list[Model]) -> None:
        self._note(type(rows[0]))
        self.open(rows)


class _Cache(dict[str, Any]):
    """A row's cache of others that tells what is asked of it."""

    def __init__(self, content: dict[str, Any], note: Callable[[str, Any], None]) -> None:
        super().__init__(content)
        self._tell = note

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        self._tell(name, value)
        return value


class _List(list[Any]):
    def __init__(self, rows: list[Model], sight: _Sight) -> None:
        super().__init__(rows)
        self._rows, self._sight = rows, sight

    def __iter__(self) -> Iterator[Any]:
        self._sight.listed(self._rows)
        return super().__iter__()

    def __len__(self) -> int:
        self._sight.listed(self._rows)
        return super().__len__()

    def __getitem__(self, place: Any) -> Any:
        self._sight.listed(self._rows)
        return super().__getitem__(place)


def _rows(value: Any) -> Iterable[Model]:
    if isinstance(value, Model):
        return (value,)
    if isinstance(value, QuerySet):
        value = value._result_cache
    return [row for row in value if isinstance(row, Model)] if isinstance(value, list | tuple) else ()
