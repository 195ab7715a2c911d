"""Templates by Jinja: names, options, escaping, streaming, errors. CPython only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest

from microdot import Microdot, Request
from microdot.jinja import Template
from microdot.test_client import TestClient
from support.loopback import Running

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a folder of templates in the working directory, and an environment that is not made yet."""
    monkeypatch.setattr(Template, "jinja_env", None)
    monkeypatch.chdir(tmp_path)
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "hello.jinja.txt").write_text("Hello, {{ name }}!\n")
    (templates / "page.html").write_text("<p title='{{ name }}'>{{ name }}</p>")
    (templates / "table.html").write_text("{% for row in rows %}<td>{{ row }}</td>{% endfor %}")
    (templates / "bad.html").write_text("line\n{% if %}\n")
    (templates / "fails.html").write_text("one\ntwo\n{{ 1 // nothing }}\n")
    return templates


def test_defaults() -> None:
    assert Template.jinja_env is None
    template = Template("hello.jinja.txt")
    assert isinstance(Template.jinja_env, jinja2.Environment)
    assert template.name == "hello.jinja.txt"
    assert isinstance(template.template, jinja2.Template)
    assert template.render(name="foo") == "Hello, foo!"
    assert template.render({"name": "foo"}) == "Hello, foo!"
    assert list(template.generate(name="foo")) == ["Hello, ", "foo", "!"]


def test_escaping() -> None:
    """On for HTML, off for text; `Markup` is left as it is."""
    value = "<b>\"'&"
    assert Template("page.html").render(name=value) == "<p title='&lt;b&gt;&#34;&#39;&amp;'>&lt;b&gt;&#34;&#39;&amp;</p>"
    assert Template("hello.jinja.txt").render(name=value) == "Hello, <b>\"'&!"
    Template.initialize(autoescape=True)
    assert Template("hello.jinja.txt").render(name="<") == "Hello, &lt;!"


def test_options(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "a.txt").write_text("[[ name ]]\n")
    Template.initialize(str(other), variable_start_string="[[", variable_end_string="]]", keep_trailing_newline=True)
    assert Template("a.txt").render(name=1) == "1\n"
    Template.initialize(loader=jinja2.DictLoader({"b.txt": "{{ greeting }}, {{ name }}"}))
    assert Template("b.txt", globals={"greeting": "Hi"}).render(name="you") == "Hi, you"


async def test_async() -> None:
    Template.initialize(enable_async=True)

    async def rows() -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    template = Template("table.html")
    assert await template.render_async(rows=rows()) == "<td>0</td><td>1</td><td>2</td>"
    pieces = [piece async for piece in template.generate_async(rows=rows())]
    assert len(pieces) == 9 and "".join(pieces) == "<td>0</td><td>1</td><td>2</td>"
    Template.initialize()
    with pytest.raises(RuntimeError):
        await Template("table.html").render_async(rows=[])


async def test_responses() -> None:
    """What the four return can be returned from handlers, in threads too."""
    app = Microdot()
    Template.initialize(enable_async=True)
    asynchronous = Template("hello.jinja.txt")
    Template.initialize()
    plain = Template("hello.jinja.txt")

    @app.get("/render")
    def render(request: Request) -> str:
        return plain.render(name="foo")

    @app.get("/generate")
    def generate(request: Request) -> Iterator[str]:
        return plain.generate(name="foo")

    @app.get("/render_async")
    async def render_async(request: Request) -> str:
        return await asynchronous.render_async(name="foo")

    @app.get("/generate_async")
    async def generate_async(request: Request) -> AsyncIterator[str]:
        return asynchronous.generate_async(name="foo")

    @app.get("/thread")
    def thread(request: Request) -> str:
        return asynchronous.render(name="foo")

    client = TestClient(app)
    for path in "/render", "/generate", "/render_async", "/generate_async", "/thread":
        response = await client.get(path)
        assert (response.status_code, response.body) == (200, b"Hello, foo!"), path


async def test_streamed_while_made() -> None:
    """The first rows have arrived before the last one is made."""
    app = Microdot()
    Template.initialize(enable_async=True)
    go = asyncio.Event()

    async def rows() -> AsyncIterator[str]:
        yield "first"
        await asyncio.wait_for(go.wait(), 5)
        yield "last"

    @app.get("/")
    async def index(request: Request) -> AsyncIterator[str]:
        return Template("table.html").generate_async(rows=rows())

    async with Running(app) as server:
        connection = await server.connect()
        connection.writer.write(b"GET / HTTP/1.0\r\n\r\n")
        data = b""
        while b"first" not in data:
            data += await asyncio.wait_for(connection.reader.read(1000), 5)
        assert b"last" not in data
        go.set()
        while more := await asyncio.wait_for(connection.reader.read(1000), 5):
            data += more
        connection.writer.close()
    assert data.endswith(b"<td>last</td>")


async def test_errors_name_template_and_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = Microdot()

    @app.get("/<name>")
    async def index(request: Request, name: str) -> str:
        return Template(name).render(nothing=0)

    client = TestClient(app)
    for name, expected in {
        "bad.html": ("bad.html", "line 2", "TemplateSyntaxError"),
        "fails.html": ("fails.html", "line 3", "{{ 1 // nothing }}", "ZeroDivisionError"),
        "missing.html": ("TemplateNotFound", "missing.html"),
    }.items():
        response = await client.get("/" + name)
        assert response.status_code == 500
        assert response.body is not None
        assert b"Traceback" not in response.body and str(folder).encode() not in response.body
        output = "".join(capsys.readouterr())
        for text in expected:
            assert text in output, (name, text)


@pytest.mark.parametrize("enable_async", [False, True])
async def test_an_error_in_the_middle_breaks_the_page_off(
    folder: Path, capsys: pytest.CaptureFixture[str], enable_async: bool
) -> None:
    (folder / "late.html").write_text("first\n{% for n in (1, 0) %}\n{{ 1 // n }}\n{% endfor %}\nlast\n")
    Template.initialize(enable_async=enable_async)
    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> Any:
        template = Template("late.html")
        return template.generate_async() if enable_async else template.generate()

    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        data = await asyncio.wait_for(connection.read_all(), 5)
        await connection.close()
    assert b"first" in data and b"last" not in data
    assert not data.endswith(b"0\r\n\r\n")  # RFC 9112 8: the client knows that something is missing
    output = "".join(capsys.readouterr())
    for text in ("late.html", "line 3", "{{ 1 // n }}", "ZeroDivisionError"):
        assert text in output, output


def test_no_path_leaves_the_folder(folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    for name in "../secret.txt", "a/../../secret.txt", "..\\secret.txt", str(folder.parent / "secret.txt"):
        with pytest.raises(jinja2.TemplateNotFound):
            Template(name)


async def test_the_program_of_the_readme_runs(folder: Path) -> None:
    text = (ROOT / "packages/microdot-jinja/README.md").read_text(encoding="utf-8")
    (folder / "index.html").write_text("<h1>Hello, {{ name }}!</h1>")
    (program,) = re.findall(r"(?s)```python\n(.*?)```", text)
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(program, "README.md", "exec"), names)
    response = await TestClient(names["app"]).get("/")
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert response.text == "<h1>Hello, Ann!</h1>"
