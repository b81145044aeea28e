"""Models of anchors whose bulk writes nobody would tell of: one warning for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Warning  # noqa: A004 - that is its name
from django.db.models import Model

from rxcrdt.anchors import Anchor
from rxcrdt.checks.settings import readable
from rxcrdt.layers import plan
from rxcrdt.managers import AnchoredQuerySet
from rxcrdt.registry import registry
from rxcrdt.watched import watch

__all__ = ["check_managers"]


def check_managers(**_: Any) -> list[CheckMessage]:
    if not readable():
        return []
    silent = sorted(model._meta.label for model in _shown() if not _reports(model))
    if not silent:
        return []
    return [
        Warning(
            f"Documents are not told of what update(), bulk_create() and bulk_update() write of {', '.join(silent)}: "
            f"Django sends no signal for them. They show it at their next full comparison.",
            hint="Write objects = AnchoredManager() in these models, and base_manager_name = 'objects' in their Meta "
            "for parent.children.add(…), or call rxcrdt.changed() after such writes: see docs/bulk.md. If there are "
            "none, put 'rxcrdt.W012' into SILENCED_SYSTEM_CHECKS.",
            id="rxcrdt.W012",
        )
    ]


def _shown() -> Iterator[type[Model]]:
    """The project's own models that documents may show rows of; what others wrote, a project cannot change."""
    watched = watch(_planned(registry))
    for model in watched.models:
        if not (model._meta.auto_created or model._meta.proxy or _is_others(model)):
            yield model


def _planned(anchors: Iterable[type[Anchor]]) -> Iterator[type[Anchor]]:
    for anchor in anchors:
        try:
            plan(anchor)
        except Exception:  # noqa: BLE001, S112 - the project's own classes: another check says what is wrong
            continue
        yield anchor


def _is_others(model: type[Model]) -> bool:
    path = Path(apps.get_app_config(model._meta.app_label).path)
    return bool({"site-packages", "dist-packages"} & set(path.parts))


def _reports(model: type[Model]) -> bool:
    """Asked of its class: a manager's ``get_queryset`` may need a request, or a tenant."""
    manager: Any = model._default_manager
    kind = getattr(manager, "_queryset_class", None)
    if isinstance(kind, type) and issubclass(kind, AnchoredQuerySet):
        return True
    try:
        return isinstance(manager.get_queryset(), AnchoredQuerySet)
    except Exception:  # noqa: BLE001 - the project's own code: anything may come
        return False
