"""Relation paths of models: which model each step leads to, and what a save along it says about its owner."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models import ForeignKey, ManyToManyField, ManyToManyRel, Model
from django.db.models.fields.reverse_related import ManyToOneRel

from rxcrdt.keys import base_model, row_key

__all__ = ["Hop", "Link", "hop", "hops_back", "links_of", "path_to", "through_of", "walk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step: from ``owner`` by the attribute ``attr`` to rows of ``model``.

    ``via`` names the link whose rows make up the relation: a foreign key that points at the owner
    (``app.task.column``) or an M2M relation's through model (``app.task_labels``); None for a forward
    foreign key, which is a column of the owner itself.
    """

    attr: str
    owner: type[Model]
    field: Any
    model: type[Model]
    many: bool
    via: str | None

    @property
    def pk_column(self) -> str | None:
        """The owner's attribute that holds the target's primary key, for a plain forward foreign key."""
        if isinstance(self.field, ForeignKey) and self.field.target_field.primary_key:
            return self.field.attname
        return None

    def is_undone_by(self, step: Hop) -> bool:
        """Whether ``step`` leads back to the very row that this one came from."""
        if self.field.many_to_many or step.field.many_to_many or getattr(self.field, "remote_field", None) is None:
            return False
        if self.via is None and not self.field.one_to_one:
            return False  # of many rows that point at one, the step back gives all
        return bool(step.field == self.field.remote_field)

    @property
    def whole_attr(self) -> str:
        """Where on the owner its rows are put when they are read once more, with those that its queryset hides."""
        return f"rxcrdt_all_{self.attr}"

    def keys(self, owner: Model) -> list[Any]:
        """Primary keys of the rows that it leads to, as far as ``owner`` has them: hidden ones too."""
        rows = owner.__dict__.get(self.whole_attr)
        if rows is None:
            pk = owner.__dict__.get(self.pk_column) if self.pk_column else None
            return [] if pk is None else [pk]
        return [row.pk for row in rows] if self.many else [rows.pk]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A column of ``model`` that makes a save of its rows a change of the row that the column points at.

    ``to_field`` is the column of ``target`` that it holds, where that is not the primary key.
    """

    via: str
    model: type[Model]
    target: type[Model]
    column: str
    to_field: str | None = None
    type_column: str | None = None
    type_concrete: bool = True

    def owner_of(self, row: Model) -> str | None:
        """The row key of what ``row`` points at, from the row's own columns: no query but for a ``to_field``."""
        values = row.__dict__  # not getattr: a deferred column would be read from the database
        pk = values.get(self.column)
        if pk is None:
            return None
        if self.type_column is not None and values.get(self.type_column) != self.content_type(row._state.db):
            return None
        if self.to_field is not None:
            owners = self.target._base_manager.using(row._state.db).filter(**{self.to_field: pk})
            pk = owners.values_list("pk", flat=True).first()
        return None if pk is None else row_key(self.target, pk)

    def owners_of(self, values: Collection[Any], using: str) -> dict[Any, str]:
        """By value of the column, the row key of what it points at: no query but for a ``to_field``."""
        if self.to_field is None or not values:
            return {value: row_key(self.target, value) for value in values}
        rows = self.target._base_manager.using(using).filter(**{f"{self.to_field}__in": values})
        found = {value: row_key(self.target, pk) for value, pk in rows.values_list(self.to_field, "pk")}
        field: Any = self.target._meta.get_field(self.to_field)
        return {value: found[read] for value in values if (read := field.to_python(value)) in found}

    def content_type(self, using: str | None) -> Any:
        """What the type column holds where the row points at ``target``."""
        from django.contrib.contenttypes.models import ContentType

        manager = ContentType.objects.db_manager(using) if using else ContentType.objects
        return manager.get_for_model(self.target, for_concrete_model=self.type_concrete).pk


@cache
def _accessors(model: type[Model]) -> dict[str, Any]:
    accessors: dict[str, Any] = {}
    field: Any
    for field in model._meta.get_fields(include_hidden=False):
        if not field.is_relation:
            continue
        name = field.get_accessor_name() if field.auto_created and not field.concrete else field.name
        if name:
            accessors[name] = field
    return accessors


