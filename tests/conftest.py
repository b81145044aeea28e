"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.db import connection, connections

from tests.databases import database_url
from tests.servers import ROOT, running_redis, running_redis_cluster


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis server for this run. It is shared: use keys, or a database number, of your own."""
    with running_redis() as url:
        yield url


@pytest.fixture(scope="session")
def redis_cluster_url() -> Iterator[str]:
    """A real Redis Cluster of three nodes. It is shared: use keys of your own."""
    with running_redis_cluster() as servers:
        yield f"{servers[0].url}?cluster=true"


@pytest.fixture
def child_environment(transactional_db: None) -> dict[str, str]:
    """The environment in which a child process (`subprocess`, `running_uvicorn`) sees this test's database.

    The test's rows are committed (`transactional_db`), or nobody else could see them. A store that processes
    share is up to the test: ``{**child_environment, "RXCRDT_TEST_STORE": f"sqlite:///{path}"}``.
    """
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "RXCRDT_TEST_DATABASE": database_url(connection.settings_dict),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "demo")]),
    }


@pytest.fixture
def second(transactional_db: None) -> Iterator[str]:
    """Another way to the test's own database."""
    alias = "second"
    connections.settings[alias] = {**connections.settings["default"], "NAME": connection.settings_dict["NAME"]}
    connections[alias].connect()  # a test's connections are opened for the databases that are there when it begins
    yield alias
    connections[alias].close()
    del connections[alias]
    del connections.settings[alias]


@pytest.fixture(autouse=True)
def _own_documents(_django_db_marker: None) -> Iterator[None]:
    """Every test begins with an empty store and with no document in memory, and leaves nothing to be retried.

    What it left for the background is done before its database is emptied: the two would wait for each other's locks.
    """
    from rxcrdt import conf, documents, workers
    from rxcrdt.backlog import backlog
    from ydoc_store import open_store

    documents.forget_all()
    backlog.forget()
    with open_store(conf.settings().store) as store:
        conf.use_store(store)
        yield
        assert workers.wait_for_all(30)
        conf.use_store(None)
