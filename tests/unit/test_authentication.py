"""Who may open what: DRF's authenticators and permissions over a handshake, and the codes of the refusals."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import Http404
from django.test import Client as Browser
from django.test import override_settings
from rest_framework import authentication, exceptions, permissions
from rest_framework.authtoken.models import Token

from rxcrdt.anchors import Anchor
from rxcrdt.authentication import Admission, admit
from rxcrdt.exceptions import Refused
from rxcrdt.protocol import CloseCode
from rxcrdt.registry import registry
from tests.testapp.models import Library
from tests.testapp.serializers import LibrarySerializer

pytestmark = pytest.mark.django_db

OWN = "https://testserver"
FOREIGN = "https://evil.example"


class Bearer(authentication.TokenAuthentication):
    keyword = "Bearer"


class Room101(Anchor):
    """What the tests change before they knock."""

    name = "secret"
    queryset = Library.objects.all()
    serializer_class = LibrarySerializer
    permission_classes: ClassVar[Any] = [permissions.IsAuthenticated]


@pytest.fixture
def anchor() -> Iterator[type[Room101]]:
    class Secret(Room101):
        pass

    registry.register(Secret)
    yield Secret
    registry.unregister(Secret)


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", password="anna")


@pytest.fixture
def library() -> Library:
    return Library.objects.create(name="Bodleian")


def handshake(
    *,
    query: str = "",
    cookies: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    protocols: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    found = {"host": "testserver", **(headers or {})}
    if cookies:
        found["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if protocols is not None:
        found["sec-websocket-protocol"] = protocols
    return {
        "type": "websocket",
        "path": "/ws/secret/1",
        "scheme": "wss",
        "query_string": query.encode("latin1"),
        "headers": [(name.encode(), value.encode("latin1")) for name, value in found.items()],
        "client": ("203.0.113.7", 4711),
        **more,
    }


def session_of(user: User) -> dict[str, str]:
    browser = Browser()
    browser.force_login(user)
    return {django_settings.SESSION_COOKIE_NAME: browser.cookies[django_settings.SESSION_COOKIE_NAME].value}


def knock(library: Library, **how: Any) -> Admission:
    return admit(handshake(**how), f"secret/{library.pk}")


def code(document: str, **how: Any) -> int:
    with pytest.raises(Refused) as refusal:
        admit(handshake(**how), document)
    return refusal.value.code


# Who is it?


def test_nobody_is_not_authenticated(anchor: type[Anchor], library: Library) -> None:
    assert code(f"secret/{library.pk}") == CloseCode.NOT_AUTHENTICATED


def test_a_session_cookie_of_an_own_page(anchor: type[Anchor], library: Library, anna: User) -> None:
    admission = knock(library, cookies=session_of(anna), headers={"origin": OWN})
    assert admission.user == str(anna.pk)
    assert admission.document == f"secret/{library.pk}"
    assert f"secret/{library.pk}@" in admission.log


def test_a_session_that_ended_is_nobody(anchor: type[Anchor], library: Library, anna: User) -> None:
    cookies = session_of(anna)
    SessionStore(cookies[django_settings.SESSION_COOKIE_NAME]).flush()
    assert code(f"secret/{library.pk}", cookies=cookies, headers={"origin": OWN}) == CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize("classes", [None, [Bearer], [authentication.BasicAuthentication, Bearer]])
@pytest.mark.parametrize("where", ["query", "protocols", "both", "header"])
def test_a_token_is_presented_as_each_authenticator_expects_it(
    anchor: type[Anchor], library: Library, anna: User, classes: Any, where: str
) -> None:
    anchor.authentication_classes = classes
    token = Token.objects.create(user=anna).key
    how: dict[str, dict[str, Any]] = {
        "query": {"query": f"token={token}"},
        "protocols": {"protocols": f"rxcrdt, token.{token}"},
        "both": {"query": f"token={token}", "protocols": "token.wrong"},
        "header": {"headers": {"authorization": f"{'Token' if classes is None else 'Bearer'} {token}"}},
    }
    assert knock(library, **how[where]).user == str(anna.pk)


@pytest.mark.parametrize("query", ["token=wrong", "token=a%20b", "token=%C3%BC", "token=%FF", "token=a%0Ab", "token="])
def test_a_wrong_token_is_not_authenticated(anchor: type[Anchor], library: Library, query: str) -> None:
    assert code(f"secret/{library.pk}", query=query) == CloseCode.NOT_AUTHENTICATED


def test_a_token_does_not_take_the_place_of_a_real_header(anchor: type[Anchor], library: Library, anna: User) -> None:
    token = Token.objects.create(user=anna).key
    how = {"query": f"token={token}", "headers": {"authorization": "Token wrong"}}
    assert code(f"secret/{library.pk}", **how) == CloseCode.NOT_AUTHENTICATED


def test_basic_authentication_works_by_its_own_header(anchor: type[Anchor], library: Library, anna: User) -> None:
    anchor.authentication_classes = [authentication.BasicAuthentication]
    credentials = base64.b64encode(b"anna:anna").decode()
    assert knock(library, headers={"authorization": f"Basic {credentials}"}).user == str(anna.pk)


def test_authenticators_are_the_projects_own_objects(anchor: type[Anchor], library: Library, anna: User) -> None:
    """A permission class may ask which one succeeded."""
    anchor.authentication_classes = [authentication.SessionAuthentication, Bearer]
    request = knock(library, query=f"token={Token.objects.create(user=anna).key}").anchor.request
    assert request is not None
    assert type(request.successful_authenticator) is Bearer
    assert isinstance(request.auth, Token)


def test_a_project_without_sessions_and_with_its_own_asgi_middleware(
    anchor: type[Anchor], library: Library, anna: User
) -> None:
    assert knock(library, user=anna, session={}).user == str(anna.pk)


def test_the_testing_client_may_say_who_it_is(anchor: type[Anchor], library: Library, anna: User) -> None:
    assert knock(library, _force_auth_user=anna).user == str(anna.pk)


@pytest.mark.parametrize("query", ["\xff\xfe", "&".join(f"a{number}=" for number in range(2000))])
def test_a_malformed_query_is_refused(anchor: type[Anchor], library: Library, query: str) -> None:
    assert code(f"secret/{library.pk}", query=query) == CloseCode.MALFORMED


# Cookies and origins


@pytest.mark.parametrize("origin", [FOREIGN, "null", None])
def test_a_cookie_from_a_foreign_page_is_refused(
    anchor: type[Anchor], library: Library, anna: User, origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert code(f"secret/{library.pk}", cookies=session_of(anna), headers=headers) == CloseCode.FORBIDDEN


def test_a_cookie_from_a_foreign_page_is_refused_where_it_is_not_even_needed(
    anchor: type[Anchor], library: Library, anna: User
) -> None:
    anchor.permission_classes = [permissions.AllowAny]
    assert code(f"secret/{library.pk}", cookies=session_of(anna), headers={"origin": FOREIGN}) == CloseCode.FORBIDDEN


def test_a_wrong_token_does_not_smuggle_a_cookie_past_the_check(
    anchor: type[Anchor], library: Library, anna: User
) -> None:
    how = {"cookies": session_of(anna), "headers": {"origin": FOREIGN}, "query": "token=wrong"}
    assert code(f"secret/{library.pk}", **how) == CloseCode.FORBIDDEN


def test_a_token_works_from_any_page_and_the_cookies_beside_it_count_for_nothing(
    anchor: type[Anchor], library: Library, anna: User
) -> None:
    bert = User.objects.create_user("bert")
    anchor.authentication_classes = [Bearer, authentication.SessionAuthentication]
    admission = knock(
        library,
        query=f"token={Token.objects.create(user=bert).key}",
        cookies=session_of(anna),
        headers={"origin": FOREIGN},
    )
    assert admission.user == str(bert.pk)
    request = admission.anchor.request
    assert request is not None
    assert request.COOKIES == {}


def test_without_cookies_the_origin_does_not_matter(anchor: type[Anchor], library: Library, anna: User) -> None:
    token = Token.objects.create(user=anna).key
    assert knock(library, query=f"token={token}", headers={"origin": FOREIGN}).user == str(anna.pk)
    anchor.permission_classes = [permissions.AllowAny]
    assert knock(library, headers={"origin": FOREIGN}).user is None


def test_cookies_that_authenticate_nobody_are_kept_from_permissions_of_foreign_pages(
    anchor: type[Anchor], library: Library
) -> None:
    """A guest's session can open doors, too."""

    class IsGuest(permissions.BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            return bool(request.session.get("guest"))

    anchor.permission_classes = [IsGuest]
    session = SessionStore()
    session["guest"] = True
    session.save()
    cookies = {django_settings.SESSION_COOKIE_NAME: str(session.session_key)}
    assert knock(library, cookies=cookies, headers={"origin": OWN}).user is None
    assert code(f"secret/{library.pk}", cookies=cookies, headers={"origin": FOREIGN}) == CloseCode.NOT_AUTHENTICATED


@override_settings(RXCRDT={"STORE": "memory://", "ALLOWED_ORIGINS": [FOREIGN]})
def test_the_allowed_origins_are_a_setting(anchor: type[Anchor], library: Library, anna: User) -> None:
    assert knock(library, cookies=session_of(anna), headers={"origin": FOREIGN}).user == str(anna.pk)
    assert code(f"secret/{library.pk}", cookies=session_of(anna), headers={"origin": OWN}) == CloseCode.FORBIDDEN


# May he?


def test_permissions_see_a_get_request_and_a_view(anchor: type[Anchor], library: Library, anna: User) -> None:
    seen: dict[str, Any] = {}

    class Looks(permissions.BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            seen.update(
                method=request.method,
                user=request.user,
                page=request.query_params["page"],
                agent=request.headers["User-Agent"],
                cookie=request.COOKIES["flavour"],
                address=request.META["REMOTE_ADDR"],
                session=request.session.session_key,
                data=request.data,
                secure=request.is_secure(),
                action=view.action,
                kwargs=view.kwargs,
                model=view.get_queryset().model,
            )
            return True

        def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
            seen.update(row=obj, same=view.get_object())
            return True

    anchor.permission_classes = [Looks]
    session = session_of(anna)
    knock(
        library,
        query="page=2",
        cookies={**session, "flavour": "ginger"},
        headers={"origin": OWN, "user-agent": "tests"},
    )
    assert seen == {
        "method": "GET",
        "user": anna,
        "page": "2",
        "agent": "tests",
        "cookie": "ginger",
        "address": "203.0.113.7",
        "session": session[django_settings.SESSION_COOKIE_NAME],
        "data": {},
        "secure": True,
        "action": "retrieve",
        "kwargs": {"pk": str(library.pk)},
        "model": Library,
        "row": library,
        "same": library,
    }


def asking(has_permission: Any = True, has_object_permission: Any = True) -> type[permissions.BasePermission]:
    """A permission class with these answers; an exception is raised."""

    def answer(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    class Asked(permissions.BasePermission):
        message = "Ask the librarian."

        def has_permission(self, request: Any, view: Any) -> bool:
            return bool(answer(has_permission))

        def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
            return bool(answer(has_object_permission))

    return Asked


ANSWERS = [
    (False, CloseCode.FORBIDDEN),
    (exceptions.NotAuthenticated(), CloseCode.NOT_AUTHENTICATED),
    (exceptions.PermissionDenied(), CloseCode.FORBIDDEN),
    (PermissionDenied(), CloseCode.FORBIDDEN),
    (Http404(), CloseCode.NOT_FOUND),
    (exceptions.NotFound(), CloseCode.NOT_FOUND),
    (exceptions.Throttled(), CloseCode.TOO_MANY),
    (ZeroDivisionError(), CloseCode.FORBIDDEN),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS, ids=[repr(answer) for answer, _ in ANSWERS])
@pytest.mark.parametrize("when", ["has_permission", "has_object_permission"])
def test_what_permissions_say_becomes_a_close_code(
    anchor: type[Anchor], library: Library, anna: User, answer: Any, expected: int, when: str
) -> None:
    anchor.permission_classes = [asking(**{when: answer})]
    assert code(f"secret/{library.pk}", _force_auth_user=anna) == expected


def test_all_permissions_must_agree(anchor: type[Anchor], library: Library, anna: User) -> None:
    anchor.permission_classes = [asking(), asking(has_object_permission=False), asking()]
    assert code(f"secret/{library.pk}", _force_auth_user=anna) == CloseCode.FORBIDDEN


def test_an_exception_in_a_permission_class_is_logged(
    anchor: type[Anchor], library: Library, anna: User, caplog: pytest.LogCaptureFixture
) -> None:
    anchor.permission_classes = [asking(ZeroDivisionError())]
    code(f"secret/{library.pk}", _force_auth_user=anna)
    assert "ZeroDivisionError" in caplog.text


def test_permissions_that_cannot_be_made_refuse(anchor: type[Anchor], library: Library, anna: User) -> None:
    anchor.permission_classes = None
    assert code(f"secret/{library.pk}", _force_auth_user=anna) == CloseCode.FORBIDDEN


def test_a_denied_stranger_is_asked_who_he_is(anchor: type[Anchor], library: Library) -> None:
    anchor.permission_classes = [asking(has_object_permission=False)]
    assert code(f"secret/{library.pk}") == CloseCode.NOT_AUTHENTICATED
    anchor.authentication_classes = []  # there is no way to say it
    assert code(f"secret/{library.pk}") == CloseCode.FORBIDDEN


def test_a_database_that_fails_decides_nothing(anchor: type[Anchor], library: Library, anna: User) -> None:
    anchor.permission_classes = [asking(OperationalError("gone away"))]
    with pytest.raises(OperationalError):
        knock(library, _force_auth_user=anna)


# Is there such a row?

NO_DOCUMENTS = [
    "",
    "secret",
    "secret/",
    "/1",
    "unknown/1",
    "secret/4711",
    "secret/abc",
    "secret/1/2",
    "secret/-1",
    "secret/" + "9" * 30,
    "secret/\x00",
    "secret/ü",
    "secret/'; DROP TABLE",
    "secret/" + "x" * 5000,
]


@pytest.mark.parametrize("document", NO_DOCUMENTS, ids=[name[:20] or "nothing" for name in NO_DOCUMENTS])
def test_what_does_not_exist_is_not_found(anchor: type[Anchor], anna: User, document: str) -> None:
    assert code(document, _force_auth_user=anna) == CloseCode.NOT_FOUND


def test_the_order_is_that_of_drf(anchor: type[Anchor], library: Library, anna: User) -> None:
    """Whoever may not ask does not learn what exists."""
    assert code("secret/4711") == CloseCode.NOT_AUTHENTICATED
    anchor.permission_classes = [asking(has_permission=False)]
    assert code("secret/4711", _force_auth_user=anna) == CloseCode.FORBIDDEN
    anchor.permission_classes = [asking(has_object_permission=False)]
    assert code("secret/4711", _force_auth_user=anna) == CloseCode.NOT_FOUND
    assert code(f"secret/{library.pk}", _force_auth_user=anna) == CloseCode.FORBIDDEN


def test_what_is_not_in_the_users_queryset_is_not_found(
    anchor: type[Anchor], library: Library, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def own(self: Anchor) -> QuerySet[Library]:
        return Library.objects.filter(name=self.user.username)

    monkeypatch.setattr(anchor, "get_queryset", own)
    assert code(f"secret/{library.pk}", _force_auth_user=anna) == CloseCode.NOT_FOUND
    anna.username = library.name
    assert knock(library, _force_auth_user=anna).user == str(anna.pk)
