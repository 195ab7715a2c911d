"""Responses that programs make themselves: cookies, redirects."""

import microdot.headers  # a board loads it now, while its heap is in one piece, and not with the first cookie

from .http import Response, const, date, is_token

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .http import Request


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
            expires = date(expires.utctimetuple())
        else:
            expires = date(expires.timetuple())
    if not is_token(cookie.encode()):
        raise ValueError("invalid cookie name: %r is no token" % cookie)
    if not isinstance(value, (str, bytes)):
        value = str(value)  # `{"red": 7}` is sent as Python prints it
    if ";" in value:
        raise ValueError("invalid cookie value")
    parts = [cookie, "=", value]  # joined once: no other copy of a long value is made
    for name, given in (
        ("Path", path),
        ("Domain", domain),
        ("Expires", expires),
        ("Max-Age", None if max_age is None else str(int(max_age))),
        ("Secure", bool(secure)),
        ("HttpOnly", bool(http_only)),
        ("Partitioned", bool(partitioned)),
        ("SameSite", same_site),
    ):
        if given:
            parts.append("; " + name)
            if given is not True:
                if ";" in given:
                    raise ValueError("invalid cookie: ';' in " + name)
                parts.append("=" + given)
    if same_site and same_site.lower() not in ("strict", "lax", "none" if secure else ""):
        raise ValueError("invalid cookie: same_site is Strict, Lax, or with secure None")
    # What browsers drop without a word is said here (RFC 6265bis 4.1.3, 5.7).
    if cookie[:2] == "__":
        prefix = cookie.lower()
        host = prefix[:7] == "__host-"
        if (host or prefix[:9] == "__secure-") and not secure or host and (domain or path != "/"):
            raise ValueError("invalid cookie: its prefix needs secure, __Host- also path='/' and no domain")
    text = "".join(parts)
    # Bytes, not characters: so many count, and boards keep every character that they have looked at for ever.
    data = text.encode()
    if len(data) > 4096:
        raise ValueError("invalid cookie: longer than the 4096 bytes that browsers keep")
    if min(data) < 32:  # control characters
        raise ValueError("invalid cookie")
    response.headers.setdefault("Set-Cookie", []).append(text)


def delete_cookie(response: Response, cookie: str, value: str = "", **kwargs: "Any") -> None:
    """Do what `Response.delete_cookie()` says."""
    kwargs["expires"] = "Thu, 01 Jan 1970 00:00:01 GMT"
    kwargs["max_age"] = 0
    set_cookie(response, cookie, value, **kwargs)


def send_cookie(request: "Request", cookie: str, value: str, **options: "Any") -> None:
    """Set a cookie with whatever the request ends in, an error too; of several with one name the last counts.

    Args:
        request: the request.
        cookie: the name.
        value: the value; an empty one has the browser forget the cookie.
        options: arguments of `Response.set_cookie()`; `secure`, unless given, says whether the request came over TLS.

    Raises:
        ValueError: as `Response.set_cookie()` does.
    """
    options.setdefault("secure", request.scheme == "https")
    response = Response()
    g = request.g
    g._cookies = getattr(g, "_cookies", {})
    # First: when the new one is refused, the one before it does not go out either.
    g._cookies[cookie] = response.headers["Set-Cookie"] = []
    (set_cookie if value else delete_cookie)(response, cookie, value, **options)


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
    from .bodies import BodyIterator

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
