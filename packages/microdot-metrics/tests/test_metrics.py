"""What is counted, and what the two pages and the log say of it.

Portable: CPython and MicroPython.
"""

import asyncio
import json

from microdot import AsyncBytesIO, Microdot, Request, Response, abort
from microdot.accesslog import AccessLog
from microdot.metrics import Metrics
from microdot.test_client import TestClient
from support.loopback import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def broken_body() -> "Any":
    yield b"12345"
    raise OSError(5)


def make() -> "tuple[Microdot, Metrics, TestClient]":
    app = Microdot()
    metrics = app.install(Metrics())

    @app.get("/")
    async def index(request: Request) -> str:
        return "hello"

    @app.get("/slow/<int:ms>")
    async def slow(request: Request, ms: int) -> str:
        await asyncio.sleep(ms / 1000)
        return "done"

    @app.get('/quote/"\\/<re:[\"\\\\]+:what>')
    async def quote(request: Request, what: str) -> str:
        await asyncio.sleep(0.03)
        return "done"

    @app.get("/fail")
    async def fail(request: Request) -> str:
        abort(500)

    @app.get("/moved")
    async def moved(request: Request) -> Response:
        return Response.redirect("/")

    @app.get("/stream")
    async def stream(request: Request) -> "Any":
        return iter(["a", "b"])

    @app.get("/file")
    async def file(request: Request) -> Response:
        return Response.send_file("a.txt", stream=AsyncBytesIO(b"0123456789"))

    @app.get("/cut")
    async def cut(request: Request) -> Response:
        return Response("0123456789", headers={"Content-Length": "4"})

    @app.get("/broken")
    async def broken(request: Request) -> Response:
        return Response(broken_body())

    @app.get("/wrong")
    async def wrong(request: Request) -> Response:
        return Response(7)  # nothing that can be sent

    @app.get("/socket")
    async def socket(request: Request) -> Response:
        channel = await request.upgrade({"Upgrade": "echo"})
        await asyncio.sleep(0.02)
        await channel.close()
        return Response.already_handled

    @app.get("/crash")
    async def crash(request: Request) -> Response:
        await request.upgrade({"Upgrade": "echo"})
        abort(500)

    return app, metrics, TestClient(app)


def parse(text: str) -> "dict[str, float]":
    values = {}
    for line in text.split("\n"):
        if line and line[0] != "#":
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    return values


async def test_a_request_of_any_length_has_its_bucket() -> None:
    for ms, bucket in ((30, 9), (130, 10), (600, 11), (2000, 12), (8000, 13), (30000, 13), (400000000, 13)):
        app, metrics, client = make()

        @app.get("/long")
        async def long(request: Request, ms: int = ms) -> str:
            request.ticks = request.ticks - ms & 0x3FFFFFFF  # type: ignore[attr-defined]
            return "done"

        await client.get("/long")
        assert [i for i in range(6, 14) if metrics.count[i]] == [bucket], ms
        assert metrics.count[14] == 4, ms


async def test_classes_and_bytes() -> None:
    app, metrics, client = make()
    log = app.install(AccessLog(write=False, size=99))
    sent = 0
    # path, how often, class of the status, bytes of the body that reach the client
    for method, path, times, status, length in (
        ("GET", "/", 3, 2, 5),
        ("HEAD", "/", 1, 2, 0),
        ("GET", "/moved", 2, 3, 0),
        ("GET", "/nowhere", 4, 4, 9),
        ("HEAD", "/nowhere", 1, 4, 0),
        ("GET", "/fail", 1, 5, 9),
        ("GET", "/stream", 2, 2, 2),
        ("HEAD", "/stream", 1, 2, 0),
        ("GET", "/file", 1, 2, 10),
        ("HEAD", "/file", 1, 2, 0),
    ):
        before = metrics.count[status]
        for _ in range(times):
            response = await client.request(method, path)
            assert len(response.body or b"") == length, (method, path)
        assert metrics.count[status] == before + times, (method, path)
        sent += times * length
        assert metrics.count[14] == sent, (method, path, metrics.count)
        code, length_of_line = log.lines[-1].split('" ')[1].split(" ")[:2]
        assert int(code) // 100 == status and int(length_of_line) == length, log.lines[-1]
    timed = sum(metrics.count[6:14])
    assert timed == 17
    # What went through a connection that was handed over is no body, and it may last for days.
    for path in ("/socket", "/crash"):
        before = metrics.count[1]
        await client.get(path)
        assert metrics.count[1] == before + 1 and metrics.count[14] == sent, path
        assert '" 101 - "' in log.lines[-1], log.lines[-1]
    assert sum(metrics.count[6:14]) == timed


