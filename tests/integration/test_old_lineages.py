"""A thousand clients that come back with older lineages of their documents: each gets the new one, and keeps nothing.

And whatever a state vector claims, it changes nothing in the store, and for nobody else. ``RXCRDT_SEED`` says by which
seed, ``RXCRDT_OLD_CLIENTS`` how many.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from pycrdt import Doc, Map

from rxcrdt import conf, documents, workers
from rxcrdt.document import Document
from rxcrdt.lineage import FIRST_TRUTH_ID, kill_set
from rxcrdt.protocol import (
    SyncStep2,
    SyncUpdate,
    encode_state_vector,
    encode_step1,
    encode_step2,
    parse_state_vector,
)
from rxcrdt.snapshots import compare
from tests.conditions import eventually
from tests.interposing import Interposed
from tests.kills.equality import as_text, tables
from tests.kills.wanderers import History, Return, Wanderer, in_yjs
from tests.raw_sockets import RawSocket
from tests.testapp.models import Book, Library, Shelf
from ydoc_store import DocStore, Log, Position

pytestmark = pytest.mark.django_db(transaction=True)

SEED = int(os.environ.get("RXCRDT_SEED", "1"))
CLIENTS = int(os.environ.get("RXCRDT_OLD_CLIENTS", "1000"))
LINEAGES, TRANSACTIONS = 10, 10


def come_back(wanderer: Wanderer) -> Return:
    had, vector, answers = wanderer.doc.get_update(), wanderer.doc.get_state(), list[bytes]()
    documents.get(wanderer.name).answer(vector, answers.append)
    wanderer.doc.apply_update(answers[0])
    return Return(document=wanderer.name, had=had, vector=vector, answer=answers[0])


def shows_ghosts(fresh: Wanderer, returned: Return) -> bool:
    """Whether it would, had it been told only what Yjs itself says."""
    doc: Doc[Any] = Doc()
    doc.apply_update(returned.had)
    doc.apply_update(fresh.doc.get_update(returned.vector))
    return as_text(tables(doc)) != as_text(tables(fresh.doc))


def test_a_thousand_clients_come_back_and_hold_exactly_what_somebody_new_holds() -> None:
    history = History(SEED)
    history.live(clients=CLIENTS, lineages=LINEAGES, transactions=TRANSACTIONS)
    fresh = {name: Wanderer(name) for name in history.names}
    for somebody_new in fresh.values():
        somebody_new.come()
        somebody_new.leave()
    whole = {name: as_text(tables(client.doc)) for name, client in fresh.items()}

    returns = [come_back(wanderer) for wanderer in history.away]
    assert len(returns) == CLIENTS
    wrong = [n for n, client in enumerate(history.away) if as_text(tables(client.doc)) != whole[client.name]]
    assert not wrong, f"seed {SEED}: {len(wrong)} hold something else: {wrong}"
    for name in history.names:
        assert compare(*name.split("/")) is None

    # It had to be done: most were of older lineages, and plain Yjs would have left them with ghosts.
    assert sum(len(wanderer.lineages) > 1 for wanderer in history.away) > CLIENTS / 10
    ghosts = [number for number, one in enumerate(returns) if shows_ghosts(fresh[one.document], one)]
    print(f"seed {SEED}: without kill sets {len(ghosts)} of {CLIENTS} would show ghosts")
    assert len(ghosts) > CLIENTS / 2

    found = in_yjs({name: client.doc.get_update() for name, client in fresh.items()}, returns)
    assert found["clients"] == CLIENTS
    assert found["otherVectors"] == []
    assert found["wrong"] == [], f"seed {SEED}: {len(found['wrong'])} hold something else in yjs"
    assert found["ghosts"] == ghosts


def test_a_log_that_was_lost_is_there_again_once_the_document_was_compared_although_nothing_differs() -> None:
    """Otherwise its rooms would compare it at every poll, for as long as nobody saves anything."""
    library = Library.objects.create(name="quiet")
    reader = Wanderer(f"library/{library.pk}")
    reader.come()
    document = documents.get(reader.name)
    conf.store().delete(document.log)
    document.reconcile()
    assert conf.store().head(document.log) == document.position
    assert len(reader.lineages) == 2
    reader.leave()


# What a state vector claims --------------------------------------------------------------------------------

LARGEST = 2**53 - 1  # what the protocol lets through, as an id and as a clock

Clocks = dict[int, int]

#: From the present epoch and its clock: what somebody claims to have.
CLAIMS: dict[str, Callable[[int, int], Clocks]] = {
    "nothing, in so many words": lambda epoch, clock: {epoch: 0},
    "less than there is": lambda epoch, clock: {epoch: clock // 2},
    "a clock that is to come": lambda epoch, clock: {epoch: clock + 1},
    "a clock far beyond": lambda epoch, clock: {epoch: clock + 10**6},
    "a clock beyond 32 bits": lambda epoch, clock: {epoch: 2**32 + clock},
    "the largest clock": lambda epoch, clock: {epoch: LARGEST},
    "an epoch that never was": lambda epoch, clock: {FIRST_TRUTH_ID + 5: 100},
    "the first epoch possible": lambda epoch, clock: {FIRST_TRUTH_ID: 1},
    "an epoch that is to come": lambda epoch, clock: {epoch + 1: 100},
    "an epoch that is to come, beside ours": lambda epoch, clock: {epoch: clock, epoch + 1: 100},
    "an epoch of no clock": lambda epoch, clock: {epoch: clock, epoch - 1: 0},
    "the largest epoch": lambda epoch, clock: {LARGEST: 100},
    "the largest epoch and clock": lambda epoch, clock: {LARGEST: LARGEST},
    "ids of clients": lambda epoch, clock: {1: 10, 2**16: 10, 2**32 - 1: LARGEST},
    "as many old epochs as a message may hold": lambda epoch, clock: {
        epoch - number: 1 + number % 100 for number in range(1, 100_000)
    },
    "as many epochs to come": lambda epoch, clock: {epoch + number: LARGEST for number in range(1, 60_001)},
}


class _Seen:
    """Everything about a document that nobody's claim may change."""

    def __init__(self, document: Document) -> None:
        self.log = cast(Log, conf.store().load(document.log))
        self.rows = conf.store().rows(document.log)
        self.position = document.position
        answers: list[bytes] = []
        document.answer(b"\x00", answers.append)
        document.answer(document.state_vector(), answers.append)
        self.whole = answers[0]
        self.holds = as_text(tables(_holding(self.whole)))
        self.nothing_new = answers[1]

    def assert_same(self, other: _Seen) -> None:
        assert other.log == self.log
        assert other.rows == self.rows
        assert other.position == self.position
        assert other.holds == self.holds
        assert other.nothing_new == self.nothing_new


