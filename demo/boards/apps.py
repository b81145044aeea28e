"""The project board."""

from django.apps import AppConfig


class BoardsConfig(AppConfig):
    """Boards, columns and tasks."""

    name = "boards"
    default_auto_field = "django.db.models.BigAutoField"
