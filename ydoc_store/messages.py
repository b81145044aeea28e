"""The sentences of the errors that every backend raises for the same reasons. Each one ends in the next
step."""

from __future__ import annotations

from ydoc_store.values import Position


def closed(url: str) -> str:
    return f"The store {url} was closed. Open it again with open_store()."


def position_lost(name: str, position: Position, head: Position | None, at: int) -> str:
    asked = f"epoch {position.epoch}, sequence {position.sequence}"
    if head is None:
        return f"There is no log {name!r}, so it has no position at {asked}. Begin it."
    if head.epoch != position.epoch:
        return f"The log {name!r} is in epoch {head.epoch}, not at {asked}. Load it again."
    held = f"goes from sequence {at} to {head.sequence}"
    return f"The log {name!r} {held} and does not hold {asked}. Load it again."


def head_moved(name: str, expect: Position, head: Position) -> str:
    return (
        f"The head of {name!r} is at sequence {head.sequence}, not at {expect.sequence}: somebody else "
        "appended first. Apply what was missed, prepare the entry again, and append it there."
    )


def epoch_not_newer(name: str, epoch: int, old: int) -> str:
    return f"The log {name!r} is in epoch {old}: a new lineage needs a larger one than {epoch}."


def lease_lost(name: str) -> str:
    return f"The lease of {name!r} is not the current one: it was taken over, or released. Lease it again."


def lease_timeout(name: str, wait: float, left: float) -> str:
    why = f"its lease runs for another {left:.1f} s" if left > 0 else "others are in line for it"
    return f"Somebody else is writing {name!r}: waited {wait:g} s, and {why}. Try again, or wait longer."
