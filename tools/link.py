"""Link modules that are always loaded together into one: what `linked` in a package's pyproject.toml asks for.

A source has a module for each concept, because people read it. A board loads every one of those modules before it answers
its first request, and pays for each: a module and its table, the names that several modules have, the statements that
fetch them from each other. So the published bytecode of these modules is one file, and the others that were linked into it
only hand on what they define, for whoever imports them by name. All other modules of the package fetch from the one file.
A class that nobody names but its only subclass becomes part of that: sources are apart where runtimes part, a board has one.

    python tools/link.py packages/microdot-core        prints the linked modules of a package

Only what can be understood is linked; anything else is an error that names the line. Where a name of one module would
mean something else among the names of the others, that is an error too.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import itertools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def module_of(path: str) -> str:
    """Return the name of a module within its package, by its path: `microdot/app.py` → `app`."""
    return Path(path).stem


def _imported(node: ast.ImportFrom, names: Sequence[str]) -> str | None:
    """Return which of the modules `names` a statement imports from, None for others."""
    return node.module if node.level == 1 and node.module in names else None


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds where it stands; not those within functions and classes."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0]
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, *_SCOPES)):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _locals(node: ast.AST) -> set[str]:
    """Return the names that a function or comprehension binds."""
    found: set[str] = set()
    if isinstance(node, _FUNCTIONS):
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        found.update(argument.arg for argument in every if argument)
        body: Sequence[ast.AST] = node.body if isinstance(node.body, list) else [node.body]
    else:
        body = [generator.target for generator in node.generators]  # type: ignore[attr-defined]
    for child in body:
        found.update(_bound(child))
    shared = [name for child in ast.walk(node) if isinstance(child, (ast.Global, ast.Nonlocal)) for name in child.names]
    return found - set(shared)


class _Imports(ast.NodeTransformer):
    """Takes out what a module imports from those that it is linked with, and notes it."""

    def __init__(self, part: _Part) -> None:
        """Note it there."""
        self.part = part

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | None:
        if not _imported(node, self.part.parts):
            return node
        self.part.renamed.update((alias.asname or alias.name, alias.name) for alias in node.names)
        self.part.handed_on += [alias.name for alias in node.names if alias.asname == alias.name]
        return None

    def visit_Import(self, node: ast.Import) -> ast.stmt | None:
        left = []
        for alias in node.names:
            package, _, module = alias.name.rpartition(".")
            if package and module in self.part.parts:
                if not alias.asname:
                    raise self.part.problem(node, "import a linked module with `as`")
                self.part.modules.add(alias.asname)
            else:
                left.append(alias)
        node.names = left
        return node if left else None

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.Module):
            # `if 1:` is what strip.py leaves of a question for the runtime
            for at, statement in reversed(list(enumerate(node.body))):
                if isinstance(statement, ast.If) and isinstance(statement.test, ast.Constant) and statement.test.value:
                    node.body[at : at + 1] = statement.body
        elif getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node


class _Part(ast.NodeTransformer):
    """One of the modules: what it imports from the others becomes what they define."""

    def __init__(self, path: str, text: str, parts: Sequence[str]) -> None:
        """Read a module; `parts` are the names of all that are linked."""
        self.path = path
        self.parts = parts
        self.handed_on: list[str] = []  # what it says that it imports for others: `import x as x`
        self.renamed: dict[str, str] = {}  # what the module calls it → what it is called where it is defined
        self.modules: set[str] = set()  # names that mean one of the linked modules
        self.inner: list[set[str]] = []  # what the functions around the present place bind
        self.tree: ast.Module = _Imports(self).visit(ast.parse(text, path))

    def problem(self, node: ast.AST, text: str) -> ValueError:
        """Return an error that names the place."""
        return ValueError(f"{self.path}:{getattr(node, 'lineno', 0)}: cannot be linked: {text}")

    def linked(self, modules: set[str], defined: set[str]) -> list[ast.stmt]:
        """Return the statements of the module, as they stand in the linked one.

        Args:
            modules: names that mean a linked module, in any of them.
            defined: what all of them define.
        """
        self.modules |= {name for name, there in self.renamed.items() if there in modules}
        self.defined = defined
        return [self.visit(statement) for statement in self.tree.body]

    def _name(self, node: ast.expr, name: str) -> ast.Name:
        if name not in self.defined:
            raise self.problem(node, f"no linked module defines {name}")
        if any(name in names for names in self.inner):
            raise self.problem(node, f"{name} is a local name here")
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Store) or any(node.id in names for names in self.inner):
            return node
        if node.id in self.modules:
            raise self.problem(node, f"{node.id} is a module, and used as a value")
        return self._name(node, self.renamed[node.id]) if node.id in self.renamed else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            if not any(node.value.id in names for names in self.inner):
                return self._name(node, node.attr)
        self.generic_visit(node)
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _SCOPES):
            self.inner.append(_locals(node))
        super().generic_visit(node)
        if isinstance(node, _SCOPES):
            self.inner.pop()
        return node

    def foreign(self) -> set[str]:
        """Return the names that the module reads and nobody in it binds: the built-in ones."""
        read = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        return {name for name in read if hasattr(builtins, name)} - set(_top(self.tree.body))


def _top(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield what the statements of a module bind."""
    for statement in body:
        yield from _bound(statement)


