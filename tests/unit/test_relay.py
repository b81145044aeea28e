"""Between processes: what the channel layer carries, and that nothing breaks where it does not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.test import override_settings

from rxcrdt import conf, layer_link, relay
from rxcrdt.awareness import NULL, Owner
from rxcrdt.awareness import Entry as AwarenessEntry
from rxcrdt.layer_link import LayerLink, Subscriber
from rxcrdt.rooms import Room
from rxcrdt.sockets import Limits
from tests.conditions import until
from tests.fake_documents import FakeDocument
from tests.fake_layers import FakeLayer, Hub
from ydoc_store import Entry, Position, open_store

TOPIC = "tenant|board/ü 12@schema"


class Hearing:
    """A subscriber that notes what it hears."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.notices = 0
        self.joins = 0
        self.awareness: list[tuple[Owner, AwarenessEntry]] = []
        self.questions = 0

    def joined(self) -> None:
        self.joins += 1

    def entries_came(self, entries: Sequence[Entry]) -> None:
        self.entries.extend(entries)
        self.notices += not entries

    def awareness_came(self, owner: Owner, entries: Sequence[AwarenessEntry]) -> None:
        self.awareness += [(owner, entry) for entry in entries]

    def awareness_asked(self) -> None:
        self.questions += 1


class Process:
    """A process, as far as the relay is concerned: a link, and the functions of ``rxcrdt.relay`` over it."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.layer = FakeLayer(hub)
        self.link = LayerLink(lambda: self.layer, process=name)

    def __enter__(self) -> None:
        relay._link._made = (os.getpid(), self.link)

    def __exit__(self, *_: object) -> None:
        relay._link._made = None

    def listen(self, topic: str = TOPIC) -> Hearing:
        """Joins, and returns once the layer knows."""
        hearing = Hearing()
        before = len(self.layer.joins)
        with self:
            relay.join(topic, hearing)
        until(lambda: len(self.layer.joins) > before and hearing.joins)
        return hearing

    def publish(self, *entries: Entry, topic: str = TOPIC) -> None:
        with self:
            for each in entries:
                relay.publish(topic, each)


@pytest.fixture(autouse=True)
def shared_store(tmp_path: Any) -> Iterator[None]:
    """Between processes there is something to tell only if they share a store."""
    with open_store(f"sqlite:///{tmp_path}/store.sqlite3") as store:
        conf.use_store(store)
        yield


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def process(hub: Hub) -> Iterator[Callable[[str], Process]]:
    made: list[Process] = []

    def make(name: str) -> Process:
        made.append(Process(hub, name))
        return made[-1]

    yield make
    for each in made:
        each.link.close()


def entry(sequence: int, update: bytes = b"update") -> Entry:
    return Entry(position=Position(2**32 + 1, sequence), update=update)


def test_an_entry_reaches_the_other_processes_that_have_the_document_open(process: Callable[[str], Process]) -> None:
    writer, reader = process("a"), process("b")
    hearing, elsewhere = reader.listen(), reader.listen("board/13@schema")
    entries = [entry(number) for number in range(50)]
    writer.publish(*entries)
    until(lambda: len(hearing.entries) == 50)
    assert hearing.entries == entries
    assert elsewhere.entries == []


def test_ones_own_messages_are_not_heard(process: Callable[[str], Process], hub: Hub) -> None:
    both, other = process("a"), process("b")
    hearing, witness = both.listen(), other.listen()
    both.publish(entry(1))
    until(lambda: witness.entries)
    other.publish(entry(2))
    until(lambda: hearing.entries)
    assert hearing.entries == [entry(2)]


def test_one_channel_serves_every_document_of_a_process(process: Callable[[str], Process]) -> None:
    reader = process("b")
    for number in range(10):
        reader.listen(f"board/{number}@schema")
    assert len(reader.layer._queues) == 1


def test_a_large_update_goes_as_a_bare_notice(process: Callable[[str], Process], hub: Hub) -> None:
    writer, reader = process("a"), process("b")
    hearing = reader.listen()
    writer.publish(entry(1, bytes(relay.MAX_UPDATE_BYTES)), entry(2, bytes(relay.MAX_UPDATE_BYTES + 1)))
    until(lambda: hearing.notices)
    assert [found.position.sequence for found in hearing.entries] == [1]
    assert "update" not in hub.sent[1]


def test_whoever_joins_is_told_when_it_hears_everything(process: Callable[[str], Process]) -> None:
    """Before that, things may have been said."""
    assert process("b").listen().joins == 1


def test_after_leaving_nothing_is_heard(process: Callable[[str], Process], hub: Hub) -> None:
    writer, reader = process("a"), process("b")
    hearing, staying = reader.listen(), reader.listen("board/13@schema")
    with reader:
        relay.leave(TOPIC, hearing)
        relay.leave(TOPIC, hearing)  # harmless
    until(lambda: not any(hub.members.get(layer_link._group(TOPIC), [])))
    writer.publish(entry(1))
    writer.publish(entry(2), topic="board/13@schema")
    until(lambda: staying.entries)
    assert hearing.entries == []


def test_awareness_and_who_said_it(process: Callable[[str], Process]) -> None:
    speaker, listener = process("a"), process("b")
    hearing = listener.listen()
    said = [AwarenessEntry(1, 5, b'{"name": "\xc3\xbc"}'), AwarenessEntry(2, 1, NULL)]
    with speaker:
        relay.publish_awareness(TOPIC, Owner("a", 7, "12"), said)
        relay.ask_awareness(TOPIC)
    until(lambda: hearing.questions)
    assert hearing.awareness == [(Owner("a", 7, "12"), each) for each in said]


def test_what_others_send_that_makes_no_sense_is_logged_and_ignored(
    process: Callable[[str], Process], hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer version of ours, during a rolling deploy."""
    writer, reader = process("a"), process("b")
    hearing = reader.listen()
    group = layer_link._group(TOPIC)
    hub.send(group, {"process": "a"})
    hub.send(group, {"process": "a", "topic": TOPIC, "kind": "entry"})
    hub.send(group, {"process": "a", "topic": TOPIC, "kind": "a later idea"})
    hub.send(group, {"process": "a", "topic": TOPIC, "kind": "awareness", "socket": 1, "user": None, "entries": b"?"})
    writer.publish(entry(1))
    until(lambda: hearing.entries)
    assert caplog.text.count("could not be understood") == 3


