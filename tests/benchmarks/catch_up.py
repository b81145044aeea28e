"""Reading what was missed: 1 entry and 1,000, from the store alone, and into a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from pycrdt import Doc

from tests.benchmarks import boards
from tests.benchmarks.bare import Client, connect, cpu_of
from tests.benchmarks.logs import put
from tests.benchmarks.report import Table
from tests.benchmarks.sections import Run, Section
from tests.benchmarks.timing import Block, alternate, of_rounds, ratio, time_calls
from ydoc_store import DocStore, Log, Position, open_store

__all__ = ["SECTION"]

TASKS = 1000
ENTRIES = 1000
NAME = "catch-up"

#: The updates that came after so many entries.
Read = Callable[[int], Sequence[bytes]]


def measure(run: Run) -> Iterator[Table]:
    log = boards.history(TASKS, run.choose(ENTRIES, 50))
    with ExitStack() as stack:
        client = stack.enter_context(closing(connect(run.redis)))
        reads: dict[str, Read] = {"XRANGE": _streaming(client, log)}
        for name, url in (("memory", "memory://"), ("SQLite", run.sqlite(NAME)), ("Redis", run.redis)):
            reads[name] = _reading(stack.enter_context(open_store(url)), log)
        for missed, calls in ((1, run.choose(200, 10)), (len(log.entries), run.choose(20, 2))):
            run.say(f"catch-up: {missed} of {len(log.entries)} entries")
            yield _measure_one(run, client, reads, log, missed, calls)


def _reading(store: DocStore, log: Log) -> Read:
    put(store, NAME, log)

    def read(after: int) -> Sequence[bytes]:
        return [entry.update for entry in store.since(NAME, Position(log.epoch, after))]

    return read


def _streaming(client: Client, log: Log) -> Read:
    ids = [client.xadd("catch-up:stream", {b"u": entry.update}).decode() for entry in log.entries]

    def read(after: int) -> Sequence[bytes]:
        first = f"({ids[after - 1]}" if after else "-"
        return [fields[b"u"] for _id, fields in client.xrange("catch-up:stream", first, "+")]

    return read


def _measure_one(run: Run, client: Client, reads: dict[str, Read], log: Log, missed: int, calls: int) -> Table:
    after = log.head.sequence - missed
    server_cpu, rounds = cpu_of(client), run.choose(7, 1)
    before = _apply(lambda _: [log.snapshot, *(entry.update for entry in log.entries[:after])], 0, Doc()).get_update()

    def alone(read: Read) -> Block:
        return time_calls(read, [after] * calls, server_cpu=server_cpu)

    def into_documents(read: Read) -> Block:
        docs = [_apply(lambda _: [before], 0, Doc()) for _ in range(min(calls, 20))]
        return time_calls(partial(_apply, read, after), docs, server_cpu=server_cpu)

    found = alternate({name: partial(alone, read) for name, read in reads.items()}, rounds=rounds)
    applied = alternate({name: partial(into_documents, read) for name, read in reads.items()}, rounds=rounds)
    return _table(found, applied, missed, calls)


def _apply(read: Read, after: int, doc: Doc[Any]) -> Doc[Any]:
    for update in read(after):
        doc.apply_update(update)
    return doc


def _table(found: dict[str, list[Block]], applied: dict[str, list[Block]], missed: int, calls: int) -> Table:
    rows = [
        (
            name,
            of_rounds(blocks, lambda block: block.at(50)) * 1e6,
            of_rounds(blocks, lambda block: block.cpu_each) * 1e6,
            of_rounds(blocks, lambda block: block.server_cpu_each) * 1e6 if name in ("Redis", "XRANGE") else None,
            ratio(blocks, found["XRANGE"], lambda block: block.at(50)),
            of_rounds(applied[name], lambda block: block.at(50)) * 1e6,
            of_rounds(applied[name], lambda block: block.cpu_each) * 1e6,
        )
        for name, blocks in found.items()
    ]
    columns = ["store", "p50 µs", "CPU µs", "server's CPU µs", "p50 / XRANGE", "applied, p50 µs", "applied, CPU µs"]
    notes = [
        f"Medians of {len(found['Redis'])} rounds of {calls} calls, in turns.",
        f"An entry changes one field of a board of {TASKS:,} tasks.",
        "'applied': and pycrdt applies them, one by one, to a document that lacks them.",
    ]
    title = "One entry missed" if missed == 1 else f"{missed:,} entries missed"
    return Table(title=title, columns=columns, rows=rows, notes=notes)


SECTION = Section(name="catch-up", title="since() of 1 and of 1,000 entries", measure=measure)
