"""System checks: a sentence at start-up for every mistake that one can make in anchors and settings.

``docs/checks.md`` lists them all. An error keeps ``manage.py`` from going on; a warning says what would happen.
"""

from __future__ import annotations

from django.core import checks

from rxcrdt.checks.anchors import check_anchors
from rxcrdt.checks.managers import check_managers
from rxcrdt.checks.processes import check_processes
from rxcrdt.checks.reads import check_reads
from rxcrdt.checks.routing import check_route
from rxcrdt.checks.server import check_server
from rxcrdt.checks.settings import check_settings

__all__ = [
    "check_anchors",
    "check_managers",
    "check_processes",
    "check_reads",
    "check_route",
    "check_server",
    "check_settings",
    "register_checks",
]

TAG = "rxcrdt"  # `manage.py check --tag rxcrdt`


def register_checks() -> None:
    """Called once, from ``AppConfig.ready``."""
    for check in (check_settings, check_anchors, check_managers, check_processes, check_route):
        checks.register(check, TAG)
    checks.register(check_server, TAG, deploy=True)
    checks.register(check_reads, TAG, checks.Tags.database)
