"""One application for both: pages over HTTP, documents over WebSockets."""

import os

from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
http = ASGIStaticFilesHandler(get_asgi_application())

import rxcrdt.asgi  # noqa: E402 - Django's apps must be loaded before

application = ProtocolTypeRouter({"http": http, "websocket": rxcrdt.asgi.websocket_application()})
