"""What most programs never ask of a request, made when they do."""

from .http import HTTPException, Request, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .app import Microdot
    from .datastructures import MultiDict


if not hasattr(Request, "G"):

    class G:
        """Attributes that a program keeps with a request."""

    Request.G = G


def _headers(request: Request) -> "Any":
    raw = request._headers
    if isinstance(raw, bytes):
        from .headers import parse_headers

        raw = parse_headers(raw)
    return raw


def set_more(
    request: Request,
    body: "bytes | None" = None,
    stream: "Any" = None,
    sock: "Any" = None,
    url_prefix: str = "",
    subapp: "Microdot | None" = None,
    scheme: "str | None" = None,
    route: "Callable[..., Any] | None" = None,
) -> None:
    """Set what the native server does not give when it makes a request: the further arguments of `Request`."""
    if body:
        request.body = body
    elif stream is not None:
        request.pending = stream
    if sock:
        request.sock = sock
    if url_prefix:
        request.url_prefix = url_prefix
    if subapp:
        request.subapp = subapp
    if scheme:
        request.scheme = scheme
    if route:
        request.route = route


def declared_length(request: Request) -> int:
    """Return the Content-Length; -1 when there is none but a body may come.

    Raises:
        HTTPException: 400 when it is no number.
    """
    value = request.headers.get("Content-Length")
    if not value:
        return -1
    if not value.isdigit():
        raise HTTPException(400, "Bad request")
    return int(value)


# In a program whose requests have no bodies nothing else needs that module.
def _content_type(request: Request) -> "str | None":
    from .body import content_type

    return content_type(request)


def media_type(request: Request) -> str:
    """Return the media type of the body, in lower case and without its parameters (RFC 9110 8.3.1)."""
    from .body import media_type

    return media_type(request)


def _values(data: "str | bytes") -> "MultiDict":
    from microdot.datastructures import parse_urlencoded

    try:
        return parse_urlencoded(data)
    except ValueError:
        from .errors import BadRequest

        raise BadRequest("Malformed query or form")


def _form(request: Request) -> "MultiDict | None":
    return _values(request.body) if media_type(request) == "application/x-www-form-urlencoded" else None


def _cookies(request: Request) -> "dict[str, str]":
    cookies: "dict[str, str]" = {}
    header = request.headers.get("Cookie")
    for cookie in header.split(";") if header else ():  # of two with one name the last counts
        name, _, value = cookie.strip().partition("=")
        cookies[name] = value
    return cookies


def _stream(request: Request) -> "Any":
    from .streams import AsyncBytesIO

    return AsyncBytesIO(request.body)


def _g(request: Request) -> "Any":
    request._extras = True
    return Request.G()


def _after_request_handlers(request: Request) -> "list[Any]":
    request._extras = True
    return []


def _sock(request: Request) -> "Any":
    if request.connection is None:
        return None
    from .streams import Sock

    sock = Sock(request.connection)
    return sock, sock


def peer(connection: "Any") -> "Any":
    """Return the address of a host's client, None when it does not know."""
    if hasattr(connection, "info"):
        address = connection.info("peername")
        # That of IPv6 has four parts; two are asked for.
        return address[:2] if isinstance(address, tuple) else address
    address = getattr(connection, "peer", None)
    if isinstance(address, (bytes, bytearray)):  # MicroPython's unix port gives a raw sockaddr
        import socket

        parts = socket.sockaddr(address)  # type: ignore[attr-defined]
        address = ".".join([str(b) for b in parts[1]]), parts[2]
    return address


def after_request(request: Request, f: "Callable[..., Any]") -> "Callable[..., Any]":
    """Register `f(request, response)` for the response of this request."""
    request.after_request_handlers.append(f)
    return f


async def upgrade(request: Request, headers: "dict[str, str]") -> "Any":
    """Do what `Request.upgrade()` says."""
    from .channel import upgrade

    return await upgrade(request, headers)


def _scheme(request: Request) -> str:
    server = getattr(request.connection, "server", None)
    return "https" if server is not None and server.ssl else "http"


# Attributes are made once and kept; methods are bound when they are asked for.
_ATTRIBUTES: "dict[str, Callable[[Request], Any]]" = {
    "headers": _headers,
    "content_type": _content_type,
    "content_length": lambda request: max(declared_length(request), 0),
    "client_addr": lambda request: peer(request.connection),
    "cookies": _cookies,
    "args": lambda request: _values(request.query_string or ""),
    "form": _form,
    "files": lambda request: None,
    "stream": lambda request: request.pending or _stream(request),
    "g": _g,
    "after_request_handlers": _after_request_handlers,
    "sock": _sock,
    "body_used": lambda request: False,
    "scheme": _scheme,
}
# What a request has that was given nothing else.
_DEFAULTS: "dict[str, Any]" = {
    "timeout": 0,
    "matched": None,
    "query_string": None,
    "url_prefix": "",
    "subapp": None,
    "route": None,
    "url_args": None,
}
_METHODS: "dict[str, Callable[..., Any]]" = {
    "after_request": after_request,
    "media_type": media_type,
    "declared_length": declared_length,
    "upgrade": upgrade,
}


def attribute(request: Request, name: str) -> "Any":
    """Make an attribute of a request; AttributeError when there is none of that name."""
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    make = _ATTRIBUTES.get(name)
    if make:
        value = make(request)
        setattr(request, name, value)
        return value
    if name in _METHODS:
        method = _METHODS[name]
        return lambda *args: method(request, *args)
    raise AttributeError("Request has no attribute " + name)
