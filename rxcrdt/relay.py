"""Between processes: entries and awareness over the channel layer, for whoever has the document open.

``documents`` publishes every entry that it appended, rooms join the topics of their documents. A topic is the
name of a document's log, so tenants and schemas keep apart. Nothing here is relied upon: the layer may drop,
repeat and reorder, or be down, and rooms still follow by polling (``rxcrdt.upkeep``). So nothing here raises
or blocks either: what fails is logged, and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from channels.layers import InMemoryChannelLayer, channel_layers
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from rxcrdt import conf
from rxcrdt.awareness import Entry as AwarenessEntry
from rxcrdt.awareness import Owner, encode_entries
from rxcrdt.layer_link import LayerLink, Subscriber
from rxcrdt.processes import PerProcess, process_id
from ydoc_store import Entry, Position

__all__ = ["Subscriber", "ask_awareness", "flush", "join", "leave", "publish", "publish_awareness", "publish_lineage"]

logger = logging.getLogger(__name__)

#: A larger update goes as a bare notice, and is read from the log: layers are made for small messages.
MAX_UPDATE_BYTES = 64 * 1024


def publish(topic: str, entry: Entry) -> None:
    """Tells the other processes of an entry that was appended to the log ``topic``. From any thread."""
    message: dict[str, Any] = {"epoch": entry.position.epoch, "sequence": entry.position.sequence}
    if len(entry.update) <= MAX_UPDATE_BYTES:
        message["update"] = entry.update
    _send(topic, "entry", message)


def publish_lineage(topic: str, position: Position) -> None:
    """Tells the other processes that the log was begun anew at ``position``: they load it."""
    _send(topic, "entry", {"epoch": position.epoch, "sequence": position.sequence})


def publish_awareness(topic: str, owner: Owner, entries: Sequence[AwarenessEntry]) -> None:
    """Tells the other processes what was accepted from, or nulled for, the socket ``owner`` of this one."""
    _send(
        topic,
        "awareness",
        {"socket": owner.socket, "user": owner.user, "entries": encode_entries(entries)},
    )


def ask_awareness(topic: str) -> None:
    """Asks the other processes who is there: their rooms publish what they know of their own sockets."""
    _send(topic, "who", {})


def join(topic: str, subscriber: Subscriber) -> None:
    """From now on ``subscriber`` hears what other processes publish about ``topic``."""
    try:
        link = _link()
        if link is not None and conf.store().shared:
            link.join(topic, subscriber)
    except Exception:
        logger.exception("There is no channel layer to listen to: %s follows by polling.", topic)


def leave(topic: str, subscriber: Subscriber) -> None:
    link = _link.existing()
    if link is not None:
        link.leave(topic, subscriber)


def flush(seconds: float) -> bool:
    """Waits until everything published was sent, or dropped; False if that took longer."""
    link = _link.existing()
    return link is None or link.flush(seconds)


def _send(topic: str, kind: str, message: dict[str, Any]) -> None:
    try:
        link = _link()
        if link is not None and conf.store().shared:
            link.send(topic, {**message, "kind": kind})
    except Exception:
        logger.exception("Other processes were not told of a change of %s; their rooms find it by polling.", topic)


def _connect() -> LayerLink | None:
    """The link over the configured layer. None if there is none, or one that stays within a process."""
    alias = conf.settings().channel_layer
    if alias not in channel_layers.configs:
        return None
    if issubclass(import_string(channel_layers.configs[alias]["BACKEND"]), InMemoryChannelLayer):
        return None
    # An instance of our own: it lives on another event loop than the project's.
    return LayerLink(lambda: channel_layers.make_backend(alias), process=process_id())


_link: PerProcess[LayerLink | None] = PerProcess(_connect)


def _forget(*, setting: str, **_: Any) -> None:
    if setting in ("CHANNEL_LAYERS", "RXCRDT"):
        link = _link.forget()
        if link is not None:
            link.close()


setting_changed.connect(_forget, dispatch_uid="rxcrdt.relay")
