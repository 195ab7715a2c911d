"""Run an application under a WSGI server: gunicorn, waitress, mod_wsgi. CPython only.

    from microdot.wsgi import Microdot

    app = Microdot()

    @app.get("/")
    async def index(request):
        return "hello"

`gunicorn program:app` serves it; `app.run()` serves it with the server of the core, as on a board. The adapter is a host as
docs/design.md describes one.

WSGI calls from as many threads as the server has, and an application of this framework lives in one event loop: whatever it
keeps between requests, and whatever extensions keep, counts on that. So there is one loop for the process, in a thread of its
own. The server's thread hands its request over, and until the answer comes it does what may block: it reads the body, and
runs those handlers that are plain functions.
"""

import asyncio
import atexit
import contextvars
import errno
import os
import queue
import re
import ssl
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

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
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping

    Environ = dict[str, Any]

# What stays as it is in a path (RFC 3986 3.3): the server has decoded the rest.
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"
_SLASH = re.compile(b"%(2[Ff])")
# PEP 3333, "Other HTTP Features": an application must not set these (RFC 9110 7.6.1).
_HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
)
_NO_UPGRADE = "WebSockets need a server that gives its socket away (gunicorn with threads, without TLS), or an ASGI server"


# The loop of this process ------------------------------------------------------------------------------------------------


_exchange: "contextvars.ContextVar[_Exchange | None]" = contextvars.ContextVar("microdot.wsgi", default=None)
_lock = threading.Lock()
_owner = 0  # the process whose loop this is: a fork has the variables, but not the thread
_the_loop: "asyncio.AbstractEventLoop | None" = None


class _Executor(ThreadPoolExecutor):
    """The executor of the loop: what a request gives it runs in the server's thread, which waits for that request anyway."""

    def submit(self, fn: "Callable[..., Any]", /, *args: Any, **kwargs: Any) -> "Future[Any]":
        exchange = _exchange.get()
        if exchange is None or not exchange.waiting or exchange.busy:
            return super().submit(fn, *args, **kwargs)
        future: "Future[Any]" = Future()
        exchange.busy = True
        exchange.items.put((fn, args, kwargs, future))
        return future


