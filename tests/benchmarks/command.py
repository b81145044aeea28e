"""The command line: which sections run, where their tables go."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks import store, tracking
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import as_json, as_text
from tests.benchmarks.sections import Run, Section, Unavailable

__all__ = ["main"]

DESCRIPTION = """\
Measures {what} on real servers that it starts itself, and beside it, in the same run and in turns, what one would
compare it with. Prints tables to stdout, progress to stderr. docs/benchmarks.md tells what each section measures and
how to read the tables.
"""
SUITES = {"store": (store.SECTIONS, "the document store"), "tracking": (tracking.SECTIONS, "saves and documents")}


def main(arguments: Sequence[str]) -> int:
    """0; 1 if a section that was asked for by name could not run."""
    options = _parser().parse_args(arguments)
    sections, _ = SUITES[options.command]
    chosen = [section for section in sections if not options.only or section.name in options.only]
    found: dict[str, Any] = {"quick": options.quick, "sections": {}}
    missing = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rxcrdt-benchmarks-")))
        run = stack.enter_context(Run(folder=folder, quick=options.quick))
        for section in chosen:
            try:
                found["sections"][section.name] = _measure(run, section)
            except Unavailable as reason:
                missing += bool(options.only)
                print(f"\n## {section.name}: {section.title}\n\nNot measured: {reason}", flush=True)
        found["machine"] = describe_machine(run)
    print("\n## machine and versions\n\n" + "\n".join(f"- {line}" for line in found["machine"]))
    if options.quick:
        print("\nA quick run: it shows that everything works, not how fast it is.")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if missing else 0


def _measure(run: Run, section: Section) -> list[dict[str, Any]]:
    run.say(f"{section.name}: {section.title}")
    tables: list[dict[str, Any]] = []
    for table in section.measure(run):
        if not tables:
            print(f"\n## {section.name}: {section.title}", flush=True)
        print("\n" + as_text(table), flush=True)
        tables.append(as_json(table))
    return tables


def _parser() -> argparse.ArgumentParser:
    everything = " or ".join(what for _, what in SUITES.values())
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=DESCRIPTION.format(what=everything))
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(SUITES))
    for name, (sections, what) in SUITES.items():
        _add_suite(commands, name, sections, what)
    return parser


def _add_suite(commands: Any, name: str, sections: Sequence[Section], what: str) -> None:
    width = max(len(section.name) for section in sections)
    listed = "\n".join(f"  {section.name:<{width}} {section.title}" for section in sections)
    suite = commands.add_parser(
        name,
        help=what,
        description=f"{DESCRIPTION.format(what=what)}\nsections:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    suite.add_argument(
        "--only",
        action="append",
        choices=[section.name for section in sections],
        metavar="SECTION",
        help="measure this section only; may be given more than once",
    )
    suite.add_argument("--quick", action="store_true", help="a smoke run of some seconds: shows that everything works")
    suite.add_argument("--json", type=Path, metavar="FILE", help="write all tables there, too, with unrounded figures")
