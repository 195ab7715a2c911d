"""Routes with parameters: their patterns taken apart, and matched segment by segment. Loaded with the first such route."""

from .app import Microdot, Route
from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any


def parse(route: Route, pattern: str) -> None:
    """Give a route its literal beginning and the segments behind it.

    Raises:
        ValueError: the pattern is malformed.
    """
    start = pattern.find("/<") + 1
    route.literal = pattern[:start]
    route.segments = segments = []
    for segment in pattern[start:].split("/"):
        if segment[:1] == "<":
            if segment[-1:] != ">":
                raise ValueError("invalid URL pattern: no '>' at the end of " + segment)
            kind, mark, name = ("string:" + segment[1:-1]).rpartition(":")
            segment = (name, kind[7:] or "string")  # type: ignore[assignment]
        segments.append(segment)


# Whether `string` and `int` are what they are here; a program may register others.
plain = True


def match(route: Route, path: str) -> "dict[str, Any] | None":
    """Return the arguments that `path` has for a route, None when it does not match."""
    segments = route.segments
    if segments is None:
        return {} if path == route.literal else None
    start = len(route.literal)
    if path[:start] != route.literal:
        return None
    parts = path[start:].split("/")
    if len(parts) < len(segments):
        return None
    args: "dict[str, Any]" = {}
    i = 0
    for segment in segments:
        part = parts[i]
        i += 1
        if isinstance(segment, str):
            if segment != part:
                return None
        elif plain and segment[1] == "string" and part:
            args[segment[0]] = part
        elif plain and segment[1] == "int" and len(part) < 16 and (part[1:] if part[:1] == "-" else part).isdigit():
            args[segment[0]] = int(part)
        else:
            # The rest of the pattern is the business of patterns.py, which knows every type.
            import microdot.patterns

            return microdot.patterns.match_segments(segments, parts)
    return args if i == len(parts) else None


def find(app: Microdot, path: str, method: str) -> "tuple[Route, dict[str, Any]] | None":
    """Do what `Microdot.find()` says, for applications with such routes too."""
    found: "tuple[Route, dict[str, Any]] | None" = None
    table = app._table
    # The path may be that of a route, and every beginning that ends in a slash the literal one of a pattern.
    end = len(path)
    while end:
        route = table.get(path[:end])
        while route and not (found and found[0].index < route.index):
            if method in route.methods:
                args = match(route, path)
                if args is not None:
                    found = route, args
                    break
            route = route.next
        end = path.rfind("/", 0, end - 1) + 1
    return found


Microdot.find = find  # type: ignore[method-assign, assignment]
