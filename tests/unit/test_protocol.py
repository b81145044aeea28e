"""The wire, as bytes: what clients send is read to the last byte, what we send is what y-protocols writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map

from rxcrdt.deletes import covers, deletes_only
from rxcrdt.exceptions import MessageTooLarge, ProtocolError
from rxcrdt.lib0 import MAX_VARUINT, Reader, encode_bytes, encode_varuint
from rxcrdt.protocol import (
    EMPTY_AWARENESS,
    EMPTY_UPDATE,
    AwarenessUpdate,
    CloseCode,
    Ignored,
    Message,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    decode,
    encode_auth,
    encode_awareness,
    encode_state_vector,
    encode_step1,
    encode_step2,
    encode_update,
    parse_state_vector,
)
from tests.wire import each, golden

MIB = 1024 * 1024

DECODED: dict[str, Callable[[bytes], Message]] = {
    "step1": SyncStep1,
    "step2": SyncStep2,
    "update": SyncUpdate,
    "awareness": AwarenessUpdate,
    "query": lambda _: QueryAwareness(),
    "auth": lambda _: Ignored(2),  # only servers send it
}
ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "step1": encode_step1,
    "step2": encode_step2,
    "update": encode_update,
    "awareness": encode_awareness,
    "auth": lambda payload: encode_auth(payload.decode()),
}


def decoded(frame: bytes) -> Message:
    return decode(frame, max_bytes=MIB)


@each(golden("messages"))
def test_a_frame_of_y_protocols_is_understood(case: dict[str, Any]) -> None:
    assert decoded(case["bytes"]) == DECODED[case["type"]](bytes.fromhex(case["payload"]))


@each([case for case in golden("messages") if case["type"] in ENCODED])
def test_a_message_is_written_as_y_protocols_writes_it(case: dict[str, Any]) -> None:
    assert ENCODED[case["type"]](bytes.fromhex(case["payload"])) == case["bytes"]


@each(golden("varuints"))
def test_a_number_is_written_and_read_as_lib0_does(case: dict[str, Any]) -> None:
    assert encode_varuint(case["value"]) == case["bytes"]
    assert Reader(case["bytes"]).varuint() == case["value"]


@each(golden("state_vectors"))
def test_a_state_vector_is_read_and_written(case: dict[str, Any]) -> None:
    clocks = dict(case["clocks"])
    assert parse_state_vector(case["bytes"]) == clocks
    assert encode_state_vector(clocks) == case["bytes"]


@each([case for case in golden("malformed") if case["of"] == "frame"])
def test_a_malformed_frame_is_one_protocol_error(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        decoded(case["bytes"])


@each([case for case in golden("malformed") if case["of"] == "deletes"])
def test_a_malformed_delete_set_is_one_protocol_error(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        deletes_only(case["bytes"])


@pytest.mark.parametrize("kind", [2, 4, 10, 100, 102, 110, 2**32])
def test_messages_of_other_protocols_are_ignored_whatever_they_hold(kind: int) -> None:
    assert decoded(encode_varuint(kind) + b"\xff\xff\xff") == Ignored(kind)


@pytest.mark.parametrize("cut", range(1, 25))
def test_a_frame_cut_anywhere_is_malformed_and_never_read_short(cut: int) -> None:
    """pycrdt's own reader gives what is there."""
    frame = encode_update(bytes(30))
    with pytest.raises(ProtocolError):
        decoded(frame[: len(frame) - cut])


def test_bytes_that_are_missing_are_not_read_as_fewer() -> None:
    with pytest.raises(ProtocolError, match="5 bytes were announced"):
        Reader(b"\x05ab").bytes()


def test_a_frame_beyond_the_limit_is_too_large() -> None:
    frame = encode_update(bytes(1000))
    assert decode(frame, max_bytes=len(frame)) == SyncUpdate(bytes(1000))
    with pytest.raises(MessageTooLarge):
        decode(frame, max_bytes=len(frame) - 1)


def test_a_state_vector_beyond_the_limit_is_too_large() -> None:
    frame = encode_step1(encode_state_vector(dict.fromkeys(range(11), 1)))
    assert isinstance(decode(frame, max_bytes=MIB, max_clients=11), SyncStep1)
    with pytest.raises(MessageTooLarge):
        decode(frame, max_bytes=MIB, max_clients=10)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        message = decoded(data)
        if isinstance(message, SyncStep2 | SyncUpdate):
            deletes_only(message.update)
    except ProtocolError:
        return
    if isinstance(message, SyncStep1):
        assert encode_step1(message.state_vector) == data  # strict: there is only one way to say it


