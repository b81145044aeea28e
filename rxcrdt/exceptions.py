"""Every error that rxcrdt raises.

RxcrdtError
├── ConfigurationError      a setting, an anchor or a serializer that cannot work; seen at start-up
│   └── UnknownAnchor       no anchor of that name is registered
├── CorruptDocument         a log holds what cannot be read; names the part of it
├── DocumentGone            the anchor's row does not exist, or has left its queryset
├── NotNow                  a document cannot be answered from at this moment; its client is to come back
├── ProjectionError         a serializer could not be turned into a document; names the layer and the field
│   └── NoRequestUser       a field of a shared document asked for the request's user
├── ProtocolError           a client sent what is no message; the socket is closed
│   └── MessageTooLarge     a client sent more than a limit allows; the socket is closed
├── Refused                 a socket is not (or no longer) served; holds the close code
└── NotProjected            a document differs from its serializer (``assert_projected``)

``UndeclaredRead`` is a warning: a computed field reads rows that it does not declare.

Errors of the store are ``ydoc_store.StoreError`` and its children.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "CorruptDocument",
    "DocumentGone",
    "MessageTooLarge",
    "NoRequestUser",
    "NotNow",
    "NotProjected",
    "ProjectionError",
    "ProtocolError",
    "Refused",
    "RxcrdtError",
    "UndeclaredRead",
    "UnknownAnchor",
]


class RxcrdtError(Exception):
    """The root of every error of this package."""


class ConfigurationError(RxcrdtError):
    """A setting, an anchor or a serializer that cannot work."""


class UnknownAnchor(ConfigurationError):
    """No anchor of that name is registered."""


class CorruptDocument(RxcrdtError):
    """A log holds what is no document of ours: bytes that the engine refuses, or the layout of a newer version."""


class DocumentGone(RxcrdtError):
    """The row that a document was made from does not exist, or has left the anchor's queryset."""


class NotNow(RxcrdtError):
    """A document cannot be answered from at this moment. The socket is closed, and its client comes back by itself."""


class ProjectionError(RxcrdtError):
    """A serializer could not be turned into a document."""


class NoRequestUser(ProjectionError):
    """A field asked for the request's user, but a document is shared by all its readers."""


class ProtocolError(RxcrdtError):
    """What a client sent is no message of the protocol."""


class MessageTooLarge(ProtocolError):
    """What a client sent is larger than a limit allows."""


class Refused(RxcrdtError):
    """A socket is not (or no longer) served. ``code`` is the WebSocket close code, ``reason`` a sentence."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class NotProjected(RxcrdtError, AssertionError):
    """A document differs from what its serializer gives."""


class UndeclaredRead(UserWarning):
    """A computed field reads rows that it does not declare: it will not follow them."""
