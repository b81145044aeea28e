"""System checks: a sentence at start-up for every mistake that one can make in anchors and settings."""

from __future__ import annotations

__all__ = ["register_checks"]


def register_checks() -> None:
    """Called once, from ``AppConfig.ready``."""
