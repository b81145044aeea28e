"""Tenants whose rows have the same keys: each document shows those of its own tenant, whichever thread reads them.

The test's thread is a request's, which knows its tenant. The threads of rxcrdt know none until they are told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import override_settings

from rxcrdt import conf, deploys, documents, workers
from rxcrdt.backlog import backlog
from rxcrdt.exceptions import ConfigurationError, Refused
from rxcrdt.lobby import socket_limits
from rxcrdt.names import LogName
from rxcrdt.rooms import Room
from rxcrdt.snapshots import snapshot
from rxcrdt.testing import Client
from tests.conditions import until
from tests.interposing import Interposed
from tests.oracle.following import Follower
from tests.tenancy import as_tenant, second_tenant, tenant
from tests.testapp.models import Library, Shelf
from ydoc_store import StoreUnavailable

pytestmark = pytest.mark.django_db(transaction=True)

KEY = 12
DOCUMENT = f"library/{KEY}"


def settings(**more: Any) -> Any:
    given = {"STORE": "memory://", "NAMESPACE": tenant, "IN_NAMESPACE": as_tenant, "RETRY_SECONDS": 0.01}
    return override_settings(RXCRDT={**given, **more})


@pytest.fixture(autouse=True)
def _tenants(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """Two libraries of one key, and more of it: nobody's is read where acme's is meant, and the test would see it."""
    with ExitStack() as stack:
        stack.enter_context(second_tenant("acme", tmp_path))
        stack.enter_context(settings())
        for name in ("", "acme"):
            with as_tenant(name):
                library = Library.objects.create(pk=KEY, name=f"of {name or 'nobody'}")
                Shelf.objects.create(library=library, label=f"of {name or 'nobody'}")
        yield
        assert workers.wait_for_background(10)


@pytest.fixture
def follower() -> Iterator[Follower]:
    """Somebody who has acme's document open."""
    with as_tenant("acme"):
        follower = Follower(DOCUMENT)
    assert shown(follower) == ("of acme", "of acme")
    yield follower
    follower.close()


def shown(follower: Follower) -> tuple[object, object]:
    state: Any = follower.state
    return state["title"], state["shelves"][0]["label"]


def change(name: str, *, tell: bool = False) -> None:
    """Acme's library gets a name. Without ``tell``, as another process would do it."""
    with as_tenant("acme"):
        if tell:
            library = Library.objects.get(pk=KEY)
            library.name = name
            library.save()
        else:
            Library.objects.filter(pk=KEY).update(name=name)


def in_background(do: Callable[[], object]) -> None:
    workers.in_background("", do)
    assert workers.wait_for_background(10)


def _nudge(follower: Follower) -> None:
    deploys.nudge(follower.document.log)
    follower.document.catch_up()


def _lose(follower: Follower) -> None:
    conf.store().delete(follower.document.log)
    follower.document.catch_up()


def _in_thread(do: Callable[[], object]) -> None:
    thread = threading.Thread(target=do)
    thread.start()
    thread.join(10)


