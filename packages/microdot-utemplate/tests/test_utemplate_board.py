"""The compiler of folders, small heaps, the programs of the guide. CPython only."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from microdot.test_client import TestClient
from microdot.utemplate import Template
from microdot.utemplate_compile import main
from provide import Missing, micropython
from support.wire_server import free_port
from upy import board_tree

ROOT = Path(__file__).resolve().parents[3]

TABLE = """{% args rows %}
<table>
{% for row in rows %}
<tr><td>{{ row }}</td><td>{{ row * row }}</td><td>{{ '<' }}</td></tr>
{% endfor %}
</table>
"""
ROWS = "".join(f"<tr><td>{row}</td><td>{row * row}</td><td>&#60;</td></tr>\n" for row in range(200))
RENDERED = f"<table>\n{ROWS}</table>\n".encode()

PROGRAM = """\
import sys
from microdot import Microdot
from microdot.utemplate import Template
Template.initialize('templates', autoescape=True)
table = Template('table.html')
app = Microdot()

@app.get('/')
async def index(request):
    return table.generate(range(200)), {'Content-Type': 'text/html'}

@app.get('/modules')
async def modules(request):
    return ' '.join(sys.modules)

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""


def fetch(port: int, path: str, version: str = "1.0") -> bytes:
    """Return the body of an answer, with HTTP/1.1 in its chunks."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(f"GET {path} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        while more := sock.recv(65536):
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], data
    return body


@pytest.mark.parametrize("kind", ["source", "py", "mpy"])
def test_table_in_48_kilobytes(kind: str, tmp_path: Path) -> None:
    """200 rows, streamed, from MicroPython with 32-bit words; precompiled templates load no compiler."""
    try:
        interpreter = micropython(32)
    except Missing as error:
        pytest.skip(str(error))
    source = tmp_path / "source"
    source.mkdir()
    (source / "table.html").write_text(TABLE)
    templates = tmp_path / "templates"
    if kind == "source":
        source.rename(templates)
    else:
        assert main([str(source), str(templates), *(["--mpy"] if kind == "mpy" else [])]) == 0
    (tmp_path / "program.py").write_text(PROGRAM)
    port = free_port()
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [str(interpreter), "-X", "heapsize=48000", "program.py", str(port)],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MICROPYPATH": f".:{board_tree()}:.frozen"},
        )
    try:
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        for _ in range(10):
            assert fetch(port, "/") == RENDERED
        # A row is sent when it is made.
        chunks = re.findall(rb"([0-9a-f]+)\r\n(.*\n)\r\n", fetch(port, "/", "1.1"))
        assert len(chunks) >= 200 and all(int(size, 16) == len(chunk) < 100 for size, chunk in chunks), chunks
        loaded = fetch(port, "/modules").decode().split()
        assert ("microdot._utemplate" in loaded) == (kind == "source")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(10)
    assert "Traceback" not in (tmp_path / "output").read_text()


def test_compile_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "parts").mkdir(parents=True)
    (source / "page.html").write_text("{% args v %}\n{% include 'parts/head.html' v %}{% include {{ 'parts/foot.html' }} v %}")
    (source / "parts/head.html").write_text("{% args v %}[{{ v }}]")
    (source / "parts/foot.html").write_text("{% args v %}({{ v }}é)")
    (source / "v1.2").mkdir()
    (source / "v1.2/a.b.html").write_text("dots")
    (source / ".hidden").write_text("{% if %}")
    (source / "old_html.py").write_text("not a template {% if %}")
    out = tmp_path / "compiled_templates"
    assert main([str(source), str(out)]) == 0
    assert "4 templates" in capsys.readouterr().out
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == [
        "page_html.py",
        "parts/foot_html.py",
        "parts/head_html.py",
        "v1_2/a_b_html.py",
    ]
    first = (out / "page_html.py").read_bytes()
    assert main([str(source), str(out)]) == 0
    assert (out / "page_html.py").read_bytes() == first
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for autoescape, expected in ((False, "[<](<é)"), (True, "[&#60;](&#60;é)")):
        Template.initialize("compiled_templates", autoescape=autoescape)
        assert Template("page.html").render("<") == expected
        assert Template("v1.2/a.b.html").render() == "dots"
    Template.initialize()


def test_compile_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    out = tmp_path / "out"
    assert main([str(source), str(out)]) == 1
    assert "no templates" in capsys.readouterr().err
    (source / "a.html").write_text("\n{% if %}")
    assert main([str(source), str(out)]) == 1
    assert "a.html:2: wrong or misplaced: if" in capsys.readouterr().err
    assert not out.exists()
    (source / "a.html").write_text("a")
    (source / "a_html").write_text("b")
    assert main([str(source), str(out)]) == 1
    assert "would both become a_html.py" in capsys.readouterr().err


async def test_the_program_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "packages/microdot-utemplate/README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates").mkdir()
    ((name, content),) = re.findall(r"`templates/([\w.]+)`\n\n((?:    .*\n)+)", text)
    (tmp_path / "templates" / name).write_text(re.sub(r"(?m)^    ", "", content))
    (program,) = re.findall(r"(?s)```python\n(.*?)```", text)
    names: dict[str, Any] = {"__name__": "program"}
    try:
        exec(compile(program, "README.md", "exec"), names)
        response = await TestClient(names["app"]).get("/")
        assert response.status_code == 200 and response.body == b"<h1>Hello, Ann!</h1>\n"
    finally:
        Template.initialize()


def test_module_runs_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    command = [sys.executable, "-m", "microdot.utemplate_compile", str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("1 templates"), done.stderr
