from __future__ import annotations

import os

from django.apps import AppConfig

from rxcrdt import retention

__all__ = ["IN_USE", "DeployingConfig"]

IN_USE = "RXCRDT_TEST_IN_USE_SECONDS"


class DeployingConfig(AppConfig):
    name = "tests.deploying"

    def ready(self) -> None:
        """A process may be told to count a log as one that nobody has open sooner than after three minutes."""
        retention.IN_USE_SECONDS = float(os.environ.get(IN_USE, retention.IN_USE_SECONDS))
