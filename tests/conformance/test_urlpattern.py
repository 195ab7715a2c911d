"""URLPattern: contract section 5, and 21 A6, B11.

Portable: CPython and MicroPython.
"""

import time

from microdot import URLPattern
from support.checks import CPYTHON, raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# (contract section, pattern, {path: arguments or None})
FACTS: "tuple[tuple[str, str, dict[str, dict[str, Any] | None]], ...]" = (
    ("5 MUST", "/", {"/": {}, "": None, "foo": None, "/foo": None}),
    ("5 MUST", "/foo/bar", {"/foo/bar": {}, "/foo/bar/": None, "/foo": None, "/foo/bar/baz": None}),
    ("5 MUST", "/foo/bar/", {"/foo/bar/": {}, "/foo/bar": None, "/foo/bar//": None}),
    ("5 MUST", "/foo//bar/baz/", {"/foo//bar/baz/": {}, "/foo/bar/baz/": None, "/foo///bar/baz/": None, "/foo//bar/baz": None}),
    (
        "5 MUST",
        "/<arg>",
        {"/foo": {"arg": "foo"}, "/": None, "//": None, "/foo/": None, "//foo/": None, "/foo/bar": None, "": None, "foo": None},
    ),
    ("5 MUST", "/<arg>/", {"/foo/": {"arg": "foo"}, "/": None, "//": None, "/foo": None, "/foo/bar": None}),
    ("5 MUST", "/<string:arg>", {"/foo": {"arg": "foo"}, "/foo/": None}),
    (
        "5 MUST",
        "/users/<int:id>",
        {
            "/users/123": {"id": 123},
            "/users/-123": {"id": -123},
            "/users/0": {"id": 0},
            "/users/": None,
            "/users/abc": None,
            "/users/123abc": None,
            "/users/--123": None,
            "/users/-": None,
            "/users/+1": None,
            "/users/1_0": None,
            "/users/\xb2": None,  # a digit for Python, but no number
            "/users/ 1": None,
            "/users/123/": None,
        },
    ),
    (
        "5 MUST",
        "/users/<path:path>",
        {
            "/users/123": {"path": "123"},
            "/users/123/": {"path": "123/"},
            "/users/abc/def": {"path": "abc/def"},
            "/users//": {"path": "/"},
            "/users/": None,
            "/users": None,
        },
    ),
    (
        "5 MUST",
        "/users/<path:path>/foo",
        {
            "/users/foo/foo": {"path": "foo"},
            "/users/foo/bar/foo": {"path": "foo/bar"},
            "/users/foo": None,
            "/users/foo/foo/": None,
            "/users/foo/foo/foo": {"path": "foo/foo"},
            "/users//foo": None,
        },
    ),
    (
        "5 MUST",
        "/foo/<path:path>/<int:id>/bar/<name>",
        {
            "/foo/abc/def/123/bar/test": {"path": "abc/def", "id": 123, "name": "test"},
            "/foo/a/1/bar/1/bar/b": {"path": "a/1/bar", "id": 1, "name": "b"},
            "/foo/a/x/bar/b": None,
            "/foo/1/bar/b": None,
        },
    ),
    ("5", "/<path:a>/<path:b>", {"/x/y": {"a": "x", "b": "y"}, "/x/y/z": {"a": "x/y", "b": "z"}, "/x": None}),
    (
        "5 MUST",
        "/users/<re:[a-c]+:id>",
        {"/users/ab": {"id": "ab"}, "/users/bca": {"id": "bca"}, "/users/abcd": None, "/users/d": None, "/users/": None},
    ),
    ("5", "/<re:[0-9]+:[0-9]+:time>", {"/12:30": {"time": "12:30"}, "/12": None}),
    ("5", "/<re:[a-c]+:a>/<int:b>/<c>", {"/ab/1/x": {"a": "ab", "b": 1, "c": "x"}, "/ab/x/1": None, "/ab/1": None, "/ab": None}),
    ("5", "/<re:[a-c]+:a>/end", {"/ab/end": {"a": "ab"}, "/ab": None, "/ab/": None, "/": None}),
    ("5", "/<re:[a-c]+:a>/x/<path:b>", {"/ab/x/y": {"a": "ab", "b": "y"}, "/ab/x": None, "/ab": None}),
    (
        "5 observed",
        "/<re:.*:path>",
        {"/": {"path": ""}, "/a": {"path": "a"}, "/a/b/": {"path": "a/b/"}, "": None},
    ),
    ("5 observed", "/x/<re:.*:path>", {"/x/": {"path": ""}, "/x/a/b": {"path": "a/b"}, "/x": None, "/y/a": None}),
    ("5 observed", "/<re:.+:a>/<int:b>", {"/x/y/5": {"a": "x/y", "b": 5}, "/x/5": {"a": "x", "b": 5}, "/5": None}),
    ("5 observed", "/<re:[a-z]*:a>/b", {"//b": {"a": ""}, "/x/b": {"a": "x"}, "/x/y/b": None}),
    ("5", "/a%20b/<arg>", {"/a%20b/%20": {"arg": "%20"}, "/a b/%20": None}),
    ("5 observed", "", {"/": {}, "": None, "/foo": None}),
    ("5 observed", "foo", {"/foo": {}, "foo": None}),
    ("5 observed", "<int:id>", {"/5": {"id": 5}, "/a": None, "5": None}),
    ("5 observed", "<a>/b", {"/x/b": {"a": "x"}, "/x": None, "x/b": None}),
    ("21 B11", "/a.b", {"/a.b": {}, "/aXb": None}),
    ("21 B11", "/a.b/<arg>", {"/a.b/c": {"arg": "c"}, "/aXb/c": None}),
    ("21 B11", "/a.b/<re:[x]+:arg>", {"/a.b/x": {"arg": "x"}, "/aXb/x": None}),
    ("21 B11", "/(/<arg>", {"/(/c": {"arg": "c"}}),
    ("21 B11", "/(", {"/(": {}, "/": None}),
    ("21 B11", "/[a]+*?", {"/[a]+*?": {}, "/a": None}),
    ("21 B11", "/foo", {"/foo\n": None}),
    ("21 B11", "/<int:id>", {"/1\n": None}),
    ("21 B11", "/<re:[a-c]+:id>", {"/ab\n": None}),
    ("5 BUG", "/<re:(a|b)(c):x>/<y>", {"/ac/z": {"x": "ac", "y": "z"}}),
)


