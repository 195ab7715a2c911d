"""What few WebSockets need: refusals, close codes, pieces and fragments of messages, text that is not ASCII, other hosts.

`websocket.py` loads it when one does. A board lets go of it when a connection ends, unless the program loaded it before it
served: strangers cause it to be loaded, too, and must not fill the heap.
"""

def member(ws: "WebSocket | None", name: str) -> "Any":
    """Return what a `WebSocket` has by a name of this module: functions are methods.

    Args:
        ws: the WebSocket; None for the name of `microdot.websocket` itself.
        name: the name.
    """
    # Before the imports: CPython's of `websocket.py` asks for `__path__`.
    if name not in globals():
        raise AttributeError(name)
    value = globals()[name]
    if ws and callable(value):
        return lambda *args, **named: value(ws, *args, **named)
    return value


import sys
from asyncio import CancelledError, current_task, sleep

from .http import HTTPException, Response, const
from .websocket import WebSocket, WebSocketError, serve
from .wire import field, let_go

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Any

    from .http import Request

let_go.add(__name__)  # first of all: a load that fails leaves something behind, too

_TEXT = const(1)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

_LINGER = const(3)  # quarters of a second in which the peer may answer our Close; clients wait one for the end

# What a WebSocket has as long as nothing else was assigned.
opcode = 0
subprotocol = None
close_reason = ""
_rest = None


def _choose(ws: WebSocket, headers: "dict[str, str]") -> None:
    """Agree on a subprotocol (4.2.2)."""
    offered = field(ws.request, "Sec-WebSocket-Protocol").replace(",", " ").split()
    for name in ws.protocols:
        if name in offered:
            headers["Sec-WebSocket-Protocol"] = ws.subprotocol = name
            break


# The end --------------------------------------------------------------------------------------------------------------


def _is_code(code: int) -> bool:
    # 7.4 and IANA's registry: what may stand in a Close frame.
    return 999 < code < 1015 and not 1003 < code < 1007 or 2999 < code < 5000


async def close(ws: WebSocket, code: int = 1000, reason: str = "") -> None:
    """Do what `WebSocket.close()` says."""
    if code != 1005 and not _is_code(code):
        raise ValueError("close code %d" % code)
    ws._end(code, "" if len(reason.encode()) > 123 else reason)  # 5.5: a control frame holds 125 bytes
    try:
        while ws._full:
            await ws._flush()
    except OSError:
        pass


def _read_close(ws: WebSocket, data: "bytes | bytearray") -> int:
    """Return the code of a Close frame, and keep its reason.

    Raises:
        WebSocketError: it is malformed.
    """
    code = int.from_bytes(data[:2], "big")
    if not _is_code(code):
        raise ws._end(1002)
    if ws._check(data[2:], None):
        raise ws._end(1007)
    ws.close_reason = str(data[2:], "utf-8")
    return code


async def _finish(ws: WebSocket, problem: "BaseException | None") -> "BaseException | None":
    """Close when a handler has ended, and wait a moment for the peer's Close (7.1.1), so that nothing is lost.

    Args:
        ws: the WebSocket.
        problem: what the handler raised.

    Returns:
        the same when it is not for us, and is to be raised again.
    """
    code = 1011 if problem else 1000
    reason = ""
    if isinstance(problem, HTTPException):
        reason = problem.reason
        if problem.status_code < 500:
            code = 1008
        problem = None
    # Cancelled because the peer has gone, or on another connection somebody has: nobody else is to know.
    elif isinstance(problem, CancelledError) and ws.closed or isinstance(problem, OSError) and problem.errno in (32, 54, 104, 128):
        problem = None
    try:
        await close(ws, code, reason)
        if not ws._over and not ws._busy:
            ws._busy = ws._pieces = True
            link = ws._link
            link.watch = None
            link.expires = link.server.tick + _LINGER
            while not ws._over:
                try:
                    while ws._read() is not None:
                        pass
                except StopIteration:
                    link.buffer = b""
                ws._over = not await link.fill()
    except (OSError, HTTPException):  # it has come, or the time is over
        pass
    return problem


# Text -----------------------------------------------------------------------------------------------------------------


def _check(ws: WebSocket, data: "bytes | bytearray", state: "Any") -> "Any":
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
                raise ws._end(1007)
            missing -= 1
            low = 128
            high = 191
        elif c > 127:
            if not 0xC1 < c < 0xF5:
                raise ws._end(1007)
            missing = 1 + (c > 0xDF) + (c > 0xEF)
            # The first continuation byte rules out overlong forms, surrogates and what lies beyond Unicode.
            low = 0xA0 if c == 0xE0 else 0x90 if c == 0xF0 else 128
            high = 0x9F if c == 0xED else 0x8F if c == 0xF4 else 191
    return (missing, low, high) if missing else None


# Pieces and fragments -------------------------------------------------------------------------------------------------


