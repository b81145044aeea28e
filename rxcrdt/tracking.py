"""Signals to changes, changes to flushes: what is written in a transaction is flushed once, after its commit.

Changes wait on the connection's own ``run_on_commit`` list, so that a rolled-back savepoint takes its part away.
A transaction's part of each savepoint is one entry there, its flush another, always behind the parts and of no
savepoint: of several flushes only the last one works. (A flag of one's own goes wrong after a rollback.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connections, router
from django.db.models import Model
from django.db.models.signals import ModelSignal, m2m_changed, post_delete, post_save, pre_save

from rxcrdt import flushing
from rxcrdt.changes import Changes, Linked
from rxcrdt.keys import row_key
from rxcrdt.owners import Row, changes_of
from rxcrdt.paths import Link
from rxcrdt.registry import registry
from rxcrdt.transactions import in_test_case
from rxcrdt.watched import Watched, watch

__all__ = ["changes_of_rows", "collect", "is_watched", "joins", "link_columns", "note", "quietly", "report", "wire"]

logger = logging.getLogger("rxcrdt.tracking")

_watched = Watched()


def wire() -> None:
    """Listens to the models of all registered anchors, and to no other: called at start-up and when anchors change."""
    global _watched
    _connect(_watched, connect=False)
    _watched = watch(registry)
    _connect(_watched, connect=True)


def _connect(watched: Watched, *, connect: bool) -> None:
    for signal, receiver, senders in (
        (post_save, _saved, watched.models),
        (post_delete, _deleted, watched.models),
        (pre_save, _moving, {model for model in watched.links if model in watched.through}),
        (m2m_changed, _related, watched.through),
    ):
        for sender in senders:
            _listen(signal, receiver, sender, connect=connect)


def _listen(signal: ModelSignal, receiver: Callable[..., None], sender: type[Model], *, connect: bool) -> None:
    name = f"rxcrdt.{receiver.__name__}"
    if connect:
        signal.connect(receiver, sender=sender, dispatch_uid=name)
    else:
        signal.disconnect(sender=sender, dispatch_uid=name)


# Writes that no signal shows


def is_watched(model: type[Model]) -> bool:
    """Whether saves of the model's rows may be news for a document."""
    return model in _watched.models


def joins(model: type[Model]) -> bool:
    """Whether it is the through model of an M2M relation: its rows are no part of others, but make others one."""
    return model in _watched.through


def link_columns(model: type[Model]) -> tuple[str, ...]:
    """The model's columns that make its rows part of others."""
    return _watched.columns(model)


def changes_of_rows(model: type[Model], rows: Iterable[Row], using: str, *, gone: bool = False) -> Changes:
    """As if each row had been saved, or deleted. A row is its primary key and its ``link_columns``."""
    return changes_of(_watched, model, rows, using, gone=gone)


def report(row: Model) -> None:
    """Notes ``row`` as saved, without a signal."""
    note(router.db_for_write(type(row), instance=row), lambda: _of_row(type(row), row, gone=False))


# Receivers. None of them may ever make a save fail.


