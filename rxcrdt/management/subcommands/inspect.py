"""``manage.py rxcrdt inspect board/12``."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from rxcrdt import conf, documents
from rxcrdt.denormalize import denormalize
from rxcrdt.document import Document
from rxcrdt.layout import META
from rxcrdt.management.subcommands import Subcommand
from rxcrdt.values import Json

__all__ = ["Inspect"]


class Inspect(Subcommand):
    """Prints a document as JSON: the nested state that its clients see.

    The document is printed as it is stored, without comparing it with the database (`rxcrdt verify` does that).
    If the store has none, it is built and stored, as when somebody opens it.
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
        opened = documents.open(options["document"])
        try:
            opened.catch_up()
            found = _tables(opened) if options["tables"] else _state(opened)
        finally:
            documents.close(opened)
        # The nested state keeps the serializer's order; a Y.Map has none.
        self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False, sort_keys=options["tables"]))


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
