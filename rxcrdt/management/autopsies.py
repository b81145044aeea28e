"""Why a log in quarantine cannot be read, and which part of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rxcrdt import conf, layout
from rxcrdt.layers import LAYOUT
from rxcrdt.logs import Quarantined
from rxcrdt.panics import LEAVING
from rxcrdt.values import Json
from rxcrdt.verifying import sentence
from ydoc_store import CorruptStore, Log

__all__ = ["autopsy"]

SHOWN_BYTES: Final = 64


def autopsy(aside: Quarantined, name: str) -> Json:
    """What ``rxcrdt inspect`` prints of it. CorruptStore is part of the answer, StoreUnavailable is raised."""
    found: dict[str, Json] = {
        "log": name,
        "document": aside.log.document,
        "in_quarantine_since": datetime.fromtimestamp(aside.at, UTC).isoformat(timespec="seconds"),
    }
    try:
        stored = conf.store().load(name)
    except CorruptStore as error:
        return {**found, "problem": str(error)}
    if stored is None:
        return {**found, "problem": "The store has no such log (any more), or lost its end with a restart."}
    return {**found, "epoch": stored.epoch, "entries": len(stored.entries), **_problem(stored)}


def _problem(stored: Log) -> dict[str, Json]:
    """The first part that the engine refuses; after it, nobody knows what the others would have become."""
    doc = layout.new_doc(1)
    parts = [("the snapshot", stored.snapshot)]
    parts += [(f"the entry {entry.position.sequence}", entry.update) for entry in stored.entries]
    for what, update in parts:
        try:
            doc.apply_update(update)
        except LEAVING:
            raise
        except BaseException as error:  # noqa: BLE001 - what pycrdt raises for bytes that are no update, and its panics
            begins = update[:SHOWN_BYTES].hex()
            return {"problem": f"{what}: {sentence(error)}", "bytes": len(update), "begins": begins}
    version = layout.read_root(doc, layout.META).get("layout", LAYOUT)
    if version != LAYOUT:
        return {"problem": f"It has layout {version!r}, this version of rxcrdt reads {LAYOUT}: a newer one wrote it."}
    return {"problem": "Every part of it can be read now."}
