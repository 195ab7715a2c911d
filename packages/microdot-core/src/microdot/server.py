"""The native server: one task per connection, one sweeper for all deadlines, a cap on connections.

`Connection` reads a head, has the application answer it, writes the response, and begins again (RFC 9112 9.3). It is the
only reader and writer of its socket. How bytes come and go is the business of its base class, `port.Link`.
"""

from .http import HTTPException, Request, Response, bad, const, parse_fields, parse_request_line, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot

# Ready made, because there may be no heap for them when they are needed.
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 4\r\nConnection: close\r\n\r\nBusy"
_FAILED = b"HTTP/1.1 500 N/A\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_TICK = const(250)  # milliseconds
_GRACE = const(2)  # ticks in which a new connection may send its head before another can take its place
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
    _date_tick = -4

    def __init__(self, app: "Microdot") -> None:
        self.app = app
        self.connections: "set[Connection]" = set()

    async def run(self, host: str, port_number: int, ssl: "Any", start_serving: bool) -> "Any":
        """Serve until `stop()` is called; or, with `start_serving` False, return the bound sockets.

        Raises:
            OSError: the address is taken or not ours.
        """
        app = self.app
        self.scheme = "https" if ssl else "http"
        if app._hooked and not app._servers:
            await app.begin()
        app._servers.append(self)
        try:
            self.sockets = await port.listen(self, Connection, host, port_number, ssl, start_serving)
            if app.debug:
                print("Starting async server on %s:%d..." % (host, port_number))
            if not start_serving:
                return port.in_background(self)
            await self.serve()
        finally:
            if start_serving or not self.sockets:
                await self.ended()

    async def serve(self) -> None:
        """Keep the deadlines; after `stop()` let running requests finish."""
        last = 0
        try:
            while not self.stopping:
                await port.sleep_ms(_TICK)
                self.sweep()
        finally:
            # When this task was cancelled, running requests are still let finish.
            self.stop()
            last = self.deadline(self.app.stop_timeout)
            while self.connections and self.tick < last:
                await port.sleep_ms(_TICK)
                self.sweep()
            for connection in list(self.connections):
                connection.task.cancel()
                connection.abort()

    async def ended(self) -> None:
        """Leave the application; the last server runs its `stop` hooks."""
        app = self.app
        app._servers.remove(self)
        if app._hooked and not app._servers:
            await app.end()

    def stop(self) -> None:
        """Accept no more and close connections that wait for a request; `run()` then returns."""
        self.stopping = True
        if self.sockets:
            self.sockets.close()
        for connection in list(self.connections):
            if connection.waiting:
                connection.evict()

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
            if 0 < connection.expires <= self.tick:
                connection.expire(bad(408, "Request timeout"))

    def deadline(self, seconds: float) -> int:
        """Return the tick that is at least `seconds` away; 0, never, for 0."""
        return self.tick + 1 + int(seconds * 4) if seconds else 0

    def room(self) -> "bool | None":
        """Tell whether one more connection may be opened; None: not yet, ask again soon.

        The connection that has waited longest for a request makes room: silent clients cost nobody an answer.
        """
        if len(self.connections) < self.app.max_connections:
            return True
        oldest = None
        for connection in self.connections:
            if connection.waiting and (oldest is None or connection.since < oldest.since):
                oldest = connection
        if oldest is None:
            return False
        if self.tick - oldest.since >= _GRACE:
            oldest.evict()
        return None

    def date(self) -> str:
        """Return a Date header line (RFC 9110 6.6.1), made once a second; empty while there is no clock."""
        if self.tick - self._date_tick > 3:
            self._date_tick = self.tick
            self._date = port.date()
        return self._date


