"""The sections of `python -m tests.benchmarks tracking`, in the order in which they run. Another one is a line here."""

from __future__ import annotations

from tests.benchmarks.own_process import django_section

__all__ = ["SECTIONS"]

SECTIONS = (
    django_section(name="save", title="a save that no document shows", module="tracking_saves"),
    django_section(name="delete", title="deleting many rows that no document shows", module="tracking_deletes"),
    django_section(name="warm", title="a save that a document shows, by the document's size", module="tracking_warm"),
    django_section(name="build", title="building a document, beside serializing its rows", module="tracking_build"),
    django_section(name="transaction", title="a transaction of many saves", module="tracking_transaction"),
    django_section(name="bytes", title="the update of one changed field", module="tracking_bytes"),
)
