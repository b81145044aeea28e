"""Which database a run of the tests uses, as Django wants to be told and as a URL for child processes."""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["database", "database_url"]

# Writers wait for each other instead of failing: in SQLite a transaction that begins with a read cannot
# become a writing one while another one writes.
_SQLITE_OPTIONS = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
_ENGINES = {"sqlite": "django.db.backends.sqlite3", "postgresql": "django.db.backends.postgresql"}


def database(chosen: str | None) -> dict[str, Any]:
    """The entry for ``DATABASES`` that belongs to ``RXCRDT_TEST_DATABASE``; starts a server if it says so."""
    if not chosen:
        # A file, not memory: rooms and workers read in threads of their own. One a process: two runs at a
        # time do not disturb each other.
        path = Path(tempfile.gettempdir()) / f"rxcrdt-tests-{os.getpid()}.sqlite3"
        return {**_sqlite(f"{path}.unused"), "TEST": {"NAME": str(path)}}
    if chosen == "postgresql":
        chosen = _own_postgresql()
    address = urlsplit(chosen)
    if address.scheme == "sqlite":
        return _sqlite(unquote(address.path)[1:])
    if address.scheme != "postgresql":
        raise ValueError(f"RXCRDT_TEST_DATABASE knows sqlite and postgresql URLs, and is {chosen!r}.")
    return {
        "ENGINE": _ENGINES["postgresql"],
        "NAME": address.path.lstrip("/"),
        "USER": unquote(address.username or ""),
        "PASSWORD": unquote(address.password or ""),
        "HOST": address.hostname,
        "PORT": str(address.port or 5432),
    }


def database_url(settings: dict[str, Any]) -> str:
    """The URL of a database in use (``connection.settings_dict``), for a child's ``RXCRDT_TEST_DATABASE``."""
    if settings["ENGINE"] == _ENGINES["sqlite"]:
        return f"sqlite:///{settings['NAME']}"
    user = f"{settings['USER']}:{settings['PASSWORD']}".rstrip(":")
    return f"postgresql://{user}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"


def _sqlite(path: str) -> dict[str, Any]:
    return {"ENGINE": _ENGINES["sqlite"], "NAME": path, "OPTIONS": _SQLITE_OPTIONS}


def _own_postgresql() -> str:
    from tests.servers import running_postgresql

    until_exit = ExitStack()
    url = until_exit.enter_context(running_postgresql())
    owner = os.getpid()
    # A fork of this process inherits the hook, but not the server.
    atexit.register(lambda: until_exit.close() if os.getpid() == owner else None)
    os.environ["RXCRDT_TEST_DATABASE"] = url
    return url
