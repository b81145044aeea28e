"""What the store says of its logs, without reading what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rxcrdt import conf, layout, tombstones
from rxcrdt.logs import not_ours
from rxcrdt.names import LogName
from rxcrdt.panics import LEAVING
from rxcrdt.verifying import sentence
from ydoc_store import CorruptStore, Size, StoreUnavailable, Usage

__all__ = ["ORDERS", "Status", "as_json", "statuses", "together"]

PAGE: Final = 500  # logs asked for in one round trip


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One log. ``note`` says why nobody who runs this code opens it, ``problem`` why it cannot be read.

    ``usage`` is None where the store cannot tell, ``deleted`` (of the document's clocks, 0 to 1) where it was not asked
    for. ``lost``: the store lists it, but has no content that could be trusted, as after a restart of Redis.
    """

    log: LogName
    note: str | None
    size: Size
    usage: Usage | None
    lost: bool = False
    problem: str = ""
    deleted: float | None = None

    @property
    def bytes(self) -> int:
        return self.size.entry_bytes + self.size.snapshot_bytes


#: How ``--sort`` puts them: the largest, the latest used, the oldest snapshot first; by name otherwise.
ORDERS: Final[dict[str, Callable[[Status], Any]]] = {
    "name": lambda _: 0,
    "entries": lambda status: -status.size.entries,
    "bytes": lambda status: -status.bytes,
    "rows": lambda status: -status.size.rows,
    "snapshot": lambda status: status.usage.snapshotted if status.usage else 0.0,
    "written": lambda status: -status.usage.written if status.usage else 0.0,
    "used": lambda status: -status.usage.used if status.usage else 0.0,
    "tombstones": lambda status: -(status.deleted or 0.0),
}


def statuses(names: Sequence[LogName], *, load: bool) -> Iterator[Status]:
    """Of each log, in order. Only where ``load`` asks for it, documents are loaded, to learn what they deleted."""
    for start in range(0, len(names), PAGE):
        page = names[start : start + PAGE]
        usage = conf.store().usage([str(log) for log in page])
        heads = conf.store().heads([str(log) for log in page])
        for log in page:
            yield _status(log, usage.get(str(log)), lost=str(log) not in heads, load=load)


def _status(log: LogName, usage: Usage | None, *, lost: bool, load: bool) -> Status:
    note = not_ours(log)
    try:
        size = conf.store().size(str(log))
        deleted = _deleted(log) if load and not lost else None
    except (StoreUnavailable, *LEAVING):
        raise
    except BaseException as error:  # noqa: BLE001 - bytes that are no Yjs update make pycrdt raise anything, and panic
        return Status(log=log, note=note, size=_unreadable(error, log), usage=usage, problem=sentence(error))
    return Status(log=log, note=note, size=size, usage=usage, lost=lost, deleted=deleted)


def _unreadable(error: BaseException, log: LogName) -> Size:
    """The store can count what only Yjs cannot read."""
    return Size() if isinstance(error, CorruptStore) else conf.store().size(str(log))


def _deleted(log: LogName) -> float | None:
    """Of logs of any code: only their updates are looked at."""
    stored = conf.store().load(str(log))
    if stored is None:
        return None
    doc = layout.new_doc(1)
    doc.apply_update(stored.snapshot)
    for entry in stored.entries:
        doc.apply_update(entry.update)
    return tombstones.share(doc)


def together(found: Sequence[Status]) -> Size:
    """What all of them occupy."""
    return Size(
        entries=sum(status.size.entries for status in found),
        entry_bytes=sum(status.size.entry_bytes for status in found),
        snapshot_bytes=sum(status.size.snapshot_bytes for status in found),
        rows=sum(status.size.rows for status in found),
    )


def as_json(status: Status) -> dict[str, Any]:
    """For programs: bytes, Unix seconds, and null for what nobody knows."""
    usage = status.usage
    return {
        "document": status.log.document,
        "namespace": status.log.namespace,
        "schema": status.log.schema,
        "log": str(status.log),
        "opened_by_this_code": status.note is None,
        "note": status.note,
        "problem": status.problem or None,
        "lost": status.lost,
        "entries": status.size.entries,
        "entry_bytes": status.size.entry_bytes,
        "snapshot_bytes": status.size.snapshot_bytes,
        "rows": status.size.rows,
        "tombstones": status.deleted,
        "begun": usage.begun if usage else None,
        "snapshotted": usage.snapshotted if usage else None,
        "written": usage.written if usage else None,
        "used": usage.used if usage else None,
    }
