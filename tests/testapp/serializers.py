from __future__ import annotations

from typing import Any

from rest_framework import serializers

import rxcrdt
from tests.testapp.models import Book, Chapter, Charter, Firm, Genre, Library, Person, Shelf


class FirmSerializer(serializers.ModelSerializer[Firm]):
    class Meta:
        model = Firm
        fields = ["id", "name"]


class PersonSerializer(serializers.ModelSerializer[Person]):
    firm = FirmSerializer(read_only=True)

    class Meta:
        model = Person
        fields = ["id", "name", "firm"]


class GenreSerializer(serializers.ModelSerializer[Genre]):
    class Meta:
        model = Genre
        fields = ["id", "name"]


class ChapterSerializer(serializers.ModelSerializer[Chapter]):
    class Meta:
        model = Chapter
        fields = ["id", "heading", "number"]


class SizeSerializer(serializers.Serializer[Any]):
    """No model's: a plain JSON value in the document."""

    pages = serializers.IntegerField()
    kind = serializers.CharField()


class BookSerializer(serializers.ModelSerializer[Book]):
    author = PersonSerializer(read_only=True)
    editor_name = serializers.CharField(source="editor.name", default=None, read_only=True)
    genres = GenreSerializer(many=True, read_only=True)
    genre_ids = serializers.PrimaryKeyRelatedField(source="genres", many=True, read_only=True)
    genre_names = serializers.SlugRelatedField(source="genres", many=True, read_only=True, slug_field="name")
    reviewers = PersonSerializer(many=True, read_only=True)
    chapters = ChapterSerializer(many=True, read_only=True)
    size = SizeSerializer(source="*", read_only=True)
    headings = serializers.SerializerMethodField()

    class Meta:
        model = Book
        fields = [
            "id", "title", "kind", "pages", "printed_at", "author", "editor", "editor_name", "genres", "genre_ids",
            "genre_names", "reviewers", "chapters", "size", "headings",
        ]  # fmt: skip

    @rxcrdt.depends_on("chapters")
    def get_headings(self, book: Book) -> str:
        return ", ".join(chapter.heading for chapter in book.chapters.all())


class ShelfSerializer(serializers.ModelSerializer[Shelf]):
    books = BookSerializer(many=True, read_only=True)

    class Meta:
        model = Shelf
        fields = ["id", "label", "position", "books"]


class CharterSerializer(serializers.ModelSerializer[Charter]):
    class Meta:
        model = Charter
        fields = ["id", "text"]


class LibrarySerializer(serializers.ModelSerializer[Library]):
    title = serializers.CharField(source="name")
    director = PersonSerializer(read_only=True)
    patrons = PersonSerializer(many=True, read_only=True)
    charter = CharterSerializer(read_only=True)
    shelves = ShelfSerializer(many=True, read_only=True)
    tags = serializers.ListField(child=serializers.CharField(), source="extra.tags", read_only=True, default=list)

    class Meta:
        model = Library
        fields = [
            "id", "title", "code", "opened", "fee", "rating", "hours", "extra", "plan", "open", "director", "patrons",
            "charter", "shelves", "tags",
        ]  # fmt: skip
