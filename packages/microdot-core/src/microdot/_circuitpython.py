# mypy: disable-error-code="attr-defined"
"""What CircuitPython does its own way: the sockets of a `socketpool`, coroutines that are no generators.

Bundles for CircuitPython hold this file in place of `_micropython.py`, whose names it offers (tools/bundle.py); no other
board gets it. It needs the libraries `asyncio` and `adafruit_ticks`. What is said here of sockets was read in the sources of
CircuitPython's ports for Espressif and RP2040, and docs/circuitpython.md lists it.
"""

import hashlib
from asyncio import CancelledError, core, create_task, sleep_ms as sleep_ms
from gc import collect as collect
from traceback import print_exception as print_exception

from micropython import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .server import Server

SERVER = False
REASONS = {200: b"OK"}  # nothing reads the phrase of a status (RFC 9112 4), so no table is carried
# Errors that only mean that the client has gone.
GONE = (9, 32, 54, 103, 104, 107, 110, 113, 116, 128)
# Modules that were loaded for something that seldom happens: `_micropython.py` lets go of them.
seldom: "set[str]" = set()

_READ = const(512)  # bytes per read: a browser's head in one or two
_PAUSE = const(25)  # milliseconds between two looks for a new connection

# Sockets have recv_into() only. One buffer serves all: nobody else runs before its bytes are copied.
_received = bytearray(_READ)

_pools: "list[Any]" = []  # that of the radio, when it has been asked for


def is_plain(line: bytes) -> bool:
    """Tell whether `line`, which is not empty, has no control character; tabs are for `rare.py` to allow."""
    return min(line) > 31 and b"\x7f" not in line


def iscoroutine(obj: object) -> bool:
    """Tell whether `obj` is something that a handler returned to be awaited."""
    try:
        # Generators have the other methods of coroutines, and refuse this one.
        obj.__await__()
    except AttributeError:
        return False
    return True


async def _value(result: "Any") -> "Any":
    return result


def call(function: "Callable[..., Any]", *args: "Any", **kwargs: "Any") -> "Any":
    """Call a handler in place, and return something to await."""
    result = function(*args, **kwargs)
    return result if iscoroutine(result) else _value(result)


