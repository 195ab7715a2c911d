"""The strict parser of request heads: bytes in, values out, no sockets.

RFC 9112 throughout. Whatever two parsers in a row could read differently is refused, because a proxy in front of this
server may be the other one (request smuggling). Two leniencies: a line may end in a bare LF (2.2 allows it, and old clients
send it), and repeated fields that are lists are joined.
"""

from .runtime import const, port

# Flags of parse_fields().
_CLOSE = const(1)
_EXPECT = const(4)

# What parse_fields returns as length when the body is chunked.
_CHUNKED = const(-1)

# Fields that decide where a message ends or what becomes of the connection. All others are left for request.headers.
_FRAMING = (b"host", b"connection", b"content-length", b"transfer-encoding", b"expect")


class HTTPException(Exception):
    """An answer other than the handler's: raised by `abort()` and by the parsers, made into an error response.

    Args:
        status_code: the HTTP status, an int.
        reason: the body of the response; `"<status> error"` when left out.
    """

    def __init__(self, status_code: int, reason: "str | None" = None) -> None:
        self.status_code = status_code
        self.reason = reason or str(status_code) + " error"

    def __repr__(self) -> str:
        return "HTTPException: %d" % self.status_code


def bad(reason: str, status_code: int = 400) -> HTTPException:
    """Make the exception for a request that breaks the protocol; the server answers it and closes the connection."""
    return HTTPException(status_code, reason)


def is_token(name: bytes) -> bool:
    """Tell whether `name` is a token (RFC 9110 5.6.2), as methods and field names must be."""
    # Nearly all are letters and dashes, and these two methods are loops in C.
    if name.replace(b"-", b"").isalpha():
        return True
    for c in name:
        if c < 33 or c > 126 or c in b'"(),/:;<=>?@[\\]{}':
            return False
    return bool(name)


def parse_request_line(line: bytes) -> "tuple[str, str, bytes, int]":
    """Parse the first line of a request (RFC 9112 3).

    Args:
        line: the line without its line end.

    Returns:
        method, target in origin form (or `*`), authority of an absolute target (else empty), minor version (0 or 1).

    Raises:
        HTTPException: 400 for a malformed line, 501 for CONNECT, 505 for another major version.
    """
    parts = line.split(b" ")
    if len(parts) != 3 or not port.is_text(line):
        raise bad("Bad request")
    method, target, version = parts
    if version == b"HTTP/1.1":
        minor = 1
    elif version == b"HTTP/1.0":
        minor = 0
    else:
        if len(version) != 8 or version[:5] != b"HTTP/" or not (version[5:6] + version[7:]).isdigit() or version[6:7] != b".":
            raise bad("Bad request")
        if version[5:6] != b"1":
            raise bad("HTTP version not supported", 505)
        minor = 1  # RFC 9110 2.5: a higher minor version is read as the highest that we know
    if not is_token(method):
        raise bad("Bad request")
    if method == b"CONNECT":
        raise bad("Not implemented", 501)
    authority = b""
    if target[:1] != b"/":
        if target == b"*" and method == b"OPTIONS":
            pass
        else:  # RFC 9112 3.2.2: a server must accept the absolute form
            start = target.find(b"://") + 3
            if target[:start].lower() not in (b"http://", b"https://"):
                raise bad("Bad request")
            end = len(target)
            for mark in (b"/", b"?"):
                at = target.find(mark, start)
                if 0 <= at < end:
                    end = at
            authority = target[start:end]
            target = target[end:]
            if target[:1] != b"/":
                target = b"/" + target
            check_host(authority)
            if not authority:
                raise bad("Bad request")
    if b"#" in target:
        raise bad("Bad request")
    try:
        return method.decode(), target.decode(), authority, minor
    except ValueError:  # UnicodeError: a target that is no text
        raise bad("Bad request")


def check_host(value: bytes) -> None:
    """Refuse what cannot be a host with an optional port (RFC 9110 7.2); an empty value may be sent."""
    for c in value:
        if c < 33 or c > 126 or c in b'"#,/<>?@\\^`{|}':
            raise bad("Bad host")
    at = value.rfind(b":")
    if at >= 0 and value.find(b"]", at) < 0 and at + 1 < len(value) and not value[at + 1 :].isdigit():
        raise bad("Bad host")


def parse_fields(fields: bytes, minor: int, max_line: int, max_count: int) -> "tuple[int, int]":
    """Check every header line and read those that frame the message.

    Args:
        fields: the rest of the head: a line end before each header line, none after the last but perhaps a CR.
        minor: the minor version of the request, 0 or 1.
        max_line: the longest line accepted, in bytes.
        max_count: how many header lines are accepted.

    Returns:
        the length of the body in bytes (0: none, -1: chunked), and flags: 1 the client closes the connection after
        this request, 4 it waits for `100 Continue`.

    Raises:
        HTTPException: 400, 413, 417, 431 or 501.
    """
    length = None
    chunked = False
    host = False
    flags = 0
    lines = fields.split(b"\n")
    if len(lines) > max_count + 1:
        raise bad("Too many header fields", 431)
    for i in range(1, len(lines)):
        line = lines[i]
        if line[-1:] == b"\r":
            line = line[:-1]
        if len(line) > max_line:
            raise bad("Header line too long", 431)
        colon = line.find(b":")
        name = line[:colon].lower()
        # A name that is no token catches white space before the colon, folded lines and lines without a colon
        # (5.1, 5.2); is_text catches CR, NUL and other controls anywhere in the line (RFC 9110 5.5).
        if colon < 1 or not is_token(name) or not port.is_text(line):
            raise bad("Bad header")
        if name not in _FRAMING:
            continue
        value = line[colon + 1 :].strip(b" \t")
        if name == b"host":
            if host:
                raise bad("Two hosts")
            host = True
            check_host(value)
        elif name == b"connection":
            for token in value.lower().split(b","):
                token = token.strip(b" \t")
                if token == b"close":
                    flags |= _CLOSE
        elif name == b"content-length":
            # 6.3: digits only; int() would take signs, underscores and blanks.
            if length is not None or not value.isdigit():
                raise bad("Bad Content-Length")
            if len(value) > 15:
                raise bad("Payload too large", 413)
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or minor == 0:
                raise bad("Bad Transfer-Encoding")
            if value.lower() != b"chunked":
                raise bad("Transfer-Encoding not implemented", 501)
            chunked = True
        elif minor:  # RFC 9110 10.1.1: an expectation of an HTTP/1.0 client is ignored
            if value.lower() != b"100-continue":
                raise bad("Expectation failed", 417)
            flags |= _EXPECT
    if minor and not host:
        raise bad("No host")
    if chunked:
        if length is not None:  # 6.1: two lengths, and somebody in between may have read the other one
            raise bad("Two lengths")
        length = _CHUNKED
    return length or 0, flags
