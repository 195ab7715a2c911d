"""Response, redirect, send_file and cookies: contract section 4, and its share of 21 and 24.

Portable: CPython and MicroPython.
"""

from microdot import Response, redirect, send_file
from microdot.microdot import NoCaseDict
from support.checks import CPYTHON, names, raised, raised_async, split_message
from support.fake_stream import FakeStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILES = __file__.rsplit("/", 1)[0] + "/files/" if "/" in __file__ else "files/"


async def written(response: Response) -> bytes:
    """Return the bytes that the response writes to a stream with nothing but awrite()."""

    class Sink:
        data = b""

        async def awrite(self, data: bytes) -> None:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError("awrite takes bytes")
            self.data += bytes(data)

    sink = Sink()
    await response.write(sink)
    return sink.data


# (contract section, arguments, body, status code, reason, headers)
CONSTRUCTED: "tuple[tuple[str, tuple[Any, ...], Any, int, str | None, dict[str, str]], ...]" = (
    ("4.2 MUST", (), b"", 200, None, {}),
    ("4.2 MUST", ("foo",), b"foo", 200, None, {}),
    ("4.2 MUST", (b"foo",), b"foo", 200, None, {}),
    ("4.2 MUST", ("caf\u00e9",), b"caf\xc3\xa9", 200, None, {}),
    ("4.2 MUST", (None,), b"", 204, None, {}),
    ("4.2 observed", (None, 404), None, 404, None, {}),
    ("4.2 MUST", (23.7,), 23.7, 200, None, {}),
    ("4.2 MUST", ({"foo": "bar"},), b'{"foo": "bar"}', 200, None, {"Content-Type": "application/json; charset=UTF-8"}),
    ("4.2 MUST", ([1, "2"],), b'[1, "2"]', 200, None, {"Content-Type": "application/json; charset=UTF-8"}),
    ("4.2 MUST", ({},), b"{}", 200, None, {"Content-Type": "application/json; charset=UTF-8"}),
    ("4.2 MUST", ([],), b"[]", 200, None, {"Content-Type": "application/json; charset=UTF-8"}),
    ("4.2 MUST", ("foo", 123), b"foo", 123, None, {}),
    ("4.2 MUST", ("foo", 200, {"X-Test": "Foo"}), b"foo", 200, None, {"X-Test": "Foo"}),
    ("4.2 MUST", ("foo", 200, None, "ALL GOOD!"), b"foo", 200, "ALL GOOD!", {}),
)


def test_constructor() -> None:
    for section, arguments, body, status_code, reason, headers in CONSTRUCTED:
        response = Response(*arguments)
        assert response.body == body, (section, arguments, response.body)
        assert response.status_code == status_code, (section, arguments, response.status_code)
        assert response.reason == reason, (section, arguments)
        assert response.headers == headers, (section, arguments, response.headers)
        assert isinstance(response.headers, NoCaseDict)
        assert response.is_head is False
    response = Response(body="foo", status_code=201, headers={"A": "b"}, reason="X")
    assert (response.body, response.status_code, response.headers, response.reason) == (b"foo", 201, {"A": "b"}, "X")


def test_constructor_copies_headers() -> None:
    source = {"X-Test": "Foo"}
    response = Response("foo", headers=source)
    response.headers["x-test"] = "Bar"
    response.headers["New"] = "1"
    assert source == {"X-Test": "Foo"}
    assert response.headers == {"X-Test": "Bar", "New": "1"}


def test_json_body_decides_the_content_type() -> None:
    """Contract 4.2 observed; 21 C1: in every spelling, and never twice."""
    for name in ("Content-Type", "content-type"):
        response = Response({"a": 1}, headers={name: "text/plain"})
        assert len(response.headers) == 1, response.headers
        assert response.headers["Content-Type"] == "application/json; charset=UTF-8"


