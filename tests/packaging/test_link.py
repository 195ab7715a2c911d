"""Modules that a board always loads together are one file of bytecode (tools/link.py), and private names are short (names.py).

Both change what is published and nothing in the sources, so both have to be safe without anybody looking: what would not mean
the same any more is refused. That the result answers is seen on MicroPython: every portable test runs from it.
"""

from __future__ import annotations

import ast
import asyncio
import binascii
import builtins
import gc
import hashlib
import io
import json
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from link import link
from names import BY_TEXT, rename
from project import ROOT, packages

MEMBERS = packages()
EXAMPLES = sorted((ROOT / "docs" / "examples").rglob("*.py"))

# Linking ----------------------------------------------------------------------------------------------------------------

SOURCES = {
    "p/_low.py": "import sys\nLIMIT = 3\ndef size(x):\n    return min(len(x), LIMIT)\nclass Base:\n    def all(self):\n        return size('abcd')\n",
    "p/mid.py": (
        "import sys\nif 1:\n    from time import sleep as sleep\n    import p._low as port\ndel sys\n"
        "class Mid(port.Base):\n    size = 7\n    def both(self, number=1):\n        return (self.all(), port.size('ab'), number, self.size)\n"
    ),
    "p/high.py": (
        "from time import monotonic\nfrom .mid import Mid as M, port as _port\n"
        "def make():\n    from .mid import Mid\n    return Mid()\n"
        "def both(port=5):\n    return (M, _port.LIMIT, port)\n"
    ),
    "p/cold.py": "from ._low import LIMIT\nfrom .high import make\nanswer = make().both(LIMIT)\n",
}
ORDER = ("p/_low.py", "p/mid.py", "p/high.py")


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write a package."""
    (folder / "p").mkdir()
    (folder / "p" / "__init__.py").touch()
    for path, text in texts.items():
        (folder / path).write_text(text)


def run(folder: Path, program: str) -> str:
    """Run a program in a folder and return what it prints."""
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("linked", [False, True])
def test_a_linked_package_does_the_same(tmp_path: Path, linked: bool) -> None:
    write(tmp_path, link(SOURCES, "p/mid.py", ORDER) if linked else SOURCES)
    said = run(tmp_path, "import p.cold, p.high, sys; print(p.cold.answer, p.high.both()[1:], p.high.both()[0]().size)")
    assert said == "(3, 2, 3, 7) (3, 5) 7\n"


def test_the_others_hand_on_what_they_defined() -> None:
    texts = link(SOURCES, "p/mid.py", ORDER)
    assert set(texts) == {"p/mid.py", "p/high.py", "p/cold.py"}  # nobody else may ask for a private module
    assert texts["p/high.py"] == "from .mid import both as both, make as make\n"
    assert "from .mid import LIMIT" in texts["p/cold.py"]
    assert texts["p/mid.py"].count("import sys") == 1 and "del sys" not in texts["p/mid.py"]


@pytest.mark.parametrize("of_others", ["", "from ._low import Base\n", "from .mid import port\nport.Base\n"])
def test_a_class_for_one_subclass_alone_is_part_of_it(of_others: str) -> None:
    texts = link({**SOURCES, "p/cold.py": of_others}, "p/mid.py", ORDER)
    assert ("class Base" in texts["p/mid.py"]) == bool(of_others)
    assert ("class Mid:" in texts["p/mid.py"]) == (not of_others)


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("p/high.py", "from .mid import Mid\ndef size(x):\n    return x\n", "two modules define size"),
        ("p/high.py", "from .mid import Mid\ndef Base():\n    return 1\n", "two modules define Base"),
        ("p/mid.py", "import p._low as port\nprint(port.nothing)\n", r"mid.py:2: .*no linked module defines nothing"),
        ("p/mid.py", "import p._low as port\ndef f(size):\n    return port.size(size)\n", r"mid.py:3: .*size is a local name"),
        ("p/mid.py", "import p._low as port\nclass Mid:\n    kept = port\n", "port is a module, and used as a value"),
        ("p/mid.py", "import p._low\n", "import a linked module with `as`"),
        ("p/high.py", "def min(*values):\n    return 0\n", r"_low.py: .*uses the built-in min"),
    ],
)
def test_what_would_mean_something_else_is_refused(path: str, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        link({**SOURCES, path: text}, "p/mid.py", ORDER)


def test_the_core_links_what_a_hello_world_loads() -> None:
    (core,) = (package for package in MEMBERS if package.linked)
    texts = core.published()
    for name in ("Microdot", "Request", "Response", "abort"):
        assert re.search(rf"(?m)^(class|def) {name}\b", texts["microdot/http.py"]), name
    assert texts["microdot/app.py"].strip() == "from .http import Microdot as Microdot, abort as abort"


# Names ------------------------------------------------------------------------------------------------------------------


def test_a_name_is_changed_wherever_it_stands() -> None:
    texts = {
        "p/a.py": "from .b import _one, keep\nclass _Two(keep):\n    def f(self, _one=1):\n        self._three = _one\n        return self._three\n",
        "p/b.py": (
            "from time import sleep as _one\ndef keep(*, _one):\n    global _three\n    _three = _one\n    return keep(_one=hasattr(keep, '_three'))\n"
        ),
        "p/c.py": "text = 'the name _one stays'  # as it stands\n",
    }
    assert rename(texts, {"_one": "sin", "_Two": "cos", "_three": "tan"}) == {
        "p/a.py": "from .b import sin, keep\n\nclass cos(keep):\n\n    def f(self, sin=1):\n        self.tan = sin\n        return self.tan\n",
        "p/b.py": "from time import sleep as sin\n\ndef keep(*, sin):\n    global tan\n    tan = sin\n    return keep(sin=hasattr(keep, 'tan'))\n",
        "p/c.py": texts["p/c.py"],
    }


def said(tree: ast.AST) -> Iterator[str]:
    """Yield what a source says of others: attributes, also by their texts, keywords, imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in BY_TEXT and len(node.args) > 1:
            yield getattr(node.args[1], "value", "")


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield every name in a source."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield from name.split(".")


