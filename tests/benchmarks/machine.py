"""What the figures were measured on. No names of machines, no paths."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks.bare import connect
from tests.benchmarks.sections import Run

__all__ = ["describe_machine"]

PACKAGES = ("pycrdt", "redis", "hiredis", "Django", "djangorestframework", "psycopg", "channels_redis")


def describe_machine(run: Run) -> list[str]:
    return list(_lines(run))


def _lines(run: Run) -> Iterator[str]:
    yield f"{_processor()}, {_cores()} cores, {_memory()}, {platform.system()} {_release()}"
    yield f"load average before the run {run.load_before:.1f}, at its end {os.getloadavg()[0]:.1f}, with its own"
    yield f"files on {_file_system(run.folder)}"
    yield f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    yield ", ".join(_packages())
    client = connect(run.redis)
    yield f"Redis {client.info('server')['redis_version']}, over TCP on the same machine, nothing written to disk"
    client.close()
    if run.has_postgresql:
        yield f"PostgreSQL {_postgresql_version(run.postgresql)}, over TCP on the same machine, fsync on"
    if node := shutil.which("node"):
        yield f"Node {_output(node, '--version').removeprefix('v')}"


def _processor() -> str:
    with suppress(OSError):
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _release() -> str:
    """The kernel's version, without what its builder called it."""
    found = re.match(r"[\d.]+\d", platform.release())
    return found[0] if found else ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`, the deepest mount of its parents."""
    with suppress(OSError):
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
        holding = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
        return max(holding)[1]
    return "a file system that this platform does not name"


def _postgresql_version(url: str) -> str:
    import psycopg

    with psycopg.connect(url) as connection:
        number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


def _packages() -> Iterator[str]:
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
