"""Appends a second by several processes at once: lease, catch up, append, as rxcrdt writes; beside `XADD`."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, product
from typing import Protocol

from tests.benchmarks.bare import connect, cpu_of
from tests.benchmarks.logs import UPDATE, begin
from tests.benchmarks.report import Table
from tests.benchmarks.sections import Run, Section
from tests.benchmarks.timing import alternate, of_rounds, percentile
from tests.benchmarks.workers import Measuring, in_threads, sleep_until
from ydoc_store import DocStore, Position, open_store

__all__ = ["SECTION"]

_number = count()


class Writer(Protocol):
    def prepare(self, names: Sequence[str]) -> None:
        """Connects, and learns where the logs stand."""

    def write(self, name: str) -> None:
        """One entry."""


class StoreWriter:
    def __init__(self, store: DocStore) -> None:
        self._store = store
        self._heads: dict[str, Position] = {}

    def prepare(self, names: Sequence[str]) -> None:
        self._heads = self._store.heads(names)

    def write(self, name: str) -> None:
        lease = self._store.lease(name, since=self._heads[name], seconds=10, wait=10)
        head = lease.missed[-1].position if lease.missed else self._heads[name]
        self._heads[name] = self._store.append(name, UPDATE, expect=head, lease=lease.token)


class XaddWriter:
    def __init__(self, url: str) -> None:
        self._client = connect(url)

    def prepare(self, names: Sequence[str]) -> None:
        self._client.ping()

    def write(self, name: str) -> None:
        self._client.xadd(name, {b"u": UPDATE})

    def close(self) -> None:
        self._client.close()


@contextmanager
def opened(url: str) -> Iterator[Writer]:
    with open_store(url) as store:
        yield StoreWriter(store)


@contextmanager
def sharing(store: DocStore) -> Iterator[Writer]:
    yield StoreWriter(store)


@contextmanager
def bare(url: str) -> Iterator[Writer]:
    with closing(XaddWriter(url)) as writer:
        yield writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    open: Callable[[], AbstractContextManager[Writer]]
    names: Sequence[str]
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """By one writer: the seconds of each write that ended in time, and its CPU seconds."""

    seconds: Sequence[float]
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """By all writers, in `seconds`."""

    writers: Sequence[Written]
    seconds: float
    server_cpu: float

    @property
    def count(self) -> int:
        return sum(len(writer.seconds) for writer in self.writers)

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def smallest_share(self) -> float:
        """1 is a fair share."""
        return min(len(writer.seconds) for writer in self.writers) * len(self.writers) / max(1, self.count)

    @property
    def cpu_each(self) -> float:
        return sum(writer.cpu for writer in self.writers) / max(1, self.count)

    @property
    def server_cpu_each(self) -> float:
        return self.server_cpu / max(1, self.count)

    def at(self, percent: float) -> float:
        return percentile([each for writer in self.writers for each in writer.seconds] or [self.seconds], percent)


def write_many(job: Job) -> Measuring[Written]:
    choice = random.Random(job.seed)
    done = array("d")
    with job.open() as writer:
        writer.prepare(job.names)
        start = yield
        sleep_until(start)
        end = start + job.seconds
        cpu_before = time.thread_time()
        before = time.monotonic()
        while before < end:
            writer.write(choice.choice(job.names))
            after = time.monotonic()
            if after <= end:
                done.append(after - before)
            before = after
        return Written(seconds=done, cpu=time.thread_time() - cpu_before)


# A cell of the table ----------------------------------------------------------------------------------------


def measure(run: Run) -> Iterator[Table]:
    seconds, rounds = run.choose(2.0, 0.05), run.choose(3, 1)
    with ExitStack() as stack:
        stores = {
            name: stack.enter_context(open_store(url))
            for name, url in (("memory", "memory://"), ("SQLite", run.sqlite("writers")), ("Redis", run.redis))
        }
        client = stack.enter_context(closing(connect(run.redis)))
        server_cpu = cpu_of(client)
        found = {}
        for documents, writers in product(run.choose((1, 100), (1, 5)), run.choose((1, 4, 16), (1, 2))):
            run.say(f"writers: {writers} on {_documents(documents)}")
            cell = partial(_together, run, documents, writers, seconds, server_cpu)
            contestants = {name: partial(cell, store) for name, store in stores.items()}
            found[documents, writers] = alternate({**contestants, "XADD": partial(cell, None)}, rounds=rounds)
    yield _table(found, seconds)


def _documents(documents: int) -> str:
    return "one document" if documents == 1 else f"{documents} documents"


def _together(
    run: Run, documents: int, writers: int, seconds: float, server_cpu: Callable[[], float], store: DocStore | None
) -> Together:
    """One measurement, on logs of its own."""
    prefix = f"writers/{next(_number)}"
    names = [f"{prefix}/{number}" for number in range(documents)]
    if store is not None:
        for name in names:
            begin(store, name)
    jobs = [Job(open=_opener(run, store), names=names, seconds=seconds, seed=seed) for seed in range(writers)]
    tasks = [partial(write_many, job) for job in jobs]
    before = server_cpu()
    written = run.workers.run(tasks) if store is None or store.shared else in_threads(tasks)
    together = Together(writers=written, seconds=seconds, server_cpu=server_cpu() - before)
    if store is not None:
        _check(store, names, together)
    return together


def _opener(run: Run, store: DocStore | None) -> Callable[[], AbstractContextManager[Writer]]:
    if store is None:
        return partial(bare, run.redis)
    return partial(opened, store.url) if store.shared else partial(sharing, store)


def _check(store: DocStore, names: Sequence[str], together: Together) -> None:
    """Every write is in a log. The last one of each writer may have ended too late to count."""
    logged = sum(head.sequence for head in store.heads(names).values())
    if not 0 <= logged - together.count <= len(together.writers):
        raise AssertionError(f"{together.count} writes were counted, and the logs have {logged} entries")


def _table(found: Mapping[tuple[int, int], Mapping[str, Sequence[Together]]], seconds: float) -> Table:
    rows = []
    for (documents, writers), cell in found.items():
        for name, results in cell.items():
            rows.append(
                (
                    _documents(documents),
                    writers,
                    name,
                    of_rounds(results, lambda each: each.rate),
                    of_rounds(results, lambda each: each.at(50)) * 1e3,
                    of_rounds(results, lambda each: each.at(99)) * 1e3,
                    of_rounds(results, lambda each: each.smallest_share),
                    of_rounds(results, lambda each: each.cpu_each) * 1e6,
                    of_rounds(results, lambda each: each.server_cpu_each) * 1e6 if name in ("Redis", "XADD") else None,
                )
            )
    columns = ["on", "writers", "store", "a second", "p50 ms", "p99 ms", "smallest share", "CPU µs", "server's CPU µs"]
    rounds = len(next(iter(next(iter(found.values())).values())))
    notes = [
        f"Medians of {rounds} rounds of {seconds:g} s, in turns.",
        "A write: a lease, which reads what was missed, and an append, which gives the lease back: two round trips.",
        "XADD is one round trip, compares nothing and reads nothing.",
        "Writers are processes; threads of one process in memory. A smallest share of 1 is a fair one.",
    ]
    return Table(title="Appends by several writers", columns=columns, rows=rows, notes=notes)


SECTION = Section(name="writers", title="appends a second by 1, 4 and 16 writers", measure=measure)