def test_facts() -> None:
    for section, text, paths in FACTS:
        pattern = URLPattern(text)
        for path in paths:
            result = pattern.match(path)
            assert result == paths[path], (section, text, path, result)
            if result:
                for name in result:
                    expected = (paths[path] or {})[name]
                    assert type(result[name]) is type(expected), (section, text, path, name)


def test_matching_again_gives_a_result_of_its_own() -> None:
    pattern = URLPattern("/<a>")
    first = pattern.match("/x")
    second = pattern.match("/y")
    assert first == {"a": "x"} and second == {"a": "y"}


def test_attributes() -> None:
    """Contract 5 MUST."""
    pattern = URLPattern("/users/<int:id>")
    assert pattern.url_pattern == "/users/<int:id>"
    assert repr(pattern) == "URLPattern: /users/<int:id>"
    assert isinstance(pattern.segments, list)
    assert pattern.regex is None


def test_compile() -> None:
    """Contract 5: public; returns the compiled regular expression."""
    regex = URLPattern("/users/<int:id>").compile()
    assert regex.match("/users/123")
    assert not regex.match("/users/abc")


def test_construction_never_fails() -> None:
    """Contract 5 MUST: the errors come with the first match, or from compile()."""
    for text, message in (
        ("/users/<foo:id", "invalid URL pattern"),
        ("/users/<id", "invalid URL pattern"),
        ("/users/<foo:id>", "invalid URL segment type"),
    ):
        assert message in str(raised(ValueError, URLPattern(text).match, "/users/1")), text
        assert message in str(raised(ValueError, URLPattern(text).compile)), text


def test_register_a_type_again() -> None:
    """Contract 5 D: registering again replaces both, for the types that are there from the beginning too."""
    patterns, parsers = dict(URLPattern.segment_patterns), dict(URLPattern.segment_parsers)
    try:
        URLPattern.register_type("int", "[0-9]+", int)
        assert URLPattern("/<int:id>").match("/5") == {"id": 5}
        assert URLPattern("/<int:id>").match("/-5") is None
        URLPattern.register_type("string", "[a-z]+", lambda text: text.upper())
        assert URLPattern("/<id>/<int:n>").match("/ab/1") == {"id": "AB", "n": 1}
        assert URLPattern("/<id>").match("/AB") is None
        URLPattern.register_type("path", "[a-z/]+")
        assert URLPattern("/<path:p>/x").match("/a/b/x") == {"p": "a/b"}
        assert URLPattern("/<path:p>/x").match("/a/B/x") is None
    finally:
        for name in patterns:
            URLPattern.register_type(name, patterns[name], parsers.get(name))


