"""What CPython does its own way: sockets by asyncio's protocols, threads for plain functions, clocks, tracebacks.

`_micropython.py` offers the same names for boards; `http.py` chooses.
"""

import asyncio
import errno
import inspect
import os
import re
import sys
import traceback
import warnings
from contextvars import copy_context
from functools import lru_cache, partial
from http import HTTPStatus
from importlib import import_module
from time import monotonic
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from .app import Microdot
    from .http import Request, Response
    from .bodies import BodyIterator
    from .server import Connection, Server

T = TypeVar("T")

seldom: "set[str]" = set()  # of use on boards

SERVER = True
_SETTINGS = {
    "Microdot": {
        "max_connections": 512,
        "head_timeout": 20,
        "body_timeout": 30,
        "write_timeout": 30,
        "idle_timeout": 5,
        "stop_timeout": 10,
    },
    "Server": {"refused": 0},
    "Request": {"max_head_length": 16384, "max_headers": 100},
    "Response": {"send_file_buffer_size": 65536},
}

# Received bytes that may wait for somebody to read them, and chunks of a stream that wait for one common write.
# What is left of the buffer is copied with every request and every block of an upload: it has to be small.
_READ_AHEAD = 16384
_READ = 32768
_READ_LONG = 131072  # while a long body comes
_PART = 4096
_SURPLUS = 64  # connections above `max_connections` while others are about to go
_LINGERING = 64  # refused ones that get a second to read why
_PROGRESS = 1024  # bytes that a slow client has to take within `write_timeout` to get that once more
_WRITE_TOGETHER = 16384
_PAUSE = 0.02  # seconds: who makes a body's chunks slower than this wants each to leave
_COPIED = 65536  # bytes of a body that are copied behind their head
_SENDFILE = 1048576  # bytes of a file that are copied in one go: others wait meanwhile

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_COROUTINE = inspect.CO_COROUTINE
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def const(value: T) -> T:
    """Return `value`: on a board the compiler folds it instead."""
    return value


def tune(names: "dict[str, Any]") -> None:
    """Give the classes that a module defines a server's settings in place of a board's, and its parser a memory."""
    own = [name for name in names if getattr(names[name], "__module__", None) == names["__name__"]]  # others only import them
    for name in _SETTINGS:
        if name in own:
            for setting, value in _SETTINGS[name].items():
                setattr(names[name], setting, value)
    if "Microdot" in own:
        for name in _METHODS.split():
            if not hasattr(names["Microdot"], name):
                setattr(names["Microdot"], name, _method(name))
        names["Microdot"].__init_subclass__ = classmethod(_with_own_dispatch)
        names["Microdot"].find = find
        names["__getattr__"] = _app_attribute
        names["Microdot"]._index = 0, {}, {}
        import_module("microdot._quick")  # which puts itself in the place of what boards have
    if "Request" in own:
        # Clients repeat their heads, with every request on a connection and from one connection to the next.
        names["parse_head"] = lru_cache(maxsize=256)(names["parse_head"])
        if not hasattr(names["Request"], "G"):
            names["Request"].G = G
        for name in ("set_cookie", "delete_cookie", "complete", "write", "body_iter"):
            if not hasattr(names["Response"], name):  # the documentation has them declared
                setattr(names["Response"], name, _response_method(name))
    if "Server" in own:
        for f in (close, wait_closed, is_serving):
            setattr(names["Server"], f.__name__, f)
        names["Server"].sockets = property(lambda server: server.socket.sockets if server.socket else ())
        names["Connection"].respond = _with_memory(names["Connection"].respond, names["Response"].already_handled)


class G:
    """Attributes that a program keeps with a request."""


# Found by `Microdot.__getattr__` on a board; here they are methods of the class too, so that a subclass can extend them.
_METHODS = (
    "put patch delete query before_request after_request after_error_request errorhandler on install mount url_for finish "
    "begin end dispatch_request shutdown"
)


def _method(name: str) -> "Callable[..., Any]":
    def method(self: "Microdot", *args: Any, **kwargs: Any) -> Any:
        return _late("methods", "attribute")(self, name)(*args, **kwargs)

    method.__name__ = name
    return method


