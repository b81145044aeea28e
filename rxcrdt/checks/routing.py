"""Does ``ASGI_APPLICATION`` lead WebSockets to rxcrdt? Found by looking at the application, never by calling it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - that is its name
from django.core.handlers.asgi import ASGIHandler
from django.utils.module_loading import import_string

from rxcrdt.asgi import websocket_application

__all__ = ["Route", "check_route", "route_of"]

HINT = (
    'Route them: ProtocolTypeRouter({"http": get_asgi_application(), "websocket": '
    "rxcrdt.asgi.websocket_application()}), see docs/deployment.md."
)
#: Where middleware keeps what it wraps: Channels' and most others', staticfiles' and Channels' origin
#: validator, Starlette's, functools.partial, functools.wraps.
INNER = ("inner", "application", "app", "func", "__wrapped__")


class Route(Enum):
    """What a look at an application tells."""

    FOUND = auto()
    MISSING = auto()
    UNKNOWN = auto()  # some function in between shows nothing of what it calls


def check_route(**_: Any) -> list[CheckMessage]:
    path = getattr(django_settings, "ASGI_APPLICATION", None)
    if not path:
        what = "ASGI_APPLICATION is not set: nobody can tell whether WebSockets reach rxcrdt."
        return [Warning(what, hint='Name it, as "project.asgi.application".', id="rxcrdt.W001")]
    try:
        application = import_string(path)
    except Exception as error:  # noqa: BLE001 - the project's own module: anything may come, and is told
        what = f"ASGI_APPLICATION, {path!r}, cannot be imported: {type(error).__name__}: {error}."
        return [Warning(what, hint="Correct the setting or the module.", id="rxcrdt.W001")]
    if route_of(application) is not Route.MISSING:
        return []
    return [Warning(f"The WebSockets of {path!r} do not lead to rxcrdt.", hint=HINT, id="rxcrdt.W002")]


def route_of(application: Any) -> Route:
    """MISSING only where all that the application may call is known."""
    waiting, seen, route = [application], set[int](), Route.MISSING
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if found is websocket_application():
            return Route.FOUND
        inner = _inner(found)
        if inner is None:
            route = Route.UNKNOWN
        else:
            waiting.extend(inner)
    return route


def _inner(application: Any) -> Iterable[Any] | None:
    """What an application passes WebSockets on to; nothing for one that ends there, None if that is not known."""
    if isinstance(application, ProtocolTypeRouter):
        websocket = application.application_mapping.get("websocket")
        return [] if websocket is None else [websocket]
    if isinstance(application, URLRouter):
        return [route.callback for route in application.routes]
    if hasattr(application, "consumer_class"):  # what a consumer's as_asgi() gives
        return []
    inner = [value for name in INNER if callable(value := getattr(application, name, None))]
    inner += _enclosed(application)
    if not inner and isinstance(application, ASGIHandler):
        return []
    return inner or None


def _enclosed(function: Any) -> list[Any]:
    """What a function that was made inside of another one, as decorators do, refers to."""
    found = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            value = cell.cell_contents
        except ValueError:  # not set yet
            continue
        if callable(value):
            found.append(value)
    return found
