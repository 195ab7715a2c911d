"""Run an application under an ASGI server: uvicorn, hypercorn, granian. CPython only.

    from microdot.asgi import Microdot

    app = Microdot()

    @app.get("/")
    async def index(request):
        return "hello"

`uvicorn program:app` serves it; `app.run()` serves it with the server of the core, as on a board. The adapter is a host as
docs/design.md describes one: it makes a request, awaits `app.dispatch()`, sends the response as ASGI messages, and calls
`app.finish()`.
"""

import asyncio
import errno
import os as os  # programs' tests look for the signal of `shutdown()` at `microdot.asgi.os.kill`
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from microdot import (
    AsyncBytesIO as AsyncBytesIO,
    Request as Request,
    Response as Response,
    URLPattern as URLPattern,
    abort as abort,
    iscoroutine as iscoroutine,
    redirect as redirect,
    send_file as send_file,
)
from microdot.headers import decode
from microdot.hosting import (
    Hosted,
    Made,
    WholeBody,
    body_length,
    close_body,
    joined,
    plain_steps,
    plain_type,
    take_body,
    websocket_name,
)
from microdot.microdot import HTTPException, NoCaseDict, print_exception

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Callback = Callable[[Scope], Awaitable[Any]]

# Bytes of a request's headers that are remembered: not every server has a limit.
_SHORT = 4096
# Bytes of an unread request body that may wait while the connection is watched.
_READ_AHEAD = 65536
# Bytes that a stream may send before others get their turn, when the server takes them without a pause.
_TURN = 65536
# Seconds that a stream may last before somebody looks after its client.
_PATIENCE = 0.1
# Seconds in which the rest of a body may come that nobody has read.
_LINGER = 1
# RFC 9110 7.6.1: these belong to one connection, which is the server's, and HTTP/2 forbids them.
_HOP_BY_HOP = frozenset(("connection", "transfer-encoding", "keep-alive", "proxy-connection"))
# And these say what is to be known of a response.
_FRAMING = frozenset(("content-length", "content-type", "upgrade"))
# What stays as it is in a path (RFC 3986 3.3): a server that gives no raw path has decoded the rest.
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"
# RFC 6455 4.1: a handshake says this. Servers that keep it from the application (HTTP/2 has none, RFC 8441) have checked
# what it stands for; the key is any 16 bytes.
_HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
# Of the answer to a handshake these are the server's own.
_ACCEPTED = ("upgrade", "connection", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions")


class _Request(Request):
    """A request whose headers are made from the scope when they are asked for."""

    asgi_scope: "Scope"

    headers = Made(lambda request: _headers(request.asgi_scope))
    content_type = Made(lambda request: _field(request.asgi_scope, b"content-type"))
    sock = Made(lambda request: (request.connection.receive_event, request.connection.send_event))


class _Spellings(dict[bytes, "tuple[str, str]"]):
    """Names of headers in lower case and as they are usually written: clients send the same few again and again."""

    def __missing__(self, name: bytes) -> "tuple[str, str]":
        if len(self) > 255:
            self.clear()
        text = name.decode("latin-1")
        both = text.lower(), text.title()
        if len(name) < 100:
            self[name] = both
        return both


_spellings = _Spellings()


def _headers(scope: "Scope") -> NoCaseDict:
    """Make the headers of a request; repeated ones are joined (RFC 9110 5.3; cookies, which HTTP/2 splits, RFC 9113 8.2.3)."""
    headers = NoCaseDict()
    fields = tuple(scope.get("headers") or ())
    try:
        short = len(fields) < 100 and sum([len(name) + len(value) for name, value in fields]) < _SHORT
        keymap, values = (_known_fields if short else _fields)(fields)
    except TypeError:  # a server that has lists for pairs, which cannot be looked up
        keymap, values = _fields(fields)
    headers.keymap = keymap.copy()
    dict.update(headers, values)  # the names have their spelling: nothing else is to be looked up
    if scope["type"] == "websocket":
        for name in _HANDSHAKE:
            headers.setdefault(name, _HANDSHAKE[name])
        if scope.get("subprotocols"):
            headers.setdefault("Sec-WebSocket-Protocol", ", ".join(scope["subprotocols"]))
    return headers


def _fields(fields: "tuple[Any, ...]") -> "tuple[dict[str, str], dict[str, str]]":
    """Return the names by their lower case, and the values by name."""
    keymap: "dict[str, str]" = {}
    values: "dict[str, str]" = {}
    for raw_name, raw_value in fields:
        lower, name = _spellings[raw_name]
        raw_value = raw_value.strip(b" \t")  # RFC 9110 5.5; one of uvicorn's parsers leaves it
        try:
            value = raw_value.decode()
        except ValueError:
            value = decode(raw_value)
        if lower in keymap:
            value = values[name] + ("; " if name == "Cookie" else ", ") + value
        keymap[lower] = name
        values[name] = value
    return keymap, values


@lru_cache(maxsize=64)
def _known_fields(fields: "tuple[Any, ...]") -> "tuple[dict[str, str], dict[str, str]]":
    """Do what `_fields()` says: clients repeat their headers with every request."""
    return _fields(fields)


def _field(scope: "Scope", name: bytes) -> "str | None":
    """Return one header as `_headers()` has it, without making all."""
    values = [decode(value.strip(b" \t")) for key, value in scope.get("headers") or () if key == name]
    return ", ".join(values) if values else None


def _target(scope: "Scope") -> str:
    """Return path and query as the client sent them, without the root path at which a proxy or another app mounts this one.

    Other hosts give applications the raw path, so that is taken here too: `%3F` is no query, `%2F` no separator.
    """
    raw = scope.get("raw_path")
    root = scope.get("root_path")
    if raw and not root:
        return _text(raw, scope.get("query_string") or b"")
    path = None
    if root:
        root = root.rstrip("/")
        path = scope["path"]
        if path == root or path.startswith(root + "/"):
            path = path[len(root) :]
            start = quote(root, safe=_PATH_CHARACTERS).encode()
            raw = raw[len(start) :] if raw and (raw == start or raw.startswith(start + b"/")) else None
    if not raw:
        raw = quote(scope["path"] if path is None else path, safe=_PATH_CHARACTERS).encode() or b"/"
    return _text(raw, scope.get("query_string") or b"")


@lru_cache(maxsize=256)
def _text(path: bytes, query: bytes) -> str:
    """Return path and query as a str: clients ask for the same ones again and again."""
    target = decode(path.partition(b"?")[0])  # some servers count the query as a part of it
    if target[:1] != "/" and "://" in target:  # others leave the absolute form as it came (RFC 9112 3.2.2)
        target = "/" + target.partition("://")[2].partition("/")[2]
    return f"{target}?{decode(query)}" if query else target


class _Connection:
    """The host's side of one request: its body, and whether the client is still there.

    Args:
        scope, receive, send: those of ASGI.
    """

    gone = False  # the client
    cancelled = False  # what streamed to it, for that reason
    ended = False  # the body is complete
    _buffer = b""  # of the body, and where in it begins what was not read
    _at = 0
    _lock: "asyncio.Lock | None" = None

    def __init__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        self.scope = scope
        self.receive_event = receive
        self.send_event = send

    def info(self, name: str, default: Any = None) -> Any:
        """Return `peername`: (host, port) of the client; None when the server does not know it."""
        client = self.scope.get("client")
        return tuple(client) if client and name == "peername" else default

    async def upgrade(self, request: Request, headers: "Mapping[str, str]") -> "_Socket":
        """Refuse: only WebSockets switch protocols under ASGI, and those have scopes of their own."""
        raise HTTPException(501, "This server cannot upgrade: it may need a WebSocket library")

    async def read(self, n: int) -> bytes:
        """Read at most `n` bytes of the body; empty at its end.

        Raises:
            HTTPException: 400, the client went before that.
        """
        if not self._buffer and not self.ended:
            if self._lock is None:
                self._lock = asyncio.Lock()
            async with self._lock:
                while not self._buffer and not self.ended:
                    await self._take()
        # Servers give pieces of any length; what is left of one is not copied with each that is read of it.
        data = self._buffer
        at = self._at
        end = at + n
        if len(data) > end:
            self._at = end
            return data[at:end]
        self._buffer = b""
        self._at = 0
        return data[at:] if at else data

    async def _take(self) -> None:
        """Take one message of the server."""
        if self.gone:
            raise HTTPException(400, "Bad request")
        event = await self.receive_event()
        if event is None or event["type"] == "http.disconnect":
            self.gone = True
            if not self.ended:
                raise HTTPException(400, "Bad request")
        elif event["type"] == "http.request":
            body: bytes = event.get("body") or b""
            if self._buffer:
                body = self._buffer[self._at :] + body
                self._at = 0
            self._buffer = body
            self.ended = not event.get("more_body")

    async def take_whole(self, length: bytes, limit: int) -> "bytes | None":
        """Return a body of known length that is to be loaded; None: what has come of it is for `read()`.

        Args:
            length: its declared length, as it was sent.
            limit: the most bytes that are loaded.
        """
        if length == b"0":
            return b""
        if not length.isdigit() or len(length) > 15 or int(length) > limit:
            return None
        size = int(length)
        parts = []
        try:
            while not self.ended and size >= 0:
                await self._take()
                size -= len(self._buffer)
                parts.append(self._buffer)
                self._buffer = b""
        except HTTPException:
            size = -1  # and so will `read()` say
        data = b"".join(parts)
        if not size:
            return data
        self._buffer = data
        return None

    async def watch(self, task: "asyncio.Task[Any]") -> None:
        """Cancel a task when the client goes."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        try:
            while not self.gone:
                if len(self._buffer) - self._at > _READ_AHEAD:
                    await asyncio.sleep(0.25)  # more would defeat the back-pressure of the server
                else:
                    async with self._lock:  # the handler may be reading too
                        await self._take()
        except HTTPException:
            pass  # it went within the body
        self.cancelled = True
        task.cancel()

    async def skip(self) -> None:
        """Drop the rest of the body, for a moment, before the response is sent.

        Requests share a connection in HTTP/2, and there is a server (hypercorn) that never reads from it again when a request
        is answered before its body was taken.
        """
        try:
            await asyncio.wait_for(self._skip(), _LINGER)
        except (asyncio.TimeoutError, HTTPException):
            pass

    async def _skip(self) -> None:
        while not self.ended:
            self._buffer = b""
            self._at = 0
            await self._take()

    async def pass_on(self, event: "dict[str, Any]") -> None:
        """Send a message; an OSError of the server means that the client has gone."""
        try:
            await self.send_event(event)
        except OSError:
            self.gone = True
            raise


class _Socket(_Connection):
    """The host's side of a WebSocket, and its channel of messages."""

    messages = True
    ahead = True  # reading before the handler asks does no harm, and tells when the client goes
    accepted = True  # the server has checked the handshake
    connected = False  # the server has announced the connection
    upgraded = False
    closed = False

    async def connect(self) -> None:
        """Take the server's announcement, which comes first.

        Raises:
            HTTPException: 400, something else came.
        """
        if self.gone:
            raise HTTPException(400)
        if not self.connected:
            event = await self.receive_event()
            if event is None or event["type"] != "websocket.connect":
                self.gone = True
                raise HTTPException(400)
            self.connected = True

    async def upgrade(self, request: Request, headers: "Mapping[str, str]") -> "_Socket":
        """Accept the connection: headers that are not the handshake's own go with it."""
        await self.connect()
        event: "dict[str, Any]" = {"type": "websocket.accept", "subprotocol": None}
        fields = []
        for name in headers:
            lower = name.lower()
            if lower == "sec-websocket-protocol":
                event["subprotocol"] = headers[name]
            elif lower not in _ACCEPTED:
                fields += _lines(lower.encode(), headers[name])
        event["headers"] = fields
        await self.send_event(event)
        self.upgraded = True
        return self

    async def receive(self) -> "str | bytes | None":
        """Return the client's next message; None when it has gone."""
        while not self.gone and not self.closed:
            event = await self.receive_event()
            if event is None or event["type"] == "websocket.disconnect":
                self.gone = True
            elif event["type"] == "websocket.receive":
                # One of the two is given; the other is missing or None.
                text: "str | None" = event.get("text")
                data: "bytes | None" = event.get("bytes")
                return data if text is None else text
        return None

    async def send(self, data: "str | bytes") -> None:
        """Send a message.

        Raises:
            OSError: the client has gone.
        """
        event: "dict[str, Any]" = {"type": "websocket.send"}
        if isinstance(data, str):
            event["text"] = data
        else:
            event["bytes"] = bytes(data)
        if not self.gone and not self.closed:
            try:
                await self.send_event(event)
                return
            except (OSError, RuntimeError):  # some servers raise this when the client has begun to close
                self.gone = True
        raise OSError(errno.EPIPE, "Websocket connection closed")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, once; a client that has gone is no error."""
        if not self.closed:
            self.closed = True
            if not self.gone:
                try:
                    await self.send_event({"type": "websocket.close", "code": code, "reason": reason})
                except (OSError, RuntimeError):
                    self.gone = True


def _lines(name: bytes, value: Any) -> "list[tuple[bytes, bytes]]":
    """Make the lines of a header; a list gives one for each element.

    Raises:
        ValueError: a value would end its line (RFC 9110 5.5); not every server looks.
    """
    lines = []
    for one in value if isinstance(value, list) else (value,):
        text = one if isinstance(one, str) else str(one)
        if "\n" in text or "\r" in text or "\0" in text:
            raise ValueError("response header: CR, LF or NUL in a value")
        lines.append((name, text.encode()))
    return lines


def _whole_start(response: Response, scope: "Scope") -> "dict[str, Any] | None":
    """Make the first message of the most usual responses, whose body is bytes and is sent; None for others."""
    body = response.body
    status = response.status_code
    if type(body) is not bytes or response.is_head or status < 200 or status == 204 or status == 304:
        return None
    kind = plain_type(response)
    if kind is None:
        try:
            return _start(response, scope)[0]
        except Exception:  # `_respond()` says so, and answers 500
            return None
    # The dictionary of headers of such a response was never made, and to make it would cost more than all of this.
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", kind), (b"content-length", b"%d" % len(body))],
    }


@lru_cache(maxsize=256)
def _name(name: str) -> "tuple[bytes, str]":
    """Return the name of a response's header as ASGI wants it, and in lower case when it says something to the server.

    Programs set the same few.
    """
    lower = name.lower()
    return lower.encode(), lower if lower in _FRAMING or lower in _HOP_BY_HOP else ""


def _start(response: Response, scope: "Scope") -> "tuple[dict[str, Any], int | None]":
    """Make the first message of a response; also return the length of the body that follows, None when unknown.

    Raises:
        ValueError, TypeError: there is no way to send this.
    """
    status = response.status_code
    body = response.body
    length = len(body) if type(body) is bytes else body_length(body)
    fields: "list[tuple[bytes, bytes]]" = []
    typed = declared = False
    for name, value in response.headers.items():
        raw, special = _name(name)
        if special:
            if special == "content-length":
                declared = True
                continue
            if special == "content-type":
                typed = True
            elif special != "upgrade" or scope.get("http_version") != "1.1":
                continue
        if type(value) is not str or "\n" in value or "\r" in value or "\0" in value:
            fields += _lines(raw, value)
        else:
            fields.append((raw, value.encode()))
    if status < 200 or status == 204 or status == 304:
        return {"type": "http.response.start", "status": status, "headers": fields}, 0
    if declared and (response.is_head or type(body) is not bytes):
        length = int(response.headers["Content-Length"])  # bytes leave with the length that they have
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    if not typed:
        fields.append((b"content-type", response.content_type().encode()))
    return {"type": "http.response.start", "status": status, "headers": fields}, length


class Microdot(Hosted):
    """An application that ASGI servers can call.

    Args:
        lifespan_startup: `await f(scope)` when the server starts, after the `start` hooks. An exception keeps the server from
            starting. `scope["state"]` is a dict of which each request gets a copy, where the server has it.
        lifespan_shutdown: `await f(scope)` when the server stops, before the `stop` hooks.

    A request has `asgi_scope`, and `sock` is `(receive, send)`.
    """

    def __init__(
        self, lifespan_startup: "Callback | None" = None, lifespan_shutdown: "Callback | None" = None
    ) -> None:
        super().__init__()
        self.lifespan_startup = lifespan_startup
        self.lifespan_shutdown = lifespan_shutdown
        # The start hooks have run.
        self._ready = False

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        await self.asgi_app(scope, receive, send)

    async def asgi_app(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one scope of ASGI 3; middleware replaces this: `app.asgi_app = Middleware(app.asgi_app)`."""
        kind = scope["type"]
        version = scope.get("http_version", "1.1")
        scheme = scope.get("scheme", "http")
        connection: _Connection
        body: "_Connection | None" = None
        length: "bytes | None" = None
        if kind == "http":
            connection = _Connection(scope, receive, send)
            fields = dict(scope.get("headers") or ())
            length = fields.get(b"content-length")
            # RFC 9113 8.1: from HTTP/2 on a body needs no header that tells of it.
            if length is not None or b"transfer-encoding" in fields or version[:1] != "1":
                body = connection
        elif kind == "websocket":
            connection = _Socket(scope, receive, send)
            scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        else:
            if kind == "lifespan":
                await self.handle_lifespan(scope, receive, send)
            return
        if not self._ready:
            await self.get_ready()
        # What was left out is made when it is asked for: the address by `connection.info()`.
        request = _Request(self, None, scope.get("method", "GET"), _target(scope), "HTTP/" + version, None)
        if body is not None:
            request.pending = body
            # `admit` hooks may answer before the body comes, and before the client is told to go on and send it.
            if length is not None and "hooks" not in self.__dict__:
                whole = await body.take_whole(length, min(request.max_content_length, request.max_body_length))
                if whole is not None:
                    request.pending = WholeBody(whole)
        request.scheme = scheme
        request.asgi_scope = scope
        request.connection = connection
        response: Any = None
        failure: "BaseException | None" = None
        try:
            response = await self.dispatch(request)
            if kind == "websocket":
                await _end_socket(connection, response)  # type: ignore[arg-type]
            elif response is not Response.already_handled:
                if body is not None and version[:1] != "1" and not body.ended and isinstance(response.body, bytes):
                    await body.skip()
                start = _whole_start(response, scope)
                if start is None:
                    await _respond(connection, response)
                else:
                    try:
                        await send(start)
                        await send({"type": "http.response.body", "body": response.body})
                        response.bytes_sent = len(response.body)
                    except OSError:
                        connection.gone = True
                        raise
        except OSError as exc:
            failure = exc
            if not connection.gone:  # that is nobody's error
                raise
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if "hooks" in self.__dict__:  # made for the first one; without it there is nothing to run
                self.finish(request, response, failure)

    async def handle_lifespan(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve the lifespan protocol."""
        begun = False
        while True:
            kind = (await receive())["type"]
            if kind not in ("lifespan.startup", "lifespan.shutdown"):
                continue
            answer: "dict[str, Any]" = {"type": kind + ".complete"}
            try:
                if kind == "lifespan.startup":
                    await self.prepare()
                    begun = True
                    if self.lifespan_startup:
                        await self.lifespan_startup(scope)
                elif self.lifespan_shutdown:
                    await self.lifespan_shutdown(scope)
            except Exception as exc:
                answer = {"type": kind + ".failed", "message": repr(exc)}
            # A server that could not start sends nothing more, as a rule.
            if begun and answer["type"] != "lifespan.startup.complete":
                begun = False
                await self._end()
            await send(answer)
            if kind == "lifespan.shutdown":
                return

    async def prepare(self) -> None:
        """Run the `start` hooks: the server has told that it starts, or the first request has come."""
        if "hooks" in self.__dict__:
            await self.begin()
        self._ready = True

    async def _end(self) -> None:
        self._ready = False
        if "hooks" in self.__dict__:
            await self.end()

async def _respond(connection: _Connection, response: Any) -> None:
    """Send a response; a small one leaves in two messages.

    What it leaves in `response.bytes_sent` is for `done` hooks: bytes of the body that the server has taken.

    Raises:
        OSError: the client has gone.
        Exception: what the body raised, when some of the response may be out: the server then breaks the connection.
    """
    send = connection.send_event
    chunks = take_body(response)
    body = response.body
    try:
        try:
            start, length = _start(response, connection.scope)
        except Exception as exc:
            # Nothing is out yet, so the client gets an answer.
            print_exception(exc)
            failed = Response("Internal server error", 500)
            failed.is_head = response.is_head
            await _respond(connection, failed)
            response.status_code = 500  # `done` hooks are told what the client was
            response.bytes_sent = failed.bytes_sent
            return
        response.bytes_sent = 0
        if chunks is not None and length != 0 and not response.is_head:
            await _stream(connection, response, start, chunks, length)
            return
        if response.is_head or not body or chunks is not None or not length:
            body = b""
        try:
            await send(start)
            await send({"type": "http.response.body", "body": body})
            response.bytes_sent = len(body)
        except OSError:
            connection.gone = True
            raise
    finally:
        if chunks is not None:
            await close_body(chunks)


async def _stream(
    connection: _Connection, response: Any, start: "dict[str, Any]", chunks: "AsyncIterator[Any]", length: "int | None"
) -> None:
    """Send a response chunk by chunk, until the client goes.

    Raises:
        OSError: it has gone.
        Exception: what the body raised.
    """
    task = asyncio.current_task()
    if task is None:  # a server that drives coroutines without tasks: there must be something to cancel
        await asyncio.ensure_future(_stream(connection, response, start, chunks, length))
        return
    watcher: "asyncio.Task[None] | None" = None

    def look() -> None:
        nonlocal watcher
        watcher = asyncio.ensure_future(connection.watch(task))

    # A body of known length ends by itself; another may wait for ever, so somebody has to look after the client. Most are
    # over before: a task would cost more than they do.
    timer = asyncio.get_running_loop().call_later(_PATIENCE, look) if length is None else None
    try:
        await _send_chunks(connection, response, start, chunks, length)
    except asyncio.CancelledError:
        if not connection.cancelled:
            raise
    finally:
        if timer is not None:
            timer.cancel()
        if watcher is not None:
            watcher.cancel()
            await asyncio.wait([watcher])
        # Python 3.11 counts; what is left is somebody else's.
        if connection.cancelled and hasattr(task, "uncancel") and task.uncancel():
            raise asyncio.CancelledError
    if connection.gone:
        raise ConnectionResetError(errno.ECONNRESET, "The client has gone")


async def _send_chunks(
    connection: _Connection, response: Any, start: "dict[str, Any]", chunks: "AsyncIterator[Any]", length: "int | None"
) -> None:
    steps = plain_steps(chunks) if length is None else None
    if steps is not None:
        chunks = joined(steps)
    left = length
    sent = 0
    turn = _TURN
    await connection.pass_on(start)
    try:
        async for chunk in chunks:
            if connection.gone:
                return  # the body has caught its cancellation
            data = chunk.encode() if isinstance(chunk, str) else chunk
            if type(data) is not bytes:
                data = bytes(memoryview(data))
            if not data:
                continue
            if left is not None:
                data = data[:left]
                left -= len(data)
            try:
                await connection.send_event({"type": "http.response.body", "body": data, "more_body": left != 0})
            except OSError:
                connection.gone = True
                raise
            sent += len(data)
            if left == 0:
                return
            if sent > turn:
                turn = sent + _TURN
                await asyncio.sleep(0)
    finally:
        response.bytes_sent = sent
    if connection.gone:
        return
    if left:
        raise ValueError("response: the body is shorter than its Content-Length")
    await connection.pass_on({"type": "http.response.body", "body": b"", "more_body": False})


async def _end_socket(socket: _Socket, response: Any) -> None:
    """Close a WebSocket whose handler has ended, or refuse one that it did not accept."""
    response.bytes_sent = 0
    if socket.upgraded:
        await socket.close(1011 if response.status_code >= 500 else 1000)
        return
    if response is Response.already_handled:
        return  # the handler has spoken ASGI by itself: `request.sock`
    try:
        await socket.connect()
    except HTTPException:
        return
    if "websocket.http.response" in (socket.scope.get("extensions") or {}):
        body = b"".join([c.encode() if isinstance(c, str) else bytes(c) async for c in response.body_iter()])
        response.body = body
        start, _ = _start(response, socket.scope)
        await socket.send_event({**start, "type": "websocket.http.response.start"})
        await socket.send_event({"type": "websocket.http.response.body", "body": body})
        response.bytes_sent = len(body)
    else:
        await socket.close(1000)  # before it was accepted this is a 403


if TYPE_CHECKING:
    from microdot.websocket import (
        WebSocket as WebSocket,
        websocket_upgrade as websocket_upgrade,
        with_websocket as with_websocket,
    )
else:

    def __getattr__(name):
        # microdot-websocket serves every host; a program that needs none has not installed it.
        return websocket_name("microdot.asgi", name)