def _app_attribute(name: str) -> "Any":
    """Find `microdot.app.Route`: that module only declares it, because few applications of a board ever have one."""
    if name == "Route":
        return _late("pipeline", name)
    raise AttributeError(f"module 'microdot.app' has no attribute {name!r}")


def _index(app: "Microdot") -> "tuple[int, dict[str, list[int]], dict[str, list[int]]]":
    """Look through the table of an application.

    Returns:
        its length; the places of routes by their path; and those of routes with parameters by the literal beginning of
        their pattern. In the latter is every beginning of a beginning, too, so that a search can end early.
    """
    table = app._table
    static: dict[str, list[int]] = {}
    dynamic: dict[str, list[int]] = {}
    for i in range(0, len(table), 4):
        if isinstance(table[i], str):
            static.setdefault(table[i], []).append(i)
        else:
            pattern, start = table[i][:2]
            end = 1
            while end < start:
                dynamic.setdefault(pattern[:end], [])
                end = pattern.find("/", end) + 1
            dynamic.setdefault(pattern[:start] or "/", []).append(i)  # a path begins with a slash, whatever a pattern does
    return len(table), static, dynamic


def find(app: "Microdot", path: str, method: str) -> "tuple[Any, Any, dict[str, Any]] | None":
    """Do what `Microdot.find()` says, with an index: servers may have many routes."""
    table = app._table
    length, static, dynamic = app._index
    if length != len(table):
        length, static, dynamic = app._index = _index(app)  # type: ignore[attr-defined]
    found = None
    args: dict[str, Any] = {}
    for i in static.get(path, ()):
        if method in table[i + 1]:
            found = i
            break
    if dynamic:
        match = _late("segments", "match")
        end = 1
        while end:
            places = dynamic.get(path[:end])
            if places is None:
                break
            for i in places:
                if found is not None and found < i:
                    break
                if method in table[i + 1]:
                    values = match(table[i], path)
                    if values is not None:
                        found = i
                        args = values
                        break
            end = path.find("/", end) + 1
    return None if found is None else (table[found + 2], table[found + 3], args)


@lru_cache(maxsize=None)
def _late(module: str, name: str) -> "Any":
    """Do what `from .module import name` does.

    For what is called with every request: until CPython 3.12 that statement costs a microsecond each time.
    """
    return getattr(import_module("microdot." + module), name)


def _response_method(name: str) -> "Callable[..., Any]":
    def method(self: "Response", *args: Any, **kwargs: Any) -> Any:
        return _late("replies", "METHODS")[name](self, *args, **kwargs)

    method.__name__ = name
    return method


def _with_own_dispatch(cls: "type[Any]", /, **kwargs: Any) -> None:
    """Let hosts call the `dispatch_request()` of a subclass: programs written for Microdot put their own work around it."""
    from microdot.app import Microdot

    super(Microdot, cls).__init_subclass__(**kwargs)
    if cls.dispatch_request is Microdot.dispatch_request or cls.dispatch is not Microdot.dispatch:
        return

    async def dispatch(self: "Microdot", request: "Request | None", exc: "Exception | None" = None) -> "Response":
        if request is None:
            return await Microdot.dispatch(self, None, exc)
        request._extras = True  # who wraps it is to see the whole of a WebSocket
        try:
            response: "Response" = _late("http", "make_response")(await self.dispatch_request(request))
            response.is_head = request.method == "HEAD"
            return response
        except Exception as problem:
            return await _late("errors", "fail")(self, request, problem)  # type: ignore[no-any-return]

    cls.dispatch = dispatch


