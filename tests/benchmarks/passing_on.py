"""A change made in one server process is in another's document: hocuspocus' Redis extension, and rxcrdt's two ways."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from rxcrdt.awareness import Entry as AwarenessEntry
from rxcrdt.awareness import Owner
from rxcrdt.layer_link import LayerLink
from rxcrdt.replica import Replica
from tests.benchmarks import boards
from tests.benchmarks.bare import connect, cpu_of
from tests.benchmarks.logs import begin
from tests.benchmarks.node import Peer, running
from tests.benchmarks.report import Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import alternate, of_rounds, percentile, ratio
from tests.benchmarks.workers import Measuring, sleep_until
from ydoc_store import DocStore, Entry, open_store

__all__ = ["measure"]

PAUSE = 0.05  # seconds between two changes: long enough for each to be there before the next
PATIENCE = 5.0
POLL = 0.001
SETTLING = 0.2  # seconds: channels_redis looks every 0.1 s for its first subscription
THEIRS, TOLD, POLLED = (
    "hocuspocus: extension-redis",
    "rxcrdt: told over the channel layer",
    "store alone: heads every ms",
)

_number = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """How long after each change began the other process had it; CPU seconds of both processes and of Redis."""

    seconds: Sequence[float]
    cpu: float
    server_cpu: float


def measure(run: Run, snapshot: Path, tasks: int) -> Table:
    changes = run.choose(60, 5)
    run.say(f"peers: passing on a change of {tasks:,} rows")
    with ExitStack() as stack:
        client = stack.enter_context(closing(connect(run.redis)))
        server_cpu = cpu_of(client)
        pair = _hocuspocus(run, stack, snapshot, tasks)
        ours = partial(_ours, run, snapshot.read_bytes(), changes, server_cpu)
        found = alternate(
            {
                THEIRS: partial(_theirs, pair, changes, server_cpu),
                TOLD: partial(ours, listen),
                POLLED: partial(ours, poll),
            },
            rounds=run.choose(3, 1),
        )
    return _table(found, tasks, changes)


# hocuspocus -------------------------------------------------------------------------------------------------


def _hocuspocus(run: Run, stack: ExitStack, snapshot: Path, tasks: int) -> tuple[Peer, Peer]:
    """Two servers with one document open: the second got it from the first."""
    port, name = urlsplit(run.redis).port, f"board/{tasks}"
    first, second = (stack.enter_context(running("redis.js")) for _ in range(2))
    first("open", port=port, name=name, update=str(snapshot))
    there = second("open", port=port, name=name).value
    if there != tasks:
        raise AssertionError(f"the second server has {there} of {tasks} tasks")
    return first, second


def _theirs(pair: tuple[Peer, Peer], changes: int, server_cpu: Callable[[], float]) -> Passed:
    writer, reader = pair
    titles = [f"change {next(_number)}" for _ in range(changes)]
    before = server_cpu()
    wrote = writer("write", titles=titles, pause=PAUSE)
    used = server_cpu() - before
    came: dict[str, float] = {}
    cpu = wrote.cpu
    deadline = time.monotonic() + PATIENCE
    while len(came) < changes and time.monotonic() < deadline:
        answer = reader("came")
        came |= dict(answer.value)
        cpu += answer.cpu
    seconds = [came[title] - began for title, began in zip(titles, wrote.value, strict=True)]
    return Passed(seconds=seconds, cpu=cpu, server_cpu=used)


# rxcrdt -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    url: str
    name: str
    changes: int
    tell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """When each change began, or was there; CPU seconds."""

    moments: Sequence[float]
    cpu: float


def _ours(
    run: Run,
    snapshot: bytes,
    changes: int,
    server_cpu: Callable[[], float],
    read: Callable[[Job], Measuring[Noted]],
) -> Passed:
    job = Job(url=run.redis, name=f"passing-on/{next(_number)}", changes=changes, tell=read is listen)
    with open_store(run.redis) as store:
        begin(store, job.name, epoch=boards.EPOCH, snapshot=snapshot)
    before = server_cpu()
    wrote, came = run.workers.run([partial(write, job), partial(read, job)])
    used = server_cpu() - before
    seconds = [there - began for began, there in zip(wrote.moments, came.moments, strict=True)]
    return Passed(seconds=seconds, cpu=wrote.cpu + came.cpu, server_cpu=used)


def write(job: Job) -> Measuring[Noted]:
    """Lease, change, append; then, if it is to `tell`, what `rxcrdt.relay.publish` does."""
    moments = []
    with open_store(job.url) as store, _link(job.url) as link:
        replica = _opened(store, job)
        if job.tell:
            link.send(f"{job.name}/nobody listens", {"kind": "who"})  # connects
            link.flush(PATIENCE)
        start = yield
        cpu = time.process_time()
        for number in range(job.changes):
            sleep_until(start + number * PAUSE)
            moments.append(time.monotonic())
            lease = store.lease(job.name, since=replica.position, seconds=10, wait=10)
            update = boards.change(replica, number + 1, f"change {number}")
            position = store.append(job.name, update, expect=replica.position, lease=lease.token)
            replica.appended(position, update)
            told = {"epoch": position.epoch, "sequence": position.sequence, "update": update, "kind": "entry"}
            if job.tell:
                link.send(job.name, told)
        link.flush(PATIENCE)
        return Noted(moments=moments, cpu=time.process_time() - cpu)


def listen(job: Job) -> Measuring[Noted]:
    """Applies the entries that the channel layer brings."""
    with open_store(job.url) as store, _link(job.url) as link:
        heard = Heard(_opened(store, job), job.changes)
        link.join(job.name, heard)
        if not heard.listening.wait(PATIENCE):
            raise TimeoutError("the channel layer was not joined")
        time.sleep(SETTLING)
        start = yield
        cpu = time.process_time()
        if not heard.done.wait(start - time.monotonic() + job.changes * PAUSE + PATIENCE):
            raise TimeoutError(f"{len(heard.moments)} of {job.changes} changes came")
        return Noted(moments=heard.moments, cpu=time.process_time() - cpu)


class Heard:
    """A subscriber of the link, with the document open."""

    def __init__(self, replica: Replica, expected: int) -> None:
        self.moments: list[float] = []
        self.listening, self.done = threading.Event(), threading.Event()
        self._replica = replica
        self._expected = expected

    def joined(self) -> None:
        self.listening.set()

    def entries_came(self, entries: Sequence[Entry]) -> None:
        self._replica.apply(entries)
        self.moments += [time.monotonic()] * len(entries)
        if len(self.moments) == self._expected:
            self.done.set()

    def awareness_came(self, owner: Owner, entries: Sequence[AwarenessEntry]) -> None:
        raise AssertionError("nobody has awareness here")

    def awareness_asked(self) -> None:
        raise AssertionError("nobody has awareness here")


def poll(job: Job) -> Measuring[Noted]:
    """Asks for the head every millisecond, and reads on from there."""
    moments: list[float] = []
    with open_store(job.url) as store:
        replica = _opened(store, job)
        start = yield
        cpu = time.process_time()
        deadline = start + job.changes * PAUSE + PATIENCE
        while len(moments) < job.changes and time.monotonic() < deadline:
            if store.heads([job.name])[job.name] == replica.position:
                time.sleep(POLL)
                continue
            entries = store.since(job.name, replica.position)
            replica.apply(entries)
            moments += [time.monotonic()] * len(entries)
        return Noted(moments=moments, cpu=time.process_time() - cpu)


def _opened(store: DocStore, job: Job) -> Replica:
    replica = boards.load(store.load(job.name))
    _ = replica.tables
    return replica


@contextmanager
def _link(url: str) -> Iterator[LayerLink]:
    from channels_redis.pubsub import RedisPubSubChannelLayer

    link = LayerLink(lambda: RedisPubSubChannelLayer(hosts=[url]), process=str(os.getpid()))
    try:
        yield link
    finally:
        link.close()


# Together ---------------------------------------------------------------------------------------------------


def _table(found: dict[str, list[Passed]], tasks: int, changes: int) -> Table:
    rows = [
        (
            name,
            of_rounds(passed, lambda each: percentile(each.seconds, 50)) * 1e3,
            of_rounds(passed, lambda each: percentile(each.seconds, 99)) * 1e3,
            of_rounds(passed, lambda each: each.cpu) / changes * 1e3,
            of_rounds(passed, lambda each: each.server_cpu) / changes * 1e3,
            ratio(passed, found[TOLD], lambda each: percentile(each.seconds, 50)),
        )
        for name, passed in found.items()
    ]
    notes = [
        f"Medians of {len(found[TOLD])} rounds of {changes} changes, one every {PAUSE * 1e3:g} ms, in turns.",
        "From the beginning of the change in one process until the other one's document has it; no sockets are there.",
        "Ours is in the log by then, theirs nowhere but in the two processes.",
    ]
    columns = ["Redis", "p50 ms", "p99 ms", "CPU ms, both processes", "server's CPU ms", "p50 / rxcrdt's"]
    title = f"One changed field of {tasks:,} rows, passed on to another process"
    return Table(title=title, columns=columns, rows=rows, notes=notes)
