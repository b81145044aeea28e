"""``manage.py rxcrdt verify``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from rxcrdt import conf
from rxcrdt.management.subcommands import Subcommand
from rxcrdt.names import LogName
from rxcrdt.verifying import Finding, Outcome, logs, verify

__all__ = ["Verify"]


class Verify(Subcommand):
    """Compares documents in the store with what their serializers give now.

    Prints the first difference of each document that differs, and exits with 1 if there is any. On a system that is
    in use, a document counts as different only if it still is when it is looked at again a moment later.
    Documents of other tenants and of other versions of the code are named, and not compared.
    """

    name = "verify"
    help = "compare documents with their serializers"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument(
            "name", nargs="?", help="a document (board/12) or an anchor (board); all that the store has, if left out"
        )
        parser.add_argument(
            "--fix", action="store_true", help="project what differs again; exit with 0 if that mended everything"
        )

    def run(self, options: dict[str, Any]) -> None:
        found = list(logs(options["name"]))
        if not found:
            self._nothing(options["name"])
        self._count: Counter[Outcome] = Counter()
        self._others: Counter[str] = Counter()
        for number, log in enumerate(found, 1):
            self._progress(number, len(found), log)
            finding = verify(log, fix=options["fix"])
            self._clear_progress()
            self._report(finding)
        self._conclude()

    def _nothing(self, name: str | None) -> None:
        if name is not None and "/" in name:
            raise CommandError(
                f"The store has no document {name}: nobody has opened it yet. Whoever does builds it from the database."
            )
        if not conf.store().shared:
            self.stderr.write(
                "RXCRDT['STORE'] is in the memory of each process: this one sees none of the others' documents."
            )

    # What it says

    def _progress(self, number: int, total: int, log: LogName) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{number}/{total} {log.document}", str, ending="")  # str: no error, not in red
            self.stderr.flush()

    def _clear_progress(self) -> None:
        if self.stderr.isatty():
            self.stderr.write("\r\x1b[K", str, ending="")

    def _report(self, finding: Finding) -> None:
        self._count[finding.outcome] += 1
        name, detail = finding.log.document, finding.detail
        match finding.outcome:
            case Outcome.DIFFERENT:
                self.stdout.write(self.style.ERROR(f"{name} differs: {detail}"))
            case Outcome.FIXED:
                self.stdout.write(self.style.WARNING(f"{name} differed, and was projected again: {detail}"))
            case Outcome.FAILED:
                self.stdout.write(self.style.ERROR(f"{name} failed: {detail}"))
            case Outcome.NOT_OURS:
                self._others[detail] += 1
                if self._others[detail] == 1:
                    self.stdout.write(f"{name} is not compared: it is {detail}.")

    def _conclude(self) -> None:
        for reason, number in self._others.items():
            if number > 1:
                self.stdout.write(f"{number} documents {reason} are not compared.")
        words = {
            Outcome.EQUAL: "equal",
            Outcome.DIFFERENT: "different",
            Outcome.FIXED: "mended",
            Outcome.FAILED: "failed",
        }
        parts = [f"{self._count[outcome]} {word}" for outcome, word in words.items() if self._count[outcome]]
        self.stdout.write(f"Compared: {', '.join(parts) or 'nothing'}.")
        if self._count[Outcome.FAILED]:
            raise CommandError("Some documents could not be compared or mended: see docs/failures.md.")
        if self._count[Outcome.DIFFERENT]:
            raise CommandError(
                "Run it with --fix to project again what differs: see docs/failures.md for what led to it."
            )
