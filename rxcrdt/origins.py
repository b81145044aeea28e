"""Which pages may use their visitor's cookies on a socket: the check that CSRF protection is for requests.

Browsers let any page open a WebSocket to anywhere, and send the cookies along. Channels' own validator
refuses before accepting (a y-websocket client then tries again for ever), and refuses clients without an
Origin, which are no browsers. Ours is asked only where a cookie counts: see ``rxcrdt.authentication``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from django.conf import settings as django_settings
from django.http.request import validate_host

from rxcrdt.conf import settings

__all__ = ["is_allowed", "patterns"]

_PORTS: Final = {"http": 80, "https": 443}


def patterns() -> tuple[str, ...]:
    """``RXCRDT["ALLOWED_ORIGINS"]``; unset, the project's own hosts and the origins that it trusts."""
    own = settings().allowed_origins
    if own is not None:
        return own
    hosts = tuple(django_settings.ALLOWED_HOSTS)
    if not hosts and django_settings.DEBUG:
        hosts = (".localhost", "127.0.0.1", "[::1]")  # as HttpRequest.get_host takes it
    return (*hosts, *django_settings.CSRF_TRUSTED_ORIGINS)


def is_allowed(origin: str | None, allowed: Iterable[str]) -> bool:
    """Whether one of ``allowed`` matches the Origin header ``origin``.

    A pattern is ``*``; a host as in ALLOWED_HOSTS (``example.com``, ``.example.com``), for any scheme and
    port; or as in CSRF_TRUSTED_ORIGINS (``https://example.com:8443``, ``https://*.example.com``), for that
    scheme and port alone.
    """
    split = _split(origin or "")
    return any(pattern == "*" or (split is not None and _matches(split, pattern)) for pattern in allowed)


def _split(origin: str) -> SplitResult | None:
    try:
        split = urlsplit(origin)
        return split if split.scheme and split.hostname and _port(split) else None
    except ValueError:
        return None


def _port(split: SplitResult) -> int | None:
    return split.port or _PORTS.get(split.scheme)


def _matches(origin: SplitResult, pattern: str) -> bool:
    if "://" not in pattern:
        return validate_host(_host(origin), [pattern.lower()])
    wanted = _split(pattern.replace("://*.", "://.", 1))
    return (
        wanted is not None
        and wanted.scheme == origin.scheme
        and _port(wanted) == _port(origin)
        and validate_host(_host(origin), [_host(wanted)])
    )


def _host(split: SplitResult) -> str:
    """The host in lower case, an IPv6 address in brackets: as ALLOWED_HOSTS has it."""
    host = split.hostname or ""
    return f"[{host}]" if ":" in host else host
