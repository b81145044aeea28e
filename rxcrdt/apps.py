"""The Django app: everything that rxcrdt does to a project when it starts stands in ``ready``."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

__all__ = ["RxcrdtConfig"]


class RxcrdtConfig(AppConfig):
    name = "rxcrdt"
    verbose_name = "rxcrdt"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from rxcrdt import checks, tracking
        from rxcrdt.registry import registry

        checks.register_checks()
        autodiscover_modules("anchors")
        registry.on_change = tracking.wire
        tracking.wire()
