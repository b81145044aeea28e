"""``manage.py rxcrdt``: looking at documents and after them."""

from __future__ import annotations

import inspect
from argparse import SUPPRESS
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from rxcrdt.exceptions import RxcrdtError
from rxcrdt.management.subcommands import Subcommand
from rxcrdt.management.subcommands.compact import Compact
from rxcrdt.management.subcommands.evict import Evict
from rxcrdt.management.subcommands.inspect import Inspect
from rxcrdt.management.subcommands.rebuild import Rebuild
from rxcrdt.management.subcommands.status import ShowStatus
from rxcrdt.management.subcommands.verify import Verify
from ydoc_store import StoreError

__all__ = ["Command"]

SUBCOMMANDS: dict[str, type[Subcommand]] = {
    kind.name: kind for kind in (ShowStatus, Inspect, Verify, Rebuild, Compact, Evict)
}

INTERRUPTED = "Interrupted. What was done so far stays done; run it again for the rest."


class Command(BaseCommand):
    """Finds the subcommand, and makes one sentence of what it raises."""

    help = "Look at the documents that rxcrdt keeps, and after them."

    def add_arguments(self, parser: CommandParser) -> None:
        parts = parser.add_subparsers(dest="subcommand", metavar="subcommand", required=True)
        for name, kind in SUBCOMMANDS.items():
            part = parts.add_parser(name, help=kind.help, description=inspect.getdoc(kind))
            kind.add_arguments(part)
            _add_general_options(part)

    def handle(self, *_: Any, subcommand: str, **options: Any) -> None:
        try:
            SUBCOMMANDS[subcommand](self).run(options)
        except (RxcrdtError, StoreError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError(INTERRUPTED, returncode=130) from error


def _add_general_options(parser: CommandParser) -> None:
    """Django takes its own options before the subcommand only; people write them behind it."""
    parser.add_argument("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=SUPPRESS)
    for option in ("--settings", "--pythonpath"):
        parser.add_argument(option, default=SUPPRESS, help=SUPPRESS)
    for flag in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(flag, action="store_true", default=SUPPRESS, help=SUPPRESS)
