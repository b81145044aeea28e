"""Redis is killed at random moments while threads write: no position ever means two entries.

Nobody is told when it happens, and each writer goes on with what it remembers. With persistence the logs come
back, some of them without their end.
"""

from __future__ import annotations

import random
from functools import partial
from itertools import count
from threading import Event, Lock

import pytest
import redis

from tests.servers import RedisServer, redis_server
from ydoc_store import (
    DocStore,
    EpochNotNewer,
    HeadMoved,
    LeaseLost,
    LeaseTimeout,
    Position,
    PositionLost,
    StoreUnavailable,
)
from ydoc_store.redis import RedisStore
from ydoc_store.testing.tools import DOC, Background, wait_until

pytestmark = pytest.mark.redis

KILLS = 4
WRITERS = 4
MODES = {
    "everysec": ("--appendonly", "yes", "--appendfsync", "everysec"),
    "rdb": ("--save", "3600", "1"),
    "none": (),
}


class Witness:
    """Remembers what every position held, whoever saw it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[Position, bytes] = {}
        self.epochs = count(1)
        self.lineages = 0

    def saw(self, position: Position, update: bytes) -> None:
        with self._lock:
            assert self._seen.setdefault(position, update) == update, f"{position} held two entries"

    def next_epoch(self) -> int:
        with self._lock:
            self.lineages += 1
            return next(self.epochs)

    def __len__(self) -> int:
        return len(self._seen)


def write_until(done: Event, store: DocStore, witness: Witness, writer: int) -> int:
    """What a process does: lease, learn, append where the head is; begin anew where there is no log."""
    head: Position | None = None
    for number in count():
        if done.is_set():
            return number
        try:
            head = write(store, witness, head, f"{writer} {number}".encode())
        except HeadMoved as moved:
            for entry in moved.missed:
                witness.saw(entry.position, entry.update)
        except (PositionLost, LeaseLost, LeaseTimeout, EpochNotNewer, StoreUnavailable):
            continue  # the position is remembered: the next lease says what it is worth
    raise AssertionError


def write(store: DocStore, witness: Witness, head: Position | None, update: bytes) -> Position:
    lease = store.lease(DOC, since=head, seconds=1, wait=2)
    entries = lease.log.entries if lease.log else lease.missed
    for entry in entries:
        witness.saw(entry.position, entry.update)
    if lease.log is not None:
        head = lease.log.head
    elif lease.missed:
        head = lease.missed[-1].position
    elif head is None or store.head(DOC) is None:
        head = store.begin(DOC, epoch=witness.next_epoch(), snapshot=b"", rows=["row"], lease=lease.token)
    head = store.append(DOC, update, expect=head, lease=lease.token)
    witness.saw(head, update)
    return head


def kill_at_random(server: RedisServer, witness: Witness, chance: random.Random, *, save: bool) -> None:
    def wait_for_entries() -> None:
        enough = len(witness) + chance.randrange(20, 200)
        wait_until(lambda: len(witness) > enough)

    for _kill in range(KILLS):
        wait_for_entries()
        if save:  # what comes after it is going to be lost
            with redis.Redis(port=server.port) as client:
                client.save()
            wait_for_entries()
        server.kill()
        Event().wait(chance.uniform(0, 0.1))
        server.start()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_no_position_ever_means_two_entries(mode: str, seed: int) -> None:
    """Repeat one with its seed; the moments differ by what the machine does meanwhile."""
    witness, done = Witness(), Event()
    with redis_server(options=MODES[mode]) as server:
        stores = [RedisStore(f"{server.url}?socket_timeout=1") for _number in range(2)]  # two processes' worth
        writers = [
            Background(partial(write_until, done, stores[number % 2], witness, number)) for number in range(WRITERS)
        ]
        try:
            kill_at_random(server, witness, random.Random(seed), save=mode == "rdb")
        finally:
            done.set()
        assert min([writer.result() for writer in writers]) > 0
        head = stores[0].head(DOC)
        for store in stores:
            store.close()
    assert witness.lineages > KILLS
    assert head is None or head.epoch > KILLS
