"""The values that a store takes and gives: all of them frozen, none of them knows a backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a log: `sequence` entries after the beginning of lineage `epoch`.

    Sequences have no gaps within an epoch: the entry after `Position(e, 7)` is at `Position(e, 8)`.
    Positions compare as (epoch, sequence), so any position of a newer lineage is larger.
    """

    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One update of a log. `position` is the head of the log right after this entry."""

    position: Position
    update: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A whole log: `snapshot` holds everything up to sequence `at`, `entries` what came after, in order."""

    epoch: int
    snapshot: bytes
    at: int
    entries: tuple[Entry, ...] = ()

    @property
    def head(self) -> Position:
        return Position(self.epoch, self.at + len(self.entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write one log for a while, and what its holder has to know before it does.

    Either `log` is None and `missed` holds the entries after the position that the caller named, in order;
    or the caller named none, or one that the store no longer has: then `log` is the whole log, and `missed`
    is empty. With neither, there is no log under that name.
    """

    token: str
    log: Log | None = None
    missed: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one name occupies: `entries` after the snapshot and their bytes, the snapshot's bytes, indexed
    rows."""

    entries: int = 0
    entry_bytes: int = 0
    snapshot_bytes: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """When things were done to a log: seconds since 1970, by the store's clock."""

    begun: float
    """This lineage."""
    snapshotted: float
    """Its snapshot was written, by `begin` or `compact`."""
    written: float
    """The last `begin` or `append`."""
    used: float
    """The last `begin` or `touch`: somebody had it open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What could go wrong with how a store's server is set up.

    `kind` is one word, `message` says what could happen, `hint` what to do about it.
    """

    kind: str
    message: str
    hint: str
