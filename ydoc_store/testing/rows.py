"""The index from rows to the documents that may hold them."""

from __future__ import annotations

from threading import Event

from ydoc_store.base import DocStore
from ydoc_store.testing.tools import DOC, Background, append_all, begin
from ydoc_store.values import Position


class RowContract:
    def test_rows_are_found_by_document_and_documents_by_row(self, store: DocStore) -> None:
        store.add_rows("a", ["task 1", "task 2"])
        store.add_rows("b", ["task 2"])
        assert store.rows("a") == {"task 1", "task 2"}
        assert store.documents_of(["task 1", "task 2", "task 3"]) == {
            "task 1": frozenset({"a"}),
            "task 2": frozenset({"a", "b"}),
        }
        assert store.documents_of([]) == {}
        assert store.rows("nobody") == set()

    def test_rows_can_be_added_twice_and_before_there_is_a_log(self, store: DocStore) -> None:
        store.add_rows(DOC, ["row"])
        store.add_rows(DOC, ["row", "other"])
        store.add_rows(DOC, [])
        assert store.rows(DOC) == {"row", "other"}
        assert store.load(DOC) is None
        assert list(store.names()) == []
        begin(store)
        assert store.rows(DOC) == {"row", "other"}

    def test_rows_can_be_removed_twice(self, store: DocStore) -> None:
        store.add_rows(DOC, ["a", "b"])
        store.add_rows("another", ["a"])
        for _time in range(2):
            store.remove_rows(DOC, ["a", "never there"])
            store.remove_rows("nobody", ["a"])
            assert store.rows(DOC) == {"b"}
            assert store.documents_of(["a", "b"]) == {"a": frozenset({"another"}), "b": frozenset({DOC})}
        store.remove_rows(DOC, ["b"])
        assert store.documents_of(["b"]) == {}

    def test_an_append_indexes_the_rows_that_it_brings_in(self, store: DocStore) -> None:
        begin(store, rows=["old"])
        store.append(DOC, b"1", expect=Position(1, 0), rows=["new", "old"])
        assert store.rows(DOC) == {"old", "new"}
        assert store.documents_of(["new"]) == {"new": frozenset({DOC})}

    def test_a_new_lineage_and_a_compaction_keep_what_was_indexed(self, store: DocStore) -> None:
        """A superset: while a builder projects, others may bring in rows that its query did not see."""
        begin(store, epoch=1, rows=["old"])
        store.add_rows(DOC, ["announced"])
        begin(store, epoch=2, rows=["new"])
        append_all(store, [b"1"])
        store.compact(DOC, b"", at=Position(2, 1))
        assert store.rows(DOC) == {"old", "announced", "new"}

    def test_nobody_sees_a_log_without_its_rows(self, store: DocStore) -> None:
        done = Event()

        def look() -> int:
            found = 0
            while not done.is_set():
                names = list(store.names())
                known = store.documents_of(["row"]).get("row", frozenset())
                assert known >= set(names)
                found = len(names)
            return found

        looking = Background(look)
        for number in range(40):
            begin(store, f"board/{number}", rows=["row"])
        done.set()
        looking.result()

    def test_ten_thousand_rows_are_one_call(self, store: DocStore) -> None:
        rows = [f"row {number}" for number in range(10_500)]
        begin(store, rows=rows)
        assert store.rows(DOC) == set(rows)
        assert store.documents_of([*rows, "stranger"]) == dict.fromkeys(rows, frozenset({DOC}))
        store.remove_rows(DOC, rows[1:])
        assert store.rows(DOC) == {rows[0]}

    def test_row_keys_may_contain_anything(self, store: DocStore) -> None:
        rows = ["", " ", "a", "A", 'board.task:["a",1]', "é", "e\u0301", "🙂", "a\x00b", "%", "x" * 2000]
        store.add_rows(DOC, rows)
        assert store.rows(DOC) == set(rows)
        assert store.documents_of(rows).keys() == set(rows)
