"""HTTP messages: the strict parser of request heads, `Request` and `Response`. No sockets here.

The parser follows RFC 9112. Whatever two parsers in a row could read differently is refused, because a proxy in front of
this server may be the other one (request smuggling). Two leniencies: a line may end in a bare LF (2.2 allows it, and old
clients send it), and repeated fields that are lists are joined.

A board pays for every name, so what most programs never ask of a request or a response is made by `lazy.py` when they do:
`__getattr__` fetches it once, and from then on it is an ordinary attribute.
"""

import json
import sys

# The one place where runtimes part ways: both modules offer the same names.
# Type checkers take the first, CPython's.
if sys.implementation.name not in ("micropython", "circuitpython"):
    from . import _cpython
    from ._cpython import const as const

    port = _cpython
else:
    from micropython import const as const  # type: ignore[assignment]  # its parameter has no name

    # `from . import` would ask the facade's __getattr__ first
    import microdot._micropython as port  # type: ignore[no-redef]  # the same names in another module

del sys  # a thirteenth name would make the table of this module larger on a board
port.collect()

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Any, NoReturn

    from .app import Microdot, Route
    from .datastructures import MultiDict
    from .headers import Headers, NoCaseDict

_CLOSE = const(1)  # a flag of parse_head()
_HASH = const(35)  # characters as numbers: a board has no object to hold for them
_TAB = const(9)


class HTTPException(Exception):
    """An answer other than the handler's: raised by `abort()` and by the parsers, made into an error response.

    Args:
        status_code: the HTTP status, an int.
        reason: the body of the response; `"<status> error"` when left out.
        headers: header fields that the response gets unless an error handler set them.
    """

    def __init__(
        self, status_code: int, reason: "str | None" = None, headers: "Mapping[str, str] | None" = None
    ) -> None:
        self.status_code = status_code
        self.reason = reason or str(status_code) + " error"
        self.headers = headers


def abort(status_code: int, reason: "str | None" = None, headers: "Mapping[str, str] | None" = None) -> "NoReturn":
    """End the request with an error response.

    Args:
        status_code: the HTTP status.
        reason: the body, by default `"<status> error"`.
        headers: header fields that the response gets unless an error handler set them.
    """
    raise HTTPException(status_code, reason, headers)


def date(t: "tuple[int, ...]") -> str:
    """Format a UTC time tuple as RFC 9110 5.6.7 has it, whatever the locale."""
    names = "MonTueWedThuFriSatSunJanFebMarAprMayJunJulAugSepOctNovDec"
    return "%s, %02d %s %d %02d:%02d:%02d GMT" % (
        names[3 * t[6] : 3 * t[6] + 3],
        t[2],
        names[3 * t[1] + 18 : 3 * t[1] + 21],
        t[0],
        t[3],
        t[4],
        t[5],
    )


def is_token(name: bytes, text: bytes = b"") -> bool:
    """Tell whether `name` is a token (RFC 9110 5.6.2), as methods and field names must be.

    Args:
        name: what to look at.
        text: further characters to accept.
    """
    if not name:
        return False
    for c in text:
        name = name.replace(bytes((c,)), b"")
    # strip() is a loop in C, and makes nothing when nothing is left; frequent letters come first because boards search.
    return not name.strip(b"etaoinsrhldcumfpgwybvkxjqz-ETAOINSRHLDCUMFPGWYBVKXJQZ0123456789._!#$%&'*+^`|~")


