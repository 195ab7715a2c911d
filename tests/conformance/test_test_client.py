"""The test client: contract section 20, and 21 C29.

Portable: CPython and MicroPython.
"""

import asyncio

from microdot import AsyncBytesIO, Microdot, Request, Response
from microdot.microdot import NoCaseDict
from microdot.test_client import TestClient, TestResponse
from microdot.websocket import WebSocketError, websocket_upgrade, with_websocket
from support.checks import CPYTHON, raised_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def plain(headers: "Any") -> "dict[str, str]":
    """Return headers as a plain dict; boards' dict() doesn't take subclasses."""
    return {name: headers[name] for name in headers}


def echo_app() -> Microdot:
    """Return an application that answers with what it was asked."""
    app = Microdot()

    @app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"])
    async def echo(request: Request) -> "Any":
        return {
            "method": request.method,
            "url": request.url,
            "headers": plain(request.headers),
            "body": request.body.decode(),
            "version": request.http_version,
            "client": list(request.client_addr),
            "scheme": request.scheme,
            "json": request.json,
        }

    return app


async def test_request() -> None:
    """Contract 20.2: how the request looks to the application."""
    client = TestClient(echo_app())
    response = await client.get("/echo?a=b")
    assert response.json == {
        "method": "GET",
        "url": "/echo?a=b",
        "headers": {"Host": "example.com:1234"},
        "body": "",
        "version": "1.0",
        "client": ["127.0.0.1", 1234],
        "scheme": "http",
        "json": None,
    }
    client = TestClient(echo_app(), scheme="https", host="h:1")
    response = await client.get("/echo")
    assert (response.json["scheme"], response.json["headers"]) == ("https", {"Host": "h:1"})
    assert client.app is not None and client.scheme == "https" and client.host == "h:1"
    assert TestClient(echo_app()).cookies == {}
    assert TestClient.__test__ is False


async def test_methods() -> None:
    client = TestClient(echo_app())
    for method, call in (
        ("GET", client.get),
        ("POST", client.post),
        ("PUT", client.put),
        ("PATCH", client.patch),
        ("DELETE", client.delete),
        ("QUERY", client.query),
    ):
        response = await call("/echo", headers={"X-Test": "y"})
        assert response.json["method"] == method
        assert response.json["headers"]["X-Test"] == "y", method
        assert (await client.request(method, "/echo")).json["method"] == method
    for method, call_with_body in (
        ("POST", client.post),
        ("PUT", client.put),
        ("PATCH", client.patch),
        ("QUERY", client.query),
    ):
        response = await call_with_body("/echo", headers={"X-Test": "y"}, body="abc")
        assert (response.json["method"], response.json["body"]) == (method, "abc")


# (contract section, body, headers given, Content-Type, Content-Length, body received)
BODIES: "tuple[tuple[str, Any, dict[str, str] | None, str | None, str | None, str], ...]" = (
    ("20.2", None, None, None, None, ""),
    ("20.2", "", None, None, None, ""),
    ("20.2", "abc", None, None, "3", "abc"),
    ("20.2", "caf\u00e9", None, None, "5", "caf\u00e9"),
    ("20.2", b"abc", None, None, "3", "abc"),
    ("20.2", {"a": 1}, None, "application/json", "8", '{"a": 1}'),
    ("20.2", [1, 2], None, "application/json", "6", "[1, 2]"),
    ("20.2", {"a": 1}, {"Content-Type": "application/x"}, "application/x", "8", '{"a": 1}'),
    ("21 C29", {"a": 1}, {"content-type": "application/x"}, "application/x", "8", '{"a": 1}'),
)


async def test_bodies() -> None:
    client = TestClient(echo_app())
    for section, body, headers, content_type, content_length, received in BODIES:
        json = (await client.post("/echo", headers=headers, body=body)).json
        seen = NoCaseDict(json["headers"])
        got = (seen.get("Content-Type"), seen.get("Content-Length"), json["body"])
        assert got == (content_type, content_length, received), (section, body, got)
    assert (await client.post("/echo", body={"a": [1, "x"]})).json["json"] == {"a": [1, "x"]}