def _event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process, which runs in a thread of its own from the first call on."""
    global _owner, _the_loop
    if _owner != os.getpid() or _the_loop is None:
        with _lock:
            if _owner != os.getpid() or _the_loop is None:
                loop = asyncio.new_event_loop()
                executor = _Executor(thread_name_prefix="microdot")
                loop.set_default_executor(executor)
                thread = threading.Thread(target=_run_loop, args=(loop,), name="microdot", daemon=True)
                thread.start()
                atexit.register(_end_loop, loop, thread)
                _owner = os.getpid()
                _the_loop = loop
    return _the_loop


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


def _end_loop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if thread.is_alive():
        loop.call_soon_threadsafe(loop.stop)
        thread.join(2)
    if not thread.is_alive():
        loop.close()


class _Exchange:
    """A request between two threads: the server's, which makes this, and the loop's, where one task serves it to its end.

    Items go from the task to the server's thread: work to do, the head of the response, chunks of it, the end.
    """

    # Looked at and changed in the loop's thread, but for `busy`, which the server's thread takes back.
    waiting = True  # the server's thread waits for items
    busy = False  # it does some work
    gone = False  # the server wants no more of the response

    last = False  # nothing follows what was sent, not even the close

    ended = False  # the task has; of the server's thread

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.items: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        self._task: "asyncio.Task[None] | None" = None
        self._resumed: "asyncio.Future[None] | None" = None
        self._closed: "asyncio.Future[None] | None" = None

    # The server's thread

    def begin(self, main: "Coroutine[Any, Any, None]") -> None:
        """Start the task, with the context variables of this thread."""
        self._loop.call_soon_threadsafe(self._begin, main)  # in a copy of the context

    def next(self) -> Any:
        """Work until the task sends something; return that, None when it has ended.

        Raises:
            BaseException: what ended it.
        """
        try:
            while True:
                item = self.items.get()
                if item is self:
                    self.ended = True
                    assert self._task is not None
                    try:
                        self._task.result()
                    except asyncio.CancelledError as exc:  # of a task that the handler awaits: no Exception, and no server expects it
                        raise RuntimeError("a task that the handler awaits was cancelled") from exc
                    return None
                if len(item) != 4:
                    return item
                fn, args, kwargs, future = item
                if future.set_running_or_notify_cancel():
                    try:
                        result = fn(*args, **kwargs)
                    except Exception as exc:
                        self.busy = False
                        future.set_exception(exc)
                    except BaseException as exc:  # SystemExit: it is the server's, too
                        future.set_exception(RuntimeError(repr(exc)))
                        raise
                    else:
                        self.busy = False
                        future.set_result(result)
                else:
                    self.busy = False
        except BaseException:
            # The task has failed, or the server interrupts this thread: a time limit, the end of the process.
            if not self.ended:
                self._loop.call_soon_threadsafe(self._give_up)
            raise

    def resume(self) -> Any:
        """Ask for the next chunk, and wait for it."""
        self._loop.call_soon_threadsafe(self._resume)
        return self.next()

    def close(self) -> None:
        """Tell the task that the server is done with the response, and wait for its end."""
        if not self.ended:
            self._loop.call_soon_threadsafe(self._close)
            while self.next() is not None:
                pass

    # The loop's thread

    def _begin(self, main: "Coroutine[Any, Any, None]") -> None:
        _exchange.set(self)
        self._task = self._loop.create_task(main)
        self._task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self.waiting = False
        self.items.put(self)

    def _resume(self) -> None:
        self.waiting = True
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    def _close(self) -> None:
        self.waiting = True
        if self._closed is not None:
            if not self._closed.done():
                self._closed.set_result(None)
        else:
            self._give_up()

    def _give_up(self) -> None:
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    async def send(self, item: "tuple[Any, ...]") -> None:
        """Give the server something, and wait until it asks for more."""
        self._resumed = self._loop.create_future()
        self.waiting = False
        self.items.put(item)
        await self._resumed

    def finish(self, item: "tuple[Any, ...]") -> None:
        """Give the server something after which nothing follows: it waits no more, not even for the end of the task."""
        self.last = True
        if self._task is not None:
            self._task.remove_done_callback(self._end)
        self.items.put(item)

    async def send_last(self, item: "tuple[Any, ...]") -> None:
        """Give the server something, and wait until it has closed the response."""
        self._closed = self._loop.create_future()
        self.waiting = False
        self.items.put(item)
        await self._closed


class _Body:
    """A response as WSGI servers want it: iterated, then closed."""

    def __init__(self, exchange: _Exchange, first: "bytes | None") -> None:
        self._exchange = exchange
        self._first = first
        self._streams = first is None

    def __iter__(self) -> "_Body":
        return self

    def __next__(self) -> bytes:
        if not self._streams:
            first, self._first = self._first, None
            if first is None:
                raise StopIteration
            return first
        item = None if self._exchange.ended else self._exchange.resume()
        if item is None:
            raise StopIteration
        chunk: bytes = item[0]
        return chunk

    def close(self) -> None:
        """End the request: the body of the response is closed, and the `done` hooks run."""
        self._exchange.close()


# Requests ----------------------------------------------------------------------------------------------------------------


class _Request(Request):
    """A request that has its environ; headers, and the streams of its socket, are made when they are asked for."""

    environ: "Environ"

    headers = Made(lambda request: _headers(request.environ))
    sock = Made(lambda request: request.connection.sock())


class _Connection:
    """The host's side of one request: its body and its address."""

    channel: "_Channel | None" = None
    upgraded = False

    def __init__(self, environ: "Environ") -> None:
        self._environ = environ

    def info(self, name: str, default: Any = None) -> Any:
        """Return `peername`: (host, port) of the client."""
        if name == "peername":
            return _client(self._environ)
        return default

    async def read(self, n: int) -> bytes:
        """Read at most `n` bytes of the body; empty at its end."""
        loop = asyncio.get_running_loop()
        try:
            data: bytes = await loop.run_in_executor(None, self._environ["wsgi.input"].read, n)
        except Exception:  # the client has gone, or its chunks are malformed; each server has exceptions of its own for that
            raise HTTPException(400, "Bad request") from None
        return data

    def _socket(self) -> Any:
        # Only gunicorn gives its socket away; TLS would need the server's own state, and a body would come first.
        socket = self._environ.get("gunicorn.socket")
        if isinstance(socket, ssl.SSLSocket) or self._environ.get("CONTENT_LENGTH") not in (None, "", "0"):
            return None
        return socket

    def sock(self) -> Any:
        """Return (reader, writer), or (None, None) when the server keeps its socket."""
        socket = self._socket()
        if socket is None:
            return None, None
        self.channel = self.channel or _Channel(socket)
        return self.channel, self.channel

    async def upgrade(self, request: Request, headers: "Mapping[str, str]") -> "_Channel":
        """Switch protocols, where the server gives its socket away."""
        socket = self._socket()
        if socket is None:
            raise HTTPException(501, _NO_UPGRADE)
        self.channel = self.channel or _Channel(socket)
        text = "HTTP/1.1 101 Switching Protocols\r\n"
        for name in headers:
            text += f"{name}: {headers[name]}\r\n"
        self.upgraded = True
        await self.channel.write((text + "\r\n").encode())
        return self.channel


