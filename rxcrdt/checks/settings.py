"""What ``settings.RXCRDT`` says: keys that there are, values that can work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - that is its name
from django.utils.module_loading import import_string

from rxcrdt import conf
from rxcrdt.checks.messages import from_error
from rxcrdt.exceptions import ConfigurationError
from rxcrdt.origins import patterns
from rxcrdt.retention import IN_USE_SECONDS, TOUCH_SECONDS
from ydoc_store import BadStoreUrl, open_store

__all__ = ["check_settings", "readable"]

SEE = "See docs/settings.md."


def check_settings(**_: Any) -> list[CheckMessage]:
    given = getattr(django_settings, "RXCRDT", {})
    if not isinstance(given, Mapping):
        return [_bad(f"RXCRDT is a {type(given).__name__}, not a dictionary", 'Write RXCRDT = {"STORE": "…"}')]
    problems = list(_bad_values(given))
    if problems:
        return problems
    try:
        settings = conf.settings()
    except ConfigurationError as error:
        return [from_error(error, id="rxcrdt.E001", hint=SEE)]
    return [*_unusable(settings), *_tenants(settings), *_open_to_all(settings)]


def readable() -> bool:
    """Whether the settings can be read at all; where not, other checks have nothing to stand on."""
    return not any(message.is_serious() for message in check_settings())


def _bad(what: str, hint: str) -> CheckMessage:
    return Error(f"{what}.", hint=f"{hint}: see docs/settings.md.", id="rxcrdt.E001")


def _bad_values(given: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for field in fields(conf.Settings):
        key = field.name.upper()
        if key in given:
            wanted, is_good = KINDS[str(field.type)]
            if not is_good(given[key]):
                yield _bad(
                    f"RXCRDT[{key!r}] is {given[key]!r}, and has to be {wanted}", f"Change it or leave {key} out"
                )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_origins(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value)


#: By a setting's annotation: what it has to be, in words and as a test.
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "str": ("a string", lambda value: isinstance(value, str)),
    "float": ("a number of seconds above 0", lambda value: _is_number(value) and value > 0),
    "int": ("a whole number above 0", lambda value: _is_number(value) and isinstance(value, int) and value > 0),
    "tuple[str, ...] | None": ("a list of origins", lambda value: value is None or _is_origins(value)),
    "str | Callable[[], str]": (
        "a string without '|', or a callable that returns one",
        lambda value: callable(value) or (isinstance(value, str) and "|" not in value),
    ),
    "str | Callable[[str], AbstractContextManager[object]] | None": (
        "a callable that takes a tenant and returns a context manager, or the path of one",
        lambda value: value is None or callable(value) or isinstance(value, str),
    ),
}


def _unusable(settings: conf.Settings) -> Iterator[CheckMessage]:
    """Values of the right kind that lead nowhere."""
    try:
        open_store(settings.store).close()  # opens nothing before its first use
    except BadStoreUrl as error:
        yield from_error(error, id="rxcrdt.E001", hint=SEE)
    url = urlsplit(settings.base_url)
    if url.scheme not in ("http", "https") or not url.netloc:
        yield _bad(f"RXCRDT['BASE_URL'] is {settings.base_url!r}, and no address", "Write it as https://example.com")
    if settings.retention_seconds < IN_USE_SECONDS:
        yield _bad(
            f"RXCRDT['RETENTION_SECONDS'] is {settings.retention_seconds:g}, but processes say only every "
            f"{TOUCH_SECONDS:g} s which documents are open: open ones would look unused, and be evicted",
            f"Set it to {IN_USE_SECONDS:g} or more; a day is 86400",
        )
    layers = getattr(django_settings, "CHANNEL_LAYERS", {})
    if settings.channel_layer != "default" and settings.channel_layer not in layers:
        yield _bad(
            f"RXCRDT['CHANNEL_LAYER'] is {settings.channel_layer!r}, but CHANNEL_LAYERS has no such layer",
            f"It has: {', '.join(sorted(layers)) or 'none'}",
        )


def _tenants(settings: conf.Settings) -> Iterator[CheckMessage]:
    if callable(settings.namespace) and settings.in_namespace is None:
        yield Error(
            "RXCRDT['NAMESPACE'] is a callable, but RXCRDT['IN_NAMESPACE'] is not set: nobody tells the threads that "
            "open and compare documents whose rows to read, and they read none but those of the tenant it names there.",
            hint="Set it to a context manager that makes a tenant the current one, as "
            "'django_tenants.utils.schema_context'; a process that serves one tenant needs no callable: see "
            "docs/settings.md.",
            id="rxcrdt.E010",
        )
    if isinstance(settings.in_namespace, str):
        try:
            import_string(settings.in_namespace)
        except ImportError as error:
            yield _bad(f"RXCRDT['IN_NAMESPACE'] cannot be imported: {error}", "Correct the path")


def _open_to_all(settings: conf.Settings) -> Iterator[CheckMessage]:
    if "*" not in patterns():
        return
    own = settings.allowed_origins is not None
    if own or not django_settings.DEBUG:
        which = "RXCRDT['ALLOWED_ORIGINS']" if own else "ALLOWED_HOSTS (RXCRDT['ALLOWED_ORIGINS'] is not set)"
        yield Warning(
            f"{which} has '*': any page on the web can open documents with its visitors' cookies.",
            hint="List the origins of your own pages in RXCRDT['ALLOWED_ORIGINS']: see docs/settings.md.",
            id="rxcrdt.W005",
        )
