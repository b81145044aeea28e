"""What a projection runs in: the project's own language, time zone and request, whoever saved and from where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.utils import timezone, translation
from rest_framework.request import Request

from rxcrdt.anchors import Anchor
from rxcrdt.conf import settings
from rxcrdt.exceptions import NoRequestUser
from rxcrdt.primary import reading_where_written

__all__ = ["projecting", "projection_context"]


class _Refused:
    """An attribute that belongs to one user: whoever reads it is told why there is none."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, request: object, kind: type) -> NoReturn:
        raise NoRequestUser(
            f"it reads the request's {self.name}, but a document is shared by all who may open the anchor. Compute it "
            f"in the browser, or take the field out of the anchored serializer: see docs/fields.md."
        )


class _SharedHttpRequest(HttpRequest):
    """A request of nobody, at ``RXCRDT["BASE_URL"]``."""

    user: Any = _Refused("user")
    session: Any = _Refused("session")

    def __init__(self) -> None:
        super().__init__()
        url = urlsplit(settings().base_url)
        self.method, self.path, self.path_info = "GET", "/", "/"
        self._scheme, self._host = url.scheme or "http", url.netloc
        self.META = {"SERVER_NAME": url.hostname or "localhost", "SERVER_PORT": str(url.port or 80)}

    def _get_scheme(self) -> str:
        return self._scheme

    def get_host(self) -> str:
        return self._host  # the project's own setting: not to be judged by ALLOWED_HOSTS


class _SharedRequest(Request):
    """The same, as DRF shows it to serializers."""

    user: Any = _Refused("user")
    auth: Any = _Refused("auth")
    session: Any = _Refused("session")


def projection_context(anchor: type[Anchor]) -> dict[str, Any]:
    """The serializer context that documents are projected with; as a generic view's, with a request of nobody."""
    request = _SharedRequest(_SharedHttpRequest())
    return {"request": request, "format": None, "view": anchor(request=request)}


@contextmanager
def projecting() -> Iterator[None]:
    """The project's default language and time zone, whatever this thread has activated; rows read where written."""
    with (
        reading_where_written(),
        translation.override(django_settings.LANGUAGE_CODE),
        timezone.override(timezone.get_default_timezone()),
    ):
        yield