async def test_figures_agree_with_what_clients_got() -> None:
    """Over sockets: streams, files, HEAD, bodies that break off, clients that go."""
    app, metrics, client = make()
    log = app.install(AccessLog(write=False, size=99))
    async with Running(app) as server:
        await asyncio.sleep(0.05)
        count = metrics.count
        start = count[:15]
        sent = 0
        for method, path, status, length in (
            ("GET", "/", 2, 5),
            ("HEAD", "/", 2, 0),
            ("GET", "/stream", 2, 2),
            ("HEAD", "/stream", 2, 0),
            ("GET", "/file", 2, 10),
            ("HEAD", "/file", 2, 0),
            ("GET", "/cut", 2, 4),
            ("GET", "/moved", 3, 0),
            ("GET", "/wrong", 5, 21),
            ("GET", "/broken", 0, 5),
        ):
            before = count[status]
            code, _, body = await server.get(path, method=method)
            assert len(body) == length and code // 100 == (status or 2), (method, path, code, body)
            for _ in range(100):
                if count[status] > before:
                    break
                await asyncio.sleep(0.01)
            sent += length
            assert count[status] == before + 1 and count[14] - start[14] == sent, (method, path, count)
            assert '" %d %d "' % (code, length) in log.lines[-1], log.lines[-1]


async def test_downloads_that_end_early() -> None:
    app, metrics, client = make()
    produced = [0]

    def endless() -> "Any":
        while True:
            produced[0] += 1000
            yield b"x" * 1000

    @app.get("/endless")
    async def stream(request: Request) -> Response:
        return Response(endless())

    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        got = 0
        while got < 50000:
            got += len(await connection.read(4096))
        before = metrics.count[0]
        await connection.close()
        for _ in range(300):
            if metrics.count[0] > before:
                break
            await asyncio.sleep(0.02)
        assert metrics.count[0] == before + 1
        # All that the client has read, and not more than what was made.
        assert got * 0.95 < metrics.count[14] <= produced[0], (got, metrics.count[14], produced)


async def test_what_has_no_answer_is_counted_apart() -> None:
    app, metrics, client = make()
    request = Request(app, ("192.0.2.1", 1), "GET", "/", "1.1", {})
    app.finish(request, Response("half of it"), OSError(104))
    app.finish(request, None, OSError(104))
    app.finish(None, Response("Bad request", 400), ValueError())  # what was no request
    app.finish(None, Response("odd", 999), None)
    app.finish(request, Response(iter("ab")), None)  # a host that does not say
    assert metrics.count[:6] == [2, 0, 1, 1, 1, 0]
    assert metrics.count[14] == len("Bad request") + len("odd")


async def test_times() -> None:
    app, metrics, client = make()
    for ms in (0, 30, 70):
        await client.get("/slow/%d" % ms)
    count = metrics.count
    assert sum(count[6:14]) == 3 and sum(count[9:14]) >= 2, count
    assert count[15] >= 99 and 69 <= count[16] < 1000
    assert metrics.route == "/slow/<int:ms>"


