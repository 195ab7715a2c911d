"""What boards do their own way: the accept loop, sockets on asyncio's poller, plain functions called in place.

`_cpython.py` offers the same names for CPython; `http.py` chooses. asyncio.Stream is not used: it holds more heap per
connection, and `asyncio.start_server` accepts without asking and dies when a callback raises.
"""

import gc
import socket
import sys
import time
from asyncio import CancelledError, core, create_task, sleep_ms as sleep_ms

from micropython import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from .server import Server

FILE_BLOCK = 1024  # bytes per read of a file or body
DRAIN_LENGTH = 2048  # bytes of an unread body that are read and dropped to keep a connection
LINGER = 2  # ticks in which a client may read an answer that it did not wait for

_READ = const(512)  # bytes per read: a browser's head in one or two

print_exception = sys.print_exception


def pick(board: "Any", server: "Any") -> "Any":
    """Return the value for a board."""
    return board


def is_text(line: bytes) -> bool:
    """Tell whether `line` has no control character but tabs (RFC 9110 5.5)."""
    # min() is a loop in C, and only a tab makes it necessary to look twice.
    return not line or (min(line) > 31 or min(line.replace(b"\t", b" ")) > 31) and b"\x7f" not in line


def reason(status_code: int) -> str:
    """Return a phrase for a status; nothing reads it (RFC 9112 4), so no table is carried."""
    return "OK" if status_code == 200 else "N/A"


def iscoroutine(obj: object) -> bool:
    """Tell whether `obj` is something that a handler returned to be awaited."""
    return hasattr(obj, "throw")


_FUNCTION = type(iscoroutine)


async def _value(result: "Any") -> "Any":
    return result


def call(function: "Callable[..., Any]", *args: "Any", **kwargs: "Any") -> "Any":
    """Call a handler in place, and return something to await."""
    result = function(*args, **kwargs)
    # The result of a plain function may be a generator that is a body, which looks like a coroutine here;
    # methods and other callables do not tell whether they are async.
    return _value(result) if type(function) is _FUNCTION or not iscoroutine(result) else result


