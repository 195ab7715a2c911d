"""What most programs never ask of a request or a response, made when they do."""

from .datastructures import (
    Headers,
    MultiDict,
    check_value,
    parse_cookies,
    parse_headers,
    parse_json,
    parse_urlencoded,
)
from .http import HTTPException, Request, Response, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class G:
    """Attributes that a program keeps with a request."""


async def _create(
    app: "Any", client_reader: "Any", client_writer: "Any", client_addr: "Any", scheme: "str | None" = None
) -> "Request | None":
    from .compat import create_request

    return await create_request(app, client_reader, client_writer, client_addr, scheme)


# A class has no lazy attributes, so these are put there; the facade loads this module with `Request`.
Request.G = G
Request.create = staticmethod(_create)  # type: ignore[method-assign, assignment]


def _headers(request: Request) -> "Any":
    raw = request._headers
    return parse_headers(raw) if isinstance(raw, bytes) else raw


def _client_addr(request: Request) -> "Any":
    address = peer(request.connection)
    # An IPv6 peername has four parts; two are asked for.
    return address[:2] if isinstance(address, tuple) else address


def peer(connection: "Any") -> "Any":
    """Return the address of a host's client, None when it does not know."""
    if hasattr(connection, "info"):
        return connection.info("peername")
    address = getattr(connection, "peer", None)
    if isinstance(address, bytes):  # MicroPython's unix port gives a raw sockaddr
        import socket

        parts = socket.sockaddr(address)  # type: ignore[attr-defined]
        address = ".".join([str(b) for b in parts[1]]), parts[2]
    return address


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


def media_type(request: Request) -> str:
    """Return the media type of the body, in lower case and without its parameters (RFC 9110 8.3.1)."""
    return (request.content_type or "").split(";")[0].strip().lower()


def _json(request: Request) -> "Any":
    kind = media_type(request)
    if kind == "application/json" or kind[:12] == "application/" and kind[-5:] == "+json":
        return parse_json(request.body)
    return None


def _form(request: Request) -> "MultiDict | None":
    if media_type(request) == "application/x-www-form-urlencoded":
        return parse_urlencoded(request.body)
    return None


def _stream(request: Request) -> "Any":
    if request.pending is not None:
        return request.pending
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
    from .streams import Channel

    channel = Channel(request.connection)
    return channel, channel


def after_request(request: Request, f: "Callable[..., Any]") -> "Callable[..., Any]":
    """Register `f(request, response)` for the response of this request."""
    request.after_request_handlers.append(f)
    return f


async def upgrade(request: Request, headers: "dict[str, str]") -> "Any":
    """Do what `Request.upgrade()` says."""
    host_upgrade = getattr(request.connection, "upgrade", None)
    if host_upgrade is None:
        raise HTTPException(501, "This server cannot upgrade")
    return await host_upgrade(request, headers)


# Attributes are made by these and kept; methods are bound anew.
_ATTRIBUTES = {
    "headers": _headers,
    "client_addr": _client_addr,
    "content_length": lambda request: max(declared_length(request), 0),
    "content_type": lambda request: request.headers.get("Content-Type"),
    "cookies": lambda request: parse_cookies(request.headers.get("Cookie", "")),
    "args": lambda request: parse_urlencoded(request.query_string or ""),
    "json": _json,
    "form": _form,
    "files": lambda request: None,
    "stream": _stream,
    "g": _g,
    "after_request_handlers": _after_request_handlers,
    "sock": _sock,
    "url_args": lambda request: None,
    "body_used": lambda request: False,
}
_METHODS = {
    "after_request": after_request,
    "media_type": media_type,
    "declared_length": declared_length,
    "upgrade": upgrade,
}


class Bound:
    """A function with its first argument: boards have no functools.partial."""

    def __init__(self, function: "Callable[..., Any]", first: "Any") -> None:
        self._function = function
        self._first = first

    def __call__(self, *args: "Any", **kwargs: "Any") -> "Any":
        return self._function(self._first, *args, **kwargs)


def request_attribute(request: Request, name: str) -> "Any":
    """Make an attribute of a request; AttributeError when there is none of that name."""
    make = _ATTRIBUTES.get(name)
    if make is not None:
        value = make(request)
        setattr(request, name, value)
        return value
    if name in _METHODS:
        return Bound(_METHODS[name], request)
    raise AttributeError("Request has no attribute " + name)


def response_attribute(response: Response, name: str) -> "Any":
    """Find a method of a response in replies.py; AttributeError when there is none."""
    if name[:1] != "_":
        from .replies import METHODS

        if name in METHODS:
            return Bound(METHODS[name], response)
    raise AttributeError("Response has no attribute " + name)


def set_headers(response: Response, headers: "Mapping[str, Any]") -> None:
    """Give a response its headers."""
    own = Headers(headers)
    if response._type:
        own["Content-Type"] = response._type
    response._headers = own


def check_response(response: Response, headers: "Mapping[str, Any] | None", reason: "str | None") -> None:
    """Give a new response its headers and reason, and refuse what would end a line where it was given."""
    if reason is not None:
        check_value(reason)
        response.reason = reason
    if headers:
        response.headers = headers


def full_head(response: Response, minor: int, lines: str) -> bytes:
    """Do what `Response.head()` says, with headers and a reason of the response's own."""
    status = response.status_code
    text = "HTTP/1.%d %d %s\r\n" % (minor, status, port.reason(status) if response.reason is None else response.reason)
    count = lines.count("\n") + 2
    typed = status == 204 or status == 304
    headers = response.headers
    for name in headers:
        lower = name.lower()
        # What frames the message is the server's to say (RFC 9112 6).
        if lower in ("content-length", "transfer-encoding", "connection"):
            continue
        if lower == "content-type":
            typed = True
        elif lower == "date" and lines[:6] == "Date: ":
            lines = lines[lines.find("\n") + 1 :]
            count -= 1
        value = headers[name]
        for one in value if isinstance(value, list) else (value,):
            text += "%s: %s\r\n" % (name, one)
            count += 1
    if not typed:
        text += "Content-Type: %s\r\n" % response.content_type()
        count += 1
    text += lines + "\r\n"
    # Values are checked where they are set; this catches what came another way (an assigned reason, a list, a default).
    if text.count("\n") != count or text.count("\r") != count or "\0" in text:
        raise ValueError("response header: CR, LF or NUL in a value")
    return text.encode()
