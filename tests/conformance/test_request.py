"""Request and Request.create: contract section 3.

Portable: CPython and MicroPython.
"""

from microdot import AsyncBytesIO, Microdot, Request
from microdot.microdot import MultiDict, NoCaseDict
from support.checks import BAD_JSON, CPYTHON, LAX_JSON, raised, raised_async
from support.fake_stream import FakeStream, request_bytes, request_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# What stands for an application, an address and so on where the request only keeps it.
APP: "Any" = "app"
SUB: "Any" = "sub"
ROUTE: "Any" = "r"


async def create(
    method: str, path: str, headers: "dict[str, str] | None" = None, body: "bytes | None" = None
) -> Request:
    """Make a request as programs' own tests do: strings for writer and address, which nobody may touch (3.7)."""
    stream = request_stream(method, path, headers, body)
    request = await Request.create(APP, stream, "writer", "addr")
    assert request is not None
    return request


def plain(url: str = "/", headers: "dict[str, str] | None" = None, **more: "Any") -> Request:
    """Make a request by its constructor (3.2)."""
    return Request(APP, "addr", "GET", url, "1.0", NoCaseDict(headers), **more)


async def test_create() -> None:
    """Contract 3.3, 3.7 MUST: a request without body."""
    stream = request_stream("GET", "/foo")
    request = await Request.create(APP, stream, "writer", "addr")
    assert request is not None
    assert request.app is APP
    assert request.client_addr == "addr"
    assert request.method == "GET"
    assert request.scheme == "http"
    assert request.url == "/foo"
    assert request.path == "/foo"
    assert request.http_version == "1.0"
    assert request.query_string is None
    assert request.args == {}
    assert request.headers == {"Host": "example.com:1234"}
    assert request.cookies == {}
    assert request.content_length == 0
    assert request.content_type is None
    assert request.body == b""
    assert request.json is None
    assert request.form is None
    assert request.files is None
    assert request.sock == (stream, "writer")
    assert request.url_prefix == ""
    assert request.subapp is None
    assert request.route is None
    assert request.after_request_handlers == []


async def test_create_takes_the_scheme() -> None:
    for scheme, expected in ((None, "http"), ("http", "http"), ("https", "https")):
        request = await Request.create(APP, request_stream("GET", "/"), "writer", "addr", scheme)
        assert request is not None and request.scheme == expected, scheme
        request = await Request.create(APP, request_stream("GET", "/"), "writer", "addr", scheme=scheme)
        assert request is not None and request.scheme == expected, scheme


def test_constructor() -> None:
    """Contract 3.2: positions, names and defaults of the arguments."""
    request = Request(APP, "addr", "POST", "/a?b=c", "1.1", {"X": "y"}, None, "stream", "sock", "/p", SUB, "https", ROUTE)
    assert (request.app, request.client_addr, request.method, request.url) == (APP, "addr", "POST", "/a?b=c")
    assert (request.http_version, request.body, request.stream) == ("1.1", b"", "stream")
    assert (request.sock, request.url_prefix, request.subapp) == ("sock", "/p", SUB)
    assert (request.scheme, request.route) == ("https", ROUTE)
    assert request.headers == {"X": "y"}
    request = plain()
    assert (request.body, request.sock, request.url_prefix) == (b"", None, "")
    assert (request.subapp, request.scheme, request.route) == (None, "http", None)
    request = plain(body=b"x", url_prefix="/p", subapp=SUB, scheme="https", route=ROUTE, sock=(1, 2))
    assert (request.body, request.url_prefix, request.subapp) == (b"x", "/p", SUB)
    assert (request.scheme, request.route, request.sock) == ("https", ROUTE, (1, 2))


async def test_headers() -> None:
    """Contract 3.3, 3.6 MUST."""
    request = await create(
        "GET",
        "/foo",
        {
            "Content-Type": "application/json",
            "Cookie": "foo=bar;nothing;abc=def;",
            "Content-Length": "0",
            "X-Empty": "",
            "X-Colon": "a:b: c",
        },
    )
    assert isinstance(request.headers, NoCaseDict)
    assert request.headers["content-TYPE"] == "application/json"
    assert request.content_type == "application/json"
    assert request.content_length == 0
    # The empty key comes from the semicolon at the end.
    assert request.cookies == {"foo": "bar", "nothing": "", "abc": "def", "": ""}
    assert request.body == b""
    assert request.headers["x-empty"] == ""
    assert request.headers["x-colon"] == "a:b: c"
    assert "X-Missing" not in request.headers
    assert request.headers.get("X-Missing") is None


