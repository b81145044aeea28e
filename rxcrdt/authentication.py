"""May this handshake open this document? DRF's own authenticators and permissions decide, unmodified.

The handshake becomes a DRF request with the method GET. Cookies serve session authentication. A token, from
``?token=`` or the subprotocol ``token.<token>`` (browsers cannot set headers on WebSockets), is presented to
each authenticator as the ``Authorization`` header that it asks for in ``authenticate_header()``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, NoReturn

from django.apps import apps
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import DataError
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from rxcrdt import conf, origins, tenants
from rxcrdt.anchors import Anchor
from rxcrdt.exceptions import DocumentGone, Refused, UnknownAnchor
from rxcrdt.layers import plan
from rxcrdt.names import log_name
from rxcrdt.protocol import CloseCode
from rxcrdt.registry import registry

__all__ = ["TOKEN_PROTOCOL", "Admission", "admit"]

logger = logging.getLogger(__name__)

TOKEN_PROTOCOL: Final = "token."  # noqa: S105 - a prefix
#: Schemes whose credentials are no bare token; to be offered one, they would raise.
_NO_TOKEN_SCHEMES: Final = frozenset({"basic", "digest"})
_CODES: Final = {401: CloseCode.NOT_AUTHENTICATED, 404: CloseCode.NOT_FOUND, 429: CloseCode.TOO_MANY}
_NOT_AUTHENTICATED: Final = "Authentication credentials were not provided."
_FORBIDDEN: Final = "You do not have permission to open this document."
_NOT_FOUND: Final = "There is no such document."


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may open what. ``anchor`` has request and lookup value; ``user`` is a key, None: anonymous."""

    anchor: Anchor
    document: str
    log: str
    user: str | None


def admit(scope: Mapping[str, Any], document: str) -> Admission:
    """Asks in DRF's order: who is it, may he at all, is there such a row, may he see it.

    For a worker thread: asks the database, as the tenant whom the project's ASGI middleware has put into the scope.
    Raises Refused with the close code. Errors of the database, or of an authenticator, are raised as they are: nothing
    was decided, and the client may try again.
    """
    namespace = scope.get(tenants.SCOPE)
    with tenants.within(conf.namespace() if namespace is None else namespace):
        return _admit(scope, document)


def _admit(scope: Mapping[str, Any], document: str) -> Admission:
    try:
        anchor_class, value = registry.resolve(document)
    except UnknownAnchor as error:
        raise Refused(CloseCode.NOT_FOUND, _NOT_FOUND) from error
    anchor = anchor_class(kwargs={anchor_class.lookup_field: value})
    try:
        anchor.request = request = _request(scope, anchor)
        user = request.user
    except APIException as error:
        _refuse(error)
    except (UnicodeDecodeError, SuspiciousOperation) as error:
        raise Refused(CloseCode.MALFORMED, "The handshake is malformed.") from error
    permissions = _permissions(anchor)
    view: Any = anchor  # permission classes are typed for DRF's own views
    _check(request, ((each, each.has_permission(request, view)) for each in permissions))
    row = _row(anchor)
    _check(request, ((each, each.has_object_permission(request, view, row)) for each in permissions))
    known = getattr(user, "is_authenticated", False)
    log = str(log_name(plan(anchor_class), document))
    return Admission(anchor=anchor, document=document, log=log, user=str(user.pk) if known else None)


# Who is it? -------------------------------------------------------------------------------------------------


def _request(scope: Mapping[str, Any], anchor: Anchor) -> Request:
    """The handshake as a DRF request; without its cookies, if they came from a page that may not use them."""
    request = _SocketRequest.of(scope, anchor, cookies=True)
    headers = request._request.META
    if "HTTP_COOKIE" not in headers or origins.is_allowed(headers.get("HTTP_ORIGIN"), origins.patterns()):
        return request
    bare = _SocketRequest.of(scope, anchor, cookies=False)
    if _is_authenticated(request) and not _is_authenticated(bare):
        raise Refused(CloseCode.FORBIDDEN, "Pages of this origin may not use their visitors' cookies here.")
    return bare


def _is_authenticated(request: Request) -> bool:
    try:
        return request.successful_authenticator is not None
    except APIException:
        return False


