"""The sockets, over real documents: what a stock client meets from its handshake to its end."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections
from django.test import override_settings
from pycrdt import Doc, Map
from rest_framework import permissions

from rxcrdt import asgi, consumers, documents, lobby, workers
from rxcrdt.anchors import Anchor
from rxcrdt.audience import Listener
from rxcrdt.awareness import NULL, Entry, encode_entries, parse_entries
from rxcrdt.document import Document
from rxcrdt.exceptions import Refused
from rxcrdt.protocol import (
    EMPTY_AWARENESS,
    AwarenessUpdate,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    decode,
    encode_awareness,
    encode_state_vector,
    encode_step1,
    encode_step2,
    encode_update,
    parse_state_vector,
)
from rxcrdt.registry import registry
from rxcrdt.sockets import Limits
from rxcrdt.testing import Client
from tests.conditions import eventually
from tests.raw_sockets import RawSocket
from tests.testapp.models import Library, Shelf
from tests.testapp.serializers import LibrarySerializer

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "library"


@pytest.fixture(autouse=True)
async def nobody_left(transactional_db: None) -> AsyncIterator[None]:
    """When all clients have left, no room is open and no connection is counted; before the rows are taken away."""
    yield
    await eventually(lambda: not consumers._connections())
    assert not lobby.lobby()._of
    assert not lobby.lobby()._places
    await eventually(lambda: not documents._shelf.pins)
    assert await asyncio.to_thread(workers.wait_for_background, 10)
    await sync_to_async(connections.close_all)()  # that of the thread of ``asave``, which PostgreSQL would miss


@pytest.fixture
def library(transactional_db: None) -> Library:
    library = Library.objects.create(name="Bodleian")
    Shelf.objects.create(library=library, label="A")
    return library


@pytest.fixture
def document(library: Library) -> str:
    return f"{NAME}/{library.pk}"


async def save(library: Library, **values: Any) -> None:
    for name, value in values.items():
        setattr(library, name, value)
    await library.asave()


# What a stock client meets


async def test_what_y_websocket_sends_first_is_answered_in_order(document: str) -> None:
    """Step 2, then our step 1, then who is here: each message in a frame of its own."""
    hello = encode_awareness(encode_entries([Entry(7, 0, b"{}")]))
    async with RawSocket(document) as socket:
        await socket.send(RawSocket.HELLO)
        await socket.send(hello)
        answer, question, presence = [await socket.next() for _ in range(3)]
    assert isinstance(answer, SyncStep2)
    doc: Doc[Any] = Doc()
    doc.apply_update(answer.update)
    assert doc.get("Library", type=Map).to_py()
    assert question == SyncStep1(doc.get_state())
    assert isinstance(presence, AwarenessUpdate)


async def test_a_save_is_one_update_in_one_frame(library: Library, document: str) -> None:
    async with RawSocket(document) as socket:
        await socket.synchronised()
        await save(library, name="Laurenziana")
        message = await socket.next()
        assert isinstance(message, SyncUpdate)
        assert b"Laurenziana" in message.update
        assert len(message.update) < 60
        assert socket.waiting == 0


async def test_a_client_follows_and_comes_back_with_what_it_has(library: Library, document: str) -> None:
    async with Client(document) as client:
        await save(library, name="Laurenziana")
        await client.settle()
        assert client.state is not None
        assert client.state["title"] == "Laurenziana"
        await client.offline()
        for number in range(50):
            await Shelf.objects.acreate(library=library, label=str(number))
        await Shelf.objects.filter(label__endswith="1").adelete()
        assert len(client.state["shelves"]) == 1
        await client.online()
        assert len(client.state["shelves"]) == 1 + 45
        assert client.verdicts == []  # it only repeats the deletes that it was told


@override_settings(RXCRDT={"STORE": "memory://", "PATH": "/live/documents/"})
async def test_the_path_is_a_setting(document: str) -> None:
    async with RawSocket("", path=f"/live/documents/{document}") as socket:
        await socket.synchronised()
    async with RawSocket("", path=f"/ws/{document}") as socket:
        assert await socket.closed() == 4404
    async with RawSocket("", path=f"/under/live/documents/{document}", root_path="/under") as socket:
        await socket.synchronised()


async def test_url_patterns_serve_it_beside_consumers_of_the_project(document: str) -> None:
    router = URLRouter(asgi.websocket_urlpatterns)
    socket = WebsocketCommunicator(router, f"/ws/{document}")
    assert (await socket.connect())[0]
    await socket.send_to(bytes_data=RawSocket.HELLO)
    assert isinstance(decode(await socket.receive_from(timeout=10), max_bytes=2**20), SyncStep2)
    await socket.disconnect()


async def test_only_websockets_are_served() -> None:
    with pytest.raises(ValueError, match="lifespan"):
        await asgi.websocket_application()({"type": "lifespan"}, None, None)  # type: ignore[arg-type]


PROTOCOLS = [
    ([], None),
    (["y"], "y"),
    (["token.abc"], "token.abc"),  # one of those offered, or browsers give up
    (["token.abc", "y"], "y"),  # but rather not a secret
]


@pytest.mark.parametrize(("offered", "chosen"), PROTOCOLS)
async def test_a_subprotocol_of_those_offered_is_accepted(
    document: str, offered: list[str], chosen: str | None
) -> None:
    async with RawSocket(document, subprotocols=offered) as socket:
        assert socket.subprotocol == chosen


# Refusals, each after accepting


class Locked(Anchor):
    """What the tests change before they knock."""

    name = "locked"
    queryset = Library.objects.all()
    serializer_class = LibrarySerializer
    permission_classes: ClassVar[Any] = [permissions.IsAuthenticated]


@pytest.fixture
def locked() -> Iterator[type[Locked]]:
    class Fresh(Locked):
        pass

    registry.register(Fresh)
    yield Fresh
    registry.unregister(Fresh)


async def refusal(document: str, **how: Any) -> int:
    async with RawSocket(document, **how) as socket:
        await socket.send(RawSocket.HELLO)
        return await socket.closed()


async def test_each_refusal_has_its_code(locked: type[Anchor], library: Library) -> None:
    class Never(permissions.BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            return False

    anna = User(username="anna", pk=1)
    own = f"locked/{library.pk}"
    assert await refusal(own) == 4401
    for missing in (
        "unknown/1",
        "locked",
        "locked/",
        "",
        "locked/4711",
        "locked/abc",
        f"{own}/",
        f"locked/0{library.pk}",
    ):
        assert await refusal(missing, user=anna) == 4404, missing
    locked.permission_classes = [Never]
    assert await refusal(own, user=anna) == 4403
    with pytest.raises(Refused) as refused:
        async with Client(own, user=anna):
            pass
    assert refused.value.code == 4403


async def test_a_database_that_fails_is_no_missing_document(
    locked: type[Anchor], library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client must come again."""
    own = f"locked/{library.pk}"
    anna = User(username="anna", pk=1)

    def broken(self: Anchor) -> Any:
        raise OperationalError("the server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(locked, "get_queryset", broken)
        assert await refusal(own, user=anna) == 4503
    listening: list[Listener] = []
    subscribe, unsubscribe = Document.subscribe, Document.unsubscribe

    def noting_subscribe(self: Document, listener: Listener) -> None:
        listening.append(listener)
        subscribe(self, listener)

    def noting_unsubscribe(self: Document, listener: Listener) -> None:
        listening.remove(listener)
        unsubscribe(self, listener)

    monkeypatch.setattr(Document, "subscribe", noting_subscribe)
    monkeypatch.setattr(Document, "unsubscribe", noting_unsubscribe)
    for step in ("ensure", "catch_up"):
        with monkeypatch.context() as patch:
            patch.setattr(Document, step, broken)
            assert await refusal(own, user=anna) == 4503
    assert listening == []
    assert caplog.text.count("the server closed the connection unexpectedly") >= 3
    async with RawSocket(own, user=anna) as socket:
        await socket.synchronised()


async def test_too_many_connections_are_refused(document: str) -> None:
    with override_settings(RXCRDT={"STORE": "memory://", "MAX_SOCKETS": 2}):
        async with RawSocket(document) as first, RawSocket(document) as second:
            await first.synchronised()
            await second.synchronised()
            assert await refusal(document) == 4529
        assert await refusal(f"{NAME}/4711") == 4404  # there is room again


# What clients send

MALFORMED = ["", "80", "000300", "00000101", "00020500", "0105", "0000010000"]


@pytest.mark.parametrize("frame", MALFORMED)
async def test_a_malformed_message_closes(document: str, frame: str) -> None:
    async with RawSocket(document) as socket:
        await socket.synchronised()
        await socket.send(bytes.fromhex(frame))
        assert await socket.closed() == 4422


async def test_a_text_frame_closes_even_before_the_document_is_open(document: str) -> None:
    async with RawSocket(document) as socket:
        await socket.send_text("hello")
        assert await socket.closed() == 4422
    async with RawSocket(document) as socket:
        await socket.synchronised()
        await socket.send_text("hello")
        assert await socket.closed() == 4422


@override_settings(RXCRDT={"STORE": "memory://", "MAX_MESSAGE_BYTES": 100_000, "MAX_AWARENESS_BYTES": 1000})
async def test_too_large_a_message_closes(document: str) -> None:
    large = [
        encode_update(bytes(100_000)),
        encode_awareness(encode_entries([Entry(1, 0, b'"%s"' % (b"x" * 1000))])),
        encode_awareness(encode_entries([Entry(client, 0, b"{}") for client in range(1001)])),
    ]
    for frame in large:
        async with RawSocket(document) as socket:
            await socket.synchronised()
            await socket.send(frame)
            assert await socket.closed() == 4413


async def test_large_but_allowed_messages_are_read(document: str) -> None:
    vector = encode_state_vector(dict.fromkeys(range(1, 20000), 1))
    async with RawSocket(document) as socket:
        await socket.send(encode_step1(vector))
        assert isinstance(await socket.next(), SyncStep2)


async def test_messages_of_other_protocols_are_ignored(document: str) -> None:
    async with RawSocket(document) as socket:
        for kind in (4, 10, 100, 110):
            await socket.send(bytes([kind, 255, 255]))
        await socket.send(bytes.fromhex("0200026e6f"))  # an auth message: only servers send it
        await socket.synchronised()


async def test_any_bytes_leave_the_room_as_it_was(library: Library, document: str) -> None:
    chance = random.Random(4)
    async with RawSocket(document) as witness:
        await witness.synchronised()
        for _ in range(60):
            frame = bytes([chance.choice((0, 1, 3)), chance.choice((0, 1, 2))]) + chance.randbytes(chance.randrange(20))
            async with RawSocket(document) as socket:
                await socket.send(frame)
                await socket.send(b"")
                assert await socket.closed() in (4422, 4413)
        await save(library, name="unharmed")
        while not isinstance(message := await witness.next(), SyncUpdate):
            assert isinstance(message, AwarenessUpdate)
        assert b"unharmed" in message.update


async def test_what_a_client_writes_is_dropped_and_it_is_told_once(library: Library, document: str) -> None:
    async with Client(document) as writer, RawSocket(document) as witness:
        await witness.synchronised()
        node = writer.doc.get("Library", type=Map)[str(library.pk)]
        node["title"] = "mine"
        node["title"] = "mine, again"
        await writer.wait_for(lambda: bool(writer.verdicts))
        await writer.settle()
        assert [verdict.outcome for verdict in writer.verdicts] == ["refused"]
        await save(library, name="theirs")
        while not isinstance(message := await witness.next(), SyncUpdate):
            assert isinstance(message, AwarenessUpdate)
        assert b"mine" not in message.update
        async with Client(document) as newcomer:
            assert newcomer.state is not None
            assert newcomer.state["title"] == "theirs"
            assert newcomer.verdicts == []


async def test_an_auth_message_is_what_stock_clients_understand(document: str) -> None:
    own: Doc[Any] = Doc()
    own.get("Library", type=Map)["x"] = 1
    async with RawSocket(document) as socket:
        await socket.synchronised()
        for _ in range(3):
            await socket.send(encode_update(own.get_update()))
        frame = await socket.next_frame()
        assert frame.startswith(b"\x02\x00")
        assert frame[3:].decode().startswith("This document is read-only")
        await socket.send(RawSocket.HELLO)
        assert isinstance(await socket.next(), SyncStep2)  # told once


async def test_a_client_that_says_nothing_new_is_not_told_off(library: Library, document: str) -> None:
    async with RawSocket(document) as socket:
        await socket.synchronised()
        for number in range(5):
            await save(library, name=str(number))
            await socket.next()
        await socket.send(RawSocket.HELLO)
        answer = await socket.next()
        question = await socket.next()
        assert isinstance(answer, SyncStep2)
        assert isinstance(question, SyncStep1)
        client: Doc[Any] = Doc()
        client.apply_update(answer.update)
        repeated = client.get_update(question.state_vector)
        assert repeated != b"\x00\x00"  # the deletes of five overwritten names
        await socket.send(encode_step2(repeated))
        await socket.send(encode_step2(b"\x00\x00"))
        await socket.send(RawSocket.HELLO)
        assert isinstance(await socket.next(), SyncStep2)


async def test_a_client_of_an_older_lineage_is_not_asked_for_its_content(document: str) -> None:
    async with RawSocket(document) as socket:
        await socket.send(encode_step1(encode_state_vector({2**32 + 5: 900})))
        await socket.next()
        question = await socket.next()
        assert isinstance(question, SyncStep1)
        assert parse_state_vector(question.state_vector)[2**32 + 5] == 900


# Presence


def awareness(*entries: Entry) -> bytes:
    return encode_awareness(encode_entries(entries))


async def heard(socket: RawSocket) -> list[Entry]:
    message = await socket.next()
    assert isinstance(message, AwarenessUpdate)
    return parse_entries(message.payload)


async def test_presence_is_echoed_relayed_and_ends_with_its_socket(document: str) -> None:
    async with RawSocket(document) as bert:
        await bert.synchronised()
        async with RawSocket(document) as anna:
            await anna.synchronised()
            await anna.send(awareness(Entry(1, 0, b"{}"), Entry(2, 3, b"[]")))
            assert await heard(anna) == [Entry(1, 0, b"{}"), Entry(2, 3, b"[]")]
            assert await heard(bert) == [Entry(1, 0, b"{}"), Entry(2, 3, b"[]")]
            await bert.send(awareness(Entry(1, 0, b"{}"), Entry(2, 4, NULL)))  # an echo, and a lie
            async with RawSocket(document) as carl:
                await carl.synchronised()
                assert await heard(carl) == [Entry(1, 0, b"{}"), Entry(2, 3, b"[]")]
                await carl.send(b"\x03")
                assert await heard(carl) == [Entry(1, 0, b"{}"), Entry(2, 3, b"[]")]
        assert await heard(bert) == [Entry(1, 1, NULL), Entry(2, 4, NULL)]


async def test_awareness_at_which_others_would_throw_closes_its_sender_alone(document: str) -> None:
    async with RawSocket(document) as bert, RawSocket(document) as anna:
        await bert.synchronised()
        await anna.synchronised()
        await anna.send(awareness(Entry(1, 0, b"{}"), Entry(2, 0, b"{")))
        assert await anna.closed() == 4422
        assert await heard(bert) == [Entry(1, 1, NULL)]  # nobody had heard of it; it does no harm


# Opening and closing


@pytest.fixture
def slow_opening(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Documents open when the test says so."""
    gate = threading.Event()
    ensure = Document.ensure

    def waiting(self: Document) -> None:
        assert gate.wait(10)
        ensure(self)

    monkeypatch.setattr(Document, "ensure", waiting)
    yield gate
    gate.set()


async def test_while_a_document_opens_its_clients_are_kept_alive_and_what_they_say_is_kept(
    document: str, slow_opening: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Limits(waiting_bytes=10**6, awareness_bytes=10**4, keep_alive_seconds=0.05)
    monkeypatch.setattr(consumers, "socket_limits", lambda: quick)
    async with RawSocket(document) as socket:
        await socket.send(RawSocket.HELLO)
        await socket.send(awareness(Entry(1, 0, b"{}")))
        for _ in range(3):
            assert await socket.next_frame() == EMPTY_AWARENESS
        slow_opening.set()
        messages = [await socket.next() for _ in range(3)]
        while messages[0] == AwarenessUpdate(b"\x00"):
            messages = [*messages[1:], await socket.next()]
        assert isinstance(messages[0], SyncStep2)


async def test_a_client_that_leaves_while_its_document_opens_leaves_nothing(
    document: str, slow_opening: threading.Event
) -> None:
    async with RawSocket(document) as socket:
        await socket.send(RawSocket.HELLO)
        await eventually(lambda: lobby.lobby()._places)
    await socket.task  # raises nothing, or servers would complain
    assert not consumers._connections()
    slow_opening.set()


@pytest.mark.parametrize("why", ["the row is gone", "an error"])
async def test_an_opening_that_fails_when_all_have_left_is_logged_unless_the_row_is_gone(
    library: Library,
    document: str,
    slow_opening: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    why: str,
) -> None:
    def broken(name: str) -> Document:
        slow_opening.wait(10)
        raise RuntimeError("a bug in a serializer")

    if why == "an error":
        monkeypatch.setattr(documents, "open", broken)
    async with RawSocket(document) as socket:
        await socket.send(RawSocket.HELLO)
        await eventually(lambda: lobby.lobby()._places)
        places = list(lobby.lobby()._places.values())
        await library.adelete()
    (opening,) = [place.opening for place in places]
    slow_opening.set()
    await eventually(opening.done)
    await eventually(lambda: caplog.text.count("all its clients have left") == (why == "an error"))
    gc.collect()
    await asyncio.sleep(0)
    assert "never retrieved" not in caplog.text  # asyncio's way of saying that nobody asked


async def test_a_client_that_talks_while_its_document_opens_is_not_read_without_end(
    document: str, slow_opening: threading.Event
) -> None:
    async with RawSocket(document) as socket:
        for _ in range(consumers.MAX_HELD * 3):
            await socket.send(RawSocket.HELLO)
        await eventually(lambda: socket._communicator.input_queue.qsize() == 2 * consumers.MAX_HELD)
        slow_opening.set()
        for _ in range(consumers.MAX_HELD * 3):
            assert isinstance(await socket.next(), SyncStep2)
            assert isinstance(await socket.next(), SyncStep1)


async def test_clients_that_come_at_once_open_one_document(
    document: str, slow_opening: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    opening = documents.open

    def noting(name: str) -> Document:
        opened.append(name)
        return opening(name)

    monkeypatch.setattr(documents, "open", noting)
    clients = [RawSocket(document) for _ in range(20)]
    for client in clients:
        await client.__aenter__()
    await eventually(lambda: len(lobby.lobby()._of) == 20)
    slow_opening.set()
    for client in clients:
        await client.synchronised()
    assert opened == [document]
    assert len(lobby.lobby().rooms()) == 1
    for client in clients:
        await client.__aexit__()


async def test_an_opening_that_fails_fails_for_all_who_wait_and_is_tried_again_for_the_next(
    document: str, slow_opening: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opening = documents.open

    def broken(name: str) -> Document:
        slow_opening.wait(10)
        raise RuntimeError("a bug in a serializer")

    monkeypatch.setattr(documents, "open", broken)
    async with RawSocket(document) as first, RawSocket(document) as second:
        await eventually(lambda: len(lobby.lobby()._of) == 2)
        slow_opening.set()
        assert [await first.closed(), await second.closed()] == [4503, 4503]
    assert "a bug in a serializer" in caplog.text
    monkeypatch.setattr(documents, "open", opening)
    async with RawSocket(document) as third:
        await third.synchronised()


async def test_whoever_comes_while_the_last_one_leaves_misses_nothing(library: Library, document: str) -> None:
    """Rooms close and open under clients that come and go, while rows are saved."""
    chance = random.Random(7)
    done = asyncio.Event()
    committed = 0.0

    async def visit() -> None:
        while not done.is_set():
            async with Client(document) as client:
                before = committed
                await client.settle()
                assert client.state is not None
                assert client.state["rating"] >= before
            await asyncio.sleep(chance.random() / 100)

    visitors = [asyncio.create_task(visit()) for _ in range(3)]
    for number in range(1, 40):
        await save(library, rating=float(number))
        committed = float(number)
        await asyncio.sleep(chance.random() / 100)
    done.set()
    await asyncio.gather(*visitors)
    async with Client(document) as client:
        assert client.state is not None
        assert client.state["rating"] == 39.0


async def test_an_open_document_whose_row_is_deleted_closes_for_good(library: Library, document: str) -> None:
    async with RawSocket(document) as first, RawSocket(document) as second:
        await first.synchronised()
        await second.synchronised()
        await library.adelete()
        assert [await first.closed(), await second.closed()] == [4404, 4404]
        assert await refusal(document) == 4404


async def test_a_first_room_compares_its_document_with_the_database(library: Library, document: str) -> None:
    """What nobody reported, raw SQL for instance, shows at the latest when somebody opens the document."""
    async with Client(document):
        pass
    await sync_to_async(_behind_our_back)(library)
    async with Client(document) as client:
        await client.wait_for(lambda: client.state is not None and client.state["title"] == "raw")


def _behind_our_back(library: Library) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_library SET name = 'raw' WHERE id = %s", [library.pk])


async def test_a_server_that_goes_down_tells_its_clients_to_come_again(document: str) -> None:
    async with RawSocket(document) as socket:
        await socket.synchronised()
        socket.task.cancel()
        assert await socket.closed() == 4503
        with pytest.raises(asyncio.CancelledError):
            await socket.task


async def test_an_answer_that_fails_closes_the_socket_and_is_logged(
    document: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with RawSocket(document) as socket:
        await socket.synchronised()

        def panic(*_: object) -> None:
            raise BaseException("PanicException")

        monkeypatch.setattr(Document, "answer", panic)
        await socket.send(RawSocket.HELLO)
        assert await socket.closed() == 4503
    assert "PanicException" in caplog.text


async def test_a_client_that_asks_and_does_not_read_gets_one_answer_at_a_time(
    document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = asyncio.Event()
    answers: list[bytes] = []
    answer = Document.answer

    def counting(self: Document, state_vector: bytes, enroll: Callable[[bytes], None]) -> bytes:
        answers.append(state_vector)
        return answer(self, state_vector, enroll)

    monkeypatch.setattr(Document, "answer", counting)
    socket = RawSocket(document)
    put = socket._communicator.output_queue.put

    async def slow(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            await tap.wait()
        await put(message)

    monkeypatch.setattr(socket._communicator.output_queue, "put", slow)
    async with socket:
        for _ in range(10):
            await socket.send(RawSocket.HELLO)
        await eventually(lambda: answers)
        await asyncio.sleep(0.05)
        assert len(answers) == 1
        tap.set()
        for _ in range(10):
            assert isinstance(await socket.next(), SyncStep2)
            assert isinstance(await socket.next(), SyncStep1)
