"""What boards do their own way: the accept loop, sockets on asyncio's poller.

`_cpython.py` offers the same names for CPython; `http.py` chooses. What is seldom asked for is in `_board.py`.
asyncio.Stream is not used: it holds more heap per connection, and `asyncio.start_server` accepts without asking and dies
when a callback raises.
"""

import sys
from asyncio import CancelledError, core, create_task, sleep_ms as sleep_ms
from gc import collect as collect

from micropython import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from .server import Server

SERVER = False
REASONS = {200: b"OK"}  # nothing reads the phrase of a status (RFC 9112 4), so no table is carried
# Errors that only mean that the client has gone.
GONE = (9, 32, 54, 103, 104, 107, 110, 113, 128)

print_exception = sys.print_exception

# Modules that were loaded for something that seldom happens. They are let go when the connection ends, so that strangers
# cannot fill the heap with them; what the program loaded before it served stays.
# Sources and frozen modules stay: those would be compiled again and again, these hold next to no heap.
seldom: "set[str]" = set()

# Bytes that are read at once: a browser's head in two. One buffer for all connections, made early: a heap that has been in
# use for long may have no other piece of that length.
buf = memoryview(bytearray(384))

# Loading a module leaves garbage. Collected at once, it makes no holes between what stays: the modules that serve do so.
collect()


def __getattr__(name: str) -> "Any":
    from ._board import attribute

    return attribute(name)


def is_plain(line: bytes) -> bool:
    """Tell whether `line`, which is not empty, has no control character; tabs are for `rare.py` to allow."""
    return min(line) > 31 and b"\x7f" not in line  # min() is a loop in C


class Link:
    """One socket: bytes in `buffer`, bytes out by `write()`, and somebody who waits for either.

    `server.Connection` builds on it. One task reads; the sweeper of the server may end any wait by `expire()`.
    """

    buffer = b""  # received and not yet used
    eof = False  # the peer will send no more
    expires = 0  # the tick at which the present wait ends, 0: never
    out: "bytes | memoryview" = b""  # what the socket did not take yet
    expired: "Exception | None" = None
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
        except CancelledError as exc:
            # A task that is cancelled because a deadline passed has to see the reason instead.
            problem = self.expired or exc
            self.expired = None
            raise problem
        except MemoryError:
            unregister(self.sock)  # before the loop polls again
            raise
        return False

    def take_in(self) -> bool:
        """Move what has arrived into `buffer` without waiting; True when there was something."""
        try:
            n = self.sock.readinto(buf)
        except OSError:  # reset, or no TLS: either way nothing more comes
            n = 0
        if n:
            data = bytes(buf[:n])
            self.buffer = self.buffer + data if self.buffer else data
        elif n is not None:
            self.eof = True
        return bool(n)

    def write(self, data: bytes) -> bool:
        """Send `data`; True when the caller should `await flush()` before the next. Raises OSError: the peer has gone."""
        n = 0 if self.out else self.sock.write(data) or 0
        if n < len(data):
            rest = memoryview(data)[n:]  # no copy: there may be no place for a second one
            self.out = bytes(self.out) + rest if self.out else rest
        return n < len(data)

    def flush(self) -> "Generator[None, None, None]":
        """Wait until the socket has taken everything. Raises OSError: the peer has gone or takes nothing."""
        from ._board import flush

        return flush(self)

    def expire(self, exc: Exception) -> None:
        """End a wait whose deadline has passed: `exc` for a reader, an OSError for a writer."""
        self.expired = OSError(110) if self.out else exc
        self.task.cancel()

    def close(self) -> None:
        """Close the socket; everything was written."""
        self.server.connections.discard(self)
        self.sock.close()
        if self.server.ssl:
            self.raw.close()  # the other one has only ended the session
        try:
            unregister(self.sock)
            self.eof = True
            if not __debug__:  # the compiled files
                package = sys.modules["microdot"]
                for name in seldom:
                    # A load that failed has taken the module out in a way that keeps all that it had: so another is put in.
                    sys.modules[name] = package
                    del sys.modules[name]
                    setattr(package, name[9:], package)
                    delattr(package, name[9:])
        except Exception:  # no heap, not even for an attribute: the place is free all the same
            pass


def unregister(sock: "Any") -> None:
    """Take back a wait for a socket that failed for want of heap.

    asyncio notes who waits before it has room to ask the system, and would refuse this socket ever after; and the poller
    keeps an empty entry, on which it crashes the next time that it is asked.
    """
    if id(sock) in core._io_queue.map:
        core._io_queue._dequeue(sock)


def caller(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Return what calls a handler in place; what it returns is to be awaited when it has the method `throw`."""
    # Generators look like coroutines here, so what a plain function returns must not: it may be a generator that is a
    # body. Of closures, methods and other callables nobody can tell before whether they are async.
    if type(function) is not type(caller):
        return function
    from ._board import caller as plain

    return plain(function)


async def listen(server: "Server", host: str, port: int, start_serving: bool) -> "Any":
    """Bind, and accept in a task, `server.accepting`; returns the listening socket."""
    import socket

    if not start_serving:
        raise ValueError("start_serving")  # with False only CPython knows what to do
    seldom.clear()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(socket.getaddrinfo(host, port)[0][-1])
    sock.listen(16)  # who waits here holds no heap; asyncio's 5 lose a browser's burst
    sock.setblocking(False)
    server.accepting = create_task(accept(server, sock))
    return sock


def accept(server: "Server", sock: "Any") -> "Generator[None, None, None]":
    """Accept on the listening socket `sock`, for ever."""
    from .server import Connection

    while True:
        try:
            yield core._io_queue.queue_read(sock)
            if len(server.connections) >= server.app.max_connections:
                from ._board import wait

                yield from wait(server, sock)
            accepted, peer = sock.accept()
            try:
                accepted.setblocking(False)
                # Type checkers take it for CPython's.
                connection: "Any" = Connection(server, accepted, peer)  # type: ignore[call-arg]
                if server.ssl:
                    from ._board import wrap_socket

                    wrap_socket(connection)
                connection.task = create_task(connection.run())
                server.connections.add(connection)
            except Exception:
                accepted.close()
                raise
        except Exception:  # a peer that left at once, no descriptor, no heap: later it may work
            unregister(sock)
            yield from sleep_ms(50)


def run(main: "Any", app: "Any") -> None:
    """Run the coroutine `main`, with the tasks that the program has made before: there is one loop, as for `asyncio.run()`."""
    collect()  # what compiling the program left would lie between what serving keeps
    task = create_task(main)
    try:
        core.run_until_complete(task)
    except KeyboardInterrupt:
        # The port becomes free, requests finish and `stop` hooks run: at the prompt this may be called again.
        core.cur_task = None  # whoever it was, nobody runs now
        task.cancel()
        try:
            core.run_until_complete(task)
        except CancelledError:
            pass
        raise
