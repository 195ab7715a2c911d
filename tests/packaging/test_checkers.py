"""What type checkers make of a user's program: mypy in this repository reads the sources, a user's pyright the installed files.

An installed package with `py.typed` is read more strictly: a name that a module has imported is only its own when it is
imported `as` itself, and an annotation in a class body that names this class has no meaning yet. Both leave users with
errors, or with types that are unknown, where the checks of a source tree say nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from project import ROOT, packages

SOURCES = sorted(path for member in packages() for path in member.source.glob("*.py"))
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]
IMPORT = re.compile(r"^from (microdot(?:\.\w+)?) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


def documented() -> Iterator[tuple[str, str]]:
    """Give (module, name) for every import of ours that a page shows."""
    found = set()
    for page in PAGES:
        for module, several, one in IMPORT.findall(page.read_text("utf-8")):
            for part in (several or one).split("#")[0].split(","):
                name = part.split(" as ")[0].strip()
                if name.isidentifier():
                    found.add((module, name))
    yield from sorted(found)


def module_source(module: str) -> Path | None:
    """Return the file of a module, None when a page made it up."""
    name = module.partition(".")[2] or "__init__"
    return next((path for path in SOURCES if path.name == name + ".py"), None)


def exports(tree: ast.Module) -> set[str]:
    """Return the names that are a module's own for a type checker, wherever in it they are given a value."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.name for alias in node.names if alias.asname == alias.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def replaced(tree: ast.Module) -> set[str]:
    """Return the names that a module imports from a private module of ours without `as`: for users they are not there."""
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level and (node.module or "").startswith("_")
        for alias in node.names
        if alias.asname is None and not alias.name.startswith("_")
    }


def test_what_pages_import_is_exported() -> None:
    rows = [(module, name, module_source(module)) for module, name in documented()]
    assert len({module for module, _, source in rows if source}) > 15
    trees = {source: ast.parse(source.read_text("utf-8")) for _, _, source in rows if source}
    missing = [
        f"{module} does not export {name}"
        for module, name, source in rows
        if source and module_source(f"{module}.{name}") is None
        if name not in exports(trees[source]) or name in replaced(trees[source])
    ]
    assert not missing, missing


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from ._a import Static", False),
        ("from ._a import Static as Static", True),
        ("class Static: pass\ntry:\n    from ._a import Static\nexcept ImportError:\n    pass", False),
        ("class Static: pass\ntry:\n    from ._a import Static as Static\nexcept ImportError:\n    pass", True),
    ],
)
def test_the_test_can_tell(source: str, found: bool) -> None:
    tree = ast.parse(source)
    assert ("Static" in exports(tree) and "Static" not in replaced(tree)) == found


def own_names(tree: ast.Module) -> Iterator[str]:
    """Give the annotations in class bodies that name the class itself, unquoted: no checker knows it there before 3.14."""
    if any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
        return
    for outer in ast.walk(tree):
        if isinstance(outer, ast.ClassDef):
            for node in ast.walk(outer):
                for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
                    names = [name for name in ast.walk(part) if isinstance(name, ast.Name)] if part else []
                    if any(name.id == outer.name for name in names):
                        yield f"{outer.name}, line {names[0].lineno}"


def test_classes_name_themselves_in_quotes() -> None:
    found = [f"{path.name}: {name}" for path in SOURCES for name in own_names(ast.parse(path.read_text("utf-8")))]
    assert not found, found