# (contract section, default content type or None, response arguments, headers after complete())
COMPLETED: "tuple[tuple[str, str | None, tuple[Any, ...], dict[str, str]], ...]" = (
    ("4.3 MUST", None, ("foo",), {"Content-Length": "3", "Content-Type": "text/plain; charset=UTF-8"}),
    ("4.3 MUST", "text/html", ("foo",), {"Content-Length": "3", "Content-Type": "text/html; charset=UTF-8"}),
    (
        "4.3 MUST",
        "text/html; charset=ISO-8859-1",
        ("foo",),
        {"Content-Length": "3", "Content-Type": "text/html; charset=ISO-8859-1"},
    ),
    (
        "4.3 MUST",
        None,
        ("foo", 200, {"Content-Length": "2"}),
        {"Content-Length": "2", "Content-Type": "text/plain; charset=UTF-8"},
    ),
    (
        "4.3 MUST",
        None,
        ("foo", 200, {"content-type": "text/html"}),
        {"Content-Length": "3", "content-type": "text/html"},
    ),
    ("4.3", None, (b"", 200), {"Content-Length": "0", "Content-Type": "text/plain; charset=UTF-8"}),
    (
        "4.3",
        None,
        ({"a": "caf\u00e9"},),
        {"Content-Length": None, "Content-Type": "application/json; charset=UTF-8"},  # type: ignore[dict-item]
    ),
)


def test_complete() -> None:
    saved = Response.default_content_type
    for section, default, arguments, expected in COMPLETED:
        try:
            if default is not None:
                Response.default_content_type = default
            response = Response(*arguments)
            response.complete()
        finally:
            Response.default_content_type = saved
        for name in expected:
            wanted = expected[name] if expected[name] is not None else str(len(response.body))
            assert response.headers[name] == wanted, (section, arguments, name, response.headers[name])
            assert isinstance(response.headers[name], str), (section, name)
        assert len(response.headers) == len(expected), (section, response.headers)
        if CPYTHON and len(arguments) == 1 and isinstance(arguments[0], str):
            assert list(response.headers) == ["Content-Length", "Content-Type"]  # after the user's own


def test_complete_without_a_length() -> None:
    """Contract 4.3: only bytes have a length that is known."""
    response = Response(iter(["a"]))
    response.complete()
    assert "Content-Length" not in response.headers
    response = Response(None, 404)
    response.complete()
    assert "Content-Length" not in response.headers


# (contract section, response, start line, header lines, body)
WRITTEN: "tuple[tuple[str, tuple[Any, ...], str, list[str], bytes], ...]" = (
    (
        "4.4 MUST",
        ("foo",),
        "HTTP/1.0 200 OK",
        ["Content-Length: 3", "Content-Type: text/plain; charset=UTF-8"],
        b"foo",
    ),
    (
        "4.4 MUST",
        ("foo", 200, {"X-Test": "Foo"}),
        "HTTP/1.0 200 OK",
        ["Content-Length: 3", "Content-Type: text/plain; charset=UTF-8", "X-Test: Foo"],
        b"foo",
    ),
    (
        "4.4 MUST",
        ("foo", 200, None, "ALL GOOD!"),
        "HTTP/1.0 200 ALL GOOD!",
        ["Content-Length: 3", "Content-Type: text/plain; charset=UTF-8"],
        b"foo",
    ),
    (
        "4.4 MUST",
        ("foo", 404, None, "NOT FOUND"),
        "HTTP/1.0 404 NOT FOUND",
        ["Content-Length: 3", "Content-Type: text/plain; charset=UTF-8"],
        b"foo",
    ),
    (
        "4.4 MUST, 4.2",
        ({"foo": "bar"},),
        "HTTP/1.0 200 OK",
        ["Content-Length: 14", "Content-Type: application/json; charset=UTF-8"],
        b'{"foo": "bar"}',
    ),
    (
        "4.4, 4.6",
        ("", 200, {"Set-Cookie": ["a=b", "c=d"]}),
        "HTTP/1.0 200 OK",
        ["Content-Length: 0", "Content-Type: text/plain; charset=UTF-8", "Set-Cookie: a=b", "Set-Cookie: c=d"],
        b"",
    ),
    (
        "4.4",
        ("foo", 200, {"Content-Length": "2", "Content-Type": "text/html"}),
        "HTTP/1.0 200 OK",
        ["Content-Length: 2", "Content-Type: text/html"],
        b"foo",
    ),
)


async def test_write() -> None:
    for section, arguments, start, lines, body in WRITTEN:
        message = split_message(await written(Response(*arguments)))
        assert message == (start, lines, body), (section, message)


async def test_write_reasons() -> None:
    """Contract 4.4: an empty reason is a reason; 204 is pinned to N/A, the others are free (24)."""
    assert (await written(Response("x", reason=""))).startswith(b"HTTP/1.0 200 \r\n")
    assert (await written(Response(None))).startswith(b"HTTP/1.0 204 N/A\r\n")
    start = split_message(await written(Response("x", 418)))[0]
    assert start.startswith("HTTP/1.0 418 ") and len(start) > len("HTTP/1.0 418 "), start


