"""When logs were begun, folded, written and used, and which of them nobody uses."""

from __future__ import annotations

from ydoc_store.base import DocStore
from ydoc_store.testing.tools import DOC, append_all, begin, wait_until
from ydoc_store.values import Position, Usage

ANY_TIME = -3600.0  # "last used more than minus one hour ago"
HOUR = 3600.0


def usage_of(store: DocStore, name: str = DOC) -> Usage:
    return store.usage([name])[name]


class UsageContract:
    def test_a_new_lineage_is_begun_folded_written_and_used_at_one_moment(self, store: DocStore) -> None:
        begin(store)
        first = usage_of(store)
        assert first.begun == first.snapshotted == first.written == first.used > 0
        append_all(store, [b"1"])

        def begun_later() -> bool:
            begin(store, epoch=store.load(DOC).epoch + 1)  # type: ignore[union-attr]
            return usage_of(store).begun > first.begun

        wait_until(begun_later)
        second = usage_of(store)
        assert second.begun == second.snapshotted == second.written == second.used

    def test_an_append_writes_and_is_no_use(self, store: DocStore) -> None:
        """Saves go on while nobody looks."""
        begin(store)
        before = usage_of(store)

        def written_later() -> bool:
            append_all(store, [b"1"])
            return usage_of(store).written > before.written

        wait_until(written_later)
        after = usage_of(store)
        assert (after.begun, after.snapshotted, after.used) == (before.begun, before.snapshotted, before.used)

    def test_a_compaction_is_a_new_snapshot_and_nothing_else(self, store: DocStore) -> None:
        begin(store)
        append_all(store, [b"1"])
        before = usage_of(store)

        def folded_later() -> bool:
            store.compact(DOC, b"one", at=Position(1, 1))
            return usage_of(store).snapshotted > before.snapshotted

        wait_until(folded_later)
        after = usage_of(store)
        assert (after.begun, after.written, after.used) == (before.begun, before.written, before.used)

    def test_to_touch_logs_is_to_use_them_and_changes_nothing_else(self, store: DocStore) -> None:
        for name in (DOC, "touched", "another"):
            begin(store, name, rows=["row"])
            append_all(store, [b"1", b"2"], name)
        before = store.usage([DOC, "touched", "another"])
        logs = [store.load(name) for name in before]

        def touched_later() -> bool:
            store.touch([DOC, "touched", "nobody"])
            return all(usage_of(store, name).used > before[name].used for name in (DOC, "touched"))

        wait_until(touched_later)
        after = store.usage([*before, "nobody"])
        assert after.keys() == before.keys()
        assert after["another"] == before["another"]
        for name in (DOC, "touched"):
            assert (after[name].begun, after[name].snapshotted) == (before[name].begun, before[name].snapshotted)
            assert after[name].written == before[name].written
        assert [store.load(name) for name in before] == logs
        assert list(store.names()) == sorted(before)
        assert store.append(DOC, b"3", expect=Position(1, 2)) == Position(1, 3)

    def test_names_without_a_log_have_no_usage_and_are_not_touched(self, store: DocStore) -> None:
        store.add_rows("rows only", ["row"])
        begin(store)
        store.delete(DOC)
        store.touch([DOC, "rows only", "nobody"])
        store.touch([])
        assert store.usage([DOC, "rows only", "nobody"]) == {}
        assert store.usage([]) == {}
        assert list(store.unused(ANY_TIME)) == []

    def test_ten_thousand_names_are_one_call(self, store: DocStore) -> None:
        names = [f"board/{number}" for number in range(10_500)]
        begin(store, names[0])
        begin(store, names[-1])
        store.touch(names)
        assert store.usage(names).keys() == {names[0], names[-1]}

    def test_logs_used_longer_ago_than_so_many_seconds_are_unused(self, store: DocStore) -> None:
        names = {f"board/{number}" for number in range(3)}
        for name in names:
            begin(store, name)
        assert list(store.unused(HOUR)) == []
        assert set(store.unused(ANY_TIME)) == names

        def is_old() -> bool:
            store.touch(names - {"board/1"})
            used = store.usage(names)
            return used["board/0"].used - used["board/1"].used > 0.2

        wait_until(is_old)
        assert "board/1" in set(store.unused(0.1))
        assert set(store.unused(HOUR)) == set()

    def test_unused_lists_more_than_one_page_and_each_name_once(self, store: DocStore) -> None:
        names = [f"board/{number:04}" for number in range(1_100)]
        for name in names:
            begin(store, name)
        assert sorted(store.unused(ANY_TIME)) == names

    def test_logs_may_be_deleted_while_the_unused_are_listed(self, store: DocStore) -> None:
        for number in range(5):
            begin(store, str(number))
        listed = []
        for name in store.unused(ANY_TIME):
            listed.append(name)
            store.delete(name)
        assert sorted(listed) == ["0", "1", "2", "3", "4"]
        assert list(store.unused(ANY_TIME)) == []