async def test_pages() -> None:
    app, metrics, client = make()
    await client.get("/quote/\"\\/\"\\")
    for _ in range(5):
        await client.get("/")
    kind = Response.default_content_type
    try:
        Response.default_content_type = "text/html"  # as many programs do
        response = await client.get("/metrics")
    finally:
        Response.default_content_type = kind
    assert response.headers["Content-Type"].startswith("text/plain")
    text = response.text or ""
    values = parse(text)
    assert values['http_requests_total{code="2xx"}'] == 6
    assert values['http_requests_total{code="5xx"}'] == 0
    assert values['http_seconds_bucket{le="+Inf"}'] == values["http_seconds_count"] == 6
    assert values['http_seconds_bucket{le="0.004"}'] <= values['http_seconds_bucket{le="0.016"}'] <= 5
    assert values["http_seconds_sum"] >= 0.029
    # The pattern of the route in quotes: backslash, quote and newline are escaped.
    escaped = '/quote/\\"\\\\/<re:[\\"\\\\\\\\]+:what>'
    assert '\nhttp_max_seconds{route="%s"} 0.0' % escaped in text, text
    health = (await client.get("/health")).json
    assert health['http_requests_total{code="2xx"}'] == 7
    # All but the histogram.
    assert sorted(health) == sorted([name for name in values if not name.startswith("http_seconds")])
    memory = values.get("process_resident_memory_bytes") or values["mem_free"]
    assert memory > 20000
    assert values.get("mem_block", 0) <= values.get("mem_free", 0)


def lines(log: AccessLog) -> "list[str]":
    return [line[: line.find("[")] + line[line.find("]") + 2 :] for line in log.lines]


async def test_log() -> None:
    app = Microdot()
    log = app.install(AccessLog("/log", write=False, size=4))

    @app.get("/a")
    async def a(request: Request) -> str:
        return "hello"

    @app.get("/b")
    async def b(request: Request) -> "Any":
        return iter(["hello"])

    client = TestClient(app)
    await client.get("/a?x=1", headers={"User-Agent": 'curl "\\"', "Referer": "http://x/"})
    await client.get("/b", headers={"User-Agent": "x"})
    await client.post("/a", headers={"User-Agent": "x"}, body=b"data")
    app.finish(None, Response("Bad request", 400), ValueError())
    address = '127.0.0.1 - - '
    assert lines(log) == [
        address + '"GET /a?x=1 HTTP/1.0" 200 5 "http://x/" "curl \\"\\\\\\""',
        address + '"GET /b HTTP/1.0" 200 5 "-" "x"',
        address + '"POST /a HTTP/1.0" 405 9 "-" "x"',
        '- - - "-" 400 11 "-" "-"',
    ]
    # 22/Nov/2026:16:49:41 +0000
    stamp = log.lines[0].split("[")[1].split("]")[0]
    assert len(stamp) == 26 and stamp[2] == "/" == stamp[6] and stamp[-6:] == " +0000", stamp
    kind = Response.default_content_type
    try:
        Response.default_content_type = "text/html"
        response = await client.get("/log")
    finally:
        Response.default_content_type = kind
    assert response.headers["Content-Type"].startswith("text/plain")  # clients' text is no HTML
    assert (response.text or "").split("\n")[1:] == log.lines[:-1][-3:]
    assert '"GET /log HTTP/1.0" 200' in log.lines[-1] and len(log.lines) == 4


async def test_log_is_json() -> None:
    app = Microdot()
    written: "list[str]" = []
    app.install(AccessLog(form="json", write=written.append))

    @app.get("/")
    async def index(request: Request) -> str:
        await asyncio.sleep(0.02)
        return "hello"

    await TestClient(app).get("/", headers={"User-Agent": "a\"b"})
    line = json.loads(written[0])
    assert 18 <= line.pop("ms") < 2000
    assert len(line.pop("time")) == 20
    assert line == {
        "client": "127.0.0.1",
        "request": "GET / HTTP/1.0",
        "status": 200,
        "bytes": 5,
        "referer": "-",
        "agent": 'a"b',
    }


async def test_log_cannot_be_forged_or_filled() -> None:
    app = Microdot()
    log = app.install(AccessLog(write=False, size=3))
    for n in range(20):
        url = '/" 200 5\n198.51.100.1 - - ' + "x" * 5000
        request = Request(app, ("192.0.2.1", 1), "GET" * 1000, url, "1.1", {"User-Agent": "y" * 5000, "Referer": "\n" * 5000})
        # Behind a proxy that hands on what its client has written in X-Forwarded-For.
        request.client_addr = '198.51.100.1 - - "GET /admin" 200\n\u2028' + "z" * 5000, 1
        app.finish(request, Response("hello"), None)
    assert len(log.lines) == 3
    for line in log.lines:
        assert "\n" not in line and "\u2028" not in line and len(line) < 8000
        assert line.startswith("198.51.100.1 - - [")
