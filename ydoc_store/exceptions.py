"""Everything that a store raises on purpose.

    StoreError
    ├── BadStoreUrl (ValueError)  the URL cannot be opened: malformed, or with options that do not exist
    │   ├── UnknownScheme         no backend has this scheme
    │   └── MissingExtra          the scheme needs a package that is not installed
    ├── StoreUnavailable          the store cannot be reached, or written; the message says what to do
    │   └── StoreTooNew           a newer version of this library has written it
    ├── CorruptStore              what was read cannot have been written by a store
    │   └── LogTooNew             a newer version of this library has written this one log
    ├── PositionLost              the log has no such position (any more): load it again
    ├── HeadMoved                 somebody else appended first; `missed` holds what
    ├── EpochNotNewer             a new lineage needs an epoch above that of the log it replaces
    ├── LeaseTimeout              another writer kept the lease for the whole wait
    └── LeaseLost                 the lease is not the current one: taken over after it expired, or released

Errors of the backend (`sqlite3.Error`, `redis.RedisError`, `OSError`) are always wrapped, and kept as `__cause__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ydoc_store.values import Entry


class StoreError(Exception):
    """Base of all errors of a store."""


class BadStoreUrl(StoreError, ValueError):
    """The URL names no store that could be opened."""


class UnknownScheme(BadStoreUrl):
    """No backend has this scheme."""


class MissingExtra(BadStoreUrl):
    """The scheme needs a package that is not installed; the message says which extra brings it."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or written now. Raised by an append, it leaves open whether the entry is in
    the log: look with `since(name, expect)` before repeating it."""


class StoreTooNew(StoreUnavailable):
    """A newer version of this library has written the whole store."""


class CorruptStore(StoreError):
    """The store holds what no store writes. Nothing was repaired: `quarantine` gets a log out of the way."""


class LogTooNew(CorruptStore):
    """A newer version of this library has written this one log. The others can be read."""


class PositionLost(StoreError):
    """The log has no such position: another epoch, folded into the snapshot, beyond the head, or no log at
    all."""


class HeadMoved(StoreError):
    """The head was not where the writer expected it. Nothing was changed, and a lease is still held.

    `missed` holds the entries after the expected position, in order; it is never empty.
    """

    def __init__(self, message: str, *, missed: tuple[Entry, ...] = ()) -> None:
        super().__init__(message)
        self.missed = missed


class EpochNotNewer(StoreError):
    """The epoch of a new lineage must be above that of the log it replaces."""


class LeaseTimeout(StoreError):
    """Another writer kept the lease for the whole wait."""


class LeaseLost(StoreError):
    """The lease is not the current one."""
