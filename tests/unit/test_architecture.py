"""What may import what, and what is public. Read from the source, so that imports inside of functions count too."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import rxcrdt
from rxcrdt.conf import Settings

ROOT = Path(__file__).parents[2]

#: From the sockets down to the values: nobody in it reaches anybody before him, not even in a roundabout way.
CHAIN = ("asgi", "consumers", "lobby", "rooms", "documents", "document", "replica", "layout", "projection", "layers")
#: These turn values into values. What they need of the world comes as an argument.
PURE = """
    awareness changes deletes denormalize keys layout lib0 order outbox projection protocol tables values
""".split()
WORLD = {"asyncio", "channels", "logging", "os", "random", "socket", "threading", "time", "ydoc_store"}
WORLD |= {"rxcrdt.conf", "rxcrdt.documents", "rxcrdt.relay", "django.db.connection", "django.db.connections"}

PUBLIC = {
    "rxcrdt": "Anchor AnchoredManager AnchoredQuerySet Layer changed depends_on register snapshot".split(),
    "rxcrdt.asgi": ["websocket_application", "websocket_urlpatterns"],
    "rxcrdt.testing": ["Client", "Verdict", "assert_projected", "own_store"],
}


@cache
def sources(package: str) -> dict[str, Path]:
    """Every module of ``rxcrdt``, ``ydoc_store`` or ``demo``, by its name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        if "node_modules" not in path.parts:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def imported(path: Path, *, inside_functions: bool = True) -> frozenset[str]:
    """``a.b`` and ``a.b.name`` for ``from a.b import name``; not what only the type checker sees."""
    return frozenset(_imports(ast.parse(path.read_text(encoding="utf-8")), inside_functions))


def _imports(node: ast.AST, inside_functions: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            yield str(child.module)
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from _imports(child, inside_functions)


def graph(package: str, *, inside_functions: bool = True) -> dict[str, set[str]]:
    """Which modules of the package each of them imports. That of the package itself holds names, not code."""
    modules = sources(package)
    return {
        name: {
            other
            for other in imported(path, inside_functions=inside_functions)
            if other in modules and other not in (name, package)
        }
        for name, path in modules.items()
    }


def reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for module in edges[waiting.pop()] - found:
            found.add(module)
            waiting.append(module)
    return found


# Dependencies point one way


def test_the_reader_of_imports_sees_what_there_is() -> None:
    edges = graph("rxcrdt")
    assert len(edges) > 50
    assert "rxcrdt.flushing" in edges["rxcrdt.backlog"], "an import inside of a function"
    assert "rxcrdt.flushing" not in graph("rxcrdt", inside_functions=False)["rxcrdt.backlog"]
    assert "rxcrdt.document" not in graph("rxcrdt", inside_functions=False)["rxcrdt.backlog"], "for the type checker"
    assert {"rxcrdt.documents", "rxcrdt.layout"} <= reached("rxcrdt.consumers", edges)


@pytest.mark.parametrize("package", ["rxcrdt", "ydoc_store"])
def test_no_two_modules_import_each_other(package: str) -> None:
    list(TopologicalSorter(graph(package, inside_functions=False)).static_order())


def test_only_the_backlog_is_tied_to_what_it_retries() -> None:
    edges = graph("rxcrdt")
    assert {module for module in edges if module in reached(module, edges)} == {"rxcrdt.backlog", "rxcrdt.flushing"}


def test_from_the_sockets_down_to_the_values() -> None:
    edges = graph("rxcrdt")
    for number, module in enumerate(CHAIN):
        above = {f"rxcrdt.{name}" for name in CHAIN[:number]}
        assert not reached(f"rxcrdt.{module}", edges) & above, f"{module} must not know those above it"


@pytest.mark.parametrize("module", PURE)
def test_the_core_knows_no_store_socket_clock_or_thread(module: str) -> None:
    assert not imported(sources("rxcrdt")[f"rxcrdt.{module}"]) & WORLD


def test_the_store_knows_nothing_of_django_rxcrdt_or_yjs() -> None:
    for path in sources("ydoc_store").values():
        packages = {name.partition(".")[0] for name in imported(path)}
        assert not packages & {"django", "rest_framework", "channels", "rxcrdt", "pycrdt", "asgiref"}, path


def test_the_demo_uses_public_names_only() -> None:
    allowed = {name for module, names in PUBLIC.items() for name in (module, *(f"{module}.{each}" for each in names))}
    used = set()
    for path in sources("demo").values():
        ours = {name for name in imported(path) if name.partition(".")[0] in ("rxcrdt", "ydoc_store")}
        assert ours <= allowed, path
        used |= ours
    assert {"rxcrdt.Anchor", "rxcrdt.asgi"} <= used


# What is public


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__all__ == PUBLIC[module]
    assert all(hasattr(found, name) for name in PUBLIC[module])


@pytest.mark.parametrize("module", [*sources("rxcrdt"), *sources("ydoc_store")])
def test_every_module_declares_what_it_offers(module: str) -> None:
    path = (sources("rxcrdt") | sources("ydoc_store"))[module]
    if not path.read_text(encoding="utf-8").strip() or ".migrations." in module:
        return  # a package without a word; Django's own form
    found = importlib.import_module(module)
    if module.startswith("ydoc_store") and not hasattr(found, "__all__"):
        return  # the package declares it
    assert list(found.__all__) == sorted(found.__all__, key=_by_kind)
    assert all(hasattr(found, name) for name in found.__all__)
    assert found.__doc__, "every module says what it is"


def _by_kind(name: str) -> tuple[int, str]:
    """Constants, classes, functions: as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def test_rxcrdt_is_typed() -> None:
    assert (ROOT / "rxcrdt" / "py.typed").is_file()


def test_importing_rxcrdt_needs_no_settings_and_changes_nothing() -> None:
    program = (
        "import sys, rxcrdt; rxcrdt.register, rxcrdt.depends_on; "
        "print([name for name in ('django.conf', 'rest_framework', 'channels', 'pycrdt') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_rxcrdt_does_not_have_it_says() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Anker'"):
        getattr(rxcrdt, "Anker")  # noqa: B009 - mypy knows that it is not there


# Settings


def documented() -> dict[str, str]:
    """Setting → default, from the table of the settings' page."""
    rows = {}
    for line in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            name, default = (cell.strip() for cell in line.split("|")[1:3])
            rows[name.strip("`")] = default
    return rows


def test_every_setting_is_documented_with_its_default() -> None:
    defaults = {field.name.upper(): field.default for field in fields(Settings)}
    found = documented()
    assert found.keys() == defaults.keys()
    for name, default in found.items():
        if name not in ("STORE", "ALLOWED_ORIGINS"):  # these depend on the project, and are told in words
            assert eval(default.strip("`")) == defaults[name], name
