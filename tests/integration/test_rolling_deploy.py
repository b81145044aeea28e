"""A rolling deploy with real processes: while workers and writers of two versions share one database and one store,
every client sees every save, and those whose worker is replaced move over without a trace of the old document.

``RXCRDT_SEED`` says by which seed.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from tests.deploying.apps import IN_USE
from tests.deploying.clients import Client
from tests.deploying.deploy import Deploy
from tests.deploying.saves import populate
from tests.redis_urls import own_store
from tests.testapp.models import Book, Library, Shelf

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

SEED = int(os.environ.get("RXCRDT_SEED", "1"))
SAVES = int(os.environ.get("RXCRDT_DEPLOY_SAVES", "20"))  # of each writer, in each part


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Nothing but a nudge tells a process of what the other version has saved: nobody compares with the database
    meanwhile. Where there is a channel layer, polling would be too late."""

    redis: bool
    poll_seconds: float
    bound: float  # within how many seconds a save is to be on every client


MODES = {
    "sqlite": Mode(redis=False, poll_seconds=0.2, bound=5.0),
    "redis": Mode(redis=True, poll_seconds=60.0, bound=5.0),
}


@pytest.fixture(autouse=True)
async def no_connection_is_left(transactional_db: None) -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def mode(request: pytest.FixtureRequest) -> Mode:
    return MODES[request.param]


@pytest.fixture
def environment(
    mode: Mode, request: pytest.FixtureRequest, child_environment: dict[str, str], tmp_path: Path
) -> dict[str, str]:
    settings = {"RECONCILE_SECONDS": 600.0, "LEASE_SECONDS": 10.0, "POLL_SECONDS": mode.poll_seconds}
    found = {**child_environment, "RXCRDT_TEST_SETTINGS": json.dumps(settings)}
    if not mode.redis:
        return {**found, "RXCRDT_TEST_STORE": f"sqlite:///{tmp_path / 'store.sqlite3'}"}
    url = request.getfixturevalue("redis_url")
    return {**found, "RXCRDT_TEST_STORE": own_store(url), "RXCRDT_TEST_REDIS": url}


async def test_during_a_rolling_deploy_everybody_sees_everything(
    mode: Mode, environment: dict[str, str], tmp_path: Path
) -> None:
    library = await sync_to_async(populate)(SEED)
    async with Deploy(library, seed=SEED, bound=mode.bound, environment=environment, folder=tmp_path) as deploy:
        first, second = deploy.places
        for place in deploy.places:
            await deploy.open(place, "one", "another")

        # Nobody has the new document open yet, but a process with new code saves already.
        await deploy.write(SAVES)
        await deploy.rest()
        await deploy.assert_all_is_well()
        (old,) = deploy.heads()

        await deploy.write(1)
        await deploy.replace(first)
        await deploy.write(SAVES)
        await deploy.rest()
        await deploy.assert_all_is_well()
        (new,) = deploy.heads().keys() - {old}

        # A load balancer knows no versions.
        hopper = await deploy.open_hopper(second)
        for place in (first, second, first):
            await deploy.write(1)
            await deploy.hop(hopper, place)
            await deploy.rest()
            await deploy.assert_all_is_well()

        # One with old code saves until the end.
        await deploy.write(1)
        await deploy.replace(second)
        await deploy.write(SAVES)
        await deploy.rest()
        await deploy.assert_all_is_well()
        await deploy.verify("new")
        assert all("position" in book for client in deploy.clients for book in books(client))

        # Nobody has the old document open any more, so nobody writes it.
        for version in ("old", "new"):
            await deploy.end_writer(version)
        await deploy.start_writer("new", **{IN_USE: "1"})
        await deploy.eventually(lambda: deploy.unused_for(old) > 1, "nobody uses the old log any more")
        before = deploy.heads()
        await deploy.write(SAVES)
        await deploy.rest()
        await deploy.assert_all_is_well()
        after = deploy.heads()
        assert after[old] == before[old]
        assert after[new] != before[new]

        deploy.assert_nobody_was_late()
        print(deploy.summary)
        assert deploy.ghosts_without_kill_sets > 0, "it was not tested at all whether somebody keeps ghosts"


@pytest.mark.parametrize("mode", ["sqlite"], indirect=True)
async def test_a_worker_that_is_stopped_while_it_compares_keeps_nobody_waiting(
    mode: Mode, environment: dict[str, str], tmp_path: Path
) -> None:
    """Of a large document, which takes a while. A lease that was left behind would run for a minute."""
    library = await sync_to_async(populate)(SEED)
    await sync_to_async(fill)(library)
    async with Deploy(library, seed=SEED, bound=mode.bound, environment=environment, folder=tmp_path) as deploy:
        place, _ = deploy.places
        await deploy.open(place, "one")
        (old,) = deploy.heads()
        await deploy.end_writer("old")
        await deploy.write(1)
        await deploy.rest()
        await deploy.eventually(lambda: deploy.is_leased(old), "the worker compares")
        await deploy.stop(place)
        assert not deploy.is_leased(old)


def fill(library: Library) -> None:
    shelf = Shelf.objects.create(library=library, label="a long one")
    Book.objects.bulk_create(Book(shelf=shelf, title=str(number), pages=1) for number in range(1000))


def books(client: Client) -> list[Any]:
    return [book for shelf in client.peer.state["shelves"] for book in shelf["books"]]
