"""What a document keeps of what it no longer shows: Yjs remembers that something was there, for those who come late."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc

from rxcrdt.deletes import deletes_only
from rxcrdt.lineage import read_state_vector

__all__ = ["FEW", "TOO_MANY", "are_too_many", "share"]

# From this share on a document is collapsed. A tombstone loads as slowly as a register that is shown, so opening a
# document takes up to 1.5 times as long as opening a fresh one. Every collapse sends the document to all its readers.
TOO_MANY = 0.28
FEW = 1000  # fewer load in a millisecond: not worth sending the document to everybody


def share(doc: Doc[Any]) -> float:
    """The part of the document's clocks that is deleted, from 0 to 1: about one clock a register that was overwritten.

    Takes time with the number of deletes. 0 for an empty document.
    """
    deleted, clocks = _count(doc)
    return deleted / clocks if clocks else 0.0


def are_too_many(doc: Doc[Any]) -> bool:
    """Whether the document is worth a new lineage."""
    deleted, clocks = _count(doc)
    return deleted > max(FEW, TOO_MANY * clocks)


def _count(doc: Doc[Any]) -> tuple[int, int]:
    """The clocks that are deleted, and all."""
    state = doc.get_state()
    deletes = deletes_only(doc.get_update(state)) or {}
    deleted = sum(end - start for ranges in deletes.values() for start, end in ranges)
    return deleted, sum(read_state_vector(state).values())
