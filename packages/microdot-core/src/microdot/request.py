"""Requests. Whatever a program may not ask for is made when it does."""

from .runtime import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .app import Microdot
    from .datastructures import MultiDict, NoCaseDict
    from .routing import Route


class _G:
    """Attributes that a program keeps with a request."""


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
    max_head_length = port.MAX_HEAD_LENGTH
    #: How many header lines are accepted (431).
    max_headers = port.MAX_HEADERS

    G = _G

    #: The dictionary of path arguments, None before a route was found.
    url_args: "dict[str, Any] | None" = None
    #: The host's side of the request: see docs/design.md, "The seam for hosts".
    connection: "Any" = None
    #: Seconds that before hooks and handler may take; 0 is no limit. An `admit` hook sets it.
    timeout: float = 0
    #: The body while it has not been loaded: an object with `async read(n)`.
    pending: "Any" = None
    #: The entry of the route table, None before a route was found.
    matched: "Route | None" = None
    url_prefix = ""
    subapp: "Microdot | None" = None
    scheme = "http"
    route: "Callable[..., Any] | None" = None
    body_used = False
    _client_addr: "Any" = None
    _length: "int | None" = None  # of the body, -1 when it is chunked, None when it is to be read from the headers
    _sock: "Any" = None
    _body = b""
    _stream: "Any" = None
    _g: "Any" = None
    _args: "Any" = None
    _json: "Any" = None
    _form: "Any" = None
    _files: "Any" = None
    _cookies: "dict[str, str] | None" = None
    _after: "list[Callable[..., Any]] | None" = None

    def __init__(
        self,
        app: "Microdot",
        client_addr: "Any",
        method: str,
        url: str,
        http_version: str,
        headers: "Any",
        body: "bytes | None" = None,
        stream: "Any" = None,
        sock: "Any" = None,
        url_prefix: str = "",
        subapp: "Microdot | None" = None,
        scheme: "str | None" = None,
        route: "Callable[..., Any] | None" = None,
    ) -> None:
        self.app = app
        self.method = method
        self.url = url
        self.http_version = http_version
        self._headers = headers
        at = url.find("?")
        if at < 0:
            self.path = url
            self.query_string: "str | None" = None
        else:
            self.path = url[:at]
            self.query_string = url[at + 1 :]
        if client_addr is not None:
            self._client_addr = client_addr
        if body:
            self._body = body
        elif stream is not None:
            self.pending = stream
        if sock is not None:
            self._sock = sock
        if url_prefix:
            self.url_prefix = url_prefix
        if subapp is not None:
            self.subapp = subapp
        if scheme:
            self.scheme = scheme
        if route is not None:
            self.route = route

    @property
    def client_addr(self) -> "Any":
        """(host, port) of the client."""
        if self._client_addr is None and self.connection is not None:
            address = self.connection.info("peername")
            # An IPv6 peername has four parts; two are asked for.
            self._client_addr = address[:2] if isinstance(address, tuple) else address
        return self._client_addr

    @property
    def headers(self) -> "NoCaseDict":
        """The header fields; repeated ones are joined (RFC 9110 5.3)."""
        if isinstance(self._headers, bytes):
            from .datastructures import parse_headers

            self._headers = parse_headers(self._headers)
        headers: "NoCaseDict" = self._headers
        return headers

    def declared_length(self) -> int:
        """Return the Content-Length; -1 when there is none but a body may come.

        Raises:
            HTTPException: 400 when it is no number.
        """
        if self._length is not None:
            return self._length
        value = self.headers.get("Content-Length")
        if value is None or value == "":
            return -1
        if not value.isdigit():
            from .head import bad

            raise bad("Bad Content-Length")
        return int(value)

    @property
    def content_length(self) -> int:
        """The declared length of the body in bytes, 0 when there is none."""
        return max(self.declared_length(), 0)

    @property
    def content_type(self) -> "str | None":
        """The Content-Type header as it is."""
        value: "str | None" = self.headers.get("Content-Type")
        return value

    def media_type(self) -> str:
        """Return the media type of the body, in lower case and without its parameters (RFC 9110 8.3.1)."""
        return (self.content_type or "").split(";")[0].strip().lower()

    @property
    def cookies(self) -> "dict[str, str]":
        """The cookies by name."""
        if self._cookies is None:
            from .datastructures import parse_cookies

            self._cookies = parse_cookies(self.headers.get("Cookie", ""))
        return self._cookies

    @property
    def args(self) -> "MultiDict":
        """The query string's values by name.

        Raises:
            BadRequest: it is malformed; answered 400.
        """
        if self._args is None:
            from .datastructures import parse_urlencoded

            self._args = parse_urlencoded(self.query_string or "")
        args: "MultiDict" = self._args
        return args

    @property
    def g(self) -> "Any":
        """An object for attributes of the program's own."""
        if self._g is None:
            self._g = Request.G()
        return self._g

    @property
    def body(self) -> bytes:
        """The body; empty when there is none or when it is to be read from `stream`."""
        return self._body

    @property
    def stream(self) -> "Any":
        """The body as an async stream: `read(n)`, `readexactly(n)`, `readline()`, `readuntil(separator)`."""
        if self._stream is None:
            if self.pending is not None:
                return self.pending
            from .body import AsyncBytesIO

            self._stream = AsyncBytesIO(self._body)
        return self._stream

    def set_body(self, body: bytes) -> None:
        """Give the request its body, loaded by the host's seam."""
        self._body = body

    def set_stream(self, stream: "Any") -> None:
        """Give the request a stream to read its body from."""
        self._stream = stream

    @property
    def json(self) -> "Any":
        """The body as JSON, None when its media type is another.

        Raises:
            BadRequest: it is malformed; answered 400.
        """
        if self._json is None:
            kind = self.media_type()
            if kind != "application/json" and not (kind[:12] == "application/" and kind[-5:] == "+json"):
                return None
            from .datastructures import parse_json

            self._json = (parse_json(self._body),)
        return self._json[0]

    @property
    def form(self) -> "Any":
        """The fields of an URL-encoded form, or those that microdot-multipart read; None when there is no form.

        Raises:
            BadRequest: it is malformed; answered 400.
        """
        if self._form is None and self.media_type() == "application/x-www-form-urlencoded":
            from .datastructures import parse_urlencoded

            self._form = parse_urlencoded(self._body)
        return self._form

    @form.setter
    def form(self, form: "Any") -> None:
        self._form = form

    @property
    def files(self) -> "Any":
        """The uploads that microdot-multipart read, None without it."""
        return self._files

    @files.setter
    def files(self, files: "Any") -> None:
        self._files = files

    @property
    def sock(self) -> "Any":
        """(reader, writer) of the connection. The core goes on reading it: use `upgrade()` to take it over."""
        if self._sock is None and self.connection is not None:
            from .body import Channel

            channel = Channel(self.connection)
            self._sock = (channel, channel)
        return self._sock

    @property
    def after_request_handlers(self) -> "list[Callable[..., Any]]":
        """What runs on the response of this request alone."""
        if self._after is None:
            self._after = []
        return self._after

    def after_request(self, f: "Callable[..., Any]") -> "Callable[..., Any]":
        """Register `f(request, response)` to run on the response of this request; a truthy result replaces it."""
        self.after_request_handlers.append(f)
        return f

    async def upgrade(self, headers: "dict[str, str]") -> "Any":
        """Switch protocols (RFC 9110 7.8) and take the connection over.

        Args:
            headers: of the 101 response.

        Returns:
            the channel: see docs/design.md, "The seam for hosts". Return `Response.already_handled` afterwards.

        Raises:
            HTTPException: 501 when this host cannot.
        """
        upgrade = getattr(self.connection, "upgrade", None)
        if upgrade is None:
            from .head import bad

            raise bad("This server cannot upgrade", 501)
        return await upgrade(self, headers)

    @staticmethod
    async def create(
        app: "Microdot", client_reader: "Any", client_writer: "Any", client_addr: "Any", scheme: "str | None" = None
    ) -> "Request | None":
        """Read a request from a stream, leniently, as tests and old programs do; servers use the strict parser."""
        from .compat import create_request

        return await create_request(app, client_reader, client_writer, client_addr, scheme)
