"""Random writes on fleets: by every way that signals, and by ways that do not and are told of with ``changed``.

Each write makes its choices from a number of its own: a history stays what it is when some of it is left out.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.contrib.contenttypes.models import ContentType
from django.db import connections, models, transaction

import rxcrdt
from tests.shapes.fleets import OPEN_SEA, Fleet, Leg, Remark, Sailor, Skiff, Tag, Tagging, Tanker, Vessel, Zone

__all__ = ["FleetWriter", "Transaction", "draw_history", "draw_rows", "shorter"]

CREATED: tuple[type[models.Model], ...] = (Zone, Fleet, Vessel, Tanker, Sailor, Tag, Tagging, Leg, Remark)
SAVED: tuple[type[models.Model], ...] = (*CREATED, Skiff)
TABLES = (*CREATED, Fleet.allies.through, Fleet.rivals.through, Vessel.visits.through)
MANY_TO_MANY = ((Fleet, "allies"), (Fleet, "rivals"), (Fleet, "rival_of"), (Vessel, "visits"), (Zone, "visitors"),
                (Tanker, "visits"), (Skiff, "visits"), (Vessel, "tags"), (Tag, "vessels"))  # fmt: skip
REVERSE = ((Fleet, "vessels"), (Zone, "vessels"), (Vessel, "crew"), (Sailor, "pupils"), (Vessel, "flag_of"),
           (Vessel, "remarks"), (Fleet, "remarks"), (Tanker, "remarks"), (Sailor, "tankers"))  # fmt: skip
TELLING = tuple(model for model in CREATED if isinstance(model._base_manager, rxcrdt.AnchoredManager))
LETTERS = "abcqrsüß🎈"

Kind = Literal["single", "atomic", "undone", "savepoint", "undone savepoint"]


class _RollBackError(Exception):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """``parts`` are numbers of single writes, or savepoints, which are written like transactions."""

    kind: Kind
    parts: tuple[int | Transaction, ...]


def draw_rows(choices: random.Random, each: int) -> tuple[int, ...]:
    """For ``FleetWriter.populate``: so many rows of each model."""
    return tuple(len(CREATED) * choices.getrandbits(32) + kind for _ in range(each) for kind in range(len(CREATED)))


def draw_history(choices: random.Random, transactions: int) -> tuple[Transaction, ...]:
    return tuple(_draw_transaction(choices) for _ in range(transactions))


def _draw_transaction(choices: random.Random) -> Transaction:
    kind: Kind = choices.choice(["single", "single", "atomic", "atomic", "atomic", "undone"])
    if kind == "single":
        return Transaction(kind=kind, parts=(choices.getrandbits(32),))
    parts: list[int | Transaction] = []
    for _ in range(choices.randint(1, 4)):
        parts.append(choices.getrandbits(32))
        if choices.random() < 0.2:
            inner: Kind = choices.choice(["savepoint", "undone savepoint"])
            parts.append(Transaction(kind=inner, parts=tuple(choices.getrandbits(32) for _ in range(2))))
    return Transaction(kind=kind, parts=tuple(parts))


def shorter(history: tuple[Transaction, ...]) -> Iterator[tuple[Transaction, ...]]:
    """Histories with less in them: halves first, then single transactions, then single writes."""
    half = len(history) // 2
    if half:
        yield history[half:]
        yield history[:half]
    for number, each in enumerate(history):
        yield (*history[:number], *history[number + 1 :])
        if each.kind != "single" and len(each.parts) == 1 and isinstance(each.parts[0], int):
            yield (*history[:number], replace(each, kind="single"), *history[number + 1 :])
        for part in range(len(each.parts) if len(each.parts) > 1 else 0):
            less = replace(each, parts=(*each.parts[:part], *each.parts[part + 1 :]))
            yield (*history[:number], less, *history[number + 1 :])


class FleetWriter:
    """``log`` says what was done. ``using``: the database alias that is written."""

    def __init__(self, using: str = "default") -> None:
        self.using = using
        self.log: list[str] = []
        self.random = random.Random(0)
        self._steps: list[Callable[[], None]] = [
            *[self._create] * 4, *[self._save] * 5, *[self._move] * 5, *[self._join] * 4, *[self._adopt] * 2,
            *[self._delete] * 2, self._delete_some, self._rename_key, self._renumber, self._update, self._bulk_create,
            self._bulk_update, self._swap_through, self._load_raw,
        ]  # fmt: skip

    # Histories

    def populate(self, numbers: tuple[int, ...]) -> None:
        """One row a number, which also says of which model."""
        Zone.objects.using(self.using).create(id=OPEN_SEA, name="open sea")
        for number in numbers:
            self.random = random.Random(number)
            self._new(CREATED[number % len(CREATED)])

    def write(self, part: Transaction) -> None:
        if part.kind == "single":
            self._parts(part)
            return
        self.log.append(f"-- {part.kind}")
        try:
            with transaction.atomic(using=self.using):
                self._parts(part)
                if part.kind.startswith("undone"):
                    raise _RollBackError
        except _RollBackError:
            self.log.append("-- (undone)")
        self.log.append("--")

    def _parts(self, whole: Transaction) -> None:
        for part in whole.parts:
            if isinstance(part, Transaction):
                self.write(part)
            else:
                self.random = random.Random(part)
                self.random.choice(self._steps)()

    def _say(self, what: str, row: Any, *more: Any) -> None:
        name = row.__name__ if isinstance(row, type) else f"{type(row).__name__} {row.pk}"
        self.log.append(" ".join([what, name, *map(str, more)]))

    # Rows and values

    def _all(self, model: type[models.Model]) -> models.QuerySet[Any]:
        return model._base_manager.using(self.using).order_by("pk")

    def _row(self, model: type[models.Model]) -> Any:
        pks = list(self._all(model).values_list("pk", flat=True))
        return self._all(model).get(pk=self.random.choice(pks)) if pks else None

    def _word(self) -> str:
        return "".join(self.random.choices(LETTERS, k=self.random.randint(1, 3)))

    def _number(self) -> int:
        return self.random.randint(-2, 3)

    def _columns(self, model: type[models.Model]) -> dict[str, Any]:
        """New values for what is neither a key nor a relation."""
        found: dict[str, Any] = {}
        for field in model._meta.concrete_fields:
            if field.primary_key or field.is_relation or field.name in {"object_id", "number"}:
                continue
            if isinstance(field, models.CharField):
                found[field.name] = self._word()
            elif isinstance(field, models.IntegerField):
                found[field.name] = self._number()
            elif isinstance(field, models.FloatField):
                found[field.name] = self.random.choice([0.0, 1.0, -2.5])
        return found

    def _keys(self, model: type[models.Model], row: Any = None) -> dict[str, Any]:
        """New targets for its foreign keys. A one-to-one that is taken stays empty; a tree has no circles."""
        found: dict[str, Any] = {}
        for field in model._meta.concrete_fields:
            if not field.is_relation or field.name == "content_type" or field.name.endswith("_ptr"):
                continue
            target: Any = field.related_model
            chosen = self._row(target) if not field.null or self.random.random() < 0.75 else None
            if chosen is not None and field.one_to_one:
                taken = self._all(field.model).filter(**{field.name: chosen})
                chosen = None if taken.exclude(pk=getattr(row, "pk", None)).exists() else chosen
            if field.name == "parent" and row is not None and not self._is_below(chosen, row):
                continue
            found[field.name] = chosen
        return found

    @staticmethod
    def _is_below(zone: Any, row: Any) -> bool:
        """Whether ``row`` may hang under ``zone``."""
        while zone is not None:
            if zone.pk == row.pk:
                return False
            zone = zone.parent
        return True

    # Creating

    def _create(self) -> None:
        self._new(self.random.choice(CREATED[1:]))

    def _unsaved(self, model: type[models.Model]) -> Any:
        values = {**self._columns(model), **self._keys(model)}
        if any(value is None and not model._meta.get_field(name).null for name, value in values.items()):
            return None
        if model is Zone:
            values["id"] = uuid.UUID(int=self.random.getrandbits(128))
        if model is Tag:
            values["code"] = self._word()
        if model is Leg:
            values["number"] = self.random.randint(0, 9)
        if model is Remark:
            target = self._row(self.random.choice([Fleet, Vessel, Tanker]))
            if target is None:
                return None
            kind = ContentType.objects.db_manager(self.using).get_for_model(target)
            values.update(content_type=kind, object_id=target.pk)
        row = model(**values)
        is_taken = model in (Tag, Leg) and self._all(model).filter(pk=row.pk).exists()
        return None if is_taken else row

    def _new(self, model: type[models.Model]) -> None:
        row = self._unsaved(model)
        if row is not None:
            row.save(using=self.using, force_insert=self.random.random() < 0.5)
            self._say("create", row, _shown(row))

    def _bulk_create(self) -> None:
        model = self.random.choice([Zone, Fleet, Vessel, Sailor, Tagging, Leg])
        row = self._unsaved(model)
        if row is not None:
            made = model._base_manager.using(self.using).bulk_create([row])
            _tell(model, made)
            self._say("bulk_create", row, _shown(row))

    # Saving

    def _some(self) -> Any:
        return self._row(self.random.choice(SAVED))

    def _save(self) -> None:
        row = self._some()
        if row is None:
            return
        columns = self._columns(type(row))
        name = self.random.choice(sorted(columns))
        setattr(row, name, columns[name])
        only = self.random.random() < 0.3
        row.save(using=self.using, update_fields=[name] if only else None)
        self._say("save", row, f"{name}={columns[name]!r}")

    def _move(self) -> None:
        row = self._row(self.random.choice([Zone, Fleet, Vessel, Vessel, Tanker, Skiff, Sailor, Tagging, Leg, Remark]))
        if row is None:
            return
        if isinstance(row, Remark):
            self._retarget(row)
            return
        keys = self._keys(type(row), row)
        if isinstance(row, Leg):
            del keys["vessel"]  # a part of its primary key
        if not keys:
            return
        name = self.random.choice(sorted(keys))
        if keys[name] is None and not row._meta.get_field(name).null:
            return
        setattr(row, name, keys[name])
        row.save(using=self.using)
        self._say("move", row, f"{name}={getattr(keys[name], 'pk', None)}")

    def _retarget(self, row: Remark) -> None:
        target = self._row(self.random.choice([Fleet, Vessel, Tanker]))
        if target is not None:
            row.target = target
            row.save(using=self.using)
            self._say("retarget", row, type(target).__name__, target.pk)

    def _load_raw(self) -> None:
        """As ``loaddata`` does: parents and children one by one."""
        row = self._some()
        if row is None or type(row) in (Tanker, Skiff):
            return
        for name, value in self._columns(type(row)).items():
            setattr(row, name, value)
        row.save_base(using=self.using, raw=True)
        self._say("raw", row, _shown(row))

    def _update(self) -> None:
        model = self.random.choice([Zone, Fleet, Vessel, Tanker, Sailor, Tag])
        row = self._row(model)
        if row is None:
            return
        values = self._columns(model)
        if model is Sailor:
            values["vessel"] = self._row(Vessel)
        name = self.random.choice(sorted(values))
        rows = model._base_manager.using(self.using).filter(pk=row.pk)
        rows.update(**{name: values[name]})
        _tell(model, rows.all())
        self._say("update", row, f"{name}={values[name]}")

    def _bulk_update(self) -> None:
        model = self.random.choice([Fleet, Vessel, Sailor])
        rows = list(self._all(model)[:3])
        for row in rows:
            row.rank = self._number()
        model._base_manager.using(self.using).bulk_update(rows, ["rank"])
        _tell(model, rows)
        self._say("bulk_update", model, [(row.pk, row.rank) for row in rows])

    # Keys

    def _rename_key(self) -> None:
        """A primary key that people type: another one is another row, for all that referred to it too."""
        row, code = self._row(Tag), self._word()
        if row is None or self._all(Tag).filter(pk=code).exists():
            return
        with transaction.atomic(using=self.using):
            taggings = list(self._all(Tagging).filter(tag=row))
            Tag.objects.using(self.using).create(code=code, rank=row.rank)
            for tagging in taggings:
                tagging.tag_id = code
                tagging.save(using=self.using)
            self._say("rename", row, code)
            row.delete()

    def _renumber(self) -> None:
        """One of two columns of a primary key changes: no signal tells of the row that was."""
        row, number = self._row(Leg), self.random.randint(0, 9)
        if row is None or self._all(Leg).filter(pk=(row.vessel_id, number)).exists():
            return
        self._all(Leg).filter(pk=row.pk).order_by().update(number=number)
        rxcrdt.changed(row)  # the row that was: nobody else knows its key
        self._say("renumber", row, number)

    # Deleting

    def _delete(self) -> None:
        row = self._row(self.random.choice(SAVED))
        if row is None or row.pk == OPEN_SEA:
            return
        self._say("delete", row)
        row.delete(using=self.using)

    def _delete_some(self) -> None:
        model = self.random.choice([Sailor, Tag, Tagging, Remark, Tanker])
        row = self._row(model)
        if row is not None:
            self._say("delete up to", row)
            model._base_manager.using(self.using).filter(pk__lte=row.pk).delete()

    # Relations

    def _join(self) -> None:
        model, name = self.random.choice(MANY_TO_MANY)
        row = self._row(model)
        if row is None:
            return
        manager = getattr(row, name)
        others = [other for other in (self._row(manager.model), self._row(manager.model)) if other is not None]
        how = self.random.choice(["add", "add", "add", "add", "remove", "clear", "set"])
        more = {"through_defaults": {"weight": self._number()}} if manager.through is Tagging else {}
        self._say(how, row, name, [other.pk for other in others])
        if how == "clear":
            manager.clear()
        elif how == "set":
            manager.set(others, clear=self.random.random() < 0.3, **more)
        elif how == "add":
            manager.add(*others, **more)
        else:
            manager.remove(*others)

    def _adopt(self) -> None:
        """Rows come to another parent by the parent's own manager, saved one by one."""
        model, name = self.random.choice(REVERSE)
        row = self._row(model)
        if row is None:
            return
        manager = getattr(row, name)
        child = self._row(manager.model)
        if child is not None:
            manager.add(child, bulk=isinstance(child, TELLING) and self.random.random() < 0.5)
            self._say("adopt", row, name, child.pk)

    def _swap_through(self) -> None:
        """A through row is pointed elsewhere without a signal: what it joined before is told of by hand."""
        row, vessel, tag = self._row(Tagging), self._row(Vessel), self._row(Tag)
        if row is None or vessel is None or tag is None:
            return
        rows = Tagging.objects.using(self.using).filter(pk=row.pk)
        with transaction.atomic(using=self.using):
            rxcrdt.changed(row)
            rows.update(vessel=vessel, tag=tag)
        self._say("swap", row, vessel.pk, tag.pk)

    def save_all(self) -> None:
        for model in CREATED:
            for row in self._all(model):
                row.save(using=self.using)

    @staticmethod
    def tables() -> tuple[type[models.Model], ...]:
        """Every model that is written, through models among them."""
        return TABLES

    def empty(self) -> None:
        """All rows go without a signal, as if they had never been."""
        connection = connections[self.using]
        with transaction.atomic(using=self.using), connection.cursor() as cursor:
            for model in TABLES:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


def _tell(model: type[models.Model], rows: Iterable[Any]) -> None:
    """Where the model's own manager does not."""
    if model not in TELLING:
        rxcrdt.changed(rows)


def _shown(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
