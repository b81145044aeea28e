"""Names of documents and of their logs: whatever a lookup value holds, saves find the document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.models import Prefetch, QuerySet
from django.test import override_settings
from rest_framework import serializers
from rest_framework.permissions import AllowAny

import rxcrdt
from rxcrdt import conf
from rxcrdt.exceptions import ConfigurationError, DocumentGone
from rxcrdt.names import LogName
from rxcrdt.registry import registry
from rxcrdt.snapshots import compare, snapshot
from tests.testapp.models import Book, Library, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


class NamedSerializer(serializers.ModelSerializer[Library]):
    class Meta:
        model = Library
        fields = ["name", "rating"]


class NamedAnchor(rxcrdt.Anchor):
    name = "named"
    lookup_field = "name"
    queryset = Library.objects.all()
    serializer_class = NamedSerializer
    permission_classes = [AllowAny]


class CountingSerializer(serializers.ModelSerializer[Library]):
    long = serializers.SerializerMethodField()

    class Meta:
        model = Library
        fields = ["id", "long"]

    @rxcrdt.depends_on("shelves__books")
    def get_long(self, library: Library) -> list[str]:
        return [book.title for shelf in library.shelves.all() for book in shelf.books.all()]


def _long_books() -> QuerySet[Book]:
    return Book.objects.filter(pages__gte=100)


class CountingAnchor(rxcrdt.Anchor):
    name = "counting"
    queryset = Library.objects.prefetch_related(Prefetch("shelves__books", queryset=_long_books()))
    serializer_class = CountingSerializer
    permission_classes = [AllowAny]


@pytest.fixture(autouse=True)
def _anchors() -> Iterator[None]:
    for anchor in (NamedAnchor, CountingAnchor):
        registry.register(anchor)
    yield
    for anchor in (NamedAnchor, CountingAnchor):
        registry.unregister(anchor)


@pytest.mark.parametrize("name", ["plain", "a|b", "|", "a@b", "a/b", "@x|", "новый", "a b", "100%"])
@pytest.mark.parametrize("tenant", ["", "acme"])
def test_saves_find_the_document_whatever_its_lookup_value_holds(name: str, tenant: str) -> None:
    with override_settings(RXCRDT={"STORE": "memory://", "NAMESPACE": tenant}):
        library = Library.objects.create(name=name, rating=1)
        assert snapshot("named", name)["rating"] == 1
        library.rating = 2
        library.save()
        assert compare("named", name) is None
        assert snapshot("named", name)["rating"] == 2


@pytest.mark.parametrize("log", [LogName("", "board/1", "x"), LogName("t", "a|b/c@d", "y"), LogName("", "|", "z")])
def test_a_logs_name_reads_back_as_it_was_written(log: LogName) -> None:
    assert LogName.parse(str(log)) == log


def test_a_namespace_with_a_bar_is_refused() -> None:
    with (
        override_settings(RXCRDT={"STORE": "memory://", "NAMESPACE": lambda: "a|b"}),
        pytest.raises(ConfigurationError, match="NAMESPACE"),
    ):
        conf.namespace()


def test_a_lookup_value_of_two_rows_names_no_document() -> None:
    Library.objects.create(name="twin")
    Library.objects.create(name="twin")
    with pytest.raises(DocumentGone):
        snapshot("named", "twin")


def test_two_tenants_have_two_documents_of_one_name() -> None:
    Library.objects.create(name="shared")
    for tenant in ("a", "b"):
        with override_settings(RXCRDT={"STORE": "memory://", "NAMESPACE": tenant}):
            snapshot("named", "shared")
    assert [LogName.parse(name).namespace for name in conf.store().names()] == ["a", "b"]


def test_a_declared_path_is_read_through_the_querysets_prefetch_of_several_steps() -> None:
    library = Library.objects.create(name="counted")
    shelf = Shelf.objects.create(library=library, label="top")
    Book.objects.create(shelf=shelf, title="long", pages=200, position=1)
    short = Book.objects.create(shelf=shelf, title="short", pages=10, position=2)
    assert snapshot("counting", library.pk)["long"] == ["long"]
    short.title = "still short"
    short.save()
    Book.objects.create(shelf=shelf, title="short too", pages=10, position=3)
    assert compare("counting", library.pk) is None
    Book.objects.create(shelf=shelf, title="long too", pages=100, position=4)
    assert compare("counting", library.pk) is None
    assert snapshot("counting", library.pk)["long"] == ["long", "long too"]
