"""``manage.py rxcrdt rebuild``."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from rxcrdt.document import Document
from rxcrdt.exceptions import DocumentGone
from rxcrdt.management.for_each import FAILED, for_each
from rxcrdt.management.progress import Pace
from rxcrdt.management.quantities import above_zero
from rxcrdt.management.subcommands import Subcommand

__all__ = ["Rebuild"]

RATE: Final = 20.0  # documents a second

WHICH: Final = (
    "Say which documents: `rxcrdt rebuild board/12` for one, `rxcrdt rebuild board` for those of an anchor, "
    "`rxcrdt rebuild --all` for every one that the store has."
)


class Rebuild(Subcommand):
    """Projects documents from the database anew, whatever the store has of them.

    To be run after the database was restored from a backup, or when the store is not trusted for whatever reason.
    Pages that are open get the new content as one update, without reconnecting. Documents whose row does not exist any
    more are emptied. It may run while the project serves, and again whenever it was interrupted.

    A document that fails is named, and the others are rebuilt; it exits with 1 then. Documents of other tenants and of
    other versions of the code are named, and left alone: run it as that tenant, or with that code.
    """

    name = "rebuild"
    help = "project documents from the database anew"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="a document (board/12) or an anchor (board)")
        parser.add_argument("--all", action="store_true", help="every document that the store has")
        parser.add_argument(
            "--rate",
            type=above_zero,
            default=RATE,
            metavar="N",
            help=f"at most so many documents a second, to spare the database (default: {RATE:g})",
        )

    def run(self, options: dict[str, Any]) -> None:
        if (options["name"] is None) != options["all"]:
            raise CommandError(WHICH)
        pace = Pace(options["rate"])

        def rebuild(document: Document) -> str:
            pace.wait()
            try:
                document.rebuild()
            except DocumentGone:
                return "without a row"
            return "rebuilt"

        count = for_each(self, options["name"], "rebuilt", rebuild)
        parts = [f"{number:,} {what}" for what, number in sorted(count.items())]
        self.stdout.write(f"Projected anew: {', '.join(parts) or 'nothing'}.")
        if count[FAILED]:
            raise CommandError(
                "Some documents could not be rebuilt, and are as they were: see docs/failures.md, and run it again for "
                "them."
            )
