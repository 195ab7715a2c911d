"""Responses: what a handler's return value becomes, and the head that goes on the wire."""

import json

from .runtime import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

    from .datastructures import Headers


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

    #: File extensions (lower case) and their media types, for `send_file()`. Add your own.
    types_map: "dict[str, str]" = {}  # filled by media_types.py
    #: Bytes per read of a file-like body.
    send_file_buffer_size = port.FILE_BLOCK
    #: The Content-Type of a response that has none; `; charset=UTF-8` is added when it names no charset.
    default_content_type = "text/plain"
    #: Seconds for `Cache-Control: max-age` of `send_file()`; None sends no such header.
    default_send_file_max_age: "int | None" = None
    #: What a handler returns when it has answered by itself, after an upgrade: nothing more is written.
    already_handled: "Response"

    is_head = False
    reason: "str | None" = None
    body: "Any"
    _headers: "Headers | None" = None
    _json = False

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
            self._json = True
        self.body = body
        if reason is not None:
            check_value(reason)
            self.reason = reason
        if headers:
            # Made now, so that a bad value is refused where it was given.
            own = self.headers
            for name in headers:
                if not self._json or name.lower() != "content-type":
                    own[name] = headers[name]

    @property
    def headers(self) -> "Headers":
        """The headers, a dict whose keys do not mind their case."""
        if self._headers is None:
            from .datastructures import Headers

            self._headers = Headers()
            if self._json:
                self._headers["Content-Type"] = "application/json; charset=UTF-8"
        return self._headers

    @headers.setter
    def headers(self, headers: "Mapping[str, Any]") -> None:
        from .datastructures import Headers

        self._headers = Headers(headers)

    def content_type(self) -> str:
        """Return the Content-Type of a response that was given none."""
        if self._json:
            return "application/json; charset=UTF-8"
        default = self.default_content_type
        return default if "charset=" in default else default + "; charset=UTF-8"

    def head(self, minor: int, framing: str, date: str) -> str:
        """Return the status line and all headers, up to and with the empty line.

        Args:
            minor: minor version of HTTP, 0 or 1.
            framing: complete header lines that the server adds (Content-Length or Transfer-Encoding, Connection).
            date: the value of Date, empty for none.

        Raises:
            ValueError: a value would end its line.
        """
        status = self.status_code
        text = "HTTP/1.%d %d %s\r\n%s" % (minor, status, port.reason(status) if self.reason is None else self.reason, framing)
        lines = framing.count("\n") + 2
        headers = self._headers
        typed = status == 204 or status == 304
        if headers:
            for name in headers:
                value = headers[name]
                lower = name.lower()
                # What frames the message is the server's to say (RFC 9112 6).
                if lower == "content-length" or lower == "transfer-encoding" or lower == "connection":
                    continue
                if lower == "content-type":
                    typed = True
                elif lower == "date":
                    date = ""
                if isinstance(value, list):
                    for one in value:
                        text += "%s: %s\r\n" % (name, one)
                        lines += 1
                else:
                    text += "%s: %s\r\n" % (name, value)
                    lines += 1
        if not typed:
            text += "Content-Type: %s\r\n" % self.content_type()
            lines += 1
        if date:
            text += "Date: %s\r\n" % date
            lines += 1
        text += "\r\n"
        # Values are checked where they are set; this catches what came another way (reason, a list, the defaults).
        if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
            raise ValueError("response header: CR, LF or NUL in a value")
        return text

    def set_cookie(
        self,
        cookie: str,
        value: str,
        path: "str | None" = None,
        domain: "str | None" = None,
        expires: "Any" = None,
        max_age: "int | None" = None,
        secure: bool = False,
        http_only: bool = False,
        partitioned: bool = False,
        same_site: "str | None" = None,
    ) -> None:
        """Add a cookie (RFC 6265).

        Args:
            cookie: the name, a token.
            value: the value, a str.
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
        from .outgoing import cookie_text

        text = cookie_text(
            cookie, value, path, domain, expires, max_age, secure, http_only, partitioned, same_site
        )
        headers = self.headers
        if "Set-Cookie" in headers:
            headers["Set-Cookie"].append(text)
        else:
            headers["Set-Cookie"] = [text]

    def delete_cookie(self, cookie: str, **kwargs: "Any") -> None:
        """Tell the browser to forget a cookie.

        Args:
            cookie: the name.
            kwargs: the options of `set_cookie()` that it was set with; `expires` and `max_age` are ignored.
        """
        kwargs["expires"] = "Thu, 01 Jan 1970 00:00:01 GMT"
        kwargs["max_age"] = 0
        self.set_cookie(cookie, "", **kwargs)

    @classmethod
    def redirect(cls, location: str, status_code: int = 302) -> "Response":
        """Make a response that sends the client elsewhere.

        Args:
            location: the URL; what is not ASCII is percent-encoded (RFC 9110 10.2.2).
            status_code: 301, 302, 303, 307 or 308.

        Raises:
            ValueError: the URL has a control character.
        """
        from .outgoing import ascii_url

        return cls(status_code=status_code, headers={"Location": ascii_url(location)})

    @classmethod
    def send_file(
        cls,
        filename: str,
        status_code: int = 200,
        content_type: "str | None" = None,
        stream: "Any" = None,
        max_age: "int | None" = None,
        compressed: "bool | str" = False,
        file_extension: str = "",
    ) -> "Response":
        """Make a response of a file.

        The name is trusted: check what comes from a client, or use microdot-static.

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
        from .outgoing import send_file

        return send_file(cls, filename, status_code, content_type, stream, max_age, compressed, file_extension)

    def complete(self) -> None:
        """Add Content-Length and Content-Type where they are missing; hosts other than the native server need it."""
        from .compat import complete

        complete(self)

    async def write(self, stream: "Any") -> None:
        """Write the response as HTTP/1.0 to an object with `async awrite(bytes)`."""
        from .compat import write

        await write(self, stream)

    def body_iter(self) -> "AsyncIterator[bytes | str]":
        """Return an async iterator over the chunks of the body, which closes the body at its end."""
        from .outgoing import BodyIterator

        return BodyIterator(self.body, self.send_file_buffer_size)


Response.already_handled = Response()


def check_value(value: str) -> None:
    """Refuse a header value that would end its line (RFC 9110 5.5)."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("response header: CR, LF or NUL in a value")


def make_response(result: "Any") -> Response:
    """Make a `Response` of what a handler returned: body, status, (body, status), (body, status, headers), …

    Raises:
        ValueError: an empty tuple.
    """
    if isinstance(result, Response):
        return result
    if isinstance(result, tuple):
        if not result:
            raise ValueError("handler returned (): give (body, status, headers)")
        body = result[0]
        rest = result[1:]
        if isinstance(body, int):
            rest = result
            body = b""
        status = 200
        headers = None
        if rest and isinstance(rest[0], int):
            status = rest[0]
            headers = rest[1] if len(rest) > 1 else None
        elif rest:
            headers = rest[0]
        return Response(body, status, headers)
    if isinstance(result, int):
        return Response(b"", result)
    return Response(result)
