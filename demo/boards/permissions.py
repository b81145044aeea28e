"""Who may see a board."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from boards.models import Board

__all__ = ["IsBoardMember"]


class IsBoardMember(BasePermission):
    """Lets a board's members in, and nobody else: not even a superuser, who has the admin."""

    message = "Only the members of this board may see it."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Somebody at all."""
        return request.user.is_authenticated

    def has_object_permission(self, request: Request, view: Any, obj: Board) -> bool:
        """A member of this board."""
        return request.user.is_authenticated and obj.members.contains(request.user)
