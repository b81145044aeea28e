"""Logs: begin, append at an expected head, read from a position, fold, delete."""

from __future__ import annotations

import pytest

from ydoc_store.base import DocStore
from ydoc_store.exceptions import EpochNotNewer, HeadMoved, LeaseLost, PositionLost
from ydoc_store.testing.tools import DOC, append_all, begin, updates_of
from ydoc_store.values import Entry, Log, Position, Size

ODD_NAMES = ("", "%", "_", "A", "a", "a%", "a'b", "a/b", "a\\b", "a\x00b", "ab", "é", "z" * 300, "日本", "🙂")


class LogContract:
    def test_a_name_that_was_never_begun_has_no_log(self, store: DocStore) -> None:
        assert store.load(DOC) is None
        assert store.head(DOC) is None
        assert store.heads([DOC]) == {}
        assert list(store.names()) == []
        assert store.size(DOC) == Size()
        with pytest.raises(PositionLost, match="no log"):
            store.since(DOC, Position(1, 0))
        with pytest.raises(PositionLost, match="no log"):
            store.append(DOC, b"update", expect=Position(1, 0))
        with pytest.raises(PositionLost, match="no log"):
            store.compact(DOC, b"snapshot", at=Position(1, 0))
        store.delete(DOC)

    def test_begin_makes_a_log_of_a_snapshot(self, store: DocStore) -> None:
        assert begin(store, epoch=7, snapshot=b"all of it") == Position(7, 0)
        assert store.load(DOC) == Log(epoch=7, snapshot=b"all of it", at=0, entries=())
        assert store.head(DOC) == Position(7, 0)

    def test_appended_entries_come_back_in_order_without_a_gap(self, store: DocStore) -> None:
        updates = [b"", b"\x00", b"\xff" * 10, b"same", b"same"]
        begin(store)
        assert append_all(store, updates) == Position(1, 5)
        assert updates_of(store) == updates

    @pytest.mark.parametrize("length", [1, 4096, 3_000_000])
    def test_snapshots_and_updates_of_any_length_come_back_unchanged(self, store: DocStore, length: int) -> None:
        content = (bytes(range(256)) * (length // 256 + 1))[:length]
        begin(store, snapshot=content)
        append_all(store, [content])
        log = store.load(DOC)
        assert log is not None
        assert (log.snapshot, log.entries[0].update) == (content, content)

    @pytest.mark.parametrize("sequence", [0, 1, 2, 3])
    def test_since_gives_what_came_after_a_position(self, store: DocStore, sequence: int) -> None:
        begin(store)
        append_all(store, [b"1", b"2", b"3"])
        everything = tuple(Entry(position=Position(1, n), update=str(n).encode()) for n in (1, 2, 3))
        assert store.since(DOC, Position(1, sequence)) == everything[sequence:]

    @pytest.mark.parametrize("position", [Position(4, 2), Position(6, 2), Position(5, 1), Position(5, 4)])
    def test_a_position_that_is_not_in_the_log_is_lost(self, store: DocStore, position: Position) -> None:
        """An older epoch, a newer one, before the snapshot, beyond the head."""
        begin(store, epoch=5)
        append_all(store, [b"1", b"2", b"3"])
        store.compact(DOC, b"1+2", at=Position(5, 2))
        before = store.load(DOC)
        with pytest.raises(PositionLost, match="Load it again"):
            store.since(DOC, position)
        with pytest.raises(PositionLost, match="Load it again"):
            store.append(DOC, b"x", expect=position, rows=["row"])
        with pytest.raises(PositionLost, match="Load it again"):
            store.compact(DOC, b"x", at=position)
        assert store.load(DOC) == before
        assert store.rows(DOC) == set()

    def test_an_append_behind_the_head_changes_nothing_and_tells_what_it_missed(self, store: DocStore) -> None:
        begin(store)
        append_all(store, [b"1", b"2", b"3"])
        with pytest.raises(HeadMoved) as moved:
            store.append(DOC, b"late", expect=Position(1, 1), rows=["row"])
        assert moved.value.missed == store.since(DOC, Position(1, 1))
        assert updates_of(store) == [b"1", b"2", b"3"]
        assert store.documents_of(["row"]) == {}

    # A new lineage ------------------------------------------------------------------------------------------

    def test_a_new_lineage_replaces_the_log(self, store: DocStore) -> None:
        begin(store, epoch=1)
        append_all(store, [b"1", b"2"])
        assert begin(store, epoch=2, snapshot=b"new") == Position(2, 0)
        assert store.load(DOC) == Log(epoch=2, snapshot=b"new", at=0, entries=())
        assert store.append(DOC, b"first", expect=Position(2, 0)) == Position(2, 1)
        with pytest.raises(PositionLost):
            store.append(DOC, b"old", expect=Position(1, 2))

    @pytest.mark.parametrize("epoch", [3, 2])
    def test_a_new_lineage_needs_a_larger_epoch(self, store: DocStore, epoch: int) -> None:
        begin(store, epoch=3)
        append_all(store, [b"1"])
        lease = store.lease(DOC, since=None, seconds=30, wait=0)
        with pytest.raises(EpochNotNewer, match="epoch 3"):
            store.begin(DOC, epoch=epoch, snapshot=b"new", rows=["row"], lease=lease.token)
        assert store.load(DOC) == lease.log
        assert store.rows(DOC) == set()

    def test_begin_needs_the_current_lease(self, store: DocStore) -> None:
        released = store.lease(DOC, since=None, seconds=30, wait=0)
        store.release(DOC, released.token)
        expired = store.lease(DOC, since=None, seconds=0, wait=0)
        current = store.lease(DOC, since=None, seconds=30, wait=5)
        elsewhere = store.lease("another", since=None, seconds=30, wait=0)
        for token in (released.token, expired.token, elsewhere.token, "nonsense"):
            with pytest.raises(LeaseLost):
                store.begin(DOC, epoch=1, snapshot=b"", rows=["row"], lease=token)
        assert store.load(DOC) is None
        assert store.documents_of(["row"]) == {}
        assert store.begin(DOC, epoch=1, snapshot=b"", rows=(), lease=current.token) == Position(1, 0)

    def test_epochs_may_be_as_large_as_truth_ids(self, store: DocStore) -> None:
        epoch = 2**53 - 1
        begin(store, epoch=epoch)
        assert append_all(store, [b"1"]) == Position(epoch, 1)
        assert store.heads([DOC]) == {DOC: Position(epoch, 1)}

    # Folding ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("at", [0, 1, 3])
    def test_compact_folds_what_came_before_and_keeps_what_came_after(self, store: DocStore, at: int) -> None:
        begin(store)
        append_all(store, [b"1", b"2", b"3"])
        store.compact(DOC, b"folded", at=Position(1, at))
        log = store.load(DOC)
        assert log is not None
        assert (log.snapshot, log.at, log.head) == (b"folded", at, Position(1, 3))
        assert updates_of(store) == [b"1", b"2", b"3"][at:]
        assert store.since(DOC, Position(1, at)) == log.entries
        assert store.append(DOC, b"4", expect=Position(1, 3)) == Position(1, 4)

    def test_a_log_can_be_folded_again_but_not_backwards(self, store: DocStore) -> None:
        begin(store)
        append_all(store, [b"1", b"2", b"3"])
        store.compact(DOC, b"two", at=Position(1, 2))
        with pytest.raises(PositionLost):
            store.compact(DOC, b"one", at=Position(1, 1))
        store.compact(DOC, b"two, shorter", at=Position(1, 2))
        store.compact(DOC, b"three", at=Position(1, 3))
        assert store.load(DOC) == Log(epoch=1, snapshot=b"three", at=3, entries=())

    def test_a_writer_does_not_notice_a_compaction(self, store: DocStore) -> None:
        begin(store)
        append_all(store, [b"1"])
        lease = store.lease(DOC, since=Position(1, 1), seconds=30, wait=0)
        store.compact(DOC, b"one", at=Position(1, 1))
        assert store.append(DOC, b"2", expect=Position(1, 1), lease=lease.token) == Position(1, 2)

    # Many logs ----------------------------------------------------------------------------------------------

    def test_heads_answers_for_many_names_and_leaves_out_those_without_a_log(self, store: DocStore) -> None:
        begin(store, "a", epoch=1)
        begin(store, "b", epoch=2)
        append_all(store, [b"1", b"2"], "b")
        store.add_rows("rows only", ["row"])
        expected = {"a": Position(1, 0), "b": Position(2, 2)}
        assert store.heads(["a", "b", "c", "rows only"]) == expected
        assert store.heads({"a", *(f"none {number}" for number in range(12_000))}) == {"a": Position(1, 0)}
        assert store.heads([]) == {}

    def test_names_are_kept_apart_whatever_they_contain(self, store: DocStore) -> None:
        for number, name in enumerate(ODD_NAMES):
            begin(store, name, snapshot=str(number).encode(), rows=[name])
        assert list(store.names()) == sorted(ODD_NAMES)
        for number, name in enumerate(ODD_NAMES):
            log = store.load(name)
            assert log is not None
            assert log.snapshot == str(number).encode()
            assert store.documents_of([name]) == {name: frozenset({name})}

    @pytest.mark.parametrize("prefix", ["", "a", "a%", "A", "nobody", "z", "日"])
    def test_names_lists_those_with_a_prefix_sorted(self, store: DocStore, prefix: str) -> None:
        for name in ODD_NAMES:
            begin(store, name)
        assert list(store.names(prefix)) == sorted(name for name in ODD_NAMES if name.startswith(prefix))

    def test_names_lists_more_than_one_page(self, store: DocStore) -> None:
        names = [f"board/{number:04}" for number in range(1_100)]
        for name in names:
            begin(store, name)
        begin(store, "card/1")
        assert list(store.names("board/")) == names

    def test_logs_may_come_and_go_while_names_are_listed(self, store: DocStore) -> None:
        for number in range(5):
            begin(store, str(number))
        listed = []
        for name in store.names():
            listed.append(name)
            store.delete(name)
        assert listed == ["0", "1", "2", "3", "4"]
        assert list(store.names()) == []

    def test_delete_forgets_one_log_and_its_rows(self, store: DocStore) -> None:
        begin(store, rows=["row", "shared"])
        append_all(store, [b"1"])
        begin(store, "another", rows=["shared"])
        store.delete(DOC)
        assert store.load(DOC) is None
        assert store.rows(DOC) == set()
        assert store.documents_of(["row", "shared"]) == {"shared": frozenset({"another"})}
        assert list(store.names()) == ["another"]
        with pytest.raises(PositionLost):
            store.append(DOC, b"2", expect=Position(1, 1))
        assert begin(store, epoch=1) == Position(1, 0)
        assert updates_of(store) == []

    def test_size_counts_entries_bytes_and_rows(self, store: DocStore) -> None:
        begin(store, snapshot=b"12345", rows=["a", "b"])
        append_all(store, [b"1", b"", b"333"])
        assert store.size(DOC) == Size(entries=3, entry_bytes=4, snapshot_bytes=5, rows=2)
        store.compact(DOC, b"1234567", at=Position(1, 2))
        assert store.size(DOC) == Size(entries=1, entry_bytes=3, snapshot_bytes=7, rows=2)
        store.add_rows("rows only", ["a"])
        assert store.size("rows only") == Size(rows=1)
