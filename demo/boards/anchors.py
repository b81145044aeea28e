"""The one class that makes every board a live document."""

from boards.models import Board
from boards.permissions import IsBoardMember
from boards.serializers import BoardSerializer
from rxcrdt import Anchor, register

__all__ = ["BoardAnchor"]


@register
class BoardAnchor(Anchor):
    """One board, its columns and their tasks. Nothing is writable: no layer says so."""

    queryset = Board.objects.all()
    serializer_class = BoardSerializer
    permission_classes = [IsBoardMember]
