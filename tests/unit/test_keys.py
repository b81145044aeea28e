"""How rows are named, in documents and in the store's index."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db.models import Model

from rxcrdt.keys import base_model, node_key, pk_of, row_key, row_key_of
from tests.shapes.fleets import Zone
from tests.shapes.models import Berth, Ferry, Flag, Harbour, Ship, Tide, Tug
from tests.testapp.models import Library

TEXTS = ["a", "", "new-", "new-1", "=new-1", "=", "==", "=a", "a:b", "new", "é"]
KEYS: list[tuple[type[Model], Any]] = [
    *((Flag, text) for text in TEXTS),
    (Library, 5),
    (Tide, (5, 3)),
]


@pytest.mark.parametrize(("model", "pk"), KEYS)
def test_a_primary_key_comes_back_out_of_its_node_key(model: type[Model], pk: Any) -> None:
    assert pk_of(model, node_key(pk)) == pk


@pytest.mark.parametrize(("model", "pk"), KEYS)
def test_a_row_is_indexed_alike_by_its_primary_key_and_by_its_node_key(model: type[Model], pk: Any) -> None:
    assert row_key(model, pk) == row_key_of(model, node_key(pk))


@pytest.mark.parametrize(
    ("model", "pk", "given"),
    [
        (Library, 5, "05"),
        (Zone, uuid.UUID(int=11), f"{uuid.UUID(int=11)}".upper()),
        (Zone, uuid.UUID(int=11), uuid.UUID(int=11).hex),
        (Tide, (5, 3), ("5", "03")),
        (Flag, "05", "05"),
    ],
)
def test_a_key_may_be_given_in_another_form(model: type[Model], pk: Any, given: Any) -> None:
    """Django saves it as well, and leaves it in the instance."""
    assert row_key(model, given) == row_key(model, pk)


def test_keys_that_clients_choose_are_never_ours() -> None:
    keys = {node_key(text) for text in TEXTS}
    assert not any(key.startswith("new-") for key in keys)
    assert len(keys) == len(TEXTS)


def test_keys_are_text_whatever_the_column_is() -> None:
    assert node_key(12) == "12"
    assert node_key((12, "a")) == '["12", "a"]'
    assert node_key(uuid.UUID(int=1)) == "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("model", "base"), [(Ship, Ship), (Ferry, Ship), (Tug, Ship), (Berth, Berth), (Harbour, Harbour)]
)
def test_models_that_share_rows_share_their_keys(model: type[Model], base: type[Model]) -> None:
    assert base_model(model) is base
    assert row_key(model, 1) == row_key(base, 1)
