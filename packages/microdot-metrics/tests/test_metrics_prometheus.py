"""The page is read by Prometheus' own parser, and the log by `logging`; the examples of the documentation run."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import microdot.asgi
import microdot.wsgi
import pytest
from microdot import Microdot, Request
from microdot.accesslog import AccessLog
from microdot.metrics import Metrics
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
    assert samples["http_max_seconds", ("/quote/",)] >= 0.019
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
