"""Large uploads through real sockets: 200 MB on CPython, 1 MB on MicroPython within a heap of 64 KB. CPython only."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provide import Missing, micropython
from support.wire_server import free_port, python_path
from upy import board_tree

PROGRAM = """\
import sys
from microdot import Microdot, Request
from microdot.multipart import FormDataIter, with_form_data

Request.max_content_length = 1 << 30
Request.max_body_length = 0
app = Microdot()
folder = sys.argv[2]

@app.post('/iterate')
async def iterate(request):
    found = []
    async for name, value in FormDataIter(request):
        if isinstance(value, str):
            found.append(name + '=' + value)
        else:
            await value.save(folder + '/' + value.filename)
            found.append(name)
    return ' '.join(found)

@app.post('/form')
@with_form_data
async def form(request):
    await request.files['file'].save(folder + '/' + request.files['file'].filename)
    return 'file ' + 'after=' + request.form['after']

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""


class Server:
    """The program in a process of its own."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        (folder / "files").mkdir()
        (folder / "program.py").write_text(PROGRAM)
        self.port = free_port()
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, str(folder / "program.py"), str(self.port), str(folder / "files")],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,  # where a board has its temporary files
                env={**os.environ, **environment},
            )
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"it does not start: {(folder / 'output').read_text()}")

    def upload(self, path: str, blocks: int, block: bytes) -> tuple[str, str]:
        """Upload `blocks` times `block` as one file; return the text of the answer and the SHA-256 of what was sent."""
        head = b'--b-\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
        tail = b'\r\n--b-\r\nContent-Disposition: form-data; name="after"\r\n\r\n1\r\n--b---\r\n'
        length = len(head) + blocks * len(block) + len(tail)
        digest = hashlib.sha256()
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as sock:
            start = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b-\r\n"
            sock.sendall(start.encode() + b"Content-Length: %d\r\n\r\n" % length + head)
            for _ in range(blocks):
                sock.sendall(block)
                digest.update(block)
            sock.sendall(tail)
            answer = b""
            while data := sock.recv(65536):
                answer += data
        assert answer.startswith(b"HTTP/1.1 200 "), answer + (self.folder / "output").read_bytes()
        return answer.partition(b"\r\n\r\n")[2].decode(), digest.hexdigest()

    def memory(self, name: str) -> int:
        """Return a figure of /proc/PID/status, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(name)

    def check(self, path: str, blocks: int, block: bytes) -> None:
        """Upload, and compare what was saved."""
        text, digest = self.upload(path, blocks, block)
        assert text == "file after=1"
        saved = self.folder / "files" / "big.bin"
        with saved.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == digest if sys.version_info >= (3, 11) else True
        assert saved.stat().st_size == blocks * len(block)
        assert sorted(path.name for path in self.folder.rglob("*") if ".part" in path.name) == []
        saved.unlink()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def cpython(tmp_path: Path) -> Iterator[Server]:
    server = Server([sys.executable], tmp_path, {"PYTHONPATH": python_path(), "TMPDIR": str(tmp_path)})
    yield server
    server.stop()


@pytest.fixture(params=[64, 32])
def board(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    try:
        interpreter = micropython(request.param)
    except Missing as error:
        pytest.skip(str(error))
    # A 64-bit word is twice as long, and so are most objects.
    heap = "64k" if request.param == 32 else "96k"
    path = os.pathsep.join((str(board_tree()), ".frozen"))
    server = Server([str(interpreter), "-X", f"heapsize={heap}"], tmp_path, {"MICROPYPATH": path})
    yield server
    server.stop()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which Linux has")
def test_200_megabytes_on_cpython(cpython: Server) -> None:
    block = os.urandom(65521) + b"\r\n--b\r\n--b-"[:10]
    cpython.check("/iterate", 30, block)  # what is loaded once is no growth
    cpython.check("/form", 30, block)
    before = cpython.memory("VmRSS")
    start = time.monotonic()
    cpython.check("/iterate", 3200, block)
    seconds = time.monotonic() - start
    grown = cpython.memory("VmHWM") - before
    print(f"200 MB in {seconds:.1f} s, {grown} bytes of growth")
    assert grown < 5_000_000, grown
    assert seconds < 60


def test_1_megabyte_on_micropython(board: Server) -> None:
    block = os.urandom(1014) + b"\r\n--b\r\n--b-"[:10]
    board.check("/iterate", 1024, block)
    board.check("/form", 1024, block)
    board.check("/iterate", 1024, block)
