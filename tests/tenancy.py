"""Two tenants in one database server, told apart by the connection, as django-tenants does it with schemas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

__all__ = ["as_tenant", "second_tenant", "tenant"]

_settings: dict[str, dict[str, Any]] = {}


def tenant() -> str:
    """For ``RXCRDT["NAMESPACE"]``."""
    return str(connection.settings_dict.get("TENANT", ""))


@contextmanager
def as_tenant(name: str) -> Iterator[None]:
    """For ``RXCRDT["IN_NAMESPACE"]``: this thread's connection leads to the rows of ``name``; "" is nobody's."""
    before = connection.settings_dict
    _connect(_settings[name])
    try:
        yield
    finally:
        _connect(before)


def _connect(settings: dict[str, Any]) -> None:
    connection.close()
    connection.settings_dict = settings


@contextmanager
def second_tenant(name: str, folder: Path) -> Iterator[None]:
    """Makes empty tables for ``name``: a schema in PostgreSQL, a file in SQLite."""
    common = connection.settings_dict
    make = {"postgresql": _schema, "sqlite": _file}[connection.vendor]
    _settings.update({"": common, name: {**common, **make(name, folder), "TENANT": name}})
    try:
        yield
    finally:
        _settings.clear()
        if connection.vendor == "postgresql":
            _execute(f"DROP SCHEMA {name} CASCADE")


def _schema(name: str, folder: Path) -> dict[str, Any]:
    _execute(f"CREATE SCHEMA {name}")
    for table in connection.introspection.table_names():
        _execute(f'CREATE TABLE {name}."{table}" (LIKE public."{table}" INCLUDING ALL)')
    options = connection.settings_dict["OPTIONS"]
    return {"OPTIONS": {**options, "options": f"-c search_path={name}"}}


def _file(name: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{name}.sqlite3"
    _execute(f"VACUUM INTO '{path}'")
    return {"NAME": str(path)}


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