def caller(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Return what calls `function` as `call()` does, for those who call it often."""
    return lambda *args, **kwargs: call(function, *args, **kwargs)


def leave() -> None:
    """Nothing: its task queue, which is Python, knows only who is in it."""


def sha1(data: bytes = b"") -> "Any":
    """Return a SHA-1 hash object: CircuitPython's hashlib has only `new()`."""
    return hashlib.new("sha1", data)


def sha256(data: bytes = b"") -> "Any":
    """Return a SHA-256 hash object: CircuitPython's hashlib has only `new()`."""
    return hashlib.new("sha256", data)


def _is_again(exc: Exception) -> bool:
    # EAGAIN; and ETIMEDOUT, which pools say that take the timeout 0 for a very short one.
    return bool(exc.args) and exc.args[0] in (11, 110, 116)


class Link:
    """One socket: bytes in `buffer`, bytes out by `write()`, and somebody who waits for either.

    `server.Connection` builds on it. One task reads; the sweeper of the server may end any wait by `expire()`.
    """

    buffer = b""  # received and not yet used
    eof = False  # the peer will send no more
    out: "bytes | memoryview" = b""  # what the socket did not take yet
    expired: "Exception | None" = None
    expires = 0
    task: "Any"

    def __init__(self, server: "Server", sock: "Any", peer: "Any") -> None:
        self.server = server
        self.sock = sock
        self.peer = peer

    async def fill(self) -> bool:
        """Wait for more bytes in `buffer`; False at the end.

        Raises:
            HTTPException: 408 when the deadline of the phase passed.
        """
        try:
            while not self.eof:
                await core._io_queue.queue_read(self.sock)
                if self.take_in():
                    return True
                if not self.eof:  # the poller said that there is something, and there was not: no busy loop
                    await sleep_ms(_PAUSE)
        except CancelledError:
            raise self._why()
        return False

    def _why(self) -> BaseException:
        # A task that is cancelled because a deadline passed has to see the reason instead.
        exc = self.expired or CancelledError()
        self.expired = None
        return exc

    def take_in(self) -> bool:
        """Move what has arrived into `buffer` without waiting; True when there was something."""
        try:
            n = self.sock.recv_into(_received)
        except OSError as exc:
            if _is_again(exc):
                return False
            n = 0  # reset; and ENOTCONN, by which Espressif's sockets say what others say by 0
        if n:
            data = bytes(memoryview(_received)[:n])
            self.buffer = self.buffer + data if self.buffer else data
        else:
            self.eof = True
        return bool(n)

    def write(self, data: bytes) -> bool:
        """Send `data`; True when the caller should `await flush()` before the next. Raises OSError: the peer has gone."""
        n = 0 if self.out else self._send(data)
        if n < len(data):
            rest = memoryview(data)[n:]
            self.out = bytes(self.out) + rest if self.out else rest
        return n < len(data)

    def _send(self, data: "bytes | memoryview") -> int:
        try:
            return self.sock.send(data)  # type: ignore[no-any-return]
        except OSError as exc:
            if _is_again(exc):
                return 0
            raise

    async def flush(self) -> None:
        """Wait until the socket has taken everything. Raises OSError: the peer has gone or takes nothing."""
        self.expires = self.server.deadline(self.server.app.write_timeout)
        await sleep_ms(0)
        try:
            while self.out:
                await core._io_queue.queue_write(self.sock)
                n = self._send(self.out)
                if n:
                    self.out = memoryview(self.out)[n:]
                    self.expires = self.server.deadline(self.server.app.write_timeout)
                else:
                    await sleep_ms(_PAUSE)
        except CancelledError:
            raise self._why()
        self.expires = 0

    def expire(self, exc: Exception) -> None:
        """End a wait whose deadline has passed: `exc` for a reader, an OSError for a writer."""
        self.expired = OSError(110) if self.out else exc
        self.task.cancel()

    def close(self) -> None:
        """Close the socket; everything was written."""
        self.eof = True
        self.sock.close()
        self.server.connections.discard(self)


def write_soon(link: "Link", data: bytes) -> bool:
    """Send one of many pieces: as `write()`, but always asks for `flush()`, where others get their turn.

    Raises:
        OSError: the peer has gone, or has closed its half: a stream without a length is for somebody who listens.
    """
    if link.eof and link.watch:
        raise OSError(104)
    link.write(data)
    return True


def no_delay(link: "Link") -> None:
    """Nothing to do: pools that know the option at all do not tell its number."""


def look(link: "Link") -> None:
    """While nobody reads: notice that the peer has gone."""
    if not link.eof and len(link.buffer) < _READ:
        link.take_in()


def own_pool() -> "Any":
    """Return the pool of the board's own radio, made once: there can be only one."""
    if not _pools:
        import socketpool  # type: ignore[import-not-found]
        import wifi  # type: ignore[import-not-found]

        _pools.append(socketpool.SocketPool(wifi.radio))
    return _pools[0]


async def listen(server: "Server", host: str, port: int, start_serving: bool) -> "Any":
    """Bind, and accept in a task, `server.accepting`; returns the listening socket.

    The sockets come from the attribute `pool` of the application, and when it has none, from the board's own radio.
    """
    if not start_serving:
        raise ValueError("start_serving")  # with False only CPython knows what to do
    if server.ssl:
        raise ValueError("ssl: there is no HTTPS on CircuitPython; use a reverse proxy")
    pool = server.app.__dict__.get("pool") or own_pool()
    sock = pool.socket(pool.AF_INET, pool.SOCK_STREAM)
    try:
        sock.setsockopt(pool.SOL_SOCKET, pool.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(16)  # as on MicroPython: a browser comes with six at once
        sock.setblocking(False)
    except Exception:
        sock.close()  # a pool has few of them
        raise
    server.accepting = create_task(accept(server, sock))
    return sock


async def accept(server: "Server", sock: "Any") -> None:
    """Accept on the listening socket `sock`, for ever."""
    # The poller cannot be asked: on RP2040 it says of every listening socket that somebody waits there.
    while True:
        try:
            accepted, peer = sock.accept()
        except MemoryError:
            await sleep_ms(_PAUSE)
            continue
        except (OSError, RuntimeError) as exc:
            if not _is_again(exc):
                from .room import make_room

                make_room(server)  # the pool has no socket left
            await sleep_ms(_PAUSE)
            continue
        try:
            await _serve(server, accepted, peer)
        except (OSError, MemoryError):  # a peer that left at once, no heap: later it may work
            accepted.close()
        except CancelledError:
            accepted.close()
            raise


async def _serve(server: "Server", sock: "Any", peer: "Any") -> None:
    sock.setblocking(False)  # some ports inherit it from the listener, others do not
    while len(server.connections) >= server.app.max_connections:
        from .room import BUSY, make_room

        if make_room(server) is False:
            await sleep_ms(100)
            try:
                sock.recv_into(_received)  # what stays unread would turn the close into a reset
            except OSError:
                pass
            sock.send(BUSY)
            raise OSError
        await sleep_ms(20)  # somebody will be gone in a moment
    from .server import Connection

    link: "Any" = Connection  # type checkers take it for CPython's
    connection = link(server, sock, peer)
    connection.task = create_task(connection.run())
    server.connections.add(connection)


def run(main: "Any", app: "Any") -> None:
    """Run the coroutine `main`, with the tasks that the program has made before: there is one loop, as for `asyncio.run()`."""
    collect()  # what compiling the program left would lie between what serving keeps
    core.run_until_complete(create_task(main))
