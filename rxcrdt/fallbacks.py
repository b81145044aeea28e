"""Where rows go when what they point at is deleted, and ``on_delete`` names another row: no signal tells of that."""

from __future__ import annotations

from typing import Any

from django.db.models import SET_DEFAULT, ForeignKey, Model

from rxcrdt.keys import row_key
from rxcrdt.paths import Link

__all__ = ["fallback_owner", "falls_back"]


def falls_back(link: Link) -> bool:
    """Whether the rows of ``link`` come to another owner when theirs is deleted: ``SET_DEFAULT``, ``SET(…)``."""
    key = link.model._meta.get_field(link.column)
    return isinstance(key, ForeignKey) and (_on_delete(key) is SET_DEFAULT or _set(key) is not None)


def fallback_owner(link: Link, using: str) -> str | None:
    """The row key of the owner that the rows come to."""
    key: Any = link.model._meta.get_field(link.column)
    given = _set(key)
    value = key.get_default() if given is None else given[0]
    if given is not None and callable(value):
        value = value()
    if isinstance(value, Model):
        value = getattr(value, key.target_field.attname)
    if value is not None and link.to_field is not None:
        owners = link.target._base_manager.using(using).filter(**{link.to_field: value})
        value = owners.values_list("pk", flat=True).first()
    return None if value is None else row_key(link.target, value)


def _on_delete(key: ForeignKey[Any, Any]) -> Any:
    return key.remote_field.on_delete


def _set(key: ForeignKey[Any, Any]) -> tuple[Any, ...] | None:
    """What ``SET(…)`` was given, which only its ``deconstruct`` tells."""
    deconstruct = getattr(_on_delete(key), "deconstruct", None)
    return deconstruct()[1] if deconstruct is not None else None
