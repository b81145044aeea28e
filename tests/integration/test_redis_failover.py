"""Redis' primary fails and a replica that lacks its last writes takes over: nobody is left with anything wrong.

``RXCRDT_FAILOVERS`` says how often, ``RXCRDT_SEED`` by which seed; see ``test_redis_kills``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import connections

from tests.conditions import eventually
from tests.kills.proxy import Proxy
from tests.kills.scene import Scene, populate
from tests.servers import RedisServer, redis_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes, pytest.mark.redis]

FAILOVERS = int(os.environ.get("RXCRDT_FAILOVERS", "6"))
SEED = int(os.environ.get("RXCRDT_SEED", "1"))


@pytest.fixture(autouse=True)
async def no_connection_is_left(transactional_db: None) -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


class Pair:
    """A primary and its replica. Processes reach the primary through ``front``, the replica through ``link``."""

    def __init__(self, one: RedisServer, other: RedisServer, front: Proxy, link: Proxy) -> None:
        self.primary, self.replica = one, other
        self.front, self.link = front, link
        self.lags: list[int] = []

    async def attach(self) -> None:
        """Makes the one a replica of the other; returns when it has everything."""
        self.link.switch(self.primary.port)
        with _asked(self.replica) as client:
            client.replicaof("127.0.0.1", str(self.link.port))
            await eventually(lambda: client.info("replication")["master_link_status"] == "up")

    def promote(self) -> None:
        self.link.cut()
        with _asked(self.replica) as client:
            client.replicaof("NO", "ONE")
        self.primary, self.replica = self.replica, self.primary

    def note_lag(self) -> None:
        """How many bytes of its primary's writes the replica will never see."""
        with _asked(self.primary) as one, _asked(self.replica) as other:
            written, known = (client.info("replication") for client in (one, other))
        self.lags.append(written["master_repl_offset"] - known["slave_repl_offset"])


@contextmanager
def _asked(server: RedisServer) -> Iterator[Any]:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        yield client


async def fail_over(scene: Scene, pair: Pair) -> None:
    """The primary is killed, and everybody's connections with it."""
    pair.note_lag()
    pair.primary.kill()
    pair.front.cut()
    await asyncio.sleep(scene.random.choice([0, 0.1, 0.5]))
    pair.promote()
    pair.front.switch(pair.primary.port)
    if scene.random.random() < 0.5:
        await scene.progress()
    await asyncio.to_thread(pair.replica.start)
    await pair.attach()


async def split(scene: Scene, pair: Pair) -> None:
    """The replica takes over while the primary lives on, and some go on writing there: what they write is lost."""
    pair.note_lag()
    pair.promote()
    pair.front.switch(pair.primary.port, gently=True)
    await asyncio.sleep(scene.random.uniform(0.2, 1))
    await pair.attach()
    pair.front.switch(pair.primary.port)


@pytest.mark.parametrize("how", [fail_over, split])
async def test_after_failovers_everybody_has_what_the_database_has(
    how: Any, child_environment: dict[str, str], tmp_path: Path
) -> None:
    with redis_server() as one, redis_server() as other, Proxy(one.port) as front, Proxy(None) as link:
        pair = Pair(one, other, front, link)
        await pair.attach()
        scene = Scene(
            await sync_to_async(populate)(SEED),
            seed=SEED,
            store=f"redis://127.0.0.1:{front.port}/0?socket_timeout=1",
            layer=None,
            # What two primaries were told at once, nobody can notice in the store.
            reconcile_seconds=1 if how is split else 3600,
            environment=child_environment,
            folder=tmp_path,
        )
        async with scene:
            await scene.open_everybody()
            await scene.write()
            await scene.progress()
            await scene.send_sleepers_away()
            for number in range(FAILOVERS):
                await scene.progress()
                link.hold()
                await scene.progress()
                await asyncio.sleep(scene.random.uniform(0, 0.7))
                await how(scene, pair)
                await scene.hop()
                if number == FAILOVERS // 2:
                    await scene.wake(slice(0, None, 2))
            await scene.progress()
            await scene.rest()
            await scene.gather()
            await scene.open_newcomers()
            await scene.assert_all_is_well()
            await scene.verify()
        print(f"{scene.summary}; bytes lost with each primary: {pair.lags}")
        assert min(pair.lags) > 0, "a replica had everything"
    assert min(map(len, scene.witness.lineages.values())) > 1
