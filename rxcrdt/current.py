"""What the database says now: of a whole document, or of what changes touched of it."""

from __future__ import annotations

from django.db import connections

from rxcrdt.anchors import Anchor
from rxcrdt.changes import Changes
from rxcrdt.context import projecting
from rxcrdt.garbage import let_go, search_put_off
from rxcrdt.keys import Node, node_key
from rxcrdt.layers import Plan, plan
from rxcrdt.projection import Forest, Projector
from rxcrdt.reading import CHUNK, NeedsSnapshot, Reader, reading
from rxcrdt.refresh import Refresh
from rxcrdt.tables import Tables

__all__ = ["read_changed", "read_whole"]


def read_whole(anchor: type[Anchor], document: str, value: str, using: str) -> tuple[Node | None, Forest]:
    """All of ``document``, from one snapshot of the database; None and nothing if its row is not there."""
    current = plan(anchor)
    forest = Forest()
    with search_put_off(), reading(using):
        reader = Reader(current, using, in_snapshot=True)
        row = reader.whole(anchor.lookup_field, value)
        if row is None or anchor.document_name(row) != document:
            return None, forest
        Projector(current, reader.below).deep(forest, current.root, [row], lambda _: False)
        let_go(row)
    return (current.root, node_key(row.pk)), forest


def read_changed(current: Plan, document: str, tables: Tables, root: Node, using: str, changes: Changes) -> Refresh:
    """What ``changes`` touched. ``tables`` are not changed yet: ``Refresh.merge`` does that.

    One query needs no snapshot, for it is one. If a second one turns out to be needed, all is read again, in one.
    For more rows than a query asks for that is clear from the beginning.
    """
    in_snapshot = connections[using].in_atomic_block or len(changes) > CHUNK
    earlier: Refresh | None = None
    while True:
        refresh = Refresh(current, document, tables, root, Reader(current, using, in_snapshot=in_snapshot))
        refresh.mark(changes)
        if in_snapshot or refresh.queries <= 1:
            try:
                with reading(using) if in_snapshot else projecting():
                    if earlier is not None:
                        refresh.hint(earlier)
                    refresh.read()
                return refresh
            except NeedsSnapshot:
                earlier = refresh
        in_snapshot = True
