"""The native server: one task per connection, one sweeper for all deadlines, a cap on connections.

`Connection` reads a head, has the application answer it, writes the response, and begins again (RFC 9112 9.3). It is the
only reader and writer of its socket. How bytes come and go is the business of its base class, `port.Link`; what seldom
happens is in `rare.py`.
"""

import time
from asyncio import create_task

from .http import HTTPException, Request, Response, const, date, parse_head, port as _port

_port.collect()

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .app import Microdot

_TICK = const(250)  # milliseconds
_LARGE = const(4096)  # bytes
_CLOSE = const(1)  # flags of parse_head()
_EXPECT = const(4)


class Server:
    """One listening socket: its connections, its clock, its end.

    Args:
        app: the application; its settings (`max_connections`, `head_timeout`, …) are read as they are needed.
    """

    tick = 3  # the clock of all deadlines
    date = ""  # the Date header line (RFC 9110 6.6.1), made once a second; empty while there is no clock
    stopping = False
    socket: "Any" = None  # that listens
    if TYPE_CHECKING:
        ssl: Any
        refused: int  # connections that are told so, on CPython
        handshakes: dict[Any, Any]  # connections that are not there yet for want of TLS, and asyncio's tasks for them, on CPython
        loop: Any  # CPython's event loop, for other threads
        accepting: Any  # a board's task that accepts

        # On CPython it is used like an `asyncio.Server`, too.

        @property
        def sockets(self) -> tuple[Any, ...]:
            """The sockets that listen; on CPython."""

        def close(self) -> None:
            """Stop serving: running requests finish; on CPython."""

        async def wait_closed(self) -> None:
            """Wait until it has ended; on CPython."""

        def is_serving(self) -> bool:
            """Tell whether it accepts connections; on CPython."""


    def __init__(self, app: "Microdot") -> None:
        self.app = app
        self.connections: "set[Connection]" = set()

    async def run(self, host: str, port: int, ssl: "Any", start_serving: bool) -> "Any":
        """Serve until `stop.stop()` is called; or, without `start_serving`, return the bound sockets.

        Raises:
            OSError: the address is taken or not ours.
        """
        app = self.app
        self.ssl = ssl
        self.sweep()
        if app._hooked and not app._servers:
            await app.begin()
        app._servers.append(self)
        try:
            self.socket = await _port.listen(self, host, port, start_serving)
            if app.debug:
                from .methods import announce

                announce(host, port)
            if _port.SERVER:
                if not start_serving:
                    return _port.in_background(self)
            while not self.stopping:
                await _port.sleep_ms(_TICK)
                try:
                    self.sweep()
                except Exception:  # no heap for the list of connections: at the next tick there may be
                    pass
        finally:
            # Also when this task is cancelled, running requests are let finish.
            if start_serving or not self.socket:
                from .stop import end

                await end(self)

    def sweep(self) -> None:
        """Advance the clock and end every wait whose deadline has passed."""
        self.tick += 1
        if not self.tick & 3:
            t = time.gmtime()
            if t[0] > 2023:
                self.date = "Date: %s\r\n" % date(t)
        for connection in list(self.connections):
            try:
                if connection.watch:
                    connection.watch()
                expires = connection.expires
                if connection.since:
                    timeout = self.app.idle_timeout if connection.idle else self.app.head_timeout
                    expires = self.deadline(timeout) - self.tick + connection.since  # below 1 without a timeout
                if 0 < expires <= self.tick:
                    connection.expire(HTTPException(408, "Request timeout"))
            except Exception:  # no heap: the server goes on without this one
                connection.close()

    def deadline(self, timeout: float) -> int:
        """Return the tick that is at least `timeout` seconds away; 0, never, for 0."""
        return self.tick + 1 + int(timeout * 4) if timeout else 0


