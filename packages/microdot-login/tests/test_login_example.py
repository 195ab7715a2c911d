"""docs/examples/login, as its users see it. CPython only: it loads the file of the example."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from microdot.test_client import TestClient

EXAMPLE = Path(__file__).resolve().parents[3] / "docs/examples/login/main.py"


def load() -> ModuleType:
    """Return the example, freshly run."""
    spec = importlib.util.spec_from_file_location("login_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    from microdot import Response

    before = Response.default_content_type
    try:
        spec.loader.exec_module(module)
    finally:
        Response.default_content_type = before
    return module


async def post(client: TestClient, path: str, body: str = "") -> Any:
    return await client.post(path, {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}, body)


async def test_a_visit() -> None:
    client = TestClient(load().app)
    response = await client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/login?next=/")
    assert "<form" in ((await client.get("/login?next=/settings")).text or "")
    assert (await post(client, "/login?next=/settings", "name=ann&password=wrong")).status_code == 401
    assert (await post(client, "/login?next=/settings", "name=nobody&password=correct+horse")).status_code == 401
    response = await post(client, "/login?next=/settings", "name=ann&password=correct+horse")
    assert (response.status_code, response.headers["Location"]) == (302, "/settings")
    assert "Settings" in ((await client.get("/settings")).text or "")
    for visits in ("1", "2"):
        assert re.findall(r"visits>(\d+)", (await client.get("/")).text or "") == [visits]
    assert (await post(client, "/logout")).status_code == 302
    assert (await client.get("/")).status_code == 302


async def test_too_many_attempts() -> None:
    client = TestClient(load().app)
    for _ in range(5):
        assert (await post(client, "/login", "name=ann&password=wrong")).status_code == 401
    response = await post(client, "/login", "name=ann&password=correct+horse")
    assert response.status_code == 429 and 0 < int(response.headers["Retry-After"]) <= 13


async def test_log_out_everywhere() -> None:
    app = load().app
    here, there = TestClient(app), TestClient(app)
    for client in (here, there):
        await post(client, "/login", "name=bob&password=battery+staple&remember=on")
        assert "_remember" in client.cookies
    assert (await post(here, "/logout-everywhere")).status_code == 302
    for client in (here, there):
        assert (await client.get("/")).status_code == 302


async def test_forms_of_other_sites() -> None:
    client = TestClient(load().app)
    response = await client.post(
        "/login", {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://evil.example"}, "name=ann&password=correct+horse"
    )
    assert response.status_code == 403
