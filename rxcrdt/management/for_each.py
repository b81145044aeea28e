"""Doing something to one document after the other, whatever becomes of one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from rxcrdt import documents
from rxcrdt.document import Document
from rxcrdt.logs import not_ours
from rxcrdt.management.left_alone import LeftAlone
from rxcrdt.management.subcommands import Subcommand
from rxcrdt.panics import LEAVING
from rxcrdt.verifying import sentence
from ydoc_store import StoreUnavailable

__all__ = ["FAILED", "for_each"]

FAILED: Final = "failed"


def for_each(subcommand: Subcommand, name: str | None, done: str, work: Callable[[Document], str]) -> Counter[str]:
    """Calls ``work`` with each document that ``name`` means and this code opens. It returns what became of it, in
    words by which documents are counted; what it raises is printed, and counts as FAILED.

    Raises StoreUnavailable as it comes, for no other document would fare better.
    """
    found = subcommand.meant(name)
    others = LeftAlone(subcommand.stdout, done)
    count: Counter[str] = Counter()
    with subcommand.progress as progress:
        for log in progress.over(found, lambda log: log.document):
            reason = not_ours(log)
            if reason:
                progress.clear()
                others.add(log, reason)
                continue
            document = documents.keep(documents.get(log.document))
            try:
                count[work(document)] += 1
            except (StoreUnavailable, *LEAVING):
                raise
            except BaseException as error:  # noqa: BLE001 - the project's serializers, and pycrdt's panics: all is told
                progress.clear()
                subcommand.stdout.write(subcommand.style.ERROR(f"{log.document} failed: {sentence(error)}"))
                count[FAILED] += 1
            finally:
                documents.close(document)
    others.conclude()
    return count