def _with_memory(respond: "Callable[..., Awaitable[bool]]", handled: "Response") -> "Callable[..., Awaitable[bool]]":
    """Return a `Connection.respond()` that writes plain answers the short way.

    Plain: bytes, whose length is the Content-Length, on a connection that is kept. The head of those that have no headers
    of their own is kept up to the value of Content-Length for a second.

    Args:
        respond: the one that can write any response.
        handled: the response that is not written.
    """
    heads: "dict[tuple[int, str, str], bytes]" = {}
    plain = type(handled)  # a class of the program's may have a head() of its own

    async def respond_fast(connection: "Connection", response: "Response", minor: int, keep: bool) -> bool:
        body = response.body
        status = response.status_code
        if (
            type(body) is not bytes
            or not (keep and minor)
            or response.is_head
            or status < 200
            or status == 204
            or status == 304
            or len(body) > _COPIED
            or response is handled
            or connection.upgraded
        ):
            return await respond(connection, response, minor, keep)
        date = connection.server.date
        headers = response._headers
        if headers is None and response.reason is None and type(response) is plain:
            key = status, response._type or response.default_content_type, date
            head = heads.get(key)
            if head is None:
                if len(heads) > 15:  # another second, and other types
                    heads.clear()
                head = heads[key] = response.head(1, date + "Content-Length: ")[:-2]
            data = b"".join((head, b"%d\r\n\r\n" % len(body), body))
        else:
            if headers is not None and not _FRAMING.isdisjoint(headers.keymap):
                return await respond(connection, response, minor, keep)
            try:
                data = response.head(1, "%sContent-Length: %d\r\n" % (date, len(body)), body)
            except Exception:  # it says so, and answers 500
                return await respond(connection, response, minor, keep)
        connection.begun = True
        if connection.write(data):
            await connection.flush()
        return True

    return respond_fast


# Header fields by which a program has a say about the framing, in lower case.
_FRAMING = frozenset(("content-length", "transfer-encoding", "connection"))


def collect() -> None:
    """Nothing to do: heaps of servers are not that small."""


def is_plain(line: bytes) -> bool:
    """Tell whether `line` has no control character but tabs (RFC 9110 5.5)."""
    return _CONTROL(line) is None


def print_exception(exc: BaseException) -> None:
    """Print the traceback of `exc` to stderr."""
    traceback.print_exception(type(exc), exc, exc.__traceback__)


def iscoroutine(obj: object) -> bool:
    """Tell whether `obj` is something that a handler returned to be awaited."""
    return inspect.iscoroutine(obj)


def check_hook(hook: str, function: "Callable[..., Any]", count: int, plain: bool) -> None:
    """Raise TypeError when `function` does not fit a hook.

    Args:
        hook: its name, for the message.
        function: the function.
        count: with how many positional arguments it is called.
        plain: whether nothing awaits its result.
    """
    if plain and is_async(function):
        raise TypeError("hook %s: give a plain function, nothing awaits it" % hook)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions do not tell
        return
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        raise TypeError("hook %s: it is called with %d positional arguments" % (hook, count)) from None


def is_async(function: "Callable[..., Any]") -> bool:
    """Tell whether calling `function` gives a coroutine."""
    if type(function) is FunctionType:  # asked for every hook of every request
        return function.__code__.co_flags & _COROUTINE != 0
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


