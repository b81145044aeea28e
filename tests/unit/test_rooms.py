"""Rooms: every entry to every socket, once and in order; presence; and what happens when things end."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
from pycrdt import Doc, Map

from rxcrdt import relay
from rxcrdt.awareness import NULL, Entry, Owner, parse_entries
from rxcrdt.exceptions import ProtocolError, Refused
from rxcrdt.groups import Group
from rxcrdt.lib0 import Reader
from rxcrdt.outbox import AwarenessFrame, UpdateFrame
from rxcrdt.processes import process_id
from rxcrdt.protocol import (
    AwarenessUpdate,
    Message,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    decode,
    encode_state_vector,
    parse_state_vector,
)
from rxcrdt.rooms import Room
from rxcrdt.sockets import Limits, Socket
from tests.conditions import eventually
from tests.fake_documents import FakeDocument, table_of
from ydoc_store import Entry as LogEntry

LIMITS = Limits(waiting_bytes=1_000_000, awareness_bytes=1000)


class Reading:
    """A client that reads: what came, and the document that comes of it."""

    def __init__(self, room: Room, *, limits: Limits = LIMITS, user: str | None = None) -> None:
        self.room = room
        self.messages: list[Message] = []
        self.closes: list[int] = []
        self.updates: list[bytes] = []
        self.doc: Doc[Any] = Doc()
        self.tap = asyncio.Event()
        self.tap.set()
        self.socket = Socket(self._send, limits=limits)
        self.socket.user = user
        self.handed: list[bytes] = []  # the updates before any of them are merged
        self._put, self.socket.put = self.socket.put, self._note  # type: ignore[method-assign]
        room.join(self.socket)

    def _note(self, item: UpdateFrame | AwarenessFrame | bytes) -> None:
        if isinstance(item, UpdateFrame):
            self.handed.append(item.update)
        self._put(item)

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self.tap.wait()
        if message["type"] == "websocket.close":
            self.closes.append(message["code"])
            return
        decoded = decode(message["bytes"], max_bytes=2**30)
        self.messages.append(decoded)
        if isinstance(decoded, SyncStep2 | SyncUpdate):
            self.doc.apply_update(decoded.update)
        if isinstance(decoded, SyncUpdate):
            self.updates.append(decoded.update)

    async def ask(self, state_vector: bytes | None = None) -> None:
        vector = self.doc.get_state() if state_vector is None else state_vector
        await asyncio.to_thread(self.room.answer, self.socket, vector)

    @property
    def state(self) -> dict[str, Any]:
        return table_of(self.doc)

    @property
    def heard(self) -> list[Entry]:
        payloads = [message.payload for message in self.messages if isinstance(message, AwarenessUpdate)]
        return [entry for payload in payloads for entry in parse_entries(payload)]

    def leave(self) -> None:
        self.socket.abandon()
        self.room.leave(self.socket)


@pytest.fixture
def document() -> FakeDocument:
    return FakeDocument()


@pytest.fixture
async def room(document: FakeDocument) -> Room:
    room = Room(document, limits=LIMITS)
    document.subscribe(room)
    return room


@pytest.fixture
async def enter(room: Room) -> AsyncIterator[Callable[..., Reading]]:
    clients: list[Reading] = []

    def make(**how: Any) -> Reading:
        clients.append(Reading(room, **how))
        return clients[-1]

    yield make
    for client in clients:
        client.leave()


# Synchronising


async def test_step_1_is_answered_by_step_2_and_our_own_step_1(
    document: FakeDocument, enter: Callable[..., Reading]
) -> None:
    document.set("a", 1)
    client = enter()
    await client.ask()
    await eventually(lambda: len(client.messages) == 2)
    answer, question = client.messages
    assert isinstance(answer, SyncStep2)
    assert question == SyncStep1(document.state_vector())
    assert client.state == {"a": 1}


async def test_nothing_comes_before_the_answer_and_everything_after(
    document: FakeDocument, enter: Callable[..., Reading]
) -> None:
    client = enter()
    document.set("a", 1)
    await asyncio.sleep(0.01)
    assert client.messages == []
    await client.ask()
    document.set("b", 2)
    document.set("a", None)
    await eventually(lambda: client.state == document.state() == {"b": 2})
    assert isinstance(client.messages[0], SyncStep2)


async def test_every_entry_comes_once_and_in_order_however_threads_race(
    document: FakeDocument, enter: Callable[..., Reading]
) -> None:
    """Clients enrol while two threads write. Each must get exactly the entries after its own step 2."""
    stop = threading.Event()

    def write(name: str) -> None:
        number = 0
        while not stop.is_set() and number < 3000:
            number += 1
            document.set(name, number)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    clients = []
    for _ in range(30):
        client = enter(limits=Limits(waiting_bytes=2**30, awareness_bytes=1000))
        clients.append(client)
        await client.ask()
    stop.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    for client in clients:
        await eventually(lambda client=client: client.state == document.state())  # type: ignore[misc]
    # What each was handed are the log's last entries: no gap, no repetition, in order.
    log = [entry.update for entry in document.entries]
    assert sum(len(client.handed) for client in clients) > len(clients)
    for client in clients:
        assert client.handed == log[len(log) - len(client.handed) :]


async def test_a_client_that_is_slow_gets_the_same_in_fewer_messages(
    document: FakeDocument, enter: Callable[..., Reading]
) -> None:
    slow, fast = enter(), enter()
    await slow.ask()
    await fast.ask()
    await eventually(lambda: slow.messages and fast.messages)
    slow.tap.clear()
    for number in range(100):
        document.set("a", number)
        await eventually(lambda: len(fast.updates) == number + 1)  # noqa: B023
    slow.tap.set()
    await eventually(lambda: slow.state == document.state())
    assert len(slow.updates) <= 2


async def test_a_client_that_asks_again_is_answered_again(
    document: FakeDocument, enter: Callable[..., Reading]
) -> None:
    client = enter()
    await client.ask()
    document.set("a", 1)
    await client.ask(b"\x00")
    document.set("b", 2)
    await eventually(lambda: client.state == {"a": 1, "b": 2})
    assert len(client.updates) == 2  # still once each


async def test_ids_of_an_older_lineage_are_not_asked_for(document: FakeDocument, enter: Callable[..., Reading]) -> None:
    """Nobody wants the old document's content; 10,000 rows of it would come back as one message."""
    old, offline = 2**32, 7
    document.set("a", 1)
    client = enter()
    await client.ask(encode_state_vector({old: 500, offline: 3}))
    await eventually(lambda: len(client.messages) == 2)
    question = client.messages[1]
    assert isinstance(question, SyncStep1)
    assert parse_state_vector(question.state_vector) == {
        **parse_state_vector(document.state_vector()),
        old: 500,
    }


