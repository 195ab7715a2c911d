"""No package reaches past the public interface of the core or of another package: docs/writing-extensions.md.

The sources are read, not run: an import, an attribute, an assignment or a subclass that the page does not offer is found
wherever it stands. What a package may import is not listed here but on the page, in the table "What you may import".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from project import CORE, ROOT, Package, packages

PAGE = ROOT / "docs" / "writing-extensions.md"
MEMBERS = packages()
EXAMPLES = sorted((ROOT / "docs" / "examples").rglob("*.py"))

CONTRACT = {"_session", "_vary"}
"""Private names that existing programs know, and that therefore stay: `app._session`, `g._session`, `g._vary`."""

APP_ATTRIBUTES = {"_session", "options_handler"}
"""What a package may assign on an application, besides those of its own classes."""

REQUEST_ATTRIBUTES = {"max_content_length", "max_body_length", "timeout", "form", "files"}
"""What a package may assign on a request: the limits of `admit`, and what a parser of bodies found."""

MORE_REQUEST_ATTRIBUTES = {
    # They make the requests.
    "microdot-asgi": {"connection", "pending", "scheme"},
    "microdot-test-client": {"connection"},
    "microdot-wsgi": {"connection", "pending", "scheme"},
}
"""What some packages may assign or delete besides. Attributes that the core does not have are everybody's."""

SUBCLASSES = {
    # The applications that add the entry point of a host, which existing programs know by this name.
    ("microdot-asgi", "Hosted"): {"__init__", "prepare"},
    ("microdot-wsgi", "Hosted"): {"__init__", "prepare"},
    # Requests with attributes that only this host has, made when they are asked for.
    ("microdot-asgi", "Request"): {"content_type", "headers", "sock"},
    ("microdot-wsgi", "Request"): {"headers", "sock"},
}
"""(package, class of the core) → what its subclass may define again."""

OPTIONAL = {
    # Offered when the other one is there, without requiring it.
    ("microdot-asgi", "microdot-websocket"),
    ("microdot-wsgi", "microdot-websocket"),
}

# How applications, requests and responses are called in the sources.
APPS = ("app", "subapp", "_app")
REQUESTS = ("request", "req", "_request")
RESPONSES = ("response", "res", "_response")


def offered() -> dict[str, set[str]]:
    """Return what docs/writing-extensions.md offers: module → names."""
    table = PAGE.read_text(encoding="utf-8").partition("## What you may import")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `([\w.]+)` \| (.+?) \|", table)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


def loadable() -> set[str]:
    """Return the modules of the core that the page lets packages import for their own sake."""
    table = PAGE.read_text(encoding="utf-8").partition("### Modules that you may import")[2].partition("\n### ")[0]
    return {module for row in re.findall(r"(?m)^\| .+? \| (.+?) \|$", table) for module in re.findall(r"`(microdot\.\w+)`", row)}


def owners() -> dict[str, str]:
    """Return which package each module below `microdot` belongs to."""
    return {
        "microdot" if path.stem == "__init__" else f"microdot.{path.stem}": member.name
        for member in MEMBERS
        for path in member.source.glob("*.py")
    }


def sources(member: Package) -> list[Path]:
    """Return the Python files of a package."""
    return sorted(member.source.glob("*.py"))


def is_private(name: str) -> bool:
    """Tell whether a name begins with an underscore and is no special one."""
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__")) and name != "_"