def _in_thread(function: "Callable[..., Any]", *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as exc:  # a future cannot hold it: the request would wait for ever
        raise RuntimeError("the handler raised StopIteration") from exc


def call(function: "Callable[..., Any]", *args: Any, **kwargs: Any) -> "Awaitable[Any]":
    """Call a handler and return something to await: a plain function runs in a thread, so that it may block.

    It sees the context variables of the caller.
    """
    return function(*args, **kwargs) if is_async(function) else _call_in_thread(function, *args, **kwargs)


def caller(function: "Callable[..., Any]") -> "Callable[..., Awaitable[Any]]":
    """Return what calls `function` as `call()` does, for those who call it often."""
    return function if is_async(function) else partial(_call_in_thread, function)


async def _call_in_thread(function: "Callable[..., Any]", *args: Any, **kwargs: Any) -> Any:
    run = partial(copy_context().run, _in_thread, function, *args, **kwargs)
    result = await asyncio.get_running_loop().run_in_executor(None, run)
    if inspect.iscoroutine(result):  # a lambda or partial around a coroutine function
        result = await result
    return result


# Errors that only mean that the client has gone. 54 and 128 are reset and "not connected" on other systems; 10053 and
# 10054 Windows' abort and reset.
GONE = {54, 128, 10053, 10054, errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ETIMEDOUT}


try:
    from fcntl import ioctl
    from termios import TIOCOUTQ

    def queued(fd: int) -> int:
        """Return how many bytes a socket has that the peer has not acknowledged."""
        return int.from_bytes(ioctl(fd, TIOCOUTQ, bytes(4)), sys.byteorder)
except ImportError:  # Windows

    def queued(fd: int) -> int:
        """Return nothing: it is not told here."""
        return 0


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _full(server: "Server") -> bool:
    count = len(server.connections)
    if count < server.app.max_connections:
        return False
    from .room import make_room

    room = make_room(server)  # also when this one is refused: the next one finds a place
    return count >= server.app.max_connections + _SURPLUS or room is False


class Link(asyncio.Protocol):
    """One socket: bytes in `buffer`, bytes out by `write()`, and somebody who waits for either.

    `server.Connection` builds on it. One task reads; the sweeper of the server may end any wait by `expire()`.
    """

    buffer = b""  # received and not yet used
    eof = False  # the peer will send no more
    gone = False  # the socket is closed
    blocked = False  # the peer does not take what we write
    task: "asyncio.Task[Any]"
    server: "Server"
    transport: asyncio.Transport
    expires = 0
    since = 0
    _reader: "asyncio.Future[bool] | None" = None
    _writer: "asyncio.Future[None] | None" = None
    _read_paused = False
    _chunks: "list[bytes] | None" = None
    _chunks_length = 0
    _last = 0.0  # when a chunk was written
    _paced = False  # the one before came after a pause
    _copying = False  # the system copies a file
    _closed = False  # by us; the socket may still have to send
    _unsent = 0  # bytes that the socket had not taken when a wait for it began

    async def run(self) -> None:
        """Serve the connection; `server.Connection` has it."""
        raise NotImplementedError

    def __init__(self, server: "Server") -> None:
        self.server = server
        if server.ssl:
            _await_handshake(server, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.server.handshakes.pop(self, None)
        self.loop = asyncio.get_running_loop()
        self.read_size()
        server = self.server
        # A newcomer takes the place of one that is about to go, but a flood of them does not get far.
        if server.stopping or _full(server):
            self._refuse()
            return
        server.connections.add(self)  # type: ignore[arg-type]
        self.task = self.loop.create_task(self.run())

    def _refuse(self) -> None:
        # A client that is still sending would lose the answer to a reset: say it, then give it a moment to read.
        from .room import BUSY

        self.server.refused += 1
        # A flood of them must not use up the file descriptors.
        self.loop.call_later(1 if self.server.refused < _LINGERING else 0, self._end_refused)
        self.transport.write(BUSY)
        try:
            if self.transport.can_write_eof():
                self.transport.write_eof()
        except OSError:
            pass  # it has gone already

    def _end_refused(self) -> None:
        self.server.refused -= 1
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        self.buffer = data
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(True)  # who takes it in the loop's next turn
        elif len(data) > _READ_AHEAD and not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.eof = True
        self._wake()
        return self.transport.get_extra_info("sslcontext") is None  # a half-closed client still wants its answer

    def connection_lost(self, exc: "Exception | None") -> None:
        self.eof = self.gone = True
        if self._closed:
            self.server.connections.discard(self)
        self._wake()
        writer = self._writer
        if writer is not None and not writer.done():
            writer.set_exception(ConnectionResetError(errno.ECONNRESET, "Connection lost"))

    def _wake(self) -> None:
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(False)

    def pause_writing(self) -> None:
        self.blocked = True

    def resume_writing(self) -> None:
        self.blocked = False
        writer = self._writer
        if writer is not None and not writer.done():
            writer.set_result(None)

    def fill(self) -> "Awaitable[bool]":
        """Wait for more bytes in `buffer`; False at the end.

        Raises:
            HTTPException: 408 when the deadline of the phase passed.
        """
        # A future of its own instead of a coroutine: this is awaited once per request.
        self._reader = reader = self.loop.create_future()
        if self.eof:
            reader.set_result(False)
        elif self._read_paused:
            self._read_paused = False
            self.transport.resume_reading()
        return reader

    def read_size(self, n: int = _READ) -> None:
        """Have the socket give up to `n` bytes at once, within limits; other event loops decide that by themselves."""
        if hasattr(self.transport, "max_size"):
            self.transport.max_size = min(max(n, _READ), _READ_LONG)

    async def read_long(self, length: int) -> bytes:
        """Return the body of a request, which is longer than what there is of it.

        Args:
            length: its length in bytes.

        Raises:
            HTTPException: 400 when it ends early, 408 when it stalls.
        """
        wait = _late("body", "wait")
        parts = [self.buffer]
        missing = length - len(self.buffer)
        self.read_size(missing)
        try:
            self.buffer = b""
            while missing > 0:
                await wait(self)
                if len(parts[-1]) < _PART:  # a piece may be as small as a byte, and an object is not
                    parts[-1] += self.buffer
                else:
                    parts.append(self.buffer)
                missing -= len(self.buffer)
                self.buffer = b""
        finally:
            self.read_size()
        if missing < 0:  # the beginning of the next request
            self.buffer = parts[-1][missing:]
            parts[-1] = parts[-1][:missing]
        return b"".join(parts)

    def write(self, data: bytes) -> bool:
        """Send `data`; True when the caller should `await flush()` before the next.

        Raises:
            OSError: the peer has gone.
        """
        # A reset is told in the loop's next turn. Until then the transport takes everything, and who writes would never wait.
        if self.gone or self.transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "Connection lost")
        if self._chunks:
            self._flush()
        self.transport.write(data)
        return self.blocked

    def write_soon(self, data: bytes) -> bool:
        """Send `data` together with what else is written in this turn of the loop; True as for `write()`.

        Many small chunks then leave in one packet, and none later than the loop would have slept; or a plain generator that
        waits between its chunks, as `time.sleep()` does, would have gone on.

        Raises:
            OSError: the peer has gone, or has closed its half: a stream without a length is for somebody who listens.
        """
        if self.eof and self.watch:  # type: ignore[attr-defined]  # of the connection
            raise ConnectionResetError(errno.ECONNRESET, "Connection lost")
        now = monotonic()
        pause = now - self._last > _PAUSE
        self._last = now
        if self._chunks is None:
            self._chunks = [data]
            self._chunks_length = len(data)
            self.loop.call_soon(self._flush)
            alone = pause and self._paced
        else:
            self._chunks.append(data)
            self._chunks_length += len(data)
            alone = pause
        if alone or self._chunks_length > _WRITE_TOGETHER:
            self._paced = pause
            self._flush()
            return True  # also lets others run, when the chunks come without a pause
        return self.blocked

    def _flush(self) -> None:
        if self._chunks is not None and not self.gone:
            self.transport.write(b"".join(self._chunks))
        self._chunks = None

    async def flush(self) -> None:
        """Wait until the peer has taken enough.

        Raises:
            OSError: the peer has gone, or took nothing for `write_timeout` seconds.
        """
        self._flush()
        if not self.blocked:
            await asyncio.sleep(0)
            return
        self.expires = self.server.deadline(self.server.app.write_timeout)
        self._unsent = self._count_unsent()
        self._writer = self.loop.create_future()
        await self._writer
        self.expires = 0

    async def send_file(self, chunks: "BodyIterator", length: int) -> bool:
        """Let the system copy a file to the socket where that pays; False when nothing was sent.

        Raises:
            OSError: the peer has gone, or took nothing for `write_timeout` seconds.
            ValueError: the file has become shorter.
        """
        file = chunks.file()
        if file is None or length < 2 * _READ or not hasattr(os, "sendfile"):
            return False
        transport = self.transport
        if transport.get_extra_info("sslcontext") is not None:  # what the system copies is not encrypted
            return False
        try:
            source = file.fileno()
            begin = start = file.tell()
        except (AttributeError, OSError):
            return False
        # What was written before goes before.
        self._flush()
        if transport.get_write_buffer_size():
            transport.set_write_buffer_limits(0)
            try:
                await self.flush()
            finally:
                transport.set_write_buffer_limits()
        if self.gone:
            raise ConnectionResetError(errno.ECONNRESET, "Connection lost")
        end = start + length
        target = transport.get_extra_info("socket").fileno()
        try:
            while start < end:
                try:
                    sent = os.sendfile(target, source, start, min(end - start, _SENDFILE))
                except BlockingIOError:
                    await self._writable(target)
                    continue
                except OSError as exc:
                    if start == begin and exc.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                        return False  # a file system that cannot
                    raise
                if not sent:
                    raise ValueError("response: the file has become shorter")
                start += sent
                if start < end:
                    await asyncio.sleep(0)  # others get their turn when the peer is fast
                    if self.gone:
                        raise ConnectionResetError(errno.ECONNRESET, "Connection lost")
        finally:
            file.seek(start)
        return True

    async def _writable(self, target: int) -> None:
        self._writer = writer = self.loop.create_future()
        # A descriptor of its own, because the loop lets nobody else wait for that of a transport.
        target = os.dup(target)
        self.loop.add_writer(target, _done, writer)
        self.expires = self.server.deadline(self.server.app.write_timeout)
        self._unsent = self._count_unsent()
        self._copying = True
        try:
            await writer
        finally:
            self.expires = 0
            self._copying = False
            self.loop.remove_writer(target)
            os.close(target)

    def _count_unsent(self) -> int:
        try:
            count = self.transport.get_write_buffer_size()
        except AttributeError:  # CPython 3.10: a TLS transport whose socket was reset
            return 0
        try:
            # What the system holds: it wakes us only when a third of that has gone, and a slow client may need minutes for it.
            return count + queued(self.transport.get_extra_info("socket").fileno())
        except (AttributeError, OSError, ValueError):
            return count

    def expire(self, exc: Exception) -> None:
        """End a wait whose deadline has passed: `exc` for a reader, an abort for a writer that made no progress."""
        if self._copying or self.blocked or self.transport.is_closing():
            unsent = self._count_unsent()
            if unsent <= self._unsent - _PROGRESS:
                self._unsent = unsent
                self.expires = self.server.deadline(self.server.app.write_timeout)
            else:
                self.transport.abort()
        elif self._reader is not None and not self._reader.done():
            self._reader.set_exception(exc)

    def half_close(self) -> None:
        """Tell the peer that no more will come, and go on reading."""
        self._flush()
        if not self.gone and self.transport.can_write_eof():
            self.transport.write_eof()

    def close(self) -> None:
        """Send what is left, then close; the sweeper aborts it when the peer does not take that."""
        self._flush()
        self._closed = True
        self.since = 0
        if self.gone:
            self.server.connections.discard(self)
            self.transport.close()  # CPython 3.10 takes a TLS transport for open until it is told
            return
        self._unsent = self._count_unsent()
        self.expires = self.server.deadline(self.server.app.write_timeout)
        self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def info(self, name: str) -> Any:
        """Ask the transport for `peername`, `sslcontext`, …"""
        return self.transport.get_extra_info(name)


def _await_handshake(server: "Server", link: Link) -> None:
    """Count a connection that asyncio has accepted and that is about to shake hands; too many, and the oldest one ends."""
    # They have descriptors, too, and nobody else counts them: a client needs to send nothing to begin a handshake.
    task = asyncio.current_task()
    if task is None:  # not asyncio's own loop on a system with sockets that can be polled
        return
    waiting = server.handshakes
    waiting[link] = task
    task.add_done_callback(lambda task: waiting.pop(link, None))
    if len(waiting) > server.app.max_connections // 4 + 8:
        oldest = next(iter(waiting))
        waiting.pop(oldest).cancel()


def write_soon(link: Link, data: bytes) -> bool:
    """Send `data` together with what else is written in this turn of the loop; see `Link.write_soon()`."""
    return link.write_soon(data)


def no_delay(link: Link) -> None:
    """Nothing to do: asyncio has set it."""


def look(link: Link) -> None:
    """Nothing to do: the loop tells when the peer goes."""


async def listen(server: "Server", host: str, port: int, start_serving: bool) -> asyncio.Server:
    """Bind and, with `start_serving`, accept."""
    from .server import Connection

    _check_install()
    _check_patterns(server.app)
    # The C library gives free memory back to the system above twice the largest block that it has seen freed. To get it again
    # costs more than to copy what is in it, so let it keep 4 MB: pieces of a few uploads.
    bytes(16 * _READ_LONG)
    loop = asyncio.get_running_loop()
    server.loop = loop
    server.handshakes = {}
    options: "dict[str, Any]" = {}
    if server.ssl:  # a connection is counted when its handshake is done; asyncio would wait a minute for that
        options["ssl_handshake_timeout"] = server.app.head_timeout or None
    # As many as are accepted in one turn of the loop, and as many complaints when there are no descriptors left.
    # Two steps: a task that is cancelled within one would lose a socket that listens.
    server.socket = listening = await loop.create_server(
        lambda: Connection(server), host, port, ssl=server.ssl, backlog=128, start_serving=False, **options
    )
    if start_serving:
        await listening.start_serving()
    return listening


async def sleep_ms(milliseconds: int) -> None:
    """Sleep."""
    await asyncio.sleep(milliseconds / 1000)


def run(main: "Coroutine[Any, Any, Any]", app: "Microdot") -> None:
    """Run the coroutine `main` in a new loop; SIGTERM shuts `app` down where the system allows it.

    Raises:
        RuntimeError: there is a loop already.
    """
    if asyncio._get_running_loop() is not None:
        main.close()
        raise RuntimeError("app.run() starts an event loop of its own: in a coroutine await app.start_server()")

    interrupted = False

    async def body() -> None:
        import signal

        task = asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGTERM, app.shutdown)
            if sys.version_info < (3, 11):  # later ones do this by themselves: running requests are to finish
                loop.add_signal_handler(signal.SIGINT, interrupt)
        except (NotImplementedError, RuntimeError, ValueError):
            pass  # Windows, or not the main thread
        await main

    try:
        asyncio.run(body())
    except asyncio.CancelledError:
        if not interrupted:
            raise
        raise KeyboardInterrupt from None


