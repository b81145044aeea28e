"""The system checks: for every mistake one message, with the next step; none for what is right."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.core.checks import CheckMessage, run_checks
from django.db import models
from django.test import override_settings
from django.urls import path
from rest_framework import serializers
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated

import rxcrdt.asgi
from boards.models import Board, Column, Task
from rxcrdt import Anchor, Layer
from rxcrdt.checks.routing import Route, route_of
from rxcrdt.registry import registry
from tests.servers import redis_server
from tests.testapp.models import Book

SQLITE = {"STORE": "sqlite:////nowhere/documents.sqlite3"}
REDIS = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}}
IN_MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


def found(deploy: bool = False) -> dict[str, CheckMessage]:
    """What our checks say, by id; each id once. The library's models have Django's own managers, as always."""
    messages = [
        message
        for message in run_checks(tags=["rxcrdt"], include_deployment_checks=deploy)
        if message.id != "rxcrdt.W012"
    ]
    assert len({message.id for message in messages}) == len(messages), messages
    return {str(message.id): message for message in messages}


def of_settings(deploy: bool = False, **settings: Any) -> dict[str, CheckMessage]:
    with override_settings(**{"CHANNEL_LAYERS": REDIS, "RXCRDT": SQLITE, **settings}):
        return found(deploy)


@contextmanager
def registered(anchor: type[Anchor]) -> Iterator[None]:
    """As ``@register`` does, but without listening to its models."""
    listening, registry.on_change = registry.on_change, lambda: None
    registry.register(anchor)
    try:
        yield
    finally:
        registry.unregister(anchor)
        registry.on_change = listening


def of_anchor(serializer: Any, **attributes: Any) -> dict[str, CheckMessage]:
    """What the checks say of an anchor of boards with these attributes, and that they name it."""
    defaults = {
        "name": "checked",
        "queryset": Board.objects.all(),
        "serializer_class": serializer,
        "permission_classes": [AllowAny],
    }
    anchor = type("CheckedAnchor", (Anchor,), {**defaults, **attributes})
    with registered(anchor):
        messages = of_settings()
    assert all(message.obj == f"{__name__}.CheckedAnchor" for message in messages.values())
    return messages


class TaskSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    class Meta:
        model = Task
        fields = ["id", "title"]


class ColumnSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    tasks = TaskSerializer(many=True, read_only=True)

    class Meta:
        model = Column
        fields = ["id", "name", "tasks"]


class BoardSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    columns = ColumnSerializer(many=True, read_only=True)

    class Meta:
        model = Board
        fields = ["id", "name", "columns"]


def test_nothing_is_said_of_what_is_right() -> None:
    assert of_settings() == {}
    layers = {ColumnSerializer: Layer(name="Lane"), TaskSerializer: Layer()}
    assert of_anchor(BoardSerializer, layers=layers, permission_classes=[IsAuthenticated | IsAdminUser]) == {}
    assert of_anchor(BoardSerializer, lookup_field="id") == {}


def test_every_message_says_the_next_step() -> None:
    messages = [
        *of_settings(RXCRDT={"STORAGE": 1}).values(),
        *of_settings(RXCRDT={"STORE": "memory://"}).values(),
        *of_anchor(
            None, permission_classes=None, lookup_field="slug", layers={TaskSerializer: Layer(write={"x"})}
        ).values(),
    ]
    assert len(messages) == 6
    assert all(message.hint and message.msg.endswith(".") for message in messages)


# Anchors


def test_an_anchor_without_permission_classes() -> None:
    messages = of_anchor(BoardSerializer, permission_classes=None)
    assert messages["rxcrdt.E002"].msg == "It has no permission_classes."
    assert "[AllowAny]" in str(messages["rxcrdt.E002"].hint)


def test_permission_classes_that_are_no_list_of_classes() -> None:
    assert list(of_anchor(BoardSerializer, permission_classes=AllowAny)) == ["rxcrdt.E002"]
    assert list(of_anchor(BoardSerializer, permission_classes=["AllowAny"])) == ["rxcrdt.E002"]


def test_empty_permission_classes() -> None:
    assert list(of_anchor(BoardSerializer, permission_classes=[])) == ["rxcrdt.W007"]


def test_a_serializer_that_is_no_model_serializer() -> None:
    class Plain(serializers.Serializer[Any]):
        name = serializers.CharField()

    for wrong in (Plain, None, BoardSerializer(), "BoardSerializer"):
        assert list(of_anchor(wrong)) == ["rxcrdt.E003"]


def test_two_layers_of_one_name() -> None:
    class Task(TaskSerializer):  # "Task", as TaskSerializer is
        pass

    class LaneSerializer(ColumnSerializer):
        tasks = TaskSerializer(many=True, read_only=True)
        first = Task(source="tasks.first", read_only=True)

        class Meta(ColumnSerializer.Meta):
            fields = ["id", "tasks", "first"]

    class Serializer(BoardSerializer):
        columns = LaneSerializer(many=True, read_only=True)

    message = of_anchor(Serializer)["rxcrdt.E004"]
    assert "would both be the layer 'Task'" in message.msg
    assert message.hint == "Name one of them: layers = {Task: Layer(name=…)}, see docs/anchors.md."
    assert of_anchor(Serializer, layers={Task: Layer(name="First")}) == {}


def test_a_field_that_depends_on_a_relation_that_is_none() -> None:
    class Serializer(BoardSerializer):
        size = serializers.SerializerMethodField()

        class Meta(BoardSerializer.Meta):
            fields = ["id", "size"]

        @rxcrdt.depends_on("collums")
        def get_size(self, board: Board) -> int:
            return 0

    assert "no relation 'collums'" in of_anchor(Serializer)["rxcrdt.E004"].msg


@pytest.mark.parametrize("name", ["rxcrdt", "Board.columns", "Column.tasks"])
def test_a_layer_named_like_another_table(name: str) -> None:
    message = of_anchor(BoardSerializer, layers={TaskSerializer: Layer(name=name)})["rxcrdt.E005"]
    assert f"TaskSerializer would be the layer '{name}'" in message.msg


def test_a_serializer_that_cannot_be_introspected() -> None:
    class Serializer(BoardSerializer):
        class Meta(BoardSerializer.Meta):
            fields = ["id", "colour"]

    message = of_anchor(Serializer)["rxcrdt.E006"]
    assert "ImproperlyConfigured: Field name `colour` is not valid" in message.msg


def test_an_entry_in_layers_for_a_serializer_that_is_no_layer() -> None:
    class Elsewhere(TaskSerializer):
        pass

    message = of_anchor(BoardSerializer, layers={Elsewhere: Layer()})["rxcrdt.E007"]
    assert "Elsewhere" in message.msg
    assert "BoardSerializer, ColumnSerializer, TaskSerializer" in str(message.hint)


def test_an_entry_in_layers_that_is_no_layer() -> None:
    assert list(of_anchor(BoardSerializer, layers={TaskSerializer: {"name": "T"}})) == ["rxcrdt.E007"]
    assert list(of_anchor(BoardSerializer, layers={"TaskSerializer": Layer()})) == ["rxcrdt.E007"]


@pytest.mark.parametrize(
    "option",
    [
        {"write": {"update"}},
        {"text": {"title"}},
        {"order_by": "position"},
        {"permission_classes": [IsAuthenticated]},
    ],
)
def test_options_of_a_layer_that_do_nothing_yet(option: dict[str, Any]) -> None:
    message = of_anchor(BoardSerializer, layers={TaskSerializer: Layer(**option)})["rxcrdt.W006"]
    assert f"layers[TaskSerializer] sets {next(iter(option))}, which has no effect in this version" in message.msg


def test_a_lookup_field_that_is_none() -> None:
    assert (
        "'slug', which is no field of boards.Board"
        in of_anchor(BoardSerializer, lookup_field="slug")["rxcrdt.E008"].msg
    )


def test_a_lookup_field_that_is_not_unique() -> None:
    assert list(of_anchor(BoardSerializer, lookup_field="name")) == ["rxcrdt.W008"]


def test_an_anchor_without_a_queryset() -> None:
    assert list(of_anchor(BoardSerializer, queryset=None)) == ["rxcrdt.E009"]
    assert list(of_anchor(BoardSerializer, queryset=None, lookup_field="slug")) == ["rxcrdt.E009"]


def test_a_serializer_of_another_model() -> None:
    message = of_anchor(BoardSerializer, queryset=Column.objects.all())["rxcrdt.E009"]
    assert message.msg == "queryset has rows of boards.Column, and serializer_class shows those of boards.Board."


# Settings


def test_a_key_that_rxcrdt_does_not_know() -> None:
    message = of_settings(RXCRDT={**SQLITE, "POLL": 1})["rxcrdt.E001"]
    assert message.msg == "RXCRDT has no setting 'POLL'."
    assert "POLL_SECONDS" in str(message.hint)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("STORE", 5),
        ("STORE", "redis://localhost?nonsense=1"),
        ("STORE", "mysql://localhost"),
        ("PATH", "ws"),
        ("PATH", None),
        ("ALLOWED_ORIGINS", "https://example.com"),
        ("ALLOWED_ORIGINS", [b"https://example.com"]),
        ("NAMESPACE", "a|b"),
        ("NAMESPACE", 7),
        ("IN_NAMESPACE", 7),
        ("IN_NAMESPACE", "tests.nowhere.as_tenant"),
        ("BASE_URL", "example.com"),
        ("BASE_URL", None),
        ("CHANNEL_LAYER", "other"),
        ("POLL_SECONDS", 0),
        ("POLL_SECONDS", "5"),
        ("RECONCILE_SECONDS", -1),
        ("LEASE_SECONDS", None),
        ("RETRY_SECONDS", True),
        ("RETENTION_SECONDS", 0),
        ("RETENTION_SECONDS", "1d"),
        ("RETENTION_SECONDS", 179),
        ("EVICT_TEXT", 1),
        ("MAX_SOCKETS", 1.5),
        ("THREADS", 0),
    ],
)
def test_a_value_that_cannot_work(key: str, value: Any) -> None:
    messages = of_settings(RXCRDT={**SQLITE, key: value})
    assert list(messages) == ["rxcrdt.E001"]
    assert key in messages["rxcrdt.E001"].msg or repr(value)[1:6] in messages["rxcrdt.E001"].msg


@pytest.mark.parametrize("value", [None, [], "memory://"])
def test_settings_that_are_no_dictionary(value: Any) -> None:
    assert list(of_settings(RXCRDT=value)) == ["rxcrdt.E001"]


def test_settings_of_every_kind_that_work() -> None:
    settings = {
        **SQLITE,
        "PATH": "/live/",
        "ALLOWED_ORIGINS": ("https://example.com",),
        "NAMESPACE": lambda: "tenant",
        "IN_NAMESPACE": "contextlib.nullcontext",
        "BASE_URL": "https://example.com",
        "POLL_SECONDS": 1,
        "MAX_SOCKETS": 5,
        "RETENTION_SECONDS": 86400,
        "EVICT_TEXT": True,
    }
    assert of_settings(RXCRDT=settings) == {}


def test_tenants_that_nobody_makes_the_current_one() -> None:
    of_threads = {**SQLITE, "NAMESPACE": lambda: "tenant"}
    assert "IN_NAMESPACE" in of_settings(RXCRDT=of_threads)["rxcrdt.E010"].msg
    assert of_settings(RXCRDT={**of_threads, "IN_NAMESPACE": nullcontext}) == {}
    assert of_settings(RXCRDT={**SQLITE, "NAMESPACE": "of this process"}) == {}


def test_bad_settings_are_told_once_and_keep_the_other_checks_from_guessing() -> None:
    with registered(type("Unfinished", (Anchor,), {"name": "checked", "queryset": Board.objects.all()})):
        assert list(of_settings(RXCRDT={"STORE": "redis://localhost?nonsense=1"}, DEBUG=False)) == ["rxcrdt.E001"]


def test_origins_that_let_everybody_in() -> None:
    everybody = {**SQLITE, "ALLOWED_ORIGINS": ["*"]}
    assert "RXCRDT['ALLOWED_ORIGINS'] has '*'" in of_settings(RXCRDT=everybody, DEBUG=True)["rxcrdt.W005"].msg
    assert "ALLOWED_HOSTS" in of_settings(ALLOWED_HOSTS=["*"])["rxcrdt.W005"].msg
    assert of_settings(ALLOWED_HOSTS=["*"], DEBUG=True) == {}


def test_a_retention_within_which_open_documents_look_unused() -> None:
    message = of_settings(RXCRDT={**SQLITE, "RETENTION_SECONDS": 60})["rxcrdt.E001"]
    assert "open ones would look unused, and be evicted" in message.msg
    assert "Set it to 180 or more" in str(message.hint)
    assert of_settings(RXCRDT={**SQLITE, "RETENTION_SECONDS": 180}) == {}


# Several processes


def test_a_store_in_memory_with_debug_off() -> None:
    memory = {"STORE": "memory://", "RECONCILE_SECONDS": 30}
    message = of_settings(RXCRDT=memory)["rxcrdt.W004"]
    assert "every 30 s" in message.msg
    assert of_settings(RXCRDT=memory, DEBUG=True) == {}


@pytest.mark.parametrize("layers", [IN_MEMORY, {}])
def test_a_channel_layer_in_memory_or_none_with_debug_off(layers: dict[str, Any]) -> None:
    message = of_settings(CHANNEL_LAYERS=layers)["rxcrdt.W003"]
    assert "after up to 0.1 s" in message.msg, "an SQLite file is polled ten times a second"
    assert of_settings(CHANNEL_LAYERS=layers, DEBUG=True) == {}


def test_the_channel_layer_meant_is_the_one_of_the_settings() -> None:
    layers = {"default": REDIS["default"], "other": IN_MEMORY["default"]}
    assert of_settings(CHANNEL_LAYERS=layers) == {}
    message = of_settings(CHANNEL_LAYERS=layers, RXCRDT={**SQLITE, "CHANNEL_LAYER": "other"})["rxcrdt.W003"]
    assert "The channel layer 'other' is in memory" in message.msg


def test_a_channel_layer_that_is_not_installed() -> None:
    message = of_settings(CHANNEL_LAYERS={"default": {"BACKEND": "channels_rabbits.Layer"}})["rxcrdt.W003"]
    assert "cannot be imported: ModuleNotFoundError" in message.msg


def test_looking_at_the_store_creates_no_file(tmp_path: Path) -> None:
    assert of_settings(RXCRDT={"STORE": f"sqlite:///{tmp_path}/documents.sqlite3"}) == {}
    assert list(tmp_path.iterdir()) == []


# The store's server: asked when deploying only


def of_server(*options: str, user: str = "") -> dict[str, CheckMessage]:
    """What the checks of a deploy say of a Redis that was started with these options."""
    with redis_server(options=options) as server:
        return of_settings(True, RXCRDT={"STORE": server.url.replace("//", f"//{user}")})


@pytest.mark.redis
def test_a_server_that_may_evict_what_documents_need() -> None:
    messages = of_server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes")
    assert list(messages) == ["rxcrdt.W009"]
    message = messages["rxcrdt.W009"]
    assert "maxmemory-policy 'allkeys-lru'" in message.msg
    assert "not told of changes" in message.msg, "what could happen"
    assert "noeviction" in str(message.hint)


@pytest.mark.redis
def test_a_server_that_saves_nothing() -> None:
    messages = of_server("--maxmemory-policy", "noeviction", "--save", "", "--appendonly", "no")
    assert list(messages) == ["rxcrdt.W010"]
    assert "built from the database again" in messages["rxcrdt.W010"].msg, "what could happen"
    assert "appendonly" in str(messages["rxcrdt.W010"].hint)


@pytest.mark.redis
@pytest.mark.parametrize("saving", [["--appendonly", "yes"], ["--save", "3600", "1"]])
def test_nothing_is_said_of_a_server_that_is_set_up_well(saving: list[str]) -> None:
    assert of_server("--maxmemory-policy", "noeviction", *saving) == {}


@pytest.mark.redis
def test_what_a_server_does_not_tell_is_not_guessed() -> None:
    """Services often forbid CONFIG: whether there are save points is not known then."""
    user = ["--user", "app", "on", ">secret", "~*", "&*", "+@all", "-config"]
    assert of_server(*user, "--save", "", "--appendonly", "no", user="app:secret@") == {}


@pytest.mark.redis
def test_a_server_that_cannot_be_reached() -> None:
    with redis_server() as server:
        settings = {"STORE": server.url}
    message = of_settings(True, RXCRDT=settings)["rxcrdt.W011"]
    assert message.msg.startswith("The document store cannot be reached. Saves are committed all the same")
    assert f"{server.port}" in message.msg
    assert "Start it, or correct RXCRDT['STORE']" in str(message.hint)


@pytest.mark.redis
def test_without_a_deploy_no_check_connects() -> None:
    with redis_server() as server:
        settings = {"STORE": server.url}
        assert of_settings(RXCRDT=settings) == {}
    assert of_settings(RXCRDT=settings) == {}, "it is not there any more, and nobody asked"


@pytest.mark.redis
def test_settings_that_cannot_be_read_keep_the_check_from_connecting() -> None:
    with redis_server() as server:
        assert list(of_settings(True, RXCRDT={"STORE": server.url, "POLL": 1})) == ["rxcrdt.E001"]


def test_looking_at_the_store_when_deploying_creates_no_file(tmp_path: Path) -> None:
    assert of_settings(True, RXCRDT={"STORE": f"sqlite:///{tmp_path}/documents.sqlite3"}) == {}
    assert list(tmp_path.iterdir()) == []


# The route


class Consumer(WebsocketConsumer):  # type: ignore[misc]
    """Somebody else's."""


