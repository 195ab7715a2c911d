"""What is refused is not received: the native server over a socket.

Portable: CPython and MicroPython.
"""

import asyncio

from microdot import Microdot, Request
from microdot.ratelimit import RateLimit
from support.loopback import Running

HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"


async def ask(port: int, path: bytes, length: int) -> "tuple[bytes, bytes]":
    """Send a head that waits for `100 Continue`, then the body if asked for; return all status lines and the rest."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD % (path, length))
    await writer.drain()
    first = await reader.readline()
    if b" 100 " in first:
        await reader.readline()
        writer.write(b"x" * length)
        await writer.drain()
        first += await reader.readline()
    rest = b""
    line = await reader.readline()
    while line not in (b"\r\n", b""):
        rest += line
        line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return first, rest


async def test_what_is_refused_is_not_received() -> None:
    app = Microdot()
    limits = app.install(RateLimit(100, per=60))

    @app.post("/small")
    @limits(max_content_length=100)
    async def small(request: Request) -> str:
        return str(len(request.body))

    @app.post("/rare")
    @limits(RateLimit(1, per=60))
    async def rare(request: Request) -> str:
        return str(len(request.body))

    async with Running(app) as server:
        lines, head = await ask(server.port, b"/small", 100)
        assert b" 100 " in lines and b" 200 " in lines
        lines, head = await ask(server.port, b"/small", 101)
        assert lines.startswith(b"HTTP/1.1 413 "), lines
        lines, head = await ask(server.port, b"/rare", 1000)
        assert b" 100 " in lines and b" 200 " in lines
        assert b'ratelimit: "default";r=0;t=60\r\n' in head.lower(), head
        lines, head = await ask(server.port, b"/rare", 1000)
        assert lines.startswith(b"HTTP/1.1 429 "), lines
        assert b"retry-after: " in head.lower() and b'ratelimit: "default";r=0;t=' in head.lower()