async def test_headers_are_the_callers() -> None:
    """Contract 21 C29: the caller's dictionary stays as it is; names are compared without their case."""
    headers = {"host": "other:80", "CONTENT-type": "application/json", "cookie": "x=y"}
    client = TestClient(echo_app(), cookies={"a": "b"})
    json = (await client.post("/echo", headers=headers, body=[1])).json
    seen = json["headers"]
    assert headers == {"host": "other:80", "CONTENT-type": "application/json", "cookie": "x=y"}
    assert len(seen) == 4, seen
    seen = NoCaseDict(seen)
    assert seen["Host"] == "other:80"
    assert seen["Content-Type"] == "application/json"
    assert sorted(seen["Cookie"].split("; ")) == ["a=b", "x=y"]


async def test_a_header_value_with_a_line_end() -> None:
    """Contract 20.2, 3.7 MUST: sent as it is, so the head ends there; what follows is ignored."""
    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> "Any":
        return [request.headers["Authorization"], request.body.decode()]

    response = await TestClient(app).get("/", headers={"Authorization": "Basic Zm9vOmJhcg==\n"})
    assert (response.status_code, response.json) == (200, ["Basic Zm9vOmJhcg==", ""])


async def test_parsing_errors_reach_the_caller() -> None:
    """Contract 20.2."""
    client = TestClient(echo_app())
    await raised_async(ValueError, client.get("/" + "x" * 3000))
    await raised_async(ValueError, client.get("/echo", headers={"X": "y" * 3000}))
    await raised_async(ValueError, client.post("/echo", headers={"Content-Length": "abc"}, body="x"))


async def test_body_errors_reach_the_caller() -> None:
    """Contract 20.2."""
    app = Microdot()

    def body() -> "Any":
        yield "a"
        raise ZeroDivisionError

    app.get("/")(lambda request: body())
    await raised_async(ZeroDivisionError, TestClient(app).get("/"))


async def test_what_is_no_body_reaches_the_caller() -> None:
    """Contract 4.2: the server answers 500; a test is not to take the bytes of some numbers for a body."""
    bodies: "list[Any]" = [23, {1, 2}, range(3), iter(["text", 5])]
    for body in bodies:
        app = Microdot()

        @app.get("/")
        async def index(request: Request, body: "Any" = body) -> Response:
            return Response(body)

        await raised_async(TypeError, TestClient(app).get("/"))


async def test_sock() -> None:
    """Contract 20.2, 3.3: request.sock is a pair of streams, or what the caller gives."""
    app = Microdot()
    seen: "list[Any]" = []

    @app.get("/")
    async def index(request: Request) -> str:
        seen.append(request.sock)
        return "x"

    client = TestClient(app)
    await client.get("/")
    await client.request("GET", "/", sock=("reader", "writer"))
    assert len(seen[0]) == 2 and hasattr(seen[0][0], "read") and hasattr(seen[0][1], "awrite")
    assert seen[1] == ("reader", "writer")


async def test_response() -> None:
    """Contract 20.1."""
    app = Microdot()
    app.get("/text")(lambda request: ("caf\u00e9", 201, {"X": "y"}))
    app.get("/bytes")(lambda request: b"\xff\xfe")
    app.get("/json")(lambda request: {"a": [1, None]})
    app.get("/other-json")(lambda request: ('{"a": 1}', {"Content-Type": "application/problem+json"}))
    app.get("/upper-json")(lambda request: ('{"a": 1}', {"Content-Type": "Application/JSON"}))
    app.get("/reason")(lambda request: Response("x", 404, reason="NOPE"))
    app.get("/none")(lambda request: None)
    client = TestClient(app)

    response = await client.get("/text")
    assert isinstance(response, TestResponse)
    assert (response.status_code, response.reason) == (201, None)
    assert response.headers["X"] == response.headers["x"] == "y"
    assert isinstance(response.headers, NoCaseDict)
    assert response.headers["Content-Length"] == "5"
    assert response.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert (response.body, response.text) == (b"caf\xc3\xa9", "caf\u00e9")
    assert response.json is None and response.events is None

    response = await client.get("/bytes")
    assert (response.body, response.text, response.json) == (b"\xff\xfe", None, None)
    response = await client.get("/json")
    assert (response.text, response.json) == ('{"a": [1, null]}', {"a": [1, None]})
    assert (await client.get("/other-json")).json is None
    assert (await client.get("/upper-json")).json == {"a": 1}
    response = await client.get("/reason")
    assert (response.status_code, response.reason) == (404, "NOPE")
    response = await client.get("/none")
    assert (response.status_code, response.body, response.text) == (204, b"", "")


