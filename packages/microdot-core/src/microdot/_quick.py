"""What CPython does a quicker way than boards: attributes of requests, header fields, bodies, query strings and forms.

A board saves bytes; a server sees the same names and the same heads again and again, and has memory to keep what it made of
them. Each function does what its namesake in `headers.py`, `body.py`, `bodies.py` or `datastructures.py` says, and leaves
what is out of the ordinary to that one, whose place it takes: `_cpython.tune()` loads this module with the application. A test compares the two.
"""

import re
from asyncio import CancelledError
from errno import ECONNRESET
from functools import lru_cache
from json import dumps
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from . import bodies, body, datastructures, headers, incoming, lazy, methods, named, replies
from ._cpython import REASONS
from .app import Microdot
from .headers import Headers, NoCaseDict, check_value, decode, set_headers
from .http import Request, Response, is_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .server import Connection

# What they stand in for: they are called from here, and by the test.
_make_response = Response.__init__
_make_headers = Headers.__init__
_set_item = Headers.__setitem__
_head = headers.head
_send = bodies.send
_load = body.load
_Incoming = incoming.Incoming
_media_type = body.media_type
_parse_headers = headers.parse_headers
_parse_urlencoded = datastructures.parse_urlencoded
_ascii_url = replies.ascii_url

_set = dict.__setitem__
# What percent signs stand for, by their two digits.
_BYTES = {(a + b).encode(): bytes((int(a + b, 16),)) for a in "0123456789ABCDEFabcdef" for b in "0123456789ABCDEFabcdef"}
# A percent sign without its two digits.
_MALFORMED = re.compile("%(?![0-9A-Fa-f]{2})").search
# A URL that may stand in a header as it is.
_PLAIN_URL = re.compile("[!-~]*").fullmatch
# What frames a message is the server's to say (RFC 9112 6).
_FRAMING = frozenset(("content-length", "transfer-encoding", "connection"))


# Responses -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _lower(name: str) -> str:
    """Return the name of a field in lower case; one that is no token raises ValueError. Programs set the same few."""
    if not is_token(name.encode()):
        raise ValueError("response header: bad name %r" % name)
    return name.lower()


def set_item(self: Headers, key: str, value: Any) -> None:
    """Do what `Headers.__setitem__()` says."""
    lower = _lower(key)
    if type(value) is str:
        if "\n" in value or "\r" in value or "\0" in value:
            check_value(value)
    else:
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str):
                check_value(one)
    _set(self, self.keymap.setdefault(lower, key), value)


def make_headers(self: Headers, initial_dict: "Mapping[str, Any] | None" = None) -> None:
    """Do what `Headers.__init__()` says."""
    if type(self) is not Headers or initial_dict and type(initial_dict) is not dict:
        _make_headers(self, initial_dict)
        return
    keymap: "dict[str, str]" = {}
    self.keymap = keymap
    if initial_dict:
        for key, value in initial_dict.items():
            if type(value) is not str or "\n" in value or "\r" in value or "\0" in value:
                set_item(self, key, value)
            else:
                _set(self, keymap.setdefault(_lower(key), key), value)


def merge(self: NoCaseDict, other: Any) -> NoCaseDict:
    """Take the items of another mapping: `headers |= {…}`, which dict would do without asking `__setitem__()`."""
    self.update(other)
    return self


def get_headers(response: Response) -> NoCaseDict:
    """Return the headers, a dict whose keys do not mind their case; a bad value raises ValueError."""
    own = response._headers
    if own is None:
        own = response._headers = Headers()
        if response._type:
            own["Content-Type"] = response.content_type()
    return own


def make_response(
    self: Response,
    body: Any = b"",
    status_code: int = 200,
    headers: "Mapping[str, Any] | None" = None,
    reason: "str | None" = None,
) -> None:
    """Do what `Response.__init__()` says."""
    if isinstance(body, str):
        body = body.encode()
    elif isinstance(body, (dict, list)):
        body = dumps(body).encode()
        self._type = "application/json"
    elif body is None and status_code == 200:
        body = b""
        status_code = 204
    self.body = body
    self.status_code = status_code
    if headers or reason is not None:
        set_headers(self, headers, reason)


