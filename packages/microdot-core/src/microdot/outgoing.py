"""The less simple responses: streams, files, cookies, redirects, and those whose headers a program has set."""

from asyncio import CancelledError

from .head import is_token
from .response import Response, check_value
from .runtime import const, http_date, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .server import Connection


class BodyIterator:
    """An async iterator over the chunks of any body, which closes the body at its end.

    Args:
        body: what a `Response` holds.
        size: bytes per read of a file-like body.
    """

    def __init__(self, body: "Any", size: int) -> None:
        self._body = body
        self._size = size
        self._next: "Any" = self._once
        if hasattr(body, "__aiter__") and not hasattr(body, "__anext__"):
            self._body = body = body.__aiter__()
        if hasattr(body, "__anext__"):
            self._next = None
        elif hasattr(body, "read"):
            self._next = self._read
        elif hasattr(body, "__next__"):
            self._next = self._step

    def __aiter__(self) -> "BodyIterator":
        return self

    def _once(self) -> "Any":
        body = self._body
        self._body = None
        return body

    def _read(self) -> "Any":
        return self._body.read(self._size)

    def _step(self) -> "Any":
        # A generator may be empty, and StopIteration must not leave a coroutine.
        return next(self._body, None)

    async def __anext__(self) -> "bytes | str":
        if self._body is None:
            raise StopAsyncIteration
        if self._next is None:
            try:
                chunk: "Any" = await self._body.__anext__()
            except StopAsyncIteration:
                await self.aclose()
                raise
            return chunk  # type: ignore[no-any-return]
        chunk = self._next()
        if self._next == self._step:
            if chunk is None:
                await self.aclose()
                raise StopAsyncIteration
        else:
            if port.iscoroutine(chunk):
                chunk = await chunk
            if not chunk:
                await self.aclose()
                raise StopAsyncIteration
        return chunk  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Close the body, once."""
        body = self._body
        self._body = None
        for name in ("aclose", "close"):
            close = getattr(body, name, None)
            if close is not None:
                result = close()
                if port.iscoroutine(result) or hasattr(result, "__await__"):
                    await result
                return


def file_length(body: "Any") -> "int | None":
    """Return how many bytes a file-like body still has, None when it cannot tell."""
    try:
        here = body.tell()
        end = body.seek(0, 2)
        body.seek(here)
        return int(end) - int(here)
    except Exception:  # no such method, a pipe, an async file
        return None


async def respond(connection: "Connection", response: Response, minor: int, keep: bool) -> bool:
    """Write any response to a connection of the native server; True when the connection may be kept.

    Raises:
        OSError: the client has gone.
        Exception: what the body raised, when some of the response may be out.
    """
    body = response.body
    if isinstance(body, str):
        body = body.encode()
    stream = hasattr(body, "read") or hasattr(body, "__next__") or hasattr(body, "__anext__") or hasattr(body, "__aiter__")
    chunks = BodyIterator(body, response.send_file_buffer_size) if stream else None
    try:
        try:
            length = _length(body, chunks)
            declared = _declared(response)
            if declared is not None and (chunks is not None or response.is_head):
                length = declared
            elif declared is not None and length is not None and declared < length:
                length = declared
                body = body[:declared]
            if declared is not None and length != declared:
                raise ValueError("response: the body is shorter than its Content-Length")
            if "close" in str((response._headers or {}).get("Connection", "")).lower():
                keep = False
            framing = ""
            if 200 <= response.status_code != 204 and response.status_code != 304:
                if length is not None:
                    framing = "Content-Length: %d\r\n" % length
                elif minor:
                    framing = "Transfer-Encoding: chunked\r\n"
                else:
                    keep = False
            elif chunks is not None or length:
                body = b""
                length = 0
            if not keep:
                framing += "Connection: close\r\n"
            head = response.head(minor, framing, connection.server.date()).encode()
        except Exception as exc:
            # Nothing is out yet, so the client gets an answer.
            port.print_exception(exc)
            if response.status_code == 500 and not response._headers:
                raise
            failed = Response("Internal server error", 500)
            failed.is_head = response.is_head
            return await connection._respond(failed, minor, keep)
        connection._begun = True
        bodiless = response.is_head or length == 0
        if chunks is None:
            if not bodiless:
                head += bytes(body)
            if connection.write(head):
                await connection.flush()
            return keep
        if bodiless:
            if connection.write(head):
                await connection.flush()
            return keep
        await _stream(connection, chunks, head, length)
        return keep
    finally:
        if chunks is not None:
            await _close(chunks)


async def _stream(connection: "Connection", chunks: BodyIterator, head: bytes, length: "int | None") -> None:
    chunked = b"Transfer-Encoding: chunked\r\n" in head
    connection.streaming = True
    left = length
    try:
        if connection.write_soon(head):
            await connection.flush()
        async for chunk in chunks:
            data = chunk.encode() if isinstance(chunk, str) else chunk
            if not data:
                continue  # a chunk of no length would end the body (RFC 9112 7.1)
            if left is not None:
                if len(data) > left:
                    data = data[:left]
                left -= len(data)
            if chunked:
                data = b"".join((("%x\r\n" % len(data)).encode(), data, b"\r\n"))
            if connection.write_soon(data):
                await connection.flush()
            if left == 0:
                break
        if left:
            raise ValueError("response: the body is shorter than its Content-Length")
        connection.streaming = False
        if chunked and connection.write_soon(b"0\r\n\r\n"):
            await connection.flush()
    except CancelledError:
        # The connection cancels its own task when the peer goes while somebody else is awaited.
        if not connection.eof:
            raise
        raise OSError(104)
    finally:
        connection.streaming = False


async def _close(chunks: BodyIterator) -> None:
    try:
        await chunks.aclose()
    except Exception as exc:
        port.print_exception(exc)


def _length(body: "Any", chunks: "BodyIterator | None") -> "int | None":
    if chunks is not None:
        return file_length(body) if hasattr(body, "read") else None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return len(body)
    if not body and not isinstance(body, (int, float)):
        return 0
    raise TypeError("response: the body is a %s; give str, bytes, dict, list, a file or an iterator" % type(body))


def _declared(response: Response) -> "int | None":
    value = (response._headers or {}).get("Content-Length")
    return None if value is None else int(value)


def cookie_text(
    cookie: str,
    value: str,
    path: "str | None",
    domain: "str | None",
    expires: "Any",
    max_age: "int | None",
    secure: bool,
    http_only: bool,
    partitioned: bool,
    same_site: "str | None",
) -> str:
    """Return the value of a Set-Cookie header (RFC 6265 4.1.1); `Response.set_cookie()` describes the arguments."""
    if expires and not isinstance(expires, str):
        if getattr(expires, "tzinfo", None) is not None:
            expires = http_date(expires.utctimetuple())
        else:
            expires = http_date(expires.timetuple())
    if not is_token(cookie.encode()):
        raise ValueError("invalid cookie name: %r is no token" % cookie)
    if ";" in value:
        raise ValueError("invalid cookie value")
    text = cookie + "=" + value
    for name, attribute in (("Path", path), ("Domain", domain), ("Expires", expires)):
        if attribute:
            if ";" in attribute:
                raise ValueError("invalid cookie: ';' in " + name)
            text += "; %s=%s" % (name, attribute)
    if max_age is not None:
        text += "; Max-Age=%d" % max_age
    if secure:
        text += "; Secure"
    if http_only:
        text += "; HttpOnly"
    if partitioned:
        text += "; Partitioned"
    if same_site:
        if same_site.lower() not in ("strict", "lax", "none"):
            raise ValueError("invalid cookie: same_site is Strict, Lax or None")
        text += "; SameSite=" + same_site
    # What browsers drop without a word is said here (RFC 6265bis 4.1.3, 5.7).
    if cookie[:2] == "__":
        prefix = cookie.lower()
        if prefix[:7] == "__host-" and (not secure or domain or path != "/"):
            raise ValueError("invalid cookie: __Host- needs secure, path='/' and no domain")
        if prefix[:9] == "__secure-" and not secure:
            raise ValueError("invalid cookie: __Secure- needs secure")
    if len(text) > 4096:
        raise ValueError("invalid cookie: longer than the 4096 bytes that browsers keep")
    try:
        check_value(text)
    except ValueError:
        raise ValueError("invalid cookie")
    return text


def ascii_url(location: str) -> str:
    """Percent-encode what is not ASCII in a URL.

    Raises:
        ValueError: it has a control character.
    """
    out = []
    for char in location:
        if char < " " or char == "\x7f":
            raise ValueError("invalid redirect URL")
        out.append(char if " " < char < "\x7f" else "".join(["%%%02X" % c for c in char.encode()]))
    return "".join(out)


def send_file(
    cls: "type[Response]",
    filename: str,
    status_code: int,
    content_type: "str | None",
    stream: "Any",
    max_age: "int | None",
    compressed: "bool | str",
    file_extension: str,
) -> Response:
    """Do what `Response.send_file()` says."""
    from . import media_types as media_types

    if content_type is None:
        name = filename[:-3] if compressed and filename[-3:] == ".gz" else filename
        extension = name.split(".")[-1]
        content_type = cls.types_map.get(extension) or cls.types_map.get(
            extension.lower(), "application/octet-stream"
        )
    headers = {"Content-Type": content_type}
    if max_age is None:
        max_age = cls.default_send_file_max_age
    if max_age is not None:
        headers["Cache-Control"] = "max-age=%d" % max_age
    if compressed:
        headers["Content-Encoding"] = compressed if isinstance(compressed, str) else "gzip"
    response = cls(b"", status_code, headers)  # first, so that a refused header leaves no file open
    response.body = stream or open(filename + file_extension, "rb")
    return response
