"""How an application is doing: requests counted and timed in memory of a fixed size, for Prometheus and for people."""

from .http import Response, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from . import Microdot, Request
    from .app import Route

try:
    from ._metrics import heap, ticks
except ImportError:  # a board
    import gc
    from asyncio.core import ticks  # type: ignore[import-not-found, no-redef]

    def heap() -> "dict[str, float]":
        """Return how much heap is free, and the largest block of it that can be had, in bytes."""
        free = block = gc.mem_free()  # type: ignore[attr-defined]
        while block:
            try:
                bytearray(block)
                break
            except MemoryError:
                block = block * 7 // 8
        return {"mem_free": free, "mem_block": block}


class Metrics:
    """Requests counted by the class of their status and timed: `app.install(Metrics())` adds `/metrics` and `/health`.

    A request takes from its head to the last byte of its answer. What became a WebSocket is counted as 1xx and not timed;
    what ended before its answer was out is counted as 0xx.

    Attributes:
        count: at 0 to 5 how many requests of class 0xx to 5xx there were; at 6 to 13 how many took less than 1, 4, 16, 64,
            256, 1024, 4096 milliseconds, and longer; at 14 the bytes of all bodies that were not streamed; at 15 the
            milliseconds that all requests took, at 16 the longest of them.
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
        request.began = ticks(), route  # type: ignore[attr-defined]

    def done(self, request: "Request | None", response: "Response | None", exc: "BaseException | None") -> None:
        """Count a request: this is a hook."""
        count = self.count
        status = 0
        # What could not be read has an exception and an answer.
        if response and not (request and exc):
            status = response.status_code // 100 % 6
            if response is Response.already_handled:
                status = 1
            elif isinstance(response.body, bytes) and not response.is_head:
                count[14] += len(response.body)
        count[status] += 1
        if status != 1 and hasattr(request, "began"):  # not when a hook ahead of ours has answered
            took, route = request.began  # type: ignore[union-attr]
            took = ticks() - took & 0x3FFFFFFF  # the clock of 32-bit boards comes round there
            count[15] += took
            if route and took > count[16]:
                count[16] = took
                self.route = route.pattern
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
        # Without an expression, where a label would need escapes.
        figures['http_max_seconds{route="%s"}' % self.route.split("<re")[0]] = count[16] / 1000
        return figures

    async def metrics(self, request: "Request") -> "tuple[str, dict[str, str]]":
        """Answer with the figures and the histogram as text for Prometheus: this is a handler."""
        name = "http_seconds"
        text = "# TYPE %s histogram\n" % name
        n = 0
        for i in range(8):
            n += self.count[6 + i]
            text += '%s_bucket{le="%s"} %d\n' % (name, 4**i / 1000 if i < 7 else "+Inf", n)
        text += "%s_count %d\n%s_sum %s\n" % (name, n, name, self.count[15] / 1000)
        figures = await self.health(request)
        for name in sorted(figures):
            text += "%s %s\n" % (name, figures[name])
        return text, {"Content-Type": "text/plain"}
