"""How a document's log is named in the store: its tenant, its name and its schema."""

from __future__ import annotations

from typing import NamedTuple

from rxcrdt.conf import namespace
from rxcrdt.layers import Plan

__all__ = ["LogName", "log_name"]


class LogName(NamedTuple):
    """``tenant|board/12@3f9a1c02de``. Two schemas of one document are two logs, and so are two tenants'.

    The bar is there without a tenant too: a document's name may hold one.
    """

    namespace: str
    document: str
    schema: str

    def __str__(self) -> str:
        return f"{self.namespace}|{self.document}@{self.schema}"

    @classmethod
    def parse(cls, text: str) -> LogName:
        rest, _, schema = text.rpartition("@")
        tenant, _, document = rest.partition("|")
        return cls(tenant, document, schema)


def log_name(plan: Plan, document: str) -> LogName:
    """The log of ``document`` for this process's code and the tenant of this moment."""
    return LogName(namespace(), document, plan.schema)
