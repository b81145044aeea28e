"""The parts of ``manage.py rxcrdt``, one a module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandParser

__all__ = ["Subcommand"]


class Subcommand(ABC):
    """``manage.py rxcrdt <name>``. ``help`` is its line in the list, its docstring what ``--help`` explains."""

    name: ClassVar[str]
    help: ClassVar[str]

    def __init__(self, command: BaseCommand) -> None:
        self.stdout = command.stdout
        self.stderr = command.stderr
        self.style = command.style

    @classmethod
    @abstractmethod
    def add_arguments(cls, parser: CommandParser) -> None: ...

    @abstractmethod
    def run(self, options: dict[str, Any]) -> None:
        """Raises CommandError with a sentence. Errors of rxcrdt and of its store become one."""