async def test_a_socket_that_died_while_it_was_answered_is_forgotten(
    document: FakeDocument, room: Room, enter: Callable[..., Reading]
) -> None:
    client, other = enter(), enter()
    loop = asyncio.get_running_loop()
    document.before_answer = lambda: asyncio.run_coroutine_threadsafe(_leave(client), loop).result()
    await client.ask()
    document.before_answer = lambda: None
    await other.ask()
    document.set("a", 1)
    await eventually(lambda: other.state == {"a": 1})
    assert client.messages == []
    (group,) = room._groups.values()
    assert group._enrolled == group.sockets == {other.socket}


async def _leave(client: Reading) -> None:
    client.leave()


async def test_an_answer_for_a_socket_that_is_not_in_is_no_answer(document: FakeDocument, room: Room) -> None:
    client = Reading(room)
    client.leave()
    await client.ask()
    assert client.messages == []


# Writes that nobody may make yet


async def test_what_a_client_only_repeats_is_known(document: FakeDocument, room: Room) -> None:
    for value in (1, 2, None, 3):
        document.set("a", value)
    client: Doc[Any] = Doc()
    document.answer(b"\x00", client.apply_update)
    ours = document.state_vector()
    assert room.knows(b"\x00\x00")
    assert room.knows(client.get_update(ours))
    document.set("a", 4)  # deletes more; what was known is known still
    assert room.knows(client.get_update(ours))
    document.answer(client.get_state(), client.apply_update)
    del client.get("t", type=Map)["a"]
    assert not room.knows(client.get_update(ours))


