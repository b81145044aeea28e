"""What the server of the tests answers over HTTP: the admin, where tests save and sign in."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
