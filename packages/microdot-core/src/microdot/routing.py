"""The route table: static paths by dictionary, dynamic ones by their literal beginning and then segment by segment."""

from .runtime import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .app import Microdot

_GET = ("GET",)


class Route:
    """One registered route.

    Attributes:
        pattern: the URL pattern, a str.
        handler: what was registered.
        methods: the methods in upper case.
        url_prefix: where its sub-application is mounted, empty for the app's own.
        subapp: the innermost sub-application, or None.
        local_apps: the sub-applications mounted with `local=True` that it lies in, outer first.
        is_async: whether calling the handler gives a coroutine.
        segments: what follows the literal beginning of a dynamic pattern, None for a static one.
        index: its place in the order of registration.
    """

    methods: "tuple[str, ...]" = _GET
    url_prefix = ""
    subapp: "Microdot | None" = None
    local_apps: "tuple[Microdot, ...]" = ()
    segments: "list[Any] | None" = None
    is_async = True
    index = 0

    def __init__(self, pattern: str, handler: "Callable[..., Any]", methods: "tuple[str, ...]" = _GET) -> None:
        if not callable(handler):
            raise TypeError("route %s: the handler cannot be called; is @route the outermost decorator?" % pattern)
        self.pattern = pattern
        self.handler = handler
        if methods != _GET:
            self.methods = methods
        if not port.is_async(handler):
            self.is_async = False


def split_pattern(pattern: str) -> "tuple[str, list[Any] | None]":
    """Split a pattern into its literal beginning, and its segments from the first dynamic one on.

    A literal segment is a str, a dynamic one a tuple of name and type (`string`, `int`, `path`, a registered type, or
    `re:` and an expression). A static pattern has no segments: None.

    Raises:
        ValueError: a segment begins with `<` and does not end with `>`.
    """
    pattern = "/" + pattern.lstrip("/")
    at = pattern.find("/<") + 1
    if not at:
        return pattern, None
    segments: "list[Any]" = []
    for segment in pattern[at:].split("/"):
        if segment[:1] == "<":
            if segment[-1:] != ">":
                raise ValueError("invalid URL pattern: no '>' at the end of " + segment)
            segment = segment[1:-1]
            colon = segment.rfind(":")
            segments.append((segment[colon + 1 :], segment[:colon] if colon >= 0 else "string"))
        else:
            segments.append(segment)
    return pattern[:at], segments


def match_segments(segments: "list[Any]", parts: "list[str]") -> "dict[str, Any] | None":
    """Match the segments of a pattern against those of a path; the arguments, or None.

    A `path` takes all that the segments after it leave over, so it must be the only one (`patterns.py` tries further).
    """
    count = len(parts)
    args = {}
    i = 0
    for segment in segments:
        if i >= count:
            return None
        part = parts[i]
        i += 1
        if isinstance(segment, str):
            if segment != part:
                return None
            continue
        name, kind = segment
        if kind == "string":
            if not part:
                return None
            args[name] = part
        elif kind == "int":
            if not (part[1:] if part[:1] == "-" else part).isdigit():
                return None
            try:
                args[name] = int(part)
            except ValueError:  # CPython: superscripts are digits, and 4,300 of them are too many
                return None
        else:
            from .patterns import match_special

            return match_special(segments, parts)
    return args if i == count else None


class Routes:
    """All routes of an application, found by path and method."""

    def __init__(self) -> None:
        self.all: "list[Route]" = []
        self._static: "dict[str, Route | list[Route]]" = {}
        self._dynamic: "dict[str, list[Route]]" = {}
        self._depth = 0  # the most slashes in a literal beginning

    def add(self, route: Route) -> None:
        """Add a route behind all others.

        Raises:
            ValueError: its pattern is malformed.
        """
        literal, segments = split_pattern(route.pattern)
        if self.all:
            route.index = len(self.all)
        self.all.append(route)
        if segments is None:
            there = self._static.get(literal)
            if there is None:
                self._static[literal] = route
            elif isinstance(there, list):
                there.append(route)
            else:
                self._static[literal] = [there, route]
        else:
            route.segments = segments
            self._dynamic.setdefault(literal, []).append(route)
            self._depth = max(self._depth, literal.count("/"))

    def find(self, path: str, method: str) -> "tuple[Route, dict[str, Any]] | None":
        """Return the first route registered that matches path and method, with its arguments; None when none does."""
        found = None
        args: "dict[str, Any] | None" = {}
        routes = self._static.get(path)
        if routes is not None:
            if isinstance(routes, list):
                for route in routes:
                    if method in route.methods:
                        found = route
                        break
            elif method in routes.methods:
                found = routes
        if self._dynamic:
            at = 0
            for _ in range(self._depth):
                at = path.find("/", at) + 1
                if not at:
                    break
                candidates = self._dynamic.get(path[:at])
                if candidates is None:
                    continue
                parts = None
                for route in candidates:
                    if found is not None and route.index > found.index:
                        break
                    if method in route.methods:
                        if parts is None:
                            parts = path[at:].split("/")
                        match = match_segments(route.segments, parts)  # type: ignore[arg-type]
                        if match is not None:
                            found = route
                            args = match
                            break
        return None if found is None else (found, args or {})

    def matching(self, path: str) -> "list[Route]":
        """Return every route that matches the path, whatever its method, in the order of registration."""
        found = []
        for route in self.all:
            literal, segments = split_pattern(route.pattern)
            if segments is None:
                if literal == path:
                    found.append(route)
            elif path[: len(literal)] == literal:
                if match_segments(segments, path[len(literal) :].split("/")) is not None:
                    found.append(route)
        return found
