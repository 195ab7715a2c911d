"""Responses that programs make themselves: cookies, redirects, files."""

from .http import Response, const, date, is_token

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

http_date = date


def set_cookie(
    response: Response,
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
    """Do what `Response.set_cookie()` says."""
    if expires and not isinstance(expires, str):
        if getattr(expires, "tzinfo", None) is not None:
            expires = http_date(expires.utctimetuple())
        else:
            expires = http_date(expires.timetuple())
    if not is_token(cookie.encode()):
        raise ValueError("invalid cookie name: %r is no token" % cookie)
    if ";" in value:
        raise ValueError("invalid cookie value")
    parts = [cookie, "=", value]  # joined once: no other copy of a long value is made
    for name, attribute in (("Path", path), ("Domain", domain), ("Expires", expires)):
        if attribute:
            if ";" in attribute:
                raise ValueError("invalid cookie: ';' in " + name)
            parts.append("; %s=%s" % (name, attribute))
    if max_age is not None:
        parts.append("; Max-Age=%d" % int(max_age))
    if secure:
        parts.append("; Secure")
    if http_only:
        parts.append("; HttpOnly")
    if partitioned:
        parts.append("; Partitioned")
    if same_site:
        if same_site.lower() not in ("strict", "lax", "none"):
            raise ValueError("invalid cookie: same_site is Strict, Lax or None")
        if same_site.lower() == "none" and not secure:
            raise ValueError("invalid cookie: same_site None needs secure")
        parts.append("; SameSite=" + same_site)
    # What browsers drop without a word is said here (RFC 6265bis 4.1.3, 5.7).
    if cookie[:2] == "__":
        prefix = cookie.lower()
        if prefix[:7] == "__host-" and (not secure or domain or path != "/"):
            raise ValueError("invalid cookie: __Host- needs secure, path='/' and no domain")
        if prefix[:9] == "__secure-" and not secure:
            raise ValueError("invalid cookie: __Secure- needs secure")
    text = "".join(parts)
    # Bytes, not characters: so many count, and boards keep every character that they have looked at for ever.
    data = text.encode()
    if len(data) > 4096:
        raise ValueError("invalid cookie: longer than the 4096 bytes that browsers keep")
    if min(data) < 32:  # control characters
        raise ValueError("invalid cookie")
    headers = response.headers
    if "Set-Cookie" in headers:
        headers["Set-Cookie"].append(text)
    else:
        headers["Set-Cookie"] = [text]


def delete_cookie(response: Response, cookie: str, **kwargs: "Any") -> None:
    """Do what `Response.delete_cookie()` says."""
    kwargs["expires"] = "Thu, 01 Jan 1970 00:00:01 GMT"
    kwargs["max_age"] = 0
    set_cookie(response, cookie, "", **kwargs)


def ascii_url(location: str) -> str:
    """Percent-encode what is not ASCII in a URL.

    Raises:
        ValueError: it has a control character.
    """
    out = []
    for c in location.encode():  # bytes: boards keep every character that they have looked at for ever
        if c < 32 or c == 127:
            raise ValueError("invalid redirect URL")
        out.append(chr(c) if 32 < c < 127 else "%%%02X" % c)
    return "".join(out)


def redirect(cls: "type[Response]", location: str, status_code: int = 302) -> Response:
    """Do what `Response.redirect()` says."""
    return cls(status_code=status_code, headers={"Location": ascii_url(location)})


# One string, because a dictionary of them would hold a kilobyte of heap.
_TYPES = (
    " csv:text/csv htm:text/html ico:image/x-icon jpeg:image/jpeg mjs:application/javascript mp4:video/mp4"
    " pdf:application/pdf wasm:application/wasm webp:image/webp woff2:font/woff2 xml:application/xml "
)


def media_type(cls: "type[Response]", extension: str) -> str:
    """Return the media type of a file's extension: the one in `types_map`, else a usual one."""
    types_map = cls.types_map
    if extension in types_map:
        return types_map[extension]
    extension = extension.lower()
    if extension in types_map:
        return types_map[extension]
    start = _TYPES.find(" " + extension + ":")
    if start < 0 or not extension:
        return "application/octet-stream"
    start += len(extension) + 2
    return _TYPES[start : _TYPES.find(" ", start)]


def send_file(
    cls: "type[Response]",
    filename: str,
    status_code: int = 200,
    content_type: "str | None" = None,
    stream: "Any" = None,
    max_age: "int | None" = None,
    compressed: "bool | str" = False,
    file_extension: str = "",
) -> Response:
    """Do what `Response.send_file()` says."""
    if content_type is None:
        name = filename[:-3] if compressed and filename[-3:] == ".gz" else filename
        content_type = media_type(cls, name.split(".")[-1])
    headers = {"Content-Type": content_type}
    if max_age is None:
        max_age = cls.default_send_file_max_age
    if max_age is not None:
        headers["Cache-Control"] = "max-age=%d" % int(max_age)
    if compressed:
        headers["Content-Encoding"] = compressed if isinstance(compressed, str) else "gzip"
    response = cls(status_code=status_code, headers=headers)  # first, so that a refused header leaves no file open
    response.body = stream or open(filename + file_extension, "rb")
    return response


async def write(response: Response, stream: "Any") -> None:
    """Do what `Response.write()` says."""
    from .compat import write

    await write(response, stream)


def complete(response: Response) -> None:
    """Do what `Response.complete()` says."""
    headers = response.headers
    if isinstance(response.body, bytes) and "Content-Length" not in headers:
        headers["Content-Length"] = str(len(response.body))
    if "Content-Type" not in headers:
        headers["Content-Type"] = response.content_type()


def body_iter(response: Response) -> "Any":
    """Do what `Response.body_iter()` says."""
    from .outgoing import BodyIterator

    body = response.body
    return body if hasattr(body, "__anext__") else BodyIterator(body, response.send_file_buffer_size)


METHODS: "dict[str, Callable[..., Any]]" = {
    "set_cookie": set_cookie,
    "delete_cookie": delete_cookie,
    "write": write,
    "complete": complete,
    "body_iter": body_iter,
}


def attribute(response: Response, name: str) -> "Any":
    """Find a method of a response; AttributeError when there is none of that name."""
    if name not in METHODS:
        raise AttributeError("Response has no attribute " + name)
    method = METHODS[name]
    return lambda *args, **kwargs: method(response, *args, **kwargs)