def caller(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Return what calls `function` as `call()` does, for those who call it often."""
    return function if type(function) is type(_value) else lambda *args, **kwargs: call(function, *args, **kwargs)


def memo(function: "Any") -> "Any":
    """Return `function`: on CPython it remembers its results."""
    return function


def date() -> str:
    """Return a Date header line, empty while the clock is not set (RFC 9110 6.6.1)."""
    t = time.gmtime()
    if t[0] < 2024:
        return ""
    return "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n" % (
        "MonTueWedThuFriSatSun"[3 * t[6] : 3 * t[6] + 3],
        t[2],
        "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * t[1] - 3 : 3 * t[1]],
        t[0],
        t[3],
        t[4],
        t[5],
    )


def is_disconnection(exc: OSError) -> bool:
    """Tell whether an error only means that the client has gone, or that it does not speak TLS (negative numbers)."""
    return exc.errno in (9, 32, 54, 103, 104, 107, 110, 113, 128) or (exc.errno or 0) < 0


class Link:
    """One socket: bytes in `buffer`, bytes out by `write()`, and somebody who waits for either.

    `server.Connection` builds on it. One task reads; the sweeper of the server may end any wait by `expire()`.
    """

    buffer = b""  # received and not yet used
    eof = False  # the peer will send no more
    _out: "bytes | memoryview" = b""  # what the socket did not take yet
    _expired: "Exception | None" = None
    expires = 0
    task: "Any"
    raw: "Any"

    def __init__(self, server: "Server", sock: "Any", peer: "Any") -> None:
        self.server = server
        self.sock = sock
        self.peer = peer

    # A coroutine: here those are generators, and `await` takes either.
    def fill(self) -> "Generator[None, None, bool]":
        """Wait for more bytes in `buffer`; False at the end.

        Raises:
            HTTPException: 408 when the deadline of the phase passed.
        """
        try:
            while not self.eof:
                yield core._io_queue.queue_read(self.sock)
                if self.take_in():
                    return True
        except CancelledError:
            raise self._why()
        return False

    def _why(self) -> BaseException:
        # A task that is cancelled because a deadline passed has to see the reason instead.
        exc = self._expired or CancelledError()
        self._expired = None
        return exc

    def take_in(self) -> bool:
        """Move what has arrived into `buffer` without waiting; True when there was something."""
        try:
            data = self.sock.read(_READ)
        except OSError:  # reset, or no TLS: either way nothing more comes
            data = b""
        if data:
            self.buffer = self.buffer + data if self.buffer else data
        elif data is not None:
            self.eof = True
        return bool(data)

    def write(self, data: bytes) -> bool:
        """Send `data`; True when the caller should `await drain()` before the next. Raises OSError: the peer has gone."""
        n = 0 if self._out else self.sock.write(data) or 0
        if n < len(data):
            self._out = bytes(self._out) + memoryview(data)[n:]
        return n < len(data)

    def write_soon(self, data: bytes) -> bool:
        """Send one of many pieces: as `write()`, but always asks for `drain()`, where others get their turn.

        Raises:
            OSError: the peer has gone, or has closed its half: a stream is for somebody who listens.
        """
        if self.eof:
            raise OSError(104)
        self.write(data)
        return True

    def drain(self) -> "Generator[None, None, None]":
        """Wait until the socket has taken everything. Raises OSError: the peer has gone or takes nothing."""
        yield from sleep_ms(0)
        try:
            while self._out:
                yield core._io_queue.queue_write(self.sock)
                n = self.sock.write(self._out)
                if n:
                    self._out = memoryview(self._out)[n:]
                    self.expires = self.server.deadline(self.server.app.write_timeout)
        except CancelledError:
            raise self._why()

    def expire(self, exc: Exception) -> None:
        """End a wait whose deadline has passed: `exc` for a reader, an OSError for a writer."""
        self._expired = OSError(110) if self._out else exc
        self.task.cancel()

    def close(self) -> None:
        """Close the socket; everything was written."""
        self.eof = True
        self.sock.close()
        self.raw.close()  # under TLS the other one only ends the session
        self.server.connections.discard(self)

    def look(self) -> None:
        """While nobody reads: notice that the peer has gone."""
        if not self.eof and len(self.buffer) < _READ:
            self.take_in()


async def listen(server: "Server", link: "Any", host: str, port: int, ssl: "Any", *serving: bool) -> "Any":
    """Bind, and accept in a task, `server.accepting`; returns the listening socket."""
    if serving:
        raise ValueError("start_serving must be True")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(socket.getaddrinfo(host, port)[0][-1])
    sock.listen(16)  # who waits here holds no heap; asyncio's 5 lose a browser's burst
    sock.setblocking(False)
    server.accepting = create_task(_accept(server, link, sock, ssl))
    return sock


async def _accept(server: "Server", link: "Any", listener: "Any", ssl: "Any") -> None:
    while True:
        try:
            await _accept_one(server, link, listener, ssl)  # type: ignore[misc]  # here `await` takes generators
        except (OSError, MemoryError):  # a peer that left at once, no descriptor, no heap: later it may work
            await sleep_ms(50)


def _accept_one(server: "Server", link: "Any", listener: "Any", ssl: "Any") -> "Generator[None, None, None]":
    yield core._io_queue.queue_read(listener)
    busy = False
    while len(server.connections) >= server.app.max_connections and not busy:
        from .rare import make_room

        busy = make_room(server) is False
        yield from sleep_ms(20)  # somebody will be gone in a moment: let the newcomer wait in the backlog
    sock, peer = listener.accept()
    try:
        sock.setblocking(False)
        if busy:
            from .rare import BUSY

            yield from sleep_ms(100)
            if not ssl:
                sock.read(_READ)  # what stays unread would turn the close into a reset
                sock.write(BUSY)
            raise OSError
        raw = sock
        if ssl:
            sock = ssl.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        connection = link(server, sock, peer)
        connection.raw = raw
        connection.task = create_task(connection.run())
        server.connections.add(connection)
    except Exception:
        sock.close()
        raise


def run(main: "Any", app: "Any") -> None:
    """Run the coroutine `main` in a new loop: what an earlier run left behind is forgotten."""
    gc.collect()  # what compiling the program left would lie between what serving keeps
    core.new_event_loop()
    core.run_until_complete(create_task(main))