def test_register_type() -> None:
    """Contract 5 D: pattern only, pattern and parser, parser only."""
    URLPattern.register_type("hex", "[0-9a-fA-F]+")
    pattern = URLPattern("/users/<hex:id>")
    assert pattern.match("/users/a1") == {"id": "a1"}
    assert pattern.match("/users/ab12z") is None

    URLPattern.register_type("hex", "[0-9a-fA-F]+", parser=lambda value: int(value, 16))
    pattern = URLPattern("/users/<hex:id>")
    assert pattern.match("/users/a1") == {"id": 161}
    assert pattern.match("/users/ab12z") is None

    def hex_parser(value: str) -> "int | None":
        try:
            return int(value, 16)
        except ValueError:
            return None

    # Without a pattern the default is back, and None from the parser means "no match".
    URLPattern.register_type("hex", parser=hex_parser)
    pattern = URLPattern("/users/<hex:id>")
    assert pattern.match("/users/a1") == {"id": 161}
    assert pattern.match("/users/ab12z") is None
    assert pattern.match("/users/") is None
    assert pattern.match("/users/a/1") is None
    # A falsy value is a value.
    assert pattern.match("/users/0") == {"id": 0}

    URLPattern.register_type("two", pattern="[ab][ab]")
    assert URLPattern("/<two:x>/<two:y>/<hex:z>").match("/ab/ba/ff") == {"x": "ab", "y": "ba", "z": 255}
    assert URLPattern("/<two:x>").match("/abc") is None


def test_long_paths() -> None:
    """Issue: constant stack depth whatever the path."""
    long = "x" * 20000
    many = "/".join(["a"] * 2000)
    for text, path, expected in (
        ("/<arg>", "/" + long, {"arg": long}),
        ("/<path:arg>", "/" + long, {"arg": long}),
        ("/<path:arg>", "/" + many, {"arg": many}),
        ("/<path:arg>/end", "/" + many + "/end", {"arg": many}),
        ("/<path:arg>/end", "/" + many, None),
        ("/<int:n>", "/" + long, None),
        ("/x/<arg>", "/" + many, None),
    ):
        assert URLPattern(text).match(path) == expected, (text, len(path))


def test_several_paths_do_not_multiply() -> None:
    """Contract 21 B11: a client chooses the number of slashes, so trying every cut of a path must not take for ever."""
    path = "/" + "/".join(["a"] * 250)
    start = time.time()
    for text, given, matches in (
        ("/<path:a>/<path:b>/end", path, False),
        ("/<path:a>/<path:b>/<path:c>/end", path, False),
        ("/<path:a>/x/<path:b>/<path:c>/end", path, False),
        ("/<path:a>/<path:b>/<path:c>/end", path + "/end", True),
        ("/<re:.*:a>/<re:.*:b>/end", path, False),
        ("/<re:[^x]*:a>/<re:[^y]+:b>/end", "/" * 1900, False),
    ):
        assert (URLPattern(text).match(given) is not None) == matches, text
    assert time.time() - start < 5, time.time() - start


def test_many_spanning_segments() -> None:
    """Each of them may end at every slash: a client's slashes must not multiply."""
    tried = [0]
    slashes = 1000 if CPYTHON else 100

    def count(text: str) -> str:
        tried[0] += 1
        raise ValueError

    URLPattern.register_type("counted", ".+", count)
    try:
        pattern = URLPattern("/x/<counted:a>/<counted:b>/<counted:c>/end")
        pattern.compile()
        assert pattern.match("/x/" + "a/" * slashes + "end") is None
        assert tried[0] < 10000
    finally:
        del URLPattern.segment_patterns["counted"], URLPattern.segment_parsers["counted"]
    two = URLPattern("/x/<path:a>/<path:b>/end")
    two.compile()
    assert two.match("/x/" + "a/" * slashes + "end") == {"a": "a/" * (slashes - 2) + "a", "b": "a"}
