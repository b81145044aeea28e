from __future__ import annotations

import os
from typing import cast

from rest_framework.permissions import AllowAny

from rxcrdt import Anchor, register
from tests.deploying.versions import SERIALIZERS, Version
from tests.testapp.models import Library

__all__ = ["CollectionAnchor"]


@register
class CollectionAnchor(Anchor):
    """A library, as this version of the code shows it."""

    name = "collection"
    queryset = Library.objects.all()
    serializer_class = SERIALIZERS[cast(Version, os.environ["RXCRDT_TEST_VERSION"])]
    permission_classes = [AllowAny]