class _Channel:
    """A connection in the hands of a handler; it carries bytes."""

    messages = False

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._streams: "tuple[asyncio.StreamReader, asyncio.StreamWriter] | None" = None

    async def _open(self) -> "tuple[asyncio.StreamReader, asyncio.StreamWriter]":
        if self._streams is None:
            # A duplicate: the server closes its own.
            self._streams = await asyncio.open_connection(sock=self._socket.dup())
        return self._streams

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes as they come; empty at the end."""
        return await (await self._open())[0].read(n)

    async def readexactly(self, n: int) -> bytes:
        """Read `n` bytes; fewer only at the end."""
        try:
            return await (await self._open())[0].readexactly(n)
        except asyncio.IncompleteReadError as exc:
            return exc.partial

    async def readline(self) -> bytes:
        """Read a line with its line end."""
        return await (await self._open())[0].readline()

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait while the peer takes no more.

        Raises:
            OSError: the peer has gone.
        """
        writer = (await self._open())[1]
        if writer.is_closing():
            raise BrokenPipeError(errno.EPIPE, "Connection closed")
        writer.write(data)
        await writer.drain()

    awrite = write

    async def close(self) -> None:
        """Close the connection after what was written."""
        if self._streams is not None:
            writer = self._streams[1]
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass  # the peer was faster

    aclose = close

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio's transport knows: `peername`, …"""
        return self._socket.getpeername() if name == "peername" else default


def _client(environ: "Environ") -> "tuple[str, int]":
    port = environ.get("REMOTE_PORT") or 0
    return environ.get("REMOTE_ADDR") or "", int(port)


class _Spellings(dict[str, "tuple[str, str] | None"]):
    """What the keys of an environ stand for: a header in lower case and as it is usually written, or none (None)."""

    def __missing__(self, key: str) -> "tuple[str, str] | None":
        if len(self) > 255:
            self.clear()
        name = key[5:] if key.startswith("HTTP_") else ""
        if name in ("", "CONTENT_TYPE", "CONTENT_LENGTH"):  # these two have no prefix (PEP 3333, "environ Variables")
            name = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else ""
        name = name.replace("_", "-")
        self[key] = both = (name.lower(), name.title()) if name else None
        return both


_spellings = _Spellings()


def _headers(environ: "Environ") -> NoCaseDict:
    headers = NoCaseDict()
    keymap = headers.keymap
    fields: "dict[str, str]" = {}
    for key, value in environ.items():
        both = _spellings[key]
        if both is None or not value and key[:5] != "HTTP_":
            continue
        keymap[both[0]] = both[1]
        # PEP 3333, "Unicode Issues": each character is a byte.
        fields[both[1]] = value.strip(" \t") if value.isascii() else decode(value.encode("latin-1").strip(b" \t"))
    dict.update(headers, fields)  # the names have their spelling: nothing else is to be looked up
    return headers


def _target(environ: "Environ") -> str:
    """Return path and query as the client sent them.

    Other hosts give applications the raw path, so that is taken here too where the server tells it: `%2F` is no separator.
    Elsewhere the decoded path is encoded again: `%3F` is no query anywhere.

    Raises:
        ValueError: the query is no text.
    """
    plain: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    text = str(environ.get("QUERY_STRING") or "")
    if raw == plain and raw[:1] == "/" and "%" not in raw and raw.isascii() and text.isascii():
        return f"{raw}?{text}" if text else raw
    path = plain.encode("latin-1")
    target = raw.encode("latin-1")
    # Middleware may have changed the path; then the raw one is not ours. Apache can be told to leave slashes encoded.
    if target[:1] != b"/" or unquote_to_bytes(target) != path != unquote_to_bytes(_SLASH.sub(b"%25\\1", target)):
        target = quote(path, safe=_PATH_CHARACTERS).encode() or b"/"
    query = text.encode("latin-1")
    return (target + b"?" + query if query else target).decode()


# Responses ---------------------------------------------------------------------------------------------------------------


