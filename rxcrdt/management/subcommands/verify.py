"""``manage.py rxcrdt verify``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from rxcrdt.management.left_alone import LeftAlone
from rxcrdt.management.subcommands import NAME_HELP, Subcommand
from rxcrdt.verifying import Finding, Outcome, verify

__all__ = ["Verify"]


class Verify(Subcommand):
    """Compares documents in the store with what their serializers give now.

    Prints the first difference of each document that differs, and exits with 1 if there is any. On a system that is
    in use, a document counts as different only if it still is when it is looked at again a moment later.
    Documents of other tenants, of other versions of the code and in quarantine are named, and not compared.
    """

    name = "verify"
    help = "compare documents with their serializers"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help=NAME_HELP)
        parser.add_argument(
            "--fix", action="store_true", help="project what differs again; exit with 0 if that mended everything"
        )

    def run(self, options: dict[str, Any]) -> None:
        found = self.meant(options["name"])
        self._count: Counter[Outcome] = Counter()
        self._others = LeftAlone(self.stdout, "compared")
        with self.progress as progress:
            for log in progress.over(found, lambda log: log.document):
                self._report(verify(log, fix=options["fix"]))
        self._conclude()

    def _report(self, finding: Finding) -> None:
        self._count[finding.outcome] += 1
        if finding.outcome is not Outcome.EQUAL:
            self.progress.clear()
        name, detail = finding.log.document, finding.detail
        match finding.outcome:
            case Outcome.DIFFERENT:
                self.stdout.write(self.style.ERROR(f"{name} differs: {detail}"))
            case Outcome.FIXED:
                self.stdout.write(self.style.WARNING(f"{name} differed, and was projected again: {detail}"))
            case Outcome.FAILED:
                self.stdout.write(self.style.ERROR(f"{name} failed: {detail}"))
            case Outcome.NOT_OURS:
                self._others.add(finding.log, detail)

    def _conclude(self) -> None:
        self._others.conclude()
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
