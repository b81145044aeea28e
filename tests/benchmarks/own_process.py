"""Sections that need Django: each in a process of its own, with a database of its own in this run's PostgreSQL."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Aim, Table, as_json
from tests.benchmarks.sections import Run, Section
from tests.benchmarks.workers import Measuring

__all__ = ["django_section", "main", "start_django"]

ROOT = Path(__file__).resolve().parents[2]


def django_section(*, name: str, title: str, module: str) -> Section:
    """A section whose tables the function ``measure`` of ``tests.benchmarks.<module>`` gives."""

    def measure(run: Run) -> Iterator[Table]:
        written = run.folder / f"{name}.json"
        command = [sys.executable, "-m", "tests.benchmarks.own_process", module, "--json", str(written)]
        subprocess.run([*command, *run.choose([], ["--quick"])], cwd=ROOT, env=_environment(run, module), check=True)
        for found in json.loads(written.read_text(encoding="utf-8")):
            aims = [Aim(**{key: value for key, value in aim.items() if key != "met"}) for aim in found.pop("aims")]
            yield Table(**found, aims=aims)

    return Section(name=name, title=title, measure=measure)


def _environment(run: Run, module: str) -> dict[str, str]:
    """An empty database, an empty store, and the channel layer that processes with sockets have."""
    from tests.benchmarks.bare import connect

    with closing(connect(run.redis)) as client:
        client.flushall()
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "RXCRDT_TEST_DATABASE": _new_database(run.postgresql, module),
        "RXCRDT_TEST_STORE": run.redis,
        "RXCRDT_TEST_REDIS": run.redis,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "demo")]),
    }


def _new_database(server: str, name: str) -> str:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{server.rpartition('/')[0]}/{name}"


def main(arguments: list[str]) -> int:
    """The command of that process: makes the tables and measures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.own_process", description=__doc__)
    parser.add_argument("module")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args(arguments)
    from django.core.management import call_command

    next(start_django())
    call_command("migrate", run_syncdb=True, verbosity=0)
    measured: Any = importlib.import_module(f"tests.benchmarks.{options.module}")
    with (
        tempfile.TemporaryDirectory(prefix="rxcrdt-tracking-") as folder,
        Run(folder=Path(folder), quick=options.quick) as run,
    ):
        tables = [as_json(table) for table in measured.measure(run)]
    options.json.write_text(json.dumps(tables), encoding="utf-8")
    return 0


def start_django() -> Measuring[None]:
    """Also the first task of a worker whose further tasks need Django."""
    import django

    django.setup()
    yield


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main(sys.argv[1:]))
