"""``manage.py rxcrdt compact``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from rxcrdt import conf
from rxcrdt.document import Document
from rxcrdt.exceptions import DocumentGone
from rxcrdt.management.for_each import FAILED, for_each
from rxcrdt.management.quantities import in_bytes, several
from rxcrdt.management.subcommands import NAME_HELP, Subcommand

__all__ = ["Compact"]

DONE: Final = "compacted"
ASIDE: Final = "in quarantine"


class Compact(Subcommand):
    """Folds the logs of documents into their snapshots now.

    Processes do so by themselves whenever a log has grown: this is for a moment of your own choice, as before a backup
    or when the store runs full. Nothing that anybody sees changes, and it may run while the project serves. A document
    that has more overwritten values in it than others begins anew, without them.

    A document that fails is named, and the others are compacted; it exits with 1 then. Documents of other tenants and
    of other versions of the code are named, and left alone.
    """

    name = "compact"
    help = "fold logs into their snapshots"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help=NAME_HELP)

    def run(self, options: dict[str, Any]) -> None:
        before = after = 0

        def compact(document: Document) -> str:
            nonlocal before, after
            occupied = _occupied(document)
            with suppress(DocumentGone):  # folded, and nothing to begin anew
                document.compact()
            if conf.store().head(document.log) is None:
                return ASIDE
            before, after = before + occupied, after + _occupied(document)
            return DONE

        count = for_each(self, options["name"], "compacted", compact)
        if count[DONE]:
            done = several(count[DONE])
            self.stdout.write(f"Compacted: {done}, {in_bytes(before)} before, {in_bytes(after)} after.")
        else:
            self.stdout.write("Compacted: nothing.")
        if count[ASIDE]:
            self.stdout.write(
                f"{several(count[ASIDE])} could not be read, and {'is' if count[ASIDE] == 1 else 'are'} in quarantine: "
                "see `rxcrdt status`. Whoever opens one builds it from the database."
            )
        if count[FAILED]:
            raise CommandError("Some documents could not be compacted: see docs/failures.md.")


def _occupied(document: Document) -> int:
    size = conf.store().size(document.log)
    return size.entry_bytes + size.snapshot_bytes
