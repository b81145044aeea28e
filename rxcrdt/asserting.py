"""For a project's own tests: is the document what the serializer gives? ``rxcrdt.testing`` exports both names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rxcrdt import conf, documents, undeclared, workers
from rxcrdt.backlog import backlog
from rxcrdt.exceptions import NotProjected
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from rxcrdt.transactions import in_test_case, in_transaction
from rxcrdt.verifying import stored_difference
from ydoc_store import DocStore, open_store

__all__ = ["TIMEOUT", "assert_projected", "own_store"]

TIMEOUT: Final = 10.0


def assert_projected(name: str, pk: Any) -> None:
    """Raises NotProjected if the stored document ``name``/``pk`` is not what its serializer gives now.

    Builds the document if the store has none: call it once before the save that is tested, or there is nothing that
    the save could have been missing from. The transaction of a ``TestCase`` does not count as one; inside of any other
    it raises, for documents hold what is committed. DocumentGone if there is no such row, and the document knows it.
    """
    document = f"{name}/{pk}"
    anchor, _ = registry.resolve(document)
    using = anchor.base_queryset().db
    if in_transaction(using):
        raise NotProjected(
            f"Documents hold what is committed, and assert_projected({name!r}, {pk!r}) is called inside of atomic(): "
            f"call it after the block."
        )
    opened = documents.open(document)
    documents.close(opened)
    problem = stored_difference(LogName.parse(opened.log))
    if problem is not None:
        raise NotProjected(f"{document} is not what its serializer gives: {problem}. {_next_step(in_test_case(using))}")


def _next_step(test_case: bool) -> str:
    if test_case:
        return (
            "A TestCase commits nothing: save inside of `with self.captureOnCommitCallbacks(execute=True)`, "
            "see docs/testing.md."
        )
    return (
        "Rows written without signals (update(), bulk_create(), raw SQL) have to be told of with rxcrdt.changed(), "
        "fields that read other rows declare them with @depends_on, see docs/fields.md. If neither is it, look for an "
        "error in the log of rxcrdt."
    )


@contextmanager
def own_store(url: str = "memory://") -> Iterator[DocStore]:
    """An empty store in the place of the configured one, for the time of a test.

    Documents outlive a test whose rows are rolled back, and the next test's rows may have their primary keys: so every
    test needs a store of its own. As a pytest fixture, or ``self.enterContext(own_store())`` in ``setUp``.
    """
    before = conf._given_store
    _forget_documents()
    with undeclared.watching(), open_store(url) as store:
        conf.use_store(store)
        try:
            yield store
        finally:
            workers.wait_for_all(TIMEOUT)  # it would read the database while the next test empties it
            conf.use_store(before)
            _forget_documents()


def _forget_documents() -> None:
    documents.forget_all()
    backlog.forget()
