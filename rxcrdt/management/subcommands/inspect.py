"""``manage.py rxcrdt inspect board/12``."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from rxcrdt import conf, documents
from rxcrdt.denormalize import denormalize
from rxcrdt.document import Document
from rxcrdt.layout import META
from rxcrdt.logs import Quarantined
from rxcrdt.management.autopsies import autopsy
from rxcrdt.management.subcommands import Subcommand
from rxcrdt.names import LogName
from rxcrdt.values import Json

__all__ = ["Inspect"]


class Inspect(Subcommand):
    """Prints a document as JSON: the nested state that its clients see.

    The document is printed as it is stored, without comparing it with the database (`rxcrdt verify` does that).
    If the store has none, it is built and stored, as when somebody opens it.

    Of a log in quarantine, whose name `rxcrdt status` prints, it says which part of it cannot be read, and why.
    """

    name = "inspect"
    help = "print a document as JSON"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("document", help="its name: the anchor's, a slash and the lookup value, as in board/12")
        parser.add_argument(
            "--tables",
            action="store_true",
            help="print the tables that it consists of, its position in the log and its size: see docs/layout.md",
        )

    def run(self, options: dict[str, Any]) -> None:
        aside = Quarantined.parse(LogName.parse(options["document"]))
        if aside is not None:
            self._print(autopsy(aside, options["document"]))
            return
        opened = documents.open(options["document"])
        try:
            opened.catch_up()
            found = _tables(opened) if options["tables"] else _state(opened)
        finally:
            documents.close(opened)
        # The nested state keeps the serializer's order; a Y.Map has none.
        self._print(found, sort_keys=options["tables"])

    def _print(self, found: Json, *, sort_keys: bool = False) -> None:
        self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False, sort_keys=sort_keys))


def _state(document: Document) -> Json:
    state = denormalize(*document.content())
    if state is None:
        raise CommandError(f"The row of {document.name} does not exist any more: the document is empty.")
    return state


def _tables(document: Document) -> Json:
    content, meta = document.content()
    position, size = document.position, conf.store().size(document.log)
    assert position is not None
    return {
        "log": document.log,
        "position": {"epoch": position.epoch, "sequence": position.sequence},
        "size": {
            "entries": size.entries,
            "entry_bytes": size.entry_bytes,
            "snapshot_bytes": size.snapshot_bytes,
            "rows": size.rows,
        },
        "roots": {META: meta, **content},
    }
