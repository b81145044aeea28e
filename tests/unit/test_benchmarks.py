"""The benchmarks still run, and what they print is what they measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.benchmarks import node, store, tracking
from tests.benchmarks.command import main
from tests.benchmarks.report import Aim, Table, as_json, as_text
from tests.benchmarks.sections import Unavailable
from tests.benchmarks.timing import alternate, of_rounds, percentile, ratio, time_calls
from tests.benchmarks.workers import Measuring, WorkerEnded, Workers, in_threads

ROOT = Path(__file__).parents[2]
NAMES = {
    "store": [section.name for section in store.SECTIONS],
    "tracking": [section.name for section in tracking.SECTIONS],
}


@pytest.mark.processes
@pytest.mark.redis
@pytest.mark.parametrize("suite", NAMES)
def test_a_quick_run_measures_every_section(suite: str, tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks", suite, "--quick", "--json", str(written)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(written.read_text(encoding="utf-8"))
    not_measured = set(NAMES[suite]) - found["sections"].keys()
    assert not_measured <= {"peers"}, "it alone needs something that `make test` does not install"
    assert ("Not measured: " in run.stdout) == bool(not_measured)
    for tables in found["sections"].values():
        assert tables
        assert all(len(row) == len(table["columns"]) for table in tables for row in table["rows"])
    assert any(line.startswith("Redis ") for line in found["machine"])


@pytest.mark.parametrize("suite", NAMES)
def test_the_help_names_every_section(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([suite, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in NAMES[suite])


def test_the_page_tells_of_every_section() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == [*NAMES["store"], *NAMES["tracking"]]


def test_peers_that_are_not_installed_say_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node, "MODULES", tmp_path)
    with pytest.raises(Unavailable, match="npm ci"):
        node.check_installed()
    assert main(["store", "--quick", "--only", "peers"]) == 1, "asked for by name"
    assert "Not measured: hocuspocus is not installed. Run `npm ci`" in capsys.readouterr().out


# Timing


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []

    def call(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = alternate({name: partial(call, name) for name in "abc"}, rounds=2)
    assert "".join(calls) == "abccbaabc"
    assert found == {"a": [6, 7], "b": [5, 8], "c": [4, 9]}


def test_a_ratio_is_that_of_each_round_and_not_of_the_medians() -> None:
    ours, beside = [2.0, 20.0, 9.0], [1.0, 10.0, 3.0]
    assert ratio(ours, beside, float) == 2.0
    assert of_rounds(ours, float) / of_rounds(beside, float) == 3.0


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_half_of_three_values_are_at_most_the_middle_one() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0


def test_every_call_is_timed_by_itself() -> None:
    given: list[int] = []
    block = time_calls(given.append, [1, 2, 3], server_cpu=iter([5.0, 8.0]).__next__)
    assert given == [1, 2, 3]
    assert len(block.seconds) == 3
    assert block.server_cpu_each == 1.0


# Workers


def add(one: int, other: int) -> Measuring[int]:
    yield
    return one + other


def fail() -> Measuring[int]:
    yield
    raise RuntimeError("on purpose")


@pytest.mark.processes
def test_processes_return_what_their_tasks_return_and_serve_again() -> None:
    with Workers() as workers:
        assert workers.run([partial(add, 1, 2), partial(add, 3, 4)]) == [3, 7]
        assert workers.run([partial(add, 5, 6)]) == [11]
        with pytest.raises(WorkerEnded):
            workers.run([fail])


def test_threads_return_what_their_tasks_return() -> None:
    assert in_threads([partial(add, 1, 2), partial(add, 3, 4)]) == [3, 7]


# Tables

TABLE = Table(
    title="Speed",
    columns=["what", "µs", "calls"],
    rows=[("fast", 1.23456, 12345), ("slow", 98765.4, None)],
    aims=[Aim(text="fast, µs,", value=1.23456, limit=1.3), Aim(text="calls", value=5.0, limit=6.0, at_least=True)],
    notes=["A note."],
)


def test_a_table_is_markdown_with_its_aims_below() -> None:
    assert as_text(TABLE).splitlines() == [
        "### Speed",
        "",
        "| what |     µs |  calls |",
        "|------|-------:|-------:|",
        "| fast |   1.23 | 12,345 |",
        "| slow | 98,765 |        |",
        "",
        "- aim: fast, µs, at most 1.3: 1.23, met",
        "- aim: calls at least 6: 5, MISSED",
        "- A note.",
    ]


def test_a_table_as_json_keeps_its_figures_unrounded() -> None:
    found = json.loads(json.dumps(as_json(TABLE)))
    assert found["rows"][0] == ["fast", 1.23456, 12345]
    assert [aim["met"] for aim in found["aims"]] == [True, False]
