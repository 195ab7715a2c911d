"""The cold half of routing: registered types, expressions, `URLPattern` and `url_for()`."""

import re

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .app import Microdot

_compiled: "dict[str, Any]" = {}


class URLPattern:
    """A URL pattern by itself.

    Args:
        url_pattern: such as `/users/<int:id>`.
    """

    #: Regular expressions of the types, for one segment.
    segment_patterns: "dict[str, str]" = {"string": "[^/]+", "int": "-?\\d+", "path": ".+"}
    #: Functions that convert a segment, or return None when it does not match.
    segment_parsers: "dict[str, Callable[[str], Any] | None]" = {"int": int}

    def __init__(self, url_pattern: str) -> None:
        self.url_pattern = url_pattern
        self.segments: "list[Any]" = []
        self.regex: "Any" = None
        self._parsed: "tuple[Any, ...]" = ()

    @classmethod
    def register_type(
        cls, type_name: str, pattern: str = "[^/]+", parser: "Callable[[str], Any] | None" = None
    ) -> None:
        """Register a type for all patterns.

        Args:
            type_name: what stands before the colon in `<type:name>`.
            pattern: a regular expression for one segment.
            parser: converts the text; None as its result, or a ValueError, means that the pattern does not match.
        """
        cls.segment_patterns[type_name] = pattern
        cls.segment_parsers[type_name] = parser
        if type_name in ("string", "int", "path"):  # which segments.py knows as they were
            import microdot.segments  # `from . import` asks the package on MicroPython, which does not know it

            microdot.segments.plain_types = False

    def compile(self) -> "Any":
        """Return the regular expression of the whole pattern; matching itself goes segment by segment.

        Raises:
            ValueError: the pattern is malformed or names an unknown type.
        """
        from .segments import parse

        self._parsed = parsed = parse(self.url_pattern)
        literal = self.url_pattern[: parsed[1]]
        parts = []
        self.segments = []
        for i in range(2, len(parsed), 2):
            text, kind = parsed[i : i + 2]
            self.segments.append(text if kind is None else (text, kind))
            parts.append(_escape(text) if kind is None else "(" + _expression(kind) + ")")
        self.regex = re.compile("^" + _escape(literal) + "/".join(parts) + "$")
        return self.regex

    def match(self, path: str) -> "dict[str, Any] | None":
        """Return the arguments that `path` has for this pattern, None when it does not match."""
        if not self._parsed:
            self.compile()
        from .segments import match

        return match(self._parsed, path)

    def __repr__(self) -> str:
        return "URLPattern: " + self.url_pattern


def _escape(text: str) -> str:
    return "".join(["\\" + c if c in ".*+?^$|()[]{}\\" else c for c in text])


def _expression(kind: str) -> str:
    if kind[:3] == "re:":
        return kind[3:]
    if kind not in URLPattern.segment_patterns:
        raise ValueError("invalid URL segment type: %s is not registered" % kind)
    return URLPattern.segment_patterns[kind]


_TRIES = const(8192)  # of a path with a pattern; two <path:…> need two for each slash


def match_segments(
    parsed: "tuple[Any, ...]", parts: "list[str]", s: int = 2, p: int = 0, failed: "dict[Any, int] | None" = None
) -> "dict[str, Any] | None":
    """Match the segments of a pattern, of whatever type, against those of a path; the arguments, or None.

    Args:
        parsed: as `segments.parse()` returns it.
        parts: the segments of the path behind the literal beginning.
        s: where in `parsed` to begin.
        p: where in `parts` to begin.
        failed: what was tried already, and under 0 how often.
    """
    # Recursion is as deep as the pattern is long, whatever the path; with several <path:…> no pair of places is tried
    # twice, so that a client's slashes do not multiply; and with many of them it is given up some time.
    if s == len(parsed):
        return {} if p == len(parts) else None
    failed = failed or {0: 0}
    if p >= len(parts) or (s, p) in failed:
        return None
    name, kind = parsed[s : s + 2]
    args = None
    if kind is None:
        return match_segments(parsed, parts, s + 2, p + 1, failed) if name == parts[p] else None
    # As much as possible; what follows needs one part each, and more only where something else spans.
    end = least = p + 1
    if _spans(kind):
        end = len(parts) - (len(parsed) - s - 2) // 2
        for i in range(s + 3, len(parsed), 2):
            if parsed[i] is not None and _spans(parsed[i]):
                break
        else:
            least = max(end, least)
    first = end
    while end >= least and failed[0] < _TRIES:
        failed[0] += 1
        args = match_segments(parsed, parts, s + 2, end, failed)
        if args is not None:
            value = _convert(kind, "/".join(parts[p:end]))
            if value is not None:
                args[name] = value
                return args
        end -= 1
    if first > least:
        failed[s, p] = 1
    return None


def _spans(kind: str) -> bool:
    # Whether it may match a slash: then it is tried with several segments, as `path` is.
    expression = _expression(kind)
    if expression != "[^/]+":
        for text in (".", "[^", "/", "\\D", "\\S", "\\W"):
            if text in expression:
                return True
    return False


def _convert(kind: str, part: str) -> "Any":
    expression = _expression(kind)
    if expression in ("[^/]+", ".+"):  # any text: no expression needed, and none that recurses on a long one
        if not part:
            return None
    else:
        compiled = _compiled.get(expression)
        if compiled is None:
            compiled = _compiled[expression] = re.compile("^(" + expression + ")$")
        try:
            match = compiled.match(part)
        except RuntimeError:  # boards match by recursion; a segment too long for their stack matches nothing
            return None
        if match is None or match.group(0) != part:  # `$` also stands before a final newline
            return None
    parser = None if kind[:3] == "re:" else URLPattern.segment_parsers.get(kind)
    if parser is None:
        return part
    try:
        return parser(part)
    except ValueError:
        return None


def url_for(app: "Microdot", handler: "Callable[..., Any] | str", args: "dict[str, Any]") -> str:
    """Do what `Microdot.url_for()` says."""
    from .datastructures import quote

    table = app._table
    for i in range(2, len(table), 4):
        if table[i] is handler or getattr(table[i], "__name__", None) == handler:
            break
    else:
        raise ValueError("url_for: no route has the handler %s" % handler)
    parsed = table[i - 2]
    if isinstance(parsed, str):
        parsed = parsed, len(parsed)
    left = dict(args)
    parts = []
    for i in range(2, len(parsed), 2):
        name, kind = parsed[i : i + 2]
        if kind is None:
            parts.append(name)
            continue
        if name not in left:
            raise ValueError("url_for: %s needs the argument %s" % (parsed[0], name))
        parts.append(quote(str(left.pop(name)), "/" if kind == "path" else ""))
    url: str = parsed[0][: parsed[1]] + "/".join(parts)
    if left:
        url += "?" + "&".join([quote(name, "") + "=" + quote(str(left[name]), "") for name in left])
    return url
