"""Opening a document: `store.load` and a replica of it, beside pycrdt's `apply_update` of the same bytes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from pycrdt import Doc

from tests.benchmarks import boards
from tests.benchmarks.bare import connect, cpu_of
from tests.benchmarks.logs import put
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run, Section
from tests.benchmarks.timing import Block, alternate, of_rounds, ratio, time_calls
from ydoc_store import DocStore, Log, open_store

__all__ = ["SECTION"]

PYCRDT = "pycrdt: Doc().apply_update"
AIMED_AT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A log with a snapshot of so many tasks, and entries after it; how often it is opened in a round."""

    tasks: int
    entries: int = 0
    calls: int
    rounds: int = 7


SIZES = (
    Size(tasks=100, calls=50),
    Size(tasks=10_000, calls=3),
    Size(tasks=10_000, entries=500, calls=3),
    Size(tasks=100_000, calls=1, rounds=3),
)
QUICK = (Size(tasks=100, calls=5, rounds=1), Size(tasks=100, entries=20, calls=5, rounds=1))


def measure(run: Run) -> Iterator[Table]:
    with ExitStack() as stack:
        stores = {
            kind: stack.enter_context(open_store(url))
            for kind, url in (("memory", "memory://"), ("SQLite", run.sqlite("loading")), ("Redis", run.redis))
        }
        client = stack.enter_context(closing(connect(run.redis)))
        for size in run.choose(SIZES, QUICK):
            run.say(f"load: {size.tasks:,} rows, {size.entries} entries")
            yield _measure_one(stores, size, cpu_of(client))


def _measure_one(stores: dict[str, DocStore], size: Size, server_cpu: Callable[[], float]) -> Table:
    log = boards.history(size.tasks, size.entries)
    name = f"loading/{size.tasks}/{size.entries}"
    for store in stores.values():
        put(store, name, log)
    call: dict[str, Callable[[object], object]] = {PYCRDT: partial(_apply, log)}
    call |= {f"{kind}: load": partial(_load, store, name) for kind, store in stores.items()}
    call |= {f"{kind}: load, replica": partial(_open, store, name) for kind, store in stores.items()}
    contestants = {what: partial(_measure_calls, work, size.calls, server_cpu) for what, work in call.items()}
    return _table(alternate(contestants, rounds=size.rounds), log, size.tasks, size.calls)


def _measure_calls(work: Callable[[object], object], calls: int, server_cpu: Callable[[], float]) -> Block:
    gc.collect()
    return time_calls(work, [None] * calls, server_cpu=server_cpu)


def _apply(log: Log, _: object) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.apply_update(log.snapshot)
    for entry in log.entries:
        doc.apply_update(entry.update)
    return doc


def _load(store: DocStore, name: str, _: object) -> object:
    return store.load(name)


def _open(store: DocStore, name: str, _: object) -> object:
    return boards.load(store.load(name))


def _table(found: dict[str, list[Block]], log: Log, tasks: int, calls: int) -> Table:
    bare = found[PYCRDT]
    rows = [
        (
            what,
            of_rounds(blocks, lambda block: block.at(50)) * 1e3,
            of_rounds(blocks, lambda block: block.at(100)) * 1e3,
            of_rounds(blocks, lambda block: block.cpu_each) * 1e3,
            of_rounds(blocks, lambda block: block.server_cpu_each) * 1e3 if what.startswith("Redis") else None,
            ratio(blocks, bare, lambda block: block.at(50)),
            ratio(blocks, bare, lambda block: block.cpu_each),
        )
        for what, blocks in found.items()
    ]
    entries = f" and {len(log.entries)} entries" if log.entries else ""
    columns = ["what", "p50 ms", "slowest ms", "CPU ms", "server's CPU ms", "p50 / pycrdt", "CPU / pycrdt"]
    note = f"Medians of {len(bare)} rounds of {calls} calls, in turns. {len(log.snapshot) / tasks:,.0f} bytes a row."
    size = len(log.snapshot) + sum(len(entry.update) for entry in log.entries)
    title = f"{tasks:,} rows{entries}, {size:,} bytes"
    return Table(title=title, columns=columns, rows=rows, aims=list(_aims(found, log, tasks)), notes=[note])


def _aims(found: dict[str, list[Block]], log: Log, tasks: int) -> Iterator[Aim]:
    if tasks != AIMED_AT or log.entries:
        return
    for kind in ("SQLite", "Redis"):
        times: Sequence[Block] = found[f"{kind}: load, replica"]
        value = ratio(times, found[PYCRDT], lambda block: block.at(50))
        yield Aim(text=f"load of {tasks:,} rows from {kind}, in pycrdt's own", value=value, limit=1.3)


SECTION = Section(name="load", title="opening a document of 100, 10,000 and 100,000 rows", measure=measure)
