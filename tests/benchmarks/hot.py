"""Eight processes on one hot document, each of which flushes: what rxcrdt does, but for the database."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from tests.benchmarks import boards
from tests.benchmarks.bare import connect, cpu_of
from tests.benchmarks.logs import UPDATE, begin
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run, Section
from tests.benchmarks.timing import alternate, of_rounds, percentile
from tests.benchmarks.workers import Measuring, sleep_until
from ydoc_store import DocStore, Log, Position, open_store

__all__ = ["SECTION"]

PROCESSES = 8
OFFERED = 100.0  # flushes a second, by all processes together
TASKS = 1000
AIMED_AT = "Redis, with the document"

_number = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`rate` flushes a second begin at random moments (Poisson); 0: each begins when the last one has ended.

    `with_document`: a flush applies what was missed to a document, and makes its update of it.
    """

    url: str
    name: str
    number: int
    with_document: bool
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """By one process: how long after its intended beginning each flush ended, and its CPU seconds."""

    late: Sequence[float]
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    processes: Sequence[Flushed]
    seconds: float
    server_cpu: float

    @property
    def count(self) -> int:
        return sum(len(process.late) for process in self.processes)

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def smallest_share(self) -> float:
        return min(len(process.late) for process in self.processes) * len(self.processes) / self.count

    @property
    def cpu_each(self) -> float:
        return sum(process.cpu for process in self.processes) / self.count

    @property
    def server_cpu_each(self) -> float:
        return self.server_cpu / self.count

    def at(self, percent: float) -> float:
        return percentile([each for process in self.processes for each in process.late], percent)


def flush_many(job: Job) -> Measuring[Flushed]:
    late = array("d")
    with open_store(job.url) as store:
        once = WithDocument(store, job).flush if job.with_document else StoreAlone(store, job).flush
        start = yield
        cpu_before = time.process_time()
        for intended in _beginnings(job, start):
            sleep_until(intended)
            once()
            late.append(time.monotonic() - intended)
        return Flushed(late=late, cpu=time.process_time() - cpu_before)


def _beginnings(job: Job, start: float) -> Iterator[float]:
    """An open loop: a flush that is late does not keep the next one from being meant to begin."""
    end = start + job.seconds
    if not job.rate:
        sleep_until(start)
        while (now := time.monotonic()) < end:
            yield now
        return
    moments = random.Random(job.number)
    intended = start
    while (intended := intended + moments.expovariate(job.rate)) < end:
        yield intended


class StoreAlone:
    """Lease, read what was missed, append."""

    def __init__(self, store: DocStore, job: Job) -> None:
        self._store = store
        self._name = job.name
        self._head = Position(boards.EPOCH, 0)

    def flush(self) -> None:
        lease = self._store.lease(self._name, since=self._head, seconds=10, wait=10)
        head = lease.missed[-1].position if lease.missed else self._head
        self._head = self._store.append(self._name, UPDATE, expect=head, lease=lease.token)


class WithDocument:
    """The same, with the document and its tables in memory, as `Document` does it."""

    def __init__(self, store: DocStore, job: Job) -> None:
        self._store = store
        self._job = job
        self._replica = boards.load(store.load(job.name))
        self._tasks = random.Random(job.number)
        self._count = 0
        _ = self._replica.tables

    def flush(self) -> None:
        replica, name = self._replica, self._job.name
        lease = self._store.lease(name, since=replica.position, seconds=10, wait=10)
        replica.apply(lease.missed)
        self._count += 1
        title = f"{self._job.number} was here, {self._count}"
        update = boards.change(replica, self._tasks.randint(1, TASKS), title)
        position = self._store.append(name, update, expect=replica.position, lease=lease.token)
        replica.appended(position, update)


# All of them ------------------------------------------------------------------------------------------------