def ours() -> Any:
    return rxcrdt.asgi.websocket_application()


def routed(*routes: Any) -> Any:
    return ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter(list(routes))})


class Wrapped:
    """Middleware, as Starlette writes it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def logged(inner: Any) -> Any:
    """Middleware as a function."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    return application


async def opaque(scope: Any, receive: Any, send: Any) -> None:
    await ours()(scope, receive, send)


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        (ours(), Route.FOUND),
        (ProtocolTypeRouter({"websocket": ours()}), Route.FOUND),
        (routed(path("chat/", Consumer.as_asgi()), *rxcrdt.asgi.websocket_urlpatterns), Route.FOUND),
        (
            ProtocolTypeRouter(
                {
                    "websocket": AllowedHostsOriginValidator(
                        AuthMiddlewareStack(URLRouter(rxcrdt.asgi.websocket_urlpatterns))
                    )
                }
            ),
            Route.FOUND,
        ),
        (Wrapped(logged(functools.partial(ours()))), Route.FOUND),
        (get_asgi_application(), Route.MISSING),
        (ASGIStaticFilesHandler(get_asgi_application()), Route.MISSING),
        (ProtocolTypeRouter({"http": ours()}), Route.MISSING),
        (routed(path("chat/", Consumer.as_asgi())), Route.MISSING),
        (Wrapped(logged(get_asgi_application())), Route.MISSING),
        (ProtocolTypeRouter({"websocket": opaque}), Route.UNKNOWN),
    ],
)
def test_the_route_to_rxcrdt_is_found_through_routers_and_middleware(application: Any, expected: Route) -> None:
    assert route_of(application) is expected