_tasks: "set[asyncio.Task[Any]]" = set()


# `Microdot.server` is an `asyncio.Server` to programs that were written for Microdot.


def close(server: "Server") -> None:
    """Stop serving: running requests finish."""
    from .stop import stop

    stop(server)


async def wait_closed(server: "Server") -> None:
    """Wait until it has ended."""
    while server in server.app._servers:
        await asyncio.sleep(0.05)


def is_serving(server: "Server") -> bool:
    """Tell whether it accepts connections."""
    return bool(server.socket) and server.socket.is_serving()


def in_background(server: "Server") -> asyncio.Server:
    """Keep the deadlines of `server` in a task, and return its listening sockets."""

    async def serve() -> None:
        from .stop import end

        try:
            while not server.stopping:
                await asyncio.sleep(0.25)
                server.sweep()
        finally:
            await end(server)

    task = asyncio.get_running_loop().create_task(serve())
    _tasks.add(task)  # the loop itself keeps only weak references
    task.add_done_callback(_tasks.discard)
    sockets: asyncio.Server = server.socket
    return sockets


def _check_patterns(app: "Microdot") -> None:
    """Warn about routes that cannot be matched: else each request that comes as far would be answered 500."""
    from .patterns import URLPattern

    for pattern in app._table[::4]:
        if isinstance(pattern, tuple):
            try:
                URLPattern(pattern[0]).compile()
            except (ValueError, re.error) as exc:
                warnings.warn(f"route {pattern[0]}: {exc}", stacklevel=2)


def _check_install() -> None:
    try:
        from ._conflict import warn_if_shadowed
    except ImportError:
        return
    warn_if_shadowed()
