"""Clients of this process that come and go while their documents live through lineages."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from pycrdt import Doc

from rxcrdt import conf, documents, layout
from tests.kills.crowding import CrowdedWriter
from tests.kills.fleet import NODE_TESTS
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import Position, open_store

__all__ = ["History", "Return", "Wanderer", "in_yjs"]

ROWS = 150


class Wanderer:
    """A client. It has what it was told while it was there, and nothing of what happened otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.doc: Doc[Any] = layout.new_doc(1)
        self.lineages: set[int] = set()

    def come(self) -> None:
        self._document = documents.open(self.name)
        self._document.subscribe(self)
        self._document.answer(self.doc.get_state(), self._take)
        position = self._document.position
        assert position is not None
        self.lineages.add(position.epoch)

    def leave(self) -> None:
        self._document.unsubscribe(self)
        documents.close(self._document)

    def deliver(self, position: Position, update: bytes) -> None:
        self._take(update)
        self.lineages.add(position.epoch)

    def gone(self) -> None:
        raise AssertionError("no library is deleted here")

    def _take(self, update: bytes) -> None:
        self.doc.apply_update(update)


class History:
    """Documents whose rows are written, seen and unseen, whose logs are lost, and who meets whom is up to a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.writer = CrowdedWriter(self.random, rows=ROWS)
        self.writer.populate()
        self.names = [f"library/{pk}" for pk in Library.objects.values_list("pk", flat=True)]
        self.here: list[Wanderer] = []
        self.away: list[Wanderer] = []
        self._losses: list[Callable[[], None]] = [
            self._lose_the_logs,
            self._lose_the_logs_under_everybody,
            self._lose_the_store_under_everybody,
            self._rebuild,
        ]

    def live(self, *, clients: int, lineages: int, transactions: int) -> None:
        """So many ``clients`` come and go, over so many ``lineages`` of each document of so many
        ``transactions`` each."""
        steps = lineages * transactions
        for step in range(steps):
            for _ in range(clients * (step + 1) // steps - clients * step // steps):
                self._come(Wanderer(self.random.choice(self.names)))
            self.writer.transaction()
            for wanderer in self.random.sample(self.here, len(self.here) // 4):
                self._leave(wanderer)
            for wanderer in self.random.sample(self.away, len(self.away) // 200):
                self.away.remove(wanderer)
                self._come(wanderer)
            if step % transactions == transactions - 1 and step != steps - 1:
                self.random.choice(self._losses)()
        self._all_leave()
        for _ in range(transactions):
            self.writer.transaction()

    def _come(self, wanderer: Wanderer) -> None:
        wanderer.come()
        self.here.append(wanderer)

    def _leave(self, wanderer: Wanderer) -> None:
        wanderer.leave()
        self.here.remove(wanderer)
        self.away.append(wanderer)

    def _all_leave(self) -> None:
        for wanderer in tuple(self.here):
            self._leave(wanderer)

    # How a lineage ends -------------------------------------------------------------------------------------

    def _lose_the_logs(self) -> None:
        """The processes are gone, and the logs; rows are written, and nobody is there to see it."""
        self._all_leave()
        documents.forget_all()
        self._delete_logs()
        for _ in range(self.random.randint(2, 6)):
            self.writer.transaction()

    def _lose_the_logs_under_everybody(self) -> None:
        """Those who are here stay; what is written before anybody looks is seen by nobody."""
        self._delete_logs()
        self._write_untold()
        self._poll()

    def _lose_the_store_under_everybody(self) -> None:
        conf.use_store(open_store("memory://"))
        self._write_untold()
        self._poll()

    @staticmethod
    def _delete_logs() -> None:
        for log in list(conf.store().names()):
            conf.store().delete(log)

    def _poll(self) -> None:
        """As rooms do."""
        for name in {wanderer.name for wanderer in self.here}:
            documents.get(name).catch_up()

    def _rebuild(self) -> None:
        for name in self.names:
            documents.get(name).rebuild()

    def _write_untold(self) -> None:
        """By ways that send no signals."""
        Book.objects.filter(pk__in=self._some(Book)).update(title="renamed by nobody")
        Book.objects.filter(pk__in=self._some(Book)).update(shelf=self.random.choice(list(Shelf.objects.all())))
        Shelf.objects.bulk_create([Shelf(library=library, label="new") for library in Library.objects.all()[:2]])

    def _some(self, model: type[Book]) -> list[int]:
        pks = list(model.objects.order_by("pk").values_list("pk", flat=True))
        return self.random.sample(pks, len(pks) // 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One client that comes back: what it ``had``, and what it is told."""

    document: str
    had: bytes
    vector: bytes
    answer: bytes


def in_yjs(fresh: dict[str, bytes], returns: Iterable[Return]) -> Any:
    """The same in yjs itself, see ``tests/node/returns.js``; ``fresh`` are whole documents."""
    if not (NODE_TESTS / "node_modules" / "yjs").exists():
        pytest.fail(f"yjs is not installed: run `npm ci` in {NODE_TESTS}, as `make test` does.")
    lines = [json.dumps({name: _base64(update) for name, update in fresh.items()})]
    for one in returns:
        parts = {"had": one.had, "vector": one.vector, "answer": one.answer}
        lines.append(json.dumps({"document": one.document, **{name: _base64(part) for name, part in parts.items()}}))
    done = subprocess.run(
        ["node", NODE_TESTS / "returns.js"], input="\n".join(lines).encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
