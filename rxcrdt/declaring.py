"""``@depends_on``: what a computed field reads. Imports nothing, so that models may use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["declared_paths", "depends_on"]

F = TypeVar("F", bound=Callable[..., Any])


def depends_on(*paths: str) -> Callable[[F], F]:
    """Declares what a serializer's method field, or a model's property or method, reads of other rows.

    ``paths`` are relation paths from the row, as in ``select_related``: ``@depends_on("comments", "assignee__team")``.
    A save anywhere along them projects the field again. Under ``@property``: the decorator goes below it.
    """

    def declare(function: F) -> F:
        function._rxcrdt_depends_on = paths  # type: ignore[attr-defined]
        return function

    return declare


def declared_paths(attribute: Any) -> tuple[str, ...]:
    """What a method, property or cached property declares; nothing for anything else."""
    function = getattr(attribute, "fget", None) or getattr(attribute, "func", None) or attribute
    paths: tuple[str, ...] = getattr(function, "_rxcrdt_depends_on", ())
    return paths
