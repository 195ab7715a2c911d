"""Names that only programs written for Microdot use. Nothing else in this package imports this module."""

from .errors import allowed, find, matching
from .handlers import error_response, mro as mro
from .http import HTTPException as HTTPException, Request, Response, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .app import Microdot

#: Numbers of the OSErrors that mean that the client has gone.
MUTED_SOCKET_ERRORS = [32, 54, 104, 128]


def _repr(exc: HTTPException) -> str:
    return "HTTPException: %d" % exc.status_code


HTTPException.__repr__ = _repr  # type: ignore[method-assign, assignment]


async def invoke_handler(handler: "Callable[..., Any]", *args: "Any", **kwargs: "Any") -> "Any":
    """Call a handler: a coroutine function in the loop, another on CPython in a thread."""
    return await port.call(handler, *args, **kwargs)


def iscoroutine(obj: object) -> bool:
    """Tell whether `obj` is a coroutine."""
    return port.iscoroutine(obj)


def print_exception(exc: BaseException) -> None:
    """Print a traceback."""
    port.print_exception(exc)


async def create_request(
    app: "Microdot", client_reader: "Any", client_writer: "Any", client_addr: "Any", scheme: "str | None" = None
) -> "Request | None":
    """Do what `Request.create()` says.

    Raises:
        ValueError: a line is too long or malformed.
    """
    from .headers import NoCaseDict

    async def read_line() -> str:
        line: bytes = await client_reader.readline()
        if len(line) > Request.max_readline:
            raise ValueError("line too long")
        return line.strip().decode()

    line = await read_line()
    if not line:
        return None
    method, url, version = line.split()
    version = version.split("/", 1)[1]
    headers = NoCaseDict()
    while True:
        line = await read_line()
        if not line:
            break
        name, value = line.split(":", 1)
        headers[name] = value.strip()
    length = int(headers.get("Content-Length", "0"))
    body = b""
    stream = None
    if length and length <= Request.max_body_length:
        body = await client_reader.readexactly(length)
    elif length:
        stream = client_reader
    request = Request(
        app, client_addr, method, url, version, headers, body, stream, (client_reader, client_writer), scheme=scheme
    )
    if stream is not None:
        request.stream = stream
    return request


async def write(response: Response, stream: "Any") -> None:
    """Do what `Response.write()` says."""
    response.complete()
    chunks: "Any" = response.body_iter()
    try:
        reason = response.reason
        if reason is None:
            reason = "OK" if response.status_code == 200 else "N/A"
        text = "HTTP/1.0 %d %s\r\n" % (response.status_code, reason)
        headers = response.headers
        for name in headers:
            value = headers[name]
            for one in value if isinstance(value, list) else (value,):
                text += "%s: %s\r\n" % (name, one)
        await stream.awrite((text + "\r\n").encode())
        if not response.is_head:
            async for chunk in chunks:
                await stream.awrite(chunk.encode() if isinstance(chunk, str) else chunk)
    except OSError as exc:
        if exc.args and exc.args[0] not in MUTED_SOCKET_ERRORS and exc.args[0] != "Connection lost":
            raise
    finally:
        if hasattr(chunks, "aclose"):
            await chunks.aclose()


def default_options_handler(app: "Microdot", req: Request) -> "dict[str, str]":
    """Return the headers of the answer to OPTIONS: the methods of all routes that match the path."""
    return {"Allow": allowed(app, matching(app, req.path))}


def find_route(app: "Microdot", req: Request) -> "tuple[Any, str, Any]":
    """Return (handler, prefix, sub-app) for a request; the handler is a status when there is none."""
    try:
        method = req.method.upper()
        app.hooks  # an application that has them has a `Route` for whatever is found
        handler, route, args = (None if method == "OPTIONS" else app.find(req.path, method)) or find(app, req)
    except HTTPException as exc:
        return exc.status_code, req.url_prefix, req.subapp
    req.url_args = args
    return handler, route.url_prefix, route.subapp


def get_request_handlers(app: "Microdot", req: Request, attr: str, local_first: bool = True) -> "list[Any]":
    """Return the handlers of the app and of the request's sub-app."""
    handlers: "list[Any]" = getattr(app, attr + "_handlers")
    if req is not None and req.subapp is not None:
        own = getattr(req.subapp, attr + "_handlers")
        handlers = own + handlers if local_first else handlers + own
    return handlers


async def handle_request(app: "Microdot", reader: "Any", writer: "Any") -> None:
    """Answer one request of a stream, as HTTP/1.0, and close it."""
    request = None
    try:
        request = await create_request(app, reader, writer, writer.get_extra_info("peername"))
    except OSError as exc:
        if exc.args[0] not in MUTED_SOCKET_ERRORS:
            raise
    except Exception as exc:
        port.print_exception(exc)
    response = await app.dispatch(request, None if request else HTTPException(400, "Bad request"))
    try:
        if response is not Response.already_handled:
            await response.write(writer)
        await writer.aclose()
    except OSError as exc:
        if exc.args[0] not in MUTED_SOCKET_ERRORS:
            raise
    app.finish(request, response, None)


class _UrlMap(list):  # type: ignore[type-arg]  # boards have no list[…]
    """The routes as a list; libraries append to it what they want to answer."""

    def __init__(self, app: "Microdot") -> None:
        from .patterns import URLPattern

        super().__init__()
        self.app = app
        for route in app.routes:
            super().append((list(route.methods), URLPattern(route.pattern), route.handler, route.url_prefix, route.subapp))

    def append(self, entry: "tuple[Any, ...]") -> None:
        """Add a route: methods, pattern, handler, and what need not be there."""
        super().append(entry)
        self.app.add_route(entry[1].url_pattern, tuple(entry[0]), entry[2], port.caller(entry[2]))


def url_map(app: "Microdot") -> "list[Any]":
    """Return all routes as tuples of methods, pattern, handler, prefix and sub-app."""
    return _UrlMap(app)


async def dispatch_request(app: "Microdot", req: "Request | None") -> Response:
    """Do what `Microdot.dispatch_request()` says."""
    from .app import Microdot

    return await Microdot.dispatch(app, req, None if req else HTTPException(400, "Bad request"))  # the class's: that of an application may be what calls this


_METHODS: "dict[str, Callable[..., Any]]" = {
    "dispatch_request": dispatch_request,
    "find_route": find_route,
    "get_request_handlers": get_request_handlers,
    "handle_request": handle_request,
    "error_response": error_response,
    "default_options_handler": default_options_handler,
    # Not assigned by anybody, it is the default one; None makes OPTIONS a method like others.
    "options_handler": default_options_handler,
}


def attribute(app: "Microdot", name: str) -> "Any":
    """Find an attribute that `Microdot` itself does not have.

    Raises:
        AttributeError: there is none.
    """
    if name in _METHODS:
        method = _METHODS[name]
        return lambda *args, **kwargs: method(app, *args, **kwargs)
    if name == "ssl":
        return False
    if name == "url_map":
        return url_map(app)
    if name == "url_for":
        from .patterns import url_for

        return lambda handler, **args: url_for(app, handler, args)
    raise AttributeError("Microdot has no attribute " + name)
