"""The page is read by Prometheus' own parser, and the log by `logging`; the examples of the documentation run."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import microdot.asgi
import microdot.wsgi
import pytest
from microdot import Microdot, Request, Response
from microdot.accesslog import AccessLog
from microdot.metrics import Metrics
from microdot.static import Static
from microdot.test_client import TestClient
from prometheus_client.parser import text_string_to_metric_families
from support.loopback import Running


async def test_prometheus_reads_it() -> None:
    app = Microdot()
    app.install(Metrics())

    @app.get("/quote/<re:[\"\\\\]+:what>")
    async def quote(request: Request, what: str) -> str:
        await asyncio.sleep(0.02)
        return "x"

    async with Running(app) as server:
        for _ in range(25):
            await server.get('/quote/"\\')
        for _ in range(5):
            await server.get("/nowhere")
        status, headers, body = await server.get("/metrics")
    assert status == 200
    families = list(text_string_to_metric_families(body.decode()))
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples
    }
    assert samples["http_requests_total", ("2xx",)] == 25
    assert samples["http_requests_total", ("4xx",)] == 5
    assert [family.type for family in families if family.name == "http_seconds"] == ["histogram"]
    assert samples["http_seconds_bucket", ("+Inf",)] == samples["http_seconds_count", ()] == 30
    assert samples["http_seconds_bucket", ("0.016",)] <= 5 <= samples["http_seconds_bucket", ("1.024",)]
    assert 25 * 0.019 < samples["http_seconds_sum", ()] < 30
    assert samples["http_max_seconds", ('/quote/<re:["\\\\]+:what>',)] >= 0.019
    assert samples["http_bytes_total", ()] == 25 + 5 * len("Not found")
    assert samples["http_connections", ()] >= 1
    assert 5e6 < samples["process_resident_memory_bytes", ()] < 5e9
    assert samples["process_cpu_seconds_total", ()] > 0


async def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    app = Microdot()
    app.install(AccessLog())
    with caplog.at_level(logging.INFO, logger="microdot.access"):
        await TestClient(app).get("/50%25?a=%s")
    assert '"GET /50%25?a=%s HTTP/1.0" 404 9 "-"' in caplog.messages[0]


@pytest.mark.parametrize("host", ["asgi", "wsgi"])
def test_other_hosts(host: str, caplog: pytest.LogCaptureFixture) -> None:
    app: Microdot = microdot.asgi.Microdot() if host == "asgi" else microdot.wsgi.Microdot()
    callable_app: Any = app
    metrics = app.install(Metrics())
    app.install(AccessLog(form="json"))

    @app.get("/")
    async def index(request: Request) -> str:
        return "hello"

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(callable_app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return [await client.get(path) for path in ("/", "/nowhere", "/metrics")]

    with caplog.at_level(logging.INFO, logger="microdot.access"):
        if host == "asgi":
            answers = asyncio.run(ask())
        else:
            with httpx.Client(transport=httpx.WSGITransport(callable_app), base_url="http://x") as wsgi:
                answers = [wsgi.get(path) for path in ("/", "/nowhere", "/metrics")]
    assert [answer.status_code for answer in answers] == [200, 404, 200]
    assert 'http_requests_total{code="2xx"} 1\nhttp_requests_total{code="3xx"} 0\n' in answers[2].text
    assert "http_connections" not in answers[2].text  # only the native server knows
    assert metrics.count[:6] == [0, 0, 2, 0, 1, 0]
    lines = [json.loads(line.getMessage()) for line in caplog.records if line.name == "microdot.access"]
    assert [(line["client"], line["request"], line["status"], line["bytes"]) for line in lines][:2] == [
        ("127.0.0.1", "GET / HTTP/1.1", 200, 5),
        ("127.0.0.1", "GET /nowhere HTTP/1.1", 404, 9),
    ]


def bodies(app: Microdot, folder: Path) -> dict[str, int]:
    """Add a route for each kind of body; return how many bytes of it a client gets."""
    (folder / "file").write_bytes(b"0123456789" * 20000)
    app.install(Static(None, "/static", str(folder)))

    @app.get("/bytes")
    async def whole(request: Request) -> bytes:
        return b"x" * 5000

    @app.get("/headers")
    async def headers(request: Request) -> tuple[str, int, dict[str, str]]:
        return "é" * 10, 200, {"X-Own": "1"}

    @app.get("/stream")
    async def stream(request: Request) -> Any:
        return iter(["a" * 3000, b"", b"b" * 3000])

    @app.get("/unchanged")
    async def unchanged(request: Request) -> tuple[str, int]:
        return "left out", 304

    @app.get("/sent")
    async def sent(request: Request) -> Response:
        return Response.send_file(str(folder / "file"))

    @app.get("/wrong")
    async def wrong(request: Request) -> Response:
        return Response(7)  # nothing that can be sent

    return {
        **{"/bytes": 5000, "/headers": 20, "/stream": 6000, "/unchanged": 0, "/sent": 200000, "/wrong": 21},
        **{"/static/file": 200000, "/static/file range": 100},
    }


@pytest.mark.parametrize("host", ["native", "asgi", "wsgi", "test client"])
def test_bytes_of_all_kinds_of_bodies(host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    classes = {"asgi": microdot.asgi.Microdot, "wsgi": microdot.wsgi.Microdot}
    app: Microdot = classes.get(host, Microdot)()
    callable_app: Any = app
    metrics = app.install(Metrics())
    app.install(AccessLog(form="json"))
    expected = bodies(app, tmp_path)
    if host == "test client":
        del expected["/wrong"]  # there the error reaches the test
    got = []  # method, status, and bytes of the body for each request
    asked = [(method, path) for path in expected for method in ("GET", "HEAD")]

    def headers(path: str) -> dict[str, str]:
        return {"Range": "bytes=50-149"} if path.endswith(" range") else {}

    async def ask(client: Any) -> None:
        for method, path in asked:
            response = await client.request(method, path.split()[0], headers=headers(path))
            body = response.body or b"" if host == "test client" else response.content
            got.append((method, response.status_code, len(body)))

    async def main() -> None:
        if host == "asgi":
            async with httpx.AsyncClient(transport=httpx.ASGITransport(callable_app), base_url="http://x") as client:
                await ask(client)
        elif host == "native":
            async with Running(app) as server:
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
                    await ask(client)
        else:
            await ask(TestClient(app))

    with caplog.at_level(logging.INFO, logger="microdot.access"):
        if host == "wsgi":
            with httpx.Client(transport=httpx.WSGITransport(callable_app), base_url="http://x") as client:
                for method, path in asked:
                    response = client.request(method, path.split()[0], headers=headers(path))
                    got.append((method, response.status_code, len(response.content)))
        else:
            asyncio.run(main())
    if host != "test client":  # which shows bodies of 304 as they were given
        lengths = [length if method == "GET" else 0 for path, length in expected.items() for method in ("GET", "HEAD")]
        assert [length for _, _, length in got] == lengths
    lines = [json.loads(line.getMessage()) for line in caplog.records if line.name == "microdot.access"]
    assert [(line["request"].split()[0], line["status"], line["bytes"]) for line in lines] == got
    assert metrics.count[14] == sum(length for _, _, length in got)
    for n in range(2, 6):
        assert metrics.count[n] == sum(status // 100 == n for _, status, _ in got)


def test_downloads_that_end_early_on_other_hosts() -> None:
    block = b"x" * 1000

    def endless() -> Iterator[bytes]:
        while True:
            yield block

    app: Any = microdot.wsgi.Microdot()
    metrics = app.install(Metrics())
    app.get("/")(lambda request: Response(endless()))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": None}
    body = app(environ, lambda status, fields: None)
    given = [next(body), next(body), next(body)]  # several chunks each
    body.close()
    # The third was given to the server, which has not said what became of it.
    assert metrics.count[0] == 1 and metrics.count[14] == len(given[0] + given[1]) > 0

    app = microdot.asgi.Microdot()
    metrics = app.install(Metrics())
    app.get("/")(lambda request: Response(endless()))
    events: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(event: Any) -> None:
        if len(events) == 4:
            raise OSError("gone")
        events.append(event)

    async def main() -> None:
        await app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    asyncio.run(main())
    sent = [len(event.get("body", b"")) for event in events]
    assert len(sent) == 4 and sent[0] == 0 and min(sent[1:]) >= len(block)
    assert metrics.count[0] == 1 and metrics.count[14] == sum(sent)


async def test_large_file_that_nobody_wants_to_the_end(tmp_path: Path) -> None:
    """The system copies it; what it has copied is counted."""
    app = Microdot()
    metrics = app.install(Metrics())
    (tmp_path / "large").write_bytes(bytes(30_000_000))
    app.get("/")(lambda request: Response.send_file(str(tmp_path / "large")))
    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        got = 0
        while got < 10_000_000:
            data = await connection.read(65536)
            assert data
            got += len(data)
        before = metrics.count[0]
        await connection.close()
        for _ in range(200):
            if metrics.count[0] > before:
                break
            await asyncio.sleep(0.02)
        assert metrics.count[0] == before + 1
        # Both ends of the connection have buffers.
        assert got - 1000 <= metrics.count[14] < 25_000_000, (got, metrics.count[14])


async def test_every_name_is_explained() -> None:
    app = Microdot()
    app.install(Metrics())

    @app.get('/<re:[a-z\n\x0b\\\\"]+:what>')
    async def odd(request: Request, what: str) -> str:
        await asyncio.sleep(0.01)
        return "x"

    async with Running(app) as server:
        await server.get("/abc")
        _, _, body = await server.get("/metrics")
    text = body.decode()
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.type != "unknown" for family in families), text
    kinds = {family.name: family.type for family in families}
    assert kinds.pop("http_seconds") == "histogram"
    counters = [name for name, kind in kinds.items() if kind == "counter"]
    assert sorted(counters) == ["http_bytes", "http_requests", "process_cpu_seconds"]
    assert set(kinds.values()) == {"counter", "gauge"} and len(kinds) == 7
    # One group of lines for each name, and the type ahead of them.
    order = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(order) == len(set(order)) == 8
    (sample,) = [sample for family in families for sample in family.samples if family.name == "http_max_seconds"]
    assert sample.labels == {"route": '/<re:[a-z\n\x0b\\\\"]+:what>'}


def examples() -> list[str]:
    root = Path(__file__).parents[3]
    pages = (root / "packages/microdot-metrics/README.md", root / "docs/guide/metrics.md")
    return [code for page in pages for code in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]


@pytest.mark.parametrize("source", examples())
async def test_example(source: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(source, "example", "exec"), names)
    client = TestClient(names["app"])
    await client.get("/")
    assert 'http_requests_total{code="2xx"}' in ((await client.get("/metrics")).text or "")
    assert (await client.get("/health")).status_code == 200
