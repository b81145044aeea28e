"""Settings of the demo. It needs no server beside itself: SQLite holds the rows and the documents.

``DEMO_FOLDER`` moves both files elsewhere, ``DEMO_HOST`` is an address that the demo is opened under,
``DEMO_REDIS`` the URL of a Redis server for the channel layer, so that other processes need not be polled.
"""

import os
from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("DEMO_FOLDER", BASE_DIR / "var"))
DATA.mkdir(parents=True, exist_ok=True)

SECRET_KEY = "a demo keeps no secrets"  # noqa: S105 - and its logins stand on the login page
DEBUG = True
_host = os.environ.get("DEMO_HOST", "localhost")
# 0.0.0.0 means: from another device, by an address that we cannot know.
ALLOWED_HOSTS = ["*"] if _host == "0.0.0.0" else ["localhost", "127.0.0.1", "[::1]", _host]  # noqa: S104
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "page" / "dist"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "rxcrdt",
    "boards",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "demo.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",  # writers of two processes wait for each other
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}

RXCRDT = {"STORE": f"sqlite:///{DATA / 'documents.sqlite3'}"}

CHANNEL_LAYERS: dict[str, Any] = {}
if "DEMO_REDIS" in os.environ:
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [os.environ["DEMO_REDIS"]]},
    }
