"""What the native server does rarely: odd request lines, refusing, lingering."""

from .http import HTTPException, Request, const, is_token, port

port.seldom.add(__name__)  # first of all: a load that fails leaves something behind, too

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from .http import Response
    from .server import Connection

_LINGER = 8 if port.SERVER else 2  # ticks in which a client may read an answer that it did not wait for
_SKIP = 65536 if port.SERVER else 2048  # bytes of an unread body that are read and dropped to keep a connection


def check_controls(head: bytes) -> None:
    """Raise ValueError unless the control characters in a head are tabs and line ends (RFC 9110 5.5, RFC 9112 2.2)."""
    if not port.is_plain(head.replace(b"\r\n", b"").replace(b"\n", b"").replace(b"\t", b" ")):
        raise ValueError


def parse_odd_line(method: bytes, target: bytes, version: bytes, fields: bytes) -> "tuple[bytes, int, bytes]":
    """Look closer at a request line that is not HTTP/1.1 in origin form (RFC 9112 2.3, 3.2).

    Returns:
        target in origin form (or `*`), minor version (0 or 1), and the header lines.

    Raises:
        ValueError: it is malformed (400).
        HTTPException: 501 for CONNECT, 505 for another major version.
    """
    if len(version) != 8 or version[:5] != b"HTTP/" or version[6:7] != b"." or not (version[5:6] + version[7:]).isdigit():
        raise ValueError
    if version[5:6] != b"1":
        raise HTTPException(505, "HTTP version not supported")
    if method == b"CONNECT":  # RFC 9112 3.2.3
        raise HTTPException(501, "Not implemented")
    if target[:1] != b"/" and (target != b"*" or method != b"OPTIONS"):
        # 3.2.2: a server must accept the absolute form, whose host counts instead of the one in Host.
        scheme, mark, rest = target.partition(b"://")
        authority, mark, path = rest.partition(b"/")
        if b"?" in authority:
            authority, mark, path = rest.partition(b"?")
            path = mark + path
        if scheme.lower() not in (b"http", b"https") or not authority:
            raise ValueError
        target = b"/" + path
        lines = fields.split(b"\n")
        for i in range(len(lines)):
            if lines[i][:5].lower() == b"host:":  # all of them: parse_head() refuses a second one
                lines[i] = b"Host: " + authority
        fields = b"\n".join(lines)
        if version[7:] == b"0" and b"\nhost:" not in fields.lower():
            fields = b"\nHost: " + authority + fields
    # RFC 9110 2.5: a higher minor version is read as the highest that we know.
    return target, 0 if version[7:] == b"0" else 1, fields


def closes(options: bytes) -> int:
    """Return the flag of parse_head(), 1, when `close` is among several connection options (RFC 9112 9.6)."""
    return b",close," in b"," + options.replace(b" ", b"").replace(b"\t", b"") + b","


def check_odd_host(host: bytes) -> None:
    """Raise ValueError when a Host header that is no plain name or address is malformed (RFC 9110 7.2)."""
    colon = host.rfind(b":")
    name = host
    if colon > host.rfind(b"]"):
        name = host[:colon]
        if host[colon + 1 :] and not host[colon + 1 :].isdigit():
            raise ValueError
    # RFC 3986 3.2.2: brackets are around an address that has colons, and nowhere else.
    literal = name[:1] == b"[" and name[-1:] == b"]"
    if b"#" in name or not is_token(name[1:-1] if literal else name, b":(),;=" if literal else b"(),;="):
        raise ValueError


def too_large() -> HTTPException:
    """Return what is raised for a header line or a whole head that is too long (RFC 6585 5)."""
    return HTTPException(431, "Header too large")


def trim(buffer: bytes) -> bytes:
    """Return `buffer` without the empty lines that may precede a request (RFC 9112 2.2); refuse a head that is too long.

    Raises:
        HTTPException: 414 or 431.
    """
    at = 0
    while buffer[at : at + 2] == b"\r\n" or buffer[at : at + 1] == b"\n":
        at = buffer.find(b"\n", at) + 1
    if at:
        buffer = buffer[at:]
    if len(buffer) >= Request.max_readline:
        if not 0 <= buffer.find(b"\n") < Request.max_readline:
            raise HTTPException(414, "Request line too long")
        most = Request.max_head_length
        # No further: what is behind may be a long body.
        if len(buffer) > most and buffer.find(b"\n\r\n", 0, most + 3) < 0 and buffer.find(b"\n\n", 0, most + 2) < 0:
            raise too_large()
    return buffer


async def fail(connection: "Connection", problem: Exception) -> None:
    """Do what can be done when a connection failed: tell the client, if it does not have half an answer, and the log."""
    if not isinstance(problem, (HTTPException, ValueError)) or connection.begun:
        silent = isinstance(problem, OSError)
        if not silent or (problem.errno or 0) >= 0:  # type: ignore[attr-defined]  # negative: the client speaks no TLS
            port.print_exception(problem)
        if not silent and not connection.begun:
            connection.write(b"HTTP/1.1 500 N/A\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif connection.buffer or not connection.since:  # a client that was only silent gets no answer
        await refuse(connection, problem)


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


async def respond(connection: "Connection", response: "Response", version: int, keep: bool) -> bool:
    """Do what `Connection.respond()` does when the handler left something of the request body.

    If it is little and surely comes, it is skipped to keep the connection; else the client gets time to read the answer.
    """
    keep = keep and connection.credit > -2 and 0 < connection.left <= _SKIP
    keep = await connection.respond(response, version, keep)
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
    connection.expires = connection.server.tick + _LINGER
    try:
        while await connection.fill():
            connection.buffer = b""
    except HTTPException:
        pass
