"""The demo's addresses over HTTP. Documents have none here: `rxcrdt.asgi` finds them by their names."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("boards.urls")),
]
