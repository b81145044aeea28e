"""The serializer, introspected: which layers there are, how they are named, and what cannot be anchored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.permissions import AllowAny

import rxcrdt
from rxcrdt import Layer
from rxcrdt.exceptions import ConfigurationError
from rxcrdt.layers import Plan, is_node_serializer, plan
from tests.testapp.anchors import LibraryAnchor
from tests.testapp.models import Book, Firm, Genre, Person
from tests.testapp.serializers import BookSerializer, GenreSerializer, PersonSerializer, SizeSerializer


class FirmSerializer(serializers.ModelSerializer[Firm]):
    class Meta:
        model = Firm
        fields = ["id", "name"]


def planned(serializer: type[serializers.BaseSerializer[Any]], **attributes: Any) -> Plan:
    meta: Any = getattr(serializer, "Meta", None)
    model = meta.model if meta else Firm
    given = {
        "queryset": model._default_manager.all(),
        "serializer_class": serializer,
        "permission_classes": [AllowAny],
        **attributes,
    }
    return plan(type("SomeAnchor", (rxcrdt.Anchor,), given))


def of(model: Any, *names: str, bases: tuple[type, ...] = (), **nested: Any) -> Any:
    meta = type("Meta", (), {"model": model, "fields": [*names, *nested]})
    kinds = (*bases, serializers.ModelSerializer)
    return type(f"{model.__name__}Serializer", kinds, {"Meta": meta, **nested})


def test_a_layer_is_a_nested_serializers_class() -> None:
    layers = plan(LibraryAnchor).layers
    assert set(layers) == {"Library", "Person", "Firm", "Charter", "Shelf", "Book", "Chapter", "Genre"}
    assert layers["Library"].describe() == {
        "fields": [
            "id", "title", "code", "opened", "fee", "rating", "hours", "extra", "plan", "open", "director", "patrons",
            "charter", "shelves", "tags",
        ],
        "one": {"director": "Person", "charter": "Charter"},
        "many": {"patrons": "Person", "shelves": "Shelf"},
        "floats": ["rating"],
    }  # fmt: skip


def test_an_anchor_may_name_a_layer() -> None:
    firm = of(Firm, "name")
    person = of(Person, "name", firm=firm())
    assert set(planned(person, layers={firm: Layer(name="Company")}).layers) == {"Person", "Company"}


@pytest.mark.parametrize(
    "second",
    [
        lambda kind: kind(many=True, source="patrons", read_only=True, required=False, help_text="silent", label="x"),
        lambda kind: kind(many=True, source="patrons", allow_null=True),
    ],
)
def test_arguments_that_do_not_show_share_the_layer(second: Callable[[Any], Any]) -> None:
    library = of(LibraryAnchor.model(), director=PersonSerializer(), others=second(PersonSerializer))
    assert {name.partition("/")[0] for name in planned(library).layers} == {"Library", "Person", "Firm"}
    assert not any("/" in name for name in planned(library).layers)


def test_two_classes_of_one_name_are_refused_with_the_way_out() -> None:
    library = of(LibraryAnchor.model(), director=of(Person, "id")(), patrons=of(Person, "name")(many=True))
    with pytest.raises(ConfigurationError, match=r"would both be the layer 'Person'.*Layer\(name=…\)"):
        planned(library)


@pytest.mark.parametrize("serializer", [None, SizeSerializer])
def test_what_is_no_model_serializer_cannot_be_anchored(serializer: Any) -> None:
    with pytest.raises(ConfigurationError, match="has to be a ModelSerializer"):
        planned(SizeSerializer, serializer_class=serializer)


def test_a_declared_path_has_to_lead_somewhere() -> None:
    def get_wrong(self: Any, row: Book) -> None: ...

    serializer = of(Book, wrong=serializers.SerializerMethodField())
    serializer.get_wrong = rxcrdt.depends_on("chapters__titel")(get_wrong)
    with pytest.raises(ConfigurationError, match=r"depends_on\('chapters__titel'\).*no relation 'titel'"):
        planned(serializer)


class _Loud(serializers.ModelSerializer[Any]):
    def to_representation(self, instance: Any) -> Any:
        return {"loud": super().to_representation(instance)}


class _Other(serializers.ModelSerializer[Any]):
    @property
    def data(self) -> Any:
        return {}


class _LoudList(serializers.ListSerializer[Any]):
    def to_representation(self, data: Any) -> Any:
        return list(reversed(super().to_representation(data)))


@pytest.mark.parametrize(
    ("serializer", "node"),
    [
        (BookSerializer(), True), (GenreSerializer(many=True), True), (SizeSerializer(), False),
        (SizeSerializer(many=True), False), (of(Firm, "id", bases=(_Loud,))(), False),
        (of(Firm, "id", bases=(_Loud,))(many=True), False), (of(Firm, "id", bases=(_Other,))(), False),
        (_LoudList(child=GenreSerializer()), False), (serializers.CharField(), False),
    ],
)  # fmt: skip
def test_rows_become_nodes_where_drf_shows_them_field_by_field(serializer: Any, node: bool) -> None:
    assert is_node_serializer(serializer) is node


def test_another_schema_is_another_log() -> None:
    variants = [
        of(Genre, "id", "name"), of(Genre, "name", "id"), of(Genre, "id"),
        of(Genre, "id", name=serializers.IntegerField()), of(Genre, "id", name=serializers.FloatField()),
        of(Genre, "id", "name", books=of(Book, "id")(many=True)),
        of(Genre, "id", "name", books=of(Book, "title")(many=True)),
        of(Genre, "id", "name", books=serializers.PrimaryKeyRelatedField(many=True, read_only=True)),
    ]  # fmt: skip
    schemas = [planned(variant).schema for variant in variants]
    assert len(set(schemas)) == len(variants)
    assert planned(of(Genre, "id", "name")).schema == schemas[0], "and the same one is the same"


def test_a_plan_is_made_once_a_thread() -> None:
    assert plan(LibraryAnchor) is plan(LibraryAnchor)
