"""Django's shell for the Node tests: runs the code that comes on stdin, in a process that is not the server.

A line of stdin is JSON, ``{"code": "…", "given": {name: value}}``; ``given`` are variables of the code. A line of
stdout answers each: ``{"answer": …}``, which is what the code left in the variable ``answer``, or ``{"error": "…"}``
with the traceback. The database is made first. It ends with its stdin, and so with whoever started it.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
import traceback
from datetime import UTC, datetime
from typing import Any

import django
from django.core.management import call_command

__all__ = ["main"]


def main() -> None:
    # What Django prints is for people; only answers go where answers are expected.
    answers, sys.stdout = sys.stdout, sys.stderr
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    for line in sys.stdin:
        print(json.dumps(_answer(**json.loads(line))), file=answers, flush=True)


def _answer(code: str, given: dict[str, Any]) -> dict[str, Any]:
    variables = {**_names(), **given}
    try:
        exec(textwrap.dedent(code), variables)
    except Exception:  # noqa: BLE001 - whoever sent the code hears of it
        return {"error": traceback.format_exc()}
    return {"answer": variables.get("answer")}


def _names() -> dict[str, Any]:
    """What `manage.py shell` would have imported, and what these tests write with."""
    from django.apps import apps
    from django.db import transaction

    from boards.seeding.planting import plant
    from rxcrdt.snapshots import compare, serialized
    from tests.oracle.operations import Writer

    names = {model.__name__: model for model in apps.get_models()}
    now = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
    return {
        **names,
        "Writer": Writer,
        "compare": compare,
        "plant": lambda: plant(now),
        "serialized": serialized,
        "transaction": transaction,
    }


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    main()
