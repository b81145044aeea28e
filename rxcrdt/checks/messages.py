"""How an error of ours becomes a message of Django's check framework: what is wrong, and the next step as its hint."""

from __future__ import annotations

from django.core.checks import CheckMessage, Error

from rxcrdt.exceptions import ConfigurationError

__all__ = ["from_error", "named"]


def from_error(error: ConfigurationError | ValueError, *, id: str, hint: str, obj: str | None = None) -> CheckMessage:  # noqa: A002 - as Django names it
    """The error's first sentence, and the rest of it as the hint; ``hint`` if there is no more than one."""
    what, _, next_step = str(error).partition(". ")
    return Error(f"{what.rstrip('.')}.", hint=next_step or hint, obj=obj, id=id)


def named(kind: object) -> str:
    """``boards.anchors.BoardAnchor`` for a class; anything else as Python shows it."""
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else repr(kind)
