"""``manage.py rxcrdt evict``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from rxcrdt import conf, retention
from rxcrdt.logs import Quarantined, logs, quarantined
from rxcrdt.management.left_alone import LeftAlone
from rxcrdt.management.quantities import duration, in_bytes, in_words, seconds_of, several
from rxcrdt.management.subcommands import NAME_HELP, Subcommand
from rxcrdt.names import LogName
from rxcrdt.verifying import sentence
from ydoc_store import CorruptStore, StoreError, StoreUnavailable

__all__ = ["Evict"]

WITH_TEXT: Final = "of an anchor with writable text, which RXCRDT['EVICT_TEXT'] does not let go"


class Evict(Subcommand):
    """Deletes the logs of documents that nobody has had open for a while.

    Nothing is lost: whoever opens such a document builds it from the database, and a browser that was offline since
    gets what it lacks. Processes that serve pages do so by themselves, once an hour: this is for a moment of your own
    choice, as when the store runs full. Documents of all tenants and of all versions of the code are evicted, and those
    in quarantine; not those with writable text, unless RXCRDT["EVICT_TEXT"] says so.
    """

    name = "evict"
    help = "delete the logs of documents that nobody has open"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help=NAME_HELP)
        parser.add_argument(
            "--older-than",
            type=seconds_of,
            metavar="DURATION",
            help="how long nobody had them open, as 7d, 12h, 30m or 45s (default: RXCRDT['RETENTION_SECONDS'])",
        )
        parser.add_argument("--dry-run", action="store_true", help="print what would be evicted, and evict nothing")

    def run(self, options: dict[str, Any]) -> None:
        seconds, name, dry = options["older_than"], options["name"], options["dry_run"]
        if seconds is None:
            seconds = conf.settings().retention_seconds
        if seconds < retention.IN_USE_SECONDS:
            self.stderr.write(
                f"Open documents are marked as used once in {duration(retention.TOUCH_SECONDS)}: some that are unused "
                f"for {in_words(seconds)} may be open. Whoever has one open gets it anew, as one update."
            )
        with self.progress as progress:
            progress.say("Looking for documents that nobody has open …")
            found = _unused(seconds) if name is None else self._unused_of(name, seconds)
        self._count: Counter[str] = Counter()
        self._others = LeftAlone(self.stdout, "evicted")
        with self.progress as progress:
            for log in progress.over(found, lambda log: log.document):
                self._evict(log, seconds, dry)
        self._conclude(seconds, dry)

    def _unused_of(self, name: str, seconds: float) -> list[LogName]:
        """Those of one document or anchor. Says when a document was used that is not unused for so long."""
        found = [*logs(name), *quarantined(name)]
        if not found:
            self.explain_nothing(name)
        used = _last_used(found)
        now = time.time()
        for log in found:
            if log.document == name and now - used[log] < seconds:
                self.stdout.write(f"{name} was open {duration(now - used[log])} ago, and stays.")
        return [log for log in found if now - used[log] >= seconds]

    def _evict(self, log: LogName, seconds: float, dry: bool) -> None:
        if not retention.may_be_evicted(log):
            self.progress.clear()
            self._others.add(log, WITH_TEXT)
            return
        size = _occupied(log)
        try:
            if not dry and not retention.evict(log, unused_for=seconds):
                return  # somebody opened it a moment ago
        except StoreUnavailable:
            raise
        except StoreError as error:
            self.progress.clear()
            self.stdout.write(self.style.ERROR(f"{log.document} failed: {sentence(error)}"))
            self._count["failed"] += 1
            return
        if dry:
            self.progress.clear()
            self.stdout.write(f"{log.document}{_described(log)}: {in_bytes(size)}")
        self._count.update(documents=1, bytes=size)

    def _conclude(self, seconds: float, dry: bool) -> None:
        self._others.conclude()
        what = f"{several(self._count['documents'])}, {in_bytes(self._count['bytes'])}"
        if not self._count["documents"]:
            what = f"nothing (unused for {in_words(seconds)} or longer)"
        self.stdout.write(f"{'Would be evicted' if dry else 'Evicted'}: {what}.")
        if not self._count["documents"] and not conf.store().shared:
            self.explain_nothing(None)
        if self._count["failed"]:
            raise CommandError("Some documents could not be evicted, and are as they were: see docs/failures.md.")


def _unused(seconds: float) -> list[LogName]:
    """Of everybody; only those that rxcrdt named."""
    names = sorted(conf.store().unused(seconds))
    return [log for name in names if str(log := LogName.parse(name)) == name]


def _last_used(found: Sequence[LogName]) -> dict[LogName, float]:
    """Unix seconds; 0 where nobody can tell, as the store counts them, too."""
    usage = conf.store().usage([str(log) for log in found])
    return {
        log: known.used if (known := usage.get(str(log))) else (aside.at if (aside := Quarantined.parse(log)) else 0.0)
        for log in found
    }


def _occupied(log: LogName) -> int:
    try:
        size = conf.store().size(str(log))
    except CorruptStore:  # nobody can count it
        return 0
    return size.entry_bytes + size.snapshot_bytes


def _described(log: LogName) -> str:
    aside = Quarantined.parse(log)
    if aside:
        return f" (in quarantine for {duration(time.time() - aside.at)})"
    known = conf.store().usage([str(log)]).get(str(log))
    return f" (last open {duration(time.time() - known.used)} ago)" if known else ""
