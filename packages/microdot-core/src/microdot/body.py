"""Loading of request bodies. What is streamed, chunked or read by another host is the business of `incoming.py`."""

from .http import HTTPException, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from .http import Request
    from .server import Connection


async def wait(connection: "Connection") -> None:
    """Wait for more of a body in the buffer of a native connection.

    Raises:
        HTTPException: 400 when the body ends early, 408 when it stalls.
    """
    server = connection.server
    if connection.expecting:
        connection.expecting = False
        if connection.write(b"HTTP/1.1 100 Continue\r\n\r\n"):
            await connection.flush()
    connection.expires = server.deadline(server.app.body_timeout)
    if not await connection.fill():
        raise HTTPException(400, "Bad request")
    connection.expires = 0


async def load(request: "Request") -> None:
    """Read the pending body into `request.body` when it is at most `max_body_length`, else make it `request.stream`.

    Raises:
        HTTPException: 400 when it ends early or is malformed, 408 when it stalls, 413 when it is too long.
    """
    connection = request.pending
    left = getattr(connection, "left", -1)
    # More than a block would be copied with every piece that arrives.
    if left < 0 or left > min(request.max_body_length, request.max_content_length, port.FILE_BLOCK):
        from .incoming import load_other

        await load_other(request)
        return
    # A body of known length on the native server, which is to be loaded: by far the most.
    connection.left = -1  # in case that this fails
    while len(connection.buffer) < left:
        await wait(connection)
    request.body = connection.buffer[:left]
    connection.buffer = connection.buffer[left:]
    connection.left = 0
    request.pending = None