class _SocketRequest(Request):
    """A DRF request that presents the handshake's token to each authenticator in the way that one expects."""

    @classmethod
    def of(cls, scope: Mapping[str, Any], anchor: Anchor, *, cookies: bool) -> _SocketRequest:
        return cls(_http_request(scope, cookies=cookies), authenticators=anchor.get_authenticators())

    def _authenticate(self) -> None:
        token = _token(self._request)
        offered = self.authenticators
        if token is None or not offered or "HTTP_AUTHORIZATION" in self._request.META:
            super()._authenticate()  # type: ignore[misc] # the stubs leave it out
            return
        for authenticator in offered:
            self._present(token, authenticator)
            self.authenticators = (authenticator,)
            try:
                super()._authenticate()  # type: ignore[misc]
            finally:
                self.authenticators = offered
            if self.successful_authenticator is not None:
                return

    def _present(self, token: str, authenticator: Any) -> None:
        meta = self._request.META
        meta.pop("HTTP_AUTHORIZATION", None)
        self._request.__dict__.pop("headers", None)  # made of META, and cached
        scheme = ((authenticator.authenticate_header(self) or "").split() or [""])[0]
        if scheme and scheme.lower() not in _NO_TOKEN_SCHEMES:
            meta["HTTP_AUTHORIZATION"] = f"{scheme} {token}"


def _token(request: HttpRequest) -> str | None:
    token = request.GET.get("token")
    if token is None:
        offered = request.META.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")
        named = (name.strip() for name in offered)
        token = next((name.removeprefix(TOKEN_PROTOCOL) for name in named if name.startswith(TOKEN_PROTOCOL)), None)
    return token if token and token.isascii() and token.isprintable() else None


def _http_request(scope: Mapping[str, Any], *, cookies: bool) -> HttpRequest:
    headers = [(name, value) for name, value in scope["headers"] if cookies or name.lower() != b"cookie"]
    http = {
        **scope,
        "type": "http",
        "method": "GET",
        "scheme": "https" if scope.get("scheme") == "wss" else "http",
        "headers": headers,
    }
    request: Any = ASGIRequest(http, BytesIO())
    _add_session(request, scope if cookies else {})
    if "_force_auth_user" in scope:  # rxcrdt.testing.Client; a server cannot be made to put it there
        request._force_auth_user = scope["_force_auth_user"]
    return request  # type: ignore[no-any-return]


def _add_session(request: Any, scope: Mapping[str, Any]) -> None:
    """``session`` and ``user``, as Django's middlewares would; or those of the project's ASGI middleware."""
    if "session" in scope:
        request.session = scope["session"]
    elif apps.is_installed("django.contrib.sessions"):
        from django.contrib.sessions.middleware import SessionMiddleware

        SessionMiddleware(_no_view).process_request(request)
    if "user" in scope:
        request.user = scope["user"]
    elif hasattr(request, "session") and apps.is_installed("django.contrib.auth"):
        from django.contrib.auth.middleware import AuthenticationMiddleware

        AuthenticationMiddleware(_no_view).process_request(request)
    else:
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()


def _no_view(_: HttpRequest) -> NoReturn:
    raise AssertionError("a handshake has no view")


# May he? ----------------------------------------------------------------------------------------------------


def _permissions(anchor: Anchor) -> list[BasePermission]:
    try:
        return anchor.get_permissions()
    except Exception as error:
        logger.exception("The permissions of %s could not be made; nobody may open it.", type(anchor).__qualname__)
        raise Refused(CloseCode.FORBIDDEN, _FORBIDDEN) from error


def _check(request: Request, answers: Iterable[tuple[BasePermission, bool]]) -> None:
    """All must be true. An exception in a permission class refuses; a failing database decides nothing."""
    try:
        for permission, granted in answers:
            if not granted:
                _deny(request, getattr(permission, "message", None))
    except (Refused, DatabaseError):
        raise
    except (APIException, Http404, PermissionDenied) as error:
        _refuse(error)
    except Exception as error:
        logger.exception("A permission class raised; the client was refused.")
        raise Refused(CloseCode.FORBIDDEN, _FORBIDDEN) from error


def _deny(request: Request, message: object) -> NoReturn:
    if request.authenticators and not request.successful_authenticator:
        raise Refused(CloseCode.NOT_AUTHENTICATED, _NOT_AUTHENTICATED)
    raise Refused(CloseCode.FORBIDDEN, str(message or _FORBIDDEN))


def _refuse(error: APIException | Http404 | PermissionDenied) -> NoReturn:
    if isinstance(error, Http404):
        raise Refused(CloseCode.NOT_FOUND, _NOT_FOUND) from error
    if isinstance(error, PermissionDenied):
        raise Refused(CloseCode.FORBIDDEN, _FORBIDDEN) from error
    raise Refused(_CODES.get(error.status_code, CloseCode.FORBIDDEN), str(error.detail)) from error


def _row(anchor: Anchor) -> Any:
    try:
        return anchor.get_object()
    except (DocumentGone, DataError) as error:  # a number that the column cannot hold is a DataError
        raise Refused(CloseCode.NOT_FOUND, _NOT_FOUND) from error
    except (APIException, Http404, PermissionDenied) as error:
        _refuse(error)
