"""What few WebSockets need: refusals, close codes, pieces and fragments of messages, text that is not ASCII, other hosts.

`websocket.py` loads it when one does.
"""

from asyncio import CancelledError, current_task, sleep

from .channel import field, upgrade
from .helpers import wraps
from .http import HTTPException, Request, Response, const
from .websocket import WebSocket, WebSocketError

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

_LINGER = const(1)  # seconds for the peer to answer our Close


# The handshake --------------------------------------------------------------------------------------------------------


def _has(request: Request, name: str, token: str) -> bool:
    return token in [one.strip() for one in field(request, name).lower().split(",")]


async def admit(ws: WebSocket, headers: "dict[str, str]") -> "Any":
    """Look at a handshake that is not of the plainest kind, and answer it.

    Args:
        ws: the WebSocket.
        headers: what is to be answered.

    Returns:
        what carries the frames; None when the host frames messages itself.

    Raises:
        HTTPException: 400 it is none, 403 the origin is not allowed, 426 for a version other than 13.
    """
    request = ws.request
    connection = request.connection
    # ASGI servers have checked the handshake; in HTTP/2 it looks different.
    if not getattr(connection, "accepted", False):
        key = field(request, "Sec-WebSocket-Key")
        from binascii import a2b_base64

        try:
            if (
                request.method != "GET"
                or request.http_version[-3:] != "1.1"
                or not _has(request, "Upgrade", "websocket")
                or not _has(request, "Connection", "upgrade")
                or len(key) != 24
                or len(a2b_base64(key)) != 16
            ):
                raise ValueError
        except ValueError:
            raise HTTPException(400)
        if field(request, "Sec-WebSocket-Version") != "13":
            raise HTTPException(426, None, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    origin = field(request, "Origin")
    allowed = ws.origins
    if origin and allowed != "*":
        if (
            origin not in allowed
            if allowed is not None
            else origin.partition("://")[2].lower() != field(request, "Host").lower()
        ):
            raise HTTPException(403)
    offered = [one.strip() for one in field(request, "Sec-WebSocket-Protocol").split(",")]
    for name in ws.protocols:
        if name in offered:
            headers["Sec-WebSocket-Protocol"] = ws.subprotocol = name
            break
    channel = await upgrade(request, headers)
    if hasattr(connection, "fill"):
        return connection
    if channel.messages:
        if getattr(channel, "ahead", False):
            from ._websocket_hosts import Ahead

            Ahead(ws, channel)
        else:
            Messages(ws, channel)
        return None
    from ._websocket_hosts import Streams

    return Streams(ws, channel)


# The end --------------------------------------------------------------------------------------------------------------


def _is_code(code: int) -> bool:
    # 7.4 and IANA's registry: what may stand in a Close frame.
    return 1000 <= code < 1004 or 1006 < code < 1015 or 2999 < code < 5000


def check_close(code: int, reason: str) -> str:
    """Return the reason that can be sent; raises ValueError when the code must not be."""
    if code != 1005 and not _is_code(code):
        raise ValueError("websocket: code %d cannot be sent" % code)
    return "" if len(reason.encode()) > 123 else reason  # 5.5: a control frame holds 125 bytes


def read_close(ws: WebSocket, payload: "bytes | bytearray") -> int:
    """Return the code of a Close frame, and keep its reason.

    Raises:
        WebSocketError: it is malformed.
    """
    code = payload[0] << 8 | payload[1] if len(payload) > 1 else 0
    if not _is_code(code):
        raise ws._fail(1002)
    if check_utf8(ws, payload[2:], None):
        raise ws._fail(1007)
    ws.close_reason = str(payload[2:], "utf-8")
    return code


def code_of(exc: BaseException, ws: WebSocket) -> "tuple[int, str]":
    """Return code and reason for what a handler raised; raises it again when it is not for us."""
    if isinstance(exc, HTTPException):
        return 1008 if exc.status_code < 500 else 1011, exc.reason
    if isinstance(exc, CancelledError) and ws.closed:
        # Because the peer has gone: that is no reason to end anything but the handler.
        return 1000, ""
    if not isinstance(exc, Exception):
        raise exc
    from .microdot import MUTED_SOCKET_ERRORS, print_exception

    if not isinstance(exc, OSError):
        print_exception(exc)
    elif exc.args[0] not in MUTED_SOCKET_ERRORS:
        raise exc
    return 1011, ""


async def finish(ws: WebSocket, code: int, reason: str) -> None:
    """Close, and wait a moment for the peer's Close (7.1.1), so that the end of the connection loses nothing."""
    try:
        await ws.close(code, reason)
        link = ws._link
        if not link:  # the host does the rest
            return
        link.streaming = False
        link.expires = link.server.deadline(_LINGER)
        ws._pieces = True
        while not ws._over and not ws._busy:
            if not ws._steps:
                link.buffer = b""
            if not ws._steps or next(ws._steps) is None:
                ws._over = not await link.fill()
    except (OSError, HTTPException):  # it has come, or the time is over
        pass


# Text -----------------------------------------------------------------------------------------------------------------


def check_utf8(ws: WebSocket, data: "bytes | bytearray", state: "Any") -> "Any":
    """Check a piece of a text; decode() of boards takes overlong forms, surrogates and more than U+10FFFF.

    Args:
        ws: the WebSocket that it came on.
        data: the piece.
        state: what the call for the piece before returned, None for the first.

    Returns:
        None, or what is to be known of the incomplete character at the end.

    Raises:
        WebSocketError: it is not UTF-8 (RFC 3629).
    """
    missing, low, high = state or (0, 0, 0)
    for c in data:
        if missing:
            if not low <= c <= high:
                raise ws._fail(1007)
            missing -= 1
            low = 128
            high = 191
        elif c > 127:
            if not 0xC1 < c < 0xF5:
                raise ws._fail(1007)
            missing = 1 + (c > 0xDF) + (c > 0xEF)
            # The first continuation byte rules out overlong forms, surrogates and what lies beyond Unicode.
            low = 0xA0 if c == 0xE0 else 0x90 if c == 0xF0 else 128
            high = 0x9F if c == 0xED else 0x8F if c == 0xF4 else 191
    return (missing, low, high) if missing else None


try:
    from ._websocket_cpython import check_utf8 as check_utf8  # type: ignore[assignment]  # in C; never on boards
except ImportError:
    pass


# Pieces and fragments -------------------------------------------------------------------------------------------------


async def first_byte(ws: WebSocket, data: "Any", opcode: "int | None", more: bool) -> int:
    """Return the first byte of a frame that is a fragment, or of a kind that was asked for.

    Fragments of one message follow each other: other messages wait until it has ended.
    """
    if opcode is None:
        opcode = 1 if isinstance(data, str) else 2
    if opcode > 7:
        if len(data) > 125:
            raise ValueError("websocket: a control frame holds 125 bytes")
        return opcode | 128
    task = current_task()
    while ws._sender and ws._sender is not task:
        await sleep(0.02)
    if ws._sender:
        opcode = 0
    ws._sender = task if more else None
    return opcode if more else opcode | 128


async def readinto(ws: WebSocket, buffer: "bytearray | memoryview") -> int:
    """Do what `WebSocket.readinto()` says."""
    piece = ws._rest
    ws._rest = None
    if piece is None:
        ws._pieces = True
        try:
            piece = await ws.receive()
        finally:
            ws._pieces = False
    if isinstance(piece, str):
        piece = piece.encode()
    n = min(len(piece), len(buffer))
    buffer[:n] = piece[:n]
    if n < len(piece):
        ws._rest = piece[n:]
    return n


async def ping(ws: WebSocket, data: bytes = b"") -> None:
    """Do what `WebSocket.ping()` says."""
    await ws.send(data, ws.PING)


def process_frame(ws: WebSocket, opcode: int, payload: "Any") -> "tuple[int | None, Any]":
    """Return the opcode to answer with, or None, and the message or what to answer."""
    if opcode == ws.CLOSE:
        raise WebSocketError()
    if opcode == ws.TEXT:
        payload = str(payload, "utf-8")
    return ws.PONG if opcode == ws.PING else None, None if opcode == ws.PONG else payload


def attribute(ws: WebSocket, name: str) -> "Any":
    """Return what a `WebSocket` has besides; AttributeError when there is none of that name."""
    if name in _METHODS:
        method = _METHODS[name]
        return lambda *args: method(ws, *args)
    if name in _ATTRIBUTES:
        return _ATTRIBUTES[name]
    raise AttributeError("WebSocket has no attribute " + name)


_METHODS: "dict[str, Callable[..., Any]]" = {"readinto": readinto, "ping": ping, "_process_websocket_frame": process_frame}
_ATTRIBUTES = {"opcode": 0, "subprotocol": None, "close_reason": "", "_rest": None}


# Hosts that frame messages themselves ---------------------------------------------------------------------------------


class Messages:
    """What a `WebSocket` does where the host carries whole messages: its methods take the places of the other ones.

    Args:
        ws: the WebSocket.
        channel: the channel of the host.
    """

    _unsent: "Any" = None  # fragments of a message that goes on
    _rest: "Any" = None  # what readinto() has not given yet

    def __init__(self, ws: WebSocket, channel: "Any") -> None:
        self.ws = ws
        self.channel = channel
        for name in ("receive", "readinto", "send", "close"):
            setattr(ws, name, getattr(self, name))

    async def next(self) -> "Any":
        """Return the peer's next message.

        Raises:
            WebSocketError: it has gone.
        """
        ws = self.ws
        if not ws.closed:
            message = await self.channel.receive()
            if message is not None:
                ws.opcode = 1 if isinstance(message, str) else 2
                return message
        raise ws._lose()

    async def receive(self) -> "str | bytes":
        """Do what `WebSocket.receive()` says."""
        message = await self.next()
        limit = self.ws.max_message_length
        if limit < 0:
            limit = Request.max_body_length
        # A character has at most four bytes.
        if 0 < limit < 4 * len(message) and limit < len(message.encode() if isinstance(message, str) else message):
            await self.close(1009, "Message too large")
            raise WebSocketError("Message too large", 1009)
        return message  # type: ignore[no-any-return]

    async def readinto(self, buffer: "bytearray | memoryview") -> int:
        """Do what `WebSocket.readinto()` says."""
        rest = self._rest
        if rest is None:
            rest = await self.next()
            if isinstance(rest, str):
                rest = rest.encode()
        n = min(len(rest), len(buffer))
        buffer[:n] = rest[:n]
        self._rest = rest[n:] if n else None
        return n

    async def send(self, data: "Any", opcode: "int | None" = None, more: bool = False) -> None:
        """Do what `WebSocket.send()` says."""
        if self.ws.closed:
            raise self.ws._end(1006)
        if opcode is not None and opcode > 7:  # the host's business
            return
        if self._unsent is not None:
            data = self._unsent + data
        self._unsent = data if more else None
        if not more:
            try:
                await self.channel.send(data)
            except OSError:
                raise self.ws._lose()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Do what `WebSocket.close()` says."""
        reason = check_close(code, reason)
        ws = self.ws
        if not ws.closed:
            ws.closed = ws._over = True
            ws.close_code = code
            try:
                await self.channel.close(1000 if code == 1005 else code, reason)
            except OSError:
                pass


# What programs import from websocket.py -------------------------------------------------------------------------------


async def websocket_upgrade(request: Request, **settings: "Any") -> WebSocket:
    """Make a WebSocket of a request, in any route and after checks of your own.

    It is closed when the handler returns; what the handler returns is not sent.

    Args:
        request: the request.
        settings: attributes of `WebSocket`, such as `origins` and `protocols`, for this connection.

    Raises:
        HTTPException: see `WebSocket.handshake()`.
    """
    ws = WebSocket(request)
    for name in settings:
        setattr(ws, name, settings[name])
    await ws.handshake()

    async def after(request: Request, response: Response) -> Response:
        await finish(ws, 1000, "")
        return Response.already_handled

    request.after_request(after)
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
    async def wrapper(request: Request, *args: "Any", **kwargs: "Any") -> "Any":
        ws = await upgrade_function(request)
        code = 1000
        reason = ""
        try:
            await f(request, ws, *args, **kwargs)
        except WebSocketError:
            pass
        except BaseException as exc:
            code, reason = code_of(exc, ws)
        finally:
            await finish(ws, code, reason)
        return Response.already_handled

    return wrapper