def _whole_body(environ: "Environ") -> "bytes | None":
    """Read a body of known length that is short enough to be loaded: this is the server's thread, and may wait for it.

    None when there is none, or when it did not come whole: the request then finds that out by itself.
    """
    length = str(environ.get("CONTENT_LENGTH") or "")
    if not length.isdigit() or len(length) > 15 or not 0 < int(length) <= Request.max_content_length:
        return None
    size = int(length)
    data = b""
    try:
        while len(data) < size:
            piece: bytes = environ["wsgi.input"].read(size - len(data))
            if not piece:
                return None
            data += piece
    except OSError:
        return None
    return data


def _native(value: Any) -> str:
    """Make a native string of PEP 3333, whose characters are the bytes of UTF-8.

    Raises:
        ValueError: it would end its line (RFC 9110 5.5).
    """
    text = str(value)
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("response header: CR, LF or NUL in a value")
    return text.encode().decode("latin-1")


@lru_cache(maxsize=64)
def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"{code} N/A"


def _head(response: Response) -> "tuple[str, list[tuple[str, str]], int | None]":
    """Return status line, header list and the length of the body that follows, None when unknown.

    Raises:
        ValueError, TypeError: there is no way to send this.
    """
    code = response.status_code
    status = _status(code) if response.reason is None else _native(f"{code} {response.reason}")
    kind = plain_type(response) if type(response.body) is bytes and code >= 200 and code not in (204, 304) else None
    if kind is not None:  # without headers of its own: none are made
        size = len(response.body)
        return status, [("Content-Length", str(size)), ("Content-Type", kind.decode("latin-1"))], size
    length = body_length(response.body)
    empty = code < 200 or code in (204, 304)
    fields = []
    typed = declared = False
    for name, value in response.headers.items():
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            continue
        if lower == "content-length":
            declared = True
            continue
        if lower == "content-type":
            typed = True
            if empty:
                continue  # PEP 3333's validator forbids it
        for one in value if isinstance(value, list) else (value,):
            fields.append((name, _native(one)))
    if empty:
        return status, fields, 0
    if declared and (response.is_head or not isinstance(response.body, bytes)):
        length = int(response.headers["Content-Length"])  # bytes leave with the length that they have
    if length is not None:
        fields.append(("Content-Length", str(length)))
    if not typed:
        fields.append(("Content-Type", _native(response.content_type())))
    return status, fields, length


# The application ---------------------------------------------------------------------------------------------------------


