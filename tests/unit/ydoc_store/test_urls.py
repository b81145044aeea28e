"""`open_store`: which URLs there are, and what it says about all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from ydoc_store import BadStoreUrl, StoreError, UnknownScheme, open_store
from ydoc_store.memory import MemoryStore
from ydoc_store.sqlite import SqliteStore


def test_memory_is_a_new_store_each_time() -> None:
    with open_store("memory://") as one, open_store("memory://") as two:
        assert isinstance(one, MemoryStore)
        assert (one.url, one.shared, one.poll_seconds) == ("memory://", False, None)
        assert one.incarnation() != two.incarnation()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///store.sqlite3", "{cwd}/store.sqlite3"),
        ("sqlite:///data/my%20store.sqlite3", "{cwd}/data/my store.sqlite3"),
        ("sqlite:////var/lib/app/store.sqlite3", "/var/lib/app/store.sqlite3"),
        ("SQLITE:////var/lib/app/store.sqlite3", "/var/lib/app/store.sqlite3"),
    ],
)
def test_sqlite_paths_are_relative_with_three_slashes_and_absolute_with_four(url: str, path: str) -> None:
    store = open_store(url)
    assert isinstance(store, SqliteStore)
    assert store.path == Path(path.format(cwd=Path.cwd()))
    assert (store.shared, store.poll_seconds) == (True, 0.1)


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("postgres://db/store", UnknownScheme, "No store has the scheme 'postgres'"),
        ("store.sqlite3", UnknownScheme, "No store has the scheme ''"),
        ("", UnknownScheme, "No store has the scheme ''"),
        ("sqlite:///store.sqlite3?timeout=9", BadStoreUrl, "options .timeout=9.*remove them"),
        ("sqlite:///store.sqlite3#main", BadStoreUrl, "options .main.*remove them"),
        ("memory://?size=9", BadStoreUrl, "options .size=9.*remove them"),
        ("memory://name", BadStoreUrl, "names a host"),
        ("memory:///name", BadStoreUrl, "memory store has none"),
        ("sqlite://store.sqlite3", BadStoreUrl, "names a host .'store.sqlite3'"),
        ("sqlite://", BadStoreUrl, "names no file"),
        ("sqlite:///", BadStoreUrl, "names no file"),
        ("sqlite:///folder/", BadStoreUrl, "names no file"),
        ("sqlite:///:memory:", BadStoreUrl, "use memory://"),
    ],
)
def test_any_other_url_is_refused_with_the_forms_there_are(url: str, error: type[StoreError], says: str) -> None:
    with pytest.raises(BadStoreUrl, match=says) as refused:
        open_store(url)
    assert type(refused.value) is error
    assert isinstance(refused.value, ValueError)