class Connection(_port.Link):
    """One client."""

    since = 0  # the tick at which it began to wait for a request, 0: it does not
    idle = False  # between two requests
    left = 0  # bytes of the request body that were not read yet, -1 when it is chunked
    watch: "Callable[[], None] | None" = None  # called at every tick
    upgraded = False  # handed over to a handler
    then: "Any" = None  # a coroutine that goes on with it when the request is over; True when it does
    if TYPE_CHECKING:
        begun: bool  # some of the response is on its way
        # While `left`: 64ths of a tick that its waits may still take, -1 before the first,
        # and -2 when the client waits for `100 Continue` before it sends the body.
        credit: int

    async def run(self) -> None:
        """Serve requests until the connection ends."""
        server = self.server
        try:
            keep = True
            while keep and not server.stopping:
                self.begun = False
                self.since = server.tick
                start = 0
                while True:
                    buffer = self.buffer
                    if buffer and (buffer[0] < 14 or len(buffer) >= Request.max_readline):
                        from .rare import trim

                        self.buffer = buffer = trim(buffer)
                    # RFC 9112 2.2: a line may end without a CR.
                    end = buffer.find(b"\n\r\n", start)
                    bare = buffer.find(b"\n\n", start, end + 1 or len(buffer))  # not in a body that came with it
                    after = end + 3
                    if bare >= 0:
                        end = bare
                        after = end + 2
                    if end >= 0:
                        break
                    if buffer and self.idle:
                        # The time for a head begins with its first byte, and for the first head with the connection.
                        self.idle = False
                        self.since = server.tick
                    start = max(len(buffer) - 2, 0)
                    if not await self.fill():
                        if self.buffer:
                            raise ValueError  # half a request
                        return
                self.since = 0
                self.idle = True
                buffer = b""  # a board keeps what the local variables of a waiting coroutine hold
                keep = await self._answer(after)
                if self.buffer:  # pipelined: others get their turn, and we learn when the peer has gone
                    await _port.sleep_ms(0)
            if self.then:
                create_task(self.then)  # which closes the connection: this task and all that it holds are not needed
                self.then = True
        except Exception as exc:  # MemoryError among them
            if not isinstance(exc, OSError) or exc.errno not in _port.GONE:
                try:
                    _port.collect()
                    from .rare import fail

                    await fail(self, exc)
                except Exception:  # the client has gone, or there is no heap to say so
                    pass
        finally:
            if self.then is not True:
                self.close()

    async def _answer(self, end: int) -> bool:
        """Answer one request; True when the connection may take another.

        Args:
            end: where its head ends in `buffer`, behind the empty line.

        Raises:
            ValueError, HTTPException: the head is malformed.
        """
        server = self.server
        app = server.app
        head = self.buffer
        self.buffer = head[end:]
        if self.buffer:
            head = head[:end]
        method, target, minor, head, length, flags = parse_head(head, Request.max_readline, Request.max_headers)
        request = Request(app, None, method, target, "1.1" if minor else "1.0", head)
        head = b""
        request.connection = self
        if length:
            self.left = length
            self.credit = -2 if flags & _EXPECT else -1
            request.pending = self
        response = failure = None
        try:
            response = await app.dispatch(request)
            if app.debug:
                print(method, request.path, response.status_code)
            keep = minor > 0 and not flags & _CLOSE and app.idle_timeout > 0 and not server.stopping
            if self.left:
                from .rare import respond

                return await respond(self, response, minor, keep)
            return await self.respond(response, minor, keep)
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if app._hooked:
                app.finish(request, response, failure)

    async def respond(self, response: Response, version: int, keep: bool) -> bool:
        """Write `response`; True when the connection may be kept."""
        body = response.body
        if self.upgraded or response is Response.already_handled:
            return False
        if (
            not isinstance(body, bytes)
            or len(body) > _LARGE
            or response._headers is not None
            or response.reason is not None
            or response.status_code < 200
            or response.status_code in (204, 304)
        ):
            # A stream, something with a say about the framing, or more than is copied behind a head.
            from microdot.outgoing import respond

            return await respond(self, response, version, keep)
        text = "Content-Length: %d\r\n%s%s" % (len(body), self.server.date, "" if keep else "Connection: close\r\n")
        data = response.head(version, text, b"" if response.is_head else body)
        self.begun = True
        if self.write(data):  # one write, one packet
            await self.flush()
        return keep


if _port.SERVER:
    _port.tune(globals())  # heads are kept for a second
