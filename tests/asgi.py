"""The application that `tests.servers.running_uvicorn` serves: the admin, and every anchor of the tests."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
http = get_asgi_application()

from rxcrdt.asgi import websocket_application  # noqa: E402 - the apps must be loaded first

application = ProtocolTypeRouter({"http": http, "websocket": websocket_application()})
