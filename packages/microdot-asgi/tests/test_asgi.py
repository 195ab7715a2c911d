"""microdot.asgi, called as a server calls it (CPython only). Real servers: tests/hosts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import microdot.asgi
import pytest
from microdot import Request, Response
from microdot.asgi import Microdot
from microdot.test_client import TestClient


class Server:
    """The server's side of one scope.

    Arguments:
        app: the application.
        events: what it receives; behind the last there is nothing for ever.
        scope: what differs from a GET request of `/`.
    """

    def __init__(self, app: Any, *events: Any, **scope: Any) -> None:
        self.app = app
        self.events = list(events)
        self.scope: dict[str, Any] = {"type": "http", "path": "/", "http_version": "1.1", "method": "GET", "headers": []}
        self.scope.update(scope)
        self.sent: list[dict[str, Any]] = []
        self.more = asyncio.Event()  # an event was added
        self.arrived = asyncio.Event()  # a message was sent
        self.on_send: Callable[[dict[str, Any]], Any] | None = None

    async def receive(self) -> Any:
        while not self.events:
            self.more.clear()
            await self.more.wait()
        return self.events.pop(0)

    def put(self, event: Any) -> None:
        self.events.append(event)
        self.more.set()

    async def send(self, event: dict[str, Any]) -> None:
        if self.on_send is not None:
            await self.on_send(event)
        self.sent.append(event)
        self.arrived.set()

    async def run(self) -> "Server":
        await asyncio.wait_for(self.app(self.scope, self.receive, self.send), 10)
        return self

    async def sends(self, number: int) -> None:
        """Wait until so many messages were sent."""
        while len(self.sent) < number:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 5)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return sorted(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent[1:])


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_messages_of_a_small_response() -> None:
    """One start, one final body, no task beside the server's own; contract 18.1 pins these four headers."""
    app = Microdot()
    tasks = 0

    @app.get("/foo/bar")
    async def index(request: Any) -> Any:
        nonlocal tasks
        tasks = len(asyncio.all_tasks())
        assert request.asgi_scope["path"] == "/foo/bar"
        assert request.args["baz"] == "1"
        assert request.cookies == {"session": "xyz"}
        assert request.http_version == "HTTP/1.1"
        assert request.client_addr == ("1.2.3.4", 1234)
        assert request.sock == (server.receive, server.send)
        response = Response("response")
        response.set_cookie("foo", "foo")
        response.set_cookie("bar", "bar", http_only=True)
        return response

    server = Server(
        app,
        path="/foo/bar",
        query_string=b"baz=1",
        headers=[(b"cookie", b"session=xyz")],
        client=["1.2.3.4", 1234],
    )
    before = len(asyncio.all_tasks())
    await server.app(server.scope, server.receive, server.send)
    assert tasks == before
    assert server.headers == [
        (b"content-length", b"8"),
        (b"content-type", b"text/plain; charset=UTF-8"),
        (b"set-cookie", b"bar=bar; HttpOnly"),
        (b"set-cookie", b"foo=foo"),
    ]
    assert [event["type"] for event in server.sent] == ["http.response.start", "http.response.body"]
    assert server.sent[1] == {"type": "http.response.body", "body": b"response"}


async def test_scope_with_nothing_but_what_must_be() -> None:
    """C18: a scope without client, headers and query is no error."""
    app = Microdot()

    @app.get("/")
    async def index(request: Any) -> Any:
        return [request.method, request.scheme, request.client_addr, request.query_string, len(request.headers)]

    server = Server(app, client=None)
    for name in ("method", "headers", "http_version"):
        del server.scope[name]
    assert (await server.run()).body == b'["GET", "http", null, null, 0]'


