"""The SQLite store, with several processes on one file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ydoc_store import DocStore, open_store
from ydoc_store.testing.processes import OpenStore, ProcessContract

pytestmark = pytest.mark.processes


class TestSqliteStoreProcesses(ProcessContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[DocStore]:
        with open_store(f"sqlite:///{tmp_path}/store.sqlite3") as store:
            yield store

    @pytest.fixture
    def open_again(self, store: DocStore) -> OpenStore:
        return partial(open_store, store.url)
