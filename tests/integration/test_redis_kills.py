"""Redis is killed at random moments while processes save and clients follow: nobody is left with anything wrong.

``RXCRDT_KILLS`` says how often, ``RXCRDT_SEED`` by which seed. A seed repeats the choices; the moments also depend on
what the machine does meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import connections

from rxcrdt import conf, documents
from tests.conditions import until
from tests.interposing import Interposed
from tests.kills.scene import Scene, populate
from tests.servers import RedisServer, redis_server, running_redis_cluster
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import DocStore, LeaseLost, open_store
from ydoc_store.redis import RedisStore

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes, pytest.mark.redis]

KILLS = int(os.environ.get("RXCRDT_KILLS", "30"))
SEED = int(os.environ.get("RXCRDT_SEED", "1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """How Redis keeps its data, and what else differs, so that not every run is alike."""

    options: tuple[str, ...]
    saves: bool = False  # now and then; what comes back is old then
    loses_tail: bool = False  # with the machine: a part of what Redis had not forced to the disk
    layer: bool  # whether the channel layer is the same Redis
    reconcile_seconds: float


MODES = {
    "everysec": Mode(
        options=("--appendonly", "yes", "--appendfsync", "everysec"),
        loses_tail=True,
        layer=True,
        reconcile_seconds=3600,
    ),
    "always": Mode(options=("--appendonly", "yes", "--appendfsync", "always"), layer=False, reconcile_seconds=1),
    "rdb": Mode(options=("--save", "3600", "1"), saves=True, layer=False, reconcile_seconds=3600),
    "none": Mode(options=(), layer=True, reconcile_seconds=1),
}


@pytest.fixture(autouse=True)
async def no_connection_is_left(transactional_db: None) -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


def scene_around(
    server: RedisServer, how: Mode, documents: list[str], environment: dict[str, str], folder: Path
) -> Scene:
    return Scene(
        documents,
        seed=SEED,
        store=f"{server.url}?socket_timeout=1",
        layer=server.url if how.layer else None,
        reconcile_seconds=how.reconcile_seconds,
        environment=environment,
        folder=folder,
    )


@pytest.mark.parametrize("mode", MODES)
async def test_after_many_kills_everybody_has_what_the_database_has(
    mode: str, child_environment: dict[str, str], tmp_path: Path
) -> None:
    how = MODES[mode]
    documents = await sync_to_async(populate)(SEED)
    with redis_server(options=how.options) as server:
        async with scene_around(server, how, documents, child_environment, tmp_path) as scene:
            await scene.open_everybody()
            await scene.write()
            await scene.progress()
            await scene.send_sleepers_away()
            await kill_at_random(scene, server, how)
            await scene.rest()
            await scene.gather()
            await scene.open_newcomers()
            await scene.assert_all_is_well()
            await scene.verify()
            # And they follow on.
            await scene.write()
            await scene.progress()
            await scene.rest()
            await scene.assert_all_is_well()
        lineages = scene.witness.lineages
        print(f"{mode}: {scene.summary}")
    assert len(lineages) == len(scene.documents)
    assert min(map(len, lineages.values())) > 1


async def kill_at_random(scene: Scene, server: RedisServer, how: Mode) -> None:
    chance = scene.random
    wake_at = chance.randrange(KILLS)
    for number in range(KILLS):
        if how.saves and chance.random() < 0.4:
            await asyncio.to_thread(save, server)
        if chance.random() < 0.75:
            await scene.progress()
        await asyncio.sleep(chance.uniform(0, 0.1))
        server.kill()
        if how.loses_tail:
            lose_tail(server, chance.randrange(2000))
        if chance.random() < 0.5:
            await scene.hop()
        if number == wake_at:
            await scene.wake(slice(0, None, 2))
        await asyncio.sleep(chance.choice([0, 0, 0.05, 0.3]))
        await asyncio.to_thread(server.start)
    await scene.progress()


def save(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        client.save()


def lose_tail(server: RedisServer, size: int) -> None:
    """What the machine, not Redis, would have lost: the last bytes of the append-only file."""
    for file in [*server.folder.glob("appendonly.aof"), *server.folder.glob("appendonlydir/*.incr.aof")]:
        os.truncate(file, max(0, file.stat().st_size - size))


async def test_what_is_open_is_in_the_store_again_although_nobody_saves(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    """Otherwise its rooms would go on comparing it with the database, and whoever comes next would have to build it."""
    how = MODES["everysec"]
    documents = await sync_to_async(populate)(SEED)
    with redis_server(options=how.options) as server, open_store(server.url) as store:
        async with scene_around(server, how, documents, child_environment, tmp_path) as scene:
            await scene.open_everybody()
            logs = list(store.names())
            before = store.heads(logs)
            assert len(before) == len(documents)
            server.kill()
            await asyncio.to_thread(server.start)
            await scene.eventually(lambda: len(store.heads(logs)) == len(logs), "all logs are there again")
            assert all(position.epoch > before[log].epoch for log, position in store.heads(logs).items())
            await scene.open_newcomers()
            await scene.assert_all_is_well()


def test_a_lease_from_before_a_restart_keeps_nobody_waiting() -> None:
    """Redis kept it, but what it was good for is gone with the log."""
    with redis_server(options=MODES["always"].options) as server, open_store(server.url) as store:
        before = store.lease("library/1", since=None, seconds=60, wait=0)
        server.kill()
        server.start()
        lease = store.lease("library/1", since=None, seconds=60, wait=2)
        with pytest.raises(LeaseLost):
            store.begin("library/1", epoch=1, snapshot=b"", rows=(), lease=before.token)
        store.begin("library/1", epoch=1, snapshot=b"", rows=(), lease=lease.token)


def test_who_builds_a_document_again_reads_it_after_its_rows_are_in_an_index_that_lost_them() -> None:
    """On a cluster: the log's own node has the document's rows still, another one has lost a part of the index. A save
    before the log is begun must find it, or be read."""
    library = Library.objects.create(name="built twice")
    shelf = Shelf.objects.create(library=library, label="shelf")
    books = [Book.objects.create(shelf=shelf, title=f"{number}") for number in range(30)]
    rows = [f"testapp.book:{book.pk}" for book in books]
    unfound: list[str] = []
    with running_redis_cluster() as servers, RedisStore(f"{servers[0].url}?cluster=true") as store:
        interposed = Interposed(store)
        conf.use_store(cast(DocStore, interposed))
        log = documents.open(f"library/{library.pk}").log
        loser = next(server for server in servers if not has_a_log(server))
        loser.kill()
        loser.start()
        until(lambda: cluster_is_whole(loser) and store.head(log) is None)
        assert store.rows(log) >= set(rows)
        documents.forget_all()

        def look_for_the_log() -> None:
            found = store.documents_of(rows)
            unfound.extend(row for row in rows if log not in found.get(row, ()))

        interposed.before("begin", look_for_the_log)
        documents.open(f"library/{library.pk}")
        assert interposed.done
    assert not unfound, f"saves of {len(unfound)} of {len(rows)} rows would have told nobody"


def has_a_log(server: RedisServer) -> bool:
    with redis.Redis(port=server.port) as client:
        return bool(client.keys("*:log"))


def cluster_is_whole(server: RedisServer) -> bool:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        return bool(client.cluster("info")["cluster_state"] == "ok")