async def test_write_head() -> None:
    """Contract 4.4.4: the head of the whole response, and no body."""
    response = Response("foo")
    response.is_head = True
    assert split_message(await written(response)) == (
        "HTTP/1.0 200 OK",
        ["Content-Length: 3", "Content-Type: text/plain; charset=UTF-8"],
        b"",
    )


async def test_write_a_changed_body() -> None:
    """Contract 4.2 MUST: after-request handlers append to the body."""
    response = Response("foo")
    response.body += b"bar"
    start, lines, body = split_message(await written(response))
    assert body == b"foobar" and "Content-Length: 6" in lines


async def test_write_what_is_no_body() -> None:
    """Contract 4.2."""
    await raised_async(TypeError, written(Response(23.7)))


class AsyncChunks:
    """A class-based asynchronous iterator: what boards have instead of async generators."""

    def __init__(self, chunks: "list[Any]", fail: "Exception | None" = None) -> None:
        self.chunks = chunks
        self.fail = fail
        self.position = 0
        self.closed = 0

    def __aiter__(self) -> "AsyncChunks":
        return self

    async def __anext__(self) -> "Any":
        if self.position == len(self.chunks):
            if self.fail:
                raise self.fail
            raise StopAsyncIteration
        self.position += 1
        return self.chunks[self.position - 1]

    async def aclose(self) -> None:
        self.closed += 1


class AsyncFile:
    """A file whose read() is a coroutine, without close(): contract 4.5."""

    def __init__(self, chunks: "list[Any]") -> None:
        self.chunks = chunks
        self.asked: "list[int]" = []

    async def read(self, n: int) -> "Any":
        self.asked.append(n)
        return self.chunks.pop(0) if self.chunks else b""


