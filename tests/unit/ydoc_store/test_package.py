"""The package: what it exports, what it imports, what its errors and values are."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import subprocess
import sys
from importlib.resources import files

import pytest

import ydoc_store
from ydoc_store import Entry, HeadMoved, Lease, Log, Position, Risk, Size, StoreError, Usage, exceptions, testing


def test_what_is_exported_is_declared_sorted_and_there() -> None:
    for module in (ydoc_store, testing):
        assert module.__all__ == sorted(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)
    assert (files("ydoc_store") / "py.typed").is_file()


def errors() -> list[type[StoreError]]:
    found = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, StoreError)]
    assert len(found) > 5
    return found


def test_every_error_is_exported_and_drawn_in_the_tree() -> None:
    for error in errors():
        assert getattr(ydoc_store, error.__name__) is error
        assert error.__name__ in (exceptions.__doc__ or "")


@pytest.mark.parametrize("error", errors())
def test_errors_can_be_sent_to_another_process(error: type[StoreError]) -> None:
    sent = error("what to do")
    received = pickle.loads(pickle.dumps(sent))
    assert (type(received), str(received)) == (error, "what to do")


def test_head_moved_brings_what_was_missed_along() -> None:
    missed = (Entry(position=Position(1, 2), update=b"2"),)
    assert pickle.loads(pickle.dumps(HeadMoved("moved", missed=missed))).missed == missed


@pytest.mark.parametrize(
    "value",
    [
        Position(1, 2),
        Entry(position=Position(1, 2), update=b""),
        Log(epoch=1, snapshot=b"", at=0),
        Lease(token="token"),
        Size(),
        Usage(begun=1.5, snapshotted=1.5, written=1.5, used=1.5),
        Risk(kind="eviction", message="What could happen.", hint="What to do."),
    ],
)
def test_values_are_frozen_and_can_be_compared_and_sent(value: Position) -> None:
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
    assert pickle.loads(pickle.dumps(value)) == value
    assert len({value, dataclasses.replace(value)}) == 1


def test_positions_are_ordered_by_epoch_first() -> None:
    assert Position(1, 9) < Position(2, 0) < Position(2, 1)


def test_a_log_knows_its_head() -> None:
    entries = tuple(Entry(position=Position(3, n), update=b"") for n in (6, 7))
    assert Log(epoch=3, snapshot=b"", at=5).head == Position(3, 5)
    assert Log(epoch=3, snapshot=b"", at=5, entries=entries).head == Position(3, 7)


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys; before = set(sys.modules); import ydoc_store; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'ydoc_store'}))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
