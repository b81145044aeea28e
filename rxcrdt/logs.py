"""The logs that the store has: whose each one is, and whether anybody who runs this code opens it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rxcrdt import conf
from rxcrdt.layers import plan
from rxcrdt.names import LogName, log_name
from rxcrdt.registry import registry
from ydoc_store import quarantine

__all__ = ["Quarantined", "logs", "not_ours", "quarantined"]

PUT_ASIDE: Final = "quarantine:"


class Quarantined(NamedTuple):
    """A log that nobody could read, kept for inspection. ``at`` is when, in Unix seconds; ``log`` was its name."""

    at: float
    log: LogName

    @classmethod
    def parse(cls, log: LogName) -> Quarantined | None:
        """None for a log that is in use: ``DocStore.quarantine`` gives names of this form."""
        found = quarantine.split(str(log))
        return cls(int(found[0]) / 1000, LogName.parse(found[1])) if found else None


def logs(name: str | None = None) -> Iterator[LogName]:
    """The store's logs: all, those in quarantine too; or those of a document ``board/12``, or of an anchor ``board``.

    Named ones are those of the tenant of this moment. UnknownAnchor if there is no such anchor. What somebody else
    keeps in the same store is not among them.
    """
    if name is None:
        yield from _named_by_rxcrdt("")
        return
    anchor, _, value = name.partition("/")
    registry.get(anchor)
    prefix = str(LogName(conf.namespace(), f"{anchor}/{value}", "")).removesuffix("@")
    for log in _named_by_rxcrdt(prefix):
        if not value or log.document == name:
            yield log


def quarantined(name: str | None = None) -> Iterator[LogName]:
    """The quarantined logs of a document or an anchor, of the tenant of this moment; all of them without a name."""
    for log in _named_by_rxcrdt(PUT_ASIDE):
        aside = Quarantined.parse(log)
        if aside is not None and (name is None or _is_of(aside.log, name)):
            yield log


def _is_of(log: LogName, name: str) -> bool:
    return log.namespace == conf.namespace() and name in (log.document, log.document.partition("/")[0])


def _named_by_rxcrdt(prefix: str) -> Iterator[LogName]:
    for text in conf.store().names(prefix):
        log = LogName.parse(text)
        if str(log) == text:
            yield log


def not_ours(log: LogName) -> str | None:
    """Why nobody who runs this code, as the tenant of this moment, opens the log; None if somebody may."""
    if Quarantined.parse(log):
        return "in quarantine"
    if log.namespace != conf.namespace():
        return f"of the tenant {log.namespace!r}" if log.namespace else "of no tenant"
    name = log.document.partition("/")[0]
    if name not in registry:
        return f"of an anchor {name!r} that is not registered"
    if log != log_name(plan(registry.get(name)), log.document):
        return "of another version of the code"
    return None
