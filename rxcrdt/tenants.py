"""Which tenant a thread works for: what a document shows is read as its tenant, or not at all.

A project's own threads say so by themselves (``RXCRDT["NAMESPACE"]``), ours do not: they serve all tenants in turns.
So whoever reads rows for a document enters its namespace first, with the project's ``RXCRDT["IN_NAMESPACE"]``. That is
done even where the namespace seems to be in force: what says so may be a context variable that our thread was given,
while its database connection was never told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rxcrdt import conf
from rxcrdt.exceptions import ConfigurationError

__all__ = ["SCOPE", "within"]

SCOPE: Final = "rxcrdt.namespace"  # where an ASGI middleware of the project says whose socket it is

_thread = threading.local()  # no context variable: a thread that is given our context has not entered anything


@contextmanager
def within(namespace: str) -> Iterator[None]:
    """Inside, this thread works for the tenant ``namespace``. ConfigurationError where the project makes it not so."""
    before = getattr(_thread, "namespace", None)
    if before == namespace:
        yield
        return
    with conf.in_namespace(namespace):
        _check(namespace)
        _thread.namespace = namespace
        try:
            yield
        finally:
            _thread.namespace = before


def _check(namespace: str) -> None:
    found = conf.namespace()
    if found == namespace:
        return
    hook = "leads to" if conf.settings().in_namespace else "is not set, and RXCRDT['NAMESPACE'] gives"
    raise ConfigurationError(
        f"Nothing is read for a document of the tenant {namespace!r}: RXCRDT['IN_NAMESPACE'] {hook} {found!r} in this "
        f"thread. Set it to a context manager that makes a tenant the current one: see docs/settings.md."
    )
