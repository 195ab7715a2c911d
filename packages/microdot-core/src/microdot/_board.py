"""What boards do their own way, and seldom: plain functions as handlers, slow readers, TLS, a full house."""

from asyncio import CancelledError, core, sleep_ms

from micropython import const

from ._micropython import buf, unregister

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from ._micropython import Link
    from .server import Server


def attribute(name: str) -> "Any":
    """Return what this module adds to `_micropython.py`; AttributeError when it has nothing of that name."""
    if name in globals():
        return globals()[name]
    raise AttributeError(name)


def iscoroutine(obj: object) -> bool:
    """Tell whether `obj` is something that a handler returned to be awaited."""
    return hasattr(obj, "throw")


def _value(result: "Any") -> "Generator[None, None, Any]":
    """Wait for what a plain function returned: a coroutine, a generator that is a body, or anything else."""
    if not iscoroutine(result):
        return result
    # Coroutines and generators are of one type here. The first step tells: a coroutine ends or waits, and who waits
    # yields None; a body yields its first piece.
    try:
        first = next(result)
    except StopIteration as end:
        return end.value
    if first is not None:
        return _with_first(first, result)
    try:
        yield
    except CancelledError as exc:
        result.throw(exc)
        yield
    return (yield from result)


def _with_first(data: "Any", body: "Any") -> "Generator[Any, None, None]":
    yield data
    yield from body


def leave() -> None:
    """Take this task out of wherever it waits, if it does: what `Task.cancel()` does for another one."""
    task = core.cur_task
    if hasattr(task.data, "remove"):  # an event, a socket
        task.data.remove(task)
        task.data = None
    core._task_queue.remove(task)


def call(function: "Callable[..., Any]", *args: "Any", **kwargs: "Any") -> "Any":
    """Call a handler in place, and return something to await."""
    result = function(*args, **kwargs)
    # Methods and other callables do not tell whether they are async.
    return _value(result) if type(function) is type(call) or not iscoroutine(result) else result


def caller(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Return what calls a plain function, and returns something to await."""
    return lambda *args, **kwargs: _value(function(*args, **kwargs))


def flush(link: "Link") -> "Generator[None, None, None]":
    """Do what `Link.flush()` says."""
    link.expires = link.server.deadline(link.server.app.write_timeout)
    yield from sleep_ms(0)
    taken = 0
    try:
        while link.out:
            yield core._io_queue.queue_write(link.sock)
            n = link.sock.write(link.out)
            if n:
                link.out = memoryview(link.out)[n:]
                taken += n
                if taken > 255:  # who takes a byte now and then does not hold a place for ever
                    taken = 0
                    link.expires = link.server.deadline(link.server.app.write_timeout)
    except CancelledError as exc:
        problem = link.expired or exc
        link.expired = None
        raise problem
    except MemoryError:
        unregister(link.sock)
        raise
    link.expires = 0


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
    """Have small packets sent at once: else each but the first waits until the client has acknowledged the one before."""
    try:
        link.sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
    except (AttributeError, OSError):  # TLS; a system that does not know it
        pass


def look(link: "Link") -> None:
    """While nobody reads: notice that the peer has gone."""
    if not link.eof and len(link.buffer) < 512:
        link.take_in()


def wrap_socket(connection: "Link") -> None:
    """Speak TLS on a new connection."""
    connection.raw = raw = connection.sock
    connection.sock = connection.server.ssl.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)


def wait(server: "Server", listener: "Any") -> "Generator[None, None, None]":
    """While the server is full, let newcomers wait in the backlog until somebody has gone.

    Raises:
        OSError: all are at work: the newcomer was answered 503.
    """
    from .room import BUSY, make_room

    while len(server.connections) >= server.app.max_connections:
        busy = make_room(server) is False
        yield from sleep_ms(20)
        if busy and len(server.connections) >= server.app.max_connections:
            sock = listener.accept()[0]
            try:
                sock.setblocking(False)
                yield from sleep_ms(100)
                if not server.ssl:
                    sock.readinto(buf)  # what stays unread would turn the close into a reset
                    sock.write(BUSY)
            finally:
                sock.close()
            raise OSError