def ascii_url(location: str) -> str:
    """Do what `replies.ascii_url()` says."""
    return location if _PLAIN_URL(location) else _ascii_url(location)


def _redirect(cls: "type[Response]", location: str, status_code: int = 302) -> Response:
    return replies.redirect(cls, location, status_code)


@lru_cache(maxsize=64)
def _status_line(version: int, status: int) -> str:
    return "HTTP/1.%d %d %s" % (version, status, REASONS.get(status, b"N/A").decode())


def head(response: Response, version: int, extra: str, body: bytes = b"") -> bytes:
    """Do what `headers.head()` says."""
    own = response._headers
    if type(own) is not Headers or response.reason is not None or "date" in own.keymap:
        return _head(response, version, extra, body)
    status = response.status_code
    lines = [_status_line(version, status)]
    for name, value in own.items():
        lower = name.lower()
        if lower in _FRAMING:
            continue
        if type(value) is str and lower != "set-cookie":
            lines.append(f"{name}: {value}")
            continue
        for one in value if isinstance(value, list) else (value,):
            if lower == "set-cookie" and len(str(one).split(";")[0]) + 10 > Request.max_readline:
                return _head(response, version, extra, body)  # which refuses it
            lines.append(f"{name}: {one!s}")
    if "content-type" not in own.keymap and status != 204 and status != 304:
        lines.append("Content-Type: " + response.content_type())
    text = "\r\n".join(lines)
    # Values are checked where they are set; this catches what came another way (a list, a default).
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        return _head(response, version, extra, body)  # which refuses it
    return f"{text}\r\n{extra}\r\n".encode() + body


async def stream(
    connection: "Connection", response: Response, chunks: bodies.BodyIterator, head: bytes, length: "int | None"
) -> None:
    """Do what `bodies.send()` says: chunks of iterators take fewer steps here.

    An asynchronous body that has `take_writer(put)` may give chunks by `put(data)` while it has this wait for the next one: they
    leave at once. That returns None when the body is to give it as the next one instead; else as `Link.write()` does: True
    when the next one is to follow now, an empty one if there is none, so that the client is waited for.
    """
    body = chunks._body
    plain = chunks._next == chunks._step
    if length is not None or not (plain or chunks._next is None) or b"Transfer-Encoding: chunked\r\n" not in head:
        await _send(connection, response, chunks, head, length)
        return
    connection.watch = bodies.watch(connection, body)
    write = connection.write_soon
    sent = 0
    take_writer = None if plain else getattr(body, "take_writer", None)

    def put(data: bytes) -> "bool | None":
        nonlocal sent
        if connection.blocked or connection.eof:
            return None
        try:
            full = connection.write(b"%x\r\n%b\r\n" % (len(data), data))
        except OSError:
            return None
        sent += len(data)
        return full

    try:
        if write(head):
            await connection.flush()
        if take_writer is not None:
            take_writer(put)
        while True:
            if plain:
                chunk = next(body, None)
                if chunk is None:
                    break
            else:
                try:
                    chunk = await body.__anext__()
                except StopAsyncIteration:
                    break
            data = chunk.encode() if isinstance(chunk, str) else chunk
            if not data:
                if connection.blocked:
                    await connection.flush()
                continue  # a chunk of no length would end the body (RFC 9112 7.1)
            size = len(data)
            if write(b"%x\r\n%b\r\n" % (size, data if type(data) is bytes else bytes(data))):
                await connection.flush()
            sent += size
        connection.watch = None
        if write(b"0\r\n\r\n"):
            await connection.flush()
    except CancelledError:
        # The connection cancels its own task when the peer goes while somebody else is awaited.
        if not connection.eof:
            raise
        raise OSError(ECONNRESET, "") from None
    finally:
        connection.watch = None
        if take_writer is not None:
            take_writer(None)
        response.bytes_sent = sent  # type: ignore[attr-defined]


# Bodies and fields of a request --------------------------------------------------------------------------------------------------