def _merge(path: str, bodies: Sequence[list[ast.stmt]]) -> list[ast.stmt]:
    """Put the statements of modules behind each other, equal ones once, and imports from one module together.

    Raises:
        ValueError: two modules give the same name to different things.
    """
    several = {name for body in bodies for name in _top(body) if sum(name in _top(other) for other in bodies) > 1}
    meanings: dict[str, str] = {}  # name → what binds it
    imports: dict[tuple[int, str | None], ast.ImportFrom] = {}
    merged: list[ast.stmt] = []
    done: set[str] = set()

    def bind(name: str, meaning: str) -> None:
        if name in several and meanings.setdefault(name, meaning) != meaning:
            raise ValueError(f"{path}: cannot be linked: two modules define {name}:\n{meanings[name]}\n{meaning}")

    for statement in [statement for body in bodies for statement in body]:
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                bind(alias.asname or alias.name, f"from {'.' * statement.level}{statement.module} import {alias.name}")
            first = imports.setdefault((statement.level, statement.module), statement)
            if first is not statement:
                there = {alias.asname or alias.name for alias in first.names}
                first.names += [alias for alias in statement.names if (alias.asname or alias.name) not in there]
                continue
        elif isinstance(statement, ast.Delete):
            # a module tidies its table; the others still want the name
            statement.targets = [name for name in statement.targets if ast.unparse(name) not in several]
            if not statement.targets:
                continue
        else:
            text = ast.unparse(statement)
            for name in _bound(statement):
                bind(name, text)
            if text in done:
                continue
            done.add(text)
        merged.append(statement)
    return merged


def _whole(body: list[ast.stmt], others: Sequence[str]) -> list[ast.stmt]:
    """Make a class that is there for one subclass alone a part of that.

    Args:
        body: the statements of the linked module.
        others: the sources of the modules that were not linked.
    """
    classes = {statement.name: statement for statement in body if isinstance(statement, ast.ClassDef)}
    said = [node.id for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name)]
    said += [word for text in others for word in re.findall(r"\w+", text)]
    for only in classes.values():
        calls_up = any(isinstance(node, ast.Name) and node.id == "super" for node in ast.walk(only))
        name = ast.unparse(only.bases[0]) if len(only.bases) == 1 and not calls_up else ""
        base = classes.get(name)
        if base and not base.bases and not base.decorator_list and said.count(name) == 1:
            only.bases = []
            only.body = base.body + only.body  # what both define, the latter defines last
            body.remove(base)
    return body


def _handed_on(image: str, body: Sequence[ast.stmt], more: Sequence[str]) -> str:
    """Return the source of a module that was linked into another: it hands on what it used to define, and `more`."""
    own = [statement for statement in body if not isinstance(statement, (ast.Import, ast.ImportFrom))]
    public = sorted({name for name in (*_top(own), *more) if not name.startswith("_")})
    return f"from .{module_of(image)} import {', '.join(f'{name} as {name}' for name in public)}\n"


class _Fetch(ast.NodeTransformer):
    """A module that was not linked: it fetches from the linked one."""

    def __init__(self, parts: Sequence[str], image: str) -> None:
        """Know what was linked into which module."""
        self.parts = parts
        self.image = image

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        if _imported(node, self.parts):
            node.module = self.image
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            for first, second in reversed(list(itertools.pairwise(body))):
                if isinstance(first, ast.ImportFrom) and isinstance(second, ast.ImportFrom):
                    if (first.level, first.module) == (second.level, second.module):
                        first.names += second.names
                        body.remove(second)
        return node


def link(texts: Mapping[str, str], image: str, paths: Sequence[str]) -> dict[str, str]:
    """Link modules of one package.

    Args:
        texts: path → source, stripped of what a board does not need (strip.py): all modules of the package.
        image: the path of the module that gets everything.
        paths: the modules that are linked, `image` among them, each behind those that it imports.

    Returns:
        path → source; private modules (`_x.py`) that were linked into `image` are no longer there.

    Raises:
        ValueError: they cannot be linked; the message says why, and where.
    """
    names = [module_of(path) for path in paths]
    parts = [_Part(path, texts[path], names) for path in paths]
    modules = set().union(*(part.modules for part in parts))
    defined = set().union(*(_top(part.tree.body) for part in parts)) - modules
    for part in parts:
        for name in part.foreign() & defined:
            raise ValueError(f"{part.path}: cannot be linked: it uses the built-in {name}, which another module defines")
    bodies = [part.linked(modules, defined) for part in parts]
    linked = dict(texts)
    for path, part, body in zip(paths, parts, bodies, strict=True):
        if module_of(path).startswith("_"):
            del linked[path]
        else:
            linked[path] = _handed_on(image, body, part.handed_on)
    body = _whole(_merge(image, bodies), [text for path, text in texts.items() if path not in paths])
    if modules:
        # Modules that were not linked know the linked one by these names too.
        this = ast.parse("sys.modules[__name__]", mode="eval").body
        body += [ast.Assign([ast.Name(name, ast.Store())], this) for name in sorted(modules) if not name.startswith("_")]
    tree = ast.fix_missing_locations(ast.Module(body, []))
    linked[image] = ast.unparse(tree) + "\n"
    for path in texts:
        if path not in paths:
            tree = ast.parse(texts[path], path)
            before = ast.dump(tree)
            tree = _Fetch(names, module_of(image)).visit(tree)
            if ast.dump(tree) != before:
                linked[path] = ast.unparse(tree) + "\n"
    return linked


def main() -> int:
    """Run the command line."""
    from project import read_package

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    package = read_package(parser.parse_args().package.resolve())
    texts = package.published()
    for image in package.linked:
        for path in {f"microdot/{name}": None for name in (image, *package.linked[image])}:
            if path in texts:
                print(f"# {path}\n{texts[path]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