class Connection(port.Link):
    """One client."""

    expires = 0  # the tick at which the present wait ends, 0: never
    waiting = False  # for a request, with none in progress
    since = 0  # the tick at which it began to wait
    expecting = False  # the client waits for `100 Continue` before it sends the body
    streaming = False  # a body is being produced, which is to end when the peer goes
    patience = 6  # ticks in which the producer of a body may find out by itself that the peer has gone
    upgraded = False  # handed over to a handler
    _begun = False  # some of the response is on its way
    # The last header fields and what they said: clients repeat theirs with every request on a connection.
    _fields = b""
    _framing = 0, 0

    def evict(self) -> None:
        """Close the connection while it waits for a request."""
        self.waiting = False
        self.expire(OSError(104))

    async def run(self) -> None:
        """Serve requests until the connection ends."""
        try:
            while await self._serve_one():
                pass
        except OSError as exc:
            # A client that has gone is nobody's error.
            if exc.args[0] not in port.DISCONNECTED:
                port.print_exception(exc)
        except Exception as exc:  # MemoryError among them
            port.print_exception(exc)
            if not self._begun:
                self.write(_FAILED)
        finally:
            self.waiting = False
            self.close()

    async def _serve_one(self) -> bool:
        try:
            head = await self._read_head()
            return bool(head) and await self._answer(head)
        except HTTPException as exc:
            if self.buffer or exc.status_code != 408:  # a client that was only idle gets no answer
                await self._refuse(exc)
        return False

    async def _read_head(self) -> bytes:
        """Wait for the next request; its head without the empty line at its end, or empty when no more comes."""
        server = self.server
        limit = Request.max_readline
        self.since = server.tick
        # The time for a head begins with its first byte, and for the first head with the connection.
        first = not self._begun
        self.expires = server.deadline(server.app.head_timeout if first else server.app.idle_timeout)
        self.waiting = True
        self._begun = False
        start = 0
        while True:
            buffer = self.buffer
            while buffer[:2] == b"\r\n" or buffer[:1] == b"\n":  # RFC 9112 2.2: empty lines before a request
                self.buffer = buffer = buffer[buffer.find(b"\n") + 1 :]
            end = buffer.find(b"\n\r\n", start)
            bare = buffer.find(b"\n\n", start)
            after = end + 3
            if bare >= 0 and (end < 0 or bare < end):
                end = bare
                after = end + 2
            if buffer.find(b"\n") > limit or len(buffer) > limit and b"\n" not in buffer:
                raise bad(414, "Request line too long")
            if (len(buffer) if end < 0 else end) > Request.max_head_length:
                raise bad(431, "Header too large")
            if end >= 0:
                self.buffer = buffer[after:]
                self.waiting = False
                self.expires = 0
                return buffer[:end]
            if buffer and not first:
                first = True
                self.expires = server.deadline(server.app.head_timeout)
            start = max(len(buffer) - 2, 0)
            if not await self.fill():
                if self.buffer:
                    raise bad()
                return b""

    async def _answer(self, head: bytes) -> bool:
        """Answer one request; True when the connection may take another."""
        server = self.server
        app = server.app
        line, mark, fields = head.partition(b"\n")
        method, target, authority, minor = parse_request_line(line[:-1] if line[-1:] == b"\r" else line)
        fields = mark + fields
        if minor and fields == self._fields:
            length, flags = self._framing
        else:
            length, flags = parse_fields(fields, minor, Request.max_readline, Request.max_headers)
            if port.MEMO and minor:
                self._fields = fields
                self._framing = length, flags
        request = Request(app, None, method, target, "1.1" if minor else "1.0", fields)
        request.connection = self
        request.scheme = server.scheme
        if authority:
            request.headers["Host"] = authority.decode()
        incoming = None
        if length:
            from .body import Incoming

            self.expecting = flags & _EXPECT != 0
            incoming = request.pending = Incoming(self, length)
        response = failure = None
        try:
            response = await app.dispatch(request)
            if app.debug:
                print(method, request.path, response.status_code)
            keep = minor > 0 and not flags & _CLOSE and app.idle_timeout > 0 and not server.stopping
            if incoming:
                keep = keep and incoming.can_skip()
            keep = await self._respond(response, minor, keep)
            if incoming and not incoming.ended and not (keep and await incoming.skip()):
                keep = False
                await self._linger()
            return keep
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if app._hooked:
                app.finish(request, response, failure)

    async def _respond(self, response: Response, minor: int, keep: bool) -> bool:
        """Write `response`; True when the connection may be kept."""
        body = response.body
        if self.upgraded or response is Response.already_handled:
            return False
        if not isinstance(body, bytes) or response._headers is not None or response.status_code in (204, 304):
            # A stream, or something with a say about the framing.
            from .outgoing import respond

            return await respond(self, response, minor, keep)
        lines = "Content-Length: %d\r\n%s%s" % (len(body), self.server.date(), "" if keep else "Connection: close\r\n")
        data = response.head(minor, lines)
        self._begun = True
        await self.send(data if response.is_head else data + body)  # one write, one packet
        return keep

    async def send(self, data: bytes) -> None:
        """Write, and wait while the peer takes no more.

        Raises:
            OSError: it has gone, or took nothing for `write_timeout` seconds.
        """
        if self.write(data):
            self.expires = self.server.deadline(self.server.app.write_timeout)
            await self.drain()
            self.expires = 0

    async def _refuse(self, problem: HTTPException) -> None:
        """Answer what is no request, and end the connection (RFC 9112 9.6)."""
        self.waiting = False
        self.expires = 0
        app = self.server.app
        response = await app.dispatch(None, problem)
        try:
            await self._respond(response, 1, False)
            await self._linger()
        finally:
            if app._hooked:
                app.finish(None, response, problem)

    async def _linger(self) -> None:
        """Let a client that is still sending read the answer: closing now would reset the connection (RFC 9112 9.6)."""
        self.half_close()
        self.waiting = True  # whoever needs the place may have it
        self.expires = self.server.tick + port.LINGER
        try:
            for _ in range(64):
                self.buffer = b""
                if not await self.fill():
                    break
        except HTTPException:
            pass

    async def upgrade(self, request: Request, headers: "dict[str, str]") -> "Any":
        """Switch protocols: send 101 with `headers`, and return the channel of bytes that the connection now is."""
        from .body import upgrade

        return await upgrade(self, headers)
