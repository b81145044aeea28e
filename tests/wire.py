"""The golden bytes of ``tests/fixtures/wire``, which the Node tests read, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

__all__ = ["each", "golden"]

FOLDER = Path(__file__).resolve().parent / "fixtures" / "wire"


def golden(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())["cases"]
    return cases


def each(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    """Parametrises ``case``, its ``hex`` already bytes."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param({**case, "bytes": bytes.fromhex(case["hex"])}, id=str(case.get("title", case["hex"])))
            for case in cases
        ],
    )
