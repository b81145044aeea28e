"""Is the store's server set up for what it does? Asked with ``manage.py check --deploy`` only, because it connects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - that is its name

from rxcrdt import conf
from rxcrdt.checks.settings import readable
from ydoc_store import Risk, StoreError, open_store

__all__ = ["check_server"]


def check_server(**_: Any) -> list[CheckMessage]:
    if not readable():
        return []
    try:
        with open_store(conf.settings().store) as store:
            risks = store.risks()
    except StoreError as error:
        return [_out_of_reach(error)]
    return list(_messages(risks))


def _messages(risks: tuple[Risk, ...]) -> Iterator[CheckMessage]:
    for risk in risks:
        match risk.kind:
            case "eviction":
                yield Warning(risk.message, hint=risk.hint, id="rxcrdt.W009")
            case "persistence":
                yield Warning(risk.message, hint=risk.hint, id="rxcrdt.W010")


def _out_of_reach(error: StoreError) -> CheckMessage:
    return Warning(
        "The document store cannot be reached. Saves are committed all the same, but nobody can open a document, and "
        f"open pages stay as they are. It says: {error}",
        hint="Start it, or correct RXCRDT['STORE']: see docs/failures.md. Nothing else needs to be restarted then.",
        id="rxcrdt.W011",
    )