async def test_request_headers() -> None:
    """C18: repeated ones are joined, HTTP/2's cookies by semicolon; bytes that are no UTF-8 do no harm."""
    app = Microdot()
    seen: dict[str, Any] = {}

    @app.get("/")
    async def index(request: Any) -> Any:
        seen.update(request.headers)
        request.headers["X-One"] = "changed"
        return request.cookies

    headers = [
        (b"cookie", b"a=1"),
        (b"x-one", b"1"),
        (b"cookie", b"b=2"),
        (b"x-one", b"2"),
        (b"x-latin", b"\xe4"),
        (b"x-utf", "ä".encode()),
    ]
    # The second is remembered, and is not changed by what a program does to the first; servers give pairs as tuples or lists.
    for pairs in (headers, headers, [list(pair) for pair in headers]):
        server = await Server(app, body(b""), headers=pairs, http_version="2").run()
        assert seen == {"Cookie": "a=1; b=2", "X-One": "1, 2", "X-Latin": "ä", "X-Utf": "ä"}
        assert server.body == b'{"a": "1", "b": "2"}'
    kept = microdot.asgi._known_fields.cache_info().currsize
    await Server(app, body(b""), headers=[(b"x-" + b"y" * 200, b"z" * 5000)], http_version="2").run()
    assert len(seen["X-" + "Y" + "y" * 199]) == 5000
    # Not every server has a limit, so no memory is kept for what is long.
    assert microdot.asgi._known_fields.cache_info().currsize == kept
    assert max(map(len, microdot.asgi._spellings)) < 100


async def test_response_headers() -> None:
    """C18: values that are no str; and what belongs to the connection is the server's."""
    app = Microdot()

    @app.get("/")
    async def index(request: Any) -> Any:
        return "x", {"X-Number": 5, "X-List": ["a", 6], "Connection": "close", "Transfer-Encoding": "chunked"}

    assert (await Server(app).run()).headers == [
        (b"content-length", b"1"),
        (b"content-type", b"text/plain; charset=UTF-8"),
        (b"x-list", b"6"),
        (b"x-list", b"a"),
        (b"x-number", b"5"),
    ]


async def test_bodies_leave_with_their_own_length() -> None:
    app = Microdot()

    @app.get("/<int:says>")
    async def index(request: Any, says: int) -> Any:
        return "foo", {"Content-Length": str(says)}

    for says in (2, 3, 4):
        server = await Server(app, path=f"/{says}").run()
        assert (b"content-length", b"3") in server.headers and server.body == b"foo"
        server = await Server(app, path=f"/{says}", method="HEAD").run()
        assert (b"content-length", b"%d" % says) in server.headers and server.body == b""


@pytest.mark.parametrize(
    ("scope", "path", "query"),
    [
        ({"path": "/a b/ä?c=d", "query_string": b"x=1"}, "/a%20b/%C3%A4%3Fc=d", "x=1"),
        ({"path": "/a/b", "raw_path": b"/a%2Fb"}, "/a%2Fb", None),
        ({"path": "/a", "raw_path": b"/a?x=1", "query_string": b"x=1"}, "/a", "x=1"),
        ({"path": "/a", "query_string": b""}, "/a", None),
        ({"path": "", "query_string": b""}, "/", None),
        # root_path: the application's own paths, wherever it is mounted
        ({"path": "http://h/a b", "raw_path": b"http://h/a%20b", "query_string": b"x=1"}, "/a%20b", "x=1"),
        ({"path": "http://h"}, "/", None),
        ({"path": "/to/http://h/a"}, "/to/http://h/a", None),
        ({"path": "/api/a", "raw_path": b"/api/a", "root_path": "/api"}, "/a", None),
        ({"path": "/api/a", "root_path": "/api/"}, "/a", None),
        ({"path": "/api", "raw_path": b"/api", "root_path": "/api"}, "/", None),
        ({"path": "/a", "raw_path": b"/a", "root_path": "/api"}, "/a", None),
        ({"path": "/apis/a", "raw_path": b"/apis/a", "root_path": "/api"}, "/apis/a", None),
        ({"path": "/ä/b c", "raw_path": b"/%C3%A4/b%20c", "root_path": "/ä"}, "/b%20c", None),
        ({"path": "/ä/b c", "raw_path": b"/%c3%a4/b%20c", "root_path": "/ä"}, "/b%20c", None),
    ],
)
async def test_target(scope: dict[str, Any], path: str, query: str | None) -> None:
    """B10: the path is the one that the client sent, so no decoded `?` makes a query."""
    app = Microdot()

    @app.get("/<path:rest>")
    @app.get("/")
    async def index(request: Any, rest: str = "") -> Any:
        assert (request.path, request.query_string) == (path, query)
        return "right"

    assert (await Server(app, **scope).run()).body == b"right"


async def test_head_sends_no_body_and_closes_streams() -> None:
    """C18: and no producer is begun or left behind."""
    app = Microdot()
    closed = []

    class Endless:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            raise AssertionError("nobody wants this")

        async def aclose(self) -> None:
            closed.append(1)

    @app.get("/")
    async def index(request: Any) -> Any:
        return Endless()

    server = await Server(app, method="HEAD").run()
    assert (server.status, server.body, len(server.sent), closed) == (200, b"", 2, [1])


