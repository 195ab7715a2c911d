"""Header fields: a dict that does not mind the case of its keys, and a response's head with fields of its own."""

import microdot.outgoing  # a board loads what sends them now, while its heap is in one piece

from .http import Request, Response, const, is_token, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    _Dict = dict[str, Any]
else:
    _Dict = dict


def check_value(value: str) -> None:
    """Refuse a header value that would end its line (RFC 9110 5.5): raise ValueError."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("CR, LF or NUL in a value")


class NoCaseDict(_Dict):
    """A dict whose keys do not mind their case and keep the spelling first used.

    Args:
        initial_dict: a mapping to copy.

    >>> headers = NoCaseDict({"Content-Type": "text/html"})
    >>> headers["content-type"] = "text/plain"
    >>> list(headers.items())
    [('Content-Type', 'text/plain')]
    """

    def __init__(self, initial_dict: "Mapping[str, Any] | None" = None) -> None:
        super().__init__()
        #: lower-case key: spelling
        self.keymap: "dict[str, str]" = {}
        if type(initial_dict) is type(self):  # what is in it was checked
            self.keymap.update(initial_dict.keymap)
            for key in initial_dict:
                super().__setitem__(key, initial_dict[key])
        else:
            self.update(initial_dict or {})

    def __setitem__(self, key: str, value: "Any") -> None:
        super().__setitem__(self.keymap.setdefault(key.lower(), key), value)

    def __getitem__(self, key: str) -> "Any":
        return super().__getitem__(self.keymap.get(key.lower(), key))

    def __delitem__(self, key: str) -> None:
        super().__delitem__(self.keymap.pop(key.lower(), key))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self.keymap

    def get(self, key: str, default: "Any" = None) -> "Any":
        """Return the value of `key`, or `default`."""
        return super().get(self.keymap.get(key.lower(), key), default)

    def update(self, other_dict: "Mapping[str, Any]") -> None:  # type: ignore[override]
        """Set every key of another mapping, or of pairs."""
        if not hasattr(other_dict, "keys"):
            other_dict = dict(other_dict)
        for key in other_dict:
            self[key] = other_dict[key]

    def setdefault(self, key: str, default: "Any" = None) -> "Any":
        """Return the value of `key`, which is set to `default` when there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: "Any") -> "Any":
        """Remove `key` and return its value, or the default; KeyError without one."""
        return super().pop(self.keymap.pop(key.lower(), key), *default)


    def clear(self) -> None:
        """Remove every key."""
        super().clear()
        self.keymap.clear()


class Headers(NoCaseDict):
    """The headers of a response; refuses values that would end their line (RFC 9110 5.5) where they are set."""

    def __setitem__(self, key: str, value: "Any") -> None:
        if not is_token(key.encode()):
            raise ValueError("response header: bad name %r" % key)
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str):
                check_value(one)
        super().__setitem__(key, value)


def decode(data: bytes) -> str:
    """Decode a header line; one that is not UTF-8 is taken as Latin-1, which never fails (RFC 9110 5.5: obs-text)."""
    try:
        return data.decode()
    except ValueError:
        return "".join([chr(c) for c in data])


def parse_headers(fields: bytes) -> NoCaseDict:
    """Make a mapping of checked header lines; repeated fields are joined (RFC 9110 5.3, for cookies RFC 6265 5.4).

    >>> parse_headers(b"Accept: text/html\\r\\nHost: a\\r\\nAccept: */*")["accept"]
    'text/html, */*'
    """
    headers = NoCaseDict()
    for line in fields.split(b"\n"):
        colon = line.find(b":")
        if colon > 0:
            name = line[:colon].decode()
            value = decode(line[colon + 1 :].strip(b" \t\r"))
            if name in headers:
                value = headers[name] + ("; " if name.lower() == "cookie" else ", ") + value
            headers[name] = value
    return headers


def set_headers(response: Response, headers: "Mapping[str, Any] | None", *reason: "str | None") -> None:
    """Give a response its headers, and when it is new perhaps a reason; refuse what would end a line where it was given."""
    text = reason[0] if reason else None
    if text is not None:
        check_value(text)
        response.reason = text
    if headers or text is None:
        own = Headers(headers)
        # What the body is counts for a new response, what the program assigns later counts more.
        if response._type and (reason or "Content-Type" not in own):
            own["Content-Type"] = response.content_type()
        response._headers = own


if __debug__:  # what the compiled files of boards leave out
    _NO_RESPONSE = "%r is no response: return body, status, headers, the last two may be left out"


def make_response(value: "tuple[Any, ...]") -> Response:
    """Make a `Response` of a handler's tuple that leaves body or status out."""
    parts: "list[Any]" = list(value)
    if __debug__ and not parts:
        raise TypeError(_NO_RESPONSE % (value,))
    if isinstance(parts[0], Response):  # with another status and more headers, as Flask takes it
        response = parts.pop(0)
        if parts and isinstance(parts[0], int):
            response.status_code = parts.pop(0)
        if parts:
            response.headers.update(parts[0] or {})
        return response  # type: ignore[no-any-return]
    # What comes first tells what it is.
    body = b"" if parts and isinstance(parts[0], int) else parts.pop(0)
    status = parts.pop(0) if parts and isinstance(parts[0], int) else 200
    if __debug__ and parts and isinstance(parts[0], (str, bytes, int)):
        raise TypeError(_NO_RESPONSE % (value,))
    return Response(body, status, parts[0] if parts else None)  # further ones have no meaning


def head(response: Response, version: int, extra: str, body: bytes = b"") -> bytes:
    """Do what `Response.head()` says, with headers and a reason of the response's own."""
    status = response.status_code
    reason = response.reason
    if reason is None:
        reason = port.REASONS.get(status, b"N/A").decode()
    lines = ["HTTP/1.%d %d %s" % (version, status, reason)]
    typed = status == 204 or status == 304
    headers = response.headers
    for name in headers:
        lower = name.lower()
        # What frames the message is the server's to say (RFC 9112 6).
        if lower in ("content-length", "transfer-encoding", "connection"):
            continue
        if lower == "content-type":
            typed = True
        elif lower == "date" and extra[:6] == "Date: ":
            extra = extra[extra.find("\n") + 1 :]
        value = headers[name]
        for one in value if isinstance(value, list) else (value,):
            if lower == "set-cookie" and len(str(one).split(";")[0]) + 10 > Request.max_readline:
                # The browser would send it with every request, and get 431 for each.
                raise ValueError("cookie: too long for Request.max_readline")
            lines.append("%s: %s" % (name, one))
    if not typed:
        lines.append("Content-Type: %s" % response.content_type())
    parts = []
    for line in lines:
        # Values are checked where they are set; this catches what came another way (an assigned reason, a list, a default).
        check_value(line)
        parts.append(line.encode())
    # Joined once: each addition would take another piece of heap, of all that there is so far.
    return b"\r\n".join(parts + [extra.encode(), body])