WAYS: dict[str, Callable[[Follower], object]] = {
    "a nudge": _nudge,
    "a room": lambda follower: Room(follower.document, limits=socket_limits()).reconcile(lambda: None),
    "a comparison": lambda follower: in_background(follower.document.reconcile),
    "a rebuild": lambda follower: in_background(follower.document.rebuild),
    "all that is open": lambda follower: in_background(documents.reconcile_kept),
    "a lost log": _lose,
    "a thread of nobody": lambda follower: _in_thread(follower.document.reconcile),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_read_outside_of_a_request_is_the_tenants(way: str, follower: Follower) -> None:
    change("later")
    WAYS[way](follower)
    assert workers.wait_for_background(10)
    assert shown(follower) == ("later", "of acme")
    assert not follower.is_gone
    assert tenant() == "", "and this thread is what it was"


def test_a_save_concerns_the_document_of_its_tenant(follower: Follower) -> None:
    library = Library.objects.get(pk=KEY)
    library.name = "of nobody, later"
    library.save()
    assert workers.wait_for_background(10)
    assert shown(follower) == ("of acme", "of acme")
    change("later", tell=True)
    assert shown(follower) == ("later", "of acme")
    assert snapshot("library", KEY)["title"] == "of nobody, later"


def test_so_does_one_that_another_thread_shows(follower: Follower) -> None:
    with settings(INLINE=False):
        change("later", tell=True)
        assert workers.wait_for_background(10)
    assert shown(follower) == ("later", "of acme")


@pytest.mark.parametrize("call", ["documents_of", "lease"])
def test_so_does_one_that_is_tried_again(call: str, follower: Follower) -> None:
    """Before it was known whose it is, and after."""
    store = Interposed(conf.store())
    conf.use_store(store)  # type: ignore[arg-type]

    def unavailable() -> None:
        raise StoreUnavailable("gone for a moment")

    store.before(call, unavailable)
    change("later", tell=True)
    assert store.done
    until(backlog.is_empty)
    assert shown(follower) == ("later", "of acme")


async def test_a_socket_reads_what_its_tenant_has() -> None:
    """In threads that serve sockets of all tenants. Its log is lost meanwhile, and read again in one of them."""

    def prepare() -> User:
        with as_tenant("acme"):
            Library.objects.create(pk=KEY + 1, name="acme's alone")
            return User.objects.create(username="ada")

    user = await sync_to_async(prepare)()
    async with Client(f"library/{KEY + 1}", user=user, namespace="acme") as client:
        assert client.state is not None
        assert client.state["title"] == "acme's alone"
        (log,) = conf.store().names()
        assert LogName.parse(log).namespace == "acme"
        await sync_to_async(conf.store().delete)(log)
        await client.settle()
        assert client.state["title"] == "acme's alone"
    with pytest.raises(Refused) as refused:
        async with Client(f"library/{KEY + 1}", user=user):
            pass
    assert refused.value.code == 4404


def test_a_context_that_names_the_tenant_is_not_taken_for_a_connection_that_knows_it(follower: Follower) -> None:
    """Our threads are given a socket's context, and have connections of their own."""
    named: ContextVar[str] = ContextVar("named", default="")
    change("later")
    with settings(NAMESPACE=lambda: named.get() or tenant()):
        context = copy_context()
        context.run(named.set, "acme")
        context.run(workers.submit, follower.document.reconcile).result(10)
    assert shown(follower) == ("later", "of acme")


class Router:
    """As of a project whose tenants have databases of their own."""

    def __init__(self) -> None:
        self.asked_as: set[str] = set()

    def db_for_write(self, model: type[Model], **hints: object) -> str:
        self.asked_as.add(tenant())
        return "default"


def test_routers_are_asked_as_the_tenant(follower: Follower) -> None:
    router = Router()
    change("later")
    with override_settings(DATABASE_ROUTERS=[router]):
        in_background(follower.document.reconcile)
        in_background(follower.document.rebuild)
    assert router.asked_as == {"acme"}
    assert shown(follower) == ("later", "of acme")


@pytest.mark.parametrize("hook", [None, lambda name: nullcontext(), lambda name: as_tenant("")])
def test_where_the_project_does_not_see_to_it_nothing_is_read(hook: Any, follower: Follower) -> None:
    change("later")
    with settings(IN_NAMESPACE=hook):
        for do in (follower.document.reconcile, follower.document.rebuild):
            with pytest.raises(ConfigurationError, match="IN_NAMESPACE"):
                do()
    assert shown(follower) == ("of acme", "of acme")


def test_in_the_tenants_own_threads_no_hook_is_needed(follower: Follower) -> None:
    with settings(IN_NAMESPACE=None):
        change("later", tell=True)
        assert shown(follower) == ("later", "of acme")


def test_the_hook_may_be_a_path(follower: Follower) -> None:
    change("later")
    with settings(IN_NAMESPACE="tests.tenancy.as_tenant"):
        follower.document.reconcile()
    assert shown(follower) == ("later", "of acme")
