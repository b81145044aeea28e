"""Chains and groups, without a database."""

from __future__ import annotations

from typing import Any

import pytest

from rxcrdt.places import Chain, in_groups

RELATION: Any = None


def chain(keys: str, key: str) -> Chain:
    return Chain(parent=("Shelf", "1"), relation=RELATION, keys=tuple(keys), key=key)


@pytest.mark.parametrize(
    ("order", "torn"),
    [("abc", False), ("xaxbxc", False), ("bac", True), ("acb", True), ("ac", False), ("ab", True), ("b", True)],
)
def test_a_chain_is_torn_where_its_rows_come_otherwise_or_a_neighbour_is_gone(order: str, torn: bool) -> None:
    """Of a changed row that is gone itself, others tell."""
    place = {key: number for number, key in enumerate(order)}
    assert chain("abc", "b").is_torn(place) is torn


@pytest.mark.parametrize("size", [3, 4, 5, 100])
def test_groups_are_small_hold_every_key_and_each_chain_in_one_piece(size: int) -> None:
    chains = [chain("ab", "a"), chain("abc", "b"), chain("cde", "d"), chain("xyz", "y")]
    groups = list(in_groups("abdyopqrs", chains, size))
    assert all(len(wanted) <= size for wanted, _ in groups)
    assert all(wanted.issuperset(each.keys) for wanted, part in groups for each in part)
    assert [each for _, part in groups for each in part] == chains
    assert set().union(*(wanted for wanted, _ in groups)) == set("abcdexyzopqrs")


def test_chains_with_rows_in_common_share_a_group() -> None:
    (group,) = in_groups("bcd", [chain("abc", "b"), chain("bcd", "c"), chain("cde", "d")], 5)
    assert group[0] == set("abcde")


def test_nothing_to_read_is_no_group() -> None:
    assert list(in_groups((), (), 5)) == []
