"""The less simple responses on the wire: those whose headers a program has set, and with `bodies.py` streams and files."""

from .http import Response, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .bodies import BodyIterator
    from .http import Request
    from .server import Connection


def bytes_sent(
    request: "Request | None", response: "Response | None", exception: "BaseException | None"
) -> "int | None":
    """Return how many bytes of a body were sent, for a `done` hook, which gives its own arguments.

    Sent means: taken by the system, or by the server below another host. 0 when nobody knows, as of a small body that the
    client did not wait for; None when the connection was handed over: what then went through it was no body.
    """
    if response is Response.already_handled or request and getattr(request.connection, "upgraded", False):
        return None
    if not response:
        return 0
    # Hosts set it where it is not simply the length.
    sent: "int | None" = response.__dict__.get("bytes_sent")
    if sent is None:
        whole = isinstance(response.body, bytes) and not response.is_head and not (request and exception)
        sent = len(response.body) if whole else 0
    return sent


async def respond(connection: "Connection", response: "Any", minor: int, keep: bool) -> bool:
    """Write any response to a connection of the native server; True when the connection may be kept.

    Raises:
        OSError: the client has gone.
        Exception: what the body raised, when some of the response may be out.
    """
    body = response.body
    if isinstance(body, str):
        body = body.encode()
    chunks: "BodyIterator | None" = None
    if hasattr(body, "read") or hasattr(body, "__next__") or hasattr(body, "__anext__") or hasattr(body, "__aiter__"):
        import microdot.bodies as bodies

        chunks = bodies.BodyIterator(body, response.send_file_buffer_size)
    try:
        try:
            if response.status_code < 200:  # the client would wait for another one (RFC 9110 15.2)
                raise ValueError("response: %r is no status of an answer" % response.status_code)
            length = _length(body) if chunks is None else bodies.file_length(body)
            own = response._headers or {}
            declared = own.get("Content-Length")
            if declared is not None:
                declared = int(declared)
            if declared is not None and (chunks is not None or response.is_head):
                length = declared
            elif declared is not None and length is not None and declared < length:
                length = declared
                body = body[:declared]
            if declared is not None and length != declared:
                raise ValueError("response: the body is shorter than its Content-Length")
            if "close" in str(own.get("Connection", "")).lower():
                keep = False
            lines = connection.server.date
            if response.status_code < 200 or response.status_code in (204, 304):
                body = b""
                length = 0
            elif length is not None:
                lines += "Content-Length: %d\r\n" % length
            elif minor:
                lines += "Transfer-Encoding: chunked\r\n"
            else:
                keep = False
            if not keep:
                lines += "Connection: close\r\n"
            if chunks is None and (response.is_head or not length):
                body = b""
            joined = isinstance(body, bytes) and len(body) < 4096  # one write, one packet, and no further copy
            head = response.head(minor, lines, body if joined else b"")
        except Exception as exc:
            # Nothing is out yet, so the client gets an answer.
            port.print_exception(exc)
            failed = Response("Internal server error", 500)
            failed.is_head = response.is_head
            keep = await connection.respond(failed, minor, keep)
            response.status_code = 500  # `done` hooks are told what the client was
            response.bytes_sent = 0 if failed.is_head else len(failed.body)
            return keep
        connection.begun = True
        response.bytes_sent = 0
        if chunks is None or response.is_head or length == 0:
            if chunks is not None:
                body = b""
            elif not joined:
                port.no_delay(connection)
            wait = connection.write(head)
            if not joined and body:
                wait = connection.write(body)
            if wait:
                await connection.flush()
            response.bytes_sent = len(body)
        else:
            await bodies.send(connection, response, chunks, head, length)
        return keep
    finally:
        if chunks is not None:
            await bodies.close(chunks)


def _length(body: "Any") -> int:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return len(body)
    if not body and not isinstance(body, (int, float)):
        return 0
    raise TypeError("response: the body is a %s; give str, bytes, dict, list, a file or an iterator" % type(body))
