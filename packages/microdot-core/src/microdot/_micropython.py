"""What boards do their own way: the accept loop, sockets on asyncio's poller, plain functions called in place.

`_cpython.py` offers the same names for CPython; `runtime.py` chooses. asyncio.Stream is not used: it holds more heap per
connection, and `asyncio.start_server` accepts without asking and dies when a callback raises.
"""

import gc
import socket
import sys
import time
from asyncio import core
from asyncio import CancelledError, create_task, sleep_ms as sleep_ms

from micropython import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from .server import Server

MAX_CONNECTIONS = const(8)
HEAD_TIMEOUT = const(10)
BODY_TIMEOUT = const(10)
WRITE_TIMEOUT = const(10)
IDLE_TIMEOUT = const(3)
STOP_TIMEOUT = const(3)
MAX_HEAD_LENGTH = const(4096)
MAX_HEADERS = const(50)
FILE_BLOCK = const(1024)
DRAIN_LENGTH = const(2048)
LINGER = const(2)
MEMO = const(False)
DISCONNECTED = [32, 54, 103, 104, 107, 110, 113, 128]

_READ = const(512)  # bytes per read: a browser's head in one or two

print_exception = sys.print_exception


def is_text(line: bytes) -> bool:
    """Tell whether `line` has no control character but tabs (RFC 9110 5.5)."""
    # min() is a loop in C; a line with tabs is rare enough to be looked at twice.
    if line and min(line) < 32:
        line = line.replace(b"\t", b" ")
        if min(line) < 32:
            return False
    return b"\x7f" not in line


def reason(status_code: int) -> str:
    """Return a phrase for a status; nothing reads it (RFC 9112 4), so no table is carried."""
    return "OK" if status_code == 200 else "N/A"


def iscoroutine(obj: object) -> bool:
    """Tell whether `obj` is something that a handler returned to be awaited."""
    return hasattr(obj, "send") and hasattr(obj, "throw")


async def _coroutine() -> None:
    pass


_FUNCTION = type(iscoroutine)
_COROUTINE_FUNCTION = type(_coroutine)


def is_async(function: "Callable[..., Any]") -> bool:
    """Tell whether calling `function` gives a coroutine."""
    return type(function) is _COROUTINE_FUNCTION


async def call(function: "Callable[..., Any]", *args: "Any", **kwargs: "Any") -> "Any":
    """Call a handler in place and await what it returns, if that is a coroutine."""
    result = function(*args, **kwargs)
    # The result of a plain function may be a generator that is a body, which looks like a coroutine here;
    # methods and other callables do not tell whether they are async.
    if type(function) is not _FUNCTION and iscoroutine(result):
        result = await result
    return result


def check_call(function: "Callable[..., Any]", count: int) -> None:
    """Functions do not tell what they take here; CPython checks it."""


def utc() -> "tuple[int, ...] | None":
    """Return the time as a tuple for `http_date()`, None while the clock is not set (RFC 9110 6.6.1)."""
    t = time.gmtime()
    return t if t[0] > 2023 else None