def test_an_empty_response() -> None:
    """Contract 20.1: all None until filled."""
    response = TestResponse()
    for name in ("status_code", "reason", "body", "text", "json", "events"):
        assert getattr(response, name) is None, name
    assert response.headers == {}


async def test_head() -> None:
    """Contract 20.1 MUST."""
    app = Microdot()
    app.get("/")(lambda request: {"a": 1})
    response = await TestClient(app).request("HEAD", "/")
    assert (response.status_code, response.body, response.text, response.json) == (200, None, None, None)
    assert response.headers["Content-Length"] == "8"


async def test_already_handled() -> None:
    """Contract 20.1 MUST."""
    app = Microdot()
    app.get("/")(lambda request: Response.already_handled)
    response = await TestClient(app).get("/")
    assert (response.status_code, response.body, response.text, response.headers) == (None, None, None, {})


async def test_create() -> None:
    """Contract 20.1 S."""
    response = await TestResponse.create(Response("foo", 201))
    assert (response.status_code, response.text) == (201, "foo")


async def test_streamed_responses() -> None:
    app = Microdot()

    def chunks() -> "Any":
        yield "a"
        yield b"b"
        yield "c"

    app.get("/")(lambda request: chunks())
    response = await TestClient(app).get("/")
    assert (response.body, response.text) == (b"abc", "abc")
    assert "Content-Length" not in response.headers


EVENTS = (
    b"data: foo\n\n"
    b"event: test\ndata: bar\n\n"
    b"event: test\nid: id42\ndata: bar\n\n"
    b"id: id42\ndata: bar\n\n"
    b"retry: 2500\ndata: bar\n\n"
    b'data: {"foo": "bar"}\n\n'
    b": ping\n\n"
    b'data: [42, "foo", "bar"]\n\n'
    b"data: foo\n\n"
    b"data: foo\n\n"
)


async def test_events() -> None:
    """Contract 20.1 MUST: ten sends, one of them a comment, are nine events."""
    app = Microdot()
    app.get("/")(lambda request: (EVENTS, {"Content-Type": "text/event-stream"}))
    app.get("/lines")(
        lambda request: (b"data: a\r\ndata: b\r\n\r\ndata:c\rid\r\r", {"Content-Type": "text/event-stream; charset=utf-8"})
    )
    client = TestClient(app)
    response = await client.get("/")
    events = response.events
    assert events is not None and len(events) == 9
    for i, data, data_json, event, event_id, retry in (
        (0, b"foo", None, None, None, None),
        (1, b"bar", None, "test", None, None),
        (2, b"bar", None, "test", "id42", None),
        (3, b"bar", None, None, "id42", None),
        (4, b"bar", None, None, None, 2.5),
        (5, b'{"foo": "bar"}', {"foo": "bar"}, None, None, None),
        (6, b'[42, "foo", "bar"]', [42, "foo", "bar"], None, None, None),
        (7, b"foo", None, None, None, None),
        (8, b"foo", None, None, None, None),
    ):
        expected = {"data": data, "data_json": data_json, "event": event, "event_id": event_id, "retry": retry}
        assert events[i] == expected, (i, events[i])
    events = (await client.get("/lines")).events
    assert events is not None
    assert [e["data"] for e in events] == [b"a\nb", b"c"]
    assert events[1]["event_id"] == ""


# ---- cookies ------------------------------------------------------------------------------------------------------


def cookie_app() -> Microdot:
    """Return an application that sets and deletes cookies and says which ones it gets."""
    app = Microdot()

    @app.get("/set")
    async def set(request: Request) -> Response:
        response = Response("x")
        response.set_cookie("one", "1")
        response.set_cookie("two", "2", path="/", http_only=True)
        response.set_cookie("three", "3", path="/sub")
        response.set_cookie("four", "4", max_age=10)
        response.set_cookie("five", "", path="/")
        response.set_cookie("six", "a=b", expires="Fri, 01 Jan 2999 00:00:00 GMT")
        return response

    @app.get("/delete")
    async def delete(request: Request) -> Response:
        response = Response("x")
        response.delete_cookie("one", path="/bad")
        response.delete_cookie("two", path="/")
        response.delete_cookie("three")
        response.delete_cookie("four")
        response.delete_cookie("unknown")
        return response

    @app.get("/expire")
    async def expire(request: Request) -> Response:
        response = Response("x")
        response.set_cookie("one", "", expires="Thu, 01 JAN 1970 00:00:00 GMT")
        response.set_cookie("three", "", path="/sub", max_age=-1)
        return response

    @app.get("/<path:anything>")
    async def show(request: Request, anything: str) -> "Any":
        return sorted((request.headers.get("Cookie") or "").split("; "))

    return app