without_route = get_asgi_application()
beyond_sight = opaque


def test_no_route() -> None:
    message = of_settings(ASGI_APPLICATION=f"{__name__}.without_route")["rxcrdt.W002"]
    assert "do not lead to rxcrdt" in message.msg
    assert "websocket_application()" in str(message.hint)


def test_nothing_is_said_of_a_route_that_cannot_be_seen() -> None:
    assert of_settings(ASGI_APPLICATION=f"{__name__}.beyond_sight") == {}


def test_no_application() -> None:
    assert "not set" in of_settings(ASGI_APPLICATION=None)["rxcrdt.W001"].msg
    assert "ModuleNotFoundError" in of_settings(ASGI_APPLICATION="no.such.application")["rxcrdt.W001"].msg


# Managers


def of_managers() -> CheckMessage | None:
    with override_settings(CHANNEL_LAYERS=REDIS, RXCRDT=SQLITE):
        return next((message for message in run_checks(tags=["rxcrdt"]) if message.id == "rxcrdt.W012"), None)


def test_models_whose_bulk_writes_nobody_tells_of_are_named_once() -> None:
    message = of_managers()
    assert message is not None
    assert "testapp.Book, testapp.Charter" in message.msg
    assert "testapp.Review" in message.msg, "a through model"
    assert "testapp.Chapter" not in message.msg, "its manager is an AnchoredManager"
    assert "auth.User" not in message.msg, "the demo's boards show it, but it is not theirs to change"
    assert "testapp.Book_genres" not in message.msg, "nobody writes it by itself"
    assert "testapp.Stranger" not in message.msg
    assert "AnchoredManager()" in str(message.hint)
    assert "base_manager_name" in str(message.hint)


@pytest.mark.parametrize("how", ["a manager", "from_queryset", "a queryset's as_manager", "get_queryset"])
def test_any_way_to_an_anchored_queryset_will_do(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(models.QuerySet[Any]):
        pass

    class Own(models.Manager[Any]):
        def get_queryset(self) -> Any:
            return rxcrdt.AnchoredQuerySet(Book)

    manager: Any = {
        "a manager": rxcrdt.AnchoredManager,
        "from_queryset": rxcrdt.AnchoredManager.from_queryset(Plain),
        "a queryset's as_manager": rxcrdt.AnchoredQuerySet.as_manager,
        "get_queryset": Own,
    }[how]()
    monkeypatch.setitem(Book._meta.__dict__, "default_manager", manager)
    message = of_managers()
    assert message is not None
    assert "testapp.Book" not in message.msg


def test_a_manager_that_needs_a_request_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class OfTheTenant(models.Manager[Any]):
        def get_queryset(self) -> Any:
            raise RuntimeError("no tenant")

    monkeypatch.setitem(Book._meta.__dict__, "default_manager", OfTheTenant())
    message = of_managers()
    assert message is not None
    assert "testapp.Book," in message.msg
