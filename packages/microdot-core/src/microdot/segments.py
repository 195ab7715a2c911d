"""Routes with parameters: their patterns taken apart, and matched segment by segment. Loaded with the first such route."""

from .app import Microdot
from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any


def parse(pattern: str) -> "tuple[Any, ...]":
    """Take a pattern apart.

    Returns:
        the pattern; how long its literal beginning is; and for each segment behind that its text and None, or the name and
        the type (`string`, `int`, `path`, a registered one, or `re:` and an expression) of its argument.

    Raises:
        ValueError: the pattern is malformed.
    """
    start = pattern.find("/<") + 1
    text = pattern[start:]
    if not pattern.startswith("/") or pattern.startswith("//"):
        start = 0
        text = "/" + pattern.lstrip("/")
    parsed: "tuple[Any, ...]" = pattern, start
    for segment in text.split("/"):
        kind = None
        if segment[:1] == "<":
            if segment[-1:] != ">":
                raise ValueError("invalid URL pattern: no '>' at the end of " + segment)
            kind, mark, segment = segment[1:-1].rpartition(":")
            kind = kind or "string"
        parsed += segment, kind
    return parsed


# Whether `string`, `int` and `path` are what they are here; a program may register others.
plain_types = True


def match(parsed: "tuple[Any, ...]", path: str) -> "dict[str, Any] | None":
    """Return the arguments that `path` has for a pattern as `parse()` returns it, None when it does not match."""
    start = parsed[1]
    if path[:start] != parsed[0][:start]:
        return None
    args: "dict[str, Any]" = {}
    i = 2
    parts = path[start:].split("/")
    for part in parts:
        if i == len(parsed):
            return None
        name = parsed[i]
        kind = parsed[i + 1]
        i += 2
        if kind is None:
            if name != part:
                return None
        elif plain_types and kind == "string":
            if not part:
                return None
            args[name] = part
        elif plain_types and kind == "int" and len(part) < 16:
            if not (part[1:] if part[:1] == "-" else part).encode().isdigit():  # of a str also what int() refuses
                return None
            args[name] = int(part)
        elif plain_types and kind == "path" and i == len(parsed):
            args[name] = "/".join(parts[i // 2 - 2 :])
            return args if args[name] else None
        else:
            # The rest of the pattern is the business of patterns.py, which knows every type.
            import microdot.patterns

            return microdot.patterns.match_segments(parsed, parts)
    return args if i == len(parsed) else None


def find(app: Microdot, path: str, method: str) -> "tuple[Any, Any, dict[str, Any]] | None":
    """Do what `Microdot.find()` says, for applications with such routes too."""
    table = app._table
    head = ""
    length = 0
    for i in range(0, len(table), 4):
        pattern = table[i]
        args: "dict[str, Any] | None" = None
        if pattern == path:
            args = {}
        elif isinstance(pattern, tuple):
            # A slice is a new string, which takes a board long; the next pattern may well begin as far.
            if length != pattern[1]:
                length = pattern[1]
                head = path[:length]
            if pattern[0].startswith(head):
                args = match(pattern, path)
        if args is not None and method in table[i + 1]:
            return table[i + 2], table[i + 3], args
    return None


if not port.SERVER:
    Microdot.find = find  # type: ignore[method-assign, assignment]
