"""Server-sent events: what stands on the wire, what becomes of slow clients and of those that go.

Portable: CPython, MicroPython.
"""

import asyncio

from microdot import Microdot, Request
from microdot.sse import SSE, sse_response, with_sse
from microdot.test_client import TestClient
from support.checks import raised_async
from support.loopback import Running
from support.websocket_peer import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


async def sent(*calls: "Any") -> bytes:
    """Return what stands on the wire after calls of send(), each given by (args, kwargs)."""
    sse = SSE()
    for args, kwargs in calls:
        await sse.send(*args, **kwargs)
    return await _next(sse)


async def _next(sse: SSE) -> bytes:
    async def nothing(request: Request, sse: SSE) -> None:
        await asyncio.sleep(10)

    sse._call = nothing, None, (), {}
    data = await sse.__anext__()
    await sse.aclose()
    return data


async def test_the_transcript() -> None:
    # Contract section 10.1.
    data = await sent(
        (("foo",), {}),
        (("bar",), {"event": "test"}),
        (("bar",), {"event": "test", "event_id": "id42"}),
        (("bar",), {"event_id": "id42"}),
        (("bar",), {"retry": 2.5}),
        (({"foo": "bar"},), {}),
        (("ping",), {"comment": True}),
        (([42, "foo", "bar"],), {}),
        ((ValueError("foo"),), {}),
        ((b"foo",), {}),
    )
    assert data == (
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
    ), data


async def test_lines() -> None:
    # RELIABILITY I5: CR, LF and CRLF end a line in the data, and nothing else gets out of it.
    for data, expected in (
        ("a\nb", b"data: a\ndata: b\n\n"),
        ("a\r\nb", b"data: a\ndata: b\n\n"),
        ("a\rb", b"data: a\ndata: b\n\n"),
        (b"a\r\r\nb\n", b"data: a\ndata: \ndata: b\ndata: \n\n"),
        ("\n", b"data: \ndata: \n\n"),
        ("", b"data: \n\n"),
        ("a\n\nevent: evil\nid: 1\nretry: 9", b"data: a\ndata: \ndata: event: evil\ndata: id: 1\ndata: retry: 9\n\n"),
        ("é\u2028x", "data: é\u2028x\n\n".encode()),
        (None, b"data: None\n\n"),
        (17, b"data: 17\n\n"),
    ):
        assert await sent(((data,), {})) == expected, data
    assert await sent((("a\rdata: evil\n\nb",), {"comment": True})) == b": a\n: data: evil\n: \n: b\n\n"
    assert await sent((("x",), {"comment": True, "event": "a\nb", "event_id": "a\nb"})) == b": x\n\n"


async def test_fields_cannot_be_injected() -> None:
    sse = SSE()
    for name in ("event", "event_id"):
        for value in ("a\nb", "a\rb", "a\r\nb", "\n", "a\0b"):
            fields: "dict[str, Any]" = {name: value}
            await raised_async(ValueError, sse.send("x", **fields))
    assert sse.queue == []


async def test_values_that_are_false() -> None:
    # Contract 21, C27: retry=0 and empty ids say something.
    assert await sent((("x",), {"retry": 0})) == b"retry: 0\ndata: x\n\n"
    assert await sent((("x",), {"event_id": ""})) == b"id: \ndata: x\n\n"
    assert await sent((("x",), {"event_id": 0})) == b"id: 0\ndata: x\n\n"
    assert await sent((("x",), {"event": "", "event_id": None, "retry": None})) == b"data: x\n\n"


