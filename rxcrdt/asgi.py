"""The sockets as ASGI applications: one for a ``ProtocolTypeRouter``, and patterns for a ``URLRouter``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.urls import URLPattern, re_path

from rxcrdt import conf
from rxcrdt.consumers import Receive, serve
from rxcrdt.sockets import Send

__all__ = ["websocket_application", "websocket_urlpatterns"]

Application = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]

if TYPE_CHECKING:
    #: ``URLRouter(websocket_urlpatterns)``, beside a project's own consumers.
    websocket_urlpatterns: list[URLPattern]


def websocket_application() -> Application:
    """``ProtocolTypeRouter({"http": get_asgi_application(), "websocket": websocket_application()})``.

    Serves ``RXCRDT["PATH"]`` and the document's name behind it. Authenticates by itself: no
    AuthMiddlewareStack is needed, and none is in the way.
    """
    return _application


async def _application(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        raise ValueError(f"rxcrdt.asgi serves WebSockets, not the scope type {scope['type']!r}.")
    await serve(scope, receive, send, _document(scope))


def _document(scope: Mapping[str, Any]) -> str:
    """The document's name; a path that is not ours gives one that no document has."""
    routed = scope.get("url_route", {}).get("kwargs", {}).get("document")
    if routed is not None:
        return str(routed)
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    prefix = conf.settings().path
    return path.removeprefix(prefix) if path.startswith(prefix) else ""


def __getattr__(name: str) -> Any:
    if name == "websocket_urlpatterns":  # made when asked for: the path is a setting
        prefix = re.escape(conf.settings().path.removeprefix("/"))
        view: Any = _application  # a URLRouter's views are ASGI applications
        return [re_path(rf"^{prefix}(?P<document>[\s\S]*)$", view)]
    raise AttributeError(f"module 'rxcrdt.asgi' has no attribute {name!r}")