def _holding(*updates: bytes) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    return doc


@pytest.fixture
def store() -> Interposed:
    """The test's store; ``calls`` are noted."""
    store = Interposed(conf.store())
    conf.use_store(cast(DocStore, store))
    return store


@pytest.fixture
def document(store: Interposed, transactional_db: None) -> Iterator[Document]:
    """One with a history: some entries, deleted rows among them."""
    library = Library.objects.create(name="old")
    document = documents.open(f"library/{library.pk}")
    shelf = Shelf.objects.create(library=library, label="shelf")
    for number in range(5):
        Book.objects.create(shelf=shelf, title=f"{number}", position=number)
    Book.objects.filter(position=2).delete()
    library.name = "new"
    library.save()
    yield document
    documents.close(document)


def claimed(document: Document, claim: str) -> Clocks:
    ours = cast(Position, document.position).epoch
    return CLAIMS[claim](ours, max(_clocks(document).values()))


def _clocks(document: Document) -> Clocks:
    return parse_state_vector(document.state_vector())


#: What changes a log, or is about to.
WRITING = {"add_rows", "append", "begin", "compact", "delete", "lease", "quarantine", "remove_rows"}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_state_vector_changes_nothing_whatever_it_claims(document: Document, store: Interposed, claim: str) -> None:
    before = _Seen(document)
    store.calls.clear()
    answers: list[bytes] = []
    document.answer(encode_state_vector(claimed(document, claim)), answers.append)
    assert not WRITING & set(store.calls)
    _Seen(document).assert_same(before)
    # It is an answer that everybody can take, and that takes nothing from anybody.
    assert as_text(tables(_holding(before.whole, answers[0]))) == before.holds
    assert_life_goes_on(document, before)


@pytest.mark.parametrize("claim", CLAIMS)
async def test_a_client_that_claims_it_changes_nothing_either(
    document: Document, store: Interposed, claim: str
) -> None:
    """Over a socket. The server asks for what it claims to have, and gets content, and deletes of all that there is."""
    clocks = claimed(document, claim)
    store.calls.clear()
    async with RawSocket(document.name) as honest, RawSocket(document.name) as forger:
        client = _holding(await answer_of(honest))
        await eventually(lambda: "lease" in store.calls)  # a document is compared with the database as it opens
        assert await asyncio.to_thread(workers.wait_for_background, 10)
        before = await sync_to_async(_Seen)(document)
        store.calls.clear()
        await answer_of(forger, encode_state_vector(clocks))
        await forger.send(encode_step2(_invented(max(clocks))))
        await forger.send(encode_step2(kill_set(_clocks(document))))
        await answer_of(forger)  # which is said after all that was heard
        assert not WRITING & set(store.calls)
        (await sync_to_async(_Seen)(document)).assert_same(before)
        await sync_to_async(assert_life_goes_on)(document, before)
        await follow(honest, client, (await sync_to_async(_Seen)(document)).holds)
    await sync_to_async(connections.close_all)()


def _invented(client: int) -> bytes:
    """Content that nobody has."""
    doc: Doc[Any] = Doc(client_id=client)
    with doc.transaction():
        doc.get("Library", type=Map)["4711"] = Map({"title": "forged"})
        doc.get("rxcrdt", type=Map)["root"] = ["Library", "4711"]
    return doc.get_update()


async def answer_of(socket: RawSocket, state_vector: bytes = b"\x00") -> bytes:
    await socket.send(encode_step1(state_vector))
    while not isinstance(message := await socket.next(), SyncStep2):
        pass
    return message.update


async def follow(socket: RawSocket, client: Doc[Any], holds: str) -> None:
    while as_text(tables(client)) != holds:
        if isinstance(message := await socket.next(), SyncUpdate):
            client.apply_update(message.update)


def assert_life_goes_on(document: Document, before: _Seen) -> None:
    """The next save is the next entry of the same lineage; the next lineage has no epoch that somebody suggested."""
    library = Library.objects.get()
    library.name = "newer"
    library.save()
    assert document.position == Position(before.log.epoch, before.log.head.sequence + 1)
    document.rebuild()
    assert document.position is not None
    assert before.log.epoch < document.position.epoch < before.log.epoch + 1024 * 3600
    assert compare("library", library.pk) is None
