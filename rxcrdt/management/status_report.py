"""What ``rxcrdt status`` says to people: a table, and what is to be known besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rxcrdt import conf
from rxcrdt.logs import Quarantined
from rxcrdt.management.quantities import duration, in_bytes, in_words, several
from rxcrdt.management.statuses import Status, together
from rxcrdt.management.tables import lines

__all__ = ["problems", "quarantine", "remarks", "table"]

UNKNOWN: Final = "-"
HEADS: Final = ("document", "schema", "entries", "log", "snapshot", "snapshot age", "rows", "written", "used")


def table(shown: Sequence[Status], now: float) -> Iterator[str]:
    """One line a log, and a first one of heads."""
    tenants = any(status.log.namespace != conf.namespace() for status in shown)
    loaded = any(status.deleted is not None for status in shown)
    heads = (*HEADS, "tombstones") if loaded else HEADS
    return lines(heads, [_row(status, tenants, now)[: len(heads)] for status in shown], left=2)


def _row(status: Status, tenants: bool, now: float) -> tuple[str, ...]:
    log, size, usage = status.log, status.size, status.usage
    return (
        f"{log.namespace}|{log.document}" if tenants else log.document,
        log.schema + (" *" if status.note else ""),
        f"{size.entries:,}",
        in_bytes(size.entry_bytes),
        in_bytes(size.snapshot_bytes),
        duration(now - usage.snapshotted) if usage else UNKNOWN,
        f"{size.rows:,}",
        f"{duration(now - usage.written)} ago" if usage else UNKNOWN,
        f"{duration(now - usage.used)} ago" if usage else UNKNOWN,
        UNKNOWN if status.deleted is None else f"{status.deleted:.0%}",
    )


def remarks(shown: Sequence[Status], found: Sequence[Status]) -> Iterator[str]:
    """The totals, and what the marks in the table mean."""
    total = together(found)
    rest = f" ({len(shown):,} of them are shown)" if len(shown) < len(found) else ""
    yield (
        f"{several(len(found))}{rest}: {several(total.entries, 'entry', 'entries')} of {in_bytes(total.entry_bytes)}, "
        f"snapshots of {in_bytes(total.snapshot_bytes)}, {several(total.rows, 'row')}."
    )
    for note, number in Counter(status.note for status in found if status.note).items():
        yield f"* {several(number)} {note}: nobody who runs this code opens {'it' if number == 1 else 'them'}."
    lost = sum(status.lost and not status.problem for status in found)
    if lost:
        yield (
            f"{several(lost)} may have lost {'its' if lost == 1 else 'their'} end when the store's server restarted: "
            "whoever opens one builds it from the database."
        )


def problems(found: Sequence[Status]) -> Iterator[str]:
    """Logs that cannot be read; whoever opens one puts it in quarantine."""
    for status in found:
        if status.problem:
            yield f"{status.log.document} cannot be read, and is projected again when it is opened: {status.problem}"


def quarantine(found: Sequence[Status], now: float) -> Iterator[str]:
    """Each log in quarantine, and what to do with them."""
    for status in found:
        aside = Quarantined.parse(status.log)
        assert aside is not None
        occupied = f", {in_bytes(status.bytes)}" if status.bytes else ""
        yield f"In quarantine for {duration(now - aside.at)}{occupied}: '{status.log}'"
    if found:
        seconds = in_words(conf.settings().retention_seconds)
        yield (
            "Logs in quarantine could not be read; their documents are projected again. `rxcrdt inspect` with such a "
            f"name, in quotes, says why. They are evicted after {seconds}."
        )
