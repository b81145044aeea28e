"""Order keys: a list in the right order at the price of as few changed keys as can be."""

from __future__ import annotations

import random

import pytest
from fractional_indexing import generate_key_between

from rxcrdt.order import LONGEST, OrderKey, arrange, arranged


def _changed(before: dict[str, OrderKey], after: dict[str, OrderKey]) -> set[str]:
    return {child for child in before.keys() | after.keys() if before.get(child) != after.get(child)}


@pytest.mark.parametrize("children", ["", "a", "abc", "aba", "aabbaa"])
def test_children_come_back_in_the_order_they_were_given(children: str) -> None:
    assert arranged(arrange({}, children)) == list(children)


@pytest.mark.parametrize(
    ("after", "cost"),
    [
        ("abcdef", ""), ("bcdefa", "a"), ("fabcde", "f"), ("abdcef", "c"), ("abef", "cd"), ("abxcdef", "x"),
        ("aebcdf", "e"), ("fbcdea", "af"), ("", "abcdef"),
    ],
)  # fmt: skip
def test_only_what_moved_gets_another_key(after: str, cost: str) -> None:
    places = arrange({}, "abcdef")
    changed = _changed(places, arrange(places, after))
    assert len(changed) == len(cost), changed
    if len(cost) != 1 or after != "abdcef":  # of two neighbours that swap, either may have moved
        assert changed == set(cost)


def test_random_permutations_keep_a_longest_ordered_part() -> None:
    chance = random.Random(7)
    for _ in range(300):
        children = [str(number) for number in range(chance.randint(1, 9))]
        places = arrange({}, children)
        after = chance.sample(children, len(children))
        arrangement = arrange(places, after)
        assert arranged(arrangement) == after
        assert len(children) - len(_changed(places, arrangement)) == _longest_increasing(list(map(int, after)))


def _longest_increasing(numbers: list[int]) -> int:
    best = [1] * len(numbers)
    for at, number in enumerate(numbers):
        best[at] = 1 + max((best[before] for before in range(at) if numbers[before] < number), default=0)
    return max(best)


def test_a_row_that_stands_there_more_than_once_has_a_key_for_each_place() -> None:
    places = arrange({}, "aba")
    assert isinstance(places["a"], list)
    assert isinstance(places["b"], str)
    assert arrange(places, "aba") == places, "nothing moved"
    assert arranged(arrange(places, "aab")) == list("aab")
    once = arrange(places, "ab")
    assert arranged(once) == list("ab")
    assert isinstance(once["a"], str)


def test_the_keys_of_a_row_are_taken_in_their_order_whoever_wrote_them_down() -> None:
    places = arrange({}, "aba")
    backwards: OrderKey = list(places["a"])[::-1]
    assert arrange({"a": backwards, "b": places["b"]}, "aba") == places


def test_equal_keys_are_told_apart_by_the_childs_key_and_then_separated() -> None:
    """Two who insert at one place at once choose one key; the next arrangement ends that."""
    places: dict[str, OrderKey] = {"b": "a0", "a": "a0", "c": "a1"}
    assert arranged(places) == list("abc")
    apart = arrange(places, "abc")
    assert arranged(apart) == list("abc")
    assert len({str(key) for key in apart.values()}) == 3
    assert arranged(arrange(places, "bac")) == list("bac")


def test_a_key_that_grows_too_long_renumbers_the_list() -> None:
    low, high = "a0", "a1"
    while len(high) <= LONGEST:
        high = generate_key_between(low, high)
    places: dict[str, OrderKey] = {"a": low, "b": high}
    renumbered = arrange(places, "axb")
    assert arranged(renumbered) == list("axb")
    assert max(map(len, renumbered.values())) < 4


def test_moving_back_and_forth_does_not_grow_keys_without_end() -> None:
    children = list("abc")
    places = arrange({}, children)
    for _ in range(2000):
        children = [children[0], children[2], children[1]]
        places = arrange(places, children)
        assert arranged(places) == children
        assert max(len(str(key)) for key in places.values()) <= LONGEST
