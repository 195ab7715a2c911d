"""nginx as docs/deployment.md sets it up, in front of a program as that page writes it: who asked, events, WebSockets (CPython only)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from docs.pages import DOCS, parse
from docs.test_blocks import NGINX_FOLDERS
from provide import Missing, provide

from microdot import Microdot, Request
from microdot.sse import SSE, with_sse
from microdot.websocket import WebSocket, with_websocket
from support.loopback import Running, free_port


@contextlib.asynccontextmanager
async def nginx(folder: Path, program: int) -> AsyncIterator[int]:
    """Run nginx with the configuration of the page, without TLS, before a port; give its own."""
    try:
        binary = provide("nginx")
    except Missing as error:
        pytest.skip(str(error))
    (block,) = [block for block in parse(DOCS / "deployment.md") if block.language == "nginx"]
    port = free_port()
    text = re.sub(r"(?m)^\s*ssl_certificate.*$", "", block.text)
    text, one = re.subn(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", text)
    text, two = re.subn(r"127\.0\.0\.1:8000", f"127.0.0.1:{program}", text)
    assert (one, two) == (1, 1)
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in NGINX_FOLDERS)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{text}\n}}\n"
    )
    process = subprocess.Popen(
        [str(binary), "-c", str(configuration), "-e", "stderr", "-p", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "nginx does not listen"
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def program(gone: list[str]) -> Microdot:
    """Return an application with the hook of the page."""
    (block,) = [block for block in parse(DOCS / "deployment.md") if "def behind_proxy" in block.text]
    names: dict[str, Any] = {"__name__": "program", "PROXY": "127.0.0.1"}
    exec(compile(block.text, "deployment.md", "exec"), names)
    app: Microdot = names["app"]

    @app.get("/events")
    @with_sse
    async def events(request: Request, sse: SSE) -> None:
        try:
            while True:
                await sse.send("tick")
                await asyncio.sleep(0.1)
        finally:
            gone.append("events")

    @app.get("/echo")
    @with_websocket
    async def echo(request: Request, ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(f"{message!r} from {request.client_addr[0]}")

    return app


async def test_the_page_s_proxy(tmp_path: Path) -> None:
    gone: list[str] = []
    async with Running(program(gone)) as server, nginx(tmp_path, server.port) as port:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            # what a client says about itself is replaced
            lies = {"X-Real-IP": "192.0.2.66", "X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "https"}
            for headers in ({}, lies):
                async with client.get("/", headers=headers) as answer:
                    assert json.loads(await answer.text()) == {"seen from": "127.0.0.1", "by": "http"}
            # events leave one by one, and the program notices that the client has gone
            begun = time.monotonic()
            async with client.get("/events") as answer:
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                assert (await answer.content.readline()).strip() == b"data: tick"
            assert time.monotonic() - begun < 2, "nginx collects events"
            async with client.ws_connect("/echo") as ws:
                await ws.send_str("hello")
                assert await ws.receive_str(timeout=5) == "'hello' from 127.0.0.1"
        for _ in range(500):
            if gone:
                break
            await asyncio.sleep(0.01)
        assert gone == ["events"]
