"""The site: Sphinx, Furo and MyST. `python3 tools/check.py docs` makes build/site from it, with warnings as errors.

Three things are made here, because a person would let them go stale:

- the pages of the API, one for each public module of every package (docs/api, not committed);
- `<!-- cost: microdot-x -->` in a page becomes what the package costs a board, out of the measured tables of performance.md;
- `<!-- examples -->` becomes the list of the examples, with the pictures that the tests have taken of them.

Comments of this form are invisible where pages are read as they are. tests/docs runs the blocks of the pages.
"""

from __future__ import annotations

import __future__
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "tools"))

from project import CORE, packages  # noqa: E402  # the path is needed first

project = "Microdot packages"
author = "the authors"
project_copyright = "the authors, MIT licence"
version = release = next(package.version for package in packages() if package.name == CORE)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["examples/**/[!R]*.md", "_static"]
# `Microdot` in a signature: that of the core or the one of a host.
suppress_warnings = ["ref.python"]
smartquotes_action = "D"  # the dashes of parameter lists; quotes stay as they are written
nitpicky = True
# Types are named as the sources name them. What is not of this project has no page here; there is no internet to look it up.
default_role = "code"

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block", "attrs_inline"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 88
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"
# Names of the modules that have examples, as the reader of one sees them.
doctest_global_setup = """
from microdot.datastructures import *
from microdot.headers import *
from microdot.passwords import *
from microdot.pubsub import *
"""

html_theme = "furo"
html_title = "Microdot packages"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/logo.svg"
html_logo = "_static/logo.svg"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b6e63",
        "color-brand-content": "#0b6e63",
        "color-brand-visited": "#4f5d8f",
        "color-highlight-on-target": "#d9f2ee",
    },
    "dark_css_variables": {
        "color-brand-primary": "#4fd1bd",
        "color-brand-content": "#4fd1bd",
        "color-brand-visited": "#a9b4e8",
        "color-highlight-on-target": "#143b36",
    },
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"



def public_names() -> dict[str, list[str]]:
    """Return what the core offers: module → names. The table in writing-extensions.md is the one list of it."""
    text = (DOCS / "writing-extensions.md").read_text(encoding="utf-8")
    table = text.partition("## What you may import")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `(microdot[.\w]*)` \| (.+?) \|", table)
    return {module: re.findall(r"`(\w+)`", names) for module, names in rows}


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads modules with what they show to type checkers only: most attributes of a request are made when they are asked for."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)  # no cache: what programs run is not to come from here

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> Any:  # type: ignore[override]
        tree = ast.parse(data, path)
        # what is put in the place of what a class declares has no words of its own
        tree.body = [node for node in tree.body if not re.match(r"\w+\.\w+ = (static|class)method\(", ast.unparse(node))]
        for parent in ast.walk(tree):
            if not isinstance(parent, (ast.Module, ast.ClassDef)):
                continue
            for node in list(parent.body):
                if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                    continue
                if isinstance(parent, ast.ClassDef):
                    node.test = ast.copy_location(ast.Constant(True), node.test)
                    # what is declared counts, not the leaner one that follows
                    declared = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
                    parent.body = [
                        one for one in parent.body if not (isinstance(one, ast.FunctionDef) and one.name in declared)
                    ]
                else:
                    place = parent.body.index(node)
                    parent.body[place:place] = [one for one in node.body if _is_harmless(one)]
        return compile(tree, path, "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)


def _is_harmless(statement: ast.stmt) -> bool:
    """Tell whether a module can do this when it is loaded: no import of the project's own modules, which would go round in circles."""
    if isinstance(statement, ast.ImportFrom):
        return not statement.level and not (statement.module or "").startswith("microdot")
    return isinstance(statement, ast.ClassDef)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "microdot" and not name.startswith("microdot."):
            return None
        for package in packages():
            file = package.source / (name[9:].replace(".", "/") + ".py" if "." in name else "__init__.py")
            if file.exists():
                loader = _Loader(name, str(file))
                places = [str(package.source)] if file.name == "__init__.py" else None
                return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=places)
        return None


