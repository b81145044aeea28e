"""Whose word counts about whom: the rules of presence, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from rxcrdt.awareness import (
    MAX_NESTING,
    NULL,
    Awareness,
    Entry,
    Owner,
    check_state,
    encode_entries,
    parse_entries,
    portions,
)
from rxcrdt.exceptions import MessageTooLarge, ProtocolError
from tests.wire import each, golden

ANNA = Owner("here", 1, "anna")
BERT = Owner("here", 2, "bert")
ANNA_AGAIN = Owner("here", 3, "anna")
ANNA_ELSEWHERE = Owner("there", 1, "anna")
NOBODY = Owner("here", 4)
NOBODY_ELSE = Owner("here", 5)


def state(client: int, clock: int, text: str = "{}") -> Entry:
    return Entry(client, clock, text.encode())


def null(client: int, clock: int) -> Entry:
    return Entry(client, clock, NULL)


@pytest.fixture
def awareness() -> Awareness:
    return Awareness(max_bytes=1000, max_ids=3, max_gone=10)


# The bytes


@each(golden("awareness"))
def test_a_payload_is_read_and_written(case: dict[str, Any]) -> None:
    entries = [Entry(e["client"], e["clock"], e["state"].encode()) for e in case["entries"]]
    assert parse_entries(case["bytes"]) == entries
    assert encode_entries(entries) == case["bytes"]


@each([case for case in golden("malformed") if case["of"] == "awareness"])
def test_a_malformed_payload_is_a_protocol_error(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        parse_entries(case["bytes"])


@each([case for case in golden("malformed") if case["of"] == "state"])
def test_a_state_at_which_other_clients_would_throw_is_a_protocol_error(
    case: dict[str, Any],
) -> None:
    with pytest.raises(ProtocolError):
        Awareness(max_bytes=100_000).receive(ANNA, [Entry(1, 1, case["bytes"])], 0)


@pytest.mark.parametrize(
    "text", ['{"a": [1, 2.5e3, true, null, "\\ud800"]}', "[" * MAX_NESTING + "]" * MAX_NESTING, "0"]
)
def test_what_json_parse_takes_is_a_state(text: str) -> None:
    check_state(text.encode())


def test_too_many_entries_are_too_large() -> None:
    payload = encode_entries([state(client, 1) for client in range(11)])
    assert len(parse_entries(payload, max_entries=11)) == 11
    with pytest.raises(MessageTooLarge):
        parse_entries(payload, max_entries=10)


def test_portions_are_small_enough_to_be_echoed() -> None:
    entries = [state(client, 1, f'"{"x" * 40}"') for client in range(10)]
    found = list(portions(entries, max_bytes=100, max_entries=100))
    assert [entry for portion in found for entry in portion] == entries
    assert {len(portion) for portion in found} == {2}
    assert {len(portion) for portion in portions(entries, max_bytes=1000, max_entries=5)} == {5}
    assert list(portions([], max_bytes=1)) == []


# Ownership


def test_a_state_is_accepted_and_seen(awareness: Awareness) -> None:
    assert awareness.receive(ANNA, [state(1, 0)], 0).accepted == [state(1, 0)]
    assert awareness.entries() == [state(1, 0)]


def test_an_echo_of_somebody_elses_state_is_dropped(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 5)], 0)
    for echo in (state(1, 5), state(1, 6, "[]"), null(1, 5), null(1, 7)):
        assert awareness.receive(BERT, [echo], 0).accepted == []
    assert awareness.entries() == [state(1, 5)]


def test_of_a_message_only_the_senders_own_entries_go_on(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 5)], 0)
    assert awareness.receive(BERT, [state(1, 6), state(2, 0)], 0).accepted == [state(2, 0)]


def test_only_newer_states_are_accepted(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 5)], 0)
    assert awareness.receive(ANNA, [state(1, 5, "[]")], 0).accepted == []
    assert awareness.receive(ANNA, [state(1, 4)], 0).accepted == []
    assert awareness.receive(ANNA, [state(1, 6)], 0).accepted == [state(1, 6)]
    assert awareness.receive(ANNA, [null(1, 6)], 0).accepted == [null(1, 6)]  # y-protocols: null wins a tie
    assert awareness.receive(ANNA, [null(1, 6)], 0).accepted == []
    assert awareness.entries() == []


def test_a_dead_sockets_ids_are_nulled_all_of_them_and_no_others(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 5), state(3, 0)], 0)
    awareness.receive(BERT, [state(2, 1)], 0)
    assert awareness.leave(ANNA) == [null(1, 6), null(3, 1)]
    assert awareness.entries() == [state(2, 1)]
    assert awareness.leave(ANNA) == []


def test_an_id_that_its_client_nulled_itself_is_not_nulled_again(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 5)], 0)
    awareness.receive(ANNA, [null(1, 6)], 0)
    assert awareness.leave(ANNA) == []


def test_an_echo_that_comes_after_the_end_brings_no_ghost(awareness: Awareness) -> None:
    """Whoever repeats it is told that it is gone."""
    awareness.receive(ANNA, [state(1, 5)], 0)
    awareness.leave(ANNA)
    heard = awareness.receive(BERT, [state(1, 5)], 0)
    assert heard.accepted == []
    assert heard.answer == [null(1, 6)]
    assert awareness.entries() == []
    assert awareness.receive(BERT, [null(1, 6)], 0).answer == []  # its client's answer ends the matter


def test_a_client_that_was_nulled_comes_back_with_a_newer_clock(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 5)], 0)
    awareness.leave(ANNA)
    assert awareness.receive(ANNA_AGAIN, [state(1, 5)], 0).answer == [null(1, 6)]
    assert awareness.receive(ANNA_AGAIN, [state(1, 7)], 0).accepted == [state(1, 7)]


@pytest.mark.parametrize("back", [ANNA_AGAIN, ANNA_ELSEWHERE], ids=["this process", "another one"])
def test_a_client_that_reconnects_takes_its_id_from_its_half_dead_socket(awareness: Awareness, back: Owner) -> None:
    awareness.receive(ANNA, [state(1, 5)], 0)
    if back.process == "here":
        assert awareness.receive(back, [state(1, 5)], 0).accepted == []  # might be an echo
        assert awareness.receive(back, [state(1, 6)], 0).accepted == [state(1, 6)]
    else:
        assert awareness.hear(back, [state(1, 6)], 0) == [state(1, 6)]
    assert awareness.leave(ANNA) == []
    assert awareness.entries() == [state(1, 6)]


def test_anonymous_users_are_not_the_same_user(awareness: Awareness) -> None:
    awareness.receive(NOBODY, [state(1, 5)], 0)
    assert awareness.receive(NOBODY_ELSE, [state(1, 6)], 0).accepted == []


# Limits


def test_a_socket_has_only_so_many_ids(awareness: Awareness) -> None:
    entries = [state(client, 0) for client in range(5)]
    assert awareness.receive(ANNA, entries, 0).accepted == entries[:3]


def test_a_sockets_states_take_only_so_many_bytes(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 0, f'"{"x" * 600}"')], 0)
    awareness.receive(ANNA, [state(1, 1, f'"{"x" * 900}"')], 0)  # in the place of the first
    with pytest.raises(MessageTooLarge):
        awareness.receive(ANNA, [state(2, 0, f'"{"x" * 200}"')], 0)


def test_the_size_of_foreign_entries_is_nobodys_fault(awareness: Awareness) -> None:
    """An honest client echoes them, and must not be closed for it."""
    awareness.receive(ANNA, [state(1, 0)], 0)
    assert awareness.receive(BERT, [state(1, 0, f'"{"x" * 5000}"')], 0).accepted == []


def test_only_so_many_departed_ids_are_remembered(awareness: Awareness) -> None:
    for client in range(50):
        awareness.receive(ANNA, [state(client, 5)], 0)
        awareness.leave(ANNA)
    assert awareness.receive(BERT, [state(49, 5)], 0).accepted == []
    assert awareness.receive(BERT, [state(0, 5)], 0).accepted == [state(0, 5)]


# Other processes


def test_what_another_process_accepted_is_seen_and_its_owner_respected(awareness: Awareness) -> None:
    assert awareness.hear(ANNA_ELSEWHERE, [state(1, 5)], 0) == [state(1, 5)]
    assert awareness.hear(ANNA_ELSEWHERE, [state(1, 5)], 0) == []  # repeated
    assert awareness.receive(BERT, [state(1, 6)], 0).accepted == []
    assert awareness.hear(ANNA_ELSEWHERE, [null(1, 6)], 0) == [null(1, 6)]
    assert awareness.entries() == []


def test_reordered_messages_of_another_process_bring_nobody_back(awareness: Awareness) -> None:
    awareness.hear(ANNA_ELSEWHERE, [state(1, 5)], 0)
    awareness.hear(ANNA_ELSEWHERE, [null(1, 6)], 0)
    assert awareness.hear(ANNA_ELSEWHERE, [state(1, 5)], 0) == []


def test_a_null_that_overtakes_its_state_is_news_to_nobody(awareness: Awareness) -> None:
    assert awareness.hear(ANNA_ELSEWHERE, [null(1, 6)], 0) == []


def test_a_process_that_fell_silent_is_forgotten_and_one_that_renews_is_not(awareness: Awareness) -> None:
    there = Owner("there", 2, "carl")
    awareness.receive(BERT, [state(2, 0)], 0)
    awareness.hear(ANNA_ELSEWHERE, [state(1, 5)], 0)
    awareness.hear(there, [state(3, 5)], 0)
    awareness.hear(there, [state(3, 6)], 50)
    assert awareness.expire("here", 40) == [null(1, 5)]
    assert awareness.entries() == [state(2, 0), state(3, 6)]
    assert awareness.hear(ANNA_ELSEWHERE, [state(1, 6)], 60) == [state(1, 6)]  # it was only slow


def test_a_process_tells_what_its_own_sockets_said(awareness: Awareness) -> None:
    awareness.receive(ANNA, [state(1, 0)], 0)
    awareness.hear(ANNA_ELSEWHERE, [state(2, 0)], 0)
    assert awareness.of_process("here") == [(ANNA, [state(1, 0)])]
