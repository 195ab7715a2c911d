"""The native server: one task per connection, one sweeper for all deadlines, a cap on connections.

`Connection` reads a head, has the application answer it, writes the response, and begins again (RFC 9112 9.3). It is the
only reader and writer of its socket. How bytes come and go is the business of its base class, `port.Link`; what seldom
happens is in `rare.py`.
"""

from .http import HTTPException, Request, Response, const, parse_head, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot

_TICK = const(250)  # milliseconds
_CLOSE = const(1)  # flags of parse_fields()
_EXPECT = const(4)


class Server:
    """One listening socket: its connections, its clock, its end.

    Args:
        app: the application; its settings (`max_connections`, `head_timeout`, …) are read as they are needed.
    """

    tick = 1  # the clock of all deadlines
    stopping = False
    sockets: "Any" = None
    loop: "Any" = None  # CPython's event loop, for other threads
    accepting: "Any" = None  # a board's task that accepts
    scheme = "http"
    _date_tick = -4
    _kind = ""
    _head = b""

    def __init__(self, app: "Microdot") -> None:
        self.app = app
        self.connections: "set[Connection]" = set()

    async def run(self, host: str, port_number: int, ssl: "Any", *serving: bool) -> "Any":
        """Serve until `rare.stop()` is called; or, with a further argument False, return the bound sockets.

        Raises:
            OSError: the address is taken or not ours.
        """
        app = self.app
        if ssl:
            self.scheme = "https"
        if app._hooked and not app._servers:
            await app.begin()
        app._servers.append(self)
        try:
            self.sockets = await port.listen(self, Connection, host, port_number, ssl, *serving)
            if app.debug:
                print("Starting async server on %s:%d..." % (host, port_number))
            if not serving:
                await self.serve()
        finally:
            # Also when this task is cancelled, running requests are let finish.
            if not serving or not self.sockets:
                from .rare import end

                await end(self)
        return port.in_background(self) if serving else None

    async def serve(self) -> None:
        """Keep the deadlines until the server is stopped."""
        while not self.stopping:
            await port.sleep_ms(_TICK)
            self.sweep()

    def sweep(self) -> None:
        """Advance the clock and end every wait whose deadline has passed."""
        self.tick += 1
        for connection in list(self.connections):
            if connection.streaming:
                connection.look()
                # A producer that writes finds out by itself; one that only waits is cancelled.
                if connection.eof:
                    connection.patience -= 1
                    if not connection.patience:
                        connection.task.cancel()
            expires = connection.expires
            if connection.since:
                seconds = self.app.idle_timeout if connection.idle else self.app.head_timeout
                expires = connection.since + 1 + int(seconds * 4) if seconds else 0
            if 0 < expires <= self.tick:
                connection.expire(HTTPException(408, "Request timeout"))

    def deadline(self, seconds: float) -> int:
        """Return the tick that is at least `seconds` away; 0, never, for 0."""
        return self.tick + 1 + int(seconds * 4) if seconds else 0

    def date(self) -> str:
        """Return a Date header line (RFC 9110 6.6.1), made once a second; empty while there is no clock."""
        if self.tick - self._date_tick > 3:
            self._date_tick = self.tick
            self._date = port.date()
        return self._date

    def plain_head(self, response: Response) -> bytes:
        """Return the head of a 200 without headers of its own, up to the value of Content-Length; made once a second."""
        kind = response._type or response.default_content_type
        if kind != self._kind or self.tick - self._date_tick > 3:
            self._kind = kind
            self._head = response.head(1, self.date() + "Content-Length: ")[:-2]
        return self._head


