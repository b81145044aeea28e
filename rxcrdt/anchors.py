"""What a project writes: an ``Anchor`` names a model, its serializer and who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist, ValidationError
from django.db.models import Manager, Model, QuerySet, prefetch_related_objects
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.settings import api_settings

from rxcrdt.exceptions import ConfigurationError, DocumentGone

__all__ = ["Anchor", "Layer"]

# A value that is none of the lookup field, or that names several rows, names no document.
NOT_FOUND = (
    ObjectDoesNotExist,
    MultipleObjectsReturned,
    ValueError,
    TypeError,
    ValidationError,
    OverflowError,
)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What an anchor says about one of its serializers' places; all options of a layer stand here.

    ``name``: the layer's name in the document, instead of the serializer's class name without ``Serializer``.
    ``write``, ``text``, ``order_by``, ``permission_classes``: what clients may write (coming).
    """

    name: str | None = None
    write: frozenset[str] | set[str] = frozenset()
    text: frozenset[str] | set[str] = frozenset()
    order_by: str | None = None
    permission_classes: tuple[type[BasePermission], ...] | list[type[BasePermission]] = ()


class Anchor:
    """One document per row of ``queryset``, holding what ``serializer_class`` gives for it.

    Reads like a DRF generic view on purpose: permission classes get an instance of it as their view.
    """

    queryset: ClassVar[QuerySet[Any] | Manager[Any] | None] = None
    serializer_class: ClassVar[type[BaseSerializer[Any]] | None] = None
    permission_classes: ClassVar[Any] = None
    authentication_classes: ClassVar[Any] = None
    layers: ClassVar[Mapping[type[BaseSerializer[Any]], Layer]] = {}
    name: ClassVar[str | None] = None
    lookup_field: ClassVar[str] = "pk"

    def __init__(
        self,
        *,
        request: Request | None = None,
        kwargs: Mapping[str, Any] | None = None,
        action: str = "retrieve",
    ):
        self.request = request
        self.kwargs = dict(kwargs or {})
        self.action = action

    @classmethod
    def get_name(cls) -> str:
        """The name before the slash of its documents' names."""
        return cls.name or cls.model()._meta.model_name or cls.__name__.lower()

    @classmethod
    def model(cls) -> type[Model]:
        return cls.base_queryset().model

    @classmethod
    def base_queryset(cls) -> QuerySet[Any]:
        """What documents are made from, whoever looks: a fresh queryset at every call."""
        if cls.queryset is None:
            raise ConfigurationError(f"{cls.__qualname__} needs a `queryset`: see docs/anchors.md.")
        return cls.queryset.all()

    @classmethod
    def document_name(cls, row: Model) -> str:
        """``board/12`` for the board 12."""
        value = row.pk if cls.lookup_field == "pk" else getattr(row, cls.lookup_field)
        return f"{cls.get_name()}/{value}"

    @classmethod
    def _one(cls, queryset: QuerySet[Any], value: Any) -> Model:
        lookups = queryset._prefetch_related_lookups  # type: ignore[attr-defined]
        try:
            row: Model = queryset.prefetch_related(None).get(**{cls.lookup_field: value})
        except NOT_FOUND as error:
            raise DocumentGone(f"There is no {cls.get_name()} with {cls.lookup_field} {value!r}.") from error
        # Not in the ``try``: what goes wrong in a Prefetch does not mean that there is no such row.
        prefetch_related_objects([row], *lookups)
        if cls.document_name(row) != f"{cls.get_name()}/{value}":
            # "012" and "12" are one row to the database: one row, one document.
            raise DocumentGone(f"There is no {cls.get_name()} with {cls.lookup_field} {value!r}.")
        return row

    def find(self) -> Any:
        """The root row as documents are made from it, whoever looks; DocumentGone if it is not there."""
        return self._one(self.base_queryset(), self.kwargs[self.lookup_field])

    # What DRF's permission classes and a project's own hooks ask of a view.

    @property
    def user(self) -> Any:
        return self.request.user if self.request is not None else None

    def get_queryset(self) -> QuerySet[Any]:
        """Which documents this user may open; may use ``self.request``. Whatever is not in it is 4404."""
        return self.base_queryset()

    def get_object(self) -> Any:
        """The root row, out of ``get_queryset()``; DocumentGone if it is not there."""
        return self._one(self.get_queryset(), self.kwargs[self.lookup_field])

    def get_permissions(self) -> list[BasePermission]:
        if self.permission_classes is None:
            raise ConfigurationError(
                f"{type(self).__qualname__} needs `permission_classes`; [AllowAny] says that everybody may read it."
            )
        return [permission() for permission in self.permission_classes]

    def get_authenticators(self) -> list[BaseAuthentication]:
        classes = self.authentication_classes
        if classes is None:
            classes = api_settings.DEFAULT_AUTHENTICATION_CLASSES
        return [authenticator() for authenticator in classes]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        if self.serializer_class is None:
            raise ConfigurationError(f"{type(self).__qualname__} needs a `serializer_class`: see docs/anchors.md.")
        return self.serializer_class
