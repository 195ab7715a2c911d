"""Every block of every page runs, or is read by what it is written for (CPython only; blocks for boards run on MicroPython too)."""

from __future__ import annotations

import configparser
import html.parser
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs import shell
from docs.pages import BadPage, Block, pages, parse
from docs.program import BOARDS, PATIENCE, Program
from provide import Missing, provide
from tree import make_tree

from project import ROOT, packages

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGES = pages()
MOST_SKIPPED = 7
"""Blocks that nobody can try. More of them need a better test, not a greater number."""

NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

CHECKED_ELSEWHERE = {"js"}
"""Scripts are read by a browser: test_site.py."""


def find_block(path: str, word: str) -> Block:
    """Return the block of a page in which a word stands."""
    (found,) = [block for block in parse(ROOT / path) if word in block.text]
    return found


@pytest.fixture
def settings() -> Iterator[None]:
    """Put back what a page assigns to the classes of the packages: settings are attributes of classes."""
    import microdot.named  # the parts that are loaded when somebody asks for them
    import microdot.replies

    assert microdot.named and microdot.replies
    classes = {
        cls
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == "microdot"
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__.split(".")[0] == "microdot"
    }
    kept = [(cls, _settings_of(cls)) for cls in classes]
    yield
    for cls, before in kept:
        now = _settings_of(cls)
        for name in now.keys() - before.keys():
            delattr(cls, name)
        for name in before:
            if now.get(name) != before[name]:
                setattr(cls, name, before[name])


def _settings_of(cls: type) -> dict[str, object]:
    """Return the plain values among the attributes of a class."""
    plain = (bool, int, float, str, bytes, tuple, dict, type(None))
    found = {name: value for name, value in vars(cls).items() if isinstance(value, plain) and not name.startswith("__")}
    return {name: dict(value) if isinstance(value, dict) else value for name, value in found.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: None) -> None:
    blocks = parse(page)
    folder = tmp_path / "page"
    folder.mkdir()
    for block in blocks:
        for name in block.words.get("file", []):
            path = folder / name
            assert path.resolve().is_relative_to(folder.resolve()), name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    before = set(sys.modules)
    program = Program(folder, monkeypatch)
    try:
        for block in blocks:
            if "skip" in block.words:
                assert len(block.words["skip"][0]) > 20, f"{block.where}: say why"
                if block.language == "python":
                    compile(block.text, block.where, "exec")
            else:
                try_block(block, program, folder)
        for number, (_, where) in program.apps.items():
            assert number in program.asked, f"{where}: no request reaches this application"
    finally:
        program.close()
        for name in set(sys.modules) - before:  # files of the page, stand-ins of boards, and those that a page makes
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith((str(folder), str(BOARDS))) or sys.modules[name].__spec__ is None:
                del sys.modules[name]


def try_block(block: Block, program: Program, folder: Path) -> None:
    """Try a block in the way of its language."""
    language = block.language
    if language == "python":
        program.run(block)
    elif language == "pycon":
        program.repl(block)
        program.after(block)
    elif language == "sh":
        shell.check(block, program)
    elif language == "console":
        program.session(block, lambda line: shell.line(line, block, program))
    elif language == "toml":
        tomllib.loads(block.text)
    elif language == "json":
        json.loads(block.text)
    elif language == "html":
        well_formed(block)
    elif language == "jinja":
        assert "file" in block.words, f"{block.where}: a template is a file, and a program uses it"
    elif language == "css":
        assert block.text.count("{") == block.text.count("}"), block.where
    elif language == "nginx":
        nginx(block, folder)
    elif language == "ini":
        unit(block)
    elif language == "text":
        assert "is" in block.words, f"{block.where}: what makes this text? Say so in a comment"
    else:
        assert language in CHECKED_ELSEWHERE, f"{block.where}: nobody knows how to try {language}"
    for expression in block.words.get("is", []):
        made = str(eval(compile(expression, block.where, "eval"), program.names)).strip()
        assert made == block.text.strip(), f"{block.where}: it is\n{made}"
    if language != "python" and "after" in block.words and language != "pycon":
        program.after(block)


class _Tags(html.parser.HTMLParser):
    """Tells whether tags are closed in the order in which they are opened."""

    EMPTY = ("meta", "link", "input", "br", "img", "hr", "!doctype")
    OPTIONAL = ("p", "li", "tr", "td", "th", "html", "head", "body", "option", "dt", "dd")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag and self.open[-1] in self.OPTIONAL:
            self.open.pop()
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open}"
        self.open.pop()


def well_formed(block: Block) -> None:
    """Look at the tags of a piece of HTML."""
    tags = _Tags()
    tags.feed(block.text)
    assert not [tag for tag in tags.open if tag not in tags.OPTIONAL], f"{block.where}: {tags.open}"