class Microdot(Hosted):
    """An application that WSGI servers can call, from as many threads as they like.

    The `start` hooks run before the first request, the `stop` hooks when the process exits. A request has `environ`, and `sock`
    is `(None, None)` unless the server gives its socket away.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ready_in = 0  # the process in which the start hooks have run

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop in which all requests run; it runs in a thread of its own."""
        return _event_loop()

    def __call__(self, environ: "Environ", start_response: "Callable[..., Any]") -> "Iterable[bytes]":
        return self.wsgi_app(environ, start_response)

    def wsgi_app(self, environ: "Environ", start_response: "Callable[..., Any]") -> "Iterable[bytes]":
        """Serve one request of WSGI; middleware replaces this: `app.wsgi_app = Middleware(app.wsgi_app)`."""
        exchange = _Exchange(_event_loop())
        # `admit` hooks may answer before the body comes, and before the client is told to go on and send it.
        whole = None if "hooks" in self.__dict__ else _whole_body(environ)
        exchange.begin(self._serve(environ, exchange, whole))
        item = exchange.next()
        if item is None:
            # The connection was taken over, and is closed. This is how gunicorn is told to write nothing more.
            raise StopIteration
        status, fields, body = item
        try:
            start_response(status, fields)
        except BaseException:
            exchange.close()
            raise
        if exchange.last:
            return [body]
        return _Body(exchange, body)

    async def _serve(self, environ: "Environ", exchange: _Exchange, whole: "bytes | None") -> None:
        """Serve one request, in the loop; `whole` is its body when that was read already."""
        if self._ready_in != os.getpid():
            await self.get_ready()
        connection = _Connection(environ)
        request: "_Request | None" = None
        problem = None
        try:
            request = self._request(environ, _target(environ), connection)
            if whole is not None:
                request.pending = WholeBody(whole)
        except ValueError:
            problem = HTTPException(400, "Bad request")
        except HTTPException as exc:
            problem = exc
        response = None
        failure: "BaseException | None" = None
        try:
            response = await self.dispatch(request, problem)
            # After an upgrade nothing else may be written, whatever became of the handler.
            if connection.channel is not None and (connection.upgraded or response is Response.already_handled):
                await connection.channel.close()
            else:
                await self._respond(exchange, response)
        except asyncio.CancelledError as exc:
            failure = exc
            if not exchange.gone:
                raise
            failure = ConnectionResetError(errno.ECONNRESET, "The client has gone")
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if "hooks" in self.__dict__:  # made for the first one; without it there is nothing to run
                self.finish(request, response, failure)

    def _request(self, environ: "Environ", target: str, connection: _Connection) -> _Request:
        body = None
        if environ.get("CONTENT_LENGTH") not in (None, "", "0"):
            body = connection
        elif "HTTP_TRANSFER_ENCODING" in environ:
            # A server that reads chunks (RFC 9112 7.1) ends `wsgi.input` where they end; there is no length.
            if not environ.get("wsgi.input_terminated"):
                raise HTTPException(411, "Length required")
            body = connection
        # What is left out is made when it is asked for: the headers, and the address by `connection.info()`.
        version = environ.get("SERVER_PROTOCOL", "HTTP/1.1")
        request = _Request(self, None, environ["REQUEST_METHOD"], target, version, None)
        if body is not None:
            request.pending = body
        request.scheme = environ.get("wsgi.url_scheme", "http")
        request.environ = environ
        request.connection = connection
        return request

    async def _respond(self, exchange: _Exchange, response: Any) -> None:
        """Give a response to the server.

        What it leaves in `response.bytes_sent` is for `done` hooks: bytes of the body that the server has taken.

        Raises:
            Exception: what the body raised, when some of the response may be out: the server then breaks the connection.
        """
        chunks = take_body(response)
        body = response.body
        try:
            try:
                if response is Response.already_handled:
                    raise TypeError("response: already_handled, and nothing was sent: WSGI cannot do that")
                status, fields, length = _head(response)
            except Exception as exc:
                # Nothing is out yet, so the client gets an answer.
                print_exception(exc)
                failed = Response("Internal server error", 500)
                failed.is_head = response.is_head
                await self._respond(exchange, failed)
                response.status_code = 500  # `done` hooks are told what the client was
                response.bytes_sent = failed.bytes_sent
                return
            response.bytes_sent = 0
            if chunks is not None and length != 0 and not response.is_head:
                await _stream(exchange, response, (status, fields, None), chunks, length)
                return
            if response.is_head or not body or chunks is not None or not length:
                body = b""
            if "hooks" in self.__dict__:
                await exchange.send_last((status, fields, body))  # `done` hooks run when it is out
            else:
                exchange.finish((status, fields, body))
            response.bytes_sent = len(body)
        finally:
            if chunks is not None:
                await close_body(chunks)

    async def prepare(self) -> None:
        """Run the `start` hooks, in the process that serves, and see to it that the `stop` hooks run."""
        if "hooks" in self.__dict__:
            await self.begin()
            atexit.register(self._at_exit, os.getpid())
        self._ready_in = os.getpid()

    def _at_exit(self, process: int) -> None:
        if process == os.getpid():
            exchange = _Exchange(_event_loop())
            exchange.begin(self.end())
            exchange.next()

async def _stream(
    exchange: _Exchange,
    response: Any,
    head: "tuple[str, list[tuple[str, str]], None]",
    chunks: "AsyncIterator[Any]",
    length: "int | None",
) -> None:
    """Give a response to the server chunk by chunk, each when it asks for it."""
    left = length
    steps = plain_steps(chunks)
    if steps is not None and length is None:  # the threads take turns less often
        chunks = joined(steps)
    await exchange.send(head)
    async for chunk in chunks:
        if exchange.gone:
            break  # the body has caught its cancellation
        data = chunk.encode() if isinstance(chunk, str) else chunk
        if not isinstance(data, bytes):
            data = bytes(memoryview(data))
        if not data:
            continue
        if left is not None:
            data = data[:left]
            left -= len(data)
        await exchange.send((data,))
        response.bytes_sent += len(data)
        if left == 0:
            return
    if exchange.gone:
        raise asyncio.CancelledError
    if left:
        raise ValueError("response: the body is shorter than its Content-Length")


if TYPE_CHECKING:
    from microdot.websocket import (
        WebSocket as WebSocket,
        websocket_upgrade as websocket_upgrade,
        with_websocket as with_websocket,
    )
else:

    def __getattr__(name):
        # microdot-websocket serves every host; a program that needs none has not installed it.
        return websocket_name("microdot.wsgi", name)
