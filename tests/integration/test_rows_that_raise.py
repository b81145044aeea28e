"""One row that cannot be projected: it is named, its documents stay as they are, and follow again when it is mended."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from rest_framework import serializers

from rxcrdt import documents
from rxcrdt.exceptions import ProjectionError
from rxcrdt.snapshots import snapshot
from tests.integration.test_schemas import Show, of, save, show
from tests.shapes.models import Berth, Harbour
from tests.testapp.models import Library

__all__ = ["show"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def with_inverse() -> Any:
    """A serializer of berths that raises for the number 0."""
    serializer = of(Berth, "number", inverse=serializers.SerializerMethodField())
    serializer.get_inverse = lambda _, berth: 1 / berth.number  # type: ignore[attr-defined]
    return serializer


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    caplog.clear()
    return found


@pytest.fixture
def harbour() -> Harbour:
    harbour = Harbour.objects.create(slug="harbour")
    for number in (1, 2):
        Berth.objects.create(harbour=harbour, number=number)
    return harbour


def test_it_is_named_once_and_its_document_follows_as_soon_as_it_is_mended(
    show: Show, harbour: Harbour, caplog: pytest.LogCaptureFixture
) -> None:
    shown = show(of(Harbour, "slug", berths=with_inverse()(many=True)), harbour)
    other = show(of(Harbour, "slug"), harbour, name="other")
    berth = Berth.objects.all()[0]
    before = shown.follower.state
    save(berth, number=0)
    (message,) = errors(caplog)
    assert f"Berth.inverse of shapes.Berth {berth.pk} cannot be projected: ZeroDivisionError" in message
    assert "docs/failures.md" in message
    with other.changing():
        save(harbour, slug="renamed")
    assert shown.follower.state == before, "it stays as it was, whatever else is saved"
    save(berth, number=3)
    assert shown.state["slug"] == "renamed"
    assert shown.state["berths"][0] == {"number": 2, "inverse": 0.5}


def test_it_follows_when_the_row_goes(show: Show, harbour: Harbour) -> None:
    shown = show(of(Harbour, "slug", berths=with_inverse()(many=True)), harbour)
    berth = Berth.objects.create(harbour=harbour, number=0)
    assert shown.follower.state is not None
    assert len(shown.follower.state["berths"]) == 2
    berth.delete()
    save(harbour, slug="renamed")
    assert shown.state["slug"] == "renamed"


def test_a_document_that_was_not_built_yet_is_built_when_it_is_mended(show: Show, harbour: Harbour) -> None:
    show(of(Harbour, "slug", berths=with_inverse()(many=True)), Harbour.objects.create(slug="another"))
    berth = Berth.objects.all()[0]
    save(berth, number=0)
    for _ in range(2):
        with pytest.raises(ProjectionError, match=rf"Berth\.inverse of shapes\.Berth {berth.pk} "):
            snapshot("shape", harbour.pk)
    save(berth, number=5)
    assert len(snapshot("shape", harbour.pk)["berths"]) == 2


def test_json_nested_too_deep(show: Show, caplog: pytest.LogCaptureFixture) -> None:
    library = Library.objects.create(name="library", extra=nested(64))
    shown = show(of(Library, "name", "extra"), library)
    assert shown.state["extra"] == nested(64)
    for depth in (65, 200):
        save(library, name=str(depth), extra=nested(depth))
        (message,) = errors(caplog)
        assert f"Library.extra of testapp.Library {library.pk} cannot be projected: a JSON value is nested" in message
    assert shown.follower.state == {"name": "library", "extra": nested(64)}
    save(library, extra=nested(3))
    assert shown.state == {"name": "200", "extra": nested(3)}
    assert documents.get(shown.name).idle


def test_a_prefetch_that_cannot_be_read_does_not_mean_that_the_row_is_gone(show: Show, harbour: Harbour) -> None:
    """Django raises a ValueError for it, as for a key that is none."""
    serializer = of(Harbour, "slug")
    shown = show(serializer, harbour)
    no_relation: str = Harbour._meta.get_field("slug").name
    shown.anchor.queryset = Harbour.objects.prefetch_related(no_relation)
    with pytest.raises(ValueError, match="does not resolve to an item that supports prefetching"):
        shown.follower.document.reconcile()
    assert shown.follower.state == {"slug": "harbour"}
