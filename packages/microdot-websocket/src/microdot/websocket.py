"""WebSocket (RFC 6455) on every host.

`Frames` is the protocol alone: bytes in, pieces of messages out, no sockets. `WebSocket` is the connection that a handler
gets: it reads and writes through the channel of `request.upgrade()`, which carries bytes on the native server and whole
messages where the host frames them itself (ASGI, the test client).

A handler that waits in `receive()` reads the connection itself, so an idle client holds nothing but that wait. When nobody
receives for a second, a task of the WebSocket reads in its place: it answers pings, and tells the handler when the peer
goes. One ticker for all WebSockets of a server starts those tasks and sends the pings of section 5.5.2.
"""

from asyncio import CancelledError, create_task, current_task, sleep

from .helpers import wraps
from .http import HTTPException, Request, Response, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

_READ = const(65536)  # bytes per read; a board's server gives 512 at most
_JOIN = const(8192)  # a longer payload is written apart from its header, so that it is not copied
_LINGER = const(1)  # seconds for the peer to answer our Close

_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

try:
    from ._websocket_cpython import check_utf8, unmask  # in C; never on boards
except ImportError:

    def unmask(data: bytes, mask: bytes) -> "bytes | bytearray":
        """Take the mask off (5.3), in place but for the one copy that the received bytes need."""
        buffer = bytearray(data)
        for i in range(len(buffer)):
            buffer[i] ^= mask[i & 3]
        return buffer

    def check_utf8(data: "bytes | bytearray", rest: bytes) -> bytes:
        """Check a piece of a text; decode() of boards takes overlong forms, surrogates and more than U+10FFFF.

        Args:
            data: the piece.
            rest: what the call for the piece before returned.

        Returns:
            the incomplete character at the end.

        Raises:
            ValueError: it is not UTF-8 (RFC 3629).
        """
        if rest:
            data = rest + data
        end = len(data)
        if not end or max(data) < 128:  # a loop in C
            return b""
        i = 0
        while i < end:
            start = i
            c = data[i]
            i += 1
            if c < 128:
                continue
            if not 0xC2 <= c < 0xF5:
                raise ValueError
            # The first continuation byte rules out overlong forms, surrogates and what lies beyond Unicode.
            low = 0xA0 if c == 0xE0 else 0x90 if c == 0xF0 else 128
            high = 0x9F if c == 0xED else 0x8F if c == 0xF4 else 191
            for _ in range(1 if c < 0xE0 else 2 if c < 0xF0 else 3):
                if i == end:
                    return bytes(data[start:])
                if not low <= data[i] <= high:
                    raise ValueError
                low = 128
                high = 191
                i += 1
        return b""


class WebSocketError(OSError):
    """The connection has ended: the peer closed it or has gone, or it broke the protocol.

    Args:
        reason: what happened.
        code: the close code (7.4); 1005: the peer gave none, 1006: it went without a word.
    """

    def __init__(self, reason: str = "Websocket connection closed", code: int = 1006) -> None:
        super().__init__(reason)
        self.code = code


def _header(first: int, n: int) -> bytes:
    if n < 126:
        return bytes((first, n))
    if n < 65536:
        return bytes((first, 126, n >> 8, n & 255))
    return bytes((first, 127)) + n.to_bytes(8, "big")


def _is_code(code: int) -> bool:
    # 7.4 and IANA's registry: what may stand in a Close frame.
    return 1000 <= code < 1004 or 1006 < code < 1015 or 2999 < code < 5000