async def _first(ws: WebSocket, data: "Any", opcode: "int | None", more: bool) -> int:
    """Return the first byte of a frame that is a fragment, or of a kind that was asked for.

    Fragments of one message follow each other: other messages wait until it has ended.
    """
    if opcode is None:
        opcode = 1 if isinstance(data, str) else 2
    if opcode < 8:
        task = current_task()
        while ws._sender and ws._sender is not task:
            await sleep(0.02)
        if ws._sender:
            opcode = 0
        ws._sender = more and task
    elif len(data) > 125:
        raise ValueError("over 125 bytes")
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


def _process_websocket_frame(ws: WebSocket, opcode: int, data: "Any") -> "tuple[int | None, Any]":
    """Return the opcode to answer with, or None, and the message or what to answer."""
    if opcode == _CLOSE:
        raise WebSocketError("Websocket connection closed")
    if opcode == _TEXT:
        data = str(data, "utf-8")
    return _PONG if opcode == _PING else None, None if opcode == _PONG else data


# Hosts that frame messages themselves ---------------------------------------------------------------------------------


class Messages:
    """What the native server's connection is to a `WebSocket`, where the host carries whole messages.

    Args:
        ws: the WebSocket.
        channel: the channel of the host.
    """

    then = None
    _message: "Any" = None  # received and not yet taken
    _unsent: "Any" = None  # fragments of a message that goes on

    def __init__(self, ws: WebSocket, channel: "Any") -> None:
        self.ws = ws
        self.channel = channel
        self._out: "list[tuple[int, Any]]" = []
        ws._link = self
        ws._steps = self._steps()
        ws._put = self._put  # type: ignore[method-assign]

    async def fill(self) -> bool:
        """Wait for a message; False when the peer has gone."""
        self._message = await self.channel.receive()
        return self._message is not None

    def _steps(self) -> "Generator[Any, None, None]":
        ws = self.ws
        while True:
            while self._message is None:
                yield None
            message = self._message
            self._message = None
            ws.opcode = 1 if isinstance(message, str) else 2
            data = message.encode() if ws.opcode == 1 else message
            if ws._pieces:
                if data:
                    yield data
                message = b""
            elif 0 < (ws.request.max_body_length if ws.max_message_length < 0 else ws.max_message_length) < len(data):
                raise MemoryError
            yield message

    def _put(self, first: int, data: "Any") -> None:
        self._out.append((first, data))
        self.ws._full |= 1

    async def flush(self) -> None:
        """Send what was put.

        Raises:
            OSError: the peer has gone.
        """
        while self._out:
            first, data = self._out.pop(0)
            if first == 0x88:
                self.ws._over = True
                await self.channel.close(self.ws.close_code if data else 1000, str(data[2:], "utf-8"))
            elif first < 0x88:  # pings are the host's business
                if self._unsent is not None:
                    data = self._unsent + data
                self._unsent = None if first > 127 else data
                if first > 127:
                    await self.channel.send(data)


async def _carry(ws: WebSocket, headers: "dict[str, str]") -> None:
    """Shake hands on a host that is not the native server."""
    carrier(ws, await ws.request.upgrade(headers))


# What programs may ask for ---------------------------------------------------------------------------------------------


async def websocket_upgrade(request: "Request", **settings: "Any") -> WebSocket:
    """Make a WebSocket of a request, in any route and after checks of your own.

    It is closed when the handler has ended, as that of `with_websocket()`; what the handler returns is not sent.

    Args:
        request: the request.
        settings: attributes of `WebSocket`, such as `origins` and `protocols`, for this connection.

    Raises:
        HTTPException: see `WebSocket.handshake()`.
    """
    ws = await WebSocket(request, **settings).handshake()

    async def after(request: "Request", response: "Any") -> "Any":
        # Or what the handler has raised in place of it.
        problem = await ws._finish(None if isinstance(response, (Response, WebSocketError)) else response)
        return problem or Response.already_handled

    request.after_request(after)
    request.fail = after  # type: ignore[attr-defined]
    return ws


def websocket_wrapper(
    f: "Callable[..., Any]", upgrade_function: "Callable[[Request], Awaitable[WebSocket]]"
) -> "Callable[..., Any]":
    """Return the route of a WebSocket handler: for existing programs.

    Args:
        f: `f(request, ws, **path_args)`, a coroutine function.
        upgrade_function: makes the `WebSocket` of a request.
    """

    WebSocket.close = close  # type: ignore[method-assign,assignment]  # a class of the program's may call `super().close()`

    async def wrapper(request: "Request", *args: "Any", **kwargs: "Any") -> Response:
        ws = await upgrade_function(request)
        try:
            await serve(ws, f(request, ws, *args, **kwargs))
        finally:
            await ws.close()  # it is closed, but one of a class of the program's may have more to do
        return Response.already_handled

    return wrapper


carrier: "Any" = Messages
if sys.implementation.name not in ("micropython", "circuitpython"):
    import microdot._websocket_hosts  # which puts `carrier()` and `_check()` of its own in these places

    # Here nothing is gained by looking for it each time.
    for _name in (
        "opcode subprotocol close_reason _rest close readinto _process_websocket_frame"
        " _choose _carry _read_close _check _first _finish"
    ).split():
        setattr(WebSocket, _name, globals()[_name])
    del WebSocket.__getattr__