@given(st.dictionaries(st.integers(0, MAX_VARUINT), st.integers(0, MAX_VARUINT), max_size=20))
def test_every_state_vector_comes_back(clocks: dict[int, int]) -> None:
    assert parse_state_vector(encode_state_vector(clocks)) == clocks


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(0, MAX_VARUINT))
def test_what_is_encoded_is_read_back_to_the_last_byte(parts: list[bytes], number: int) -> None:
    reader = Reader(b"".join(map(encode_bytes, parts)) + encode_varuint(number))
    assert [reader.bytes() for _ in parts] == parts
    assert reader.varuint() == number
    reader.end()


HOSTILE = {
    "a state vector of very many clients": encode_step1(
        encode_varuint(99_999) + b"".join(encode_varuint(client + 10**12) + b"\x01" for client in range(99_999))
    ),
    "a number that never ends": encode_step1(b"\xff" * MIB),
    "very many empty ranges": encode_update(b"\x00\x01\x05" + encode_varuint(500_000) + b"\x01\x01" * 500_000),
    "very many clients without ranges": encode_update(b"\x00" + encode_varuint(500_000) + b"\x01\x00" * 500_000),
}


@pytest.mark.parametrize("frame", HOSTILE.values(), ids=list(HOSTILE))
def test_a_mebibyte_of_hostile_bytes_takes_linear_time(frame: bytes) -> None:
    began = time.process_time()
    try:
        message = decode(frame, max_bytes=2 * MIB)
        if isinstance(message, SyncUpdate):
            deletes_only(message.update)
    except ProtocolError:
        pass
    assert time.process_time() - began < 5  # some tenths; anything quadratic would take minutes


@each(golden("deletes"))
def test_an_update_without_content_is_read_as_its_deletes(case: dict[str, Any]) -> None:
    deletes = deletes_only(case["bytes"])
    if case["deletes"] is None:
        assert deletes is None
    else:
        assert deletes == {int(client): [(a, b) for a, b in ranges] for client, ranges in case["deletes"].items()}


def test_an_up_to_date_client_repeats_the_deletes_of_the_document() -> None:
    """Deletes do not show in state vectors, so a client's answer to step 1 is not empty after the first one."""
    server: Doc[Any] = Doc(client_id=2**32)
    table = server.get("t", type=Map)
    for value in range(3):
        table["key"] = value
    client: Doc[Any] = Doc(client_id=7)
    client.apply_update(server.get_update())
    answer = client.get_update(server.get_state())
    said, known = deletes_only(answer), deletes_only(server.get_update(server.get_state()))
    assert answer != EMPTY_UPDATE
    assert said is not None
    assert known is not None
    assert covers(known, said)

    del client.get("t", type=Map)["key"]
    said = deletes_only(client.get_update(server.get_state()))
    assert said is not None
    assert not covers(known, said)


ranges = st.dictionaries(
    st.integers(0, 3),
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=6
    ),
    max_size=4,
)


@given(ranges, ranges)
def test_covers_is_inclusion_of_what_is_deleted(outer: Any, inner: Any) -> None:
    def parsed(deletes: dict[int, list[tuple[int, int]]]) -> Any:
        parts = [b"\x00", encode_varuint(len(deletes))]
        for client, spans in deletes.items():
            parts += [encode_varuint(client), encode_varuint(len(spans))]
            parts += [encode_varuint(start) + encode_varuint(end - start) for start, end in spans]
        return deletes_only(b"".join(parts))

    def clocks(deletes: dict[int, list[tuple[int, int]]]) -> set[tuple[int, int]]:
        return {(client, clock) for client, spans in deletes.items() for a, b in spans for clock in range(a, b)}

    assert covers(parsed(outer), parsed(inner)) == (clocks(inner) <= clocks(outer))
    without = {(client, clock) for client, clock in clocks(inner) if client != 0}
    assert covers(parsed(outer), parsed(inner), ignoring=lambda client: client == 0) == (without <= clocks(outer))


def test_the_sign_of_life_is_an_awareness_message_about_nobody() -> None:
    assert decoded(EMPTY_AWARENESS) == AwarenessUpdate(b"\x00")


def test_final_close_codes_are_those_that_stock_clients_take_as_final() -> None:
    again = {CloseCode.RESTARTING, CloseCode.TOO_SLOW, CloseCode.TOO_MANY}
    assert {code for code in CloseCode if not 4400 <= code <= 4499} == again
