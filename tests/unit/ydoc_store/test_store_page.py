"""The page about the store: its code runs, in order, and its test file is one that pytest passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "store.md"


def blocks() -> list[str]:
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) > 5
    return found


def test_the_examples_run_one_after_another() -> None:
    names: dict[str, object] = {}
    for block in blocks():
        if not block.startswith("# test_"):
            exec(compile(block, str(PAGE), "exec"), names)
    assert "store" in names


def test_the_example_of_a_store_of_ones_own_keeps_the_contract(tmp_path: Path) -> None:
    (block,) = [block for block in blocks() if block.startswith("# test_")]
    (tmp_path / "test_my_store.py").write_text(block, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {PAGE.parents[1]}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:django",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^\d{2,} passed", run.stdout, re.MULTILINE), run.stdout
