"""Counts of a load over sockets, and the heap after it, with metrics, limits and log together.

Portable: CPython and MicroPython.
"""

import asyncio
import gc

from microdot import Microdot, Request
from microdot.accesslog import AccessLog
from microdot.metrics import Metrics
from microdot.ratelimit import RateLimit
from support.loopback import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REQUESTS = 2000
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n"


async def load(port: int, paths: "list[bytes]") -> "dict[bytes, int]":
    """Send requests on one connection, and return how many answers of each status there were."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    statuses: "dict[bytes, int]" = {}
    for path in paths:
        writer.write(GET % path)
        await writer.drain()
        line = await reader.readline()
        length = 0
        status = line.split(b" ")[1]
        statuses[status] = statuses.get(status, 0) + 1
        while line not in (b"\r\n", b""):
            line = await reader.readline()
            if line.lower().startswith(b"content-length:"):
                length = int(line[15:])
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return statuses


async def test_two_thousand_requests() -> None:
    app = Microdot()
    metrics = app.install(Metrics())
    log = app.install(AccessLog(write=False))
    # Everything but the last requests fits into the bucket.
    limits = app.install(RateLimit(REQUESTS, per=86400))

    @app.get("/hello")
    @limits(timeout=5)
    async def hello(request: Request) -> str:
        return "hello"

    async with Running(app) as server:
        warm = 200
        answers = await load(server.port, [b"hello", b"nowhere"] * (warm // 2))
        assert answers == {b"200": warm // 2, b"404": warm // 2}
        gc.collect()
        before = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
        for _ in range(10):
            answers = await load(server.port, [b"hello"] * ((REQUESTS - warm) // 10))
            assert answers == {b"200": (REQUESTS - warm) // 10}
        assert await load(server.port, [b"hello"] * 100) == {b"429": 100}
        await asyncio.sleep(0.1)  # the last `done` hooks run when the last byte is out
        gc.collect()
        after = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
        # Lines of the log differ by some bytes, and the collector keeps what something on the stack looks like the address of.
        # One block more for every request would be 30 KB.
        assert after - before < 1000, after - before
        assert metrics.count[:6] == [0, 0, REQUESTS - warm // 2, 0, warm // 2 + 100, 0]
        assert sum(metrics.count[6:14]) == REQUESTS + 100
        sent = (REQUESTS - warm // 2) * len("hello") + warm // 2 * len("Not found") + 100 * len("Too many requests")
        assert metrics.count[14] == sent
        assert log.lines[0].startswith("127.0.0.1 - - [")
        assert len(log.lines) == 16 and '"GET /hello HTTP/1.1" 429 17' in log.lines[-1]
        lines, _ = await metrics.metrics(Asked(app))  # type: ignore[arg-type]
        text = "".join(lines)  # on a board it leaves line by line
        assert 'http_requests_total{code="2xx"} %d\n' % (REQUESTS - warm // 2) in text
        assert "\nhttp_connections 0\n" in text and "\nuptime_seconds " in text


class Asked:
    """All of a request that the page looks at: the one over a socket would be refused."""

    def __init__(self, app: "Any") -> None:
        self.app = app
