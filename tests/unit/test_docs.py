"""The pages: their code runs, what they draw is so, and what refers to them finds them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import override_settings

from rxcrdt import conf, snapshot
from rxcrdt.checks.routing import Route, route_of
from rxcrdt.registry import registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
#: Tested by those who wrote them.
ELSEWHERE = {"store.md", "protocol.md"}


class Block(NamedTuple):
    """Code on a page. ``title`` is the file that its first line names, as in ``# boards/anchors.py``."""

    page: str
    line: int
    language: str
    text: str

    @property
    def title(self) -> str:
        first = self.text.partition("\n")[0]
        return first.removeprefix("# ").strip() if re.fullmatch(r"# [\w/]+\.py", first) else ""

    def run(self, names: dict[str, Any]) -> None:
        """With the line numbers of the page, so that a traceback points there."""
        exec(compile("\n" * self.line + self.text, str(DOCS / self.page), "exec"), names)


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, language: str = "python") -> list[Block]:
    """A block whose fence says more than its language, as in ``python coming``, is not meant to run yet."""
    text = text_of(page)
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        block = Block(page, text[: match.start()].count("\n") + 1, match[1], match[2])
        if block.language == language:
            found.append(block)
    return found


@pytest.fixture
def no_anchors() -> Iterator[None]:
    """A page registers anchors of its own, under the names that a reader would choose."""
    ours = list(registry)
    for anchor in ours:
        registry.unregister(anchor)
    yield
    for anchor in list(registry):
        registry.unregister(anchor)
    for anchor in ours:
        registry.register(anchor)


RUNNABLE = [page for page in PAGES if page not in ELSEWHERE and page != "testing.md" and blocks(page)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_anchors")
@pytest.mark.parametrize("page", RUNNABLE)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: str) -> None:
    names: dict[str, Any] = {"__name__": f"docs_{page.removesuffix('.md')}"}
    for block in blocks(page):
        if block.title != "settings.py":
            block.run(names)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_anchors")
def test_the_layout_page_draws_the_document_that_its_example_makes() -> None:
    names: dict[str, Any] = {"__name__": "docs_layout"}
    blocks("layout.md")[0].run(names)
    tree, tables = (json.loads(block.text) for block in blocks("layout.md", "json"))
    assert snapshot("board", 12) == tree
    out = StringIO()
    call_command("rxcrdt", "inspect", "board/12", "--tables", stdout=out)
    printed = json.loads(out.getvalue())["roots"]
    tables["rxcrdt"]["schema"] = printed["rxcrdt"]["schema"]
    assert printed == tables


@pytest.mark.processes
def test_the_test_files_of_the_testing_page_pass(tmp_path: Path) -> None:
    files = blocks("testing.md")
    for block in files:
        assert block.title, f"line {block.line} names no file"
        (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    settings = "DJANGO_SETTINGS_MODULE = tests.settings\nasyncio_mode = auto\n"
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT} {ROOT / 'demo'}\n{settings}", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "8 passed" in run.stdout, run.stdout


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page) if block.title == "settings.py"])
def test_settings_on_a_page_are_good_settings(block: Block) -> None:
    names: dict[str, Any] = {}
    block.run(names)
    given = {name: value for name, value in names.items() if name.isupper()}
    assert given
    with override_settings(**given):
        assert not [message for message in run_checks(tags=["rxcrdt"]) if message.is_serious()]
        conf.namespace()


def test_the_asgi_application_of_the_deployment_page_leads_to_rxcrdt() -> None:
    names: dict[str, Any] = {}
    for block in blocks("deployment.md"):
        if block.title != "settings.py":
            block.run(names)
    assert route_of(names["application"]) is Route.FOUND
    assert route_of(names["websocket"]) is Route.FOUND


def test_the_server_takes_the_options_that_pages_give_it() -> None:
    commands = [
        line
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.text.replace("\\\n", " ").splitlines()
        if line.startswith("uvicorn ")
    ]
    assert commands
    for command in commands:
        uvicorn.main.make_context("uvicorn", command.split()[1:])  # parses, and runs nothing


def test_every_check_is_on_the_page_of_checks() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rxcrdt" / "checks").glob("*.py"))
    in_code = set(re.findall(r'id="(rxcrdt\.\w\d+)"', source))
    assert len(in_code) > 10
    assert set(re.findall(r"^\| `(rxcrdt\.\w\d+)`", text_of("checks.md"), re.MULTILINE)) == in_code


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text_of(page)):
        assert target.startswith("https://") or (DOCS / target).exists(), target


def test_every_page_is_in_the_list_of_pages() -> None:
    assert set(re.findall(r"^\| \[(\w+\.md)\]", text_of("README.md"), re.MULTILINE)) == set(PAGES) - {"README.md"}


def test_pages_that_messages_send_people_to_are_there() -> None:
    named = set()
    for package in ("rxcrdt", "ydoc_store"):
        for path in (ROOT / package).rglob("*.py"):
            named |= set(re.findall(r"docs/(\w+\.md)", path.read_text(encoding="utf-8")))
    assert len(named) > 5
    assert named <= set(PAGES)
