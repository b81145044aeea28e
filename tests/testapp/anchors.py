from __future__ import annotations

from rest_framework.permissions import AllowAny

from rxcrdt import Anchor, register
from tests.testapp.models import Library
from tests.testapp.serializers import LibrarySerializer


@register
class LibraryAnchor(Anchor):
    """A library, its shelves and all that stands on them."""

    queryset = Library.objects.all()
    serializer_class = LibrarySerializer
    permission_classes = [AllowAny]
