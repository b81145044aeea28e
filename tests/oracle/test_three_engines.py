"""Whatever the server writes, every Yjs engine reads the same: pycrdt, y-py (another, older core) and yjs itself.

Compared is the content of all roots after every single update of random histories. A failure prints the seed.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Map

from rxcrdt import documents, truth_ids
from rxcrdt.document import Document
from tests.oracle.following import Follower
from tests.oracle.operations import Writer
from tests.oracle.test_oracle import FIRST, RUNS
from tests.testapp.models import Library

if sys.version_info < (3, 13):  # y-py has no wheels beyond
    import y_py

NODE_TESTS = Path(__file__).resolve().parent.parent / "node"
TRANSACTIONS = 100

Log = list[bytes]
Roots = dict[str, Any]


def _pycrdt(log: Log) -> list[Roots]:
    doc: Doc[Any] = Doc()
    states = []
    for update in log:
        doc.apply_update(update)
        roots = {root: doc.get(root, type=Map) for root in list(doc.keys())}
        states.append({root: json.loads(str(table)) for root, table in roots.items()})
    return states


def _y_py(log: Log, roots: set[str]) -> list[Roots]:
    """``roots``, because this engine does not tell their names."""
    doc = y_py.YDoc()
    states = []
    for update in log:
        y_py.apply_update(doc, update)
        states.append({root: json.loads(doc.get_map(root).to_json()) for root in sorted(roots)})
    return states


def _yjs(logs: list[Log], folder: Path) -> list[list[Roots]]:
    if not (NODE_TESTS / "node_modules" / "yjs").exists():
        pytest.fail(f"yjs is not installed: run `npm ci` in {NODE_TESTS}, as `make test` does.")
    file = folder / "logs.json"
    file.write_text(json.dumps([[base64.b64encode(update).decode() for update in log] for log in logs]))
    done = subprocess.run(["node", NODE_TESTS / "referee.mjs", file], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    states: list[list[Roots]] = json.loads(done.stdout)
    return states


def _as_javascript(value: Any) -> Any:
    """Numbers are doubles there, and ``-0`` is written ``0``; true and 1 stay two values."""
    if isinstance(value, dict):
        return {name: _as_javascript(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_javascript(item) for item in value]
    return float(value) + 0.0 if type(value) in (int, float) else value


def _text(roots: Roots) -> str:
    """One text for one content. A root that is empty is as good as none: engines differ in when they name it."""
    return json.dumps({root: _as_javascript(table) for root, table in roots.items() if table}, sort_keys=True)


def _history(seed: int) -> list[Log]:
    """What clients were sent: from the start, from the middle, and over a log that was lost and made anew."""
    writer = Writer(seed)
    writer.populate()
    names = [f"library/{pk}" for pk in Library.objects.values_list("pk", flat=True)]
    followers = [Follower(name) for name in names]
    try:
        for done in range(1, TRANSACTIONS + 1):
            writer.transaction()
            if done == TRANSACTIONS // 2:
                followers += [Follower(name) for name in names]
                _lose(documents.get(names[0]))
        return [follower.updates for follower in followers]
    finally:
        for follower in followers:
            follower.close()


def _lose(document: Document) -> None:
    """The log is gone, and made anew a while later.

    y-py keeps 32 bits of an id, into which it mixes some of the higher ones: the lowest ten may mean nothing to it, and
    so which of two lineages is the later one, if they began within a second.
    """
    assert document.position is not None
    truth_ids.claim(document.position.epoch + 1024)
    document.discard()
    document.ensure()


def _assert_same(engine: str, found: list[Roots], expected: list[Roots], where: str) -> None:
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert _text(one) == _text(other), f"{where}: {engine} and yjs differ after update {number}"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(1, RUNS // 5)))
def test_every_update_reads_the_same_in_all_engines(seed: int, tmp_path: Path) -> None:
    logs = _history(seed)
    assert sum(map(len, logs)) > TRANSACTIONS, f"seed {seed}: hardly anything was written"
    for number, (log, referee) in enumerate(zip(logs, _yjs(logs, tmp_path), strict=True)):
        where = f"seed {seed}, log {number}"
        _assert_same("pycrdt", _pycrdt(log), referee, where)
        if sys.version_info < (3, 13):
            roots = {root for state in referee for root in state}
            _assert_same("y-py", _y_py(log, roots), referee, where)
