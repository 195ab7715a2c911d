"""Requests, and what every host must make of them.

A row is a request and its expected answer. Where a host forces another one, `but` says which, and docs/hosts.md why.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

# Servers that join repeated headers by themselves, and without a space.
JOINED = {name: {"json": {"X-One": "1,2"}} for name in ("gunicorn", "gunicorn-threads", "granian-wsgi", "wsgiref")}
# Servers that tell nothing but the decoded path.
DECODED = {name: {"status": 404, "json": None} for name in ("granian-wsgi", "wsgiref")}
UNREAD = {"wsgiref": {"status": 411, "body": b"Length required", "json": None}}

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@dataclass(frozen=True)
class Row:
    """One request and its answer."""

    name: str
    path: str
    body: bytes | None = None
    """The expected body; None: not compared."""
    method: str = "GET"
    status: int = 200
    send: tuple[str, ...] = ()
    """Header lines of the request."""
    content: bytes = b""
    """Body of the request."""
    chunked: bool = False
    """Whether the body is sent in chunks, without a length."""
    header: dict[str, str | None] = field(default_factory=dict)
    """Expected headers; None: there must be none; several of one name are joined by `|`."""
    json: Any = None
    """The expected body as JSON; of a dict only the named keys are compared."""
    wire: bool = False
    """Whether the request cannot be said to the test client."""
    but: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name or interface of a host: what is different there."""


