"""Both stores keep the contract that is exported for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ydoc_store import DocStore, open_store
from ydoc_store.testing import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[DocStore]:
        with open_store("memory://") as store:
            yield store


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[DocStore]:
        with open_store(f"sqlite:///{tmp_path}/store.sqlite3") as store:
            yield store
