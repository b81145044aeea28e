"""``manage.py rxcrdt status``."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from rxcrdt import conf
from rxcrdt.logs import Quarantined, logs, quarantined
from rxcrdt.management import status_report as report
from rxcrdt.management.quantities import whole
from rxcrdt.management.statuses import ORDERS, Status, as_json, statuses, together
from rxcrdt.management.subcommands import NAME_HELP, Subcommand
from rxcrdt.names import LogName

__all__ = ["ShowStatus"]


class ShowStatus(Subcommand):
    """Prints what the store keeps of each document; it builds and changes nothing.

    Of each document: the schema of the code that wrote its log (with a * where nobody who runs this code opens it), the
    entries since the last snapshot, what they and the snapshot occupy, how old the snapshot is, how many rows of the
    database it shows, when it was last written, and when somebody last had it open. With --tombstones, the part of it
    that was overwritten or deleted: documents are loaded for that, which takes a while. It is always shown of a single
    document, as in `rxcrdt status board/12`.

    Logs that could not be read, and were put in quarantine, are named below, and so is what could go wrong with how the
    store's server is set up. With --json, sizes are in bytes and times in seconds since 1970.
    """

    name = "status"
    help = "print what the store keeps of each document"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help=NAME_HELP)
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
        parser.add_argument(
            "--sort",
            choices=list(ORDERS),
            default="name",
            help="what comes first: the largest, the oldest snapshot, the last written or used (default: by name)",
        )
        parser.add_argument("--limit", type=whole, metavar="N", help="print the first N documents only")
        parser.add_argument(
            "--tombstones", action="store_true", help="load every document, and show how much of it was deleted"
        )

    def run(self, options: dict[str, Any]) -> None:
        name = options["name"]
        with self.progress as progress:
            progress.say("Listing the documents of the store …")
            names = [log for log in logs(name) if Quarantined.parse(log) is None]
            aside = list(quarantined(name))
        if not names and not aside:
            self.explain_nothing(name)
        load = options["tombstones"] or options["sort"] == "tombstones" or (name is not None and "/" in name)
        found, isolated = self._look(names, load), self._look(aside, load=False)
        found.sort(key=lambda status: (ORDERS[options["sort"]](status), status.log))
        shown = found[: options["limit"]]
        if options["json"]:
            self._print_json(shown, found, isolated)
        else:
            self._print(shown, found, isolated)

    def _look(self, names: Sequence[LogName], load: bool) -> list[Status]:
        with self.progress as progress:
            looked = statuses(names, load=load)
            return [next(looked) for _ in progress.over(names, lambda log: log.document)]

    def _print(self, shown: Sequence[Status], found: Sequence[Status], aside: Sequence[Status]) -> None:
        now = time.time()
        if found:
            for line in (*report.table(shown, now), *report.remarks(shown, found)):
                self.stdout.write(line)
        else:
            self.stdout.write("There are no documents.")
        risks = (f"{risk.message} {risk.hint}" for risk in conf.store().risks())
        for line in (*report.problems(found), *report.quarantine(aside, now), *risks):
            self.stdout.write(self.style.WARNING(line))

    def _print_json(self, shown: Sequence[Status], found: Sequence[Status], aside: Sequence[Status]) -> None:
        printed = {
            "documents": [as_json(status) for status in shown],
            "totals": {"documents": len(found), **asdict(together(found))},
            "quarantined": [as_json(status) for status in aside],
            "risks": [asdict(risk) for risk in conf.store().risks()],
        }
        self.stdout.write(json.dumps(printed, indent=2, ensure_ascii=False))
