"""Whether somebody's transaction is open. That of a ``TestCase`` does not count: it stands for none."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, connections

__all__ = ["has_ended", "in_test_case", "in_transaction"]


def in_transaction(using: str) -> bool:
    """Whether ``atomic()`` is open, besides the blocks that a ``TestCase`` puts around its tests."""
    return not all(map(_of_test_case, connections[using].atomic_blocks))


def in_test_case(using: str) -> bool:
    """Whether a ``TestCase`` runs, which never commits."""
    return any(map(_of_test_case, connections[using].atomic_blocks))


def has_ended(using: str, error: Exception) -> bool:
    """Whether ``error`` is the end of the open transaction, as any error of PostgreSQL is: no query of it will work.

    Whoever would try the transaction again has to hear of that error, and not of the next query's.
    """
    connection = connections[using]
    return isinstance(error, DatabaseError) and connection.in_atomic_block and connection.vendor == "postgresql"


def _of_test_case(block: Any) -> bool:
    return bool(getattr(block, "_from_testcase", False))