# Bodies


def echo_app() -> Microdot:
    app = Microdot()

    @app.post("/")
    async def index(request: Any) -> Any:
        return {"loaded": len(request.body), "streamed": len(await request.stream.read())}

    @app.post("/parts")
    async def parts(request: Any) -> Any:
        stream = request.stream
        return [
            (await stream.readuntil(b"--")).decode(),
            (await stream.readexactly(5)).decode(),
            (await stream.readline()).decode(),
            (await stream.read(3)).decode(),
            len(await stream.read()),
        ]

    return app


async def test_pieces_that_are_longer_than_what_is_read() -> None:
    app = Microdot()
    Request.max_content_length, limit = 100000, Request.max_content_length

    @app.post("/")
    async def index(request: Any) -> Any:
        got = []
        while data := await request.stream.read(9):
            assert len(data) <= 9
            got.append(data)
            if len(got) == 300:
                await asyncio.sleep(0)
        return b"".join(got)

    data = bytes(range(256)) * 70
    pieces = [body(data[:10000], True), body(data[10000:10001], True), body(b"", True), body(data[10001:])]
    try:
        server = await Server(app, *pieces, method="POST", headers=[(b"transfer-encoding", b"chunked")]).run()
    finally:
        Request.max_content_length = limit
    assert (server.status, server.body) == (200, data)


@pytest.mark.parametrize("size", [1, 7, 1000, 20000])
async def test_stream_methods(size: int) -> None:
    """C17: every method works whatever pieces the server gives."""
    data = b"begin--12345line\nrest" + b"x" * 17000
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    events = [body(piece, True) for piece in pieces] + [body(b"")]
    Request.max_content_length, limit = 100000, Request.max_content_length
    try:
        headers = [(b"transfer-encoding", b"chunked")]
        server = await Server(echo_app(), *events, path="/parts", method="POST", headers=headers).run()
    finally:
        Request.max_content_length = limit
    assert server.body == b'["begin--", "12345", "line\\n", "res", 17001]'


@pytest.mark.parametrize(
    ("headers", "events", "status", "answer"),
    [
        ([(b"content-length", b"5")], [body(b"01234")], 200, b'{"loaded": 5, "streamed": 5}'),
        # B17: limits and lengths hold, whoever reads the body
        ([(b"transfer-encoding", b"chunked")], [body(b"x" * 9000, True)] * 2, 413, b"Payload too large"),
        ([(b"content-length", b"16385")], [], 413, b"Payload too large"),
        ([(b"content-length", b"9")], [body(b"01234")], 400, b"Bad request"),
        ([(b"content-length", b"3")], [body(b"01234")], 200, b'{"loaded": 3, "streamed": 3}'),
        ([(b"content-length", b"5")], [body(b"01", True), GONE], 400, b"Bad request"),
        ([(b"transfer-encoding", b"chunked")], [body(b"01", True), GONE], 400, b"Bad request"),
        ([(b"content-length", b"-5")], [body(b"01234")], 400, b"Bad request"),
        ([(b"content-length", b"+5")], [body(b"01234")], 400, b"Bad request"),
    ],
)
async def test_bodies(headers: Any, events: Any, status: int, answer: bytes) -> None:
    server = await Server(echo_app(), *events, method="POST", headers=headers).run()
    assert (server.status, server.body) == (status, answer)


async def test_body_of_http_2_needs_no_header() -> None:
    """RFC 9113 8.1: the frames say where it ends."""
    server = await Server(echo_app(), body(b"012", True), body(b"34"), method="POST", http_version="2").run()
    assert server.body == b'{"loaded": 5, "streamed": 5}'
    server = await Server(echo_app(), *[body(b"x" * 9000, True)] * 2, method="POST", http_version="2").run()
    assert server.status == 413


async def test_body_that_nobody_reads_does_not_block_a_connection_of_http_2() -> None:
    app = Microdot()
    app.on("admit", lambda request, route: ("no", 403))
    server = await Server(app, *[body(b"x" * 9000, True)] * 20, body(b""), http_version="2", method="POST").run()
    assert (server.status, server.events) == (403, [])
    # With HTTP/1.1 that is the server's business: it may rather close.
    headers = [(b"transfer-encoding", b"chunked")]
    server = await Server(app, body(b"x", True), body(b""), headers=headers, method="POST").run()
    assert (server.status, len(server.events)) == (403, 2)


