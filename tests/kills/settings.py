"""The tests' settings for processes around a Redis that is killed: impatient, and with a log that the test reads."""

import json
import os
from typing import Any

from tests import settings as common
from tests.settings import *  # noqa: F403

#: ``RECONCILE_SECONDS`` is up to the test: nothing may need it that others could have noticed.
RXCRDT = {
    **common.RXCRDT,
    "POLL_SECONDS": 0.2,
    "RETRY_SECONDS": 0.1,
    "LEASE_SECONDS": 2.0,
    **json.loads(os.environ.get("RXCRDT_TEST_SETTINGS", "{}")),
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "tests.kills.complaints.AsJson"}},
    "handlers": {
        "file": {
            "class": "logging.FileHandler",
            "filename": os.path.join(os.environ.get("RXCRDT_TEST_LOGS", "."), f"{os.getpid()}.log"),
            "formatter": "json",
            "delay": True,
        },
    },
    "root": {"handlers": ["file"], "level": "INFO"},
}
