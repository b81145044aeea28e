"""Random calls: each store does what a model of one page does."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings

from ydoc_store import DocStore, open_store
from ydoc_store.testing.machine import StoreMachine


class MemoryMachine(StoreMachine):
    def open(self) -> DocStore:
        return open_store("memory://")


class SqliteMachine(StoreMachine):
    def open(self) -> DocStore:
        self.folder = TemporaryDirectory()
        return open_store(f"sqlite:///{Path(self.folder.name)}/store.sqlite3")

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, print_blob=True)
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(max_examples=25, stateful_step_count=40, deadline=None, print_blob=True)
