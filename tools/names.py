"""Give private names of a package another name in published bytecode: `names` in its pyproject.toml says which.

A board keeps every name that it has ever read, in its heap and until it restarts, also when the module that brought it is
let go; and each time a table of names is full, the next one is twice as large. Names that every MicroPython has built in
cost none of that. So what only a package itself ever says (an internal function, a private attribute) is called by one of
those in the bytecode that is published. Sources, and what is installed as sources, keep the names that people read.

    python tools/names.py                         the table, for reading a traceback that a board printed
    python tools/names.py microdot-core           that of one package

Coroutines keep their names: they are what a traceback shows between a handler and the server.

tests/packaging/test_link.py holds what makes this safe: nothing outside the package says such a name, no text contains
it, and nothing at all uses the name that it gets.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Mapping


BY_TEXT = ("getattr", "hasattr", "setattr", "delattr")
"""Functions whose second argument is the text of a name."""


class _Rename(ast.NodeTransformer):
    """Renames one identifier wherever it stands: variables, attributes, arguments, functions, classes and imports."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """Take private name → published name."""
        self.names = names

    def _new(self, name: str) -> str:
        return self.names.get(name, name)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._new(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.attr = self._new(node.attr)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._new(node.arg)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in BY_TEXT and len(node.args) > 1:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                name.value = self._new(name.value)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        node.arg = node.arg and self._new(node.arg)
        return self.generic_visit(node)

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        node.name = self._new(node.name)
        return self.generic_visit(node)

    visit_FunctionDef = _definition
    visit_AsyncFunctionDef = _definition
    visit_ClassDef = _definition

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = node.name and self._new(node.name)
        return self.generic_visit(node)

    def _shared(self, node: ast.Global | ast.Nonlocal) -> ast.AST:
        node.names = [self._new(name) for name in node.names]
        return node

    visit_Global = _shared
    visit_Nonlocal = _shared

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        for alias in node.names:
            if node.level:
                alias.name = self._new(alias.name)
            alias.asname = alias.asname and self._new(alias.asname)
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            alias.asname = alias.asname and self._new(alias.asname)
        return node


def rename(texts: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Rename identifiers in all modules of a package.

    Args:
        texts: path → source, stripped of what a board does not need (strip.py).
        names: private name → published name.

    Returns:
        path → source.
    """
    renamed = {}
    for path, text in texts.items():
        tree = ast.parse(text, path)
        before = ast.dump(tree)
        tree = _Rename(names).visit(tree)
        renamed[path] = text if ast.dump(tree) == before else ast.unparse(tree) + "\n"
    return renamed


def main() -> int:
    """Run the command line."""
    from project import packages

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs="*", help="names of packages (default: all)")
    wanted = parser.parse_args().package
    for package in packages():
        if not wanted or package.name in wanted:
            for private, public in sorted(package.names.items(), key=lambda pair: pair[1]):
                print(f"{package.name}: {public} is {private}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
