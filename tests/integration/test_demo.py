"""The demo's rows, its pages for people who are signed in, and its documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIRequestFactory

import rxcrdt
from boards.models import Board, Column, Task
from boards.permissions import IsBoardMember
from boards.seeding.planting import plant
from boards.serializers import BoardSerializer

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


def _contents() -> bytes:
    boards = [BoardSerializer(board).data for board in Board.objects.all()]
    rendered: bytes = JSONRenderer().render(boards)
    return rendered


@pytest.fixture
def seeded(db: None) -> None:
    plant(NOW)


@pytest.mark.django_db
def test_seeding_gives_the_same_rows_every_time() -> None:
    assert plant(NOW) > 200
    before = json.loads(_contents())
    Board.objects.all().delete()
    User.objects.all().delete()
    plant(NOW)
    assert _without_keys(json.loads(_contents())) == _without_keys(before)


def _without_keys(value: object) -> object:
    """Primary keys go on counting where the deleted rows ended."""
    if isinstance(value, dict):
        return {key: _without_keys(item) for key, item in value.items() if key != "id"}
    return [_without_keys(item) for item in value] if isinstance(value, list) else value


@pytest.mark.usefixtures("seeded")
def test_the_command_seeds_an_empty_database_only() -> None:
    boards = Board.objects.count()
    call_command("seed", "--if-empty", stdout=StringIO())
    with pytest.raises(CommandError, match="boards already"):
        call_command("seed", stdout=StringIO())
    assert Board.objects.count() == boards


@pytest.mark.usefixtures("seeded")
def test_each_board_is_the_document_that_its_serializer_gives() -> None:
    for board in Board.objects.all():
        rendered = JSONRenderer().render(BoardSerializer(board).data)
        assert json.dumps(rxcrdt.snapshot("board", board.pk)) == json.dumps(json.loads(rendered))


@pytest.mark.usefixtures("seeded")
def test_a_new_task_goes_to_the_end_of_its_column() -> None:
    column = Column.objects.get(board__name="Website relaunch", name="Next")
    task = Task.objects.create(column=column, title="Last")
    assert list(column.tasks.all())[-1] == task


@pytest.mark.usefixtures("seeded")
def test_only_members_may_see_a_board() -> None:
    board, permission = Board.objects.get(name="Office move"), IsBoardMember()
    request = APIRequestFactory().get("/")
    for name, may in (("leila", True), ("jonas", False)):
        request.user = User.objects.get(username=name)
        assert permission.has_permission(request, None)
        assert permission.has_object_permission(request, None, board) is may
    request.user = AnonymousUser()
    assert not permission.has_permission(request, None)


@pytest.mark.usefixtures("seeded")
@pytest.mark.urls("project.urls")
@override_settings(LOGIN_URL="login", LOGIN_REDIRECT_URL="home")
def test_the_page_is_for_people_who_are_signed_in(client: Client) -> None:
    board = Board.objects.get(name="Website relaunch")
    assert client.get("/").headers["Location"] == "/login/?next=/"
    login = client.post("/login/", {"username": "jonas", "password": "demo", "next": "/"})
    assert login.headers["Location"] == "/"
    assert client.get("/").headers["Location"] == f"/boards/{board.pk}/"
    page = client.get(f"/boards/{board.pk}/")
    assert {"id": board.pk, "name": board.name} in page.context["start"]["boards"]
    assert "Office move" not in page.content.decode()
