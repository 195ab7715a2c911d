"""A native connection for packages that read and write it by themselves, and one header field without all others.

After `switch()` a package has of `request.connection`: `buffer`, the bytes received and not yet used, which it takes out by
assigning what is left; `await fill()` for more, False at the end (`eof`); `write(data)`, which says True when the peer has to
take some first: `await flush()`; `expires`, the tick at which `fill()` raises an exception, from `server.deadline(seconds)`;
`expire(exc)` for now; `task`, which runs the handler; `watch`, a function that is called at every tick, four times a second.
"""

from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .http import Request
    from .server import Connection


print_exception = port.print_exception
# Modules that a board lets go of when a connection ends; those that were loaded before it served stay.
let_go = port.seldom
# MicroPython awaits whatever can be iterated over: this asks the loop once to go on with others.
_once = (None,) if hasattr(port, "unregister") else None


def field(request: "Request", name: str) -> str:
    """Return the value of a header field, `""` when there is none; repeated ones are joined (RFC 9110 5.3).

    On the native server it is found in the header lines, so that a handshake makes no dictionary of them.

    Args:
        request: the request.
        name: the name, in any case.
    """
    raw = request._headers
    if not isinstance(raw, bytes) or "headers" in request.__dict__:
        value: str = request.headers.get(name, "")
        return value
    found = b""
    end = 0
    key = b"\n%s:" % name.lower().encode()
    lower = raw.lower()
    while True:
        start = lower.find(key, end)
        if start < 0:
            return found.decode()
        end = raw.find(b"\n", start + 1)
        if end < 0:
            end = len(raw)
        found = (found and found + b", ") + raw[start + len(key) : end].strip()


def look(connection: "Connection") -> None:
    """Move bytes that have come into the buffer, up to a few; notice that the peer has gone."""
    # CPython's loop and other hosts tell by themselves; a board's sockets are asked.
    if hasattr(connection, "take_in") and len(connection.buffer) < 512:
        connection.take_in()


def arrival(connection: "Any") -> "Any":
    """Return what to await for more bytes: as `fill()`, False at the end, but `look()` has to move them into the buffer.

    With MicroPython an idle client then does not hold the coroutine of `fill()`.
    """
    if _once and hasattr(connection, "take_in") and not connection.eof:
        waiting = iter(_once)  # while there is no heap for it nothing is begun
        next(connection.fill())  # it has asked the loop to wake this task; the rest of it is not needed
        return waiting
    return connection.fill()


def switch(connection: "Connection", headers: "dict[str, str]") -> bool:
    """Switch protocols (RFC 9110 7.8): send a 101; returns what `write()` does."""
    data = b"\r\n"
    for name in headers:
        data = b"%s: %s\r\n%s" % (name.encode(), headers[name].encode(), data)
    connection.upgraded = connection.begun = True
    return connection.write(b"HTTP/1.1 101 Switching Protocols\r\n" + data)


def leave(request: "Request", work: "Any") -> bool:
    """On a board: have a coroutine go on with a connection after `switch()` when the request is over, and hold less for it.

    For a caller who knows that the route is its own: a decorator of the program's around it waits for the end, too.

    Args:
        request: the request.
        work: the coroutine; it is not begun yet. It runs in a task of its own, which it gives to `connection.task`, and
            closes the connection when it has ended, where `connection.then` is True.

    Returns:
        False when hooks, error handlers or a deadline look at the end of the request: then await `work` in the handler.
    """
    app = request.app
    connection = request.connection
    # What is left of a body is the business of the request's end.
    if not hasattr(connection, "then") or connection.left or request._extras:
        return False
    if app._hooked:
        if request.timeout or app.error_handlers or request.matched and request.matched.local_apps:
            return False
        for hook in ("after", "error", "done"):
            if app.hooks[hook]:
                return False
    connection.then = work
    return True


port.collect()  # loading this and who asked for it left garbage: what they make now finds places without holes between
