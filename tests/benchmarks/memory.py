"""What Redis keeps in memory: bytes an entry, a document, an indexed row; beside streams of the same entries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from tests.benchmarks import boards
from tests.benchmarks.bare import connect, used_memory
from tests.benchmarks.logs import UPDATE, begin
from tests.benchmarks.report import Table
from tests.benchmarks.sections import Run, Section
from tests.servers import running_redis
from ydoc_store import open_store

__all__ = ["SECTION"]

EMPTY = b"\x00\x00"  # a Yjs update that holds nothing
PART = 100  # what is sent at a time, so that the server's buffers stay small

Fill = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`count` of something, which `fill` adds to what is there `before`; `stream` adds the same as streams."""

    what: str
    count: int
    before: Fill
    fill: Fill
    stream: Fill | None = None


def measure(run: Run) -> Iterator[Table]:
    with running_redis(options=["--hz", "100"]) as url:
        rows = [_row(run, url, case) for case in _cases(run)]
    columns = ["what", "how many", "bytes each", "as streams, bytes each", "/ streams"]
    notes = [
        "Redis' own used_memory before and after: with keys and the allocator's rounding, without buffers.",
        f"Entries have {len(UPDATE)} bytes, documents an empty snapshot of {len(EMPTY)} (as streams: an entry).",
        "A row is in its document's set of rows, and in the index from rows to documents.",
    ]
    yield Table(title="Memory of Redis", columns=columns, rows=rows, notes=notes)


def _cases(run: Run) -> Iterator[Case]:
    entries, documents, rows = run.choose((50_000, 5_000, 100_000), (500, 50, 500))
    for many in (1, entries // PART):
        yield Case(
            what="entry, all in one document" if many == 1 else f"entry, {PART} in a document",
            count=entries,
            before=partial(_begin, many),
            fill=partial(_append, many, entries // many),
            stream=partial(_xadd, many, entries // many, UPDATE),
        )
    yield Case(
        what="document without entries",
        count=documents,
        before=partial(_begin, 1),
        fill=partial(_begin, documents),
        stream=partial(_xadd, documents, 1, EMPTY),
    )
    for many, count in ((1, rows // 10), (1, rows), (rows // PART, rows)):
        yield Case(
            what="row, all in one document" if many == 1 else f"row, {PART} in a document",
            count=count,
            before=partial(_index, 1, 1),
            fill=partial(_index, many, count // many),
        )


def _row(run: Run, url: str, case: Case) -> tuple[str, int, float, float | None, float | None]:
    run.say(f"memory: {case.what}, {case.count:,}")
    each = _grown(url, case.before, case.fill) / case.count
    if case.stream is None:
        return case.what, case.count, each, None, None
    streams = _grown(url, lambda _: None, case.stream) / case.count
    return case.what, case.count, each, streams, each / streams


def _grown(url: str, before: Fill, fill: Fill) -> int:
    """The memory that `fill` took, beyond what `before` did."""
    with closing(connect(url)) as client:
        client.flushall()
    before(url)
    start = _settled(url)
    fill(url)
    return _settled(url) - start


def _settled(url: str) -> int:
    """The same twice in a row: the connections that were closed are gone by then."""
    with closing(connect(url)) as client:
        last = -1
        while (now := used_memory(client)) != last:
            last = now
            time.sleep(0.03)  # longer than between two runs of Redis' own housekeeping, at this --hz
    return last


def _name(number: int) -> str:
    return f"board/{100_000 + number}@3f9a1c02de"


def _begin(documents: int, url: str) -> None:
    with open_store(url) as store:
        for number in range(documents):
            if store.head(_name(number)) is None:
                begin(store, _name(number), snapshot=EMPTY)


def _append(documents: int, entries: int, url: str) -> None:
    with open_store(url) as store:
        for number in range(documents):
            head = store.head(_name(number))
            for _ in range(entries):
                assert head is not None
                head = store.append(_name(number), UPDATE, expect=head)


def _xadd(documents: int, entries: int, update: bytes, url: str) -> None:
    with closing(connect(url)) as client:
        for number in range(documents):
            for _ in range(max(1, entries // PART)):
                pipeline = client.pipeline(transaction=False)
                for _ in range(min(entries, PART)):
                    pipeline.xadd(f"stream:{_name(number)}", {b"u": update})
                pipeline.execute()


def _index(documents: int, rows: int, url: str) -> None:
    keys = boards.row_keys(documents * rows)
    with open_store(url) as store:
        for number in range(documents):
            mine = keys[number * rows : (number + 1) * rows]
            for at in range(0, rows, PART):
                store.add_rows(_name(number), mine[at : at + PART])


SECTION = Section(name="memory", title="memory of Redis by entry, document and indexed row", measure=measure)