class ClosableFile:
    """A file in memory that counts how often it is closed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.closed = 0

    def read(self, n: int) -> bytes:
        data, self.data = self.data[:n], self.data[n:]
        return data

    def close(self) -> None:
        self.closed += 1


class AsyncClosableFile(ClosableFile):
    """The same with a coroutine for close()."""

    async def close(self) -> None:  # type: ignore[override]
        self.closed += 1


def generator(*chunks: "Any") -> "Any":
    """Return a plain generator of the chunks."""
    for chunk in chunks:
        yield chunk


# (contract section, function that makes the body, bytes on the wire)
STREAMED: "tuple[tuple[str, Any, bytes], ...]" = (
    ("4.5 MUST", lambda: generator("foo", b"bar"), b"foobar"),
    ("4.5 MUST", lambda: iter(["foo", b"bar"]), b"foobar"),
    ("4.5 MUST", lambda: AsyncChunks(["foo", b"bar"]), b"foobar"),
    ("4.5 MUST", lambda: AsyncFile([b"re", b"sp", b"on", "se", b""]), b"response"),
    ("4.5", lambda: ClosableFile(b"response"), b"response"),
    ("4.5", lambda: AsyncClosableFile(b"response"), b"response"),
    ("21 A7", lambda: generator(), b""),
    ("21 A7", lambda: AsyncChunks([]), b""),
    ("4.5", lambda: ClosableFile(b""), b""),
    ("21 C14", lambda: AsyncFile([b"r", b"es", b"p", b"onse"]), b"response"),
)


async def test_write_streams() -> None:
    saved = Response.send_file_buffer_size
    try:
        for size in (2, saved):
            Response.send_file_buffer_size = size
            for section, make, expected in STREAMED:
                start, lines, body = split_message(await written(Response(make())))
                assert body == expected, (section, size, body)
                # Its length is unknown, so an HTTP/1.0 peer finds the end where the connection closes.
                assert lines == ["Content-Type: text/plain; charset=UTF-8"], (section, lines)
    finally:
        Response.send_file_buffer_size = saved


async def test_file_chunks() -> None:
    """Contract 4.5 MUST: what body_iter() yields for an object with an async read() and no close()."""
    saved = Response.send_file_buffer_size
    Response.send_file_buffer_size = 2
    try:
        body = AsyncFile([b"re", b"sp", b"on", "se", b""])
        chunks = []
        async for chunk in Response(body).body_iter():
            chunks.append(chunk)
    finally:
        Response.send_file_buffer_size = saved
    assert [c for c in chunks if c] == [b"re", b"sp", b"on", "se"]
    assert body.asked[0] == 2


async def test_body_iter() -> None:
    """Contract 4.5 S: every kind of body as one asynchronous iterator."""
    for body, expected in (
        (b"", []),
        ("foo", [b"foo"]),
        (generator("a", b"b"), ["a", b"b"]),
        (AsyncChunks(["a", b"b"]), ["a", b"b"]),
        (ClosableFile(b"foo"), [b"foo"]),
    ):
        got = []
        async for chunk in Response(body).body_iter():
            got.append(chunk)
        assert [c for c in got if c] == expected, (body, got)


async def test_iterators_and_files_are_closed() -> None:
    """Contract 4.4, 4.5 MUST: at the end of the body."""
    chunks = AsyncChunks([b"a"])
    await written(Response(chunks))
    assert chunks.closed == 1
    for file in (ClosableFile(b"abc"), AsyncClosableFile(b"abc")):
        await written(Response(file))
        assert file.closed >= 1


async def test_head_closes_without_reading() -> None:
    """Contract 21 A9: the body of a HEAD response used to be left open."""
    chunks = AsyncChunks([b"a"])
    file = ClosableFile(b"abc")
    async_file = AsyncClosableFile(b"abc")
    for body in (chunks, file, async_file):
        response = Response(body)
        response.is_head = True
        assert split_message(await written(response))[2] == b""
        assert body.closed >= 1, body
    assert chunks.position == 0
    assert file.data == b"abc"


async def test_head_closes_a_generator() -> None:
    closed = []

    def body() -> "Any":
        try:
            yield b"a"
        finally:
            closed.append(True)

    iterator = body()
    next(iterator)  # a generator that never started has nothing to clean up
    response = Response(iterator)
    response.is_head = True
    await written(response)
    assert closed == [True]


class FailingStream(FakeStream):
    """Takes the given number of writes, then fails."""

    def __init__(self, good: int, error: Exception) -> None:
        super().__init__()
        self.good = good
        self.error = error

    async def awrite(self, data: bytes) -> None:
        if self.writes == self.good:
            raise self.error
        await super().awrite(data)


async def test_write_to_a_peer_that_has_gone() -> None:
    """Contract 4.4: muted errors are swallowed, others propagate; the body is closed in both cases."""
    for good in (0, 1):
        for error in (
            OSError(32, "x"),
            OSError(54, "x"),
            OSError(104, "x"),
            OSError(128, "x"),
            OSError("Connection lost"),
        ):
            chunks = AsyncChunks([b"a", b"b", b"c", b"d", b"e", b"f"])
            await Response(chunks).write(FailingStream(good, error))
            assert chunks.closed == 1, (good, error)
        chunks = AsyncChunks([b"a", b"b", b"c", b"d", b"e", b"f"])
        await raised_async(OSError, Response(chunks).write(FailingStream(good, OSError(5, "x"))))


async def test_errors_of_the_body_propagate() -> None:
    """Contract 4.4: and the iterator is closed (RELIABILITY L13)."""
    chunks = AsyncChunks([b"a"], ZeroDivisionError())
    await raised_async(ZeroDivisionError, written(Response(chunks)))
    assert chunks.closed == 1


# ---- cookies ------------------------------------------------------------------------------------------------------

# (contract section, arguments, keywords, header text)
COOKIES: "tuple[tuple[str, tuple[str, Any], dict[str, Any], str], ...]" = (
    ("4.6 MUST", ("foo1", "bar1"), {}, "foo1=bar1"),
    ("4.6 MUST", ("foo2", "bar2"), {"path": "/", "partitioned": True}, "foo2=bar2; Path=/; Partitioned"),
    ("4.6 MUST", ("foo3", "bar3"), {"domain": "example.com:1234"}, "foo3=bar3; Domain=example.com:1234"),
    (
        "4.6 MUST",
        ("foo5", "bar5"),
        {"expires": "Thu, 01 Jan 1970 00:00:00 GMT", "max_age": 123},
        "foo5=bar5; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=123",
    ),
    ("4.6 MUST", ("foo6", "bar6"), {"secure": True, "http_only": True}, "foo6=bar6; Secure; HttpOnly"),
    (
        "4.6 MUST",
        ("foo7", "bar7"),
        {
            "path": "/foo",
            "domain": "example.com:1234",
            "expires": "Tue, 05 Nov 2019 02:23:54 GMT",
            "max_age": 123,
            "secure": True,
            "http_only": True,
        },
        "foo7=bar7; Path=/foo; Domain=example.com:1234; Expires=Tue, 05 Nov 2019 02:23:54 GMT; Max-Age=123; Secure; "
        "HttpOnly",
    ),
    ("4.6", ("a", "b"), {"max_age": 0}, "a=b; Max-Age=0"),
    ("4.6", ("a", ""), {"path": "", "domain": None, "expires": None}, "a="),
    ("4.6", ("a", 'b=c"d e'), {}, 'a=b=c"d e'),
    ("4.6 Q", ("a", {"red": 7}), {}, "a={'red': 7}"),
    ("4.6 Q", ("a", ["b", 1]), {}, "a=['b', 1]"),
)


def test_set_cookie() -> None:
    for section, arguments, keywords, expected in COOKIES:
        response = Response("foo")
        response.set_cookie(*arguments, **keywords)
        assert response.headers == {"Set-Cookie": [expected]}, (section, response.headers)
    response = Response("foo")
    response.set_cookie("a", "b", "/p", "example.com", None, 5, True, True, True)
    assert response.headers["Set-Cookie"] == ["a=b; Path=/p; Domain=example.com; Max-Age=5; Secure; HttpOnly; Partitioned"]


def test_set_cookie_appends() -> None:
    response = Response("foo", headers={"X": "y"})
    response.set_cookie("a", "b")
    response.set_cookie("c", "d")
    assert response.headers == {"X": "y", "Set-Cookie": ["a=b", "c=d"]}


def test_set_cookie_expires_as_a_date() -> None:
    """Contract 4.6 MUST; 21 C11: a date with a zone is converted. Boards have datetime only when it is installed."""
    if not CPYTHON:
        return
    from datetime import datetime, timedelta, timezone

    for date in (
        datetime(2019, 11, 5, 2, 23, 54),
        datetime(2019, 11, 5, 2, 23, 54, tzinfo=timezone.utc),
        datetime(2019, 11, 5, 4, 23, 54, tzinfo=timezone(timedelta(hours=2))),
    ):
        response = Response("foo")
        response.set_cookie("foo4", "bar4", expires=date)
        assert response.headers["Set-Cookie"] == ["foo4=bar4; Expires=Tue, 05 Nov 2019 02:23:54 GMT"], date


def test_set_cookie_samesite() -> None:
    """Issue: cookies with SameSite; RFC 6265bis section 5.6.7. Not sent unless asked for."""
    for value in ("Lax", "Strict"):
        response = Response("foo")
        response.set_cookie("a", "b", http_only=True, same_site=value)
        text = response.headers["Set-Cookie"][0]
        assert "; SameSite=%s" % value in text and "; HttpOnly" in text, text


# (contract section, cookie, value, keywords)
BAD_COOKIES: "tuple[tuple[str, str, str, dict[str, Any]], ...]" = (
    ("4.6 MUST", "foo", "bar; Path=/", {}),
    ("4.6 MUST", "foo", "bar;baz", {}),
    ("4.6 MUST", "foo", "bar\r\nX: y", {}),
    ("4.6 MUST", "foo", "bar\n", {}),
    ("4.6 MUST", "foo", "bar", {"path": "/\r\nX: y"}),
    ("4.6 MUST", "foo", "bar", {"domain": "example.com\nX: y"}),
    ("4.6 MUST", "foo\r\n", "bar", {}),
    ("21 B2", "foo; Secure", "bar", {}),
    ("21 B2", "foo", "bar", {"path": "/; Domain=evil.com"}),
    ("21 B2", "foo", "bar", {"domain": "example.com; Path=/"}),
    ("21 B2", "foo", "bar", {"expires": "Thu, 01 Jan 1970 00:00:00 GMT; Path=/"}),
    ("21 B2", "foo", "b\x00r", {}),
    ("21 B2", "fo\x00o", "bar", {}),
    ("21 B2", "foo", "bar", {"path": "/\x00"}),
    ("21 B2", "foo bar", "bar", {}),
    ("21 B2", "foo=x", "bar", {}),
    ("21 B2", "", "bar", {}),
)


def test_set_cookie_refuses() -> None:
    """A name is a token (RFC 6265 section 4.1.1); on an error nothing is added."""
    for section, cookie, value, keywords in BAD_COOKIES:
        response = Response("foo")
        try:
            response.set_cookie(cookie, value, **keywords)
        except ValueError:
            pass
        else:
            raise AssertionError((section, cookie, value, keywords))
        assert not response.headers.get("Set-Cookie"), (section, response.headers)


def test_set_cookie_counts_bytes() -> None:
    """RFC 6265bis section 5.7: browsers drop what is longer than 4096 bytes, which are not characters."""
    response = Response("foo")
    for value, fits in (("x" * 4094, True), ("x" * 4095, False), ("é" * 2047, True), ("é" * 2048, False), ("é" * 3000, False)):
        try:
            response.set_cookie("a", value)
        except ValueError:
            assert not fits, len(value)
        else:
            assert fits, len(value)
    assert [len(text.encode()) for text in response.headers["Set-Cookie"]] == [4096, 4096]


def test_set_cookie_copies_little() -> None:
    """What a session or a login sets must find its place in the heap of a board that has served for days."""
    if CPYTHON:
        return
    gc: "Any" = __import__("gc")
    value = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" * 20
    options: "dict[str, Any]" = {"path": "/", "domain": "a.example", "max_age": 5, "secure": True, "http_only": True, "same_site": "Lax"}
    response = Response("foo")
    response.set_cookie("a", "b", **options)  # what is loaded once
    gc.collect()
    before = gc.mem_alloc()
    gc.disable()
    response.set_cookie("session", value, **options)
    used = gc.mem_alloc() - before
    gc.enable()
    assert used < 3 * len(value), used  # one copy, and what is small


def test_redirects_keep_no_characters() -> None:
    """MicroPython keeps every character that a loop over a str has seen, for ever: clients may know thousands."""
    if CPYTHON:
        return
    gc: "Any" = __import__("gc")
    Response.redirect("/")
    gc.collect()
    before = gc.mem_alloc()
    for number in range(0x5E00, 0x5E00 + 1000):
        response = Response.redirect("/" + bytes((0xE0 | number >> 12, 0x80 | number >> 6 & 63, 0x80 | number & 63)).decode())
    gc.collect()
    assert gc.mem_alloc() - before < 500, gc.mem_alloc() - before
    assert response.headers["Location"] == "/%E6%87%A7"


def test_set_cookie_messages() -> None:
    """Contract 4.6 MUST: the texts of the two errors."""
    response = Response("foo")
    assert "invalid cookie value" in str(raised(ValueError, response.set_cookie, "foo", "bar;baz"))
    assert "invalid cookie" in str(raised(ValueError, response.set_cookie, "foo", "bar\r\n"))


# (contract section, keywords, header text)
DELETED: "tuple[tuple[str, dict[str, Any], str], ...]" = (
    ("4.7 MUST", {}, "foo=; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0"),
    (
        "4.7 MUST",
        {"path": "/foo", "domain": "example.com:1234", "secure": True, "http_only": True, "partitioned": True},
        "foo=; Path=/foo; Domain=example.com:1234; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; Secure; HttpOnly; "
        "Partitioned",
    ),
    (
        "4.7 MUST",
        {"expires": "Tue, 05 Nov 2019 02:23:54 GMT", "max_age": 123},
        "foo=; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0",
    ),
)


def test_delete_cookie() -> None:
    for section, keywords, expected in DELETED:
        response = Response("foo")
        response.delete_cookie("foo", **keywords)
        assert response.headers == {"Set-Cookie": [expected]}, (section, response.headers)


# ---- redirect and send_file ---------------------------------------------------------------------------------------


async def test_redirect() -> None:
    """Contract 4.8 MUST."""
    for function in (redirect, Response.redirect):
        response = function("/foo")
        assert isinstance(response, Response)
        assert response.status_code == 302
        assert response.headers == {"Location": "/foo"}
        assert response.body == b""
        response = function("/foo", status_code=301)
        assert (response.status_code, response.headers) == (301, {"Location": "/foo"})
        assert function("/foo", 303).status_code == 303
        assert function("http://example.com/a?b=c#d").headers["Location"] == "http://example.com/a?b=c#d"
        for bad in ("/foo\x0d\x0a\x0d\x0a<p>Foo</p>", "/foo\n", "/foo\r"):
            assert "invalid redirect URL" in str(raised(ValueError, function, bad))


def test_redirect_is_ascii_on_the_wire() -> None:
    """RELIABILITY I3, RFC 9110 section 10.2.2: other scripts are percent-encoded; what is encoded stays as it is."""
    assert redirect("/caf\u00e9?a=%20b").headers["Location"] == "/caf%C3%A9?a=%20b"


# (contract section, file name, keywords, Content-Type)
FILE_TYPES: "tuple[tuple[str, str, dict[str, Any], str], ...]" = (
    ("4.9 MUST", "test.txt", {}, "text/plain"),
    ("4.9 MUST", "test.txt", {"content_type": "text/html"}, "text/html"),
    ("4.9 MUST", "test", {"compressed": True, "file_extension": ".gz"}, "application/octet-stream"),
    ("4.9 MUST", "test.txt", {"compressed": True, "file_extension": ".gz"}, "text/plain"),
    ("4.9 MUST", "test.txt.gz", {}, "application/octet-stream"),
    ("4.9 MUST", "test.txt.gz", {"compressed": True}, "text/plain"),
)


def test_send_file_types() -> None:
    for function in (send_file, Response.send_file):
        for section, name, keywords, expected in FILE_TYPES:
            response = function(FILES + name, **keywords)
            response.body.close()
            assert response.status_code == 200
            assert response.headers["Content-Type"] == expected, (section, name, keywords, response.headers)
            if keywords.get("compressed"):
                assert response.headers["Content-Encoding"] == "gzip", (section, name)
            else:
                assert "Content-Encoding" not in response.headers, (section, name)


# (extension, type): contract 4.1 and, from "jpeg" on, 21 C15
EXTENSIONS = (
    ("css", "text/css"),
    ("gif", "image/gif"),
    ("html", "text/html"),
    ("jpg", "image/jpeg"),
    ("js", "application/javascript"),
    ("json", "application/json"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("svg", "image/svg+xml"),
    ("jpeg", "image/jpeg"),
    ("htm", "text/html"),
    ("webp", "image/webp"),
    ("pdf", "application/pdf"),
    ("wasm", "application/wasm"),
    ("woff2", "font/woff2"),
    ("mp4", "video/mp4"),
    ("mjs", "javascript"),
    ("csv", "text/csv"),
    ("JPG", "image/jpeg"),
    ("Html", "text/html"),
    ("unknown", "application/octet-stream"),
    ("html/name", "application/octet-stream"),
)


def test_send_file_extensions() -> None:
    stream = ClosableFile(b"")
    for extension, expected in EXTENSIONS:
        response = send_file("name." + extension, stream=stream)
        got = response.headers["Content-Type"]
        # RFC 9239 prefers text/javascript, the contract says application/javascript for js.
        assert got == expected or extension == "mjs" and got.endswith("/javascript"), (extension, got)
    assert Response.types_map["css"] == "text/css"
    Response.types_map["odd"] = "text/x-odd"
    try:
        assert send_file("a.odd", stream=stream).headers["Content-Type"] == "text/x-odd"
    finally:
        del Response.types_map["odd"]


async def test_send_file_exact_bytes() -> None:
    """Contract 4.4 MUST: no other header at all."""
    saved = Response.send_file_buffer_size
    try:
        for size in (saved, 2, 4, 1):
            Response.send_file_buffer_size = size
            stream = FakeStream()
            await send_file(FILES + "test.txt", content_type="text/html").write(stream)
            assert stream.response == b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nfoo\n", stream.response
    finally:
        Response.send_file_buffer_size = saved


def test_send_file_max_age() -> None:
    """Contract 4.9, 4.1 MUST."""
    stream = ClosableFile(b"")
    assert "Cache-Control" not in send_file("a.txt", stream=stream).headers
    assert send_file("a.txt", stream=stream, max_age=123).headers["Cache-Control"] == "max-age=123"
    assert send_file("a.txt", stream=stream, max_age=0).headers["Cache-Control"] == "max-age=0"
    assert Response.default_send_file_max_age is None
    Response.default_send_file_max_age = 456
    try:
        assert send_file("a.txt", stream=stream).headers["Cache-Control"] == "max-age=456"
        assert send_file("a.txt", stream=stream, max_age=123).headers["Cache-Control"] == "max-age=123"
    finally:
        Response.default_send_file_max_age = None


async def test_send_file_arguments() -> None:
    """Contract 4.9 MUST."""
    stream = ClosableFile(b"data")
    response = send_file("a.txt", status_code=201, stream=stream, compressed="br")
    assert response.status_code == 201
    assert response.body is stream
    assert response.headers == {"Content-Type": "text/plain", "Content-Encoding": "br"}
    assert split_message(await written(response))[2] == b"data"
    assert stream.closed >= 1
    response = send_file("a.txt", 202, "text/x", stream, 9, True)
    assert (response.status_code, response.headers) == (
        202,
        {"Content-Type": "text/x", "Cache-Control": "max-age=9", "Content-Encoding": "gzip"},
    )
    raised(OSError, send_file, FILES + "missing.txt")


async def test_send_file_with_a_cookie() -> None:
    """Contract 25: the result is a response like any other."""
    response = send_file(FILES + "test.txt")
    response.set_cookie("a", "b")
    assert split_message(await written(response)) == (
        "HTTP/1.0 200 OK",
        ["Content-Type: text/plain", "Set-Cookie: a=b"],
        b"foo\n",
    )


# ---- what must never reach the wire -------------------------------------------------------------------------------

# (contract section, function that makes a response)
INJECTIONS: "tuple[tuple[str, Any], ...]" = (
    ("21 B1", lambda: Response("x", headers={"X": "a\r\nX-Evil: 1"})),
    ("21 B1", lambda: Response("x", headers={"X": "a\nX-Evil: 1"})),
    ("21 B1", lambda: Response("x", headers={"X": "a\rX-Evil: 1"})),
    ("21 B1", lambda: Response("x", headers={"X": "a\x00"})),
    ("21 B1", lambda: Response("x", headers={"X: a\r\nX-Evil": "1"})),
    ("21 B1", lambda: Response("x", headers={"X": ["fine", "a\r\nX-Evil: 1"]})),
    ("21 B1", lambda: Response("x", headers={"Content-Type": "text/plain\r\nX-Evil: 1"})),
    ("21 B1", lambda: Response("x", reason="OK\r\nX-Evil: 1")),
    ("21 B1", lambda: send_file("a.txt", content_type="text/plain\r\nX-Evil: 1", stream=ClosableFile(b"x"))),
    ("21 B1", lambda: send_file("a.txt", compressed="gzip\r\nX-Evil: 1", stream=ClosableFile(b"x"))),
)


async def test_header_injection() -> None:
    """Refused with a ValueError before the first byte, or stripped: never a line of the attacker's."""
    for section, make in INJECTIONS:
        stream = FakeStream()
        try:
            await make().write(stream)
        except ValueError:
            assert stream.response == b"", (section, stream.response)
        else:
            assert "x-evil" not in names(split_message(stream.response)[1]), (section, stream.response)
            assert b"\x00" not in stream.response and b"\rX-Evil" not in stream.response, (section, stream.response)


