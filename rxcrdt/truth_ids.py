"""Truth ids that never repeat: the clock's, or the next after the last one that the database remembers.

A truth id is a lineage's Yjs client id and its epoch in one. Were one used twice for a document, two histories would
share its clocks, and whoever saw both would differ from everybody else for ever, with an equal state vector. The store
cannot see to that alone, as a lineage begins just when the store has forgotten; nor can the clock, which may be set
back.
"""

from __future__ import annotations

import logging

from django.db import DatabaseError, router, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from rxcrdt.lineage import clock_id
from rxcrdt.models import TruthId

__all__ = ["claim"]

logger = logging.getLogger("rxcrdt.documents")

ROW = 1
TRIES = 3  # two who claim at once can be in each other's way, at SERIALIZABLE or before the row is there


def claim(after: int = 0) -> int:
    """A truth id above ``after``, above every one that was claimed before, and remembered in the database.

    Where the database cannot be written (read-only for a minute, not migrated yet), the clock and whatever can be read
    have to do: a document that nobody can open is worse than an id that only a clock set back could repeat.
    """
    using = router.db_for_write(TruthId)
    wanted = clock_id(after)
    for _ in range(TRIES):
        try:
            return _next(using, wanted)
        except DatabaseError as error:
            failure = error
    logger.warning(
        "The truth id of a new lineage could not be kept in the database %r, and is the clock's: %s. Run `manage.py "
        "migrate rxcrdt` if its table is missing.",
        using,
        failure,
    )
    return max(wanted, _last(using) + 1)


def _next(using: str, wanted: int) -> int:
    """In one transaction: the row's lock, taken by its update, keeps others waiting until ours is written."""
    with transaction.atomic(using=using):
        row = TruthId.objects.using(using).filter(pk=ROW)
        if not row.update(last=Greatest(F("last") + 1, Value(wanted))):
            TruthId.objects.using(using).create(pk=ROW, last=wanted)
            return wanted
        return row.values_list("last", flat=True).get()


def _last(using: str) -> int:
    try:
        return TruthId.objects.using(using).values_list("last", flat=True).filter(pk=ROW).first() or 0
    except DatabaseError:
        return 0