def parse_head(head: bytes, max_readline: int, max_headers: int) -> "tuple[str, str, int, bytes, int, int]":
    """Parse the head of a request: check every line of it, and read those that frame the message.

    Args:
        head: request line, header lines and the empty line.
        max_readline: the longest header line accepted, in bytes with its line end.
        max_headers: how many header lines are accepted.

    Returns:
        method, target in origin form (or `*`), minor version (0 or 1), the header lines with a line end before and behind
        each, the length of the body in bytes (0: none, -1: chunked), and flags: 1 the client closes the connection after
        this request, 4 it waits for `100 Continue`.

    Raises:
        ValueError: a line is malformed, or two of them contradict each other (400).
        HTTPException: 417, 431, 501 or 505.
    """
    # RFC 9110 5.5: no control characters; a CR that ends no line is one of them.
    if not port.is_plain(head.replace(b"\r\n", b"")):
        from .rare import check_controls

        check_controls(head)
    end = head.find(b"\n")
    method, target, version = head[:end].rstrip(b"\r\n").split(b" ")
    if not is_token(method) or not target or _HASH in target or _TAB in target:
        raise ValueError
    fields = head[end : -2 if head[-2] == 13 else -1]  # from the line end before the first to the one behind the last
    minor = 1
    if version != b"HTTP/1.1" or target[0] != 47:  # `/`; the target of CONNECT has none
        from .rare import parse_odd_line

        target, minor, fields = parse_odd_line(method, target, version, fields)
    host = length = None
    flags = 0
    end = 1
    while end < len(fields):
        start = end
        end = fields.find(b"\n", start) + 1
        max_headers -= 1
        if end - start > max_readline or max_headers < 0:
            from .rare import too_large

            raise too_large()
        colon = fields.find(b":", start, end)
        name = fields[start:colon]
        # A name that is no token catches white space before the colon, folded lines and lines without a colon
        # (RFC 9112 5.1, 5.2).
        if colon < start or not is_token(name):
            raise ValueError
        if name[0] | 32 not in b"hcte":
            continue
        name = name.lower()
        value = fields[colon + 1 : end].strip().lower()
        if name == b"host":
            if host is not None:
                raise ValueError
            host = value
        elif name == b"connection":
            if value == b"close":
                flags |= _CLOSE
            elif b"close" in value:
                from .rare import closes

                flags |= closes(value)
        elif name in b"content-length transfer-encoding expect":  # one constant; frame() looks closer
            from .body import frame

            length, flags = frame(name, value, minor, length, flags)
    # RFC 9112 3.2: exactly one, which may be empty; RFC 9110 7.2: a name or address and perhaps a port.
    if host is None:
        if minor:
            raise ValueError
    elif host:
        name, mark, number = host.partition(b":")
        if not is_token(name) or _HASH in name or number and not number.isdigit():
            from .rare import check_odd_host

            check_odd_host(host)
    return method.decode(), target.decode(), minor, fields, length or 0, flags


class Request:
    """An HTTP request.

    Args:
        app: the application that answers it.
        client_addr: (host, port) of the client.
        method: as received.
        url: path and query string as received.
        http_version: `"1.1"`; other hosts may say `"HTTP/1.1"`.
        headers: a mapping, or on the native server the header lines as received.
        body: the body when it is there already.
        stream: an object with `async read(n)` from which the body is still to be read.
        sock: (reader, writer), for programs that take over the connection.
        url_prefix: where the sub-application of the route is mounted.
        subapp: the sub-application of the route.
        scheme: `"http"` or `"https"`.
        route: the handler.
    """

    #: A longer body is answered 413, in bytes.
    max_content_length = 16384
    #: A longer body is not loaded into `body` but left in `stream`, in bytes.
    max_body_length = 16384
    #: The longest request line (414) and header line (431), in bytes.
    max_readline = 2048
    #: The longest head (431), in bytes.
    max_head_length = 4096
    #: How many header lines are accepted (431).
    max_headers = 50

    #: As received on the native server; other hosts may say `"HTTP/1.1"`.
    http_version = "1.1"
    #: The body; empty when there is none or when it is to be read from `stream`.
    body = b""
    #: The body while it has not been loaded: an object with `async read(n)`.
    pending: "Any" = None
    #: The host's side of the request: docs/design.md, "The seam for hosts".
    connection: "Any" = None
    # Whether a program has set g or after_request_handlers, which then are looked at when the handler is done.
    _extras = False

    if TYPE_CHECKING:
        G: Any
        #: The application that answers it.
        app: Microdot
        #: The method as received.
        method: str
        #: Path and query string as received.
        url: str
        #: The path as received.
        path: str
        _headers: Any
        #: Seconds that before hooks and handler may take; 0 is no limit. An `admit` hook sets it.
        timeout: float
        #: The entry of the route table, None before a route was found.
        matched: Route | None
        #: The query string as received, None without a question mark.
        query_string: str | None
        #: `"http"` or `"https"`.
        scheme: str
        #: Where the sub-application of the route is mounted.
        url_prefix: str
        #: The innermost sub-application of the route.
        subapp: Microdot | None
        #: The handler.
        route: Callable[..., Any] | None
        #: Arguments of the path, None before a route was found.
        url_args: dict[str, Any] | None
        #: Query string as a `MultiDict`; malformed ones raise `BadRequest`, which is answered 400.
        args: MultiDict
        #: Header fields; repeated ones are joined (RFC 9110 5.3).
        headers: NoCaseDict
        #: Cookies by name.
        cookies: dict[str, str]
        #: Declared length of the body, 0 when there is none.
        content_length: int
        #: The Content-Type header as it is.
        content_type: str | None
        #: The body as JSON, None when it is of another media type; malformed JSON raises `BadRequest`.
        json: Any
        #: Fields of an URL-encoded form, or those that microdot-multipart read; None when there is no form.
        form: Any
        #: Uploads that microdot-multipart read.
        files: Any
        #: The body as an async stream: `read(n)`, `readexactly(n)`, `readline()`, `readuntil(separator)`.
        stream: Any
        #: Attributes of the program's own.
        g: Any
        #: What runs on the response of this request alone.
        after_request_handlers: list[Callable[..., Any]]
        #: (host, port) of the client.
        client_addr: Any
        #: (reader, writer) of the connection, for programs that write to it; `upgrade()` takes it over.
        sock: Any
        body_used: bool

        def after_request(self, f: Callable[..., Any]) -> Callable[..., Any]:
            """Register `f(request, response)` for the response of this request; a truthy result replaces it."""

        def media_type(self) -> str:
            """Return the media type of the body, in lower case and without its parameters (RFC 9110 8.3.1)."""

        def declared_length(self) -> int:
            """Return the Content-Length; -1 when there is none but a body may come."""

        async def upgrade(self, headers: dict[str, str]) -> Any:
            """Switch protocols (RFC 9110 7.8): send `headers` with a 101, return the channel of the connection.

            Return `Response.already_handled` from the handler afterwards. docs/design.md describes channels.

            Raises:
                HTTPException: 501 when this host cannot.
            """

        @staticmethod
        async def create(
            app: Microdot, client_reader: Any, client_writer: Any, client_addr: Any, scheme: str | None = None
        ) -> "Request | None":
            """Read a request from a stream, leniently, as tests and old programs do; servers parse strictly."""

        def __init__(
            self,
            app: Microdot,
            client_addr: Any,
            method: str,
            url: str,
            http_version: str,
            headers: Any,
            body: bytes | None = None,
            stream: Any = None,
            sock: Any = None,
            url_prefix: str = "",
            subapp: Microdot | None = None,
            scheme: str | None = None,
            route: Callable[..., Any] | None = None,
        ) -> None: ...

    # Arguments that the native server does not give have no names here.
    def __init__(  # type: ignore[no-redef]
        self,
        app: "Microdot",
        client_addr: "Any",
        method: str,
        url: str,
        http_version: str,
        headers: "Any",
        *args: "Any",
        **named: "Any",
    ) -> None:
        self.app = app
        self.method = method
        self.url = url
        if http_version != "1.1":
            self.http_version = http_version
        self._headers = headers
        mark = url.find("?")
        if mark < 0:
            self.path = url
        else:
            self.path = url[:mark]
            self.query_string = url[mark + 1 :]
        if client_addr:
            self.client_addr = client_addr
        if args or named:
            from microdot.lazy import set_more

            set_more(self, *args, **named)

    def __getattr__(self, name: str) -> "Any":
        if name == "json":
            # Where its body was loaded: many boards are asked for nothing else.
            from microdot.body import parse

            return parse(self)
        from .lazy import attribute

        return attribute(self, name)


