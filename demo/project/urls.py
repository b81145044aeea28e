"""The demo's addresses over HTTP. Documents have none here: `rxcrdt.asgi` finds them by their names."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url="/static/icon.svg")),
    path("", include("boards.urls")),
]