async def test_deletes_of_an_older_lineage_are_not_news(document: FakeDocument, room: Room) -> None:
    document.set("a", 1)
    old: Doc[Any] = Doc(client_id=2**32)
    old.get("t", type=Map)["a"] = 1
    del old.get("t", type=Map)["a"]
    assert room.knows(old.get_update(old.get_state()))
    own: Doc[Any] = Doc(client_id=77)
    own.get("t", type=Map)["a"] = 1
    assert not room.knows(own.get_update())
    del own.get("t", type=Map)["a"]
    assert not room.knows(own.get_update(own.get_state()))


async def test_a_malformed_update_is_a_protocol_error(room: Room) -> None:
    with pytest.raises(ProtocolError):
        room.knows(b"\x00")


# Presence


async def test_awareness_goes_to_everybody_its_sender_included(enter: Callable[..., Reading], room: Room) -> None:
    anna, bert = enter(), enter()
    room.receive_awareness(anna.socket, [Entry(1, 0, b"{}")])
    await eventually(lambda: anna.heard == bert.heard == [Entry(1, 0, b"{}")])


async def test_an_echo_is_not_relayed(enter: Callable[..., Reading], room: Room) -> None:
    anna, bert = enter(), enter()
    room.receive_awareness(anna.socket, [Entry(1, 0, b"{}")])
    room.receive_awareness(bert.socket, [Entry(1, 0, b"{}")])
    room.receive_awareness(bert.socket, [Entry(2, 0, b"[]")])
    await eventually(lambda: len(anna.heard) == 2)
    assert anna.heard == [Entry(1, 0, b"{}"), Entry(2, 0, b"[]")]


async def test_a_newcomer_is_told_who_is_here(enter: Callable[..., Reading], room: Room) -> None:
    anna = enter()
    room.receive_awareness(anna.socket, [Entry(client, 0, b'"%s"' % (b"x" * 300)) for client in range(3)])
    bert = enter()
    room.greet(bert.socket)
    await eventually(lambda: len(bert.heard) == 3)
    assert len(bert.messages) == 1


async def test_a_dead_sockets_ids_are_nulled_for_the_others(enter: Callable[..., Reading], room: Room) -> None:
    anna, bert = enter(), enter()
    room.receive_awareness(anna.socket, [Entry(1, 0, b"{}"), Entry(3, 4, b"{}")])
    room.receive_awareness(bert.socket, [Entry(2, 0, b"{}")])
    anna.leave()
    await eventually(lambda: set(bert.heard) >= {Entry(1, 1, NULL), Entry(3, 5, NULL), Entry(2, 0, b"{}")})
    newcomer = enter()
    room.greet(newcomer.socket)
    await eventually(lambda: newcomer.heard == [Entry(2, 0, b"{}")])


async def test_a_client_that_is_back_before_its_null_was_seen_is_told_of_it(
    enter: Callable[..., Reading], room: Room
) -> None:
    anna = enter()
    room.receive_awareness(anna.socket, [Entry(1, 0, b"{}")])
    anna.leave()
    again = enter()
    room.receive_awareness(again.socket, [Entry(1, 0, b"{}")])
    await eventually(lambda: again.heard == [Entry(1, 1, NULL)])


async def test_a_client_that_does_not_read_costs_others_nothing(enter: Callable[..., Reading], room: Room) -> None:
    slow, fast = enter(limits=Limits(waiting_bytes=5000, awareness_bytes=1000)), enter()
    slow.tap.clear()
    for clock in range(500):
        room.receive_awareness(fast.socket, [Entry(1, clock, b'{"cursor": %d}' % clock)])
    await eventually(lambda: len(fast.heard) and fast.heard[-1].clock == 499)
    assert not slow.socket.closed
    slow.tap.set()
    await eventually(lambda: len(slow.heard) and slow.heard[-1].clock == 499)


async def test_what_other_processes_say_of_their_sockets_is_heard(enter: Callable[..., Reading], room: Room) -> None:
    anna = enter()
    there = Owner("there", 1, "bert")
    room.awareness_came(there, [Entry(9, 0, b"{}")])
    room.awareness_came(there, [Entry(9, 0, b"{}")])
    await eventually(lambda: anna.heard == [Entry(9, 0, b"{}")])
    room.receive_awareness(anna.socket, [Entry(9, 1, b"[]")])  # an echo, or a liar
    room.awareness_came(there, [Entry(9, 2, NULL)])
    await eventually(lambda: anna.heard == [Entry(9, 0, b"{}"), Entry(9, 2, NULL)])