def _saved(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    note(using, lambda: _of_row(sender, instance, gone=False))


def _deleted(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    note(using, lambda: _of_deleted(sender, instance, using))


def _moving(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    """A through row that is saved again may leave the rows that it joined: nothing else remembers them.

    What it leaves waits on the instance for the ``post_save``: without a transaction, now is before the save.
    """
    try:
        instance._rxcrdt_left = _of_joined(sender, instance, using)  # type: ignore[attr-defined]
    except Exception:
        logger.exception("What %r was joined to before is not known; see RXCRDT['RECONCILE_SECONDS'].", instance)


def _related(
    sender: type[Model],
    instance: Model,
    action: str,
    model: type[Model],
    pk_set: set[Any] | None,
    using: str,
    **_: Any,
) -> None:
    if action.startswith("post_"):
        note(using, lambda: _of_relation(sender, instance, model, pk_set))


def _of_row(sender: type[Model], instance: Model, *, gone: bool) -> Changes:
    changes = instance.__dict__.pop("_rxcrdt_left", None) or Changes()
    row = row_key(sender, instance.pk)
    if sender in _watched.rows:
        (changes.gone if gone else changes.saved).add(row)
    joins = sender in _watched.through
    for link in _watched.links.get(sender, ()):
        changes.links |= _linked(link, instance, None if joins else row)
    return changes


def _of_deleted(sender: type[Model], instance: Model, using: str) -> Changes:
    changes = _of_row(sender, instance, gone=True)
    for via, owner in _watched.falling_back(sender, using):
        changes.links.add(Linked(via=via, owner=owner, child=None))
    return changes


def _of_joined(sender: type[Model], instance: Model, using: str) -> Changes:
    changes = Changes()
    if instance._state.adding or instance.pk is None:
        return changes
    before = sender._base_manager.using(using).filter(pk=instance.pk).first()
    if before is not None:
        for link in _watched.links.get(sender, ()):
            changes.links |= _linked(link, before, None)
    return changes


def _linked(link: Link, instance: Model, child: str | None) -> set[Linked]:
    owner = link.owner_of(instance)
    return {Linked(via=link.via, owner=owner, child=child)} if owner is not None else set()


def _of_relation(through: type[Model], instance: Model, model: type[Model], pk_set: set[Any] | None) -> Changes:
    via = through._meta.label_lower
    owners = {row_key(type(instance), instance.pk), *(row_key(model, pk) for pk in pk_set or ())}
    return Changes(links={Linked(via=via, owner=owner, child=None) for owner in owners})


# Waiting for the commit


def quietly(read: Callable[[], Changes]) -> Changes:
    """What ``read`` gives; nothing if it raises, which is logged."""
    try:
        return read()
    except Exception:
        logger.exception(
            "A change was not noted; documents show it at their next full comparison "
            "(RXCRDT['RECONCILE_SECONDS'], or `manage.py rxcrdt verify --fix`)."
        )
        return Changes()


def note(using: str, read: Callable[[], Changes]) -> None:
    """Collects what ``read`` gives. Never raises."""

    def collected() -> Changes:
        changes = read()
        if changes:
            collect(using, changes)
        return changes

    quietly(collected)


class _Part:
    """What was changed under one set of savepoints; once that is committed, it goes to the transaction's total."""

    def __init__(self, total: _Total):
        self.total = total
        self.changes = Changes()

    def __call__(self) -> None:
        self.total.changes.update(self.changes)


class _Total:
    """What a transaction's parts came to."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.last: _Flush | None = None


class _Flush:
    def __init__(self, using: str, total: _Total):
        self.using = using
        self.total = total

    def __call__(self) -> None:
        if self.total.last is self:
            changes, self.total.changes = self.total.changes, Changes()
            flushing.committed(self.using, changes)


def collect(using: str, changes: Changes) -> None:
    """Flushes ``changes`` when the transaction that is open in ``using`` commits; now, if there is none."""
    connection = connections[using]
    if not connection.in_atomic_block:
        if connection.get_autocommit():
            flushing.committed(using, changes)
        else:
            logger.warning(
                "A save in %r with autocommit switched off: nobody tells when it is committed, so documents show it "
                "at their next full comparison. Use transaction.atomic().",
                using,
            )
        return
    waiting: list[Any] = connection.run_on_commit
    savepoints = set(connection.savepoint_ids)
    if _went_on(using, waiting, savepoints, changes):
        return
    total = _total_of(waiting)
    part, flush = _Part(total), _Flush(using, total)
    part.changes.update(changes)
    total.last = flush
    waiting.append((savepoints, part, True))
    waiting.append((set(), flush, True))


def _went_on(using: str, waiting: list[Any], savepoints: set[str], changes: Changes) -> bool:
    """Adds to the part that was noted last, if that is of the same savepoints.

    Not in a TestCase, which never commits: ``captureOnCommitCallbacks`` takes the hooks that were added inside
    of it, so that every change there needs hooks of its own.
    """
    if len(waiting) < 2 or in_test_case(using):
        return False
    (held, part, _), (_, flush, _) = waiting[-2:]
    if not isinstance(flush, _Flush) or not isinstance(part, _Part) or held != savepoints:
        return False
    part.changes.update(changes)
    return True


def _total_of(waiting: list[Any]) -> _Total:
    """The total of this transaction, whoever else registered hooks behind it; a new one for its first change."""
    found = next((hook.total for _, hook, _ in reversed(waiting) if isinstance(hook, _Flush)), None)
    return found or _Total()
