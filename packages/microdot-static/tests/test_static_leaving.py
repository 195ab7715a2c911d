"""Clients that leave while a large file is copied, and slow ones. CPython only."""

from __future__ import annotations
import asyncio, os, socket, time
from pathlib import Path
import pytest
from microdot import Microdot
from microdot.static import Static
from support.loopback import Running

async def test_clients_that_leave_while_a_file_is_copied(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They go with a reset or without a word: nothing is printed, nothing stays open."""
    (tmp_path / "big.bin").write_bytes(bytes(8_000_000))
    app = Microdot()
    Static(app, "", str(tmp_path))
    async with Running(app) as server:
        for reset in (False, True) * 10:
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0" if reset else bytes(8))
            await asyncio.get_running_loop().sock_sendall(sock, b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.get_running_loop().sock_recv(sock, 1000)
            await asyncio.sleep(0.02)
            sock.close()
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        fds = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
        assert not [fd for fd in fds if fd.endswith("big.bin")]
        assert len(asyncio.all_tasks()) < 6
    assert "Traceback" not in capfd.readouterr().err

async def test_a_slow_but_steady_client_gets_its_file(tmp_path: Path) -> None:
    """The deadline is for a client that takes nothing, not for the file."""
    content = os.urandom(6_000_000)
    (tmp_path / "big.bin").write_bytes(content)
    app = Microdot()
    app.write_timeout = 1
    Static(app, "", str(tmp_path))
    async with Running(app) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", server.port))
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b"GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = b""
        start = time.monotonic()
        while time.monotonic() < start + 2.5:  # about 100 KB a second
            await asyncio.sleep(0.05)
            got += await loop.sock_recv(sock, 5000)
        while data := await asyncio.wait_for(loop.sock_recv(sock, 1 << 20), 5):
            got += data
        sock.close()
        assert got.partition(b"\r\n\r\n")[2] == content
        # One that takes nothing is let go: what the system has of the file by then is all that it gets.
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", server.port))
        sock.setblocking(False)
        await loop.sock_sendall(sock, b"GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(5)  # the deadline twice: what fills the buffers of both ends is progress, too
        length = 0
        while data := await asyncio.wait_for(loop.sock_recv(sock, 1 << 20), 5):
            length += len(data)
        sock.close()
        assert 0 < length < len(content)