def name_of(node: ast.AST) -> str:
    """Return the last name of an expression: `app` for `app`, `self.app` and `request.app`."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def members_of_classes(trees: list[ast.Module]) -> dict[str, set[str]]:
    """Return for each class the names of its methods and attributes, with those that its methods assign on `self`."""
    classes: dict[str, set[str]] = {}
    for tree in trees:
        for cls in ast.walk(tree):
            if not isinstance(cls, ast.ClassDef):
                continue
            found = set()
            pending: list[ast.AST] = list(cls.body)
            while pending:
                node = pending.pop()
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(node.name)
                    found |= {
                        inner.attr
                        for inner in ast.walk(node)
                        if isinstance(inner, ast.Attribute)
                        and isinstance(inner.ctx, ast.Store)
                        and name_of(inner.value) in ("self", "cls")
                    }
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.add(node.id)
                elif not isinstance(node, ast.ClassDef):
                    pending += ast.iter_child_nodes(node)
            classes.setdefault(cls.name, set()).update(found)
    return classes


def trees_of(files: list[Path]) -> list[ast.Module]:
    """Parse files."""
    return [ast.parse(path.read_text(encoding="utf-8")) for path in files]


CORE_CLASSES = members_of_classes(trees_of(sources(MEMBERS[0])))
ATTRIBUTES = {member.name: set().union(*members_of_classes(trees_of(sources(member))).values()) for member in MEMBERS}


def import_problems(
    tree: ast.Module, own: set[str], package: str, required: set[str]
) -> Iterator[tuple[ast.stmt, str]]:
    """Find imports that are not offered."""
    public = offered()
    loaded_early = loadable()
    whose = owners()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ("microdot." if node.level else "") + (node.module or "")
            base = base.rstrip(".")
            wanted = [
                # `from . import multipart` imports a module
                (f"{base}.{alias.name}", "") if f"{base}.{alias.name}" in whose else (base, alias.name)
                for alias in node.names
            ]
        else:
            continue
        for module, name in wanted:
            if module.partition(".")[0] != "microdot" or module in own:
                continue
            owner = whose.get(module, "")
            if not owner:
                yield node, f"imports {module}, which no package has"
            elif owner == CORE:
                if not name:
                    if module != "microdot" and (module not in loaded_early or isinstance(node, ast.ImportFrom)):
                        yield node, f"imports the module {module}"
                elif name not in public.get(module, ()):
                    yield node, f"imports {name} from {module}"
            elif owner not in required and (package, owner) not in OPTIONAL:
                yield node, f"imports {module} and does not require {owner}"
            elif is_private(name) or is_private(module.rpartition(".")[2]):
                yield node, f"imports {module}.{name}, which is private to {owner}"


def attribute_problems(tree: ast.Module, package: str, own_names: set[str]) -> Iterator[tuple[ast.AST, str]]:
    """Find private attributes of others, and assignments on applications, requests and classes of the core."""
    classes_of_core = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in CORE_CLASSES
    }
    allowed_on_requests = REQUEST_ATTRIBUTES | MORE_REQUEST_ATTRIBUTES.get(package, set())
    for node in ast.walk(tree):
        name = ""
        value: ast.AST = node
        stores = False
        if isinstance(node, ast.Attribute):
            name, value, stores = node.attr, node.value, not isinstance(node.ctx, ast.Load)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "setattr", "hasattr", "delattr")
            and isinstance(node.args[1], ast.Constant)
        ):
            name, value, stores = str(node.args[1].value), node.args[0], node.func.id in ("setattr", "delattr")
        if not name:
            continue
        base = name_of(value)
        if is_private(name) and name not in CONTRACT:
            # A name that two packages have may be either's, unless it is clear whose object this is.
            others = {owner for owner in ATTRIBUTES if owner != package and name in ATTRIBUTES[owner]}
            if base in APPS + REQUESTS + RESPONSES or others and name not in own_names:
                yield node, f"uses {base or '…'}.{name}, which is private to {' or '.join(sorted(others)) or 'its owner'}"
        if name == "__dict__" and base != "self":
            yield node, f"looks into {base or '…'}.__dict__"
        if stores:
            if base in APPS and name not in APP_ATTRIBUTES:
                yield node, f"assigns {name} on an application"
            elif base in REQUESTS and name in CORE_CLASSES["Request"] - allowed_on_requests:
                yield node, f"assigns {name} on a request"
            elif base in classes_of_core:
                yield node, f"assigns {name} on the core's class {base}"


def subclass_problems(tree: ast.Module, package: str) -> Iterator[tuple[ast.AST, str]]:
    """Find subclasses of the core's classes that define again, or use, what belongs to those."""
    real = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for parent in node.bases:
            base = real.get(name_of(parent), name_of(parent))
            if base not in CORE_CLASSES or base == "HTTPException":
                continue
            if (package, base) not in SUBCLASSES:
                yield node, f"{node.name} is a subclass of the core's {base}"
                continue
            allowed = SUBCLASSES[package, base]
            for name in sorted((members_of_classes([ast.Module([node], [])])[node.name] & CORE_CLASSES[base]) - allowed):
                yield node, f"{node.name} defines {name} of the core's {base} again"
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and is_private(inner.attr) and inner.attr in CORE_CLASSES[base]:
                    if name_of(inner.value) == "self":
                        yield inner, f"{node.name} uses {inner.attr}, which is private to the core's {base}"


