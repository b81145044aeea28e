"""``manage.py rxcrdt`` as tests call it, and documents for it to look at."""

from __future__ import annotations

from io import StringIO
from urllib.parse import urlsplit

from django.core.management import CommandError, call_command

from rxcrdt import conf, documents
from rxcrdt import snapshot as build
from rxcrdt.names import LogName
from tests.testapp.models import Book, Chapter, Library, Person, Shelf
from ydoc_store import Position

__all__ = ["begin_log", "head_of", "key_of", "log_of", "make_library", "refused", "rename_unseen", "run"]


def run(*arguments: str) -> tuple[str, CommandError | None]:
    """What the command printed, and how it ended."""
    out = StringIO()
    try:
        call_command("rxcrdt", *arguments, stdout=out, stderr=StringIO(), no_color=True)
    except CommandError as error:
        return out.getvalue(), error
    return out.getvalue(), None


def refused(*arguments: str) -> str:
    out, error = run(*arguments)
    assert error is not None, f"it should have refused, and printed {out!r}"
    return str(error)


def make_library(name: str = "North") -> Library:
    """A library with a shelf of two books; its document is in the store."""
    library = Library.objects.create(name=name, director=Person.objects.create(name="Ada"))
    shelf = Shelf.objects.create(library=library, label="A", position=1)
    for number, title in enumerate(("Atlas", "Bestiary")):
        book = Book.objects.create(shelf=shelf, title=title, position=number)
        Chapter.objects.create(book=book, heading=f"{title} I")
    build("library", library.pk)
    return library


def log_of(library: Library) -> str:
    return documents.get(f"library/{library.pk}").log


def head_of(library: Library) -> Position:
    head = conf.store().head(log_of(library))
    assert head is not None
    return head


def rename_unseen(library: Library, name: str) -> None:
    """As raw SQL, or a restored backup: no signal tells of it."""
    Library.objects.filter(pk=library.pk).update(name=name)


def key_of(log: str) -> str:
    """Where a Redis with a prefix in its URL keeps it."""
    prefix = urlsplit(conf.store().url).query.removeprefix("prefix=")
    return f"{prefix}{{doc/{log}}}:log"


def begin_log(log: LogName, snapshot: bytes = b"\x00\x00") -> None:
    """A log that somebody else keeps, of another tenant or another version of the code."""
    store = conf.store()
    lease = store.lease(str(log), since=None, seconds=5, wait=0)
    store.begin(str(log), epoch=1, snapshot=snapshot, rows=["a row of them all"], lease=lease.token)
    store.release(str(log), lease.token)