class Frames:
    """The frames of a client, out of bytes that come in any pieces.

    Attributes:
        left: bytes of the present frame that have not come yet; known when its first piece is there.
    """

    left = 0
    _data = b""  # received and not yet used
    _mask = b""
    _fin = True  # the present frame is its message's last
    _opcode = 0  # of the message under way, 0: none is
    _inside = False  # a data frame has begun and has not ended
    _rest = b""  # the incomplete character at the end of a piece of text
    _broken = False  # nothing that follows has a meaning

    def feed(self, data: bytes) -> None:
        """Add bytes that have come."""
        self._data = self._data + data if self._data else data

    def next(self) -> "tuple[int, bytes | bytearray, bool] | None":
        """Return the next piece of a message or the next control frame; None when more bytes are needed.

        Returns:
            opcode (of a message: TEXT or BINARY, whichever frame the piece is from), payload, and whether the message
            ends with it. The first piece of a frame may be empty, and comes as soon as the frame's length is known.

        Raises:
            WebSocketError: the client broke the protocol; its code is what the Close frame should say.
        """
        data = self._data
        if self._broken:
            self._data = b""
            return None
        start = 0
        if not self._inside:
            if len(data) < 2:
                return None
            first = data[0]
            opcode = first & 15
            length = data[1] - 128
            start = 6
            # 5.1: a client masks. 5.2: no extension was agreed on, so no reserved bit. 5.5: control frames are whole and short.
            if (
                length < 0
                or first & 0x70
                or (opcode > 10 or first < 128 or length > 125 if opcode > 7 else opcode > 2 or (opcode == 0) != (self._opcode > 0))
            ):
                self._fail(1002)
            if length > 125:
                start = 8 if length == 126 else 14
                if len(data) < start - 4:
                    return None
                length = int.from_bytes(data[2 : start - 4], "big")
                # 5.2: the shortest form must be used, and the highest bit is 0.
                if length < (126 if start == 8 else 65536) or length >> 63:
                    self._fail(1002)
            if len(data) < start:
                return None
            mask = data[start - 4 : start]
            if opcode > 7:
                end = start + length
                if len(data) < end:
                    return None
                self._data = data[end:]
                payload = unmask(data[start:end], mask)
                if opcode == _CLOSE and payload:
                    if length < 2 or not _is_code(payload[0] << 8 | payload[1]):
                        self._fail(1002)
                    self._check(payload[2:], b"", True)
                return opcode, payload, True
            self._inside = True
            self._fin = first > 127
            self._mask = mask
            self.left = length
            if opcode:
                self._opcode = opcode
        elif not data:
            return None
        end = min(start + self.left, len(data))  # a slice takes no end beyond a machine word on boards
        piece = data[start:end]
        self._data = data[end:]
        n = len(piece)
        self.left -= n
        mask = self._mask
        if n:
            piece = unmask(piece, mask)  # type: ignore[assignment]
            n &= 3
            if n and self.left:
                self._mask = mask[n:] + mask[:n]
        opcode = self._opcode
        final = False
        if not self.left:
            self._inside = False
            if self._fin:
                final = True
                self._opcode = 0
        if opcode == _TEXT:
            self._rest = self._check(piece, self._rest, final)
        return opcode, piece, final

    def _check(self, data: "bytes | bytearray", rest: bytes, final: bool) -> bytes:
        try:
            rest = check_utf8(data, rest)
            if not rest or not final:
                return rest
        except ValueError:
            pass
        self._fail(1007)
        return rest

    def _fail(self, code: int) -> None:
        self._broken = True
        raise WebSocketError("Websocket protocol error", code)