async def test_a_room_that_hears_again_reads_asks_and_tells(
    document: FakeDocument, enter: Callable[..., Reading], room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, tuple[object, ...]]] = []
    for name in ("publish_awareness", "ask_awareness"):
        monkeypatch.setattr(relay, name, lambda *args, name=name: said.append((name, args)))
    anna = enter()
    await anna.ask()
    room.receive_awareness(anna.socket, [Entry(1, 0, b"{}"), Entry(2, 0, b"{}")])
    room.receive_awareness(anna.socket, [Entry(2, 1, NULL)])
    said.clear()
    document.elsewhere("a", 1)
    room.joined()
    owner = Owner(process_id(), anna.socket.number)
    assert said == [
        ("publish_awareness", (room.log, owner, [Entry(1, 0, b"{}")])),
        ("ask_awareness", (room.log,)),
    ]
    await eventually(lambda: anna.state == {"a": 1})


# Other processes' entries


async def test_entries_of_other_processes_dropped_repeated_and_reordered_arrive_once_and_in_order(
    document: FakeDocument, enter: Callable[..., Reading], room: Room
) -> None:
    client = enter(limits=Limits(waiting_bytes=2**30, awareness_bytes=1000))
    await client.ask()
    chance = random.Random(12)
    messages = [document.elsewhere(str(number % 5), number) for number in range(200)]
    messages = [entry for entry in messages[:-1] if chance.random() > 0.2] + [messages[-1]]
    messages += chance.sample(messages, 40)
    for entry in sorted(messages, key=lambda entry: entry.position.sequence + chance.random() * 10):
        room.entries_came([entry])
        await asyncio.sleep(0)
    await eventually(lambda: client.state == document.state())
    assert len(document.entries) == document.position.sequence == 200


async def test_a_bare_notice_makes_the_room_read_the_log(
    document: FakeDocument, enter: Callable[..., Reading], room: Room
) -> None:
    client = enter()
    await client.ask()
    document.elsewhere("a", 1)
    room.entries_came(())
    await eventually(lambda: client.state == {"a": 1})


async def test_a_flood_of_entries_is_read_from_the_log_instead(
    document: FakeDocument, enter: Callable[..., Reading], room: Room
) -> None:
    client = enter()
    await client.ask()
    entries = [document.elsewhere("a", number) for number in range(3000)]
    gate = threading.Event()
    receive = document.receive

    def stuck(entries: Sequence[LogEntry]) -> None:
        gate.wait(10)

    document.receive = stuck  # type: ignore[method-assign]
    room.entries_came(entries[:1])
    for entry in entries[1:]:
        room.entries_came([entry])
    assert len(room._incoming) < 1100
    document.receive = receive  # type: ignore[method-assign]
    gate.set()
    await eventually(lambda: client.state == {"a": 2999})


