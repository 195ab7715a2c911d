"""`mip install` from our index, over HTTP on loopback, and a server that runs on what was installed.

mip ends with exit code 0 when a package is not found, so these tests look at files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import tty
from pathlib import Path

import pytest

import gen
from project import CORE, Package
from support.board import Board
from support.environments import run

EXTENSION = "microdot-test-client"

HELLO = """
import sys
from microdot import Microdot

app = Microdot()

@app.get('/hello/<name>')
async def hello(request, name):
    return {'hello': name, 'on': sys.implementation.name}

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""

CLIENT = """
import http.client, json, sys, time
for attempt in range(100):
    try:
        connection = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=10)
        connection.connect()
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
for path in '/hello/board', '/hello/again':
    connection.request('GET', path)
    response = connection.getresponse()
    # MicroPython's dictionaries are unordered
    print(response.status, json.dumps(json.loads(response.read()), sort_keys=True))
connection.request('GET', '/none')
print(connection.getresponse().status)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def mip_install(micropython: Path, package: str, url: str, target: Path, **options: object) -> str:
    """Install with MicroPython's own mip; return what it printed."""
    target.mkdir(exist_ok=True)
    given = {"index": url, "target": str(target), **options}
    arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
    program = f"import mip; mip.install({package!r}, {arguments})"
    return run([micropython, "-c", program], cwd=target)


def assert_files(index: Path, target: Path, tag: str, names: list[str]) -> None:
    """Compare what is in `target` with what the index says, hash by hash."""
    expected = {}
    for name in names:
        document = json.loads((index / "package" / tag / name / "latest.json").read_text())
        expected.update(dict(document["hashes"]))
    found = {
        path.relative_to(target).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        for path in target.rglob("*")
        if path.is_file()
    }
    assert found == expected


def serve_and_ask(micropython: Path, library: Path, heap: str) -> str:
    """Start a server on what was installed, ask it from another process, and return what the client printed."""
    program = library.parent / "hello.py"
    program.write_text(HELLO)
    port = free_port()
    log = library.parent / "server.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(micropython), "-X", f"heapsize={heap}", str(program), str(port)],
            env={"MICROPYPATH": f"{library}:.frozen"},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=library.parent,
        )
    try:
        said = run([sys.executable, "-c", CLIENT, str(port)], cwd=library.parent, timeout=60, code=None)
        assert server.poll() is None, f"the server ended\n{log.read_text()}"
    finally:
        server.terminate()
        server.wait(10)
    assert said.startswith("200 "), f"{said}\n{log.read_text()}"
    return said


@pytest.mark.parametrize("mpy", [True, False])
def test_core_installs_and_serves(micropython64: Path, index: Path, index_url: str, tmp_path: Path, mpy: bool) -> None:
    library = tmp_path / "lib"
    mip_install(micropython64, CORE, index_url, library, mpy=mpy)
    assert_files(index, library, "6" if mpy else "py", [CORE])
    said = serve_and_ask(micropython64, library, "128k" if mpy else "512k")
    assert said.splitlines() == [
        '200 {"hello": "board", "on": "micropython"}',
        '200 {"hello": "again", "on": "micropython"}',
        "404",
    ]


def test_core_serves_on_32_bits(micropython32: Path, index: Path, index_url: str, tmp_path: Path) -> None:
    library = tmp_path / "lib"
    mip_install(micropython32, CORE, index_url, library)
    assert_files(index, library, "6", [CORE])
    assert serve_and_ask(micropython32, library, "64k").count('"on": "micropython"') == 2


def test_requirements_come_along_and_are_not_fetched_twice(
    micropython64: Path, index: Path, index_url: str, tmp_path: Path, members: list[Package]
) -> None:
    library = tmp_path / "lib"
    said = mip_install(micropython64, EXTENSION, index_url, library, version=members[0].version)
    assert_files(index, library, "6", [CORE, EXTENSION])
    assert "Exists:" not in said
    said = mip_install(micropython64, CORE, index_url, library)
    assert said.count("Exists:") == len(members[0].published())
    assert "Copying:" not in said and "Installing:" not in said


def test_unknown_package_leaves_nothing(micropython64: Path, index_url: str, tmp_path: Path) -> None:
    said = mip_install(micropython64, "microdot-nothing", index_url, tmp_path / "lib")
    assert "not found" in said.lower()
    assert [path for path in (tmp_path / "lib").rglob("*") if path.is_file()] == []


