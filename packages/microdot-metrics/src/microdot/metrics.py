"""How an application is doing: requests counted and timed in memory of a fixed size, for Prometheus and for people."""

# For the first request: a board loads it now, while its heap is in one piece (docs/design.md, "What is loaded when").
import microdot.headers

from .http import const
from .outgoing import bytes_sent

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from . import Microdot, Request, Response
    from .app import Route

try:
    from ._metrics import dumps, heap, page, ticks
except ImportError:  # a board
    import gc
    from asyncio.core import ticks  # type: ignore[import-not-found, no-redef]
    # Of what it escapes in another way than Prometheus, nothing can be in a pattern that has matched on a board.
    from json import dumps  # type: ignore[assignment]

    # Line by line, because a heap in use may have no piece for all of it. Types of all figures would be 70 bytes, texts 400.
    page = iter  # type: ignore[assignment]

    def heap() -> "dict[str, float]":
        """Return how much heap is free, and the largest block of it that can be had, in bytes."""
        gc.collect()
        free = block = gc.mem_free()  # type: ignore[attr-defined]
        while True:
            try:
                bytearray(block)
                break
            except MemoryError:
                block = block * 7 // 8
        return {"mem_free": free, "mem_block": block}


class Metrics:
    """Requests counted by the class of their status and timed: `app.install(Metrics())` adds `/metrics` and `/health`.

    A request takes from its head to the last byte of its answer. What was upgraded, to a WebSocket as a rule, is counted as
    1xx and not timed; what ended before its answer was out is counted as 0xx.

    Attributes:
        count: at 0 to 5 how many requests of class 0xx to 5xx there were; at 6 to 13 how many took less than 1, 4, 16, 64,
            256, 1024, 4096 milliseconds, and longer; at 14 the bytes of all bodies, as far as they were sent; at 15
            the milliseconds that all requests took, at 16 the longest of them.
        route: the pattern of the route that took longest.
    """

    route = ""

    def __init__(self) -> None:
        self.count = [0] * 17

    def setup(self, app: "Microdot") -> None:
        """Count the requests of an application; one object may be set up on several."""
        app.on("admit", self.admit)
        app.on("done", self.done)
        app.get("/metrics")(self.metrics)
        app.get("/health")(self.health)

    def admit(self, request: "Request", route: "Route | None") -> None:
        """Note when a request began: this is a hook."""
        request.ticks = ticks()  # type: ignore[attr-defined]

    def done(self, request: "Request | None", response: "Response | None", exc: "BaseException | None") -> None:
        """Count a request: this is a hook."""
        count = self.count
        sent = bytes_sent(request, response, exc)
        if sent is None:
            count[1] += 1
            return
        count[14] += sent
        status = 0
        if response and not (request and exc):  # what could not be read has an exception and an answer
            status = response.status_code // 100 % 6
        count[status] += 1
        if hasattr(request, "ticks"):  # not when a hook ahead of ours has answered
            took = ticks() - request.ticks & 0x3FFFFFFF  # type: ignore[union-attr]  # 32-bit clocks come round there
            count[15] += took
            if took > count[16] and request.matched:  # type: ignore[union-attr]
                count[16] = took
                self.route = request.matched.pattern  # type: ignore[union-attr]
            i = 6
            while i < 13 and took:
                took >>= 2
                i += 1
            count[i] += 1

    async def health(self, request: "Request") -> "dict[str, float]":
        """Answer with the figures as JSON: this is a handler."""
        figures = heap()
        server = request.app.server
        if server:
            figures["uptime_seconds"] = server.tick // 4
            figures["http_connections"] = len(server.connections)
        count = self.count
        for i in range(6):
            figures['http_requests_total{code="%dxx"}' % i] = count[i]
        figures["http_bytes_total"] = count[14]
        figures["http_max_seconds{route=%s}" % dumps(self.route)] = count[16] / 1000
        return figures

    async def metrics(self, request: "Request") -> "tuple[str, dict[str, str]]":
        """Answer with the figures and the histogram as text for Prometheus: this is a handler."""
        family = "http_seconds"
        lines = ["# TYPE %s histogram\n" % family]
        n = 0
        for i in range(8):
            n += self.count[6 + i]
            lines.append('%s_bucket{le="%s"} %d\n' % (family, 4**i / 1000 if i < 7 else "+Inf", n))
        lines.append("%s_count %d\n%s_sum %s\n" % (family, n, family, self.count[15] / 1000))
        for figure in sorted((await self.health(request)).items()):
            lines.append("%s %s\n" % figure)
        return page(lines), {"Content-Type": "text/plain"}
