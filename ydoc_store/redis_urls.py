"""The URL of a Redis store: which server, how to log in, how long to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ydoc_store.exceptions import BadStoreUrl

SCHEMES = ("redis", "rediss", "unix")
FORMS = "redis://[user:password@]host[:port][/db], rediss://… (TLS) or unix:///path/to/redis.sock[?db=0]"

CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0
PREFIX: Final = "ydoc:"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 3600:
        raise ValueError
    return seconds


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]


def _prefix(text: str) -> str:
    if not text or set(text) & set("{}*"):
        raise ValueError
    return text


def _database(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _cert_reqs(text: str) -> str:
    if text not in ("none", "optional", "required"):
        raise ValueError
    return text


_OPTIONS: Mapping[str, tuple[Callable[[str], Any], str]] = MappingProxyType(
    {
        "prefix": (_prefix, "a text without braces that all keys of the store begin with"),
        "cluster": (_flag, "true or false"),
        "socket_connect_timeout": (_seconds, "seconds"),
        "socket_timeout": (_seconds, "seconds"),
        "db": (_database, "a number"),
    }
)
_TLS_OPTIONS: Mapping[str, tuple[Callable[[str], Any], str]] = MappingProxyType(
    {
        "ssl_ca_certs": (str, "a file"),
        "ssl_certfile": (str, "a file"),
        "ssl_keyfile": (str, "a file"),
        "ssl_cert_reqs": (_cert_reqs, "none, optional or required"),
        "ssl_check_hostname": (_flag, "true or false"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """`shown` is the URL without its password, `address` what redis-py's connections take to get there."""

    url: str
    shown: str
    scheme: str
    prefix: str = PREFIX
    cluster: bool = False
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    address: Mapping[str, Any] = field(default_factory=dict)


def read_url(url: str) -> RedisOptions:
    """Raises BadStoreUrl, naming what is wrong with it; never connects."""
    parts = urlsplit(url)
    shown = _without_password(parts)
    given = _given_options(parts, shown)
    if parts.fragment:
        raise BadStoreUrl(f"The store URL {shown!r} has a fragment (#…). Percent-encode '#' as %23.")
    address = _socket(parts, shown) if parts.scheme == "unix" else _host(parts, shown, given)
    address |= {key: value for key, value in given.items() if key in _TLS_OPTIONS}
    address["db"] = given.get("db", address.get("db", 0))
    cluster = given.get("cluster", False)
    if cluster and (parts.scheme == "unix" or address["db"]):
        raise BadStoreUrl(f"The store URL {shown!r} asks for a cluster: it has no unix socket and no databases.")
    return RedisOptions(
        url=url,
        shown=shown,
        scheme=parts.scheme,
        prefix=given.get("prefix", PREFIX),
        cluster=cluster,
        connect_seconds=given.get("socket_connect_timeout", CONNECT_SECONDS),
        read_seconds=given.get("socket_timeout", READ_SECONDS),
        address=address,
    )


def _given_options(parts: SplitResult, shown: str) -> dict[str, Any]:
    options = {**_OPTIONS, **(_TLS_OPTIONS if parts.scheme == "rediss" else {})}
    given = {}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        if key not in options:
            known = ", ".join(sorted(options))
            raise BadStoreUrl(f"The store URL {shown!r} has an option {key!r} that does not exist. There are: {known}.")
        read, what = options[key]
        try:
            given[key] = read(text)
        except (KeyError, ValueError):
            raise BadStoreUrl(f"The option {key!r} of the store URL {shown!r} is {text!r}, not {what}.") from None
    return given


def _host(parts: SplitResult, shown: str, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        port = parts.port or 6379
    except ValueError:
        raise BadStoreUrl(f"The store URL {shown!r} has a port that is none. Use {FORMS}.") from None
    if not parts.hostname:
        raise BadStoreUrl(f"The store URL {shown!r} names no host. Use {FORMS}.")
    address = {"host": parts.hostname, "port": port, **_login(parts)}
    path = parts.path.strip("/")
    if path:
        if "db" in given or not path.isdecimal():
            raise BadStoreUrl(f"The path of the store URL {shown!r} is not the number of a database. Use {FORMS}.")
        address["db"] = int(path)
    return address


def _socket(parts: SplitResult, shown: str) -> dict[str, Any]:
    if parts.hostname or not parts.path.strip("/"):
        raise BadStoreUrl(f"The store URL {shown!r} names no socket. Use {FORMS}.")
    return {"path": unquote(parts.path), **_login(parts)}


def _login(parts: SplitResult) -> dict[str, str]:
    login = {"username": parts.username, "password": parts.password}
    return {key: unquote(value) for key, value in login.items() if value}


def _without_password(parts: SplitResult) -> str:
    before, at, host = parts.netloc.rpartition("@")
    user, colon, _password = before.partition(":")
    shown = parts._replace(netloc=f"{user}{':***' if colon else ''}{at}{host}").geturl()
    return shown.replace("unix:/", "unix:///") if shown.startswith("unix:/") and not parts.netloc else shown
