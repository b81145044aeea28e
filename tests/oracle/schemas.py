"""Serializer trees at random: plain values first (a failing one can be printed and made smaller), then anchors of them.

Left out is what the docs name as not seen: annotations that count other rows, overridden output that reads other rows
(docs/fields.md), conditions on other rows' columns ("What conditions ask of other rows", there), and lists without an
ordering, which the database gives as it pleases. Documents are not named after composite keys.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

from django.db.models import Model, Prefetch
from django.db.models.manager import BaseManager
from rest_framework import serializers
from rest_framework.permissions import AllowAny

import rxcrdt
from rxcrdt.paths import Hop, hop
from tests.shapes.fleets import Fleet, Leg, Remark, Sailor, Skiff, Tag, Tagging, Tanker, Vessel, Zone

__all__ = ["AnchorSpec", "FieldSpec", "LayerSpec", "build", "draw", "sketch", "smaller"]

MODELS: dict[str, type[Model]] = {
    model.__name__: model for model in (Zone, Fleet, Vessel, Tanker, Skiff, Sailor, Tag, Tagging, Leg, Remark)
}
ROOTS = ("Zone", "Fleet", "Fleet", "Vessel", "Vessel", "Tanker", "Skiff", "Sailor", "Tag")
RELATIONS: dict[str, tuple[str, ...]] = {
    "Zone": ("parts", "fleets", "vessels", "visitors", "legs", "parent"),
    "Fleet": ("vessels", "zone", "flagship", "allies", "rivals", "rival_of", "remarks"),
    "Vessel": (
        *("flag_of", "sister", "sister_of", "tanker", "crew", "taggings", "legs", "fleet", "zone"),
        *("captain", "tags", "visits", "remarks"),
    ),
    "Sailor": ("commands", "tankers", "pupils", "taggings", "vessel", "mentor"),
    "Tag": ("vessels", "taggings"),
    "Tagging": ("vessel", "tag", "by"),
    "Leg": ("vessel", "zone"),
    "Remark": (),
}
RELATIONS["Skiff"] = RELATIONS["Vessel"]
RELATIONS["Tanker"] = (*(name for name in RELATIONS["Vessel"] if name != "tanker"), "owner", "vessel_ptr")
PLAIN: dict[str, tuple[str, ...]] = {
    "Zone": ("id", "name", "rank"),
    "Fleet": ("id", "name", "rank"),
    "Vessel": ("id", "name", "rank", "draught"),
    "Sailor": ("id", "name", "rank"),
    "Tag": ("code", "rank"),
    "Tagging": ("id", "weight"),
    "Leg": ("number", "name"),
    "Remark": ("id", "name", "object_id"),
}
PLAIN["Skiff"] = PLAIN["Vessel"]
PLAIN["Tanker"] = (*PLAIN["Vessel"], "volume")
LABEL = {"Tag": "code", "Tagging": "weight"}  # what says most of a row; otherwise its name
RANK = {"Tagging": "weight", "Leg": "number", "Remark": "name"}  # what orders it; otherwise its rank
EMPTY = {  # a foreign key that may be null, and be set to null
    "Zone": "parent", "Fleet": "flagship", "Vessel": "fleet", "Skiff": "fleet", "Tanker": "fleet", "Sailor": "vessel",
    "Tagging": "by",
}  # fmt: skip
FAR = {"Vessel": ("fleet", "captain"), "Sailor": ("mentor",), "Fleet": ("flagship",), "Tagging": ("by",)}  # orders, too
OPAQUE = {"Zone": ("waiting", "Vessel"), "Fleet": ("heavy", "Vessel")}
TREES = {"Zone": "parts", "Sailor": "pupils", "Fleet": "rivals", "Vessel": "sister"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """``attrs`` is the source, ``prefetch`` what a ``Prefetch`` of the anchor's queryset makes of the relation."""

    name: str
    kind: str
    attrs: tuple[str, ...] = ()
    child: LayerSpec | None = None
    levels: int = 0
    prefetch: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """A serializer class; the same ``number`` is the same class, wherever it stands."""

    number: int
    model: str
    hyperlinked: bool
    fields: tuple[FieldSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSpec:
    root: LayerSpec
    filtered: bool
    prefetched: tuple[str, ...]
    selected: tuple[str, ...]


# Drawing


def draw(choices: random.Random) -> AnchorSpec:
    return _Drawing(choices).anchor()


def _target(model: str, attrs: tuple[str, ...]) -> str:
    for attr in attrs:
        model = _hop(model, attr).model.__name__
    return model


def _hop(model: str, attr: str) -> Hop:
    found = hop(MODELS[model], attr)
    assert found is not None, f"{model}.{attr} is no relation"
    return found


def _hops(model: str, attrs: tuple[str, ...]) -> Iterator[Hop]:
    for number, attr in enumerate(attrs):
        yield _hop(_target(model, attrs[:number]), attr)


@dataclass
class _Drawing:
    choices: random.Random
    layers: list[LayerSpec] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    left: int = 7

    def anchor(self) -> AnchorSpec:
        root = self.layer(self.choices.choice(ROOTS), 3, on_path=True)
        relations = RELATIONS[root.model]
        single = [name for name in relations if not _hop(root.model, name).many]
        taken = {f.attrs[0] for f in root.fields if f.prefetch}
        return AnchorSpec(
            root=root,
            filtered=self.choices.random() < 0.2,
            prefetched=tuple(name for name in relations if name not in taken and self.choices.random() < 0.2),
            selected=tuple(name for name in single if self.choices.random() < 0.15),
        )

    def layer(self, model: str, depth: int, *, on_path: bool) -> LayerSpec:
        alike = [spec for spec in self.layers if spec.model == model and not _has_to_attr(spec)]
        if alike and self.choices.random() < 0.35:
            return self.choices.choice(alike)
        self.left -= 1
        number = next(self.numbers)
        plain = [name for name in PLAIN[model] if self.choices.random() < 0.6] or [PLAIN[model][0]]
        fields = [FieldSpec(name=name, kind="plain") for name in plain]
        for place in range(self.choices.randint(1, 4)):
            found = self.field(f"f{place}", model, depth, on_path=on_path)
            taken = {f.attrs for f in fields if f.prefetch}
            if found is not None and not (found.prefetch and found.attrs in taken):
                fields.append(found)
        spec = LayerSpec(
            number=number, model=model, hyperlinked=self.choices.random() < 0.15, fields=tuple(dict.fromkeys(fields))
        )
        self.layers.append(spec)
        return spec

    def field(self, name: str, model: str, depth: int, *, on_path: bool) -> FieldSpec | None:
        relations = RELATIONS[model]
        if not relations:
            return None
        attr = self.choices.choice(relations)
        step = _hop(model, attr)
        nested = ["nested"] * 8 if depth and self.left > 0 else []
        kinds = [*nested, "keys", "slugs", "names", "links", "value", "whole", "method", "method", "star", "own"]
        if not step.many:
            kinds += ["dotted"] * 2
        if step.via is None:
            kinds += ["column", "blind"]
        if model in OPAQUE:
            kinds += ["opaque"] * 2
        if model in TREES:
            kinds += ["tree"]
        if model == "Fleet":
            kinds.append("property")
        kind = self.choices.choice(kinds)
        return self._of_kind(kind, name, model, attr, depth, on_path=on_path)

    def _of_kind(self, kind: str, name: str, model: str, attr: str, depth: int, *, on_path: bool) -> FieldSpec | None:
        attrs: tuple[str, ...] = (attr,)
        if kind in {"keys", "slugs", "names", "links", "whole"}:
            return FieldSpec(name=name, kind=kind, attrs=attrs)
        if kind in {"method", "value", "dotted"}:
            return FieldSpec(name=name, kind=kind, attrs=self._further(model, attrs, single=kind == "dotted"))
        if kind in {"column", "blind"}:
            return FieldSpec(name=name, kind=kind, attrs=(f"{attr}_id",))
        if kind == "own":
            key = self.choices.choice(["pk", LABEL.get(model, "name")])
            return FieldSpec(name=name, kind="own", attrs=(key,))
        if kind == "property":
            return FieldSpec(name=name, kind="own", attrs=("strength",))
        if kind == "tree":
            return FieldSpec(name=name, kind="tree", attrs=(TREES[model],), levels=self.choices.randint(1, 3))
        if not depth or self.left <= 0:
            return None
        if kind == "star":
            return FieldSpec(name=name, kind="star", child=self.layer(model, depth - 1, on_path=on_path))
        if kind == "opaque":
            source, child = OPAQUE[model]
            return FieldSpec(
                name=name, kind="opaque", attrs=(source,), child=self.layer(child, depth - 1, on_path=False)
            )
        return self._nested(name, model, attrs, depth, on_path=on_path)

    def _further(self, model: str, attrs: tuple[str, ...], *, single: bool) -> tuple[str, ...]:
        target = _target(model, attrs)
        more = [name for name in RELATIONS[target] if not (single and _hop(target, name).many)]
        return (*attrs, self.choices.choice(more)) if more and self.choices.random() < 0.4 else attrs

    def _nested(self, name: str, model: str, attrs: tuple[str, ...], depth: int, *, on_path: bool) -> FieldSpec:
        if not _hop(model, attrs[0]).many and self.choices.random() < 0.25:
            attrs = self._further(model, attrs, single=False)
        child = self.layer(_target(model, attrs), depth - 1, on_path=on_path)
        prefetch = self._prefetch(model, attrs) if on_path else ()
        return FieldSpec(name=name, kind="nested", attrs=attrs, child=child, prefetch=prefetch)

    def _prefetch(self, model: str, attrs: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
        if self.choices.random() < 0.6:
            return ()
        target = _target(model, attrs)
        rank = RANK.get(target, "rank")
        options: dict[str, Any] = {}
        step = _hop(_target(model, attrs[:-1]), attrs[-1])
        if step.many and self.choices.random() < 0.6:
            far = [f"{name}__{LABEL.get(_target(target, (name,)), 'name')}" for name in FAR.get(target, ())]
            options["order"] = (self.choices.choice([rank, f"-{rank}", LABEL.get(target, "name"), *far]), "pk")
        if self.choices.random() < 0.4:
            values = ["rank 1", "rank 2"]
            options["filter"] = (rank, self.choices.choice(values if target not in EMPTY else [*values, "none"]))
        generic = attrs[-1] == "remarks"  # which Django cannot cut
        if step.many and len(attrs) == 1 and not generic and self.choices.random() < 0.2:
            options["slice"] = 2
        if "slice" in options or (len(attrs) == 1 and self.choices.random() < 0.25):  # Django cuts no list without it
            options["to_attr"] = f"{attrs[0]}_{next(self.numbers)}"
        return tuple(options.items())


def _has_to_attr(spec: LayerSpec) -> bool:
    return any(dict(f.prefetch).get("to_attr") or (f.child and _has_to_attr(f.child)) for f in spec.fields)


def sketch(spec: AnchorSpec) -> str:
    """The schema for people."""
    more = {"filtered": spec.filtered, "prefetched": spec.prefetched, "selected": spec.selected}
    return "\n".join([*_sketched(spec.root, ""), *(f"{name}: {value}" for name, value in more.items() if value)])


def _sketched(spec: LayerSpec, indent: str) -> Iterator[str]:
    yield f"{indent}{spec.model}{spec.number}{' with hyperlinks' if spec.hyperlinked else ''}"
    for each in spec.fields:
        extras = [f"levels={each.levels}" * bool(each.levels), *(f"{name}={value}" for name, value in each.prefetch)]
        yield " ".join([f"{indent}  {each.name}:", each.kind, ".".join(each.attrs), *filter(None, extras)])
        if each.child is not None:
            yield from _sketched(each.child, f"{indent}    ")


# Making it smaller


def smaller(spec: AnchorSpec) -> Iterator[AnchorSpec]:
    """Schemas with one thing less."""
    for root in _smaller_layers(spec.root):
        yield replace(spec, root=root)
    if spec.filtered:
        yield replace(spec, filtered=False)
    if spec.prefetched or spec.selected:
        yield replace(spec, prefetched=(), selected=())
    if spec.prefetched:
        yield replace(spec, prefetched=spec.prefetched[1:])


def _smaller_layers(spec: LayerSpec) -> Iterator[LayerSpec]:
    for number in range(len(spec.fields)):
        if len(spec.fields) > 1:
            yield replace(spec, fields=(*spec.fields[:number], *spec.fields[number + 1 :]))
    for number, each in enumerate(spec.fields):
        for field_ in _smaller_fields(each):
            yield replace(spec, fields=(*spec.fields[:number], field_, *spec.fields[number + 1 :]))


def _smaller_fields(spec: FieldSpec) -> Iterator[FieldSpec]:
    if spec.prefetch and not dict(spec.prefetch).get("to_attr"):
        yield replace(spec, prefetch=())
    for number in range(len(spec.prefetch)):
        yield replace(spec, prefetch=(*spec.prefetch[:number], *spec.prefetch[number + 1 :]))
    if spec.levels > 1:
        yield replace(spec, levels=spec.levels - 1)
    if spec.child is not None:
        for child in _smaller_layers(spec.child):
            yield replace(spec, child=child)


# Building


def build(spec: AnchorSpec, name: str, using: str | None = None) -> type[rxcrdt.Anchor]:
    """An anchor of ``spec``; not registered."""
    model = MODELS[spec.root.model]
    lookups = tuple(dict.fromkeys(_prefetches(spec.root, ())))
    queryset = model._default_manager.all() if using is None else model._default_manager.using(using)
    if spec.filtered:
        queryset = queryset.filter(**{f"{RANK.get(spec.root.model, 'rank')}__gte": -1})
    queryset = queryset.prefetch_related(*_once(lookups), *spec.prefetched)
    if spec.selected:
        queryset = queryset.select_related(*spec.selected)
    given = {"queryset": queryset, "serializer_class": _Building().layer(spec.root), "permission_classes": [AllowAny]}
    return type("GeneratedAnchor", (rxcrdt.Anchor,), {**given, "name": name})


def _once(lookups: tuple[Prefetch[Any], ...]) -> list[Prefetch[Any]]:
    """Each path once, and what leads to others first: Django refuses anything else."""
    found = {lookup.prefetch_to: lookup for lookup in lookups}
    return [found[path] for path in sorted(found, key=lambda path: path.count("__"))]


def _prefetches(
    spec: LayerSpec, path: tuple[str, ...], hops: tuple[Hop, ...] = (), *, detour: bool = False
) -> Iterator[Prefetch[Any]]:
    """Not after a step back (``detour``): what Django prefetches there it puts into the row that it came from, and so
    into other fields of it, if there is anything on the way, and does not otherwise."""
    for each in spec.fields:
        options = dict(each.prefetch)
        below = (*path, *each.attrs)
        steps = (*hops[-1:], *_hops(spec.model, each.attrs)) if each.kind == "nested" else hops
        back = detour or any(one.is_undone_by(other) for one, other in pairwise(steps))
        if each.kind == "nested" and options and not (back and "to_attr" not in options):
            yield Prefetch("__".join(below), queryset=_rows(spec.model, each), to_attr=options.get("to_attr"))
            if "to_attr" in options:
                below = (*path, options["to_attr"])
        if each.kind in {"nested", "star"} and each.child is not None:
            yield from _prefetches(each.child, below, steps, detour=back)


def _rows(model: str, spec: FieldSpec) -> Any:
    target = MODELS[_target(model, spec.attrs)]
    options = dict(spec.prefetch)
    rows = target._default_manager.all()
    if "filter" in options:
        column, value = options["filter"]
        below = value if column == "name" or value == "none" else int(value[-1]) - 1
        rows = rows.filter(
            **({f"{EMPTY[target.__name__]}__isnull": True} if value == "none" else {f"{column}__lte": below})
        )
    if "order" in options:
        rows = rows.order_by(*options["order"])
    if "slice" in options:
        rows = rows[: options["slice"]]
    return rows


class _Building:
    def __init__(self) -> None:
        self.made: dict[LayerSpec, Any] = {}
        self.numbers: dict[int, int] = {}

    def layer(self, spec: LayerSpec) -> Any:
        if spec not in self.made:
            # Made smaller, one class may have become two.
            twin = self.numbers[spec.number] = self.numbers.get(spec.number, -1) + 1
            base = serializers.HyperlinkedModelSerializer if spec.hyperlinked else serializers.ModelSerializer
            self.made[spec] = self._class(f"{spec.model}{spec.number}{'x' * twin}", base, spec)
        return self.made[spec]

    def _class(self, name: str, base: Any, spec: LayerSpec) -> Any:
        body: dict[str, Any] = {}
        for each in spec.fields:
            if each.kind in {"method", "blind"}:
                body[f"get_{each.name}"] = _method(each) if each.kind == "method" else _blind(each)
            if each.kind != "plain":
                body[each.name] = self._field(spec, each)
        names = [*(["url"] if spec.hyperlinked and spec.model != "Leg" else []), *(f.name for f in spec.fields)]
        meta = type("Meta", (), {"model": MODELS[spec.model], "fields": names})
        return type(f"{name}Serializer", (base,), {**body, "Meta": meta})

    def _field(self, spec: LayerSpec, each: FieldSpec) -> Any:
        source: dict[str, Any] = {} if each.attrs == (each.name,) else {"source": ".".join(each.attrs)}
        if each.kind in {"own", "column"}:
            return serializers.ReadOnlyField(**source)
        if each.kind in {"method", "blind"}:
            return serializers.SerializerMethodField()
        if each.kind == "star":
            return self.layer(_child(each))(source="*", read_only=True)
        if each.kind == "opaque":
            return self.layer(_child(each))(many=True, read_only=True, **source)
        if each.kind == "tree":
            return _tree(spec, each)(levels=each.levels, many=_many(spec.model, each.attrs), read_only=True, **source)
        if each.kind == "dotted":
            label = LABEL.get(_target(spec.model, each.attrs), "name")
            return serializers.ReadOnlyField(source=".".join((*each.attrs, label)), default=None)
        return self._related(spec, each, source)

    def _related(self, spec: LayerSpec, each: FieldSpec, source: Mapping[str, Any]) -> Any:
        target, many = _target(spec.model, each.attrs), _many(spec.model, each.attrs)
        common = {"many": many, "read_only": True, **source}
        if each.kind == "nested":
            to_attr = dict(each.prefetch).get("to_attr")
            return self.layer(_child(each))(**({**common, "source": to_attr} if to_attr else common))
        if each.kind == "value":
            inner = {"label": serializers.ReadOnlyField(source=LABEL.get(target, "name"))}
            return type("ValueSerializer", (serializers.Serializer,), inner)(**common)
        if each.kind == "whole":
            return _whole(target)(**common)
        if each.kind == "slugs":
            return serializers.SlugRelatedField(slug_field=LABEL.get(target, "name"), **common)
        if each.kind == "names":
            return serializers.StringRelatedField(**{k: v for k, v in common.items() if k != "read_only"})
        if each.kind == "links" and target != "Leg":
            return serializers.HyperlinkedRelatedField(view_name=f"{target.lower()}-detail", **common)
        return serializers.PrimaryKeyRelatedField(**common)


def _child(spec: FieldSpec) -> LayerSpec:
    assert spec.child is not None
    return spec.child


def _many(model: str, attrs: tuple[str, ...]) -> bool:
    return _hop(_target(model, attrs[:-1]), attrs[-1]).many


def _method(spec: FieldSpec) -> Any:
    @rxcrdt.depends_on("__".join(spec.attrs))
    def get(self: Any, row: Any) -> list[str]:
        return sorted(str(found) for found in _along(row, spec.attrs))

    return get


def _blind(spec: FieldSpec) -> Any:
    """Reads a column of the row itself, which nobody has to declare."""
    return lambda self, row: f"{getattr(row, spec.attrs[0])}"


def _along(row: Any, attrs: tuple[str, ...]) -> list[Any]:
    rows = [row]
    for attr in attrs:
        rows = [found for each in rows for found in _reached(getattr(each, attr, None))]
    return rows


def _reached(value: Any) -> Iterable[Any]:
    if isinstance(value, BaseManager):
        found: Iterable[Any] = value.all()
        return found
    return () if value is None else (value,)


def _whole(target: str) -> Any:
    def to_representation(self: Any, row: Any) -> str:
        return f"#{row}"

    meta = type("Meta", (), {"model": MODELS[target], "fields": [PLAIN[target][0]]})
    body = {"Meta": meta, "to_representation": to_representation}
    return type(f"Whole{target}Serializer", (serializers.ModelSerializer,), body)


def _tree(spec: LayerSpec, each: FieldSpec) -> Any:
    """A class that nests itself, ``levels`` deep."""
    (attr,) = each.attrs
    many = _many(spec.model, each.attrs)

    def initialise(self: Any, *args: Any, levels: int, **kwargs: Any) -> None:
        self.levels = levels
        super(tree, self).__init__(*args, **kwargs)

    def get_fields(self: Any) -> Any:
        found = super(tree, self).get_fields()
        if self.levels > 1:
            found[attr] = tree(levels=self.levels - 1, many=many, read_only=True)
        return found

    model = _hop(spec.model, attr).model
    meta = type("Meta", (), {"model": model, "fields": ["name", "rank"]})
    body = {"Meta": meta, "__init__": initialise, "get_fields": get_fields}
    name = f"Tree{spec.number}{each.name}Serializer"
    tree: Any = type(name, (serializers.ModelSerializer,), body)
    return tree
