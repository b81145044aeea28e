"""The methods with an `a` in front. They share one adapter, so a few tests stand for all."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from ydoc_store.base import DocStore
from ydoc_store.exceptions import HeadMoved, LeaseTimeout
from ydoc_store.testing.tools import DOC, PATIENCE, begin, updates_of
from ydoc_store.values import Log, Position, Size

MANY = 48  # more than the threads of asyncio's default executor


class AsyncContract:
    def test_every_method_has_an_asynchronous_twin_with_the_same_parameters(self, store: DocStore) -> None:
        kind = type(store)
        methods = {name for name in dir(DocStore) if not name.startswith("_") and callable(getattr(DocStore, name))}
        blocking = {name for name in methods if not name.startswith("a") or name in ("append", "add_rows")}
        assert methods == blocking | {f"a{name}" for name in blocking}
        for name in blocking:
            expected = list(inspect.signature(getattr(kind, name)).parameters.values())
            found = list(inspect.signature(getattr(kind, f"a{name}")).parameters.values())
            assert [(p.name, p.kind, p.default) for p in found] == [(p.name, p.kind, p.default) for p in expected]

    def test_a_log_lives_from_an_event_loop_as_it_does_from_a_thread(self, store: DocStore) -> None:
        async def live() -> None:
            lease = await store.alease(DOC, since=None, seconds=30, wait=0)
            await store.abegin(DOC, epoch=1, snapshot=b"s", rows=["row"], lease=lease.token)
            await store.aappend(DOC, b"1", expect=Position(1, 0), lease=lease.token, rows=["new"])
            with pytest.raises(HeadMoved):
                await store.aappend(DOC, b"2", expect=Position(1, 0))
            await store.aadd_rows(DOC, ["gone"])
            await store.aremove_rows(DOC, ["gone"])
            assert await store.arows(DOC) == {"row", "new"}
            assert await store.adocuments_of(["row"]) == {"row": frozenset({DOC})}
            assert [entry.update for entry in await store.asince(DOC, Position(1, 0))] == [b"1"]
            assert await store.ahead(DOC) == Position(1, 1)
            assert await store.aheads([DOC]) == {DOC: Position(1, 1)}
            await store.acompact(DOC, b"s1", at=Position(1, 1))
            assert await store.aload(DOC) == Log(epoch=1, snapshot=b"s1", at=1, entries=())
            assert await store.asize(DOC) == Size(snapshot_bytes=2, rows=2)
            assert [name async for name in store.anames()] == [DOC]
            await store.atouch([DOC])
            assert await store.ausage([DOC]) == store.usage([DOC])
            assert [name async for name in store.aunused(-3600)] == [DOC]
            assert await store.arisks() == store.risks()
            assert await store.aincarnation() == store.incarnation()
            assert await store.apulse() == store.pulse()
            moved = await store.aquarantine(DOC)
            assert list(store.names()) == [moved]
            await store.adelete(DOC)
            await store.aclose()

        asyncio.run(live())

    def test_many_tasks_that_wait_for_a_lease_do_not_keep_its_holder_from_appending(self, store: DocStore) -> None:
        begin(store)

        async def write(number: int) -> None:
            lease = await store.alease(DOC, since=Position(1, 0), seconds=60, wait=PATIENCE)
            head = lease.missed[-1].position if lease.missed else Position(1, 0)
            await store.aappend(DOC, str(number).encode(), expect=head, lease=lease.token)

        async def write_all() -> None:
            await asyncio.wait_for(asyncio.gather(*map(write, range(MANY))), 2 * PATIENCE)

        asyncio.run(write_all())
        assert sorted(map(int, updates_of(store))) == list(range(MANY))

    def test_a_cancelled_task_gives_back_the_lease_that_it_would_have_got(self, store: DocStore) -> None:
        async def cancel_and_lease() -> None:
            first = await store.alease(DOC, since=None, seconds=60, wait=0)
            waiting = asyncio.create_task(store.alease(DOC, since=None, seconds=60, wait=PATIENCE))
            with pytest.raises(LeaseTimeout):  # by then the task waits in its thread
                await store.alease(DOC, since=None, seconds=60, wait=0.3)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await store.arelease(DOC, first.token)
            await store.alease(DOC, since=None, seconds=60, wait=PATIENCE / 2)

        asyncio.run(cancel_and_lease())
