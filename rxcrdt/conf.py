"""The settings: one typed place for all of ``settings.RXCRDT``, described in ``docs/settings.md``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from rxcrdt.exceptions import ConfigurationError
from ydoc_store import DocStore, open_store

__all__ = ["Settings", "in_namespace", "namespace", "settings", "store", "use_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What ``settings.RXCRDT`` may hold, the keys in upper case. Times are in seconds, sizes in bytes."""

    store: str = ""
    path: str = "/ws/"
    allowed_origins: tuple[str, ...] | None = None
    namespace: str | Callable[[], str] = ""
    in_namespace: str | Callable[[str], AbstractContextManager[object]] | None = None
    base_url: str = "http://localhost"
    inline: bool = True
    channel_layer: str = "default"
    poll_seconds: float = 5.0
    reconcile_seconds: float = 60.0
    lease_seconds: float = 10.0
    retention_seconds: float = 7 * 24 * 3600.0
    evict_text: bool = False
    retry_seconds: float = 1.0
    documents_in_memory: int = 100
    max_message_bytes: int = 1024 * 1024
    max_awareness_bytes: int = 16 * 1024
    max_socket_bytes: int = 8 * 1024 * 1024
    max_sockets: int = 10_000
    threads: int = 8


_cached: Settings | None = None
_store: DocStore | None = None
_given_store: DocStore | None = None
_lock = threading.Lock()


def settings() -> Settings:
    """What the project set, with the defaults; read again after ``override_settings``."""
    global _cached
    if _cached is None:
        _cached = _read(getattr(django_settings, "RXCRDT", {}))
    return _cached


def _read(given: dict[str, Any]) -> Settings:
    known = {field.name.upper(): field.name for field in fields(Settings)}
    for key in given:
        if key not in known:
            raise ConfigurationError(
                f"RXCRDT has no setting {key!r}. It knows {', '.join(sorted(known))}: see docs/settings.md."
            )
    values = {known[key]: value for key, value in given.items()}
    if values.get("allowed_origins") is not None:
        values["allowed_origins"] = tuple(values["allowed_origins"])
    values["store"] = values.get("store") or _default_store()
    result = Settings(**values)
    if not (result.path.startswith("/") and result.path.endswith("/")):
        raise ConfigurationError(f"RXCRDT['PATH'] must begin and end with a slash, and is {result.path!r}.")
    return result


def _default_store() -> str:
    folder = Path(getattr(django_settings, "BASE_DIR", None) or os.getcwd())
    return f"sqlite:///{folder.resolve() / 'rxcrdt.sqlite3'}"


def namespace() -> str:
    """The tenant whose documents are meant now; part of every log's name."""
    value = settings().namespace
    found = value() if callable(value) else value
    if "|" in found:
        raise ConfigurationError(f"RXCRDT['NAMESPACE'] gave {found!r}: a bar ends a namespace in a log's name.")
    return found


def in_namespace(tenant: str) -> AbstractContextManager[object]:
    """What the project does to make ``tenant`` the current one; nothing if it has not said. See ``rxcrdt.tenants``."""
    enter = settings().in_namespace
    if isinstance(enter, str):
        enter = import_string(enter)
    return nullcontext() if enter is None else enter(tenant)


def store() -> DocStore:
    """This process's store, opened at the first use."""
    global _store
    if _given_store is not None:
        return _given_store
    with _lock:
        if _store is None:
            _store = open_store(settings().store)
        return _store


def use_store(given: DocStore | None) -> None:
    """Puts ``given`` in the place of the configured store, until called with None; for tests."""
    global _given_store
    _given_store = given


def _forget(*, setting: str, **_: Any) -> None:
    global _cached, _store
    if setting in ("RXCRDT", "BASE_DIR"):
        with _lock:
            _cached, before, _store = None, _store, None
        if before is not None:
            before.close()


setting_changed.connect(_forget, dispatch_uid="rxcrdt.conf")