# Streams


class Producer:
    """An endless body that tells what becomes of it."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.given = 0
        self.ended = ""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> str:
        if self.given:
            try:
                await asyncio.sleep(self.pause)
            except asyncio.CancelledError:
                self.ended = "cancelled"
                raise
        self.given += 1
        return "x"

    async def aclose(self) -> None:
        self.ended += " closed"


def streaming_app(produced: Any, seen: list[Any]) -> Microdot:
    app = Microdot()

    @app.route("/", methods=["GET", "POST"])
    async def index(request: Any) -> Any:
        return produced(request) if callable(produced) else produced

    app.on("done", lambda request, response, exc: seen.append(exc))
    return app


@pytest.mark.parametrize("event", [GONE, None])
async def test_waiting_producer_is_cancelled_when_the_client_goes(event: Any) -> None:
    producer = Producer(60)
    seen: list[Any] = []
    server = Server(streaming_app(producer, seen))
    run = asyncio.ensure_future(server.run())
    await server.sends(2)
    server.put(event)
    await asyncio.wait_for(run, 5)
    assert producer.ended == "cancelled closed"
    assert [type(exc) for exc in seen] == [ConnectionResetError]
    assert len(server.sent) == 2  # no end that would look like one
    assert len(asyncio.all_tasks()) == 1


async def test_stream_that_catches_its_cancellation_ends() -> None:
    closed = []

    async def stubborn() -> Any:
        try:
            yield "one"
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
            yield "two"
            raise AssertionError("nobody wants more")
        finally:
            closed.append(1)

    seen: list[Any] = []
    server = Server(streaming_app(lambda request: stubborn(), seen))
    run = asyncio.ensure_future(server.run())
    await server.sends(2)
    server.put(GONE)
    await asyncio.wait_for(run, 5)
    assert closed == [1] and [type(exc) for exc in seen] == [ConnectionResetError]
    task = asyncio.current_task()
    assert task is not None
    await asyncio.sleep(0)  # no cancellation is left over for this task


async def test_cancellation_by_the_server_passes() -> None:
    producer = Producer(60)
    seen: list[Any] = []
    server = Server(streaming_app(producer, seen))
    run = asyncio.ensure_future(server.app(server.scope, server.receive, server.send))
    await server.sends(2)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert producer.ended == "cancelled closed"
    assert [type(exc) for exc in seen] == [asyncio.CancelledError]
    assert len(asyncio.all_tasks()) == 1


async def test_exception_within_a_stream_reaches_the_server() -> None:
    """C18: it breaks the connection; and the watching task is not left behind."""

    def broken(request: Any) -> Any:
        yield b"one"
        raise ValueError("on purpose")

    seen: list[Any] = []
    server = Server(streaming_app(broken, seen))
    with pytest.raises(ValueError, match="on purpose"):
        await server.run()
    assert len(server.sent) == 2 and len(seen) == 1
    assert len(asyncio.all_tasks()) == 1


async def test_a_send_that_fails_is_a_client_that_has_gone() -> None:
    """ASGI 2.4: send() may raise an OSError; that is nobody's error, and the request is done."""
    for produced in ("text", Producer(0)):
        seen: list[Any] = []
        server = Server(streaming_app(produced, seen))

        async def fail(event: Any) -> None:
            if event["type"] == "http.response.body":
                raise BrokenPipeError(32, "gone")

        server.on_send = fail
        await server.run()
        assert [type(exc) for exc in seen] == [BrokenPipeError]


async def test_back_pressure() -> None:
    """A producer makes nothing while the server takes nothing."""
    producer = Producer(0)
    server = Server(streaming_app(producer, []))
    taking = asyncio.Event()

    async def block(event: Any) -> None:
        if event["type"] == "http.response.body":
            await taking.wait()

    server.on_send = block
    run = asyncio.ensure_future(server.run())
    await asyncio.sleep(0.1)
    assert producer.given == 1
    taking.set()
    await server.sends(5)
    server.put(GONE)
    await asyncio.wait_for(run, 5)


async def test_a_stream_without_pauses_lets_others_run() -> None:
    """A server that takes all that it gets never makes the producer wait."""

    def endless(request: Any) -> Any:
        while True:
            yield b"x" * 1000

    server = Server(streaming_app(endless, []))
    run = asyncio.ensure_future(server.run())
    await server.sends(2)
    server.put(GONE)
    await asyncio.wait_for(run, 5)


