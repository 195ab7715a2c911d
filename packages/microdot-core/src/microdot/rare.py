"""What the native server does rarely: odd request lines, refusing, lingering, making room, stopping."""

from .http import HTTPException, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from .app import Microdot
    from .server import Connection, Server

_GRACE = const(1)  # ticks in which a new connection may send its head before another can take its place

# Ready made, because there may be no heap for it when it is needed.
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 4\r\nConnection: close\r\n\r\nBusy"


def parse_odd_line(method: bytes, target: bytes, version: bytes) -> "tuple[bytes, bytes, int]":
    """Look closer at a request line that is not HTTP/1.1 in origin form (RFC 9112 2.3, 3.2).

    Returns:
        target in origin form (or `*`), authority of an absolute target (else empty), minor version (0 or 1).

    Raises:
        ValueError: it is malformed (400).
        HTTPException: 501 for CONNECT, 505 for another major version.
    """
    if len(version) != 8 or version[:5] != b"HTTP/" or version[6:7] != b"." or not (version[5:6] + version[7:]).isdigit():
        raise ValueError
    if version[5:6] != b"1":
        raise HTTPException(505, "HTTP version not supported")
    if method == b"CONNECT":
        raise HTTPException(501, "Not implemented")
    authority = b""
    if target[:1] != b"/" and (target != b"*" or method != b"OPTIONS"):
        # 3.2.2: a server must accept the absolute form.
        scheme, mark, rest = target.partition(b"://")
        authority, mark, path = rest.partition(b"/")
        if b"?" in authority:
            authority, mark, path = rest.partition(b"?")
            path = mark + path
        if scheme.lower() not in (b"http", b"https") or not authority:
            raise ValueError
        target = b"/" + path
    # RFC 9110 2.5: a higher minor version is read as the highest that we know.
    return target, authority, 0 if version[7:] == b"0" else 1


async def refuse(connection: "Connection", problem: "Exception") -> None:
    """Answer what is no request, and end the connection (RFC 9112 9.6)."""
    connection.since = connection.expires = 0
    app = connection.server.app
    if not isinstance(problem, HTTPException):  # what the parsers say of malformed input
        problem = HTTPException(400, "Bad request")
    response = await app.dispatch(None, problem)
    try:
        await connection.respond(response, 1, False)
        await linger(connection)
    except OSError:
        pass  # the client has gone
    finally:
        if app._hooked:
            app.finish(None, response, problem)


async def leave_body(connection: "Connection", keep: bool) -> bool:
    """Skip what is left of a request body to keep the connection; or linger, and return False."""
    try:
        while keep and connection.left:
            if not connection.buffer:
                from .body import wait

                await wait(connection)
            n = min(len(connection.buffer), connection.left)
            connection.buffer = connection.buffer[n:]
            connection.left -= n
    except HTTPException:
        keep = False
    if not keep:
        await linger(connection)
    return keep


async def linger(connection: "Connection") -> None:
    """Let a client that is still sending read the answer: closing now would reset the connection (RFC 9112 9.6)."""
    if hasattr(connection, "half_close"):  # boards' sockets have no shutdown(): there the client closes first
        connection.half_close()
    connection.expires = connection.server.tick + port.LINGER
    try:
        while await connection.fill():
            connection.buffer = b""
    except HTTPException:
        pass


def evict(connection: "Connection") -> None:
    """Close a connection that waits for a request."""
    connection.since = 0
    connection.expire(OSError(104))


def make_room(server: "Server") -> "bool | None":
    """Tell whether a full server may open one more connection; None: not yet, ask again soon.

    The connection that has waited longest for a request makes room: silent clients cost nobody an answer.
    """
    oldest = None
    for connection in server.connections:
        if connection.since and (oldest is None or connection.since < oldest.since):
            oldest = connection
    if oldest is None:
        return False
    if server.tick - oldest.since >= _GRACE:
        evict(oldest)
    return None


def shutdown(app: "Microdot") -> None:
    """Stop all servers of an application, from whichever thread this is."""
    for server in app._servers:
        if server.loop is None:  # a board has one thread
            stop(server)
        else:
            server.loop.call_soon_threadsafe(stop, server)


def stop(server: "Server") -> None:
    """Accept no more and close connections that wait for a request; `Server.run()` then returns."""
    server.stopping = True
    if server.sockets:
        if server.accepting:  # a board's task that accepts
            server.accepting.cancel()
            server.accepting = None
        server.sockets.close()
    for connection in list(server.connections):
        if connection.since:
            evict(connection)


async def end(server: "Server") -> None:
    """Let running requests finish, and leave the application; its last server runs the `stop` hooks."""
    stop(server)
    app = server.app
    last = server.deadline(app.stop_timeout)
    while server.connections and server.tick < last:
        await port.sleep_ms(250)
        server.sweep()
    for connection in list(server.connections):
        connection.task.cancel()
    for _ in range(20):  # a body's producer may have to clean up
        if server.connections:
            await port.sleep_ms(50)
    for connection in list(server.connections):
        getattr(connection, "abort", connection.close)()
    app._servers.remove(server)
    if app._hooked and not app._servers:
        await app.end()