def measure(run: Run) -> Iterator[Table]:
    processes = run.choose(PROCESSES, 2)
    snapshot = boards.board(TASKS)
    tables = [
        (f"{OFFERED:g} flushes a second offered", OFFERED, run.choose(10.0, 0.3)),
        ("as fast as they can", 0.0, run.choose(5.0, 0.1)),
    ]
    for title, offered, seconds in tables:
        run.say(f"hot: {processes} processes, {title}")
        one = partial(_round, run, snapshot, processes, offered / processes, seconds)
        contestants = {
            f"{kind}, {how}": partial(one, url, with_document)
            for kind, url in (("SQLite", run.sqlite("hot")), ("Redis", run.redis))
            for how, with_document in (("store alone", False), ("with the document", True))
        }
        found = alternate(contestants, rounds=run.choose(3, 1))
        yield _table(f"{processes} processes on one document, {title}", found, offered, seconds)


def _round(
    run: Run, snapshot: bytes, processes: int, rate: float, seconds: float, url: str, with_document: bool
) -> Round:
    """On a log of its own."""
    name = f"hot/{next(_number)}"
    client = connect(run.redis)
    with open_store(url) as store:
        begin(store, name, epoch=boards.EPOCH, snapshot=snapshot)
        job = Job(url=url, name=name, number=0, with_document=with_document, rate=rate, seconds=seconds)
        jobs = [replace(job, number=number) for number in range(processes)]
        server_cpu = cpu_of(client)
        before = server_cpu()
        flushed = run.workers.run([partial(flush_many, job) for job in jobs])
        found = Round(processes=flushed, seconds=seconds, server_cpu=server_cpu() - before)
        _check(store.load(name), found, with_document)
    client.close()
    return found


def _check(log: Log | None, found: Round, with_document: bool) -> None:
    """Nothing is missing or there twice, and all of it can be applied."""
    assert log is not None
    if log.head.sequence != found.count:
        raise AssertionError(f"{found.count} flushes, and {log.head.sequence} entries")
    if with_document:
        boards.load(log)


def _table(title: str, found: dict[str, list[Round]], offered: float, seconds: float) -> Table:
    rows = [
        (
            name,
            of_rounds(rounds, lambda each: each.rate),
            of_rounds(rounds, lambda each: each.at(50)) * 1e3,
            of_rounds(rounds, lambda each: each.at(99)) * 1e3,
            of_rounds(rounds, lambda each: each.at(100)) * 1e3,
            None if offered else of_rounds(rounds, lambda each: each.smallest_share),
            of_rounds(rounds, lambda each: each.cpu_each) * 1e6,
            of_rounds(rounds, lambda each: each.server_cpu_each) * 1e6 if name.startswith("Redis") else None,
        )
        for name, rounds in found.items()
    ]
    columns = ["store", "a second", "p50 ms", "p99 ms", "slowest ms", "smallest share", "CPU µs", "server's CPU µs"]
    counted = "from the moment at which a flush was meant to begin" if offered else "from its beginning"
    notes = [
        f"Medians of {len(found[AIMED_AT])} rounds of {seconds:g} s, in turns, each on a board of {TASKS:,} tasks.",
        "A flush: lease, read what was missed, append; with the document: and apply what was missed, change one field.",
        f"Milliseconds are counted {counted}.",
    ]
    return Table(title=title, columns=columns, rows=rows, aims=_aims(found[AIMED_AT], offered), notes=notes)


def _aims(rounds: Sequence[Round], offered: float) -> list[Aim]:
    if offered:
        return [Aim(text=f"{AIMED_AT}, p99 ms,", value=of_rounds(rounds, lambda each: each.at(99)) * 1e3, limit=10.0)]
    rate = of_rounds(rounds, lambda each: each.rate)
    share = min(each.smallest_share for each in rounds)
    return [
        Aim(text=f"{AIMED_AT}, flushes a second", value=rate, limit=300.0, at_least=True),
        Aim(text=f"{AIMED_AT}, the smallest share in any round", value=share, limit=0.5, at_least=True),
    ]


SECTION = Section(name="hot", title="8 processes on one hot document", measure=measure)