class Connection(port.Link):
    """One client."""

    expires = 0  # the tick at which the present wait ends, 0: never
    since = 0  # the tick at which it began to wait for a request, 0: it does not
    idle = False  # between two requests
    left = 0  # bytes of the request body that were not read yet, -1 when it is chunked
    credit = -1  # 64ths of a tick that waits for the rest of this body may take, less than 0: not counted yet
    expecting = False  # the client waits for `100 Continue` before it sends the body
    streaming = False  # a body is being produced, which is to end when the peer goes
    patience = 6  # ticks in which the producer of a body may find out by itself that the peer has gone
    upgraded = False  # handed over to a handler
    begun = False  # some of the response is on its way

    async def run(self) -> None:
        """Serve requests until the connection ends."""
        server = self.server
        app = server.app
        try:
            keep = True
            while keep:
                self.begun = False
                self.since = server.tick
                start = 0
                while True:
                    buffer = self.buffer
                    while buffer and buffer[0] < 14 and (buffer.startswith(b"\r\n") or buffer.startswith(b"\n")):
                        # RFC 9112 2.2: empty lines may precede a request.
                        self.buffer = buffer = buffer[buffer.find(b"\n") + 1 :]
                    end = buffer.find(b"\n\r\n", start)
                    bare = buffer.find(b"\n\n", start)
                    after = end + 3
                    if bare >= 0 and (end < 0 or bare < end):
                        end = bare
                        after = end + 2
                    if len(buffer) >= Request.max_readline:
                        if not 0 <= buffer.find(b"\n") < Request.max_readline:
                            raise HTTPException(414, "Request line too long")
                        if (len(buffer) if end < 0 else end) > Request.max_head_length:
                            raise HTTPException(431, "Header too large")
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
                self.buffer = buffer[after:]
                keep = await self._answer(buffer[:end])
        except (HTTPException, ValueError) as exc:
            # What was received is no request; but a client that was only silent gets no answer.
            if self.begun:
                port.print_exception(exc)
            elif self.buffer or not self.since:
                from .rare import refuse

                await refuse(self, exc)
        except OSError as exc:
            # A client that has gone is nobody's error.
            if not port.is_disconnection(exc):
                port.print_exception(exc)
        except Exception as exc:  # MemoryError among them
            port.print_exception(exc)
            if not self.begun:
                self.write(b"HTTP/1.1 500 N/A\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            self.since = self.expires = 0
            self.close()

    async def _answer(self, head: bytes) -> bool:
        """Answer one request; True when the connection may take another.

        Raises:
            ValueError, HTTPException: the head is malformed.
        """
        server = self.server
        app = server.app
        method, target, authority, minor, fields, length, flags = parse_head(
            head, Request.max_readline, Request.max_headers
        )
        request = Request(app, None, method, target, "1.1" if minor else "1.0", fields)
        request.connection = self
        if server.scheme != "http":
            request.scheme = server.scheme
        if authority:
            request.headers["Host"] = authority.decode()
        self.left = length
        self.expecting = length != 0 and flags & _EXPECT != 0
        if length:
            self.credit = -1
            request.pending = self
        response = failure = None
        try:
            response = await app.dispatch(request)
            if app.debug:
                print(method, request.path, response.status_code)
            keep = minor > 0 and not flags & _CLOSE and app.idle_timeout > 0 and not server.stopping
            # What the handler left of the body is skipped, if it is little and surely comes.
            if self.left:
                keep = keep and not self.expecting and 0 < self.left <= port.DRAIN_LENGTH
            keep = await self.respond(response, minor, keep)
            if self.left:
                from .rare import leave_body

                keep = await leave_body(self, keep)
            return keep
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if app._hooked:
                app.finish(request, response, failure)

    async def respond(self, response: Response, minor: int, keep: bool) -> bool:
        """Write `response`; True when the connection may be kept."""
        body = response.body
        if self.upgraded or response is Response.already_handled:
            return False
        if not isinstance(body, bytes) or response._headers is not None or response.status_code in (204, 304):
            # A stream, or something with a say about the framing.
            from microdot.outgoing import respond

            return await respond(self, response, minor, keep)
        length = len(body)
        if response.is_head:
            body = b""
        if keep and minor and response.status_code == 200 and response.reason is None:
            data = b"".join((self.server.plain_head(response), str(length).encode(), b"\r\n\r\n", body))
        else:
            lines = "Content-Length: %d\r\n%s%s" % (length, self.server.date(), "" if keep else "Connection: close\r\n")
            data = response.head(minor, lines) + body
        self.begun = True
        if self.write(data):  # one write, one packet
            await self.flush()
        return keep

    async def flush(self) -> None:
        """Wait until the peer has taken what was written.

        Raises:
            OSError: it has gone, or took nothing for `write_timeout` seconds.
        """
        self.expires = self.server.deadline(self.server.app.write_timeout)
        await self.drain()
        self.expires = 0
