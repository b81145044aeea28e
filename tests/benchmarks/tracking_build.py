"""Building a document that the store lacks, beside what a REST view does with the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rest_framework.renderers import JSONRenderer

from boards.anchors import BoardAnchor
from boards.models import Board, Label
from boards.serializers import BoardSerializer
from rxcrdt import conf, documents, layout
from rxcrdt.context import projection_context
from rxcrdt.current import read_whole
from rxcrdt.layers import plan
from rxcrdt.lineage import clock_id
from rxcrdt.tables import Tables
from tests.benchmarks.board_rows import make_board, servers_cpu
from tests.benchmarks.report import Aim, Table
from tests.benchmarks.sections import Run
from tests.benchmarks.timing import Block, alternate, ratio, time_calls
from tests.benchmarks.tracking_tables import COLUMNS, row
from tests.interposing import Interposed

__all__ = ["measure"]

REST = "JSONRenderer().render(serializer.data)"
BUILT = "documents.open(): built, stored"
AGAIN = "the same, somebody saved meanwhile"


def measure(run: Run) -> Iterator[Table]:
    for tasks in run.choose((1_000, 10_000), (20,)):
        board = make_board(tasks)
        rounds = run.choose(5, 1)
        run.say(f"build: {tasks:,} rows")
        contestants: dict[str, Callable[[Board], object]] = {
            REST: _render,
            "read and projected, once": _read,
            "made a Yjs update, in memory": _make,
            BUILT: _build,
            AGAIN: _build_while_somebody_saves,
        }
        found = alternate({name: _timed(call, board) for name, call in contestants.items()}, rounds=rounds)
        yield Table(
            title=f"{tasks:,} tasks",
            columns=["a document", *COLUMNS],
            rows=[row(name, blocks, found[REST]) for name, blocks in found.items()],
            aims=[Aim(text=f"{BUILT}, in {REST}", value=ratio(found[BUILT], found[REST], _seconds), limit=1.3)],
            notes=[
                f"Medians of {rounds} rounds, in turns.",
                "After a save by anybody, all is read a second time: as for documents in several databases.",
                "The view prefetches what the document's projection does, so that both make as many queries a reading.",
            ],
        )


def _seconds(block: Block) -> float:
    return block.at(50)


def _timed(call: Callable[[Board], object], board: Board) -> Callable[[], Block]:
    def time() -> Block:
        document = documents.get(f"board/{board.pk}")
        documents.forget_all()
        conf.store().delete(document.log)
        return time_calls(call, [board], server_cpu=servers_cpu())

    return time


def _render(board: Board) -> bytes:
    prefetched = BoardAnchor.base_queryset().prefetch_related(*plan(BoardAnchor).lookups)
    serializer = BoardSerializer(prefetched.get(pk=board.pk), context=projection_context(BoardAnchor))
    rendered: bytes = JSONRenderer().render(serializer.data)
    return rendered


def _read(board: Board) -> object:
    return read_whole(BoardAnchor, f"board/{board.pk}", str(board.pk), "default")


def _make(board: Board) -> bytes:
    root, forest = read_whole(BoardAnchor, f"board/{board.pk}", str(board.pk), "default")
    current = plan(BoardAnchor)
    tables = Tables(current, {})
    tables.replace(forest, root)
    doc = layout.new_doc(clock_id())
    layout.write(doc, tables.patches(), layout.describe(current, f"board/{board.pk}", root))
    return doc.get_update()


def _build(board: Board) -> object:
    return documents.open(f"board/{board.pk}")


def _build_while_somebody_saves(board: Board) -> object:
    store = Interposed(conf.store())
    store.before("add_rows", lambda: _save_something(board))
    conf.use_store(store)  # type: ignore[arg-type]
    try:
        return _build(board)
    finally:
        conf.use_store(None)


def _save_something(board: Board) -> None:
    Label.objects.create(board=board, name="new").delete()
