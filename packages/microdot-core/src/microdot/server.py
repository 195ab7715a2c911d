"""The native server: one task per connection, one sweeper for all deadlines, a cap on connections.

`Connection` reads a head, has the application answer it, writes the response, and begins again (RFC 9112 9.3). It is the
only reader and writer of its socket. How bytes come and go is the business of its base class, `port.Link`.
"""

from .head import HTTPException, bad, parse_fields, parse_request_line
from .request import Request
from .response import Response
from .runtime import const, http_date, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot

# Ready made, because there may be no heap for it when it is needed.
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 4\r\nConnection: close\r\n\r\nBusy"
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_TICKS = const(4)  # of the clock, per second
_GRACE = const(2)  # ticks in which a new connection may send its head before another can take its place
_CLOSE = const(1)  # flags of parse_fields()
_EXPECT = const(4)


class Server:
    """One listening application: its connections, its clock, its end.

    Args:
        app: the application; its settings (`max_connections`, `head_timeout`, …) are read as they are needed.
    """

    tick = 1  # the clock of all deadlines
    stopping = False
    _date = ""
    _date_tick = -_TICKS

    def __init__(self, app: "Microdot") -> None:
        self.app = app
        self.connections: "set[Connection]" = set()
        self.listener = port.Listener(self)

    async def listen(self, host: str, port_number: int, ssl: "Any" = None, start_serving: bool = True) -> None:
        """Bind the port.

        Raises:
            OSError: the address is taken or not ours.
        """
        self.scheme = "https" if ssl else "http"
        await self.listener.open(Connection, host, port_number, ssl, start_serving)

    async def serve(self) -> None:
        """Keep the deadlines until `stop()` is called, then let running requests finish."""
        try:
            while not self.stopping:
                await port.sleep_ms(1000 // _TICKS)
                self.sweep()
        finally:
            await self.end()

    def stop(self) -> None:
        """Accept no more and close connections that wait for a request; `serve()` then returns."""
        self.stopping = True
        self.listener.close()
        for connection in list(self.connections):
            if connection.waiting:
                connection.evict()

    async def end(self) -> None:
        """Wait for running requests at most `stop_timeout` seconds, then cancel them."""
        self.stop()
        last = self.tick + self.app.stop_timeout * _TICKS
        while self.connections and self.tick < last + _TICKS:
            await port.sleep_ms(1000 // _TICKS // 5)
            self.sweep()
            if self.tick == last:
                for connection in list(self.connections):
                    connection.task.cancel()
        for connection in list(self.connections):
            connection.abort()

    def sweep(self) -> None:
        """Advance the clock and end every wait whose deadline has passed."""
        self.tick += 1
        late: "list[Connection] | None" = None
        for connection in self.connections:
            if connection.streaming:
                connection.watch()
            if 0 < connection.expires <= self.tick:
                if late is None:
                    late = []
                late.append(connection)
        if late is not None:
            for connection in late:
                connection.expire(bad("Request timeout", 408))

    def deadline(self, seconds: float) -> int:
        """Return the tick that is at least `seconds` away; 0, never, for 0."""
        return self.tick + 1 + int(seconds * _TICKS) if seconds else 0

    def writing(self, connection: "Connection") -> None:
        """Begin the time in which the peer has to take something."""
        connection.expires = self.deadline(self.app.write_timeout)

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
        """Return the value of Date, made once a second."""
        if self.tick - self._date_tick >= _TICKS:
            self._date_tick = self.tick
            now = port.utc()
            self._date = http_date(now) if now else ""
        return self._date


class Connection(port.Link):
    """One client."""

    expires = 0  # the tick at which the present wait ends, 0: never
    waiting = False  # for a request, with none in progress
    since = 0  # the tick at which it began to wait
    expecting = False  # the client waits for `100 Continue` before it sends the body
    upgraded = False  # handed over to a handler
    _begun = False  # some of the response is on its way
    # The last header fields and what they said: clients repeat theirs with every request on a connection.
    _fields = b""
    _framing: "tuple[int, int]" = (0, 0)

    def opened(self) -> bool:
        """Join the server; False when it is full."""
        server = self.server
        if server.stopping or len(server.connections) >= server.app.max_connections and not server.room():
            return False
        server.connections.add(self)
        return True

    def closed(self) -> None:
        """Leave the server."""
        self.server.connections.discard(self)

    def evict(self) -> None:
        """Close the connection while it waits for a request."""
        self.waiting = False
        self.expire(OSError(104))

    async def run(self) -> None:
        """Serve requests until the connection ends."""
        try:
            while True:
                head = await self._read_head()
                if not head or not await self._answer(head):
                    break
        except OSError as exc:
            # A client that has gone is nobody's error.
            if exc.args[0] not in port.DISCONNECTED:
                port.print_exception(exc)
        except Exception as exc:  # MemoryError among them
            port.print_exception(exc)
            if self._begun:
                self.abort()  # a clean end would make half a response look whole
            elif not self.gone:
                try:
                    self.write(_FAILED)
                except OSError:
                    pass
        finally:
            self.waiting = False
            self.expires = 0
            self.close()

    async def _read_head(self) -> bytes:
        """Wait for the next request; its head without the empty line at its end, or empty when no more comes."""
        server = self.server
        app = server.app
        self.since = server.tick
        self.waiting = True
        # The time for a head begins with its first byte, and for the first head with the connection.
        self.expires = server.deadline(app.idle_timeout if self._begun else app.head_timeout)
        timed = not self._begun
        self._begun = False
        problem = None
        start = 0
        while True:
            buffer = self.buffer
            while buffer[:2] == b"\r\n" or buffer[:1] == b"\n":  # RFC 9112 2.2: empty lines before a request
                self.buffer = buffer = buffer[1 if buffer[:1] == b"\n" else 2 :]
            end = buffer.find(b"\n\r\n", start)
            after = end + 3
            bare = buffer.find(b"\n\n", start) if end < 0 else buffer.find(b"\n\n", start, end)
            if bare >= 0:
                end = bare
                after = end + 2
            line = buffer.find(b"\n")
            if line > Request.max_readline or line < 0 and len(buffer) > Request.max_readline:
                problem = bad("Request line too long", 414)
            elif end > Request.max_head_length or end < 0 and len(buffer) > Request.max_head_length:
                problem = bad("Request header too large", 431)
            elif end >= 0:
                self.buffer = buffer[after:]
                self.waiting = False
                self.expires = 0
                return buffer[:end]
            if problem is None:
                if buffer and not timed:
                    timed = True
                    self.expires = server.deadline(app.head_timeout)
                start = len(buffer) - 2 if len(buffer) > 2 else 0
                try:
                    if await self.fill():
                        continue
                    if not self.buffer:
                        return b""
                    problem = bad("Incomplete request")
                except HTTPException as exc:
                    if not self.buffer:
                        return b""
                    problem = exc
            self.waiting = False
            await self._refuse(problem)
            return b""

    async def _answer(self, head: bytes) -> bool:
        """Answer one request; True when the connection may take another."""
        server = self.server
        app = server.app
        try:
            at = head.find(b"\n")
            line = head if at < 0 else head[:at]
            if line[-1:] == b"\r":
                line = line[:-1]
            method, target, authority, minor = parse_request_line(line)
            fields = head[at:] if at >= 0 else b""
            if minor and fields == self._fields:
                length, flags = self._framing
            else:
                length, flags = parse_fields(fields, minor, Request.max_readline, Request.max_headers)
                if port.MEMO and minor:
                    self._fields = fields
                    self._framing = length, flags
        except HTTPException as exc:
            await self._refuse(exc)
            return False
        request = Request(app, None, method, target, "1.1" if minor else "1.0", fields)
        request.connection = self
        if server.scheme != "http":
            request.scheme = server.scheme
        if authority:
            request.headers["Host"] = authority.decode()
        incoming = None
        if length:
            from .body import Incoming

            self.expecting = flags & _EXPECT != 0
            incoming = request.pending = Incoming(self, length)
            request._length = length
        response = None
        failure: "BaseException | None" = None
        try:
            response = await app.dispatch(request)
            if app.debug:
                print(method, request.path, response.status_code)
            if self.upgraded or response is Response.already_handled:
                return False
            keep = (
                minor > 0
                and not flags & _CLOSE
                and app.idle_timeout > 0
                and not server.stopping
                and (incoming is None or incoming.can_skip())
            )
            keep = await self._respond(response, minor, keep)
            if incoming is not None and not incoming.ended and not (keep and await incoming.skip()):
                await self._linger()
                keep = False
            return keep
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if app.done_handlers or request.matched is not None and request.matched.local_apps:
                app.finish(request, response, failure)

    async def _respond(self, response: Response, minor: int, keep: bool) -> bool:
        """Write `response`; True when the connection may be kept."""
        body = response.body
        if not isinstance(body, bytes) or response._headers:
            # A stream, or headers that may have a say about the framing.
            from .outgoing import respond

            return await respond(self, response, minor, keep)
        if response.status_code == 204 or response.status_code == 304:
            body = b""
            framing = ""
        else:
            framing = "Content-Length: %d\r\n" % len(body)
        if not keep:
            framing += "Connection: close\r\n"
        data = response.head(minor, framing, self.server.date()).encode()
        self._begun = True
        if body and not response.is_head:
            data += body  # one write, one packet
        if self.write(data):
            await self.flush()
        return keep

    async def flush(self) -> None:
        """Wait until the peer has taken enough of what was written.

        Raises:
            OSError: it has gone, or took nothing for `write_timeout` seconds.
        """
        self.server.writing(self)
        await self.drain()
        self.expires = 0

    async def _refuse(self, problem: HTTPException) -> None:
        """Answer what is no request, and end the connection (RFC 9112 9.6)."""
        self.expires = 0
        app = self.server.app
        response = await app.dispatch(None, problem)
        try:
            await self._respond(response, 1, False)
            await self._linger()
        finally:
            if app.done_handlers:
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
        from .body import Channel

        text = "HTTP/1.1 101 Switching Protocols\r\n"
        for name in headers:
            text += "%s: %s\r\n" % (name, headers[name])
        self.upgraded = self._begun = True
        channel = Channel(self)
        await channel.write((text + "\r\n").encode())
        return channel
