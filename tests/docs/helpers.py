"""What the comments in the pages may call, besides sending requests (CPython only)."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

from docs.pages import DOCS, parse

from microdot import Microdot, Request, Response
from microdot.accesslog import AccessLog
from microdot.test_client import TestClient, TestResponse
from support.loopback import free_port

_start_server = Microdot.start_server


def client(app: Microdot) -> TestClient:
    """Return a client of an application."""
    return TestClient(app)


async def talk(app: Microdot, path: str, *messages: str | bytes, answers: int = 1) -> list[Any]:
    """Open a WebSocket, send messages, and return the first answers."""
    got: list[Any] = []

    async def play() -> Any:
        for message in messages or (None,):
            got.append((yield message))
        for _ in range(10):
            got[:] = [answer for answer in got if answer is not None]
            if len(got) >= answers:
                break
            got.append((yield None))

    await TestClient(app).websocket(path, play)
    return got


async def talk_bytes(app: Microdot, path: str, *data: bytes) -> list[bytes]:
    """Take a connection over on the native server, send bytes, and return what comes back after each."""
    port = free_port()
    server = asyncio.ensure_future(_start_server(app, host="127.0.0.1", port=port))
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.01)
            assert not server.done()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    got = []
    for part in data:
        writer.write(part)
        got.append(await reader.read(1000))
    writer.close()
    await writer.wait_closed()
    app.shutdown()
    await server
    return got


async def form(app: Microdot, path: str, **fields: str | bytes) -> TestResponse:
    """Send a form with files: a field that is bytes is one."""
    body = b""
    for name, value in fields.items():
        more = f'; filename="{name}.bin"' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else value.encode()
        body += f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + data + b"\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return await TestClient(app).post(path, headers, body + b"--b--\r\n")


async def asgi(app: Any, path: str) -> tuple[int, bytes]:
    """Start an application as an ASGI server does, send it a request, and stop it; return status and body."""
    state: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []
    steps = iter(["lifespan.startup", "lifespan.shutdown"])

    async def lifespan() -> dict[str, Any]:
        step = next(steps)
        if step == "lifespan.shutdown":
            scope = {"type": "http", "method": "GET", "path": path, "headers": [], "state": state}
            await app(scope, receive, send)
        return {"type": step}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "lifespan", "state": state}, lifespan, send)
    (start,) = [message for message in sent if message["type"] == "http.response.start"]
    return start["status"], b"".join(message.get("body", b"") for message in sent)


def wsgi(app: Any, path: str) -> tuple[str, bytes]:
    """Send a request as a WSGI server does; return the status line's end and the body."""
    statuses: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}
    body = b"".join(app(environ, lambda status, headers: statuses.append(status)))
    return statuses[0], body


def access_log(form: str) -> str:
    """Return the line that the access log writes for one request, with the time and the duration of the guide."""
    lines: list[str] = []
    app = Microdot()
    app.install(AccessLog(form=form, write=lines.append))
    app.get("/")(lambda request: "hello")

    async def ask() -> None:
        request = Request(app, ("192.0.2.1", 1234), "GET", "/", "1.1", {"User-Agent": "curl/8.5"})
        response: Response = await app.dispatch(request)
        app.finish(request, response, None)

    asyncio.run(ask())
    (line,) = lines
    if line[0] == "{":
        return json.dumps({**json.loads(line), "time": "2026-11-22T17:04:05Z", "ms": 3})
    return re.sub(r"\[[^\]]+\]", "[22/Nov/2026:17:04:05 +0000]", line)


def block_of(page: str, name: str) -> str:
    """Return the file of another page."""
    (text,) = [block.text for block in parse(DOCS / page) if name in block.words.get("file", [])]
    return text


def heard(logger: str) -> list[str]:
    """Return a list that fills with what a logger is told from now on."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logging.getLogger(logger).addHandler(Ear())
    logging.getLogger(logger).setLevel(logging.INFO)
    return lines


NAMES: dict[str, Any] = {f.__name__: f for f in (client, talk, talk_bytes, form, asgi, wsgi, access_log, block_of, heard)}
NAMES["DOCS"] = DOCS