# (contract section, Cookie header, cookies)
COOKIES = (
    ("3.6 MUST", "foo=bar;nothing;abc=def;", {"foo": "bar", "nothing": "", "abc": "def", "": ""}),
    ("3.6", "a=b", {"a": "b"}),
    ("3.6", " a=b ;  c=d ", {"a": "b", "c": "d"}),
    ("3.6", "a=b=c", {"a": "b=c"}),
    ("3.6", "a=1; a=2", {"a": "2"}),
    ("3.6", 'a="q"; b=%20+', {"a": '"q"', "b": "%20+"}),
    ("3.6", "a=", {"a": ""}),
)


def test_cookies() -> None:
    for section, header, expected in COOKIES:
        request = plain(headers={"cookie": header})
        assert request.cookies == expected, (section, header, request.cookies)
    assert plain().cookies == {}


# (contract section, target, path, query string, args)
TARGETS: "tuple[tuple[str, str, str, str | None, dict[str, list[str]]], ...]" = (
    (
        "3.6 MUST",
        "/?foo=bar&abc=def&foo&x=%2f%%",
        "/",
        "foo=bar&abc=def&foo&x=%2f%%",
        {"foo": ["bar", ""], "abc": ["def"], "x": ["/%%"]},
    ),
    ("3.3 MUST", "/foo", "/foo", None, {}),
    ("3.6 MUST", "/foo?", "/foo", "", {}),
    ("3.3", "/a?b?c=d", "/a", "b?c=d", {"b?c": ["d"]}),
    ("3.6", "/?&&a=b&", "/", "&&a=b&", {"a": ["b"]}),
    ("3.6", "/?a=b=c", "/", "a=b=c", {"a": ["b=c"]}),
    ("3.6", "/?a+b=c%20d", "/", "a+b=c%20d", {"a b": ["c d"]}),
    ("3.6", "/?=x", "/", "=x", {"": ["x"]}),
    ("3.3", "/a%20b/%2F%3F", "/a%20b/%2F%3F", None, {}),  # the path is not decoded; 21 B10: nor cut at %3F
)


def test_targets() -> None:
    for section, url, path, query_string, args in TARGETS:
        request = plain(url)
        assert request.url == url, section
        assert request.path == path, (section, url, request.path)
        assert request.query_string == query_string, (section, url, request.query_string)
        assert request.args == args, (section, url, request.args)


def test_args_are_always_a_multidict() -> None:
    """Contract 3.3, 21 C3: programs call getlist() whether or not there is a query."""
    for url in ("/", "/?", "/?a=1&a=2"):
        args = plain(url).args
        assert isinstance(args, MultiDict), url
        assert args.getlist("none") == []
    assert plain("/?a=1&a=2").args.getlist("a", type=int) == [1, 2]
    request = plain("/?a=1")
    assert request.args is request.args


def test_g_is_fresh() -> None:
    """Contract 3.3: arbitrary attributes, one object per request."""
    one, two = plain(), plain()
    one.g.user = "susan"
    assert one.g.user == "susan"
    assert not hasattr(two.g, "user")
    assert one.g is one.g
    assert isinstance(one.g, Request.G)


async def test_json() -> None:
    """Contract 3.4 MUST."""
    request = await create("POST", "/foo", {"Content-Type": "application/json"}, b'{"foo":"bar"}')
    json = request.json
    assert json == {"foo": "bar"}
    assert request.json is json
    request = await create("POST", "/foo", {"Content-Type": "application/json"}, b'[1, "2"]')
    json = request.json
    assert json == [1, "2"]
    assert request.json is json
    request = await create("POST", "/foo", {"Content-Type": "application/xml"}, b"[1, '2']")
    assert request.json is None
    request = await create("POST", "/foo", {"Content-Type": "application/json; charset=UTF-8"}, b"[1]")
    assert request.json == [1]
    assert (await create("POST", "/foo", None, b"[1]")).json is None


