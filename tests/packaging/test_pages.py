"""What docs/ say about the code exists: files, classes and functions that pages name, and links between pages."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from project import CORE, ROOT

CORE_SOURCE = ROOT / "packages" / CORE / "src" / "microdot"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("packages/*/README.md")])
LIFE = ROOT / "docs" / "life-of-a-request.md"

# `server.py:Connection.run`, `packages/x/src/microdot/x.py:f`, or a file alone
NAMED = re.compile(r"`([\w./-]+\.py):([\w.]+)`")
FILE = re.compile(r"`([\w./-]+\.py)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def find_file(name: str) -> Path | None:
    """Return the file that a page names: in the core when it is a bare name, else from the root."""
    path = ROOT / name if "/" in name else CORE_SOURCE / name
    return path if path.is_file() else None


def bodies(node: ast.AST) -> list[ast.stmt]:
    """Return the statements of a module or class, those under `if`, `try` and `with` too, unless only checkers see them."""
    found: list[ast.stmt] = []
    for statement in getattr(node, "body", []):
        found.append(statement)
        if isinstance(statement, ast.If):
            if ast.unparse(statement.test) != "TYPE_CHECKING":
                found += bodies(statement)
            found += [one for part in statement.orelse for one in (part, *bodies(part))]
        elif isinstance(statement, ast.Try):
            found += bodies(statement)
            found += [one for handler in statement.handlers for one in bodies(handler)]
    return found


def defines(path: Path, dotted: str) -> bool:
    """Tell whether a file defines a name, such as `parse_head`, `Server` or `Server.run`."""
    node: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    for part in dotted.split("."):
        for statement in bodies(node):
            names: list[str] = []
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names = [statement.name]
            elif isinstance(statement, ast.Assign):
                names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                names = [statement.target.id]
            if part in names:
                node = statement
                break
        else:
            return False
    return True


def test_the_search_finds_and_misses() -> None:
    """The other tests of this file are worth what these functions are worth."""
    for dotted in ("Server", "Server.run", "Connection.since"):
        assert defines(CORE_SOURCE / "server.py", dotted), dotted
    for dotted in ("Server.walk", "Serve", "run", "Connection.run.start", "Any"):
        assert not defines(CORE_SOURCE / "server.py", dotted), dotted
    # declared for type checkers only, made elsewhere
    assert not defines(CORE_SOURCE / "http.py", "Request.json")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_code_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for file, name in NAMED.findall(text):
        path = find_file(file)
        assert path is not None, f"there is no {file}"
        assert defines(path, name), f"{file} has no {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if path.is_relative_to(ROOT / "docs" / "api"):
            continue  # made with the site, and looked at there: tests/docs
        assert path.exists(), f"there is no {target}"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{name} has no heading for #{anchor}"


def test_the_steps_of_a_request() -> None:
    """They are numbered without a gap, each names its code, and the table at the top leads to all but the linking ones."""
    text = LIFE.read_text(encoding="utf-8")
    steps = dict(re.findall(r"(?ms)^(\d+)\. (.+?)(?=^\d+\. |^## |\Z)", text))
    assert [int(number) for number in steps] == list(range(1, len(steps) + 1))
    for number, step in steps.items():
        assert NAMED.search(step) or "back to step" in step, f"step {number} names no code"
    rows = re.findall(r"(?m)^\| (?!…|-)(.+?) \| ([\d, ]+) \|$", text)
    assert len(rows) > 10
    for what, where in rows:
        for number in where.split(","):
            assert number.strip() in steps, f"{what}: there is no step {number}"


def test_every_module_of_the_core_is_in_the_design() -> None:
    """docs/design.md has a table of them, and lists no other."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text.partition("## Modules")[2].partition("\n## ")[0]
    listed = {name for row in re.findall(r"(?m)^\| (`.+?) \|", table) for name in FILE.findall(row)}
    assert listed == {path.name for path in CORE_SOURCE.glob("*.py")}


def test_the_hooks_are_the_ones_in_the_tables() -> None:
    """Names and arguments, in docs/design.md and docs/writing-extensions.md."""
    tree = ast.parse((CORE_SOURCE / "registry.py").read_text(encoding="utf-8"))
    (hooks,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOOKS"
    ]
    for page in ("design.md", "writing-extensions.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition("## Hooks\n")[2].partition("\n## ")[0]
        listed = {}
        for names, arguments in re.findall(r"(?m)^\| ((?:`\w+`(?:, )?)+) \| `f\((.*?)\)` \|", text):
            for name in re.findall(r"`(\w+)`", names):
                listed[name] = len(arguments.split(","))
        assert listed == hooks, page


async def test_the_program_of_the_readme() -> None:
    """The first thing that anybody tries."""
    from microdot.test_client import TestClient

    (source,) = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"))
    program, run = source.strip().rsplit("\n", 1)
    assert run.startswith("app.run(")
    names: dict[str, Any] = {}
    exec(compile(program, "README.md", "exec"), names)
    response = await TestClient(names["app"]).get("/hello/you")
    assert (response.status_code, response.json) == (200, {"hello": "you"})