async def load(request: Request) -> None:
    """Do what `body.load()` says: one that has come already is there in one step, a long one is not copied piece by piece."""
    connection = request.pending
    left = getattr(connection, "left", -1)
    if left < 0 or left > request.max_body_length or left > request.max_content_length:
        await _load(request)
        return
    data = connection.buffer
    if left <= len(data):
        connection.buffer = data[left:]
        data = data[:left]
    elif hasattr(connection, "read_long"):
        connection.left = -1  # in case that this fails
        data = await connection.read_long(left)
    else:
        await _load(request)
        return
    request.body = data
    connection.left = 0
    request.pending = None


class Incoming(incoming.Incoming):
    """Does what `incoming.Incoming` says: a long body comes in large pieces, of which what is read is copied, and not the rest."""

    _piece = b""  # taken out of the connection's buffer
    _at = 0  # where in it begins what was not read

    async def more(self, n: int) -> bytes:
        """Read at most `n` bytes as they come; empty at the end."""
        piece = self._piece
        at = self._at
        if not piece:
            connection = self._connection
            left = connection.left
            if left <= 0:
                return await super().more(n)
            piece = connection.buffer
            if not piece:
                connection.read_size(left)
                try:
                    await body.wait(connection)
                finally:
                    connection.read_size()
                piece = connection.buffer
            connection.buffer = piece[left:]
            piece = piece[:left]
            connection.left = left - len(piece)
        end = at + n
        if end < len(piece):
            self._piece = piece
            self._at = end
            return piece[at:end]
        self._piece = b""
        self._at = 0
        return piece[at:]


class _Spellings(dict[bytes, "tuple[str, str]"]):
    """Names of fields in lower case and as they are: clients send the same few again and again."""

    def __missing__(self, name: bytes) -> "tuple[str, str]":
        if len(self) > 255:
            self.clear()
        text = name.decode()
        self[name] = both = text.lower(), text
        return both


_spellings = _Spellings()


@lru_cache(maxsize=128)
def _fields(lines: bytes) -> "tuple[dict[str, str], dict[str, str]]":
    """Return the names by their lower case, and the values by name. Clients repeat their heads with every request."""
    keymap: "dict[str, str]" = {}
    values: "dict[str, str]" = {}
    for line in lines.split(b"\n"):
        raw, colon, data = line.partition(b":")
        if not raw or not colon:
            continue
        lower, name = _spellings[raw]
        value = decode(data.strip(b" \t\r"))
        if lower in keymap:
            name = keymap[lower]
            value = values[name] + ("; " if lower == "cookie" else ", ") + value
        else:
            keymap[lower] = name
        values[name] = value
    return keymap, values


def parse_headers(fields: bytes) -> NoCaseDict:
    """Do what `headers.parse_headers()` says."""
    keymap, values = _fields(fields)
    # A copy, which programs may change: not made one by one, because nothing is to be looked up.
    result = NoCaseDict.__new__(NoCaseDict)
    result.keymap = keymap.copy()
    dict.update(result, values)
    return result


@lru_cache(maxsize=128)
def _type_in(lines: bytes) -> str:
    return _media_type(SimpleNamespace(_headers=lines))  # type: ignore[arg-type]  # it looks at nothing else


def media_type(request: Request) -> str:
    """Do what `body.media_type()` says."""
    lines = request._headers
    if type(lines) is bytes:
        return _type_in(lines)
    return (request.content_type or "").split(";")[0].strip().lower()  # of which a host may know more


class Made:
    """An attribute of a request that is made when it is asked for, and kept with the request.

    Args:
        make: makes it of the request.
    """

    _key: str

    def __init__(self, make: "Callable[[Any], Any]") -> None:
        self._make = make

    def __set_name__(self, cls: type, name: str) -> None:
        self._key = name

    def __get__(self, request: "Request | None", cls: Any = None) -> Any:
        if request is None:
            return self
        value = request.__dict__[self._key] = self._make(request)
        return value


def _headers(request: Request) -> Any:
    lines = request._headers
    return parse_headers(lines) if type(lines) is bytes else lines


def _values(data: "str | bytes") -> datastructures.MultiDict:
    try:
        return parse_urlencoded(data)
    except ValueError:
        return lazy._values(data)  # which refuses it


