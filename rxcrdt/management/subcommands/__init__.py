"""The parts of ``manage.py rxcrdt``, one a module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from rxcrdt import conf
from rxcrdt.logs import logs
from rxcrdt.management.progress import Progress
from rxcrdt.names import LogName

__all__ = ["NAME_HELP", "Subcommand"]

NAME_HELP: Final = "a document (board/12) or an anchor (board); all that the store has, if left out"


class Subcommand(ABC):
    """``manage.py rxcrdt <name>``. ``help`` is its line in the list, its docstring what ``--help`` explains."""

    name: ClassVar[str]
    help: ClassVar[str]

    def __init__(self, command: BaseCommand) -> None:
        self.stdout = command.stdout
        self.stderr = command.stderr
        self.style = command.style
        self.progress = Progress(command.stderr)

    @classmethod
    @abstractmethod
    def add_arguments(cls, parser: CommandParser) -> None: ...

    @abstractmethod
    def run(self, options: dict[str, Any]) -> None:
        """Raises CommandError with a sentence. Errors of rxcrdt and of its store become one."""

    def meant(self, name: str | None) -> list[LogName]:
        """The logs of a document, of an anchor or of everybody; says so where there are none."""
        with self.progress as progress:
            progress.say("Listing the documents of the store …")
            found = list(logs(name))
        if not found:
            self.explain_nothing(name)
        return found

    def explain_nothing(self, name: str | None) -> None:
        if name is not None and "/" in name:
            raise CommandError(
                f"The store has no document {name}: nobody has opened it yet. Whoever does builds it from the database."
            )
        if not conf.store().shared:
            self.stderr.write(
                "RXCRDT['STORE'] is in the memory of each process: this one sees none of the others' documents."
            )
