"""Several processes: what they have to share, or will not see of each other. Asked where DEBUG is off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from channels.layers import InMemoryChannelLayer
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - that is its name
from django.utils.module_loading import import_string

from rxcrdt import conf
from rxcrdt.checks.settings import readable
from ydoc_store import open_store

__all__ = ["check_processes"]

ONE_PROCESS = "If one process does all the work, put {id!r} into SILENCED_SYSTEM_CHECKS"


def check_processes(**_: Any) -> list[CheckMessage]:
    if django_settings.DEBUG or not readable():
        return []
    settings = conf.settings()
    with open_store(settings.store) as store:
        shared, natural = store.shared, store.poll_seconds
    if not shared:
        return [_store_in_memory(settings)]
    return list(_layer(settings, min(settings.poll_seconds, natural or settings.poll_seconds)))


def _store_in_memory(settings: conf.Settings) -> CheckMessage:
    return Warning(
        f"RXCRDT['STORE'] is {settings.store!r}, and DEBUG is off: each process has documents of its own. What another "
        f"process saves (a second worker, a task, a shell) is on open pages only after the next full comparison, every "
        f"{settings.reconcile_seconds:g} s, and documents are built again after every restart.",
        hint=f"Use an SQLite file, sqlite:////var/lib/app/documents.sqlite3. {ONE_PROCESS.format(id='rxcrdt.W004')}: "
        f"see docs/deployment.md.",
        id="rxcrdt.W004",
    )


def _layer(settings: conf.Settings, seconds: float) -> Iterator[CheckMessage]:
    layers = getattr(django_settings, "CHANNEL_LAYERS", {})
    alias = settings.channel_layer
    if alias in layers:
        try:
            backend = import_string(layers[alias]["BACKEND"])
        except (ImportError, KeyError) as error:
            yield Warning(
                f"The channel layer {alias!r} cannot be imported: {type(error).__name__}: {error}.",
                hint=f"Correct CHANNEL_LAYERS[{alias!r}]['BACKEND'], or install its package: see docs/deployment.md.",
                id="rxcrdt.W003",
            )
            return
        if not (isinstance(backend, type) and issubclass(backend, InMemoryChannelLayer)):
            return
        what = f"The channel layer {alias!r} is in memory"
    else:
        what = f"There is no channel layer {alias!r}"
    yield Warning(
        f"{what}, and DEBUG is off: what another process saves is on open pages only when the store is polled, after "
        f"up to {seconds:g} s, and people in different processes do not see each other's presence.",
        hint=f"Use channels_redis.pubsub.RedisPubSubChannelLayer. {ONE_PROCESS.format(id='rxcrdt.W003')}: see "
        f"docs/deployment.md.",
        id="rxcrdt.W003",
    )
