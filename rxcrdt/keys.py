"""How rows are named: node keys in a document, row keys in the store's index."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from django.db.models import Model

__all__ = ["Node", "base_model", "node_key", "pk_of", "row_key", "row_key_of"]

Node = tuple[str, str]  # a layer's name and a node key: what a row is in a document

CLIENT_PREFIX = "new-"  # keys that clients choose begin so
ESCAPE = "="


@cache
def base_model(model: type[Model]) -> type[Model]:
    """The model whose table gives ``model`` its primary key: proxies and multi-table children are one row."""
    concrete = model._meta.concrete_model or model
    remote = getattr(concrete._meta.pk, "remote_field", None)
    if remote is not None and getattr(remote, "parent_link", False):
        return base_model(remote.model)
    return concrete


@cache
def _label(model: type[Model]) -> str:
    return base_model(model)._meta.label_lower


def row_key(model: type[Model], pk: Any) -> str:
    """``"boards.task:5"``: the same for a row and for its proxies, parents and children."""
    return f"{_label(model)}:{_text(_as_read(model, pk))}"


def _as_read(model: type[Model], pk: Any) -> Any:
    """As the database gives it: who saves a row may write a number or a UUID as text, and in several ways."""
    if isinstance(pk, str):
        return base_model(model)._meta.pk.to_python(pk)
    if isinstance(pk, tuple):
        fields = base_model(model)._meta.pk_fields
        return tuple(field.to_python(part) for field, part in zip(fields, pk, strict=True))
    return pk


def row_key_of(model: type[Model], key: str) -> str:
    """``row_key`` of the row whose node key is ``key``."""
    return f"{_label(model)}:{key[1:] if key.startswith(ESCAPE) else key}"


def node_key(pk: Any) -> str:
    """The key of a row that the server brought in. Clients choose keys that begin with ``new-``; ours never do."""
    text = _text(pk)
    return ESCAPE + text if text.startswith((CLIENT_PREFIX, ESCAPE)) else text


def _text(pk: Any) -> str:
    return json.dumps([str(part) for part in pk]) if isinstance(pk, tuple) else str(pk)


def pk_of(model: type[Model], key: str) -> Any:
    """The primary key that ``node_key`` made ``key`` of."""
    text = key[1:] if key.startswith(ESCAPE) else key
    meta = model._meta
    parts = getattr(meta, "pk_fields", None)
    if parts is not None and len(parts) > 1:
        return tuple(field.to_python(part) for field, part in zip(parts, json.loads(text), strict=True))
    return meta.pk.to_python(text)
