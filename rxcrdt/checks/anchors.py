"""Anchors that cannot work, or do not say what their author thinks they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - that is its name
from django.core.exceptions import FieldDoesNotExist
from rest_framework.serializers import ModelSerializer

from rxcrdt.anchors import Anchor, Layer
from rxcrdt.checks.messages import from_error, named
from rxcrdt.checks.settings import readable
from rxcrdt.exceptions import ConfigurationError
from rxcrdt.keys import base_model
from rxcrdt.layers import Plan, plan
from rxcrdt.layout import META
from rxcrdt.registry import registry

__all__ = ["check_anchors"]

#: Options of a Layer that this version does not act upon.
COMING = ("write", "text", "order_by", "permission_classes")


def check_anchors(**_: Any) -> list[CheckMessage]:
    if not readable():
        return []
    return [message for anchor in registry for message in _check(anchor)]


def _check(anchor: type[Anchor]) -> Iterator[CheckMessage]:
    yield from _permissions(anchor)
    if anchor.queryset is None:
        hint = "Say which rows become documents, as Board.objects.all(): see docs/anchors.md."
        yield Error("It has no queryset.", hint=hint, obj=named(anchor), id="rxcrdt.E009")
        return
    yield from _lookup_field(anchor)
    options = list(_options(anchor))
    yield from options
    serializer = anchor.serializer_class
    if not (isinstance(serializer, type) and issubclass(serializer, ModelSerializer)):
        yield Error(
            f"serializer_class is {serializer!r}, and not a ModelSerializer.",
            hint="Give it the nested ModelSerializer that documents show: see docs/anchors.md.",
            obj=named(anchor),
            id="rxcrdt.E003",
        )
    elif not any(message.is_serious() for message in options):
        yield from _planned(anchor)


def _permissions(anchor: type[Anchor]) -> Iterator[CheckMessage]:
    classes = anchor.permission_classes
    if not isinstance(classes, list | tuple) or not all(map(callable, classes)):
        yield Error(
            "It has no permission_classes." if classes is None else f"permission_classes is no list: {classes!r}.",
            hint="Say who may read its documents; [AllowAny] says that everybody may: see docs/anchors.md.",
            obj=named(anchor),
            id="rxcrdt.E002",
        )
    elif not classes:
        yield Warning(
            "permission_classes is empty: everybody on the web may read its documents.",
            hint="If that is meant, write [AllowAny].",
            obj=named(anchor),
            id="rxcrdt.W007",
        )


def _lookup_field(anchor: type[Anchor]) -> Iterator[CheckMessage]:
    name, model = anchor.lookup_field, anchor.model()
    if name == "pk":
        return
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        hint = "Name a field of the model itself that is unique, or leave lookup_field out."
        what = f"lookup_field is {name!r}, which is no field of {model._meta.label}."
        yield Error(what, hint=hint, obj=named(anchor), id="rxcrdt.E008")
        return
    if not getattr(field, "unique", False):
        yield Warning(
            f"lookup_field is {name!r}, which is not unique: two rows of one value cannot be opened.",
            hint=f"Make {model._meta.label}.{name} unique, or use another field.",
            obj=named(anchor),
            id="rxcrdt.W008",
        )


def _options(anchor: type[Anchor]) -> Iterator[CheckMessage]:
    options: dict[Any, Any] = dict(anchor.layers)  # what a project wrote, whatever the annotation says
    for serializer, option in options.items():
        label = getattr(serializer, "__name__", repr(serializer))
        if not isinstance(option, Layer):
            yield Error(
                f"layers[{label}] is {option!r}, and not a Layer.",
                hint="Write Layer(name=…): see docs/anchors.md.",
                obj=named(anchor),
                id="rxcrdt.E007",
            )
            continue
        without_effect = [name for name in COMING if getattr(option, name)]
        if without_effect:
            yield Warning(
                f"layers[{label}] sets {', '.join(without_effect)}, which has no effect in this version: documents are "
                f"read-only, and permission_classes of the anchor alone decide who reads them.",
                hint="Writing is coming; take it out until then.",
                obj=named(anchor),
                id="rxcrdt.W006",
            )


def _planned(anchor: type[Anchor]) -> Iterator[CheckMessage]:
    hint = "See docs/anchors.md."
    try:
        current = plan(anchor)
    except ConfigurationError as error:
        yield from_error(error, id="rxcrdt.E004", hint=hint, obj=named(anchor))
        return
    except Exception as error:  # noqa: BLE001 - the project's own classes: anything may come, and is told
        what = f"Its serializer cannot be turned into layers: {type(error).__name__}: {error}"
        hint = f"Does {named(anchor.serializer_class or object)}(instance).data work? See docs/fields.md."
        yield Error(what, hint=hint, obj=named(anchor), id="rxcrdt.E006")
        return
    yield from _other_model(anchor, current)
    yield from _tables(anchor, current)
    yield from _without_layer(anchor, current)


def _other_model(anchor: type[Anchor], current: Plan) -> Iterator[CheckMessage]:
    rows, shown = anchor.model(), current.layers[current.root].model
    if base_model(rows) is not base_model(shown):
        yield Error(
            f"queryset has rows of {rows._meta.label}, and serializer_class shows those of {shown._meta.label}.",
            hint="Use a serializer for the queryset's model: see docs/anchors.md.",
            obj=named(anchor),
            id="rxcrdt.E009",
        )


def _tables(anchor: type[Anchor], current: Plan) -> Iterator[CheckMessage]:
    """Layers, lists and what the document says of itself are roots of one document, with names of their own."""
    taken = {META: "the root that describes the document"}
    for layer in current.layers.values():
        for relation in layer.relations.values():
            if relation.many:
                taken[f"{layer.name}.{relation.name}"] = f"the list {relation.name} of the layer {layer.name}"
    for layer in current.layers.values():
        if layer.name in taken:
            kind = type(layer.serializer).__name__
            yield Error(
                f"{kind} would be the layer {layer.name!r}, which is the name of {taken[layer.name]}.",
                hint=f"Name it otherwise: layers = {{{kind}: Layer(name=…)}}, see docs/anchors.md.",
                obj=named(anchor),
                id="rxcrdt.E005",
            )


def _without_layer(anchor: type[Anchor], current: Plan) -> Iterator[CheckMessage]:
    kinds = {type(layer.serializer) for layer in current.layers.values()}
    for serializer in anchor.layers.keys() - kinds:
        known = ", ".join(sorted(kind.__name__ for kind in kinds))
        yield Error(
            f"layers has an entry for {named(serializer)}, which is no layer of its documents.",
            hint=f"The layers are those of {known}. A serializer that overrides to_representation is a plain value, "
            f"and has none: see docs/fields.md.",
            obj=named(anchor),
            id="rxcrdt.E007",
        )
