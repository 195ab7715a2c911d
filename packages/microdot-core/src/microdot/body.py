"""Loading of request bodies, and JSON. What is streamed, chunked or read by another host is the business of `incoming.py`."""

import json

from .http import HTTPException, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .http import Request
    from .server import Connection

BLOCK = 65536 if port.SERVER else 1024  # bytes per read of a body
_EXPECT = const(4)  # a flag of parse_head()


async def wait(connection: "Connection") -> None:
    """Wait for more of a body in the buffer of a native connection.

    Raises:
        HTTPException: 400 when the body ends early, 408 when it stalls.
    """
    server = connection.server
    if connection.credit < -1:
        try:
            if connection.write(b"HTTP/1.1 100 Continue\r\n\r\n"):
                await connection.flush()
        except OSError:  # it has gone: as below, no failure of the handler's
            raise HTTPException(400, "Bad request")
    timeout = server.app.body_timeout
    # Slow and steady is allowed, but who sends a byte now and then cannot hold a place for ever: all waits of a body
    # together may take four times as long as one, and a tick more for every 64 bytes.
    begun = server.tick
    before = len(connection.buffer)
    if connection.credit < 0:
        connection.credit = int(timeout * 1024)
    connection.expires = min(server.deadline(timeout), begun + 1 + connection.credit // 64) if timeout else 0
    if not await connection.fill():
        raise HTTPException(400, "Bad request")
    connection.expires = 0
    connection.credit = max(connection.credit + len(connection.buffer) - before - 64 * (server.tick - begun), 0)


async def load(request: "Request") -> None:
    """Read the pending body into `request.body` when it is at most `max_body_length`, else make it `request.stream`.

    Raises:
        HTTPException: 400 when it ends early or is malformed, 408 when it stalls, 413 when it is too long.
    """
    connection = request.pending
    left = getattr(connection, "left", -1)
    # More than a block would be copied with every piece that arrives.
    if left < 0 or left > min(request.max_body_length, request.max_content_length, BLOCK):
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


def frame(name: bytes, value: bytes, minor: int, length: "int | None", flags: int) -> "tuple[int | None, int]":
    """Read a header field that frames the body, as `parse_head()` finds it.

    Args:
        name: content-length, transfer-encoding or expect; others are let through.
        value: its value in lower case.
        minor: the minor version of the request.
        length: what was found so far, None for nothing.
        flags: as `parse_head()` has them.

    Returns:
        length, -1 when chunked, and flags.

    Raises:
        ValueError: it is malformed or contradicts another (400).
        HTTPException: 417 or 501.
    """
    if name == b"expect":
        if minor:  # RFC 9110 10.1.1: an expectation of an HTTP/1.0 client is ignored
            if value != b"100-continue":
                raise HTTPException(417, "Expectation failed")
            flags |= _EXPECT
    elif name not in (b"content-length", b"transfer-encoding"):
        pass
    elif length is not None:
        # RFC 9112 6.1, 6.3: with two lengths somebody in between may have read the other one.
        raise ValueError
    elif name == b"content-length":
        # Digits only; int() would take signs, underscores and blanks.
        if not value.isdigit():
            raise ValueError
        length = int(value) if len(value) < 16 else 1 << 60
    else:
        if not minor:
            raise ValueError
        if value != b"chunked":
            raise HTTPException(501, "Not implemented")
        length = -1
    return length, flags


def content_type(request: "Request") -> "str | None":
    """Return the Content-Type header as it is."""
    raw = request._headers
    if not isinstance(raw, bytes):
        value: "str | None" = request.headers.get("Content-Type")
        return value
    # The most wanted field is found without making a dictionary of all.
    start = raw.lower().find(b"\ncontent-type:")
    if start < 0:
        return None
    end = raw.find(b"\n", start + 1)
    try:
        return (raw[start + 14 :] if end < 0 else raw[start + 14 : end]).strip().decode()
    except ValueError:  # no media type that anybody knows is other than ASCII
        return ""


def media_type(request: "Request") -> str:
    """Return the media type of the body, in lower case and without its parameters (RFC 9110 8.3.1)."""
    return (content_type(request) or "").split(";")[0].strip().lower()


def parse(request: "Request") -> "Any":
    """Return the body as JSON, None when it is of another media type, and keep that as `json`; raises BadRequest."""
    kind = media_type(request)
    value = None
    if kind == "application/json" or kind[:12] == "application/" and kind[-5:] == "+json":
        try:
            value = json.loads(request.body.decode())
        except (ValueError, RuntimeError):  # too deep is a RecursionError, which is a RuntimeError
            from .errors import BadRequest

            raise BadRequest("Malformed JSON")
    request.json = value
    return value


port.seldom.add(__name__)
