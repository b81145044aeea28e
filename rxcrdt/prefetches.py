"""The ``prefetch_related`` of an anchor's queryset, by path: relations are read through the querysets it gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeAlias

from django.core.exceptions import EmptyResultSet
from django.db.models import Model, Prefetch, QuerySet

from rxcrdt.paths import Hop, hop, walk

__all__ = ["Prefetches", "is_ordered", "is_sliced", "once", "prefixed", "rows_of", "whole"]

Path = tuple[str, ...]
Lookup: TypeAlias = "str | Prefetch[Any]"


class Prefetches:
    """What a queryset prefetches, each lookup by the attributes that lead to it (``to_attr`` names too).

    A step that leads back (``tasks__column`` from a column) gives the very row that it came from, as Django remembers
    that: with what was prefetched for that one, and not by a Prefetch of its own.
    """

    def __init__(self, queryset: QuerySet[Any]):
        self._model: type[Model] = queryset.model
        self._given: dict[Path, Prefetch[Any] | None] = {}
        self._collect(queryset, ())

    def _collect(self, queryset: QuerySet[Any], prefix: Path) -> None:
        for lookup in queryset._prefetch_related_lookups:  # type: ignore[attr-defined]
            to = lookup.prefetch_to if isinstance(lookup, Prefetch) else lookup
            path, leads_back = self._direct((*prefix, *to.split("__")))
            if leads_back:
                continue
            if not isinstance(lookup, Prefetch):
                self._given.setdefault(path, None)
                continue
            custom = lookup.queryset is not None or lookup.to_attr is not None
            self._given[path] = lookup if custom else None
            if lookup.queryset is not None:
                self._collect(lookup.queryset, path)

    def _direct(self, path: Path) -> tuple[Path, bool]:
        """``path`` without detours, and whether its last step leads back."""
        steps: list[tuple[str, Hop]] = []
        leads_back = False
        for number, name in enumerate(path):
            attr = self._attr((*(n for n, _ in steps), name))
            step = hop(steps[-1][1].model if steps else self._model, attr)
            if step is None:
                return (*(n for n, _ in steps), *path[number:]), False
            leads_back = bool(steps) and attr == name and steps[-1][1].is_undone_by(step)  # a ``to_attr`` is read anew
            if leads_back:
                steps.pop()
            else:
                steps.append((name, step))
        return tuple(name for name, _ in steps), leads_back

    def _attr(self, path: Path) -> str:
        """The relation behind the last name of ``path``, which may be a ``to_attr``."""
        given = self._given.get(path)
        return path[-1] if given is None else given.prefetch_through.split("__")[-1]

    def _at(self, path: Path | None) -> Prefetch[Any] | None:
        if path is None:
            return None
        direct, leads_back = self._direct(path)
        return None if leads_back else self._given.get(direct)

    def resolve(
        self, model: type[Model], path: Path | None, attrs: Sequence[str]
    ) -> tuple[tuple[Hop, ...], Prefetch[Any] | None]:
        """The steps of the relation ``attrs`` from ``model`` at ``path``, and the Prefetch that gives its rows.

        The Prefetch is relative to ``model``. Fewer steps than ``attrs``: no relation, and no ``to_attr`` either.
        """
        given = None if path is None else self._at((*path, *attrs))
        if given is not None and len(attrs) == 1:
            *_, name = given.prefetch_through.split("__")
            step = hop(model, name)
            if step is not None:
                return (step,), _moved(given, ())
        return walk(model, attrs), None

    def gives(self, path: Path) -> bool:
        """Whether the queryset itself reads the rows at ``path``, in a way of its own."""
        return self._given.get(path) is not None

    def told(self, path: Path) -> str:
        """What a Prefetch makes of ``path``; empty without one."""
        given = self._at(path)
        if given is None:
            return ""
        try:
            rows = str(given.queryset.query) if given.queryset is not None else ""
        except EmptyResultSet:
            rows = "none"
        return f"{given.to_attr}: {rows}"

    def hides(self, step: Hop, path: Path | None) -> bool:
        """Whether ``step``, read at ``path``, may leave rows out that nothing but the owner says to be there.

        A row of a reverse foreign key is no such row: it names its owner itself, when it is saved.
        """
        if step.via is not None and not step.field.many_to_many:
            return False
        given = self._at(path)
        rows = None if given is None else given.queryset
        if rows is None:
            rows = (step.model._default_manager if step.many else step.model._base_manager).all()
        return _leaves_out(rows)

    def along(self, path: Path, attrs: Path) -> list[Lookup]:
        """What to prefetch for rows at ``path`` so that ``attrs`` can be followed from them, relative to them."""
        given = [attrs[:length] for length in range(1, len(attrs)) if self._at((*path, *attrs[:length]))]
        return [self._relative(path, step) for step in (*given, attrs)]

    def below(self, model: type[Model], path: Path, without: Collection[Path]) -> list[Lookup]:
        """What the queryset prefetches for the rows at ``path`` beyond the relations ``without``, relative to them.

        They are rows of ``model``: a step back from a parent's table leads to rows of its child's, which may have more.
        """
        direct, _ = self._direct(path)
        inside = [full[len(direct) :] for full in self._given if full[: len(direct)] == direct and full != direct]
        if direct != path:
            inside = [rest for rest in inside if hop(model, self._attr((*direct, rest[0]))) is not None]
        apart = [rest for rest in inside if not any(known and rest[: len(known)] == known for known in without)]
        return [self._relative(path, rest) for rest in apart]

    def _relative(self, path: Path, attrs: Path) -> Lookup:
        given = self._at((*path, *attrs))
        return "__".join(attrs) if given is None else _moved(given, attrs[:-1])


def once(lookups: Iterable[Lookup]) -> list[Lookup]:
    """Each path once, by its Prefetch if there is one, and what leads to others first: Django wants a Prefetch before
    all lookups that go through it."""
    by_path: dict[str, Lookup] = {}
    for lookup in lookups:
        path = lookup if isinstance(lookup, str) else lookup.prefetch_to
        if path not in by_path or isinstance(lookup, Prefetch):
            by_path[path] = lookup
    return [by_path[path] for path in sorted(by_path, key=lambda path: path.count("__"))]


def _moved(given: Prefetch[Any], prefix: Path) -> Prefetch[Any]:
    name = "__".join((*prefix, given.prefetch_through.split("__")[-1]))
    return Prefetch(name, queryset=given.queryset, to_attr=given.to_attr)


def _leaves_out(rows: QuerySet[Any]) -> bool:
    query = rows.query
    return bool(query.where or query.is_sliced or query.combinator or query.distinct_fields or query.extra_tables)


def whole(step: Hop, prefix: Path = ()) -> Prefetch[Any] | None:
    """What to prefetch for the keys of all rows of ``step``, hidden or not; None where a column has it."""
    if step.pk_column is not None:
        return None
    fields = ["pk"] if step.many else ["pk", step.field.target_field.name]
    rows = step.model._base_manager.only(*fields).order_by()
    return Prefetch("__".join((*prefix, step.attr)), queryset=rows, to_attr=step.whole_attr)


def prefixed(prefix: str, lookup: Lookup) -> Lookup:
    """``lookup`` from rows that ``prefix`` leads to the rows of."""
    if not prefix:
        return lookup
    if isinstance(lookup, str):
        return f"{prefix}__{lookup}"
    return Prefetch(f"{prefix}__{lookup.prefetch_through}", queryset=lookup.queryset, to_attr=lookup.to_attr)


def rows_of(model: type[Model], many: bool, given: Prefetch[Any] | None) -> QuerySet[Any]:
    """What gives single rows of a relation again."""
    if given is not None and given.queryset is not None:
        rows: QuerySet[Any] = given.queryset._chain().prefetch_related(None)  # type: ignore[attr-defined]
        return model._default_manager.all() if is_sliced(given) else rows
    return (model._default_manager if many else model._base_manager).all()


def is_sliced(given: Prefetch[Any] | None) -> bool:
    """Whether it gives the first rows of each list only: which those are cannot be asked of single rows."""
    return given is not None and given.queryset is not None and bool(given.queryset.query.is_sliced)


def is_ordered(rows: QuerySet[Any]) -> bool:
    return rows.ordered and "?" not in (rows.query.order_by or rows.model._meta.ordering)
