"""One `append` with an expected head, beside the `XADD` of the same bytes and a write that waits for the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial

from tests.benchmarks.bare import Client, connect, cpu_of
from tests.benchmarks.logs import UPDATE, begin
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run, Section
from tests.benchmarks.timing import Block, alternate, of_rounds, ratio, time_calls
from ydoc_store import DocStore, open_store

__all__ = ["SECTION"]

XADD = "XADD: redis.Redis().xadd()"
DISK = "4 KiB of a file written over, fdatasync"


def measure(run: Run) -> Iterator[Table]:
    calls, rounds = run.choose(500, 20), run.choose(20, 2)
    with ExitStack() as stack:
        client = stack.enter_context(closing(connect(run.redis)))
        contestants = {
            name: partial(time_calls, call, [UPDATE] * calls, server_cpu=cpu_of(client))
            for name, call in {**_stores(run, stack), **_bare(client), DISK: _disk(run, stack)}.items()
        }
        run.say(f"append: {rounds + 1} rounds of {calls} calls for each of {len(contestants)}")
        yield _table(alternate(contestants, rounds=rounds), calls)


def _stores(run: Run, stack: ExitStack) -> dict[str, Callable[[bytes], object]]:
    urls = {"memory": "memory://", "SQLite": run.sqlite("append"), "Redis": run.redis}
    return {name: _appending(stack.enter_context(open_store(url))) for name, url in urls.items()}


def _appending(store: DocStore) -> Callable[[bytes], object]:
    head = begin(store, "append")

    def append(update: bytes) -> None:
        nonlocal head
        head = store.append("append", update, expect=head)

    return append


def _bare(client: Client) -> dict[str, Callable[[bytes], object]]:
    """As one calls it; with the least of redis-py around it; and over a connection that nobody else may use."""
    connection = client.connection_pool.get_connection()

    def held(update: bytes) -> None:
        connection.send_command("XADD", b"held", b"*", b"u", update)
        connection.read_response()

    return {
        XADD: lambda update: client.xadd("xadd", {b"u": update}),
        "XADD: redis.Redis().execute_command()": lambda update: client.execute_command(
            "XADD", b"execute", b"*", b"u", update
        ),
        "XADD: on one connection, by hand": held,
    }


def _disk(run: Run, stack: ExitStack) -> Callable[[bytes], object]:
    """What waiting for the disk costs at least: no file grows."""
    file = stack.enter_context((run.folder / "written-over").open("w+b", buffering=0))
    page = UPDATE + bytes(4096 - len(UPDATE))
    file.write(page)
    os.fsync(file.fileno())

    def write(_: bytes) -> None:
        os.pwrite(file.fileno(), page, 0)
        getattr(os, "fdatasync", os.fsync)(file.fileno())

    return write


def _table(blocks: dict[str, list[Block]], calls: int) -> Table:
    bare = blocks[XADD]
    rows = [
        (
            name,
            of_rounds(found, lambda block: block.at(50)) * 1e6,
            of_rounds(found, lambda block: block.at(99)) * 1e6,
            of_rounds(found, lambda block: block.cpu_each) * 1e6,
            of_rounds(found, lambda block: block.server_cpu_each) * 1e6 if _uses_redis(name) else None,
            ratio(found, bare, lambda block: block.at(50)),
            ratio(found, bare, lambda block: block.at(99)),
            ratio(found, bare, lambda block: block.cpu_each + block.server_cpu_each) if _uses_redis(name) else None,
        )
        for name, found in blocks.items()
    ]
    aim = Aim(
        text="append in Redis, p50, in XADDs (redis.Redis().xadd())",
        value=ratio(blocks["Redis"], bare, lambda block: block.at(50)),
        limit=1.3,
    )
    columns = [
        "one writer, 60 bytes",
        "p50 µs",
        "p99 µs",
        "CPU µs",
        "server's CPU µs",
        "p50 / XADD",
        "p99 / XADD",
        "all CPU / XADD",
    ]
    notes = [
        f"Medians of {len(bare)} rounds of {calls} calls, in turns. The ratios are medians of each round's ratio.",
        "SQLite waits for the disk (synchronous=FULL), Redis does not.",
    ]
    return Table(title="Append with an expected head", columns=columns, rows=rows, aims=[aim], notes=notes)


def _uses_redis(name: str) -> bool:
    return name == "Redis" or name.startswith("XADD")


SECTION = Section(name="append", title="one append with an expected head, beside XADD", measure=measure)