async def test_cookies() -> None:
    """Contract 20.2: the jar."""
    client = TestClient(cookie_app())
    await client.get("/set")
    assert client.cookies == {"one": "1", "two": "2", "three": ("3", "/sub"), "four": "4", "five": "", "six": "a=b"}
    assert (await client.get("/x")).json == ["five=", "four=4", "one=1", "six=a=b", "two=2"]
    assert (await client.get("/sub/x")).json == ["five=", "four=4", "one=1", "six=a=b", "three=3", "two=2"]
    await client.get("/delete")
    # Another path is another cookie.
    assert client.cookies == {"one": "1", "three": ("3", "/sub"), "five": "", "six": "a=b"}
    await client.get("/expire")
    assert client.cookies == {"five": "", "six": "a=b"}


async def test_cookies_to_begin_with() -> None:
    """Contract 20.2: the jar is the caller's, so that he may share and inspect it."""
    given = {"one": "1", "two": ("2", "/sub")}
    client = TestClient(cookie_app(), cookies=given)
    assert (await client.get("/x")).json == ["one=1"]
    assert (await client.get("/sub/x")).json == ["one=1", "two=2"]
    assert client.cookies is given
    await client.get("/set")
    assert given["four"] == "4"


async def test_a_cookie_header_of_the_callers() -> None:
    """Contract 20.2: merged with the jar, the header first."""
    client = TestClient(cookie_app(), cookies={"one": "1"})
    assert (await client.get("/x", headers={"Cookie": "three=3"})).json == ["one=1", "three=3"]
    app = Microdot()
    app.get("/")(lambda request: request.headers["Cookie"])
    assert (await TestClient(app, cookies={"one": "1"}).get("/", headers={"Cookie": "three=3"})).text == "three=3; one=1"


# ---- WebSockets ---------------------------------------------------------------------------------------------------


def channel_app(log: "list[Any]") -> Microdot:
    """Return an application with handlers that take their connection over, without the WebSocket package."""
    app = Microdot()

    @app.get("/echo")
    async def echo(request: Request) -> Response:
        channel = await request.upgrade({"Upgrade": "x"})
        assert channel.messages is True
        while True:
            message = await channel.receive()
            log.append(message)
            if message is None:
                break
            await channel.send(message)
        return Response.already_handled

    @app.get("/greet")
    async def greet(request: Request) -> Response:
        channel = await request.upgrade({})
        await channel.send("hello")
        await channel.send(b"how are you?")
        log.append(await channel.receive())
        await channel.send("bye")
        await channel.close(1000, "done")
        return Response.already_handled

    @app.get("/ticks")
    async def ticks(request: Request) -> Response:
        channel = await request.upgrade({})

        async def tick() -> None:
            for i in range(3):
                await asyncio.sleep(0.01)
                await channel.send("tick %d" % i)

        task = asyncio.create_task(tick())
        while True:
            message = await channel.receive()
            log.append(message)
            if message is None:
                break
        await task
        return Response.already_handled

    @app.get("/silent")
    async def silent(request: Request) -> Response:
        channel = await request.upgrade({})
        for _ in range(2):
            log.append(await channel.receive())
        return Response.already_handled

    @app.get("/late")
    async def late(request: Request) -> Response:
        channel = await request.upgrade({})
        while await channel.receive() is not None:
            pass
        try:
            await channel.send("too late")
        except OSError as exc:
            log.append(exc.args[0])
        return Response.already_handled

    @app.get("/clock")
    async def clock(request: Request) -> Response:
        channel = await request.upgrade({})
        try:
            for i in range(1000):
                await channel.send(str(i))
                await asyncio.sleep(0)
        except OSError as exc:
            log.append(exc.args[0])
        return Response.already_handled

    @app.get("/later")
    async def later(request: Request) -> Response:
        channel = await request.upgrade({})
        for i in range(3):
            await channel.send(str(i))
        while True:
            message = await channel.receive()
            log.append(message)
            if message is None:
                return Response.already_handled

    @app.get("/deny")
    async def deny(request: Request) -> "tuple[str, int]":
        return "no", 403

    @app.get("/headers")
    async def headers(request: Request) -> "Any":
        return {"headers": plain(request.headers), "version": request.http_version, "method": request.method}

    @app.get("/fail")
    async def fail(request: Request) -> Response:
        await request.upgrade({})
        raise ZeroDivisionError

    return app