def test_mpremote_reads_the_same_index(
    index: Path, index_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], members: list[Package]
) -> None:
    from mpremote.mip import _install_package

    board = Board(tmp_path)
    (tmp_path / "lib").mkdir()
    _install_package(board, EXTENSION, index_url, "lib", None, True)
    assert_files(index, tmp_path / "lib", "6", [CORE, EXTENSION])
    capsys.readouterr()
    _install_package(board, CORE, index_url, "lib", members[0].version, True)
    assert capsys.readouterr().out.count("Exists:") == len(members[0].published())


def test_package_json_installs_from_a_folder(
    micropython64: Path, index_url: str, tmp_path: Path, members: list[Package]
) -> None:
    from mpremote.mip import _install_package

    (tmp_path / "lib").mkdir()
    for package in members:
        if package.boards:
            # the requirements of a package.json that names no repository are names, which the index answers
            folder = tmp_path / package.name
            folder.mkdir()
            (folder / "src").symlink_to(package.directory / "src")
            (folder / "package.json").write_text(gen.package_json(package))
            _install_package(Board(tmp_path), str(folder / "package.json"), index_url, "lib", None, False)
    for package in members:
        for name in package.board_files():
            assert (tmp_path / "lib" / "microdot" / name).read_bytes() == (package.source / name).read_bytes()
    shutil.rmtree(tmp_path / "lib" / "microdot" / "__pycache__", ignore_errors=True)
    program = "import sys; sys.path.insert(0, 'lib'); import microdot; print(microdot.Microdot)"
    said = run([micropython64, "-c", program], cwd=tmp_path)
    assert "Microdot" in said


class SerialBoard:
    """A MicroPython with 64 KB of heap at the other end of a serial line: a pseudo-terminal, and raw_repl.py."""

    def __init__(self, micropython: Path, directory: Path) -> None:
        # Two pairs, because only then both sides have a terminal of their own.
        self._lines = [os.openpty(), os.openpty()]
        for line in self._lines:
            tty.setraw(line[1])
        (mine, board), (theirs, device) = self._lines
        self.device = os.ttyname(device)
        library = directory / "lib"
        library.mkdir()
        self._process = subprocess.Popen(
            [str(micropython), "-X", "heapsize=64k", str(Path(__file__).with_name("raw_repl.py"))],
            stdin=board,
            stdout=board,
            stderr=board,
            cwd=directory,
            env={"MICROPYPATH": f"{library}:.frozen"},
        )
        for source, target in ((mine, theirs), (theirs, mine)):
            threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: int, target: int) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(source, 4096):
                os.write(target, data)

    def mpremote(self, *arguments: str, cwd: Path) -> str:
        return run([sys.executable, "-m", "mpremote", "connect", self.device, *arguments], cwd=cwd, timeout=60)

    def end(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for line in self._lines:
            for end in line:
                os.close(end)


def test_mpremote_installs_over_a_serial_line(micropython32: Path, index: Path, index_url: str, tmp_path: Path) -> None:
    """What a person types, with the real mpremote and a real MicroPython; then a server runs on what came across."""
    board = SerialBoard(micropython32, tmp_path)
    try:
        assert board.mpremote("exec", "import sys; print(sys.implementation[0])", cwd=tmp_path).strip() == "micropython"
        said = board.mpremote("mip", "install", "--index", index_url, EXTENSION, cwd=tmp_path)
        assert said.rstrip().endswith("Done"), said
        assert_files(index, tmp_path / "lib", "6", [CORE, EXTENSION])
        # the copy path: what tools/cost.py --out writes
        files = tmp_path / "host" / "lib" / "microdot"
        files.mkdir(parents=True)
        (files / "sample.py").write_text("here = 1\n")
        # on a board plain `:` is its root, which this system does not give away
        board.mpremote("cp", "-r", "host/lib", f":{tmp_path}", cwd=tmp_path)
        assert (tmp_path / "lib/microdot/sample.py").read_text() == "here = 1\n"
        assert (tmp_path / "lib/microdot/app.mpy").exists()
        (tmp_path / "lib/microdot/sample.py").unlink()
    finally:
        board.end()
    assert serve_and_ask(micropython32, tmp_path / "lib", "64k").startswith("200 ")