def test_already_handled() -> None:
    """Contract 4.1 MUST: a response that is recognised by identity."""
    assert isinstance(Response.already_handled, Response)
    assert Response.already_handled is Response.already_handled
    assert Response.already_handled == Response.already_handled


def test_numbers_as_text() -> None:
    """Settings are read from files and the environment; and from float arithmetic."""
    ages: "list[Any]" = ["60", 60.0, 60]
    for age in ages:
        response = Response()
        response.set_cookie("a", "b", max_age=age)
        assert response.headers["Set-Cookie"] == ["a=b; Max-Age=60"], age
        response = send_file(FILES + "test.txt", max_age=age)
        response.body.close()
        assert response.headers["Cache-Control"] == "max-age=60", age


class Page(Response):
    """A response as programs derive one."""

    def __init__(self, body: "Any" = "", status_code: int = 200, **more: "Any") -> None:
        super().__init__(body, status_code, **more)
        self.extra = 1


def test_a_class_of_responses() -> None:
    assert Page("text").extra == 1 and Page("text").body == b"text"
    moved = Page.redirect("/", 303)
    assert isinstance(moved, Page) and moved.status_code == 303 and moved.headers == {"Location": "/"}
    file = Page.send_file(FILES + "test.txt")
    assert isinstance(file, Page) and file.headers == {"Content-Type": "text/plain"}
    file.body.close()


async def test_methods_that_a_class_of_responses_extends() -> None:
    """Contract 4; on boards `super()` does not find them, since they are loaded when they are called."""
    if not CPYTHON:
        return

    class Cookies(Response):
        def set_cookie(self, cookie: str, value: str, *args: "Any", **kwargs: "Any") -> None:
            kwargs.setdefault("path", "/")
            super().set_cookie(cookie, value, *args, **kwargs)

        def complete(self) -> None:
            super().complete()
            self.headers["X-Extra"] = "1"

        async def write(self, stream: "Any") -> None:
            await super().write(stream)

    response = Cookies("text")
    response.set_cookie("a", "b")
    Response.set_cookie(response, "c", "d")
    assert response.headers["Set-Cookie"] == ["a=b; Path=/", "c=d"]
    assert b"X-Extra: 1" in await written(response)


def test_headers_that_are_assigned() -> None:
    """What the program says later counts more than the kind of the body."""
    response = Response({"a": 1})
    response.headers = {"X-One": "1"}
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    response.headers = {"content-type": "application/problem+json"}
    assert response.headers["Content-Type"] == "application/problem+json"
