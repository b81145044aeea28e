"""Whether anybody has committed anything: asked in two small queries, it saves reading a whole document twice."""

from __future__ import annotations

from typing import Any

from django.db import connections

__all__ = ["mark"]


def mark(using: str) -> object | None:
    """Between two marks that are equal nothing was committed in the database ``using``, by nobody. None where that
    cannot be told: in a transaction, with other databases, and where there are several of which rows may come."""
    connection = connections[using]
    if connection.in_atomic_block or len(connections.settings) > 1:
        return None
    if connection.vendor == "postgresql":
        return _asked(connection, "SELECT txid_current_snapshot()::text")
    if connection.vendor == "sqlite":
        # Of other connections' commits it tells this one only, so the connection is part of it, and its own changes.
        version = _asked(connection, "PRAGMA data_version")
        return (connection.connection, connection.connection.total_changes, version)
    return None


def _asked(connection: Any, query: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]
