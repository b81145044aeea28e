"""Django settings of the tests.

Three environment variables choose what stands behind them, so that a child process of a test sees the same:

- ``RXCRDT_TEST_DATABASE``: unset is an SQLite file of this run; ``postgresql`` starts a PostgreSQL server of
  this run; otherwise a URL (``sqlite:////absolute/path``, ``postgresql://user@host:port/name``).
- ``RXCRDT_TEST_STORE``: the URL of the document store; unset is ``memory://``.
- ``RXCRDT_TEST_REDIS``: the URL of a Redis server for the channel layer; unset is no channel layer at all.
"""

import os
from pathlib import Path
from typing import Any

from tests.databases import database

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = "a key for tests only"
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.urls"
ASGI_APPLICATION = "tests.asgi.application"
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
# Hashing a password with the default takes longer than the test that needs a user.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "rxcrdt",
    "boards",
    "tests.shapes",
    "tests.testapp",
]

# Test apps have no migrations, and one of them points at these: all tables are made at once, which is faster too.
MIGRATION_MODULES = dict.fromkeys(["admin", "auth", "authtoken", "boards", "contenttypes", "sessions"])

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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

DATABASES: dict[str, dict[str, Any]] = {"default": database(os.environ.get("RXCRDT_TEST_DATABASE"))}

RXCRDT: dict[str, Any] = {"STORE": os.environ.get("RXCRDT_TEST_STORE", "memory://")}

CHANNEL_LAYERS: dict[str, Any] = {}
if "RXCRDT_TEST_REDIS" in os.environ:
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [os.environ["RXCRDT_TEST_REDIS"]]},
    }

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
}
