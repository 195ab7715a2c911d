"""WebSocket (RFC 6455) on every host.

`_frames()` reads the frames of a client out of the buffer of its connection, and answers control frames. It is a
generator that stops where it needs more bytes, so it keeps its place when a handler gives up waiting. A handler that
receives drives it and waits for the bytes by itself; for one that does not, the server's sweeper does so four times a
second, which also sends the pings of section 5.5.2 and ends the handler when the peer has gone. There is no
task and no buffer besides the connection's own.

What few programs use is in `_websocket.py`: refusals, pieces and fragments of messages, text that is not ASCII, hosts that
frame messages themselves.
"""

import sys
from asyncio import CancelledError, current_task, sleep
from binascii import a2b_base64, b2a_base64
from hashlib import sha1

from .http import HTTPException, Response, const
from .wire import arrival, field, leave, look, print_exception, switch

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from typing import Any

    from ._websocket import websocket_upgrade as websocket_upgrade, websocket_wrapper as websocket_wrapper
    from .http import Request

_JOIN = const(8192)  # a longer payload is written apart from its header, so that it is not copied

def unmask(data: bytes, mask: bytes, at: int) -> "bytes | bytearray":
    """Take the mask off (5.3).

    Args:
        data: a piece of the payload.
        mask: the mask.
        at: where in the payload it begins.
    """
    buffer = bytearray(data)
    for i in range(len(buffer)):
        buffer[i] ^= mask[(i + at) & 3]
    return buffer


class WebSocketError(OSError):
    """The connection has ended: the peer closed it or has gone, or it broke the protocol.

    Attributes:
        code: the close code (7.4); 1005: the peer gave none, 1006: it went without a word.
    """

    code = 1006