async def test_a_route() -> None:
    app = Microdot()

    @app.route("/<name>")
    @with_sse
    async def handler(request: Request, sse: SSE, name: str) -> None:
        await sse.send("hello " + name, event="greeting", event_id="1", retry=2.5)
        await sse.send({"last": sse.last_event_id})

    @app.route("/plain/<name>")
    async def plain(request: Request, name: str) -> "Any":
        async def events(request: Request, sse: SSE, name: str, mark: str = "?") -> None:
            await sse.send(name + mark)

        return sse_response(request, events, name, mark="!")

    client = TestClient(app)
    response = await client.get("/ada", headers={"Last-Event-ID": "7"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.events == [
        {"data": b"hello ada", "data_json": None, "event": "greeting", "event_id": "1", "retry": 2.5},
        {"data": b'{"last": "7"}', "data_json": {"last": "7"}, "event": None, "event_id": None, "retry": None},
    ], response.events
    response = await client.get("/ada")
    assert response.events is not None and response.events[1]["data_json"] == {"last": None}
    response = await client.get("/plain/bob")
    assert response.body == b"data: bob!\n\n"


async def test_an_error_comes_after_the_events_before_it() -> None:
    app = Microdot()

    @app.route("/")
    @with_sse
    async def handler(request: Request, sse: SSE) -> None:
        await sse.send("before")
        1 / 0

    await raised_async(ZeroDivisionError, TestClient(app).get("/"))
    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        data = await connection.read_all()
        await connection.close()
        assert b"data: before\n\n" in data
        assert not data.endswith(b"0\r\n\r\n")  # RELIABILITY L14: nobody takes it for a whole body


async def test_nothing_is_started_for_head() -> None:
    # Contract 21, A9.
    app = Microdot()
    started: "list[int]" = []

    @app.route("/")
    @with_sse
    async def handler(request: Request, sse: SSE) -> None:
        started.append(1)
        await asyncio.sleep(10)

    async with Running(app) as server:
        status, headers, body = await server.get("/", method="HEAD")
        assert status == 200 and body == b"" and headers["Content-Type"] == "text/event-stream"
        await asyncio.sleep(0.1)
        assert started == []
    response = await TestClient(app).request("HEAD", "/")
    assert response.status_code == 200 and started == []


async def test_the_handler_ends_when_the_client_goes() -> None:
    app = Microdot()
    seen: "list[str]" = []
    streams: "list[SSE]" = []

    def route(name: str, pause: float) -> None:
        @app.route("/" + name)
        @with_sse
        async def handler(request: Request, sse: SSE) -> None:
            streams.append(sse)
            try:
                while True:
                    await sse.send("tick")
                    await asyncio.sleep(pause)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            finally:
                seen.append("finally")

    route("sending", 0.01)
    route("waiting", 60)
    async with Running(app) as server:
        for path in ("/sending", "/waiting"):
            connection = await server.connect()
            await connection.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n".replace(b"%s", path.encode()))
            assert b"data: tick" in await connection.read_until(b"tick\n\n")
            await connection.close()
        assert await until(lambda: len(seen) == 4), seen  # RELIABILITY L13: within 3 seconds
        assert seen.count("cancelled") == seen.count("finally") == 2
        for sse in streams:
            assert sse.closed
            before = len(sse.queue)
            await sse.send("late")  # by somebody who keeps a list of streams: neither kept nor an error
            assert len(sse.queue) == before


async def test_the_stream_ends_when_the_server_stops() -> None:
    """Nobody waits for a stream without an end: the client sees a whole response, and the handler is cancelled."""
    app = Microdot()
    app.stop_timeout = 8
    seen: "list[str]" = []

    @app.route("/")
    @with_sse
    async def handler(request: Request, sse: SSE) -> None:
        try:
            await sse.send("a")
            await asyncio.sleep(60)
        finally:
            seen.append("finally")

    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.read_until(b"a\n\n")
        app.shutdown()
        await asyncio.wait_for(server.task, 4)
        assert seen == ["finally"]
        assert await connection.read_until(b"0\r\n\r\n")
        await connection.close()


async def test_heartbeat() -> None:
    app = Microdot()

    @app.route("/")
    @with_sse(heartbeat=0.2)
    async def handler(request: Request, sse: SSE) -> None:
        await sse.send("a")
        await asyncio.sleep(0.7)
        await sse.send("b")

    response = await TestClient(app).get("/")
    assert response.body is not None
    beats = response.body.count(b":\n\n")
    assert 1 <= beats <= 3, response.body
    assert [event["data"] for event in response.events or []] == [b"a", b"b"]


async def _fill(policy: str, count: int) -> "tuple[SSE, list[int]]":
    sse = SSE()
    sse.policy = policy
    sse.max_queue = 3
    done: "list[int]" = []

    async def handler(request: Request, sse: SSE) -> None:
        for i in range(count):
            await sse.send(i)
            done.append(i)

    sse._call = handler, None, (), {}
    return sse, done


async def test_a_full_queue_waits() -> None:
    sse, done = await _fill("wait", 7)
    data = b""
    async for chunk in sse:
        assert chunk.count(b"data") <= 3
        data += chunk
        await asyncio.sleep(0.01)
        assert len(sse.queue) <= 3
    assert data == b"".join([("data: %d\n\n" % i).encode() for i in range(7)])


async def test_a_full_queue_drops_the_oldest_or_all_but_the_latest() -> None:
    for policy, expected in (("oldest", [4, 5, 6]), ("latest", [6])):
        sse, done = await _fill(policy, 7)
        chunk = await sse.__anext__()
        assert done == list(range(7))
        assert chunk == b"".join([("data: %d\n\n" % i).encode() for i in expected]), (policy, chunk)
        try:
            await sse.__anext__()
        except StopAsyncIteration:
            pass
        else:
            raise AssertionError("the stream did not end")


async def test_a_full_queue_closes() -> None:
    sse, done = await _fill("close", 7)
    await raised_async(OSError, sse.__anext__())
    assert done == [0, 1, 2] and sse.closed and sse.queue == []
    # Somebody else who sends is not harmed.
    sse, done = await _fill("close", 0)
    for i in range(5):
        await sse.send(i)
    assert sse.closed


def test_a_policy_that_there_is_not() -> None:
    try:
        with_sse(policy="newest")
    except ValueError:
        pass
    else:
        raise AssertionError("it was taken")


async def test_events_of_one_turn_leave_in_one_write() -> None:
    app = Microdot()

    @app.route("/")
    @with_sse
    async def handler(request: Request, sse: SSE) -> None:
        for i in range(20):
            await sse.send(i)

    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        data = await connection.read_all()
        await connection.close()
    body = data.partition(b"\r\n\r\n")[2]
    size = int(body[: body.find(b"\r\n")].decode(), 16)
    assert body[body.find(b"\r\n") + 2 :][:size] == b"".join([("data: %d\n\n" % i).encode() for i in range(20)])
