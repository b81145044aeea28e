"""Whether somebody's transaction is open. That of a ``TestCase`` does not count: it stands for none."""

from __future__ import annotations

from typing import Any

from django.db import connections

__all__ = ["in_test_case", "in_transaction"]


def in_transaction(using: str) -> bool:
    """Whether ``atomic()`` is open, besides the blocks that a ``TestCase`` puts around its tests."""
    return not all(map(_of_test_case, connections[using].atomic_blocks))


def in_test_case(using: str) -> bool:
    """Whether a ``TestCase`` runs, which never commits."""
    return any(map(_of_test_case, connections[using].atomic_blocks))


def _of_test_case(block: Any) -> bool:
    return bool(getattr(block, "_from_testcase", False))