class Link:
    """One socket: bytes in `buffer`, bytes out by `write()`, and somebody who waits for either.

    `server.Connection` builds on it. One task reads; the sweeper of the server may end any wait by `expire()`.
    """

    buffer = b""
    eof = False
    gone = False
    streaming = False
    _out = b""  # what the socket did not take yet
    _waiter: "Any" = None  # the task that waits in fill() or drain()
    _expired: "Exception | None" = None

    def __init__(self, server: "Server", sock: "Any", peer: "Any") -> None:
        self.server = server
        self.sock = sock
        self.peer = peer

    # fill() and drain() are coroutines: here those are generators, and `await` takes either.
    def fill(self) -> "Generator[None, None, bool]":
        """Wait for more bytes in `buffer`; False at the end. Raises HTTPException(408) when the deadline passed."""
        self._waiter = core.cur_task
        try:
            while not self.eof:
                yield core._io_queue.queue_read(self.sock)
                if self.take_in():
                    return True
        except CancelledError:
            if self._expired:
                raise self._expired
            raise
        finally:
            self._waiter = None
        return False

    def take_in(self) -> bool:
        """Move what has arrived into `buffer` without waiting; True when there was something."""
        data = self.sock.read(_READ)
        if data:
            self.buffer = self.buffer + data if self.buffer else data
            return True
        if data is not None:
            self.eof = True
        return False

    def write(self, data: bytes) -> bool:
        """Send `data`; True when the caller should `await drain()` before the next. Raises OSError: the peer has gone."""
        if self._out:
            self._out = bytes(self._out) + data
            return True
        n = self.sock.write(data)
        if n == len(data):
            return False
        self._out = memoryview(data)[n or 0 :]
        return True

    def write_soon(self, data: bytes) -> bool:
        """Send one of many pieces: as `write()`, but always asks for `drain()`, where others get their turn."""
        self.write(data)
        return True

    def drain(self) -> "Generator[None, None, None]":
        """Wait until the socket has taken everything. Raises OSError: the peer has gone or takes nothing."""
        self._waiter = core.cur_task
        try:
            if not self._out:
                yield from sleep_ms(0)
            while self._out:
                yield core._io_queue.queue_write(self.sock)
                n = self.sock.write(self._out)
                if n:
                    self._out = self._out[n:]
                    self.server.writing(self)
        except CancelledError:
            if self._expired:
                raise OSError(110)
            raise
        finally:
            self._out = b""
            self._waiter = None

    def expire(self, exc: Exception) -> None:
        """End a wait whose deadline has passed: `exc` for a reader, an OSError for a writer."""
        if self._expired:  # it did not listen the first time
            self.abort()
        elif self._waiter:
            self._expired = exc
            self._waiter.cancel()

    def half_close(self) -> None:
        """Sockets have no shutdown() here: those who linger wait for the peer to close."""

    def close(self) -> None:
        """Close the socket; everything was written."""
        self.gone = True
        self.sock.close()
        self.closed()

    abort = close

    def watch(self) -> None:
        """While a body is produced: notice that the peer has gone, and end the task that produces it."""
        if not self.eof and len(self.buffer) < _READ:
            try:
                self.take_in()
            except OSError:
                self.eof = True
        if self.eof:
            self.streaming = False
            self.task.cancel()

    def info(self, name: str, default: "Any" = None) -> "Any":
        """Return the peer's address for `peername`."""
        if name != "peername":
            return default
        if isinstance(self.peer, bytes):  # the unix port gives a raw sockaddr
            address = socket.sockaddr(self.peer)
            self.peer = (".".join([str(b) for b in address[1]]), address[2])
        return self.peer


class Listener:
    """The listening socket of one server and its accept loop."""

    sockets: "Any" = None
    _task: "Any" = None

    def __init__(self, server: "Server") -> None:
        self._server = server

    async def open(self, link: "Any", host: str, port: int, ssl: "Any", start_serving: bool) -> None:
        """Bind and accept."""
        if not start_serving:
            raise ValueError("start_serving must be True")
        self.sockets = sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(socket.getaddrinfo(host, port)[0][-1])
        sock.listen(8)  # who waits here holds no heap; asyncio's 5 lose a browser's burst
        sock.setblocking(False)
        self._task = create_task(self._accept(link, ssl))

    async def _accept(self, link: "Any", ssl: "Any") -> None:
        while True:
            try:
                await self._accept_one(link, ssl)
            except (OSError, MemoryError):  # a peer that left at once, no descriptor, no heap: later it may work
                gc.collect()
                await sleep_ms(50)

    def _accept_one(self, link: "Any", ssl: "Any") -> "Generator[None, None, None]":
        server = self._server
        yield core._io_queue.queue_read(self.sockets)
        room = server.room()
        while room is None:  # somebody will be done or be gone in a moment: let the newcomer wait in the backlog
            yield from sleep_ms(20)
            room = server.room()
        sock, peer = self.sockets.accept()
        try:
            sock.setblocking(False)
            if not room:
                from .server import BUSY

                if not ssl:
                    # Read what was sent, or closing would reset the answer away.
                    yield from sleep_ms(100)
                    sock.read(_READ)
                    sock.write(BUSY)
                    yield from sleep_ms(50)
                sock.close()
                return
            if ssl:
                sock = ssl.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            connection = link(server, sock, peer)
            connection.opened()
            connection.task = create_task(connection.run())
        except Exception:
            sock.close()
            raise

    def close(self) -> None:
        """Accept no more."""
        if self._task:
            self._task.cancel()
            self._task = None
            self.sockets.close()

    def call(self, function: "Callable[[], None]") -> None:
        """Call `function`: there is one thread."""
        function()


def run(main: "Callable[[], Any]", stop: "Callable[[], None]") -> None:
    """Run the coroutine function `main` in a new loop: what an earlier run left behind is forgotten."""
    core.new_event_loop()
    core.run_until_complete(create_task(main()))


def check_install() -> None:
    """Nothing to check: a board has no installed distributions."""