async def test_media_types_are_case_insensitive() -> None:
    """RFC 9110 section 8.3.1; contract 3.4 Q compared the exact text."""
    for media_type in ("Application/JSON", "application/json ; charset=utf-8", "APPLICATION/JSON;charset=utf-8"):
        assert (await create("POST", "/", {"Content-Type": media_type}, b"[1]")).json == [1], media_type
    for media_type in ("Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded ; charset=utf-8"):
        form = (await create("POST", "/", {"Content-Type": media_type}, b"a=b")).form
        assert form == {"a": ["b"]}, media_type


async def test_malformed_bodies_raise_a_value_error_with_a_status() -> None:
    """Contract 21 B18: programs may catch ValueError; dispatch makes a 400 of what they don't catch."""
    for body in BAD_JSON + LAX_JSON if CPYTHON else BAD_JSON:
        request = plain(headers={"Content-Type": "application/json"}, body=body)
        error = raised(ValueError, lambda: request.json)
        assert error.status_code == 400, body
    for body in (b"a=%zz", b"a=%ff", b"%ff=a"):
        request = plain(headers={"Content-Type": "application/x-www-form-urlencoded"}, body=body)
        error = raised(ValueError, lambda: request.form)
        assert error.status_code == 400, body


async def test_form() -> None:
    """Contract 3.4, 3.6 MUST."""
    request = await create(
        "POST", "/foo", {"Content-Type": "application/x-www-form-urlencoded"}, b"foo=bar&abc=def&x=%2f%%"
    )
    form = request.form
    assert form == {"foo": ["bar"], "abc": ["def"], "x": ["/%%"]}
    assert isinstance(form, MultiDict)
    assert form["foo"] == "bar"
    assert request.form is form
    assert "foo" in form and "key" not in form  # contract 25
    request = await create("POST", "/foo", {"Content-Type": "application/json"}, b"foo=bar&abc=def&x=%2f%%")
    assert request.form is None
    assert (await create("GET", "/foo")).form is None


