"""Python's search for cyclic garbage, put off while rows of a whole document are read.

None of what is read is garbage before it was projected, but the more there is, the longer each search takes: half of
the time of reading 10,000 rows, where Django keeps a queryset for each list of each row.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import Model

__all__ = ["let_go", "search_put_off"]

_is_off = False  # by us


@contextmanager
def search_put_off() -> Iterator[None]:
    """Until the first of the threads in such a block leaves it: however many read without a pause, there is a search
    after each. A process that does not search by itself goes on not to."""
    global _is_off
    if not gc.isenabled():
        yield
        return
    gc.disable()
    _is_off = True
    try:
        yield
    finally:
        _search()


def _search() -> None:
    global _is_off
    if _is_off:
        _is_off = False
        gc.enable()


def let_go(row: Model) -> None:
    """Parts ``row`` from all that was prefetched for it, and so on below: rows that refer to each other in circles
    would wait for the search."""
    waiting = [row]
    while waiting:
        here = waiting.pop()
        fields, here._state.fields_cache = here._state.fields_cache, {}
        waiting.extend(value for value in fields.values() if isinstance(value, Model))
        for rows in here.__dict__.pop("_prefetched_objects_cache", {}).values():
            waiting.extend(child for child in getattr(rows, "_result_cache", None) or () if isinstance(child, Model))


os.register_at_fork(after_in_child=_search)  # the thread in the block was not taken along
