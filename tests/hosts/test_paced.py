"""A plain generator that waits between its chunks: each leaves when it is made, as from Microdot, not when there are enough."""

from __future__ import annotations

import asyncio
import io
import socket
import time
from collections.abc import Iterator
from typing import Any

import microdot.asgi
import microdot.wsgi
from microdot import Microdot, Request
from support.wire_server import free_port

STEP = 0.06


def paced(request: Request) -> Iterator[str]:
    for i in range(5):
        yield f"<{i}>"
        time.sleep(STEP)


def pieces(times: list[float]) -> int:
    """Return how many of the times are apart from the one before."""
    return sum(b - a > STEP / 2 for a, b in zip(times, times[1:], strict=False))


def test_native_server() -> None:
    app = Microdot()
    app.get("/")(paced)
    port = free_port()
    times: list[float] = []
    received = []

    def client() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while data := sock.recv(4096):
                received.append(data)
                times.append(time.monotonic())

    async def main() -> None:
        server = asyncio.create_task(app.start_server(host="127.0.0.1", port=port))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(client)
        app.shutdown()
        await server

    asyncio.run(main())
    assert all(f"<{i}>".encode() in b"".join(received) for i in range(5))
    assert pieces(times) >= 3, times


def test_asgi() -> None:
    app: Any = microdot.asgi.Microdot()
    app.get("/")(paced)
    times: list[float] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(event: Any) -> None:
        if event.get("body"):
            times.append(time.monotonic())

    asyncio.run(app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send))
    assert pieces(times) >= 3, times


def test_wsgi() -> None:
    app: Any = microdot.wsgi.Microdot()
    app.get("/")(paced)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": io.BytesIO()}
    times = [time.monotonic() for _ in app(environ, lambda status, fields: None)]
    assert pieces(times) >= 3, times


def test_a_hurry_leaves_together() -> None:
    app: Any = microdot.wsgi.Microdot()
    app.get("/")(lambda request: iter(["a", "b"] * 100))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": io.BytesIO()}
    assert len(list(app(environ, lambda status, fields: None))) < 100