# Types are named as the sources name them. What is not of this project has no page here; there is no internet to look it up.
nitpick_ignore_regex = [
    ("py:.*", r"(?!microdot[.]).*"),
    # private, or seen by type checkers only
    ("py:.*", r"microdot[.](.*[.])?_.*"),
    # type variables
    ("py:.*", r"microdot[.].*[.][A-Z]"),
]
for _package in packages():
    if _package.name == CORE:
        # modules of the core that are not for others
        nitpick_ignore_regex += [
            ("py:.*", rf"microdot[.]{name[:-3]}[.].*")
            for name in _package.files()
            if name.endswith(".py") and "microdot." + name[:-3] not in public_names()
        ]


def api_pages() -> dict[str, str]:
    """Return the pages of the API: name → text."""
    public = public_names()
    top = public["microdot"]
    index = ["# API", "", "From the docstrings: one page for each module that programs and extensions may import.", ""]
    index += ["| module | |", "|---|---|"]
    pages = {}
    toctree = []
    for package in packages():
        modules = []
        if package.name == CORE:
            names = list(public)
        else:
            files = [name[:-3] for name in package.files() if name.endswith(".py") and not name.startswith("_")]
            names = ["microdot." + file.replace("/", ".") for file in files]
        for module in names:
            lines = [f"# {module}", "", f"`pip install {package.name}`" if package.name != CORE else "", ""]
            lines += ["```{eval-rst}"]
            if package.name != CORE:
                lines += [f".. automodule:: {module}", ""]
                for name in _from_private(module):
                    lines += [f".. {_directive(module, name)}:: {module}.{name}"]
                    lines += ["   :inherited-members: object"] * (_directive(module, name) == "autoclass") + [""]
            else:
                lines += [f".. automodule:: {module}", "   :no-members:", ""]
                elsewhere = [name for name in public[module] if module != "microdot" and _elsewhere(module, name, top)]
                if elsewhere:
                    listed = ", ".join(f"`{name}`" for name in sorted(elsewhere))
                    lines += [f"Also here, described in other modules: {listed}.", ""]
                for name in public[module]:
                    if name not in elsewhere:
                        lines += [f".. {_directive(module, name)}:: {_home(module, name)}.{name}", ""]
            pages[module] = "\n".join([*lines, "```", ""])
            modules.append(module)
            toctree.append(module)
        for module in modules:
            first = (importlib.import_module(module).__doc__ or "").strip().partition("\n")[0].replace("|", "\\|")
            index.append(f"| [{module}]({module}.md) | {first} |")
    pages["index"] = "\n".join([*index, "", "```{toctree}", ":hidden:", "", *toctree, "```", ""])
    return pages


def _elsewhere(module: str, name: str, top: list[str]) -> bool:
    """Tell whether a name is described on another page than that of this module."""
    found = getattr(importlib.import_module(module), name)
    return name in top or getattr(found, "__module__", module) in set(public_names()) - {module, "microdot.microdot"}


def _from_private(module: str) -> list[str]:
    """Return the names that a module takes from a private one on CPython, where it can do more than on a board."""
    found = vars(importlib.import_module(module))
    return [
        name
        for name, value in found.items()
        if not name.startswith("_")
        and (getattr(value, "__module__", None) or "").startswith("microdot._")
        and value.__module__ not in ("microdot._cpython", "microdot._metrics", "microdot._websocket_cpython")
        and value.__doc__
    ]


def _home(module: str, name: str) -> str:
    """Return the module that defines a name; the one that offers it, when that is not called so there."""
    home = getattr(getattr(importlib.import_module(module), name), "__module__", None) or ""
    return home if home.startswith("microdot.") and hasattr(sys.modules[home], name) else module