async def test_form_fields_without_a_value() -> None:
    """Contract 3.4 Q, 21 C4: text like every other value, not bytes."""
    request = await create("POST", "/foo", {"Content-Type": "application/x-www-form-urlencoded"}, b"foo&bar=&foo=x")
    assert request.form == {"foo": ["", "x"], "bar": [""]}
    empty = plain(headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert empty.form == {}


async def test_body_and_stream_in_memory() -> None:
    """Contract 3.4 MUST: a small body is in both."""
    for length in (1, 100, Request.max_body_length):
        data = b"x" * length
        request = await create("POST", "/foo", None, data)
        assert request.content_length == length
        assert request.body == data
        assert isinstance(request.stream, AsyncBytesIO)
        assert request.stream is request.stream
        assert await request.stream.read() == data
        assert request.body == data


async def test_large_body_is_streamed() -> None:
    """Contract 3.1, 3.4 MUST: the limit is read from the class at each request."""
    saved = Request.max_body_length
    Request.max_body_length = 16
    try:
        data = b"12345678901234567890"
        stream = request_stream("POST", "/foo", None, data)
        request = await Request.create(APP, stream, "writer", "addr")
        assert request is not None
        assert request.content_length == 20
        assert request.body == b""
        assert await request.stream.read() == data

        request = await create("POST", "/foo", None, b"1234567890123456")
        assert request.body == b"1234567890123456"

        Request.max_body_length = 0  # always streamed
        request = await create("POST", "/foo", None, b"x")
        assert request.body == b""
        assert await request.stream.read() == b"x"
    finally:
        Request.max_body_length = saved


async def test_create_line_limit() -> None:
    """Contract 3.1, 3.7.1 MUST: the terminator counts; the limit is read from the class at each request."""
    saved = Request.max_readline
    Request.max_readline = 16
    try:
        stream = FakeStream(b"GET /foo HTTP/1.0\n\n")  # 18 bytes
        error = await raised_async(ValueError, Request.create(APP, stream, "writer", "addr"))
        assert "line too long" in str(error)
        request = await Request.create(APP, FakeStream(b"GET /a HTTP/1.0\n\n"), "writer", "addr")
        assert request is not None and request.path == "/a"
        stream = FakeStream(b"GET /a HTTP/1.0\nX-Long: 01234567\n\n")
        await raised_async(ValueError, Request.create(APP, stream, "writer", "addr"))
    finally:
        Request.max_readline = saved
    for length, passes in ((2048, True), (2049, False)):
        line = b"GET /" + b"x" * (length - 5 - 10) + b" HTTP/1.0\n"
        assert len(line) == length
        stream = FakeStream(line + b"\n")
        if passes:
            assert await Request.create(APP, stream, "writer", "addr") is not None
        else:
            await raised_async(ValueError, Request.create(APP, stream, "writer", "addr"))


async def test_create_nothing() -> None:
    """Contract 3.7.2: the end of the stream, or an empty first line."""
    for data in (b"", b"\n", b"\r\n", b"  \r\nGET / HTTP/1.0\r\n\r\n"):
        assert await Request.create(APP, FakeStream(data), "writer", "addr") is None, data


async def test_create_malformed() -> None:
    """Contract 3.7.3, 3.7.4."""
    for data in (
        b"GET /\n\n",
        b"GET / HTTP/1.0 more\n\n",
        b"GET / HTTP\n\n",
        b"GET\n\n",
        b"GET / HTTP/1.0\nno colon\n\n",
        b"GET / HTTP/1.0\nX: \xff\n\n",
        b"\xff / HTTP/1.0\n\n",
        b"GET / HTTP/1.0\nContent-Length: abc\n\n",
    ):
        await raised_async(Exception, Request.create(APP, FakeStream(data), "writer", "addr"))


async def test_create_reads_leniently() -> None:
    """Contract 3.7 MUST: bare LF, mixed line ends, a head that ends with the stream, bytes after the head."""
    for data in (
        b"GET /a HTTP/1.0\nX: y\n\n",
        b"GET /a HTTP/1.0\r\nX: y\r\n\r\n",
        b"GET /a HTTP/1.0\r\nX: y\n\r\n",
        b"GET /a HTTP/1.0\nX:y\n",
        b"GET /a HTTP/1.0\nX:  y  \n",
        b"GET /a HTTP/1.0\nX: y",
        b"GET /a HTTP/1.0\nX: y\n\n\nextra bytes",
        b"GET /a HTTP/1.0\nx: first\nX: y\n\n",  # 3.7.4: a later duplicate overwrites
    ):
        request = await Request.create(APP, FakeStream(data), "writer", "addr")
        assert request is not None, data
        assert request.path == "/a", data
        assert request.headers["X"] == "y", (data, request.headers)
        assert request.body == b"", data


async def test_create_reads_exactly_the_body() -> None:
    """Contract 3.7.5: what follows the body stays in the stream."""
    stream = FakeStream(request_bytes("POST", "/", None, b"12345") + b"rest")
    request = await Request.create(APP, stream, "writer", "addr")
    assert request is not None
    assert request.body == b"12345"
    assert await stream.read() == b"rest"


async def test_after_request() -> None:
    """Contract 3.5 MUST: a decorator without parentheses that returns its function."""
    request = plain()

    @request.after_request
    def first(request: Request, response: "Any") -> None:
        pass

    def second(request: Request, response: "Any") -> None:
        pass

    assert request.after_request(second) is second
    assert callable(first)
    assert request.after_request_handlers == [first, second]
    assert plain().after_request_handlers == []


async def test_limits() -> None:
    """Contract 3.1 D."""
    assert Request.max_content_length == 16384
    assert Request.max_body_length == 16384
    assert Request.max_readline == 2048


async def test_create_with_a_real_app() -> None:
    app = Microdot()
    request = await Request.create(app, request_stream("GET", "/"), FakeStream(), ("127.0.0.1", 1234))
    assert request is not None
    assert request.app is app
    assert request.client_addr == ("127.0.0.1", 1234)


def test_order_of_headers() -> None:
    """Contract 3.3, 2.8: in the order of the wire on CPython."""
    request = plain(headers={"B": "1", "A": "2", "C": "3"})
    assert sorted(request.headers) == ["A", "B", "C"]
    if CPYTHON:
        assert list(request.headers) == ["B", "A", "C"]
