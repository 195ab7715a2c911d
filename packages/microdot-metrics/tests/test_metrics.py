"""What is counted, and what the two pages and the log say of it.

Portable: CPython and MicroPython.
"""

import asyncio
import json

from microdot import Microdot, Request, Response, abort
from microdot.accesslog import AccessLog
from microdot.metrics import Metrics
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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

    @app.get("/quote/<re:[\"\\\\]+:what>")
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

    @app.get("/socket")
    async def socket(request: Request) -> Response:
        await asyncio.sleep(0.02)
        return Response.already_handled

    return app, metrics, TestClient(app)


def parse(text: str) -> "dict[str, float]":
    values = {}
    for line in text.split("\n"):
        if line and line[0] != "#":
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    return values


async def test_classes_and_bytes() -> None:
    app, metrics, client = make()
    for path, times in (("/", 3), ("/moved", 2), ("/nowhere", 4), ("/fail", 1), ("/stream", 1), ("/socket", 2)):
        for _ in range(times):
            await client.get(path)
    await client.request("HEAD", "/")
    assert metrics.count[:6] == [0, 2, 5, 2, 4, 1]
    # Of the streamed answer nothing is known; HEAD has no body; both empty ones have none.
    assert metrics.count[14] == 3 * len("hello") + 4 * len("Not found") + len("500 error")
    assert sum(metrics.count[6:14]) == 12


async def test_what_has_no_answer_is_counted_apart() -> None:
    app, metrics, client = make()
    request = Request(app, ("192.0.2.1", 1), "GET", "/", "1.1", {})
    app.finish(request, Response("half of it"), OSError(104))
    app.finish(request, None, OSError(104))
    app.finish(None, Response("Bad request", 400), ValueError())  # what was no request
    app.finish(None, Response("odd", 999), None)
    assert metrics.count[:6] == [2, 0, 0, 1, 1, 0]
    assert metrics.count[14] == len("Bad request") + len("odd")


async def test_times() -> None:
    app, metrics, client = make()
    for ms in (0, 30, 70):
        await client.get("/slow/%d" % ms)
    count = metrics.count
    assert sum(count[6:14]) == 3 and sum(count[9:14]) >= 2, count
    assert count[15] >= 99 and 69 <= count[16] < 1000
    assert metrics.route == "/slow/<int:ms>"
    # A WebSocket may last for days.
    await client.get("/socket")
    assert sum(count[6:14]) == 3


async def test_pages() -> None:
    app, metrics, client = make()
    await client.get("/quote/\"\\")
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
    assert '\nhttp_max_seconds{route="/quote/"} 0.0' in text
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
        address + '"GET /b HTTP/1.0" 200 - "-" "x"',
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
        app.finish(request, Response("hello"), None)
    assert len(log.lines) == 3
    for line in log.lines:
        assert "\n" not in line and len(line) < 8000