def nginx(block: Block, folder: Path) -> None:
    """Have nginx read its configuration."""
    try:
        program = provide("nginx")
    except Missing as error:
        pytest.skip(str(error))
    text = block.text if re.search(r"(?m)^http\b", block.text) else f"http {{\n{block.text}\n}}"
    # certificates and the names of other hosts are those of the reader
    text = re.sub(r"(?m)^\s*ssl_certificate.*$", "", text).replace(" ssl;", ";")
    path = folder / "nginx.conf"
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in NGINX_FOLDERS)
    head = f"pid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
    path.write_text(head + text.replace("http {", f"http {{\n{temporary}access_log off;\n", 1), encoding="utf-8")
    run = subprocess.run(
        [str(program), "-t", "-p", str(folder), "-c", str(path)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert not run.returncode, f"{block.where}: {run.stderr}"


# systemd.service(5), systemd.exec(5), systemd.unit(5), systemd.kill(5)
_UNIT = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {
        *("Type", "User", "Group", "DynamicUser", "WorkingDirectory", "Environment", "EnvironmentFile", "ExecStart", "Restart"),
        *("RestartSec", "KillSignal", "KillMode", "TimeoutStopSec", "NoNewPrivileges", "ProtectSystem", "ProtectHome"),
        *("PrivateTmp", "StateDirectory", "LimitNOFILE", "CapabilityBoundingSet", "LoadCredential"),
    },
    "Install": {"WantedBy"},
}


def unit(block: Block) -> None:
    """Look at a unit of systemd: sections and settings are ones that it has, and commands have whole paths."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # the documented way to keep upper case
    parser.read_string(block.text)
    for section in parser.sections():
        for name, value in parser[section].items():
            assert name in _UNIT[section], f"{block.where}: {name} in {section}"
            assert name != "ExecStart" or value.startswith("/"), block.where


def test_blocks_for_boards(tmp_path: Path) -> None:
    """They run on MicroPython with 32-bit words and a heap of a board's size, with the files that boards get."""
    try:
        program = provide("micropython32")
    except Missing as error:
        pytest.skip(str(error))
    blocks = [block for page in PAGES for block in parse(page) if "board" in block.words]
    assert len(blocks) > 5
    make_tree(tmp_path / "tree", packages(), copy=True)
    folder = tmp_path / "blocks"
    folder.mkdir()
    environment = {**os.environ, "MICROPYPATH": f".frozen:{BOARDS}:{tmp_path / 'tree'}"}
    for number, block in enumerate(blocks):
        assert block.language == "python"
        # what serves and what sleeps would not end
        source = re.sub(r"(?m)^(\s*)(app\.run\(|asyncio\.run\().*\)$", r"\1print('runs')", block.text)
        path = folder / f"block{number}.py"
        path.write_text(source, encoding="utf-8")
        run = subprocess.run(
            [str(program), "-X", "heapsize=192k", path.name],
            cwd=folder,
            env=environment,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert not run.returncode, f"{block.where}: {run.stdout}{run.stderr}"


def test_few_blocks_are_exempt() -> None:
    skipped = [block for page in PAGES for block in parse(page) if "skip" in block.words]
    assert len(skipped) <= MOST_SKIPPED, "\n".join(f"{block.where}: {block.words['skip']}" for block in skipped)


def test_the_tests_find_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: None) -> None:
    """Pages with mistakes: each is refused."""
    import docs.pages

    monkeypatch.setattr(docs.pages, "ROOT", tmp_path)
    app = "from microdot import Microdot\napp = Microdot()\napp.get('/')(lambda request: 'hello')\n"
    wrong = {
        "indented": "text\n\n    code\n",
        "no language": "```\ncode\n```\n",
        "unknown comment": "<!-- sikp: reason -->\n```python\n```\n",
        "comment without block": "<!-- file: a -->\n\ntext\n",
        "no such language": "```cobol\nx\n```\n",
        "not Python": "```python\nx =\n```\n",
        "not asked": f"```python\n{app}```\n",
        "other status": f"<!-- after: GET / -> 404 -->\n```python\n{app}```\n",
        "other text": f"<!-- after: GET / -> 200 bye -->\n```python\n{app}```\n",
        "other output": f"```python\n{app}```\n\n```console\n$ curl http://localhost:5000/\nbye\n```\n",
        "no such option": "```sh\npython tools/tree.py --no-such-option\n```\n",
        "no such extra": "```sh\npip install 'microdot-core[nothing]'\n```\n",
        "no such command": "```sh\nmpremote mip instal x\n```\n",
        "no such file": "```sh\nmpremote cp nothing.py :\n```\n",
        "shell": "```sh\nif true\n```\n",
        "tags": "```html\n<div><b></div>\n```\n",
        "prompt": "```pycon\n>>> 1 + 1\n3\n```\n",
        "text from nowhere": "```text\nx\n```\n",
        "reason": "<!-- skip: no -->\n```python\n```\n",
        "unit": "```ini\n[Service]\nExecStrat=/bin/true\n```\n",
    }
    for name, text in wrong.items():
        page = tmp_path / "page.md"
        page.write_text(text)
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        program = Program(folder, monkeypatch)
        try:
            for block in parse(page):
                if "skip" in block.words:
                    assert len(block.words["skip"][0]) > 20
                try_block(block, program, folder)
            assert all(number in program.asked for number in program.apps)
        except (AssertionError, BadPage, SyntaxError, subprocess.SubprocessError, KeyError):
            pass
        else:
            raise AssertionError(f"not found: {name}")
        finally:
            program.close()