def nobody() -> "Any":
    """Play a client that goes at once."""
    return
    yield


async def test_websocket_echo() -> None:
    """Contract 20.2: every yield is a message and its value the reply; the end closes the connection."""
    log: "list[Any]" = []
    replies: "list[Any]" = []

    def client() -> "Any":
        replies.append((yield "hello"))
        replies.append((yield b"goodbye"))
        replies.append((yield ""))

    response = await TestClient(channel_app(log)).websocket("/echo", client)
    assert replies == ["hello", b"goodbye", ""]
    assert log == ["hello", b"goodbye", "", None]
    assert (response.status_code, response.body) == (None, None)


async def test_websocket_with_an_async_generator() -> None:
    """Contract 20.2; boards have no async generators (22), so the source is compiled where they exist."""
    if not CPYTHON:
        return
    log: "list[Any]" = []
    replies: "list[Any]" = []
    namespace: "dict[str, Any]" = {"asyncio": asyncio, "replies": replies}
    exec(  # noqa: S102
        "async def client():\n"
        "    replies.append((yield 'hello'))\n"
        "    await asyncio.sleep(0.001)\n"
        "    replies.append((yield b'goodbye'))\n",
        namespace,
    )
    await TestClient(channel_app(log)).websocket("/echo", namespace["client"])
    assert replies == ["hello", b"goodbye"]
    assert log == ["hello", b"goodbye", None]


async def test_websocket_loses_nothing() -> None:
    """Contract 21 C29: messages before the first receive(), and several for one of the client's."""
    log: "list[Any]" = []
    replies: "list[Any]" = []

    def client() -> "Any":
        replies.append((yield None))
        replies.append((yield None))
        replies.append((yield "fine"))
        replies.append((yield None))  # the server has closed: the generator ends here

    await TestClient(channel_app(log)).websocket("/greet", client)
    assert replies == ["hello", b"how are you?", "bye"]
    assert log == ["fine"]


async def test_websocket_messages_of_another_task() -> None:
    """A client that sends nothing waits for what comes."""
    log: "list[Any]" = []
    replies: "list[Any]" = []

    def client() -> "Any":
        for _ in range(3):
            replies.append((yield None))

    await asyncio.wait_for(TestClient(channel_app(log)).websocket("/ticks", client), 5)
    assert replies == ["tick 0", "tick 1", "tick 2"]
    assert log == [None]


async def test_websocket_without_a_reply() -> None:
    """The value of a yield is None when the server goes on to the next message."""
    log: "list[Any]" = []
    replies: "list[Any]" = []

    def client() -> "Any":
        replies.append((yield "one"))
        replies.append((yield "two"))

    await TestClient(channel_app(log)).websocket("/silent", client)
    assert log == ["one", "two"]
    assert replies == [None]


async def test_websocket_closed_by_the_client() -> None:
    """Contract 20.2: the server sees OSError 32."""
    log: "list[Any]" = []

    def client() -> "Any":
        yield "one"

    def nothing() -> "Any":
        return
        yield

    for function in (client, nothing):
        del log[:]
        await TestClient(channel_app(log)).websocket("/late", function)
        assert log == [32]


async def test_websocket_a_server_that_only_sends() -> None:
    """It learns that the client has gone: an OSError, as on a server; what the client said meanwhile is not lost."""
    log: "list[Any]" = []
    got: "list[Any]" = []

    def client() -> "Any":
        got.append((yield None))
        got.append((yield None))

    def failing() -> "Any":
        assert (yield None) == "1"

    await asyncio.wait_for(TestClient(channel_app(log)).websocket("/clock", client), 5)
    assert got == ["0", "1"]
    assert log == [32]
    await raised_async(AssertionError, asyncio.wait_for(TestClient(channel_app(log)).websocket("/clock", failing), 5))
    assert log == [32, 32]

    def speaking() -> "Any":
        del got[:]
        got.append((yield "a"))
        got.append((yield "b"))
        got.append((yield None))

    del log[:]
    await asyncio.wait_for(TestClient(channel_app(log)).websocket("/later", speaking), 5)
    assert got == ["0", "1", "2"]
    assert log == ["a", "b", None]