def problems(files: list[Path], package: str = "", required: Iterable[str] = ()) -> list[str]:
    """Return what is wrong with files, one line each.

    Args:
        files: the sources of one package, or of a program.
        package: its name.
        required: the packages that it may import from.
    """
    own_modules = {module for module, owner in owners().items() if owner == package}
    trees = trees_of(files)
    own_names = set().union(*members_of_classes(trees).values())
    found = []
    for path, tree in zip(files, trees):
        for node, what in [
            *import_problems(tree, own_modules, package, set(required)),
            *attribute_problems(tree, package, own_names),
            *subclass_problems(tree, package),
        ]:
            found.append((str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name, getattr(node, "lineno", 0), what))
    return [f"{name}:{line}: {what}" for name, line, what in sorted(set(found))]


@pytest.mark.parametrize("member", MEMBERS[1:], ids=lambda member: member.name)
def test_package(member: Package) -> None:
    found = problems(sources(member), member.name, [name for name, _ in member.siblings()])
    assert not found, "past docs/writing-extensions.md:\n" + "\n".join(found)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT / "docs")))
def test_example(path: Path) -> None:
    """Examples show how it is done: they keep to the same, but for the settings, which are for programs to assign."""
    found = [line for line in problems([path], required=ATTRIBUTES) if ": assigns " not in line]
    assert not found, "past docs/writing-extensions.md:\n" + "\n".join(found)


def test_offered_names_exist() -> None:
    """Each can be imported, at least by a type checker, and each is somebody's: one of the core's modules, no private name."""
    public = offered()
    assert public["microdot.http"] >= {"HTTPException", "Request", "Response", "const"}
    for module, names in public.items():
        path = MEMBERS[0].source / (module.partition(".")[2].replace(".", "/") + ".py")
        text = (path if module != "microdot" else MEMBERS[0].source / "__init__.py").read_text(encoding="utf-8")
        assert names, module
        for name in names:
            assert not is_private(name), (module, name)
            assert re.search(rf"\b{name}\b", text), f"{module} has no {name}"


BAD = {
    "from microdot.http import port": "imports port from microdot.http",
    "from microdot.http import _CLOSE": "imports _CLOSE from microdot.http",
    "from microdot import http": "imports the module microdot.http",
    "import microdot.errors": "imports the module microdot.errors",
    "import microdot._cpython": "imports the module microdot._cpython",
    "from microdot.server import Connection": "imports Connection from microdot.server",
    "from microdot.nothing import x": "imports microdot.nothing, which no package has",
    "from microdot.session import Session": "imports microdot.session and does not require microdot-session",
    "from microdot.sse import _x": "imports microdot.sse._x, which is private to microdot-sse",
    "from microdot.websocket import WebSocket": "imports microdot.websocket and does not require microdot-websocket",
    "def f(app): return app._hooked": "uses app._hooked",
    "def f(self): return self.app._static": "uses app._static",
    "def f(request): return request._headers": "uses request._headers",
    "def f(r): return r.context._extras": "uses context._extras",
    "def f(app): return getattr(app, '_servers', None)": "uses app._servers",
    "def f(app): return 'hooks' in app.__dict__": "looks into app.__dict__",
    "def f(app): app.dispatch = f": "assigns dispatch on an application",
    "def f(app): app.my_extension = 1": "assigns my_extension on an application",
    "def f(request): setattr(request.app, 'run', f)": "assigns run on an application",
    "def f(request): request.connection = None": "assigns connection on a request",
    "from microdot import Request\nRequest.max_content_length = 1": "assigns max_content_length on the core's class Request",
    "from microdot import Microdot\nclass App(Microdot): pass": "App is a subclass of the core's Microdot",
    "from microdot import Response as R\nclass Mine(R): pass": "Mine is a subclass of the core's Response",
}


def test_each_kind_is_found(tmp_path: Path) -> None:
    """What this file promises to find, it finds; what the page allows, it lets pass."""
    path = tmp_path / "extension.py"
    for source, what in BAD.items():
        path.write_text(source, encoding="utf-8")
        found = problems([path], required=["microdot-core", "microdot-sse"])
        assert any(what in line for line in found), (source, found)
    path.write_text(
        "import microdot.lazy\n"
        "from microdot.http import Response, const\n"
        "from microdot.sse import with_sse\n"
        "class Mine:\n"
        "    _headers = 1\n"
        "    def setup(self, app):\n"
        "        app.options_handler = None\n"
        "        app._session = self\n"
        "        app.on('admit', self._admit)\n"
        "    def _admit(self, request, route):\n"
        "        request.timeout = 1\n"
        "        request.mine = request.g._session, self._headers\n"
        "        route.mine = 1\n",
        encoding="utf-8",
    )
    assert problems([path], required=["microdot-sse"]) == []
