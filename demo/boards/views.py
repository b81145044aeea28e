"""HTTP gives the empty page and a session. What is on a board comes through the socket."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from boards.models import Board

__all__ = ["Login", "board_page", "home"]


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Leads to the first board of this user; without one, to a page that says so."""
    first = Board.objects.filter(members=request.user.pk).order_by("pk").first()
    return redirect("board", pk=first.pk) if first else _page(request, None)


@login_required
def board_page(request: HttpRequest, pk: str) -> HttpResponse:
    """The page of a board. It answers for any `pk`: who may see the board is decided by its anchor."""
    return _page(request, pk)


def _page(request: HttpRequest, pk: str | None) -> HttpResponse:
    user = request.user
    assert user.is_authenticated
    boards = Board.objects.filter(members=user.pk).values("id", "name")
    person = {"id": user.pk, "name": user.get_full_name() or user.get_username(), "staff": user.is_staff}
    return render(request, "boards/page.html", {"start": {"user": person, "board": pk, "boards": list(boards)}})


class Login(LoginView):
    """Django's login. Being a demo, it names the accounts and fills one in."""

    template_name = "boards/login.html"
    initial = {"username": "mira"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds the seeded people, for one click each."""
        people = get_user_model()._default_manager.filter(is_active=True).order_by("pk")
        return super().get_context_data(people=people, password="demo", **kwargs)  # noqa: S106
