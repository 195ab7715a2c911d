"""What CPython does a quicker way gives what boards do: `_quick.py` against the modules in whose place it puts itself."""

import asyncio
import random
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import microdot
from microdot import (
    Microdot, Response, _quick, _websocket_cpython, body, compat, datastructures, headers, incoming, lazy, registry, replies,
)

NAMES = ("X-A", "x-a", "Content-Type", "content-type", "Cache-Control", "ETag", "Date", "Set-Cookie", "Content-Length", "Connection")
BAD_NAMES: "tuple[Any, ...]" = ("", "a b", "a:b", "a\n", "é", 3, None)
VALUES: "tuple[Any, ...]" = ("", "1", "text/html", "é", "€", "a\tb", 7, None, 1.5, ["a", "b"], [], ["a", 1], ("x",), b"y", True)
BAD_VALUES: "tuple[Any, ...]" = ("a\nb", "a\rb", "\0", ["a", "b\n"], "a\r\n")


def result(f: "Callable[..., Any]", *args: Any) -> Any:
    """Return what a call gives, or what kind of exception it raises, and what that says."""
    try:
        return f(*args)
    except Exception as exc:
        return type(exc), str(exc)


class _Slow(headers.Headers):
    """The `Headers` of boards: the class that `headers.py` defines, before CPython puts something else into it."""

    __init__ = _quick._make_headers
    __setitem__ = _quick._set_item


def test_headers_are_set_and_refused_alike() -> None:
    for name in NAMES + BAD_NAMES:
        for value in VALUES + BAD_VALUES:
            slow, quick = _Slow(), headers.Headers()
            assert result(slow.__setitem__, name, value) == result(quick.__setitem__, name, value), (name, value)
            assert (slow, slow.keymap) == (quick, quick.keymap)
            whole = result(lambda: dict(_Slow({"X-B": "b", name: value})))
            assert whole == result(lambda: dict(headers.Headers({"X-B": "b", name: value}))), (name, value)
    merged = headers.Headers({"X-A": "1"})
    merged |= {"x-a": "2", "X-B": "3"}
    assert (merged, merged["x-b"]) == ({"X-A": "2", "X-B": "3"}, "3")
    assert headers.Headers([("X-A", "1"), ("x-a", "2")]) == {"X-A": "2"}  # type: ignore[arg-type]
    assert headers.Headers(headers.Headers({"X-A": "1"})).keymap == {"x-a": "X-A"}


def test_heads_of_responses() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        response = Response("x" if chance.random() < 0.7 else {"a": 1}, chance.choice((200, 201, 204, 304, 404, 599, 103)))
        if chance.random() < 0.1:
            response.reason = "Fine"
        for name in chance.sample(NAMES, chance.randrange(4)):
            response.headers[name] = chance.choice(VALUES)
        if chance.random() < 0.2:
            value: Any = chance.choice(VALUES + BAD_VALUES)
            # Where nobody checks it.
            response.headers["X-Late"] = late = []
            late.append(value)
        if chance.random() < 0.1:
            response.headers["Set-Cookie"] = ["a=b; Path=/", "c=" + "d" * chance.choice((1, 2030, 2050))]
        extra = chance.choice(("", "Content-Length: 5\r\n", "Date: today\r\nContent-Length: 5\r\n"))
        version = chance.randrange(2)
        assert result(_quick.head, response, version, extra) == result(_quick._head, response, version, extra), response.headers


def test_fields_of_requests() -> None:
    lines = (
        b"Host: a", b"HOST:b", b"Cookie: a=b", b"cookie: c=d", b"Accept: \xe9", b"Accept:\t\xc3\xa9 ", b"X:", b"X: a:b", b"",
        b"Content-Type: Application/JSON; charset=utf-8", b"content-type:text/plain",
    )
    chance = random.Random(2)
    for _ in range(2000):
        fields = b"\n" + chance.choice((b"\r\n", b"\n")).join(chance.choices(lines, k=chance.randrange(6)))
        slow = _quick._parse_headers(fields)
        for again in (1, 2):  # the second one is remembered
            quick = headers.parse_headers(fields)
            assert (slow, slow.keymap) == (quick, quick.keymap), fields
            assert type(quick) is headers.NoCaseDict
            quick["X-More"] = "and is not changed by what a program does to the first"
            quick["host"] = "c"
        request: Any = SimpleNamespace(_headers=fields)
        assert body.media_type(request) == _quick._media_type(request), fields


def test_query_strings() -> None:
    chance = random.Random(3)
    parts = ("a", "b", "=", "&", "+", "%", "%20", "%26", "%3D", "%3d", "%2B", "%25", "%C3%A9", "%C3", "%A9", "%ff", "%4", "é", "%zz", "%%", "&&", "1")
    for _ in range(5000):
        text = "".join(chance.choices(parts, k=chance.randrange(9)))
        for data in (text, text.encode()):
            slow, quick = result(_quick._parse_urlencoded, data), result(datastructures.parse_urlencoded, data)
            if type(slow) is tuple:  # what is no UTF-8 is told of the piece or of all
                slow, quick = slow[0], quick[0]
            assert slow == quick, data
    assert datastructures.parse_urlencoded("a=1&a=2").getlist("a") == ["1", "2"]
    assert type(datastructures.parse_urlencoded("")) is datastructures.MultiDict