async def test_a_panic_of_the_engine_does_not_end_the_following(
    document: FakeDocument, enter: Callable[..., Reading], room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """pycrdt's PanicException is no Exception."""
    client = enter()
    await client.ask()
    await eventually(lambda: len(client.messages) == 2)
    receive = document.receive

    def panicking(entries: Sequence[LogEntry]) -> None:
        document.receive = receive  # type: ignore[method-assign]
        Doc().apply_update(bytes.fromhex("0201019ee1c79bbaadfd04005801016d0178017c3f80000000"))

    document.receive = panicking  # type: ignore[method-assign]
    room.entries_came([document.elsewhere("a", 1)])
    await eventually(lambda: "PanicException" in caplog.text)
    document.elsewhere("a", 2)
    room.catch_up()
    await eventually(lambda: client.state == {"a": 2})


async def test_a_store_that_fails_is_tried_again_at_the_next_notice(
    document: FakeDocument, enter: Callable[..., Reading], room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    client = enter()
    await client.ask()
    await eventually(lambda: len(client.messages) == 2)
    document.elsewhere("a", 1)
    document.failing = OSError("the disk is gone")
    room.catch_up()
    await eventually(lambda: "the disk is gone" in caplog.text)
    document.failing = None
    room.catch_up()
    await eventually(lambda: client.state == {"a": 1})


async def test_reconciling_happens_in_the_background_and_says_when_it_is_done(
    document: FakeDocument, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()
    room.reconcile(done.set)
    await eventually(done.is_set)
    assert document.reconciled == 1
    document.failing = ZeroDivisionError()
    done.clear()
    room.reconcile(done.set)
    await eventually(lambda: "ZeroDivisionError" in caplog.text)
    assert done.is_set()


# Ends


async def test_when_the_row_is_gone_everybody_is_closed_for_good(
    document: FakeDocument, enter: Callable[..., Reading], room: Room
) -> None:
    gone: list[Room] = []
    room._on_gone = gone.append
    clients = [enter(), enter()]
    await clients[0].ask()
    document.vanish()
    await eventually(lambda: [client.closes for client in clients] == [[4404], [4404]])
    assert gone == [room]
    with pytest.raises(Refused) as refusal:
        enter()
    assert refusal.value.code == 4404


async def test_a_stuck_event_loop_does_not_fill_the_memory(document: FakeDocument) -> None:
    """Somebody's blocking view: what comes meanwhile is bounded, and its sockets synchronise anew."""
    room = Room(document, limits=Limits(waiting_bytes=50_000, awareness_bytes=1000))
    document.subscribe(room)
    client = Reading(room)
    await client.ask()
    await eventually(lambda: len(client.messages) == 2)
    (group,) = room._groups.values()
    for number in range(1000):  # this very test is the loop, and does not give it back
        document.set("a", f"{number}" * 50)
        assert group._bytes <= 50_000
    await eventually(lambda: client.closes)
    assert client.closes == [4508]
    client.leave()


async def test_sockets_of_an_event_loop_that_was_closed_are_buried(
    document: FakeDocument, enter: Callable[..., Reading], room: Room
) -> None:
    lost: list[Socket] = []
    room._on_lost = lost.append
    survivor = enter()
    await survivor.ask()

    def elsewhere() -> Socket:
        async def main() -> Socket:
            client = Reading(room)
            room.receive_awareness(client.socket, [Entry(1, 0, b"{}")])
            await asyncio.sleep(0)
            return client.socket

        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(main())
        finally:
            loop.close()  # as a test runner does that does not care

    dead = await asyncio.to_thread(elsewhere)
    document.set("a", 1)
    await eventually(lambda: survivor.state == {"a": 1} and survivor.heard)
    assert survivor.heard[-1] == Entry(1, 1, NULL)
    assert lost == [dead]
    assert len(room._groups) == 1


async def test_sockets_of_two_event_loops_get_the_same(
    document: FakeDocument, enter: Callable[..., Reading], room: Room
) -> None:
    here = enter()
    await here.ask()
    ready, finish = threading.Event(), threading.Event()
    found: list[dict[str, Any]] = []

    def elsewhere() -> None:
        async def main() -> None:
            client = Reading(room)
            await client.ask()
            ready.set()
            await eventually(lambda: client.state == {"a": 99})
            found.append(client.state)
            client.leave()
            await asyncio.sleep(0)

        asyncio.run(main())
        finish.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await eventually(ready.is_set)
    for number in range(100):
        document.set("a", number)
    await eventually(finish.is_set)
    thread.join()
    await eventually(lambda: here.state == {"a": 99})
    assert found == [{"a": 99}]


async def test_an_update_is_encoded_once_and_crosses_once_for_all_sockets_of_a_loop(
    document: FakeDocument, enter: Callable[..., Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[bytes] = []
    posted: list[object] = []
    of, post = UpdateFrame.of, Group.post

    def noting_of(update: bytes) -> UpdateFrame:
        encoded.append(update)
        return of(update)

    def noting_post(self: Group, item: UpdateFrame | AwarenessFrame) -> bool:
        posted.append(item)
        return post(self, item)

    monkeypatch.setattr(UpdateFrame, "of", noting_of)
    monkeypatch.setattr(Group, "post", noting_post)
    clients = [enter() for _ in range(5)]
    for client in clients:
        await client.ask()
    document.set("a", 1)
    await eventually(lambda: all(client.state == {"a": 1} for client in clients))
    assert len(encoded) == len(posted) == 1


def test_the_reader_of_this_test_is_strict() -> None:
    """An update frame is exactly its type, its kind and its bytes."""
    reader = Reader(UpdateFrame.of(b"abc").frame)
    assert (reader.varuint(), reader.varuint(), reader.bytes(), reader.rest) == (0, 2, b"abc", 0)
