"""The sections of `python -m tests.benchmarks store`, in the order in which they run. Another one is a line here."""

from __future__ import annotations

from tests.benchmarks import append, catch_up, endurance, hot, loading, memory, peers, writers

__all__ = ["SECTIONS"]

SECTIONS = (
    append.SECTION,
    writers.SECTION,
    hot.SECTION,
    catch_up.SECTION,
    loading.SECTION,
    memory.SECTION,
    peers.SECTION,
    endurance.SECTION,
)