class Response:
    """An HTTP response.

    Args:
        body: str (sent as UTF-8), bytes, dict or list (sent as JSON), a file-like object, a sync or async iterator of str
            or bytes chunks, or None: with status 200 that means 204.
        status_code: the HTTP status.
        headers: a mapping of names to values; a list value makes one line per element.
        reason: the reason phrase; the standard one when left out.

    Raises:
        ValueError: a header or the reason has a CR, LF or NUL (RFC 9110 5.5), which would end the line it stands in.
    """

    #: Bytes per read of a file-like body.
    send_file_buffer_size = 1024
    #: The Content-Type of a response that has none; `; charset=UTF-8` is added when it names no charset.
    default_content_type = "text/plain"
    #: Seconds for `Cache-Control: max-age` of `send_file()`; None sends no such header.
    default_send_file_max_age: "int | None" = None

    is_head = False
    reason: "str | None" = None
    _headers: "Headers | None" = None
    # The Content-Type that the body has by its kind.
    _type: "str | None" = None

    if TYPE_CHECKING:
        #: File extensions and their media types, for `send_file()`. Add your own.
        types_map: dict[str, str]
        #: What a handler returns when it has answered by itself, after an upgrade: nothing more is written.
        already_handled: "Response"

        @classmethod
        def redirect(cls, location: str, status_code: int = 302) -> "Response":
            """Make a response that sends the client elsewhere.

            Args:
                location: the URL; what is not ASCII is percent-encoded (RFC 9110 10.2.2).
                status_code: 301, 302, 303, 307 or 308.

            Raises:
                ValueError: the URL has a control character.
            """

        @classmethod
        def send_file(
            cls,
            filename: str,
            status_code: int = 200,
            content_type: str | None = None,
            stream: Any = None,
            max_age: int | None = None,
            compressed: bool | str = False,
            file_extension: str = "",
        ) -> "Response":
            """Make a response of a file. The name is trusted: check what comes from a client, or use microdot-static.

            Args:
                filename: path of the file.
                status_code: the HTTP status.
                content_type: the media type; by default the one of the name's extension in `types_map`.
                stream: a file-like object to send instead of opening `filename`.
                max_age: seconds for `Cache-Control: max-age`.
                compressed: true when the file is gzipped already, or the name of its Content-Encoding.
                file_extension: added to the name when the file is opened, such as `.gz`.

            Raises:
                OSError: the file cannot be opened.
            """

        def set_cookie(
            self,
            cookie: str,
            value: str,
            path: str | None = None,
            domain: str | None = None,
            expires: Any = None,
            max_age: int | None = None,
            secure: bool = False,
            http_only: bool = False,
            partitioned: bool = False,
            same_site: str | None = None,
        ) -> None:
            """Add a cookie (RFC 6265).

            Args:
                cookie: the name, a token.
                value: the value.
                path: Path attribute.
                domain: Domain attribute.
                expires: a str taken as it is, or a datetime; an aware one is converted to GMT.
                max_age: seconds; 0 deletes.
                secure: Secure attribute.
                http_only: HttpOnly attribute.
                partitioned: Partitioned attribute.
                same_site: `"Strict"`, `"Lax"` or `"None"`.

            Raises:
                ValueError: a part would break out of its place; nothing is added.
            """

        def delete_cookie(self, cookie: str, **kwargs: Any) -> None:
            """Tell the browser to forget a cookie; takes the options of `set_cookie()` that it was set with."""

        def complete(self) -> None:
            """Add Content-Length and Content-Type where they are missing; hosts other than the native server need it."""

        async def write(self, stream: Any) -> None:
            """Write the response as HTTP/1.0 to an object with `async awrite(bytes)`."""

        def body_iter(self) -> AsyncIterator[bytes | str]:
            """Return an async iterator over the chunks of the body, which closes the body at its end."""

    def __init__(
        self,
        body: "Any" = b"",
        status_code: int = 200,
        headers: "Mapping[str, Any] | None" = None,
        reason: "str | None" = None,
    ) -> None:
        if body is None and status_code == 200:
            body = b""
            status_code = 204
        self.status_code = status_code
        if isinstance(body, str):
            body = body.encode()
        elif isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            self._type = "application/json"
        self.body = body
        if headers or reason is not None:
            from .headers import set_headers

            set_headers(self, headers, reason)

    def __getattr__(self, name: str) -> "Any":
        from .replies import attribute

        return attribute(self, name)

    @property
    def headers(self) -> "Headers":
        """The headers, a dict whose keys do not mind their case; a bad value raises ValueError."""
        if self._headers is None:
            self.headers = {}
        return self._headers  # type: ignore[return-value]

    @headers.setter
    def headers(self, headers: "Mapping[str, Any]") -> None:
        from .headers import set_headers

        set_headers(self, headers)

    def content_type(self) -> str:
        """Return the Content-Type of a response that was given none."""
        kind = self._type or self.default_content_type
        return kind if "charset=" in kind else kind + "; charset=UTF-8"

    def head(self, version: int, text: str, body: bytes = b"") -> bytes:
        """Return the status line and the headers, up to and with the empty line, and a body behind it.

        Args:
            version: minor version of HTTP, 0 or 1.
            text: complete header lines that the server adds (Date, Content-Length, Connection …).
            body: what is to follow.

        Raises:
            ValueError: a value would end its line.
        """
        status = self.status_code
        if self._headers is not None or self.reason is not None or status in (204, 304):
            from microdot.headers import head

            return head(self, version, text, body)
        line = b"HTTP/1.%d %d %s\r\nContent-Type: " % (version, status, port.REASONS.get(status, b"N/A"))
        # Joined, not formatted: that takes exactly the bytes, at once, which a heap in pieces may have when it has no more.
        return b"".join((line, self.content_type().encode(), b"\r\n", text.encode(), b"\r\n", body))


# What a handler returns when it has answered by itself.
Response.already_handled = Response()


def make_response(value: "Any") -> Response:
    """Make a `Response` of what a handler returned: body, status, (body, status), (body, status, headers), …"""
    if isinstance(value, Response):
        return value
    if isinstance(value, tuple):
        if len(value) < 2 or not isinstance(value[1], int) or isinstance(value[0], Response):
            from .headers import make_response as make_unusual

            return make_unusual(value)
        return Response(*value[:3])
    return Response(b"", value) if isinstance(value, int) else Response(value)


if port.SERVER:
    port.tune(globals())  # larger limits, and a memory for heads
