"""Two versions of a project's serializers: the new one shows one field more of each book.

The classes have the old ones' names, as they have in a project: so have the document's layers, and a browser that moves
over finds other values under the keys that it has.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from rest_framework.serializers import BaseSerializer

from tests.testapp import serializers as old

__all__ = ["SERIALIZERS", "Version"]

Version = Literal["old", "new"]


class BookSerializer(old.BookSerializer):
    class Meta(old.BookSerializer.Meta):
        fields = [*old.BookSerializer.Meta.fields, "position"]


class ShelfSerializer(old.ShelfSerializer):
    books = BookSerializer(many=True, read_only=True)


class LibrarySerializer(old.LibrarySerializer):
    shelves = ShelfSerializer(many=True, read_only=True)


SERIALIZERS: Final[dict[Version, type[BaseSerializer[Any]]]] = {
    "old": old.LibrarySerializer,
    "new": LibrarySerializer,
}
