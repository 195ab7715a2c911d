"""Clients that take more than their share: others are served within a second, and nobody writes the log."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.wire_server import Server, wait_until

Launch = Callable[..., Server]

SECONDS = 1.5
GETS = 500 * b"GET /text HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKS = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + 8000 * b"1\r\nx\r\n" + b"0\r\n\r\n"


@contextmanager
def flood(server: Server, data: bytes) -> Iterator[None]:
    """Send the same requests again and again as fast as the server takes them, and read its answers."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        end = time.monotonic() + SECONDS

        def send() -> None:
            try:
                while time.monotonic() < end:
                    sock.sendall(data)
            except OSError:
                pass

        def receive() -> None:
            try:
                while sock.recv(1 << 20):
                    pass
            except OSError:
                pass

        threads = [threading.Thread(target=target, daemon=True) for target in (send, receive)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        yield
        threads[0].join(10)


@pytest.mark.parametrize("data", [GETS, CHUNKS, 50000 * b"\r\n"], ids=["pipelined", "chunks", "empty-lines"])
def test_one_client_does_not_starve_others(launch: Launch, runtime: str, data: bytes) -> None:
    server = launch(runtime, "battery.py", "file=")
    server.note()
    waits = []
    with flood(server, data):
        end = time.monotonic() + SECONDS - 0.6
        while time.monotonic() < end:
            begun = time.monotonic()
            assert server.get("/text").text == "hello"
            waits.append(time.monotonic() - begun)
    assert len(waits) >= 3 and max(waits) < 1, waits
    # The rest of its requests was not answered into a connection that is gone.
    assert server.get("/text").text == "hello"
    assert server.said() == ""


@pytest.mark.parametrize("times", [2, 4, 12])
def test_a_burst_of_silent_clients_makes_room(launch: Launch, runtime: str, times: int) -> None:
    server = launch(runtime, "battery.py", "file=", "app.max_connections=20")
    with ExitStack() as stack:
        for _ in range(20 * times):
            silent = stack.enter_context(socket.socket())
            silent.setblocking(False)
            silent.connect_ex(("127.0.0.1", server.port))
        time.sleep(0.7)
        # The first one may be told to come back; it has made room for the next.
        assert wait_until(lambda: server.get("/text").status == 200, 2)
        assert [server.get("/text").status for _ in range(5)] == [200] * 5


def test_a_stalled_download_leaves_no_traceback(launch: Launch, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(60_000_000))  # more than both ends of a connection hold
    server = launch("cpython", "battery.py", f"file={file}", "app.write_timeout=1")
    server.note()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2.5)
    assert server.get("/text").text == "hello"
    assert server.said() == ""


def test_tls_handshakes_do_not_last(bench: object, launch: Launch) -> None:
    server = Server(bench, "cpython", "battery.py", ["file=", "app.head_timeout=1"], tls=True).start()  # type: ignore[arg-type]
    try:
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 5)) for _ in range(30)]
            for sock in silent:
                assert sock.recv(1) == b"", "still open"
    finally:
        server.stop()