async def test_reading_and_streaming_at_once() -> None:
    """Who looks after the client takes nothing away from a handler that still reads."""

    async def echo(request: Any) -> Any:
        while True:
            data = await request.stream.read(100)
            if not data:
                return
            yield data

    Request.max_body_length, limit = 0, Request.max_body_length
    try:
        server = Server(
            streaming_app(echo, []), body(b"one", True), method="POST", headers=[(b"transfer-encoding", b"chunked")]
        )
        run = asyncio.ensure_future(server.run())
        await server.sends(2)
        for number in range(20):
            server.put(body(b"%d," % number, True))
            await asyncio.sleep(0)
        server.put(body(b"end"))
        await asyncio.wait_for(run, 5)
    finally:
        Request.max_body_length = limit
    assert server.body == b"one" + b"".join(b"%d," % number for number in range(20)) + b"end"


async def test_known_length_is_one_message_and_final() -> None:
    """A file of one block costs two messages and no task."""
    import io

    app = Microdot()

    @app.get("/")
    async def index(request: Any) -> Any:
        return Response.send_file("x.txt", stream=io.BytesIO(b"content"))

    server = await Server(app).run()
    assert (b"content-length", b"7") in server.headers
    assert server.sent[1:] == [{"type": "http.response.body", "body": b"content", "more_body": False}]


# Lifespan


STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