# Where the layer does not do its work


def test_a_layer_that_is_down_is_said_once_and_used_again_when_it_is_back(
    process: Callable[[str], Process], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_link, "RETRY_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    writer, reader = process("a"), process("b")
    hearing = reader.listen()
    writer.layer.failing = ConnectionError("no such host")
    for number in range(100):
        writer.publish(entry(number))
    assert writer.link.flush(5)
    assert caplog.text.count("no such host") == 1
    writer.layer.failing = None
    writer.publish(entry(100))
    until(lambda: hearing.entries)
    until(lambda: "works again, after 100 failures" in caplog.text)


def test_a_listener_that_was_cut_off_joins_again_and_is_told(
    process: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(layer_link, "RETRY_SECONDS", 0.01)
    writer, reader = process("a"), process("b")
    hearing = reader.listen()
    joins = hearing.joins
    reader.layer.failing = ConnectionError("cut off")
    reader.layer.break_off(ConnectionError("cut off"))
    until(lambda: "cut off" in caplog.text)
    reader.layer.failing = None
    until(lambda: hearing.joins > joins)
    writer.publish(entry(1))
    until(lambda: hearing.entries)


def test_groups_are_joined_again_now_and_then(
    process: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """channels_redis forgets who is in a group after a day."""
    monkeypatch.setattr(layer_link, "JOIN_AGAIN_SECONDS", 0.02)
    reader = process("b")
    reader.listen()
    until(lambda: len(reader.layer.joins) >= 3)


def test_a_layer_that_hangs_holds_nobody_up_and_its_queue_is_bounded(
    process: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(layer_link, "MAX_WAITING", 10)
    writer = process("a")
    writer.layer.hanging = True
    writer.publish(*[entry(number) for number in range(50)])
    assert len(writer.link._waiting) <= 10
    assert not writer.link.flush(0.01)
    assert "wait already" in caplog.text
    monkeypatch.setattr(layer_link, "CALL_SECONDS", 0.01)
    writer.layer.hanging = False
    writer.link.close()
    assert writer.link.flush(0)


def test_a_layer_that_cannot_be_made_is_said_and_nothing_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> FakeLayer:
        raise ImportError("no such backend")

    link = LayerLink(broken, process="a")
    link.send(TOPIC, {})
    assert link.flush(5)
    assert "no such backend" in caplog.text
    link.send(TOPIC, {})  # nobody is there any more, and nobody minds
    link.join(TOPIC, Hearing())
    link.close()


@override_settings(CHANNEL_LAYERS={"default": {"BACKEND": "nowhere.NoLayer"}})
def test_a_configuration_that_is_wrong_fails_no_save(caplog: pytest.LogCaptureFixture) -> None:
    relay.publish(TOPIC, entry(1))
    relay.join(TOPIC, Hearing())
    relay.leave(TOPIC, Hearing())
    assert "nowhere" in caplog.text


NO_LAYERS: list[dict[str, Any]] = [{}, {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}]


@pytest.mark.parametrize("layers", NO_LAYERS, ids=["none", "in memory"])
def test_a_layer_that_leaves_no_process_is_not_used(layers: dict[str, Any]) -> None:
    with override_settings(CHANNEL_LAYERS=layers):
        relay.publish(TOPIC, entry(1))
        assert relay._link() is None
        assert relay.flush(0)


def test_a_store_that_is_not_shared_has_nothing_to_tell(process: Callable[[str], Process], hub: Hub) -> None:
    writer = process("a")
    with open_store("memory://") as store:
        conf.use_store(store)
        writer.publish(entry(1))
    assert writer.link._thread is None


def test_another_setting_is_another_link(process: Callable[[str], Process]) -> None:
    writer = process("a")
    writer.publish(entry(1))
    with writer, override_settings(CHANNEL_LAYERS={}):
        assert relay._link() is None
        assert writer.link._closed


def test_the_relay_is_its_own_thread_and_keeps_no_process_alive(process: Callable[[str], Process]) -> None:
    writer = process("a")
    writer.publish(entry(1))
    threads = [thread for thread in threading.enumerate() if thread.name == "rxcrdt-relay"]
    assert threads
    assert all(thread.daemon for thread in threads)


def test_a_subscriber_is_what_rooms_are() -> None:
    subscribers: list[Subscriber] = [Hearing()]
    subscribers += [Room(FakeDocument(), limits=Limits(waiting_bytes=1, awareness_bytes=1))]
    assert [hasattr(each, "entries_came") for each in subscribers] == [True, True]


SHORT = """
import asyncio, sys, time
from rxcrdt.layer_link import LayerLink

class Slow:
    async def group_send(self, group, message):
        await asyncio.sleep(float(sys.argv[1]))
        print("sent", flush=True)
    async def new_channel(self, prefix): ...

LayerLink(lambda: Slow(), process="a").send("topic", {})
"""


@pytest.mark.processes
@pytest.mark.parametrize(("seconds", "output"), [(0.3, "sent\n"), (30, "")])
def test_a_short_lived_process_waits_a_second_at_most_for_what_is_unsent(seconds: float, output: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT, str(seconds)], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == output
    assert done.stderr == ""
