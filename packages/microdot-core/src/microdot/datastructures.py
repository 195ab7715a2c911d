"""Query strings and forms: a dict of lists, and the encodings of small texts."""

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    _Dict = dict[str, Any]
else:
    _Dict = dict


class MultiDict(_Dict):
    """A dict of lists: setting a key adds a value, getting it gives the first one.

    Args:
        initial_dict: a mapping of keys to first values.

    >>> tags = MultiDict({"tag": "a"})
    >>> tags["tag"] = "b"
    >>> tags["tag"], tags.getlist("tag"), tags.get("page", 1)
    ('a', ['a', 'b'], 1)
    """

    def __init__(self, initial_dict: "Mapping[str, Any] | None" = None) -> None:
        super().__init__()
        for key in initial_dict or {}:
            self[key] = initial_dict[key]  # type: ignore[index]

    def __setitem__(self, key: str, value: "Any") -> None:
        values = super().get(key)
        if values is None:
            super().__setitem__(key, [value])
        else:
            values.append(value)

    def __getitem__(self, key: str) -> "Any":
        return super().__getitem__(key)[0]

    def get(self, key: str, default: "Any" = None, type: "Callable[[Any], Any] | None" = None) -> "Any":
        """Return the first value of `key`, converted by `type`; `default` as it is when there is none."""
        values = super().get(key)
        if values is None:
            return default
        return values[0] if type is None else type(values[0])

    def getlist(self, key: str, type: "Callable[[Any], Any] | None" = None) -> "list[Any]":
        """Return all values of `key`, each converted by `type`."""
        values = super().get(key)
        if values is None:
            return []
        return [value if type is None else type(value) for value in values]


def _unquote(s: bytes, space: bytes) -> str:
    s = s.replace(b"+", space)
    if b"%" not in s:
        return s.decode()
    parts = s.split(b"%")
    out = [parts[0]]
    for part in parts[1:]:
        if not part:  # before another one or the end, a percent sign stands for itself
            out.append(b"%")
            continue
        digits = part[:2]
        for c in digits:
            if c not in b"0123456789abcdefABCDEF":
                raise ValueError("bad percent-encoding")
        out.append(bytes((int(digits.decode(), 16),)))
        out.append(part[2:])
    return b"".join(out).decode()


def urldecode(s: "str | bytes") -> str:
    """Decode a value of a query string or form: `+` is a space, `%XX` a byte, all of it UTF-8.

    Raises:
        ValueError: malformed.

    >>> urldecode("Zo%C3%AB+is+here")
    'Zoë is here'
    """
    return _unquote(s.encode() if isinstance(s, str) else s, b" ")


def unquote(s: str) -> str:
    """Decode a percent-encoded path (RFC 3986 2.1), in which `+` is a plus.

    Raises:
        ValueError: malformed.

    >>> unquote("a%20b+c")
    'a b+c'
    """
    return _unquote(s.encode(), b"+")


def quote(s: str, safe: str = "/") -> str:
    """Percent-encode what is not unreserved (RFC 3986 2.3) or in `safe`.

    >>> quote("a b/c?"), quote("a b/c?", safe="")
    ('a%20b/c%3F', 'a%20b%2Fc%3F')
    """
    out = []
    for c in s.encode():
        char = chr(c)
        if c < 128 and (char.isalpha() or char.isdigit() or char in "-._~" or char in safe):
            out.append(char)
        else:
            out.append("%%%02X" % c)
    return "".join(out)


def urlencode(s: str) -> str:
    """Encode a value for a query string, in which slashes may stay: a space becomes `+`.

    >>> urlencode("a b&c=d/e")
    'a+b%26c%3Dd/e'
    """
    return quote(s, " /!$()*,:;@").replace(" ", "+")


def parse_urlencoded(s: "str | bytes") -> MultiDict:
    """Parse a query string or an URL-encoded form.

    Raises:
        ValueError: malformed.
    """
    values = MultiDict()
    for pair in (s.encode() if isinstance(s, str) else s).split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            values[_unquote(name, b" ")] = _unquote(value, b" ")
    return values
