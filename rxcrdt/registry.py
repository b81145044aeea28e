"""Which anchors there are, by name; filled by ``<app>/anchors.py`` when Django starts, as admin.py is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from rxcrdt.exceptions import ConfigurationError, UnknownAnchor

if TYPE_CHECKING:
    from rxcrdt.anchors import Anchor

__all__ = ["Registry", "register", "registry"]

A = TypeVar("A", bound="type[Anchor]")


class Registry:
    """Anchors by name. ``on_change`` is called after every change, once Django is up."""

    def __init__(self) -> None:
        self._anchors: dict[str, type[Anchor]] = {}
        self.on_change: Callable[[], None] = lambda: None

    def register(self, anchor: A) -> A:
        name = anchor.get_name()
        other = self._anchors.get(name)
        if other is not None and other is not anchor:
            raise ConfigurationError(
                f"{anchor.__module__}.{anchor.__qualname__} and {other.__module__}.{other.__qualname__} are both "
                f"named {name!r}. Give one of them a `name` of its own: see docs/anchors.md."
            )
        self._anchors[name] = anchor
        self.on_change()
        return anchor

    def unregister(self, anchor: type[Anchor]) -> None:
        if self._anchors.pop(anchor.get_name(), None) is not None:
            self.on_change()

    def get(self, name: str) -> type[Anchor]:
        try:
            return self._anchors[name]
        except KeyError:
            known = ", ".join(sorted(self._anchors)) or "none yet"
            raise UnknownAnchor(
                f"No anchor is named {name!r} (there are: {known}). Register one in <app>/anchors.py: "
                f"see docs/anchors.md."
            ) from None

    def resolve(self, document: str) -> tuple[type[Anchor], str]:
        """``"board/12"`` → the anchor and the lookup value, both from the name; UnknownAnchor otherwise."""
        name, slash, value = document.partition("/")
        if not slash or not value:
            raise UnknownAnchor(f"A document's name is <anchor>/<lookup value>, as in board/12, and not {document!r}.")
        return self.get(name), value

    def __iter__(self) -> Iterator[type[Anchor]]:
        return iter(tuple(self._anchors.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._anchors


registry = Registry()
register = registry.register
