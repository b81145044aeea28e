"""A manager whose bulk writes are seen: Django sends no signal for them.

Imported by the project's models, so that nothing here may need them, or the settings, before something is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models, transaction

__all__ = ["AnchoredManager", "AnchoredQuerySet"]

ModelT = TypeVar("ModelT", bound=models.Model)


class AnchoredQuerySet(models.QuerySet[ModelT]):
    """``update``, ``bulk_create`` and ``bulk_update`` tell open documents what they wrote, as a save does: when its
    transaction commits. ``delete`` reads no rows where nothing goes with them and nobody else listens. For models that
    no anchor shows they are Django's own.

    The asynchronous methods call these, and ``bulk_update`` calls ``update``.
    """

    tells_of_updates = True

    def update(self, **values: Any) -> int:
        from rxcrdt import bulk

        self._for_write = True  # or ``db`` would be where rows are read
        return bulk.update(self, values, super().update)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Iterable[ModelT],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[ModelT]:
        from rxcrdt import bulk

        created = super().bulk_create(
            objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )
        bulk.created(self, created, updated=tuple(update_fields or ()) if update_conflicts else None)
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        from rxcrdt import fast_deletes

        rows = fast_deletes.at_once(self)
        if rows is None:
            return super().delete()
        with transaction.atomic(using=rows.db, savepoint=False):
            count = rows._raw_delete(rows.db)
        self._result_cache = None
        return count, {self.model._meta.label: count} if count else {}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        """What ``delete()`` calls where nobody listens to the model's deletes, and what some projects call instead."""
        from rxcrdt import bulk

        return bulk.delete(self, using or self.db, super()._raw_delete)

    _raw_delete.alters_data = True  # type: ignore[attr-defined]


if TYPE_CHECKING:
    _Manager = models.Manager  # which has the same methods
else:
    _Manager = models.Manager.from_queryset(AnchoredQuerySet)


class AnchoredManager(_Manager[ModelT]):
    """``objects = AnchoredManager()``, and ``base_manager_name = "objects"`` in ``Meta`` for ``shelf.books.add(…)``."""

    @classmethod
    def from_queryset(cls, queryset_class: Any, class_name: str | None = None) -> Any:
        """A manager with the methods of ``queryset_class``, which need not be an ``AnchoredQuerySet``."""
        if not issubclass(queryset_class, AnchoredQuerySet):
            name = f"Anchored{queryset_class.__name__}"
            queryset_class = type(name, (AnchoredQuerySet, queryset_class), {"__module__": queryset_class.__module__})
        return super().from_queryset(queryset_class, class_name)