class WebSocket(Frames):
    """A WebSocket connection.

    Settings are class attributes; assign them here for all, or give them to `with_websocket()` for one route.

    Args:
        request: the request that asks for it.

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
    #: Seconds without a byte after which the peer is sent a ping; 0: never.
    ping_interval = 20
    #: Seconds in which it has to answer, or is taken for gone.
    ping_timeout = 20
    #: Origins whose pages may connect, such as `("https://example.com",)`; None: those of the request's own host; "*": all.
    origins: "Sequence[str] | None" = None
    #: The subprotocols that the server speaks, the best first.
    protocols: "Sequence[str]" = ()

    closed = False
    close_code: "int | None" = None
    close_reason = ""
    subprotocol: "str | None" = None
    opcode = 0

    _channel: "Any" = None
    _task: "Any" = None  # the handler's, to cancel when the peer has gone
    _reader: "Any" = None  # the task that reads
    _owner: "Any" = None  # the task that is sending a message in fragments
    _writing = False
    _waiting = False  # for the one who reads
    _change: "Any" = None  # the event that other readers and writers wait for
    _parked: "Any" = None  # a piece that was read ahead of the handler
    _message: "bytearray | None" = None  # what receive() has of a message
    _unsent: "Any" = None  # fragments, where the host sends whole messages
    _ended = False  # readinto() has given the last piece of a message
    _over = False  # the peer will send no more
    _lost = False  # readers were cancelled because the peer has gone
    _age = 0  # seconds since its last byte

    def __init__(self, request: "Request") -> None:
        self.request = request

    async def handshake(self) -> None:
        """Check the client's handshake (4.2.1) and answer it.

        Raises:
            HTTPException: 400 it is none, 403 the origin is not allowed, 426 for a version other than 13.
        """
        request = self.request
        get = request.headers.get
        key = get("Sec-WebSocket-Key", "")
        # ASGI servers have checked the handshake; in HTTP/2 it looks different.
        if not getattr(request.connection, "accepted", False):
            if (
                request.method != "GET"
                or request.http_version[-3:] != "1.1"
                or "websocket" not in _tokens(get("Upgrade", "").lower())
                or "upgrade" not in _tokens(get("Connection", "").lower())
                or not _is_key(key)
            ):
                raise HTTPException(400)
            if get("Sec-WebSocket-Version") != "13":
                raise HTTPException(426, None, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
        # 10.2: browsers send cookies along with the handshakes of any page, so others' pages are to be kept out.
        origin = get("Origin")
        allowed = self.origins
        if origin and allowed != "*":
            if (
                origin not in allowed
                if allowed is not None
                else origin.partition("://")[2].lower() != get("Host", "").lower()
            ):
                raise HTTPException(403)
        from binascii import b2a_base64
        from hashlib import sha1

        digest = sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": b2a_base64(digest).decode().strip(),
        }
        offered = _tokens(get("Sec-WebSocket-Protocol", ""))
        for name in self.protocols:
            if name in offered:
                headers["Sec-WebSocket-Protocol"] = self.subprotocol = name
                break
        self._channel = channel = await request.upgrade(headers)
        self._task = current_task()
        if not channel.messages:
            # 500 bytes of a board's heap for each client; made anew when they are asked for. What is deleted on a board
            # stays in its slot until another takes it.
            request.headers = None  # type: ignore[assignment]
            del request.headers
        if getattr(channel, "ahead", not channel.messages):
            _attend(self)

    def _gone(self) -> WebSocketError:
        return WebSocketError("Websocket connection closed", self.close_code or 1006)

    async def _wait(self) -> None:
        if self._change is None:
            from asyncio import Event

            self._change = Event()
        await self._change.wait()

    def _changed(self) -> None:
        self._change.set()
        self._change = None

    async def _next(self) -> "tuple[int, Any, bool]":
        """Return the next piece of a message, and deal with the control frames before it."""
        while self._reader is not None:
            self._waiting = True
            await self._wait()
        self._waiting = False
        piece = self._parked
        if piece is not None:
            self._parked = None
            return piece  # type: ignore[no-any-return]
        channel = self._channel
        if self._over or channel is None:
            raise WebSocketError()
        self._reader = current_task()
        try:
            while True:
                if channel.messages:
                    data = await channel.receive()
                    if data is None:
                        raise WebSocketError()
                    self._age = 0
                    return _TEXT if isinstance(data, str) else _BINARY, data, True
                piece = self.next()
                if piece is None:
                    data = await channel.read(_READ)
                    if not data:
                        raise WebSocketError()
                    self._age = 0
                    self.feed(data)
                elif piece[0] < 8:
                    return piece
                else:
                    reply, data = self._process_websocket_frame(piece[0], piece[1])
                    if reply and not self.closed:
                        await self._write(self._encode_websocket_frame(reply, data))
        except CancelledError:
            if not self._lost:
                raise
            await self._end(WebSocketError())
        except OSError as exc:
            await self._end(exc)
        finally:
            self._reader = None
            if self._change is not None:
                self._changed()
        raise self._gone()

    async def _end(self, exc: "Any") -> None:
        """The peer has closed, has gone, or broke the protocol."""
        code = getattr(exc, "code", 1006)
        if code == 1006 or not self._broken:
            self._over = True
        if self.close_code is None:
            self.close_code = code
        if code == 1006:
            self.closed = True
        await self.close(code)
        if self._broken:
            raise exc

    async def _write(self, data: "Any", then: "Any" = None) -> None:
        while self._writing:
            await self._wait()
        self._writing = True
        try:
            await self._channel.write(data)
            if then is not None:
                await self._channel.write(then)
        except OSError:
            self.closed = self._over = True
            raise WebSocketError()
        except CancelledError:
            if not self._lost:
                raise
            raise WebSocketError()
        finally:
            self._writing = False
            if self._change is not None:
                self._changed()

    async def receive(self) -> "str | bytes":
        """Return the next message: str for text, bytes for binary.

        Raises:
            WebSocketError: the connection has ended, or the message is longer than `max_message_length`.
        """
        limit = self.max_message_length
        if limit < 0:
            limit = Request.max_body_length
        while True:
            if self.closed:
                raise self._gone()
            opcode, data, final = await self._next()
            message = self._message
            if message is not None:
                message += data
                data = message
            if 0 < limit < len(data) + self.left:
                self._message = None
                await self.close(1009, "Message too large")
                raise WebSocketError("Message too large", 1009)
            if final:
                self._message = None
                return data if isinstance(data, str) else self._process_websocket_frame(opcode, data)[1]
            if message is None:
                self._message = bytearray(data)

    def __aiter__(self) -> "WebSocket":
        return self

    async def __anext__(self) -> "str | bytes":
        try:
            return await self.receive()
        except WebSocketError:
            raise StopAsyncIteration

    async def readinto(self, buffer: "bytearray | memoryview") -> int:
        """Receive the next piece of a message of any length into `buffer`.

        Text comes as UTF-8, and its pieces may end within a character. `opcode` tells which it is.

        Returns:
            how many bytes; 0 at the end of the message.

        Raises:
            WebSocketError: the connection has ended.
        """
        if self._ended:
            self._ended = False
            return 0
        while not self.closed:
            self.opcode, data, final = await self._next()
            if isinstance(data, str):
                data = data.encode()
            n = len(data)
            if n > len(buffer):
                n = len(buffer)
                self._parked = self.opcode, data[n:], final
                data = data[:n]
            elif n:
                self._ended = final
            if n or final:
                buffer[:n] = data
                return n
        raise self._gone()

    async def send(self, data: "Any", opcode: "int | None" = None, more: bool = False) -> None:
        """Send a message, and wait while the peer takes no more.

        Args:
            data: str, or bytes, bytearray or memoryview.
            opcode: TEXT for str and BINARY for others by default.
            more: whether the message goes on with the next `send()` of this task: then this is a fragment of it.

        Raises:
            WebSocketError: the connection has ended.
        """
        if self.closed:
            raise self._gone()
        if opcode is None:
            opcode = _TEXT if isinstance(data, str) else _BINARY
        channel = self._channel
        if channel.messages:
            if self._unsent is not None:
                data = self._unsent + data
            self._unsent = data if more else None
            if not more and opcode < 8:
                await channel.send(data)
            return
        if opcode < 8 and (more or self._owner is not None):
            task = current_task()
            while self._owner is not None and self._owner is not task:
                await self._wait()
            if self._owner is not None:
                opcode = 0
            self._owner = task if more else None
            if not more and self._change is not None:
                self._changed()
        if isinstance(data, str):
            data = data.encode()
        n = len(data)
        if n > 125 and opcode > 7:
            raise ValueError("websocket: a control frame holds 125 bytes")
        header = _header(opcode if more else opcode | 128, n)
        if n > _JOIN:
            await self._write(header, data)
        else:
            await self._write(header + data)

    async def ping(self, data: bytes = b"") -> None:
        """Send a ping (5.5.2); the answer shows in nothing but that the connection stays."""
        await self.send(data, _PING)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (7.1.2); does nothing when it is closed.

        Args:
            code: why: 1000 normal, 1001 going away, 1003 not this kind of data, 1008 not allowed, 3000 to 4999 your own.
            reason: at most 123 bytes of UTF-8; a longer one is left out.

        Raises:
            ValueError: such a code must not be sent.
        """
        if self.closed or self._channel is None:
            self.closed = True
            return
        payload = b""
        if code != 1005:
            if not _is_code(code):
                raise ValueError("websocket: code %d cannot be sent" % code)
            payload = bytes((code >> 8, code & 255))
            if len(reason.encode()) < 124:  # 5.5: a control frame holds 125 bytes
                payload += reason.encode()
        self.closed = True
        self._age = 0
        if self.close_code is None:
            self.close_code = code
        try:
            if self._channel.messages:
                self._over = True
                await self._channel.close(1000 if code == 1005 else code, reason)
            else:
                await self._write(self._encode_websocket_frame(_CLOSE, payload))
        except OSError:
            pass

    async def finish(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait a moment for the peer's Close (7.1.1), so that the end of the connection loses nothing."""
        self._task = None
        await self.close(code, reason)
        self._parked = None
        try:
            while not self._over:
                await self._next()
        except OSError:
            pass
        _peers.discard(self)

    def tick(self, stopping: bool) -> bool:
        """Do what is due, once a second; return whether there will be more to do."""
        self._age += 1
        job = -1
        if self.closed:
            if self._age > _LINGER and self._reader is not None:
                self._drop()
            return not self._over and (self._reader is not None or self._task is not None)
        # Hosts that frame messages send their own pings.
        interval = 0 if self._channel.messages else self.ping_interval
        if stopping:
            job = 1001
        elif self._reader is None and self._parked is None:
            job = 1
            self._age -= 1  # this second goes to the reader: a ping goes out before its answer is missed
        elif interval and not self._writing:
            if self._reader is not None and self._age >= interval + self.ping_timeout:
                self._drop()
            elif not self._age % interval:
                job = 0
        if job >= 0:
            # In a task of its own, since it may wait; a loop holds its tasks by weak references only.
            self._job = create_task(self._do(job))
        return True

    def _drop(self) -> None:
        self._lost = True
        self._reader.cancel()

    async def _do(self, job: int) -> None:
        try:
            if job == 1:
                self._parked = await self._next()
                return
            if not job:
                await self.send(b"", _PING)
                return
            await self.close(job)
        except OSError:
            pass
        # Who waits for something else than this connection does not learn from it that it has ended.
        if self._task is not None and self._reader is None and not self._waiting and not self._writing:
            self._lost = True
            self._task.cancel()

    @classmethod
    def _encode_websocket_frame(cls, opcode: int, payload: "bytes | bytearray | memoryview | str", fin: int = 128) -> bytes:
        """Return a frame from a server, which does not mask (5.1); with `fin` 0 the message goes on with another."""
        if isinstance(payload, str):
            payload = payload.encode()
        return _header(opcode | fin, len(payload)) + payload

    @classmethod
    def _parse_frame_header(cls, header: bytes) -> "tuple[bool, int, bool, int]":
        """Return FIN, opcode, whether the frame is masked, and its length: -2 or -8 when so many bytes of it follow."""
        length = header[1] & 127
        if length > 125:
            length = -2 if length == 126 else -8
        return header[0] > 127, header[0] & 15, header[1] > 127, length

    def _process_websocket_frame(self, opcode: int, payload: "Any") -> "tuple[int | None, Any]":
        """Return the opcode to answer with, or None, and the message or what to answer."""
        if opcode == _TEXT:
            return None, str(payload, "utf-8")
        if opcode == _BINARY:
            return None, bytes(payload)
        if opcode == _PING:
            return _PONG, payload
        if opcode == _CLOSE:
            code = 1005
            if len(payload) > 1:
                code = payload[0] << 8 | payload[1]
                self.close_reason = str(payload[2:], "utf-8")
            raise WebSocketError(code=code)
        return None, None


def _is_key(key: str) -> bool:
    # 4.2.1: base64 of 16 bytes.
    from binascii import a2b_base64

    try:
        return len(key) == 24 and len(a2b_base64(key)) == 16
    except ValueError:
        return False


def _tokens(value: str) -> "list[str]":
    return [token.strip() for token in value.split(",")]


# The WebSockets of the server that got the last one: a server that is started anew has a ticker of its own, whatever
# became of the loop of the one before.
_server: "Any" = None
_peers: "set[WebSocket]" = set()
_ticker: "Any" = None


def _attend(ws: WebSocket) -> None:
    global _server, _peers, _ticker
    server = ws.request.app.server
    if server is not _server or not _peers:
        _server = server
        _peers = set()
        _ticker = create_task(_tick(server, _peers))
    _peers.add(ws)


async def _tick(server: "Any", peers: "set[WebSocket]") -> None:
    try:
        while peers:
            await sleep(1)
            for ws in list(peers):
                if not ws.tick(server is not None and server.stopping):
                    peers.discard(ws)
    finally:
        peers.clear()


async def websocket_upgrade(request: "Request", **settings: "Any") -> WebSocket:
    """Make a WebSocket of a request, in any route and after checks of your own.

    It is closed when the handler returns; what the handler returns is not sent.

    Args:
        request: the request.
        settings: attributes of `WebSocket`, such as `origins` and `protocols`, for this connection.

    Raises:
        HTTPException: see `WebSocket.handshake()`.
    """
    ws = await _upgrade(request, settings)

    async def after(request: "Request", response: Response) -> Response:
        await ws.finish()
        return Response.already_handled

    request.after_request(after)
    return ws


async def _upgrade(request: "Request", settings: "dict[str, Any]") -> WebSocket:
    ws = WebSocket(request)
    for name in settings:
        setattr(ws, name, settings[name])
    await ws.handshake()
    return ws


def websocket_wrapper(
    f: "Callable[..., Any]", upgrade_function: "Callable[[Request], Awaitable[WebSocket]]"
) -> "Callable[..., Any]":
    """Return the route of a WebSocket handler.

    Args:
        f: `f(request, ws, **path_args)`.
        upgrade_function: makes the `WebSocket` of a request.
    """

    @wraps(f)
    async def wrapper(request: "Request", *args: "Any", **kwargs: "Any") -> "Any":
        ws = await upgrade_function(request)
        code = 1000
        reason = ""
        try:
            result = f(request, ws, *args, **kwargs)
            if hasattr(result, "send"):
                await result
        except WebSocketError:
            pass
        except CancelledError:
            if not ws._lost:
                raise
        except HTTPException as exc:
            code = 1008 if exc.status_code < 500 else 1011
            reason = exc.reason
        except Exception as exc:
            code = 1011
            from .microdot import MUTED_SOCKET_ERRORS, print_exception

            if not isinstance(exc, OSError):
                print_exception(exc)
            elif exc.args[0] not in MUTED_SOCKET_ERRORS:
                raise
        finally:
            await ws.finish(code, reason)
        return Response.already_handled

    return wrapper


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
        f: the handler.
        settings: attributes of `WebSocket`, as in `@with_websocket(origins="*", ping_interval=5)`.
    """

    async def upgrade(request: "Request") -> WebSocket:
        return await _upgrade(request, settings)

    def decorate(f: "Callable[..., Any]") -> "Callable[..., Any]":
        return websocket_wrapper(f, upgrade)

    return decorate(f) if f else decorate
