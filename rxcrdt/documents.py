"""The documents of this process: each one once, those in use kept, others forgotten when there are too many."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

from rxcrdt.conf import settings
from rxcrdt.document import Document
from rxcrdt.layers import plan
from rxcrdt.names import LogName, log_name
from rxcrdt.registry import registry

__all__ = ["close", "forget_all", "get", "get_by_log", "keep", "open"]


class _Shelf:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.documents: OrderedDict[str, Document] = OrderedDict()
        self.pins: dict[str, int] = {}


_shelf = _Shelf()


def get(name: str) -> Document:
    """The document ``name``, not loaded yet maybe. UnknownAnchor if there is no such anchor."""
    anchor, value = registry.resolve(name)
    log = log_name(plan(anchor), name)
    with _shelf.lock:
        document = _shelf.documents.get(str(log))
        if document is None:
            document = _shelf.documents[str(log)] = Document(anchor, name, value, log)
        _shelf.documents.move_to_end(str(log))
        _make_room()
        return document


def get_by_log(text: str) -> Document | None:
    """The document of a log's name; None if that is another tenant's, another schema's or of no anchor here."""
    log = LogName.parse(text)
    anchor_name, slash, value = log.document.partition("/")
    if not slash or not value or anchor_name not in registry:
        return None
    if log != log_name(plan(registry.get(anchor_name)), log.document):
        return None
    return get(log.document)


def keep(document: Document) -> Document:
    """Keeps it on the shelf until ``close``: a document must not be in one process twice. Returns the one there."""
    with _shelf.lock:
        document = _shelf.documents.setdefault(document.log, document)
        _shelf.pins[document.log] = _shelf.pins.get(document.log, 0) + 1
        return document


def open(name: str) -> Document:  # noqa: A001 - as one opens a file
    """Loads or builds the document ``name`` and keeps it until ``close``. DocumentGone if its row does not exist."""
    document = keep(get(name))
    try:
        document.ensure()
    except BaseException:
        close(document)
        raise
    return document


def close(document: Document) -> None:
    """Gives back what ``open`` or ``keep`` gave."""
    with _shelf.lock:
        left = _shelf.pins.get(document.log, 0) - 1
        if left > 0:
            _shelf.pins[document.log] = left
        else:
            _shelf.pins.pop(document.log, None)


def reconcile_kept() -> None:
    """Compares every document that is in use with the database."""
    with _shelf.lock:
        kept = [_shelf.documents[log] for log in _shelf.pins]
    for document in kept:
        document.reconcile()


def _make_room() -> None:
    spare = len(_shelf.documents) - settings().documents_in_memory
    for log in [log for log, document in _shelf.documents.items() if log not in _shelf.pins and document.idle]:
        if spare <= 0:
            return
        del _shelf.documents[log]
        spare -= 1


def forget_all() -> None:
    """Forgets every document; for tests, and after a fork, where other threads' locks would stay closed for ever."""
    global _shelf
    _shelf = _Shelf()


os.register_at_fork(after_in_child=forget_all)
