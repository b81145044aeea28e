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

__all__ = ["projecting", "projection_context"]


def _refuse(what: str) -> NoReturn:
    raise NoRequestUser(
        f"it reads the request's {what}, but a document is shared by all who may open the anchor. "
        f"Compute it in the browser, or take the field out of the anchored serializer: see docs/anchors.md."
    )


class _SharedHttpRequest(HttpRequest):
    """A request of nobody, at ``RXCRDT["BASE_URL"]``."""

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

    @property
    def session(self) -> Any:
        _refuse("session")

    @property
    def user(self) -> Any:
        _refuse("user")


class _SharedRequest(Request):
    @property
    def user(self) -> Any:
        _refuse("user")

    @property
    def auth(self) -> Any:
        _refuse("auth")

    @property
    def session(self) -> Any:
        _refuse("session")


def projection_context(anchor: type[Anchor]) -> dict[str, Any]:
    """The serializer context that documents are projected with; as a generic view's, with a request of nobody."""
    request = _SharedRequest(_SharedHttpRequest())
    return {"request": request, "format": None, "view": anchor(request=request)}


@contextmanager
def projecting() -> Iterator[None]:
    """The project's default language and time zone, whatever this thread has activated."""
    with (
        translation.override(django_settings.LANGUAGE_CODE),
        timezone.override(timezone.get_default_timezone()),
    ):
        yield
