"""Where hyperlinks of generated serializers lead."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.oracle.schemas import MODELS


def _detail(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse(pk)


urlpatterns = [path(f"{name.lower()}/<path:pk>/", _detail, name=f"{name.lower()}-detail") for name in MODELS]