class WebSocket:
    """A WebSocket connection.

    Settings are class attributes; assign them here for all, or give them to `with_websocket()` for one route.

    Args:
        request: the request that asks for it.
        settings: attributes for this connection.

    Attributes:
        closed: no more can be sent.
        close_code: why it was closed (7.4), None while it is open.
        close_reason: what the peer's Close frame said besides.
        subprotocol: the one that was agreed on, or None.
        opcode: TEXT or BINARY, of the message that `readinto()` is giving.
    """

    CONT = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

    #: The longest message that `receive()` takes, in bytes; -1: `Request.max_body_length`, 0: no limit.
    max_message_length = -1
    #: Seconds without a frame after which the peer is sent a ping; 0: never.
    ping_interval: float = 20
    #: Seconds in which it has to answer, or is taken for gone.
    ping_timeout: float = 20
    #: Origins whose pages may connect, such as `("https://example.com",)`; None: those of the request's own host; "*": all.
    origins: "Sequence[str] | None" = None
    #: The subprotocols that the server speaks, the best first.
    protocols: "Sequence[str]" = ()

    closed = False
    close_code: "int | None" = None

    _pieces = False  # readinto() asks for pieces of messages
    _busy = False  # somebody receives
    _full = 0  # bits: 1, the peer has to take what was written before more is; 2, somebody waits for that
    _sender: "Any" = None  # the task that is sending a message in fragments
    _quiet = 0  # ticks of the server since the last frame
    _over = False  # the peer will send no more
    # Reads the frames of the message under way; an idle client holds none. When it has raised, nothing that still comes has
    # a meaning (7.1.7).
    _steps: "Any" = None

    if TYPE_CHECKING:
        _link: Any  # the server's side of the connection: bytes in its buffer, `write()`, `fill()`, `flush()`
        close_reason: str
        subprotocol: str | None
        opcode: int
        _rest: Any  # what readinto() has not given yet

        async def readinto(self, buffer: bytearray | memoryview) -> int:
            """Receive the next piece of a message of any length into `buffer`.

            Text comes as UTF-8, and its pieces may end within a character. `opcode` tells which it is.

            Returns:
                how many bytes; 0 at the end of the message.

            Raises:
                WebSocketError: the connection has ended.
            """

        async def close(self, code: int = 1000, reason: str = "") -> None:
            """Close the connection (7.1.2); does nothing when it is closed.

            Args:
                code: why: 1000 normal, 1001 going away, 1003 not this kind of data, 1008 not allowed, 3000 to 4999 your own.
                reason: at most 123 bytes of UTF-8; a longer one is left out.

            Raises:
                ValueError: such a code must not be sent.
            """

        def _choose(self, headers: dict[str, str]) -> None:
            """Agree on a subprotocol (4.2.2)."""

        async def _carry(self, headers: dict[str, str]) -> None:
            """Shake hands on a host that is not the native server."""

        def _read_close(self, data: bytes | bytearray) -> int:
            """Return the code of a Close frame, and keep its reason."""

        def _check(self, data: bytes | bytearray, state: Any) -> Any:
            """Check a piece of a text."""

        async def _first(self, data: Any, opcode: int | None, more: bool) -> int:
            """Return the first byte of a frame that is a fragment, or of a kind that was asked for."""

        async def _finish(self, problem: BaseException | None) -> BaseException | None:
            """Close when a handler has ended; returns what is still to be raised of what it raised."""

        def _process_websocket_frame(self, opcode: int, data: Any) -> tuple[int | None, Any]:
            """Return the opcode to answer with, or None, and the message or what to answer: for existing programs."""

    def __init__(self, request: "Request", **settings: "Any") -> None:
        self.request = request
        for name in settings:
            setattr(self, name, settings[name])

    def __getattr__(self, name: str) -> "Any":
        from ._websocket import member

        return member(self, name)

    async def handshake(self) -> "WebSocket":
        """Check the client's handshake (4.2.1) and answer it; returns itself.

        Raises:
            HTTPException: 400 it is none, 403 the origin is not allowed, 426 for a version other than 13.
        """
        request = self.request
        link = request.connection
        key = field(request, "Sec-WebSocket-Key")
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        try:
            if request.method != "GET" or request.http_version[-3:] < "1.1" or len(a2b_base64(key)) != 16:
                raise ValueError
            for name in headers:  # ValueError: it is not among them
                field(request, name).lower().replace(",", " ").split().index(headers[name].lower())
        except ValueError:
            raise HTTPException(400)
        if field(request, "Sec-WebSocket-Version") != "13":
            headers["Sec-WebSocket-Version"] = "13"
            raise HTTPException(426, None, headers)
        # 10.2: browsers send cookies along with the handshakes of any page, so others' pages are to be kept out.
        origin = field(request, "Origin")
        allowed = self.origins
        if (
            origin
            and allowed != "*"
            and (
                origin not in allowed
                if allowed is not None
                else not origin.lower().endswith("://" + field(request, "Host").lower())
            )
        ):
            raise HTTPException(403)
        headers["Sec-WebSocket-Accept"] = (
            b2a_base64(sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode().strip()
        )
        if self.protocols:
            self._choose(headers)
        if hasattr(link, "fill"):  # the native server's
            switch(link, headers)
            self._link = link
            link.watch = self
        else:
            await self._carry(headers)
        return self

    def _read(self) -> "Any":
        """Go on with what the client sends.

        Returns:
            its next message, or the next piece of one and an empty one at its end; None when more bytes are needed, or the
            peer has to take some first; False when a data frame waits for somebody who receives.

        Raises:
            WebSocketError: the connection has ended.
            MemoryError: there is no room for a message.
            StopIteration: it has raised one of these before.
        """
        link = self._link
        look(link)
        if not self._steps:
            if len(link.buffer) < 2:
                return None
            self._steps = self._frames()
        return next(self._steps)

    def _frames(self) -> "Generator[Any, None, None]":
        """Yield what `_read()` returns, up to the end of a message."""
        link = self._link
        kind = 0  # opcode of the message under way
        data: "Any"
        message: "Any"
        rest: "Any" = None  # of a character that a piece of text ended in
        while True:
            while self._full or len(link.buffer) < 2:
                if not kind:
                    self._steps = None
                yield None
            self._quiet = 0
            data = link.buffer
            first = data[0]
            length = data[1] - 128
            # 5.2: no extension was agreed on, so no reserved bit. 5.4: fragments follow each other. 5.1: a client masks.
            # 5.5: control frames are whole and short.
            if (
                first not in (b"\0\x80\x88\x89\x8a" if kind else b"\x01\x02\x81\x82\x88\x89\x8a")
                or length < 0
                or length > 125
                and first > 0x87
            ):
                raise self._end(1002)
            start = 6 if length < 126 else 8 if length == 126 else 14
            end = start + (first > 0x87 and length)
            while len(link.buffer) < end:
                yield None
            if start > 6:
                length = int.from_bytes(link.buffer[2 : start - 4], "big")
                # 5.2: the shortest form must be used, and the highest bit is 0.
                if length < (126 if start == 8 else 65536) or length >> 63:
                    raise self._end(1002)
            data = link.buffer
            link.buffer = data[end:]
            mask = data[start - 4 : start]
            if first > 0x87:
                data = unmask(data[start:end], mask, 0)
                if first == 0x88:
                    code = int.from_bytes(data, "big") or 1005
                    if data and (length != 2 or not 999 < code < 1002):
                        code = self._read_close(data)
                    self._over = True
                    raise self._end(code)
                if first == 0x89 and not self.closed:
                    self._put(0x8A, data)
                continue
            if not kind:
                kind = self.opcode = first & 15
                message = bytearray()
            limit = self.max_message_length
            if limit < 0:
                limit = self.request.max_body_length
            if 0 < limit < len(message) + length and not self._pieces:
                raise MemoryError  # as when the heap has no room for it
            at = 0
            while length or not self._busy:
                if not self._busy:
                    yield False
                elif not link.buffer:
                    yield None
                else:
                    self._quiet = 0
                    data = link.buffer
                    n = min(length, len(data))
                    link.buffer = data[n:]
                    data = unmask(data[:n], mask, at)
                    at += n
                    length -= n
                    if kind == 1 and (rest or max(data) > 127):
                        rest = self._check(data, rest)
                    if self._pieces:
                        yield data
                    else:
                        message.extend(data)
            if first > 127:
                if rest:
                    raise self._end(1007)
                self._steps = None
                yield str(message, "utf-8") if kind == 1 else bytes(message)

    def _end(self, code: int, reason: str = "") -> WebSocketError:
        """Send Close (7.1.2), unless the connection is closed, and return what is to be raised; 1006: the peer has gone."""
        if not self.closed:
            self.closed = True
            self.close_code = code
            if code == 1006:
                self._over = True
            else:
                try:
                    self._put(0x88, b"" if code == 1005 else code.to_bytes(2, "big") + reason.encode())
                except Exception:  # it has gone, or there is no heap for saying so
                    pass
        error = WebSocketError("Message too large" if self.close_code == 1009 else "Websocket connection closed")
        error.code = self.close_code or code
        return error

    def _put(self, first: int, data: "Any") -> None:
        """Send a frame, whose payload is str or bytes."""
        if isinstance(data, str):
            data = data.encode()
        n = len(data)
        head = bytes((first, n if n < 126 else 126 + (n > 65535)))
        if n > 125:
            head += n.to_bytes(2 if n < 65536 else 8, "big")
        link = self._link
        try:
            if n > _JOIN:
                link.write(head)
            else:
                data = head + data
            if link.write(data):
                self._full |= 1
        except OSError:
            raise self._end(1006)

    async def _flush(self) -> None:
        """Wait until the peer has taken what was written: one task does, others look again in a while."""
        if self._full > 1:
            await sleep(0.05)
            return
        self._full = 2
        try:
            await self._link.flush()
        except OSError:
            raise self._end(1006)
        finally:
            self._full = 0

    async def receive(self, _end: "Any" = None) -> "str | bytes":
        """Return the next message: str for text, bytes for binary.

        Raises:
            WebSocketError: the connection has ended, or the message is longer than `max_message_length`.
        """
        # `_end`: what to raise at the end instead; `async for` has no coroutine of its own that way.
        while self._busy:
            await sleep(0.05)
        self._busy = True
        link = self._link
        try:
            while not self.closed:
                result = self._read()
                if result is not None:
                    return result  # type: ignore[no-any-return]
                if self._full:
                    await self._flush()
                elif await arrival(link) is False:  # an idle client waits here
                    break
        except MemoryError:
            self._end(1009, "Message too large")
        except (OSError, CancelledError):
            if not self.closed:
                raise
        finally:
            self._busy = False
        result = self._end(1006)
        raise _end or result

    def __aiter__(self) -> "WebSocket":
        return self

    def __anext__(self) -> "Awaitable[str | bytes]":
        return self.receive(StopAsyncIteration)

    async def send(self, data: "Any", opcode: "int | None" = None, more: bool = False) -> None:
        """Send a message, and wait while the peer takes no more.

        Args:
            data: str, or bytes, bytearray or memoryview.
            opcode: TEXT for str and BINARY for others by default; PING asks the peer for an answer, which is not shown.
            more: whether the message goes on with the next `send()` of this task: then this is a fragment of it.

        Raises:
            WebSocketError: the connection has ended.
        """
        first = 0x81 if isinstance(data, str) else 0x82
        if more or self._sender or opcode is not None:
            first = await self._first(data, opcode, more)
        if self.closed:
            raise self._end(1006)
        self._put(first, data)
        while self._full:
            await self._flush()

    def __call__(self) -> None:
        """Look after the connection: the server's sweeper calls this four times a second."""
        link = self._link
        interval = int(self.ping_interval * 4)  # in its ticks
        timeout = self.ping_timeout * 4
        if self.closed:
            return
        try:
            if link.server.stopping:
                raise self._end(1001)
            step = None
            if not self._busy:
                step = self._read()
                # A message that nobody receives does not keep the place of a peer that has gone.
                if link.eof and (step is None or self._quiet > timeout):
                    raise self._end(1006)
            self._quiet += 1
            if interval:
                # A message that the handler does not take hides the answer.
                if self._quiet >= interval + timeout and step is None:
                    raise self._end(1006)
                if self._quiet == interval and not self._full:
                    self._put(0x89, b"")
        except Exception as exc:
            self._end(1009, "Message too large")  # MemoryError: for all others it is closed already
            if self._busy:
                link.expire(exc)
            else:
                link.task.cancel()


def with_websocket(f: "Callable[..., Any] | None" = None, **settings: "Any") -> "Callable[..., Any]":
    """Make a route of `f(request, ws, **path_args)`, whose WebSocket is closed when it ends.

        @app.get("/echo")
        @with_websocket
        async def echo(request, ws):
            async for message in ws:
                await ws.send(message)

    A handler that is not receiving or sending when the peer goes is cancelled. One that raises closes with 1011, and with
    1008 when it calls `abort()` with a status below 500.

    Args:
        f: the handler, a coroutine function.
        settings: attributes of `WebSocket`, as in `@with_websocket(origins="*", ping_interval=5)`.
    """
    if not f:
        return lambda f: with_websocket(f, **settings)

    async def wrapper(request: "Request", *args: "Any", **kwargs: "Any") -> Response:
        ws = await WebSocket(request, **settings).handshake()
        work = serve(ws, f(request, ws, *args, **kwargs))
        # A decorator of the program's around this one waits for the end.
        if request.route is not wrapper or not leave(request, work):
            await work
        return Response.already_handled

    return wrapper


async def serve(ws: WebSocket, work: "Any") -> None:
    """Await what a handler has returned, and close its WebSocket when it has ended."""
    link = ws._link
    link.task = current_task()
    problem: "BaseException | None" = None
    try:
        if not ws.closed:  # else the connection ended before this task began
            await work
    except WebSocketError:
        pass
    except BaseException as exc:
        problem = exc
    try:
        if problem or ws._full or not ws._over:
            problem = await ws._finish(problem)
    except BaseException as exc:
        problem = exc
    left = link.then is True  # `leave()`: the request is over
    if left:
        link.close()
    # Nobody awaits a task that was left, and asyncio would keep one that has failed, with all that it holds.
    if isinstance(problem, Exception) and (left or not isinstance(problem, OSError)):
        problem = print_exception(problem)
    if problem:
        raise problem


def __getattr__(name: str) -> "Any":
    # For `websocket_upgrade()`, and for `websocket_wrapper()` of existing programs.
    from ._websocket import member

    return member(None, name)


if sys.implementation.name not in ("micropython", "circuitpython"):
    from ._websocket_cpython import tune

    tune(globals())