def _form(request: Request) -> "datastructures.MultiDict | None":
    return _values(request.body) if request.media_type() == "application/x-www-form-urlencoded" else None


class Late:
    """An attribute of an application that is looked for when it is asked for: see `Microdot.__getattr__()`."""

    def __init__(self, name: str) -> None:
        self._key = name

    def __get__(self, app: "Microdot | None", cls: Any = None) -> Any:
        return self if app is None else methods.attribute(app, self._key)


_ATTRIBUTES: "dict[str, Callable[[Request], Any]]" = {
    "headers": _headers,
    "json": body.parse,
    "args": lambda request: _values(request.query_string or ""),
    "form": _form,
}
# Those that `_cpython.tune()` has not made methods of the class.
LATE = (
    "hooks error_handlers before_request_handlers after_request_handlers after_error_request_handlers routes url_map ssl "
    "find_route get_request_handlers handle_request error_response default_options_handler options_handler"
)


def declare() -> None:
    """Give classes as attributes of their own what a board finds by `__getattr__()`.

    CPython is slow with every attribute of a class that has that function, and quick with those of others.
    """
    for name in LATE.split():
        setattr(Microdot, name, Late(name))
    del Microdot.__getattr__
    for names in (lazy._DEFAULTS, lazy._METHODS):
        for name in names:
            setattr(Request, name, names[name])
    for name, make in {**lazy._ATTRIBUTES, **_ATTRIBUTES}.items():
        made = Made(make)
        made.__set_name__(Request, name)
        setattr(Request, name, made)
    del Request.__getattr__
    # `named.py` looks for it with every call.
    Response.redirect = classmethod(_redirect)  # type: ignore[method-assign, assignment]
    del Response.__getattr__  # `_cpython.tune()` has given it what there is


# Query strings and forms ----------------------------------------------------------------------------------------------


def _unquote(text: str) -> str:
    """Decode the percent signs of a text in which all have their digits."""
    first, *parts = text.encode().split(b"%")
    return (first + b"".join([_BYTES[part[:2]] + part[2:] for part in parts])).decode()


def parse_urlencoded(s: "str | bytes") -> datastructures.MultiDict:
    """Do what `datastructures.parse_urlencoded()` says."""
    # As a str: CPython looks for characters in these several times as fast as in bytes.
    if not s.isascii():
        return _parse_urlencoded(s)
    text = (s if isinstance(s, str) else s.decode()).replace("+", " ")
    encoded = "%" in text
    if encoded:
        if _MALFORMED(text):
            return _parse_urlencoded(s)
        # All at once, but not where a `&` or `=` comes out, which separates nothing.
        if "%26" not in text and "%3D" not in text and "%3d" not in text:
            text = _unquote(text)
            encoded = False
    values: "dict[str, list[str]]" = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            if encoded:
                if "%" in name:
                    name = _unquote(name)
                if "%" in value:
                    value = _unquote(value)
            if name in values:
                values[name].append(value)
            else:
                values[name] = [value]
    result = datastructures.MultiDict.__new__(datastructures.MultiDict)
    dict.update(result, values)
    return result


declare()
Response.__init__ = make_response  # type: ignore[method-assign]
Headers.__init__ = make_headers  # type: ignore[method-assign, assignment]
Headers.__setitem__ = set_item  # type: ignore[method-assign]
NoCaseDict.__ior__ = merge  # type: ignore[method-assign, assignment]
headers.head = head
headers.parse_headers = parse_headers
Response.headers = property(get_headers, Response.headers.fset)  # type: ignore[assignment,attr-defined]
replies.ascii_url = ascii_url
Request.media_type = media_type  # type: ignore[method-assign, assignment]
bodies.send = stream
body.load = load
incoming.Incoming = Incoming  # type: ignore[misc]
body.media_type = media_type
datastructures.parse_urlencoded = parse_urlencoded

# Where programs and the documentation find them.
Made.__module__ = "microdot.hosting"
_redirect.__module__ = named.__name__
ascii_url.__module__ = replies.__name__
head.__module__ = parse_headers.__module__ = headers.__name__
load.__module__ = media_type.__module__ = body.__name__
parse_urlencoded.__module__ = datastructures.__name__
