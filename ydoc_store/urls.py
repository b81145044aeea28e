"""Opening a store by its URL."""

from __future__ import annotations

from urllib.parse import SplitResult, unquote, urlsplit

from ydoc_store.base import DocStore
from ydoc_store.exceptions import BadStoreUrl, MissingExtra, UnknownScheme
from ydoc_store.memory import MemoryStore
from ydoc_store.sqlite import SqliteStore

_FORMS = (
    "memory://, sqlite:///folder/file.sqlite3 (relative), sqlite:////folder/file.sqlite3 (absolute) or "
    "redis://host:6379/0"
)


def open_store(url: str) -> DocStore:
    """The store at `url`. Nothing is read or created before the first call of a method.

    `memory://` is a new store each time. `sqlite:///path` is relative to the working directory,
    `sqlite:////path` absolute; special characters are percent-encoded. `redis://`, `rediss://` and `unix://` name
    a Redis server. Raises BadStoreUrl (or one of its kinds: UnknownScheme, MissingExtra).
    """
    parts = urlsplit(url)
    if parts.scheme in ("redis", "rediss", "unix"):
        return _open_redis(url)
    if parts.scheme not in ("memory", "sqlite"):
        raise UnknownScheme(f"No store has the scheme {parts.scheme!r} of {url!r}. Use one of: {_FORMS}.")
    if parts.query or parts.fragment:
        raise BadStoreUrl(
            f"The store URL {url!r} has options ({parts.query or parts.fragment}), but there are none: remove them."
        )
    if parts.netloc:
        raise BadStoreUrl(f"The store URL {url!r} names a host ({parts.netloc!r}). Use one of: {_FORMS}.")
    return _open_memory(url, parts) if parts.scheme == "memory" else _open_sqlite(url, parts)


def _open_redis(url: str) -> DocStore:
    try:
        from ydoc_store.redis import RedisStore
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise MissingExtra("Stores in Redis need redis-py: pip install rxcrdt[redis]") from error
    return RedisStore(url)


def _open_memory(url: str, parts: SplitResult) -> DocStore:
    if parts.path:
        raise BadStoreUrl(f"The store URL {url!r} has a path, but a memory store has none: use memory://.")
    return MemoryStore()


def _open_sqlite(url: str, parts: SplitResult) -> DocStore:
    path = unquote(parts.path.removeprefix("/"))
    if not path or path.endswith("/"):
        raise BadStoreUrl(f"The store URL {url!r} names no file. Use one of: {_FORMS}.")
    if path == ":memory:":
        raise BadStoreUrl("An SQLite store needs a file. For a store in memory, use memory://.")
    return SqliteStore(path)
