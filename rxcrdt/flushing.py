"""From changes to the documents that show them. Whatever goes wrong here, the transaction has been committed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rxcrdt import conf, deferring, deploys, documents
from rxcrdt.backlog import backlog
from rxcrdt.changes import Changes
from rxcrdt.document import Document
from rxcrdt.panics import LEAVING
from rxcrdt.transactions import in_test_case

__all__ = ["attempt", "committed", "flush", "route"]

logger = logging.getLogger("rxcrdt.flushing")


def committed(using: str, changes: Changes) -> None:
    """Flushes ``changes`` now, or without the writer if ``RXCRDT["INLINE"]`` is False. Never raises.

    What a ``TestCase`` writes is seen by no other thread, so that it is flushed in this one whatever the setting says.
    """
    if conf.settings().inline or in_test_case(using):
        flush(using, changes)
    else:
        deferring.hand_over(using, changes, flush)


def flush(using: str, changes: Changes) -> None:
    """Brings every document that shows any of ``changes`` up to date. Never raises: what fails is kept and retried."""
    if not changes:
        return
    try:
        parts = route(changes)
    except LEAVING:
        raise
    except BaseException as error:
        logger.exception(
            "The store could not be asked which documents a save belongs to (%s). The save is committed; documents "
            "will show it when the store is back: see docs/failures.md.",
            error,
        )
        backlog.keep_unrouted(using, changes)
        return
    others = []
    for log, part in parts.items():
        document = documents.get_by_log(log)
        if document is None:
            others.append(log)
        else:
            _flush_one(document, using, part)
    deploys.nudge_all(others)


def route(changes: Changes) -> dict[str, Changes]:
    """By log: the part of ``changes`` that its document may show. No query, and one round trip to the store; one more
    for some ten thousand rows that are packed."""
    parts: dict[str, Changes] = {}
    store = conf.store()
    found = store.documents_of(changes.rows())
    for row, logs in found.items():
        for log in logs:
            part = parts.setdefault(log, Changes())
            if row in changes.saved:
                part.saved.add(row)
            if row in changes.gone:
                part.gone.add(row)
    for link in changes.links:
        for log in found.get(link.owner, ()):
            parts[log].links.add(link)
    for rows in changes.packed_rows():
        for log in frozenset().union(*store.documents_of(rows).values()):
            parts[log] = Changes(whole=True)
    return parts


def _flush_one(document: Document, using: str, changes: Changes) -> None:
    """Flushes ``changes`` into one document; what fails waits in it, and is retried."""
    attempt(document, lambda kept: kept.flush(using, changes))


def attempt(document: Document, write: Callable[[Document], None]) -> None:
    """Runs ``write``, which brings ``document`` up to date; if that fails, it is logged and tried again later."""
    document = documents.keep(document)
    try:
        write(document)
    except LEAVING:
        raise
    except BaseException as error:
        logger.exception(
            "%s could not be brought up to date (%s). The save is committed; the document is tried again until it "
            "works: see docs/failures.md.",
            document.name,
            error,
        )
        backlog.keep(document)
    finally:
        documents.close(document)
