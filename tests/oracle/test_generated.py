"""Serializers nobody has thought of: for each generated one, the document is what it gives after every commit.

A failure prints its seed and the smallest schema and history that still fail.

- ``RXCRDT_ORACLE_SCHEMAS`` says how many are tried, ``RXCRDT_ORACLE_FIRST`` the seed to begin with;
- ``RXCRDT_ORACLE_MINUTES`` goes on for so long, and tells of all that it found.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator
from itertools import count

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from tests.oracle.trying import Case, attempt, draw_case, shrunk, tell

SCHEMAS = int(os.environ.get("RXCRDT_ORACLE_SCHEMAS", "120"))
FIRST = int(os.environ.get("RXCRDT_ORACLE_FIRST", "0"))
MINUTES = float(os.environ.get("RXCRDT_ORACLE_MINUTES", "0"))
OTHERS = 100_000  # the seeds on another database are others
GROUP = 10  # emptying all tables for each schema would take longer than trying it

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.oracle.urls")]


@pytest.fixture(autouse=True)
def _content_types() -> None:
    ContentType.objects.clear_cache()


def _outcome(case: Case, using: str) -> str | None:
    try:
        return "a difference" if attempt(case, using)[0] else None
    except Exception as error:  # noqa: BLE001 - a failure to be made smaller, as any other
        return type(error).__name__


def _problem(number: int, using: str = "default") -> str | None:
    seed = number + (0 if connection.vendor == "sqlite" else OTHERS)
    case = draw_case(seed)
    outcome = _outcome(case, using)
    if outcome is None:
        return None
    small = shrunk(case, lambda less: _outcome(less, using) == outcome)
    try:
        problem, log = attempt(small, using)
    except Exception:  # noqa: BLE001 - it is told
        problem, log = traceback.format_exc(), []
    return f"seed {seed}: {tell(small, problem or 'only sometimes', log)}"


def _fail_of(problems: Iterator[str | None]) -> None:
    found = list(filter(None, problems))
    if found:
        pytest.fail("\n\n".join(found), pytrace=False)


@pytest.mark.parametrize("start", range(FIRST, FIRST + SCHEMAS, GROUP))
def test_every_generated_schema_is_shown_as_its_serializer_gives_it(start: int) -> None:
    _fail_of(_problem(number) for number in range(start, min(start + GROUP, FIRST + SCHEMAS)))


def test_so_it_is_when_another_alias_is_written(second: str) -> None:
    _fail_of(_problem(number, second) for number in range(50_000, 50_000 + GROUP))


def _until(ends: float) -> Iterator[str | None]:
    for number in count(FIRST):
        if time.monotonic() > ends:
            return
        yield _problem(number)


if MINUTES:

    def test_for_as_long_as_is_wanted() -> None:
        _fail_of(_until(time.monotonic() + 60 * MINUTES))
