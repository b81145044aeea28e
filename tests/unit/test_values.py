"""What registers hold: JSON as a browser reads it, compared as JSON and not as Python."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from typing import Any

import pytest
from django.test import override_settings
from django.utils.translation import gettext_lazy

from rxcrdt.exceptions import ProjectionError
from rxcrdt.values import MAX_NESTING, difference, plain, same


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, True), ("text", "text"), (5, 5), (5.0, 5), (-0.5, -0.5), ((1, 2), [1, 2]),
        ({"a": 5.0, "b": [1.0, 1.5]}, {"a": 5, "b": [1, 1.5]}),
        (decimal.Decimal("1.50"), 1.5), (datetime.date(2026, 2, 3), "2026-02-03"),
        (datetime.timedelta(seconds=1.5), "1.5"), (uuid.UUID(int=5), str(uuid.UUID(int=5))),
        (gettext_lazy("Yes"), "Yes"), ({1: "a"}, {"1": "a"}),
        (2**53, 2**53), (2**53 + 1, float(2**53)), (-(2**53) - 1, float(-(2**53))), ([2**63], [2.0**63]),
        ({"a": 10**18 + 1}, {"a": 1e18}), ([1e300, 1e16], [1e300, 1e16]),
    ],
)  # fmt: skip
def test_values_are_what_drf_renders_as_a_browser_reads_it(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    assert json.dumps(found) == json.dumps(expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], object(), {"a": object()}, 10**400, [10**400]])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(ProjectionError):
        plain(value)


@pytest.mark.parametrize("value", [math.nan, [math.inf]])
def test_a_renderer_that_lets_it_pass_makes_it_no_json(value: Any) -> None:
    with override_settings(REST_FRAMEWORK={"STRICT_JSON": False}), pytest.raises(ProjectionError, match="is not JSON"):
        plain(value)


def _nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return value


def test_nesting_has_a_limit() -> None:
    assert plain(_nested(MAX_NESTING)) == _nested(MAX_NESTING)
    for depth in (MAX_NESTING + 1, 100_000):
        with pytest.raises(ProjectionError):
            plain(_nested(depth))


DIFFERENT: list[tuple[Any, Any]] = [
    (True, 1), (False, 0), (1, True), (None, 0), (None, False), ("1", 1), ([], {}), ([], None), ({}, None),
    ([True], [1]), ({"a": True}, {"a": 1}), ({"a": [0]}, {"a": [False]}), ([1], [1, 2]), ({"a": None}, {}),
    ({"a": 1}, {"b": 1}), ([1, 2], [2, 1]), (1, 2), ("a", "b"), ({"a": {"b": True}}, {"a": {"b": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_values_that_python_may_take_for_equal_are_different_json(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same(other, one)
    assert difference(one, other) is not None
    assert difference(other, one) is not None


@pytest.mark.parametrize("value", [None, True, 0, "", [], {}, {"a": [1, {"b": None}]}, {"b": 1, "a": 2}])
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    copy = json.loads(json.dumps(value))
    assert same(value, copy)
    assert difference(value, copy) is None


def test_the_order_of_keys_does_not_count_and_that_of_items_does() -> None:
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not same([1, 2], [2, 1])


def test_numbers_differ_as_a_browser_sees_them() -> None:
    assert difference(5, 5.0) is None, "the document has integers for integral floats"
    assert difference(5.0, 5) is not None, "but an integer never comes back as a float"
    assert difference(float(2**60), 2**60 + 1) is None, "beyond 2**53 there are doubles only"
    assert difference(2**53 - 1, 2**53) is not None


def test_a_difference_says_where_it_is() -> None:
    assert difference({"a": [{"b": 1}]}, {"a": [{"b": 2}]}) == "a[0].b: 1, expected 2"
    assert "should not be there" in str(difference({"a": 1, "b": 1}, {"a": 1}))
    assert "is missing" in str(difference({}, {"a": 1}))
    assert difference(True, 1) == "root: True, expected 1"