async def test_lifespan() -> None:
    order: list[Any] = []

    async def startup(scope: Any) -> None:
        scope["state"]["database"] = "open"
        order.append("startup")

    async def shutdown(scope: Any) -> None:
        order.append("shutdown " + scope["state"]["database"])

    app = Microdot(lifespan_startup=startup, lifespan_shutdown=shutdown)
    app.on("start", lambda app: order.append("start hook"))
    app.on("stop", lambda app: order.append("stop hook"))

    @app.get("/")
    async def index(request: Any) -> Any:
        return request.asgi_scope["state"]["database"]

    state: dict[str, Any] = {}
    server = Server(app, STARTUP, type="lifespan", state=state)
    run = asyncio.ensure_future(server.run())
    await server.sends(1)
    assert (await Server(app, state=dict(state)).run()).body == b"open"
    server.put(SHUTDOWN)
    await run
    assert order == ["start hook", "startup", "shutdown open", "stop hook"]
    assert [event["type"] for event in server.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_lifespan_without_callbacks() -> None:
    server = await Server(Microdot(), STARTUP, SHUTDOWN, type="lifespan").run()
    assert [event["type"] for event in server.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_lifespan_callbacks_that_fail() -> None:
    async def fail(scope: Any) -> None:
        raise KeyError("scope")

    order: list[str] = []
    app = Microdot(lifespan_startup=fail, lifespan_shutdown=fail)
    app.on("start", lambda app: order.append("start"))
    app.on("stop", lambda app: order.append("stop"))
    server = await Server(app, STARTUP, SHUTDOWN, type="lifespan").run()
    assert server.sent == [
        {"type": "lifespan.startup.failed", "message": "KeyError('scope')"},
        {"type": "lifespan.shutdown.failed", "message": "KeyError('scope')"},
    ]
    assert order == ["start", "stop"]  # what had started was stopped, once


async def test_start_hook_that_fails_keeps_the_server_from_starting() -> None:
    order: list[str] = []
    app = Microdot()
    app.on("start", lambda app: order.append("start"))
    app.on("stop", lambda app: order.append("stop"))

    async def fail(app: Any) -> None:
        raise RuntimeError("no database")

    app.on("start", fail)
    server = await Server(app, STARTUP, SHUTDOWN, type="lifespan").run()
    assert server.sent[0] == {"type": "lifespan.startup.failed", "message": "RuntimeError('no database')"}
    assert order == ["start", "stop"]


async def test_server_without_lifespan() -> None:
    """The start hooks run before the first request, once, though many come together."""
    app = Microdot()
    started: list[int] = []

    async def start(app: Any) -> None:
        await asyncio.sleep(0.01)
        started.append(1)

    app.on("start", start)

    @app.get("/")
    async def index(request: Any) -> Any:
        return str(len(started))

    servers = await asyncio.gather(*[Server(app).run() for _ in range(5)])
    assert [server.body for server in servers] == [b"1"] * 5


async def test_start_hook_that_fails_without_lifespan_fails_requests_until_it_works() -> None:
    app = Microdot()
    failures = [RuntimeError("not yet")]

    def start(app: Any) -> None:
        if failures:
            raise failures.pop()

    app.on("start", start)

    @app.get("/")
    async def index(request: Any) -> Any:
        return "started"

    with pytest.raises(RuntimeError, match="not yet"):
        await Server(app).run()
    assert (await Server(app).run()).body == b"started"


# WebSockets


CONNECT = {"type": "websocket.connect"}


def socket_app() -> Microdot:
    app = Microdot()

    @app.get("/")
    async def index(request: Any) -> Any:
        assert request.scheme == "https"
        channel = await request.upgrade({"Upgrade": "websocket", "Sec-WebSocket-Protocol": "chat", "Set-Cookie": "a=b"})
        while True:
            message = await channel.receive()
            if message is None:
                break
            await channel.send(message)
        with pytest.raises(OSError):
            await channel.send("too late")
        return Response.already_handled

    return app


async def test_websocket_messages() -> None:
    """C18: a message may have both keys, one of them None."""
    events = [
        CONNECT,
        {"type": "websocket.receive", "text": "a", "bytes": None},
        {"type": "websocket.receive", "bytes": b"b", "text": None},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.disconnect", "code": 1001},
    ]
    scope = {"type": "websocket", "scheme": "wss", "subprotocols": ["chat"]}
    server = await Server(socket_app(), *events, **scope).run()
    assert server.sent == [
        {"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"set-cookie", b"a=b")]},
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.send", "bytes": b"b"},
        {"type": "websocket.send", "text": ""},
    ]


async def test_websocket_that_no_route_takes_is_refused() -> None:
    """Microdot sends nothing at all, and the client waits."""
    server = await Server(socket_app(), CONNECT, type="websocket", path="/nowhere").run()
    assert server.sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    server = await Server(socket_app(), CONNECT, type="websocket", path="/nowhere", extensions=extensions).run()
    assert server.sent[0]["type"] == "websocket.http.response.start" and server.status == 404
    assert server.sent[1] == {"type": "websocket.http.response.body", "body": b"Not found"}


async def test_websocket_without_connect_is_refused() -> None:
    server = await Server(socket_app(), {"type": "websocket.disconnect"}, type="websocket", scheme="wss").run()
    assert server.sent == []


async def test_no_upgrade_of_a_plain_request() -> None:
    app = Microdot()

    @app.get("/")
    async def index(request: Any) -> Any:
        await request.upgrade({})

    assert (await Server(app).run()).status == 501


async def test_handler_that_speaks_asgi_itself() -> None:
    app = Microdot()

    @app.get("/")
    async def index(request: Any) -> Any:
        _receive, send = request.sock
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"by hand"})
        return Response.already_handled

    server = await Server(app).run()
    assert len(server.sent) == 2 and server.body == b"by hand"


# The rest


async def test_other_scopes_are_ignored() -> None:
    assert (await Server(Microdot(), type="telnet").run()).sent == []


async def test_middleware() -> None:
    app = Microdot()
    inner = app.asgi_app

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "path": "/inside"}, receive, send)

    app.asgi_app = wrapped  # type: ignore[method-assign]

    @app.get("/inside")
    async def inside(request: Any) -> Any:
        return "inside"

    assert (await Server(app).run()).body == b"inside"


async def test_test_client_serves_it_too() -> None:
    app = Microdot()

    @app.get("/")
    async def index(request: Any) -> Any:
        return "hello"

    assert (await TestClient(app).get("/")).text == "hello"


def test_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """C24: the signal goes to the server, not to whatever leads the group of processes."""
    killed: list[Any] = []
    monkeypatch.setattr("microdot.asgi.os.kill", lambda *arguments: killed.append(arguments))
    Microdot().shutdown()
    assert killed == [(os.getpid(), signal.SIGTERM)]


async def test_embedded_server() -> None:
    app = Microdot()
    assert app.embedded_server is False
    task = asyncio.ensure_future(app.start_server("127.0.0.1", 0))
    await asyncio.sleep(0.1)
    app.shutdown()  # does not signal anybody
    await asyncio.wait_for(task, 5)


def test_names() -> None:
    """Contract 1.3."""
    import microdot

    for name in ("Request", "Response", "abort", "redirect", "send_file", "URLPattern", "AsyncBytesIO", "iscoroutine"):
        assert getattr(microdot.asgi, name) == getattr(microdot, name)
    assert issubclass(Microdot, microdot.Microdot)