@cache
def hop(model: type[Model], attr: str) -> Hop | None:
    """The step that ``attr`` makes from ``model``, or None if it is no relation with a known target."""
    field = _accessors(model).get(attr)
    if field is None or not isinstance(field.related_model, type):
        return None
    many = bool(field.many_to_many or field.one_to_many)
    return Hop(attr=attr, owner=model, field=field, model=field.related_model, many=many, via=_via(field))


def hops_back(model: type[Model]) -> tuple[Hop, ...]:
    """The steps from ``model`` to rows that point at its own, themselves or by a row that joins the two."""
    steps = (hop(model, attr) for attr in _accessors(model))
    return tuple(step for step in steps if step is not None and step.via is not None)


def path_to(model: type[Model], target: type[Model], longest: int = 3) -> tuple[str, ...]:
    """The attributes of a shortest path from ``model`` to rows of ``target``; none if it is longer than ``longest``."""
    paths: dict[type[Model], tuple[str, ...]] = {model: ()}
    for _ in range(longest):
        for owner, path in tuple(paths.items()):
            for step in filter(None, (hop(owner, attr) for attr in _accessors(owner))):
                if base_model(step.model) is base_model(target):
                    return (*path, step.attr)
                paths.setdefault(step.model, (*path, step.attr))
    return ()


def through_of(step: Hop) -> type[Model] | None:
    """The model whose rows join the two sides of a many-to-many step."""
    return _through(step.field) if step.field.many_to_many else None


def _via(field: Any) -> str | None:
    if isinstance(field, ManyToManyField | ManyToManyRel):
        return _through(field)._meta.label_lower
    if _is_generic(field):
        return f"{field.related_model._meta.label_lower}.{field.object_id_field_name}"
    if isinstance(field, ManyToOneRel):  # and OneToOneRel
        return f"{field.related_model._meta.label_lower}.{field.field.name}"
    return None


def _through(field: Any) -> type[Model]:
    through: type[Model] = getattr(field, "through", None) or field.remote_field.through
    return through


def _is_generic(field: Any) -> bool:
    """A GenericRelation; not asked by its class, for contenttypes may not be installed."""
    return bool(field.one_to_many) and hasattr(field, "object_id_field_name")


def walk(model: type[Model], attrs: Sequence[str]) -> tuple[Hop, ...]:
    """The steps that ``attrs`` make from ``model``, as far as they are relations."""
    steps: list[Hop] = []
    for attr in attrs:
        step = hop(model, attr)
        if step is None:
            break
        steps.append(step)
        model = step.model
    return tuple(steps)


def links_of(step: Hop) -> tuple[Link, ...]:
    """The columns whose rows make up the relation of ``step``; none for a forward foreign key.

    Signals of a through model that Django has made itself come from the relation (``m2m_changed``), not from its rows.
    """
    field = step.field
    if step.via is None:
        return ()
    if isinstance(field, ManyToManyField | ManyToManyRel):
        return _through_links(step.via, _through(field))
    if _is_generic(field):
        type_field = field.related_model._meta.get_field(field.content_type_field_name)
        return (
            Link(
                via=step.via,
                model=field.related_model,
                target=step.owner,
                column=field.object_id_field_name,
                type_column=type_field.attname,
                type_concrete=field.for_concrete_model,
            ),
        )
    key: ForeignKey[Any, Any] = field.field
    return (_link(step.via, field.related_model, key),)


def _through_links(via: str, through: type[Model]) -> tuple[Link, ...]:
    keys = [field for field in through._meta.get_fields() if isinstance(field, ForeignKey)]
    return tuple(_link(via, through, key) for key in keys)


def _link(via: str, model: type[Model], key: ForeignKey[Any, Any]) -> Link:
    target = key.related_model
    assert isinstance(target, type)
    to_field = None if key.target_field.primary_key else key.target_field.name
    return Link(via=via, model=model, target=target, column=key.attname, to_field=to_field)
