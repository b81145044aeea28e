"""One changed field, stored in an SQLite file, and the document loaded from it again: hocuspocus and rxcrdt."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median

from rxcrdt import folding
from tests.benchmarks import boards
from tests.benchmarks.logs import begin
from tests.benchmarks.node import Peer, running
from tests.benchmarks.report import Cell, Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import alternate, of_rounds, ratio
from ydoc_store import DocStore, Log, Position, open_store

__all__ = ["measure"]

NAME = "board/1"
THEIR_SAVE, OUR_SAVE, OUR_FOLD = "hocuspocus: store", "rxcrdt: lease, append", "rxcrdt: fold"
THEIR_LOAD, OUR_LOAD = "hocuspocus: load", "rxcrdt: load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """Some calls: the seconds of each, CPU seconds and bytes written by all."""

    seconds: Sequence[float]
    cpu: float
    written: int | None

    @property
    def typical(self) -> float:
        return median(self.seconds)

    @property
    def cpu_each(self) -> float:
        return self.cpu / len(self.seconds)

    @property
    def written_each(self) -> float:
        return (self.written or 0) / len(self.seconds)


def measure(run: Run, snapshot: Path, tasks: int) -> Table:
    saves, loads = run.choose((20, 3), (3, 1))
    run.say(f"peers: saving and loading {tasks:,} rows")
    with ExitStack() as stack:
        theirs = stack.enter_context(running("sqlite.js"))
        theirs("open", file=str(run.folder / f"hocuspocus-{tasks}.sqlite3"), update=str(snapshot))
        store = stack.enter_context(open_store(run.sqlite(f"saving-{tasks}")))
        ours = Ours(store, snapshot.read_bytes(), tasks)
        their_tasks = cycle(range(1, tasks + 1))
        contestants: dict[str, Callable[[], Did]] = {
            THEIR_SAVE: lambda: _asked(theirs, "save", tasks=list(islice(their_tasks, saves))),
            OUR_SAVE: partial(ours.save, saves),
            OUR_FOLD: partial(ours.fold, 1),
            THEIR_LOAD: lambda: _asked(theirs, "load", times=loads),
            OUR_LOAD: partial(ours.load, loads),
        }
        found = alternate(contestants, rounds=run.choose(5, 1))
        return _table(found, tasks, _saves_until_a_fold(snapshot.read_bytes(), tasks), saves, loads)


def _asked(peer: Peer, command: str, **given: object) -> Did:
    answer = peer(command, **given)
    return Did(seconds=answer.value, cpu=answer.cpu, written=answer.written)


class Ours:
    """One process of rxcrdt with the document open, but without a database."""

    def __init__(self, store: DocStore, snapshot: bytes, tasks: int) -> None:
        self._store = store
        begin(store, NAME, epoch=boards.EPOCH, snapshot=snapshot)
        self._replica = boards.load(store.load(NAME))
        self._tasks = cycle(range(1, tasks + 1))
        _ = self._replica.tables

    def save(self, times: int) -> Did:
        return _did(self._save, islice(self._tasks, times))

    def _save(self, task: int) -> None:
        replica = self._replica
        lease = self._store.lease(NAME, since=replica.position, seconds=10, wait=10)
        update = boards.change(replica, task, f"saved at {time.monotonic()}")
        replica.appended(self._store.append(NAME, update, expect=replica.position, lease=lease.token), update)

    def fold(self, times: int) -> Did:
        return _did(self._fold, range(times))

    def _fold(self, _: int) -> None:
        fresh = boards.load(self._store.load(NAME))
        self._store.compact(NAME, fresh.doc.get_update(), at=fresh.position)

    def load(self, times: int) -> Did:
        return _did(lambda _: boards.load(self._store.load(NAME)), range(times))


def _did(call: Callable[[int], object], given: Iterable[int]) -> Did:
    seconds, kept = [], []
    cpu, written = time.process_time(), _written()
    for argument in given:
        before = time.perf_counter()
        kept.append(call(argument))
        seconds.append(time.perf_counter() - before)
    after = _written()
    grown = after - written if after is not None and written is not None else None
    return Did(seconds=seconds, cpu=time.process_time() - cpu, written=grown)


def _written() -> int | None:
    """Bytes that this process gave the system to be written; None where the system does not count them."""
    try:
        found = re.search(r"^wchar: (\d+)$", Path("/proc/self/io").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def _saves_until_a_fold(snapshot: bytes, tasks: int) -> int:
    """After how many saves like these rxcrdt folds the log."""
    replica = boards.load(Log(epoch=boards.EPOCH, snapshot=snapshot, at=0))
    for number in count(1):
        update = boards.change(replica, number % tasks + 1, f"saved at {time.monotonic()}")
        replica.appended(Position(boards.EPOCH, number), update)
        if folding.is_due(replica.weight, replica.snapshot_bytes):
            return number
    raise AssertionError


def _table(found: dict[str, list[Did]], tasks: int, saves_a_fold: int, saves: int, loads: int) -> Table:
    folded = [
        Did(
            seconds=[each + fold.typical / saves_a_fold for each in save.seconds],
            cpu=save.cpu + fold.cpu_each / saves_a_fold * len(save.seconds),
            written=round((save.written_each + fold.written_each / saves_a_fold) * len(save.seconds)),
        )
        for save, fold in zip(found[OUR_SAVE], found[OUR_FOLD], strict=True)
    ]
    rows = [
        _row(f"{THEIR_SAVE} the whole state", found[THEIR_SAVE], folded),
        _row(OUR_SAVE, found[OUR_SAVE], folded),
        _row(f"the same, with its share of a fold every {saves_a_fold:,} saves", folded, folded),
        _row(OUR_FOLD, found[OUR_FOLD], None),
        _row(THEIR_LOAD, found[THEIR_LOAD], found[OUR_LOAD]),
        _row(OUR_LOAD, found[OUR_LOAD], found[OUR_LOAD]),
    ]
    notes = [
        f"Medians of {len(folded)} rounds of {saves} saves and {loads} loads, in turns.",
        "Both wait for the disk at each save.",
        "hocuspocus saves at each change only if told so, as here. As it comes, it collects them for 2 to 10 s.",
        "Its documents are Yjs' own, in Node; ours are pycrdt's, in Python.",
    ]
    columns = ["SQLite", "p50 ms", "CPU ms", "KB written", "p50 / rxcrdt's"]
    return Table(
        title=f"One changed field of {tasks:,} rows, saved, and loaded", columns=columns, rows=rows, notes=notes
    )


def _row(what: str, did: list[Did], beside: list[Did] | None) -> Sequence[Cell]:
    known = all(each.written is not None for each in did)
    return (
        what,
        of_rounds(did, lambda each: each.typical) * 1e3,
        of_rounds(did, lambda each: each.cpu_each) * 1e3,
        of_rounds(did, lambda each: each.written_each) / 1e3 if known else None,
        ratio(did, beside, lambda each: each.typical) if beside else None,
    )
