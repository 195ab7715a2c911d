"""Large files through real sockets: 1 MB from MicroPython within a heap of 64 KB, 50 MB from CPython, TLS. CPython only."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from microdot import Microdot, Request, Response, send_file
from microdot.static import Static
from provide import Missing, micropython
from support.loopback import Running
from support.wire_server import free_port, python_path
from upy import board_tree

PROGRAM = """\
import sys
from microdot import Microdot
from microdot.static import Static
app = Microdot()
Static(app, '', sys.argv[2])
app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""


@contextmanager
def serving(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Run the program; give its port and process id."""
    program = folder.parent / "program.py"
    program.write_text(PROGRAM)
    port = free_port()
    with (folder.parent / "output").open("wb") as output:
        process = subprocess.Popen(
            [*command, str(program), str(port), str(folder)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    try:
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, process.pid
        assert process.poll() is None, (folder.parent / "output").read_text()
    finally:
        process.kill()
        process.wait(10)


def fetch(port: int, path: str, lines: str = "") -> tuple[bytes, int, str]:
    """Return the head of the answer, the length of the body and its SHA-256."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            assert more, data
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        digest = hashlib.sha256(body)
        length = len(body)
        while data := sock.recv(65536):
            digest.update(data)
            length += len(data)
    return head, length, digest.hexdigest()


@pytest.mark.parametrize("bits", [64, 32])
def test_1_megabyte_from_micropython(tmp_path: Path, bits: int) -> None:
    try:
        interpreter = micropython(bits)
    except Missing as error:
        pytest.skip(str(error))
    folder = tmp_path / "web"
    folder.mkdir()
    content = os.urandom(1 << 20)
    (folder / "big.bin").write_bytes(content)
    heap = "64k" if bits == 32 else "96k"  # a 64-bit word is twice as long
    path = os.pathsep.join((str(board_tree()), ".frozen"))
    with serving([str(interpreter), "-X", f"heapsize={heap}"], folder, {"MICROPYPATH": path}) as (port, _):
        for _ in range(5):
            head, length, digest = fetch(port, "/big.bin")
            assert head.startswith(b"HTTP/1.1 200 ") and length == len(content), (head, length)
            assert digest == hashlib.sha256(content).hexdigest()
            head, length, digest = fetch(port, "/big.bin", "Range: bytes=500000-\r\n")
            assert head.startswith(b"HTTP/1.1 206 ") and digest == hashlib.sha256(content[500000:]).hexdigest()


def memory(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which Linux has")
def test_50_megabytes_from_cpython_in_constant_memory(tmp_path: Path) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    block = os.urandom(1 << 20)
    with (folder / "big.bin").open("wb") as file:
        for _ in range(50):
            file.write(block)
    (folder / "small.bin").write_bytes(block)
    with serving([sys.executable], folder, {"PYTHONPATH": python_path()}) as (port, pid):
        fetch(port, "/small.bin")
        before = memory(pid, "VmRSS")
        head, length, digest = fetch(port, "/big.bin")
        assert head.startswith(b"HTTP/1.1 200 ") and length == 50 << 20
        assert digest == hashlib.sha256(block * 50).hexdigest()
        grown = memory(pid, "VmHWM") - before
        assert grown < 3_000_000, grown
        # Clients that take one byte and go leave nothing open.
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
                sock.recv(1)
        fds = Path(f"/proc/{pid}/fd")
        for _ in range(100):
            open_files = [fd for fd in fds.iterdir() if fd.exists() and str(fd.resolve()).endswith("big.bin")]
            if not open_files:
                break
            time.sleep(0.1)
        assert not open_files


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
async def test_the_system_copies_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole ones and ranges, by `Static` and by `send_file()`; not small ones, and nothing for HEAD."""
    content = os.urandom(300_000)
    (tmp_path / "big.bin").write_bytes(content)
    copied: list[tuple[int, int]] = []
    real = os.sendfile

    def sendfile(target: int, source: int, offset: int, count: int) -> int:
        sent = real(target, source, offset, count)
        copied.append((offset, sent))
        return sent

    app = Microdot()

    @app.get("/send_file")
    async def whole(request: Request) -> Response:
        return send_file(str(tmp_path / "big.bin"))

    Static(app, "", str(tmp_path))
    monkeypatch.setattr(os, "sendfile", sendfile)
    async with Running(app) as server:
        for path, span, method, first, end, status in (
            ("/send_file", None, "GET", 0, 300_000, 200),
            ("/big.bin", None, "GET", 0, 300_000, 200),
            ("/big.bin", None, "GET", 0, 300_000, 200),  # now it is known
            ("/big.bin", "bytes=100000-249999", "GET", 100_000, 250_000, 206),
            ("/big.bin", "bytes=-100000", "GET", 200_000, 300_000, 206),
            ("/big.bin", "bytes=0-9", "GET", None, None, 206),
            ("/big.bin", None, "HEAD", None, None, 200),
            ("/big.bin", "bytes=900000-", "GET", None, None, 416),
        ):
            copied.clear()
            got, headers, body = await server.get(path, {"Range": span} if span else None, method)
            assert got == status, (path, span)
            if first is None or end is None:
                assert not copied, (path, span, copied)
                continue
            assert body == content[first:end], (path, span, len(body))
            assert copied[0][0] == first and sum(sent for _, sent in copied) == end - first, (path, span, copied)


FILES = Path(__file__).resolve().parents[3] / "tests/conformance/files"


async def test_over_tls(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What the system copies would not be encrypted: a large file is read instead, in pieces."""
    folder = tmp_path / "web"
    folder.mkdir()
    content = os.urandom(1 << 20)
    (folder / "big.bin").write_bytes(content)
    (folder / "small.bin").write_bytes(content[:5000])
    app = Microdot()

    @app.get("/send_file")
    async def whole(request: Request) -> Response:
        return send_file(str(folder / "big.bin"))

    Static(app, "", str(folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FILES / "cert.pem", FILES / "key.pem")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    port = free_port()
    task = asyncio.create_task(app.start_server("127.0.0.1", port, ssl=context))
    try:
        for _ in range(100):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        for path, span, expected in (
            ("/send_file", "", content),
            ("/big.bin", "", content),
            ("/big.bin", "Range: bytes=100000-600000\r\n", content[100000:600001]),
            ("/small.bin", "", content[:5000]),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{span}\r\n".encode())
            head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
            writer.close()
            assert body == expected, (path, span, head, len(body))
    finally:
        app.shutdown()
        await asyncio.wait_for(task, 10)
    assert "Traceback" not in capfd.readouterr().err