def _numbers(length: int) -> bytes:
    return (b"0123456789" * (length // 10 + 1))[:length]


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()


ROWS = [
    # What handlers return
    Row("text", "/", b"hello", header={"Content-Type": "text/plain; charset=UTF-8", "Content-Length": "5"}),
    Row("plain function", "/plain", b"from a plain function"),
    Row("text that is not ASCII", "/text", "äöü \u20ac".encode()),
    Row("dict", "/json", b'{"answer": 42}', header={"Content-Type": "application/json; charset=UTF-8"}),
    Row("list", "/list", b"[1, 2, 3]", header={"Content-Type": "application/json; charset=UTF-8"}),
    Row("None", "/none", b"", status=204, header={"Content-Length": None, "Content-Type": None}, but={"test-client": {"header": {}}}),
    Row("status alone", "/status", b"", status=202),
    Row("tuple", "/tuple", b"<p>gone", status=410, header={"Content-Type": "text/html", "X-One": "1"}),
    Row("304", "/not-modified", b"", status=304, header={"ETag": '"abc"'}),
    Row("bytearray", "/bytes", b"\x00\xff\x00", header={"Content-Length": "3"}, but={"test-client": {"header": {}}}),
    Row("redirect", "/redirect", b"", status=302, header={"Location": "/new%20place"}),
    Row(
        "file",
        "/file",
        _numbers(5000),
        header={"Content-Type": "text/plain", "Cache-Control": "max-age=60", "Content-Length": "5000"},
        but={"test-client": {"header": {}}},
    ),
    Row("cookies set", "/cookies", b"{}", header={"Set-Cookie": "one=1|two=2; HttpOnly"}),
    Row("cookies sent", "/cookies", json={"a": "1", "b": "x y"}, send=("Cookie: a=1; b=x y",)),
    # HEAD, OPTIONS, 404, 405
    Row("HEAD", "/", b"", "HEAD", header={"Content-Length": "5", "Content-Type": "text/plain; charset=UTF-8"}),
    Row("HEAD of JSON", "/json", b"", "HEAD", header={"Content-Length": "14"}),
    Row("HEAD of a file", "/file", b"", "HEAD", header={"Content-Length": "5000"}, but={"test-client": {"header": {}}}),
    Row("HEAD of a stream", "/slowly", b"", "HEAD"),
    Row("HEAD of an error", "/nowhere", b"", "HEAD", 404),
    Row("OPTIONS", "/body", b"", "OPTIONS", header={"Allow": "GET, POST, PUT, PATCH, DELETE, QUERY, HEAD, OPTIONS"}),
    Row("404", "/nowhere", b"Not found", status=404, header={"X-Error": "1"}),
    Row("405", "/json", b"Not found", "POST", 405, header={"Allow": "GET, HEAD, OPTIONS", "X-Error": "1"}),
    # Streams out
    Row("generator", "/generator", "one two drei ä".encode(), header={"Content-Length": None}),
    Row("empty generator", "/empty-generator", b""),
    Row("async iterator", "/slowly", b"tick\n" * 3),
    Row("many chunks", "/large", b"0123456789abcdef" * 64 * 300),
    # The request line
    Row(
        "request",
        "/request/a/b?x=1&y=&x=2",
        json={
            "method": "GET",
            "path": "/request/a/b",
            "query": "x=1&y=&x=2",
            "rest": "a/b",
            "scheme": "http",
            "x": ["1", "2"],
            "prefix": "",
            "length": 0,
            "app": True,
        },
    ),
    Row("client address", "/request/a", json={"client": "127.0.0.1"}),
    Row("no media type", "/request/a", json={"type": None}, but={"wsgiref": {"json": {"type": "text/plain"}}}),
    Row("no query", "/request/a", json={"query": None, "x": []}),
    Row("DELETE", "/request/a", json={"method": "DELETE", "rest": "a"}, method="DELETE"),
    Row("path is raw", "/request/a%20b+c", json={"path": "/request/a%20b+c", "rest": "a%20b+c"}),
    Row("question mark in a path", "/request/a%3Fx=1", json={"path": "/request/a%3Fx=1", "query": None, "x": []}),
    Row("percent sign in a path", "/request/100%25", json={"path": "/request/100%25"}),
    Row("slash in a segment", "/users/1/a%2Fb", json=[1, "a%2Fb"], but=DECODED),
    Row("path that is not ASCII", "/users/7/%C3%A4%E2%82%AC", json=[7, "%C3%A4%E2%82%AC"]),
    Row("query is decoded once", "/request/a?x=%2525+b", json={"query": "x=%2525+b", "x": ["%25 b"]}),
    Row("query that is not ASCII", "/request/a?x=%C3%A4", json={"x": ["ä"]}),
    Row("malformed query", "/request/a?x=%zz", b"Bad request", status=400),
    Row("no number", "/users/x/name", b"Not found", status=404),
    # Headers
    Row(
        "headers",
        "/headers",
        json={"X-One": "1", "X-Two": "a b", "Host": "localhost", "none": None},
        send=("X-One: 1", "x-two:  a b ", "Host: localhost"),
    ),
    Row("repeated header", "/headers", json={"X-One": "1, 2"}, send=("X-One: 1", "X-One: 2", "X-Two: x"), wire=True, but=JOINED),
    # Bodies in
    Row("POST", "/body", json={"loaded": 5, "begins": "01234"}, method="POST", content=_numbers(5)),
    Row("POST of nothing", "/body", json={"loaded": 0}, method="POST"),
    Row("PUT", "/body", json={"method": "PUT", "loaded": 9}, method="PUT", content=_numbers(9)),
    Row("PATCH", "/body", json={"method": "PATCH", "loaded": 9}, method="PATCH", content=_numbers(9)),
    Row("QUERY", "/body", json={"method": "QUERY", "loaded": 9}, method="QUERY", content=_numbers(9)),
    Row("GET with a body", "/body", json={"loaded": 9}, content=_numbers(9)),
    Row("largest loaded", "/body", json={"loaded": 4096}, method="POST", content=_numbers(4096)),
    Row("not loaded", "/body", json={"loaded": 0}, method="POST", content=_numbers(4097)),
    Row(
        "form",
        "/form",
        json={"a": "1 2", "b": ["ä", ""]},
        method="POST",
        send=(f"Content-Type: {FORM}",),
        content=b"a=1+2&b=%C3%A4&b=",
    ),
    Row(
        "JSON",
        "/take-json",
        json={"got": {"a": [1]}},
        method="POST",
        send=(f"Content-Type: {JSON}",),
        content=_dump({"a": [1]}),
    ),
    Row("malformed JSON", "/take-json", b"Bad request", "POST", 400, (f"Content-Type: {JSON}",), b'{"a": nothing}'),
    Row("small body as a stream", "/stream", json={"loaded": 100, "streamed": 100}, method="POST", content=_numbers(100)),
    Row("streamed", "/stream", json={"loaded": 0, "streamed": 30000}, method="POST", content=_numbers(30000)),
    Row(
        "reading by lines",
        "/lines",
        json=["one\n", "two;", "thr", 4095 + 2],
        method="POST",
        content=b"one\ntwo;three" + _numbers(4095),
    ),
    Row("too long", "/body", b"Payload too large", "POST", 413, content=_numbers(40001)),
    Row("too long for a route that is not there", "/nowhere", b"Payload too large", "POST", 413, content=_numbers(40001)),
    Row("unread", "/unread", b"did not look", "POST", content=_numbers(30000)),
    Row("chunked", "/body", json={"loaded": 3000}, method="POST", content=_numbers(3000), chunked=True, wire=True, but=UNREAD),
    Row(
        "chunked and streamed",
        "/stream",
        json={"loaded": 0, "streamed": 30000},
        method="POST",
        content=_numbers(30000),
        chunked=True,
        wire=True,
        but=UNREAD,
    ),
    Row(
        "chunked and too long",
        "/stream",
        b"Payload too large",
        "POST",
        413,
        content=_numbers(60000),
        chunked=True,
        wire=True,
        but=UNREAD,
    ),
    # Errors
    Row("exception", "/raise", b"Internal server error", status=500, header={"X-Error": "1"}),
    Row("exception handler", "/raise-plain", b"no such key", status=409),
    Row("abort", "/abort/406", b"because", status=406),
    Row("error handler", "/abort/418", b'{"tea": true}', status=418),
    Row("header injection", "/inject?v=a%0d%0aX-Evil:%201", b"Internal server error", status=500, header={"X-Evil": None}),
    Row(
        "header injection in a list",
        "/inject-list?v=a%0d%0aX-Evil:%201",
        b"Internal server error",
        status=500,
        header={"X-Evil": None},
        wire=True,
    ),
    Row("no body at all", "/bad-body", b"Internal server error", status=500, wire=True),
    # Hooks
    Row("before hook answers", "/forbidden", b"forbidden", status=403),
    Row("hooks", "/hooks", b"hooks", header={"X-After": "seen", "X-Own": "1", "Vary": "X-One"}),
    Row("Vary", "/vary", b"vary", header={"Vary": "Accept, Cookie"}),
    Row("start hook", "/counts", json={"start": 1}),
    Row("admit refuses", "/admit/refused", b"not you", "POST", 401, content=_numbers(100)),
    Row("admit limits", "/admit/limit", b"Payload too large", "POST", 413, content=_numbers(11)),
    Row("admit passes", "/admit/limit", b"in", "POST", content=_numbers(10)),
    Row("time is up", "/admit/time", b"Timed out", "POST", 503),
    # Sub-applications
    Row("mounted", "/sub", json={"prefix": "/sub", "sub": True}),
    Row("mounted, with a path", "/sub/inner?x=1", json={"prefix": "/sub", "sub": True}),
    Row("hook of a sub-application", "/sub/inner?x=no", b"not here", status=403),
]
