"""What waits for one socket: in order, merged, and counted."""

from __future__ import annotations

import random
from typing import Any

import pycrdt
import pytest

from rxcrdt.awareness import NULL, Entry, parse_entries
from rxcrdt.outbox import MERGED_BYTES, MERGED_UPDATES, AwarenessFrame, Outbox, UpdateFrame
from rxcrdt.protocol import AwarenessUpdate, SyncUpdate, decode, encode_step2


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(awareness_bytes=1000)


def edits(count: int) -> tuple[pycrdt.Doc[Any], list[bytes]]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=2**32)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    table = doc.get("t", type=pycrdt.Map)
    for number in range(count):
        key = str(number % 7)
        if number % 5 == 4 and key in table:
            del table[key]
        else:
            table[key] = random.Random(number).random()
    return doc, updates


def drained(outbox: Outbox) -> list[bytes]:
    frames = []
    while (frame := outbox.next()) is not None:
        frames.append(frame)
    return frames


def updates_of(frames: list[bytes]) -> list[bytes]:
    messages = [decode(frame, max_bytes=2**30) for frame in frames]
    return [message.update for message in messages if isinstance(message, SyncUpdate)]


def test_a_socket_that_keeps_up_gets_the_very_frame_that_all_get(outbox: Outbox) -> None:
    item = UpdateFrame.of(b"\x00\x00")
    outbox.put(item)
    assert outbox.next() is item.frame
    assert outbox.next() is None
    assert not outbox


def test_updates_that_waited_become_one_and_say_the_same(outbox: Outbox) -> None:
    doc, updates = edits(40)
    for update in updates:
        outbox.put(UpdateFrame.of(update))
    frames = drained(outbox)
    assert len(frames) == 1
    client: pycrdt.Doc[Any] = pycrdt.Doc()
    client.apply_update(updates_of(frames)[0])
    assert client.get("t", type=pycrdt.Map).to_py() == doc.get("t", type=pycrdt.Map).to_py()
    assert client.get_state() == doc.get_state()


def test_answers_keep_their_place_among_the_updates(outbox: Outbox) -> None:
    _, updates = edits(4)
    step2 = encode_step2(b"\x00\x00")
    for update in updates[:2]:
        outbox.put(UpdateFrame.of(update))
    outbox.put(step2)
    for update in updates[2:]:
        outbox.put(UpdateFrame.of(update))
    first, answer, last = drained(outbox)
    assert answer == step2
    assert updates_of([first]) == [pycrdt.merge_updates(*updates[:2])]
    assert updates_of([last]) == [pycrdt.merge_updates(*updates[2:])]


def test_one_merge_takes_only_so_many_updates_and_bytes(outbox: Outbox) -> None:
    _, updates = edits(MERGED_UPDATES + 1)
    for update in updates:
        outbox.put(UpdateFrame.of(update))
    assert len(drained(outbox)) == 2
    large = UpdateFrame(bytes(MERGED_BYTES), b"large")
    outbox.put(large)
    outbox.put(large)
    assert drained(outbox) == [b"large", b"large"]


def test_of_awareness_the_newest_state_of_each_client_is_kept(outbox: Outbox) -> None:
    for clock in range(100):
        outbox.put(AwarenessFrame.of([Entry(1, clock, b"{}"), Entry(2, clock, b"[]")]))
        assert outbox.bytes < 500  # a client that does not read costs no more for every move of a cursor
    outbox.put(AwarenessFrame.of([Entry(2, 100, NULL)]))
    (frame,) = drained(outbox)
    message = decode(frame, max_bytes=10_000)
    assert isinstance(message, AwarenessUpdate)
    assert parse_entries(message.payload) == [Entry(1, 99, b"{}"), Entry(2, 100, NULL)]


def test_merged_awareness_goes_in_frames_that_may_be_echoed(outbox: Outbox) -> None:
    for client in range(10):
        outbox.put(AwarenessFrame.of([Entry(client, 0, b'"%s"' % (b"x" * 400))]))
    frames = drained(outbox)
    assert len(frames) == 5
    assert max(map(len, frames)) < 1000


def test_bytes_are_what_waits_without_answers(outbox: Outbox) -> None:
    item, who = UpdateFrame.of(bytes(100)), AwarenessFrame.of([Entry(1, 0, b"{}")])
    outbox.put(item)
    outbox.put(who)
    outbox.put(bytes(5000))
    assert outbox.bytes == len(item.frame) + len(who.frame)
    drained(outbox)
    assert outbox.bytes == 0


def test_cleared_is_empty(outbox: Outbox) -> None:
    outbox.put(UpdateFrame.of(bytes(100)))
    outbox.put(AwarenessFrame.of([Entry(1, 0, b"{}")]))
    outbox.clear()
    assert not outbox
    assert outbox.bytes == 0
    assert outbox.next() is None
