"""What could not be flushed, and the thread that tries again."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from django.db import close_old_connections, connections

from rxcrdt import conf, tenants
from rxcrdt.changes import Changes

if TYPE_CHECKING:
    from rxcrdt.document import Document

__all__ = ["Backlog", "backlog"]

logger = logging.getLogger("rxcrdt.flushing")

MAX_UNROUTED = 100_000
LONGEST_WAIT = 30.0


class Backlog:
    """Documents with changes that wait, and changes of which it is not known whose they are.

    A thread tries again after ``RXCRDT["RETRY_SECONDS"]``, then at doubling intervals up to half a minute.
    Beyond 100,000 unrouted changes they are dropped: open documents are compared in full then.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._documents: dict[str, Document] = {}
        self._unrouted: dict[tuple[str, str], Changes] = {}  # by the tenant and the database
        self._overflowed = False
        self._thread: threading.Thread | None = None
        self._working = False

    def keep(self, document: Document) -> None:
        """Tries the document's waiting changes again later."""
        from rxcrdt import documents

        with self._lock:
            if document.log not in self._documents:
                self._documents[document.log] = documents.keep(document)
            self._start()

    def keep_unrouted(self, using: str, changes: Changes) -> None:
        """Asks the store again later which documents of this tenant ``changes`` belong to."""
        key = (conf.namespace(), using)
        with self._lock:
            if sum(map(len, self._unrouted.values())) + len(changes) > MAX_UNROUTED:
                self._overflowed = True
                logger.error(
                    "More than %d changes wait for the store; newer ones are forgotten. Documents that are open are "
                    "compared in full when it is back; run `manage.py rxcrdt verify --fix` for the others.",
                    MAX_UNROUTED,
                )
            else:
                self._unrouted.setdefault(key, Changes()).update(changes)
            self._start()

    def is_empty(self) -> bool:
        """Whether nothing waits, and nothing is being tried."""
        with self._lock:
            return not (self._documents or self._unrouted or self._overflowed or self._working)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="rxcrdt-backlog", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        wait = conf.settings().retry_seconds
        while True:
            threading.Event().wait(wait)
            close_old_connections()
            self.retry()
            connections.close_all()
            with self._lock:
                if not (self._documents or self._unrouted or self._overflowed):
                    self._thread = None
                    return
            wait = min(2 * wait, LONGEST_WAIT)

    def retry(self) -> None:
        """Tries everything once, now, in this thread."""
        from rxcrdt import documents, flushing

        with self._lock:
            waiting, self._documents = list(self._documents.values()), {}
            unrouted, self._unrouted = self._unrouted, {}
            overflowed, self._overflowed = self._overflowed, False
            self._working = True
        try:
            for (namespace, using), changes in unrouted.items():
                with tenants.within(namespace):
                    flushing.flush(using, changes)
            for document in waiting:
                flushing.attempt(document, lambda kept: kept.flush_waiting())
                documents.close(document)
            if overflowed:
                documents.reconcile_kept()
        finally:
            with self._lock:
                self._working = False

    def forget(self) -> None:
        """Forgets everything; for tests, and after a fork, for the parent goes on trying."""
        self.__init__()  # type: ignore[misc]


backlog = Backlog()
os.register_at_fork(after_in_child=backlog.forget)
