"""The document as nested data, and whether it says what the serializer does."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.renderers import JSONRenderer

from rxcrdt import conf, documents, layout
from rxcrdt.anchors import Anchor
from rxcrdt.context import projecting, projection_context
from rxcrdt.current import read_whole
from rxcrdt.denormalize import denormalize
from rxcrdt.exceptions import CorruptDocument, DocumentGone
from rxcrdt.keys import Node
from rxcrdt.layers import Plan, plan
from rxcrdt.names import log_name
from rxcrdt.projection import Forest
from rxcrdt.registry import registry
from rxcrdt.replica import Replica
from rxcrdt.tables import Tables
from rxcrdt.transactions import in_transaction
from rxcrdt.values import Json, difference
from ydoc_store import CorruptStore

__all__ = ["compare", "serialized", "snapshot"]


def snapshot(name: str, pk: Any) -> dict[str, Json]:
    """The document ``name``/``pk`` as the nested data that its serializer gives.

    Builds and stores it if the store has none. Inside ``atomic()`` nothing is written to the store: a document
    that it lacks is projected from what the transaction sees. DocumentGone if there is no such row.
    """
    document = f"{name}/{pk}"
    anchor, value = registry.resolve(document)
    if in_transaction(anchor.base_queryset().db):
        return _without_writing(anchor, document, value)
    kept = documents.open(document)
    try:
        kept.catch_up()
        kept.heed_nudge()
        return _state(kept.name, kept.content())
    finally:
        documents.close(kept)


def _state(document: str, content: Any) -> dict[str, Json]:
    state = denormalize(*content)
    if state is None:
        raise DocumentGone(f"The row of {document} does not exist any more.")
    return state


def _without_writing(anchor: type[Anchor], document: str, value: str) -> dict[str, Json]:
    current = plan(anchor)
    stored = _stored(current, document)
    if stored is not None:
        return _state(document, stored)
    root, forest = read_whole(anchor, document, value, anchor.base_queryset().db)
    return _state(document, _content(anchor, document, root, forest))


def _stored(current: Plan, document: str) -> Any:
    """None if the store has nothing of use. A log that cannot be read is left to who may write."""
    try:
        log = conf.store().load(str(log_name(current, document)))
        replica = Replica(current, log) if log is not None else None
    except (CorruptStore, CorruptDocument):
        return None
    return replica.content() if replica is not None and replica.root is not None else None


def _content(anchor: type[Anchor], document: str, root: Node | None, forest: Forest) -> Any:
    current = plan(anchor)
    tables = Tables(current, {})
    tables.replace(forest, root)
    return tables.content, layout.describe(current, document, root)


def serialized(name: str, pk: Any) -> dict[str, Json]:
    """What the anchor's unmodified serializer gives for the row now, as JSON. DocumentGone if there is no such row."""
    anchor, value = registry.resolve(f"{name}/{pk}")
    with projecting():
        view = anchor(kwargs={anchor.lookup_field: value})
        serializer = view.get_serializer_class()(view.find(), context=projection_context(anchor))
        data: dict[str, Json] = json.loads(JSONRenderer().render(serializer.data))
    return data


def compare(name: str, pk: Any) -> str | None:
    """The first place where the document differs from its serializer, or None."""
    return difference(snapshot(name, pk), serialized(name, pk))