class _Arriving:
    """A connection on which a body of so many bytes comes in pieces, and then the next request."""

    server = SimpleNamespace(app=SimpleNamespace(body_timeout=1), tick=1, deadline=lambda timeout: 5)
    credit = -1
    expires = 0

    def __init__(self, size: int, pieces: "list[bytes]") -> None:
        self.left = size
        self.pieces = list(pieces)
        self.buffer = self.pieces.pop(0)

    async def fill(self) -> bool:
        if not self.pieces:
            return False
        self.buffer += self.pieces.pop(0)
        return True

    def read_size(self, n: int = 0) -> None: ...


def test_bodies_that_are_read_as_they_come() -> None:
    async def read(cls: "type[_quick._Incoming]", connection: Any, n: int) -> Any:
        body = cls(connection, 9000)
        got = []
        try:
            while data := await body.more(n):
                assert len(data) <= n
                got.append(data)
        except Exception as exc:
            got.append(str(exc).encode())
        return b"".join(got), connection.left, connection.buffer + b"".join(connection.pieces)

    async def compare() -> None:
        chance = random.Random(6)
        for _ in range(300):
            size = chance.randrange(1, 9000)
            data = chance.randbytes(size) + b"GET / HTTP/1.1"
            if chance.random() < 0.1:
                data = data[: chance.randrange(size)]  # breaks off
            cuts = sorted(chance.choices(range(len(data) + 1), k=chance.randrange(9)))
            pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)]) if a < b] or [b""]
            for n in (7, 1000, 8192, 1 << 30):
                slow = await read(_quick._Incoming, _Arriving(size, pieces), n)
                assert await read(_quick.Incoming, _Arriving(size, pieces), n) == slow, (size, cuts, n)
                assert len(data) < size or slow == (data[:size], 0, data[size:])

    asyncio.run(compare())


def test_responses() -> None:
    bodies = ("a", b"b", {"a": 1}, [1], None, 5, bytearray(b"c"))
    for content in bodies:
        for status in (200, 404):
            for own in (None, {}, {"X-A": "1"}, {"content-type": "a/b"}, {"bad name": ""}, {"X": "a\n"}):
                for reason in (None, "", "Fine", "a\r"):
                    slow, quick = Response.__new__(Response), Response.__new__(Response)
                    one = result(_quick._make_response, slow, content, status, own, reason)
                    other = result(_quick.make_response, quick, content, status, own, reason)
                    assert one == other and vars(slow) == vars(quick), (content, status, own, reason)
                    assert result(lambda: slow.headers) == result(lambda: quick.headers)
    slow = Response({"a": 1})
    slow.headers = {}
    assert slow.headers == Response({"a": 1}).headers == {"Content-Type": "application/json; charset=UTF-8"}


def test_locations_of_redirects() -> None:
    for url in ("/", "/a?b=c%20d#e", "", "/é", "/a b", "https://a/\u20ac~", "/\n", "/\x7f", "/\t"):
        assert result(_quick._ascii_url, url) == result(replies.ascii_url, url), url


def test_nothing_is_missing_of_what_boards_look_for() -> None:
    app = Microdot()
    for name in (*registry._METHODS, *registry._LISTS, *registry._DECORATORS, *compat._METHODS, *_quick.LATE.split()):
        assert hasattr(Microdot, name) and hasattr(app, name), name
    for table in (lazy._DEFAULTS, lazy._METHODS, lazy._ATTRIBUTES):
        for name in table:
            assert hasattr(microdot.Request, name), name
    for name in replies.METHODS:
        assert hasattr(Response, name), name
    for cls in (Microdot, microdot.Request, Response):
        assert "__getattr__" not in vars(cls)


def test_it_is_in_place() -> None:
    assert microdot.Response.__init__ is _quick.make_response
    assert headers.head is _quick.head and body.media_type is _quick.media_type is microdot.Request.media_type
    assert incoming.Incoming is _quick.Incoming


def test_masks_of_websockets() -> None:
    chance = random.Random(4)
    for size in (0, 1, 2, 3, 4, 5, 125, 126, 4096, 16383, 16384, 16385, 20001, 32768, 65539):
        for at in range(6):
            data, mask = chance.randbytes(size), chance.randbytes(4)
            plain = bytes(byte ^ mask[(i + at) & 3] for i, byte in enumerate(data))
            assert _websocket_cpython.unmask(data, mask, at) == plain, (size, at)
            if not at:
                assert _websocket_cpython.mask_here(data, mask) == plain, size


def test_long_bodies_in_pieces_and_what_comes_behind_them() -> None:
    """A body longer than a read of the server, which comes with the beginning of the next request; then one that is cut off."""
    app = Microdot()

    @app.post("/")
    async def take(request: microdot.Request) -> str:
        return str(zlib.crc32(request.body))

    body = random.Random(5).randbytes(300_000)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = b"%d" % zlib.crc32(body)

    async def main() -> None:
        microdot.Request.max_content_length = microdot.Request.max_body_length = 1 << 20
        server = await app.start_server("127.0.0.1", 0, start_serving=False)
        await server.start_serving()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        both = head + body + head + body
        for start in range(0, len(both), 70_001):
            writer.write(both[start : start + 70_001])
            await writer.drain()
            await asyncio.sleep(0.001)
        for _ in range(2):
            assert b" 200 " in await reader.readline()
            fields = await reader.readuntil(b"\r\n\r\n")
            assert b"Content-Length: %d\r\n" % len(answer) in fields
            assert await reader.readexactly(len(answer)) == answer
        writer.write(head + body[:-1])
        writer.write_eof()
        assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        server.close()

    before = microdot.Request.max_content_length, microdot.Request.max_body_length
    try:
        asyncio.run(main())
    finally:
        microdot.Request.max_content_length, microdot.Request.max_body_length = before
