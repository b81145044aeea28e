"""``manage.py seed``: fills the database with people and boards."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from boards.models import Board
from boards.seeding.planting import PASSWORD, plant


class Command(BaseCommand):
    """Fills an empty database with a few hundred believable rows: the same ones every time."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds ``--if-empty``."""
        parser.add_argument("--if-empty", action="store_true", help="do nothing if there are boards already")

    def handle(self, *args: Any, if_empty: bool, **options: Any) -> None:
        """Plants everything in one transaction."""
        if Board.objects.exists():
            if if_empty:
                return
            raise CommandError("There are boards already. Seed an empty database: remove demo/var first.")
        rows = plant(timezone.now().replace(microsecond=0))
        self.stdout.write(f"Seeded {rows} rows. Everybody's password is {PASSWORD!r}.")
