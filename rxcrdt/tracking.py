"""Signals to changes: what a save, a delete or an M2M change says of the rows that documents may show."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.db import router
from django.db.models import Model, QuerySet
from django.db.models.signals import ModelSignal, m2m_changed, post_delete, post_save, pre_delete, pre_save

from rxcrdt.changes import Changes, Linked
from rxcrdt.keys import row_key
from rxcrdt.owners import Row, changes_of
from rxcrdt.paths import Link
from rxcrdt.registry import registry
from rxcrdt.transactions import has_ended
from rxcrdt.unset import rows_to_unset
from rxcrdt.waiting import collect
from rxcrdt.watched import Watched, watch

__all__ = ["NAME", "changes_of_rows", "is_watched", "joins", "link_columns", "note", "quietly", "report", "wire"]

logger = logging.getLogger("rxcrdt.tracking")

NAME = "rxcrdt."  # what the names of all our listeners begin with

_watched = Watched()


def wire() -> None:
    """Listens to the models of all registered anchors, and to no other: called at start-up and when anchors change."""
    global _watched
    _connect(_watched, connect=False)
    _watched = watch(registry)
    _connect(_watched, connect=True)


def _connect(watched: Watched, *, connect: bool) -> None:
    joining = watched.models & watched.through
    for signal, receiver, senders in (
        (post_save, _saved, watched.models),
        (post_delete, _deleted, watched.models),
        (pre_save, _moving, joining),
        (pre_delete, _leaving, joining),
        (pre_delete, _unsetting, watched.unset),
        (m2m_changed, _related, watched.through),
    ):
        for sender in senders:
            _listen(signal, receiver, sender, connect=connect)


def _listen(signal: ModelSignal, receiver: Callable[..., None], sender: type[Model], *, connect: bool) -> None:
    name = f"{NAME}{receiver.__name__}"
    if connect:
        signal.connect(receiver, sender=sender, dispatch_uid=name)
    else:
        signal.disconnect(sender=sender, dispatch_uid=name)


# Writes that no signal shows


def is_watched(model: type[Model]) -> bool:
    """Whether saves of the model's rows may be news for a document."""
    return model in _watched


def joins(model: type[Model]) -> bool:
    """Whether it is the through model of an M2M relation: its rows are no part of others, but make others one."""
    return model in _watched.through


def link_columns(model: type[Model]) -> tuple[str, ...]:
    """The model's columns that make its rows part of others."""
    return _watched.columns(model)


def changes_of_rows(model: type[Model], rows: Iterable[Row], using: str, *, gone: bool = False) -> Changes:
    """As if each row had been saved, or deleted. A row is its primary key and its ``link_columns``."""
    return changes_of(_watched, model, rows, using, gone=gone)


def report(rows: Iterable[Model]) -> None:
    """Notes ``rows`` as saved, without a signal."""
    found: dict[str, Changes] = {}
    for row in rows:
        using = router.db_for_write(type(row), instance=row)
        changes = quietly(using, partial(_of_row, type(row), row, using, gone=False))
        found.setdefault(using, Changes()).update(changes)
    for using, changes in found.items():
        note(using, partial(Changes.together, [changes]))


# Receivers. None of them may ever make a save fail that would not have failed anyway.


def _saved(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    note(using, lambda: _of_row(sender, instance, using, gone=False))


def _deleted(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    note(using, lambda: _of_deleted(sender, instance, using))


def _moving(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    """A through row that is saved again may leave the rows that it joined: nothing else remembers them.

    What it leaves waits on the instance for the ``post_save``: without a transaction, now is before the save.
    """
    try:
        instance._rxcrdt_left = _of_joined(sender, instance, using)  # type: ignore[attr-defined]
    except Exception as error:
        if has_ended(using, error):
            raise
        logger.exception("What %r was joined to before is not known; see RXCRDT['RECONCILE_SECONDS'].", instance)


def _leaving(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    """A through row that was not read as a whole cannot say what it joined when it is gone."""
    if not _is_read(instance, _watched.links[sender]):
        _moving(sender, instance, using)


def _unsetting(sender: type[Model], instance: Model, using: str, origin: Any = None, **_: Any) -> None:
    """The delete writes to rows that point at ``instance``, and nothing tells of them."""

    def read() -> Changes:
        rows = rows_to_unset(_watched.unset[sender], instance, origin, using)
        return Changes.together(changes_of_rows(model, _values(model, found), using) for model, found in rows)

    note(using, read)


def _values(model: type[Model], rows: QuerySet[Any]) -> Iterable[Row]:
    return rows.order_by().values_list("pk", *link_columns(model)).iterator()


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


def _of_row(sender: type[Model], instance: Model, using: str, *, gone: bool) -> Changes:
    changes = instance.__dict__.pop("_rxcrdt_left", None) or Changes()
    row = row_key(sender, instance.pk)
    if sender in _watched.rows:
        (changes.gone if gone else changes.saved).add(row)
    links = _watched.links.get(sender, ())
    if not gone and not _is_read(instance, links):
        found = sender._base_manager.using(using).only(*_watched.columns(sender)).filter(pk=instance.pk)
        instance = found.first() or instance
    joins = sender in _watched.through
    for link in links:
        changes.links |= _linked(link, instance, None if joins else row)
    return changes


def _of_deleted(sender: type[Model], instance: Model, using: str) -> Changes:
    changes = _of_row(sender, instance, using, gone=True)
    for via, owner in _watched.falling_back(sender, using):
        changes.links.add(Linked(via=via, owner=owner, child=None))
    return changes


def _is_read(instance: Model, links: Iterable[Link]) -> bool:
    """Whether it knows to whom it belongs: ``only()`` and ``defer()`` may have left that in the database."""
    values = instance.__dict__
    return all(link.column in values and (link.type_column or link.column) in values for link in links)


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


# To the commit


def quietly(using: str, read: Callable[[], Changes]) -> Changes:
    """What ``read`` gives; nothing if it raises, which is logged. Raises what has ended the open transaction anyway."""
    try:
        return read()
    except Exception as error:
        if has_ended(using, error):
            raise
        logger.exception(
            "A change was not noted; documents show it at their next full comparison "
            "(RXCRDT['RECONCILE_SECONDS'], or `manage.py rxcrdt verify --fix`)."
        )
        return Changes()


def note(using: str, read: Callable[[], Changes]) -> None:
    """Collects what ``read`` gives; raises as ``quietly`` does."""

    def collected() -> Changes:
        changes = read()
        if changes:
            collect(using, changes)
        return changes

    quietly(using, collected)
