"""WebSocket handshakes under ASGI, where a server has read them: protected as on the native server. CPython only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from microdot import Request
from microdot.asgi import Microdot
from microdot.csrf import CSRF
from microdot.websocket import WebSocket, with_websocket


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"origin": "http://board.local:5000"}, True),
        ({"origin": "http://board.local:5000", "sec-fetch-site": "same-origin"}, True),
        ({}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://board.local"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://board.local:5000", "sec-fetch-site": "cross-site"}, False),
    ],
)
async def test_handshakes(headers: dict[str, str], accepted: bool) -> None:
    app = Microdot()
    csrf = CSRF(app)

    @app.get("/echo")
    @csrf.protect
    @with_websocket(origins="*")  # so that nobody else looks at the origin
    async def echo(request: Request, ws: WebSocket) -> None:
        await ws.send(await ws.receive())

    messages: list[dict[str, Any]] = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/echo",
        "raw_path": b"/echo",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"board.local:5000"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 5000),
        "subprotocols": [],
    }
    await asyncio.wait_for(app(scope, receive, send), 10)
    assert ("websocket.accept" in [message["type"] for message in sent]) is accepted, sent
    assert ("hello" in [message.get("text") for message in sent]) is accepted, sent