def programs() -> Iterator[tuple[str, str]]:
    """Yield the programs of the documentation, its pieces too: where, and source."""
    for path in EXAMPLES:
        yield path.name, path.read_text(encoding="utf-8")
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "packages").glob("*/README.md")):
        for block in re.findall(r"(?s)```(?:py|python)\n(.*?)```", page.read_text(encoding="utf-8")):
            yield page.name, block


def test_nobody_else_says_a_name_that_is_changed() -> None:
    """Neither the other packages that boards get, nor a program of the documentation."""
    sources = [
        (package.name, path, text) for package in MEMBERS if package.boards for path, text in package.published().items()
    ]
    for package in MEMBERS:
        names = set(package.names)
        for owner, path, text in sources:
            if owner != package.name:
                assert not names & set(said(ast.parse(text))), (package.name, path)
        for where, text in programs():
            try:
                tree = ast.parse(text)
            except SyntaxError:  # a piece with dots in it
                continue
            assert not names & set(said(tree)), (package.name, where)


def test_a_name_that_is_changed_is_the_package_s_own() -> None:
    """It imports no such name from others, whose names stay."""
    for package in MEMBERS:
        own = {Path(name).stem for name in package.board_files()}
        for name in package.board_files():
            for node in ast.walk(ast.parse((package.source / name).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2] not in own:
                    assert not {alias.name for alias in node.names} & set(package.names), (package.name, name)


def test_nothing_built_in_has_a_name_that_is_changed() -> None:
    """An attribute is changed whatever it is an attribute of: a file's `tell()` would be, if a function were called that."""
    kinds = (bytes, bytearray, memoryview, dict, set, list, tuple, str, int, OSError, type, types.CoroutineType, types.GeneratorType)
    things = (*kinds, io.BytesIO, io.StringIO, io.FileIO, socket.socket, ssl.SSLContext, asyncio.Task, asyncio.Event, asyncio.Lock)
    modules = (asyncio, binascii, builtins, gc, hashlib, io, json, random, re, socket, ssl, struct, sys, time)  # `os` has too many
    taken = {name for thing in (*things, *modules) for name in dir(thing)}
    for package in MEMBERS:
        assert not taken & set(package.names), package.name


def test_no_text_is_a_name_that_is_changed() -> None:
    """Tables of names, and what is asked for by its text, would miss it; `getattr()` and its like are understood."""
    for package in MEMBERS:
        for path, text in package.published().items() if package.names else ():
            tree = ast.parse(text)
            understood = {
                id(node.args[1])
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in BY_TEXT and len(node.args) > 1
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in understood:
                    words = set(re.findall(r"\w+", node.value)) if " " not in node.value.strip() else set()
                    assert not words & set(package.names), (path, node.value)


def test_coroutines_keep_their_names() -> None:
    """They stand in the traceback of whatever a handler raises."""
    for package in MEMBERS:
        for name in package.board_files():
            for node in ast.walk(ast.parse((package.source / name).read_text(encoding="utf-8"))):
                assert not (isinstance(node, ast.AsyncFunctionDef) and node.name in package.names), (name, node.name)


def test_nothing_uses_a_name_that_is_given() -> None:
    """Each is given once, is no name in any source that a board gets, and no program of the documentation makes one."""
    given = [new for package in MEMBERS for new in package.names.values()]
    assert len(given) == len(set(given))
    for package in MEMBERS:
        for name in package.board_files():
            used = set(identifiers(ast.parse((package.source / name).read_text(encoding="utf-8"))))
            assert not used & set(given), name
    for where, text in programs():
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        made = {getattr(node, "attr", "") for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)}
        made |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        assert not made & set(given), where


# Names that MicroPython has built in and that programs may well give to attributes of their own.
WORDS = frozenset(
    "all any center copy count disable e ellipse end exp find format hash hline imag index init items key keys line little mode "
    "name next pi pixel poll pop pos print range read real rect reverse round scroll send sep set size source start state "
    "step stop sub sum text time type update value values phase polar write x y".split()
)


def test_no_attribute_has_a_name_that_programs_give() -> None:
    """`ws.phase = 1` in a handler must not be a private attribute of the WebSocket on boards."""
    for package in MEMBERS:
        attributes = set()
        for name in package.board_files():
            tree = ast.parse((package.source / name).read_text(encoding="utf-8"))
            attributes |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        given = {package.names[name] for name in attributes & set(package.names)}
        assert not given & WORDS, package.name


def test_names_that_are_given_are_built_in(micropython32: Path, tmp_path: Path) -> None:
    """MicroPython counts its names: reading these makes no new one."""
    given = sorted(new for package in MEMBERS for new in package.names.values())
    program = tmp_path / "names.py"
    program.write_text(
        "import micropython, sys\n"
        "words = open(sys.argv[1]).read().split()\n"
        "micropython.qstr_info()\n"
        "for word in words:\n    hasattr(sys, word)\n"
        "micropython.qstr_info()\n"
        "hasattr(sys, 'no_such_name_anywhere')\n"
        "micropython.qstr_info()\n"
    )
    words = tmp_path / "words"
    words.write_text(" ".join(given))
    done = subprocess.run([str(micropython32), str(program), str(words)], capture_output=True, text=True, check=True)
    counts = [int(count) for count in re.findall(r"n_qstr=(\d+)", done.stdout)]
    assert counts[0] == counts[1] == counts[2] - 1
