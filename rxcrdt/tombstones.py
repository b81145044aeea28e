"""What a document keeps of what it no longer shows: Yjs remembers that something was there, for those who come late."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc

from rxcrdt.deletes import deletes_only
from rxcrdt.lineage import read_state_vector

__all__ = ["OUTWEIGH", "share"]

OUTWEIGH = 0.5  # from this share on, there is more of what was than of what is


def share(doc: Doc[Any]) -> float:
    """The part of the document's clocks that is deleted, from 0 to 1: about one clock a register that was overwritten.

    Takes time with the number of deletes. 0 for an empty document.
    """
    state = doc.get_state()
    clocks = sum(read_state_vector(state).values())
    deletes = deletes_only(doc.get_update(state)) or {}
    deleted = sum(end - start for ranges in deletes.values() for start, end in ranges)
    return deleted / clocks if clocks else 0.0
