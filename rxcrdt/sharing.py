"""Whether two nested serializers of one class may share a layer: not where a Prefetch gives one of them other rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from rxcrdt.declaring import declared_paths
from rxcrdt.prefetches import Path, Prefetches

__all__ = ["signature"]

# Constructor arguments that do not show in what a nested serializer gives.
SILENT = frozenset(
    "context many read_only write_only required default initial source label help_text style error_messages "
    "validators allow_null allow_empty min_length max_length".split()
)


def signature(serializer: Any, prefetches: Prefetches, path: Path | None) -> str:
    """Two nested serializers of one class share a layer when this is the same: what they show, and of which rows."""
    loud = {str(name): repr(value) for name, value in serializer._kwargs.items() if name not in SILENT}
    read = dict.fromkeys(_reads(serializer, ())) if path is not None else {}
    given = {"__".join(attrs): prefetches.told((*(path or ()), *attrs)) for attrs in read}
    rows = {name: told for name, told in given.items() if told}
    names = [str(name) for name in serializer.fields]
    return json.dumps([repr(serializer._args[1:]), loud, names, rows], sort_keys=True)


def _reads(serializer: Any, before: Path) -> Iterator[Path]:
    """Every path that its fields, and those of the serializers in it, may follow."""
    for field in serializer._readable_fields:
        attrs = tuple(field.source_attrs)
        for length in range(1, len(attrs) + 1):
            yield (*before, *attrs[:length])
        for declared in _declared(serializer, field):
            steps = tuple(declared.split("__"))
            yield from ((*before, *steps[:length]) for length in range(1, len(steps) + 1))
        inner = getattr(field, "child", field)
        if isinstance(inner, serializers.Serializer):
            yield from _reads(inner, (*before, *attrs))


def _declared(serializer: Any, field: Any) -> tuple[str, ...]:
    if isinstance(field, serializers.SerializerMethodField):
        return declared_paths(getattr(type(serializer), field.method_name or "", None))
    model = getattr(getattr(serializer, "Meta", None), "model", None)
    return declared_paths(getattr(model, field.source, None)) if model is not None else ()