async def test_websocket_failed_assertions_reach_the_test() -> None:
    log: "list[Any]" = []

    def client() -> "Any":
        reply = yield "one"
        assert reply == "two", "said by the client"

    error = await raised_async(AssertionError, TestClient(channel_app(log)).websocket("/echo", client))
    assert "said by the client" in str(error)
    assert log == ["one", None]  # for the server the client has gone


async def test_websocket_refused() -> None:
    """Contract 20.2: an answer like any other; the client's generator is not asked."""
    log: "list[Any]" = []

    def client() -> "Any":
        log.append("never")
        yield "one"

    test_client = TestClient(channel_app(log))
    response = await test_client.websocket("/deny", client)
    assert (response.status_code, response.text) == (403, "no")
    response = await test_client.websocket("/nothing", client)
    assert response.status_code == 404
    assert log == []


async def test_websocket_handshake() -> None:
    """RFC 6455 section 4.1; contract 9.3. The caller's headers come first, his dictionary stays as it is."""
    headers = {"Origin": "http://a.com", "sec-websocket-version": "8"}
    response = await TestClient(channel_app([]), cookies={"a": "b"}).websocket("/headers", nobody, headers)
    assert headers == {"Origin": "http://a.com", "sec-websocket-version": "8"}
    assert (response.json["method"], response.json["version"]) == ("GET", "1.1")
    seen = NoCaseDict(response.json["headers"])
    assert seen["Upgrade"].lower() == "websocket"
    assert "upgrade" in seen["Connection"].lower()
    assert seen["Sec-WebSocket-Key"]
    assert seen["Sec-WebSocket-Version"] == "8"
    assert seen["Origin"] == "http://a.com"
    assert seen["Cookie"] == "a=b"


async def test_websocket_handshake_as_an_ordinary_request() -> None:
    """Tests of who may connect send the headers of a handshake with get(): who may gets no status, others theirs."""
    app = Microdot()
    ended: "list[str]" = []

    @app.route("/ws")
    async def ws(request: Request) -> "Any":
        if request.args.get("token") != "right":
            return "Forbidden", 403
        socket = await websocket_upgrade(request)
        try:
            await socket.send("hello")
            await socket.receive()
        except WebSocketError:
            ended.append("gone")
        return Response.already_handled

    @app.route("/decorated")
    @with_websocket
    async def decorated(request: Request, ws: "Any") -> None:
        await ws.receive()

    @app.get("/version")
    async def version(request: Request) -> str:
        return request.http_version

    client = TestClient(app)
    headers = {
        "upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path, status in (("/ws?token=right", None), ("/ws?token=wrong", 403), ("/ws", 403), ("/decorated", None)):
        response = await client.get(path, headers=headers)
        assert response.status_code == status, (path, response.status_code)
    assert ended == ["gone"]
    assert (await client.get("/decorated")).status_code == 400
    # A request that was made from streams has no connection that could be handed over.
    data = b"GET /decorated HTTP/1.1\r\n" + b"".join(("%s: %s\r\n" % line).encode() for line in headers.items()) + b"\r\n"
    stream = AsyncBytesIO(data)
    request = await Request.create(app, stream, stream, ("127.0.0.1", 1234))
    assert (await app.dispatch_request(request)).status_code == 501
    # RFC 9110 section 7.8: HTTP/1.0 knows no Upgrade.
    assert (await client.get("/version", headers)).text == "1.1"
    assert (await client.get("/version")).text == "1.0"


async def test_websocket_handler_that_fails() -> None:
    """The connection ends, and the error is the application's to answer."""
    response = await TestClient(channel_app([])).websocket("/fail", nobody)
    assert response.status_code in (500, None)


async def test_upgrade_of_a_plain_request() -> None:
    """A request without a client behind it finds that the peer has gone."""
    log: "list[Any]" = []
    response = await TestClient(channel_app(log)).get("/echo")
    assert response.body is None
    assert log == [None]