def _directive(module: str, name: str) -> str:
    found = getattr(importlib.import_module(module), name)
    return "autoclass" if isinstance(found, type) else "autofunction" if callable(found) else "autodata"


def write_api(app: Sphinx) -> None:
    """Write the pages of the API where Sphinx looks for them; those that are as they were keep their time."""
    folder = DOCS / "api"
    folder.mkdir(exist_ok=True)
    pages = api_pages()
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def costs() -> dict[str, str]:
    """Return what each package costs a board, as the tables of performance.md have it: name → Markdown."""
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    measured = text.partition("<!-- size: begin -->")[2].partition("<!-- size: end -->")[0]
    table = measured.partition("| package ")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines() if "|" in line]
    columns = ["package", *rows[0]]
    found = {}
    for row in rows[2:]:
        of = dict(zip(columns, row))
        heap = of["heap after import"]
        found[of["package"]] = (
            "| flash | heap |\n|--:|--:|\n"
            f"| {of['.mpy']} of `.mpy` | {'-' if heap == '-' else heap + ' after the import'} |\n"
        )
    return found


# A page of a toctree that another edition of this repository may lack: `what-it-costs?`
MAYBE = re.compile(r"(?m)^([\w/-]+)\?\n")
COST = re.compile(r"<!-- cost: ([\w-]+) -->")
EXAMPLES = "<!-- examples -->"


def example_list() -> str:
    """Return the list of the examples: title, first paragraph and picture of each."""
    parts = []
    for page in sorted(DOCS.glob("examples/*/README.md")):
        name = page.parent.name
        title, _, text = page.read_text(encoding="utf-8").partition("\n")
        first = next(block for block in text.split("\n\n") if block.strip() and not block.strip().startswith(("#", "```", "!")))
        picture = f"_static/shots/{name}.png"
        parts.append(f"## [{title.lstrip('# ')}](examples/{name}/README.md)\n\n{first.strip()}\n")
        if (DOCS / picture).exists():
            parts.append(f"![{title.lstrip('# ')}, as a browser shows it]({picture}){{.shot}}\n")
    pages = [f"examples/{page.parent.name}/README" for page in sorted(DOCS.glob("examples/*/README.md"))]
    return "\n".join([*parts, "```{toctree}", ":hidden:", "", *pages, "```", ""])


def read_source(app: Sphinx, name: str, content: list[str]) -> None:
    """Fill in what is made at build time."""
    if EXAMPLES in content[0]:
        content[0] = content[0].replace(EXAMPLES, example_list())
    content[0] = MAYBE.sub(lambda match: match[1] + "\n" if (DOCS / (match[1] + ".md")).exists() else "", content[0])
    if COST.search(content[0]):
        known = costs()
        app.env.note_dependency(str(DOCS / "performance.md"))
        content[0] = COST.sub(lambda match: known[match[1]], content[0])


_attributes: dict[str, list[str]] = {}


def before_napoleon(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Mark the examples of docstrings as code: what is indented after an empty line and a line that is not."""
    if what in ("attribute", "data", "property"):
        _attributes[name] = list(lines)
    found: list[str] = []
    for i, line in enumerate(lines):
        before = next((one for one in reversed(lines[:i]) if one.strip()), " ")
        if line.startswith("    ") and not lines[i - 1].strip() and not before.startswith((" ", "- ", ">>>")):
            found += [".. code-block:: python", ""]
        found.append(line)
    lines[:] = found


def after_napoleon(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Leave the text of attributes as it was: there a colon is a colon, and no type stands before it."""
    if what in ("attribute", "data", "property"):
        lines[:] = _attributes[name]


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    # The examples in docstrings run with the modules as they are.
    if "doctest" not in sys.argv:
        sys.meta_path.insert(0, _Finder())
        app.connect("builder-inited", write_api)
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", after_napoleon, priority=900)
