"""The pages about hosts: their examples run, and every difference that the tests allow for is on docs/hosts.md."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from hosts.running import ROOT
from hosts.table import ROWS

PAGES = [
    ROOT / "docs" / "guide" / "asgi.md",
    ROOT / "docs" / "guide" / "wsgi.md",
    ROOT / "packages" / "microdot-asgi" / "README.md",
    ROOT / "packages" / "microdot-wsgi" / "README.md",
]
EXAMPLES = [
    pytest.param(source, id=f"{page.parent.name}-{page.name}-{number}")
    for page in PAGES
    for number, source in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("source", EXAMPLES)
def test_example(source: str) -> None:
    from microdot import Request
    from microdot.asgi import Microdot
    from microdot.test_client import TestClient

    limit = Request.max_content_length
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "example", "exec"), names)
    app = names["app"]
    found = {}
    try:
        for route in app.routes:
            if "GET" not in route.methods or route.pattern == "/echo":
                continue
            if isinstance(app, Microdot):
                found[route.pattern] = asyncio.run(ask_asgi(app, route.pattern))
            else:
                found[route.pattern] = ask_wsgi(app, route.pattern)
        if "/upload" in source:
            answer = asyncio.run(TestClient(app).post("/upload", body=b"x" * 100000))
            assert answer.json == {"size": 100000}
    finally:
        Request.max_content_length = limit
    assert found and all(status == 200 for status in found.values()) or "/echo" in source, found


async def ask_asgi(app: Any, path: str) -> int:
    """Start the application, send it a request, and stop it."""
    sent: list[dict[str, Any]] = []
    state: dict[str, Any] = {}
    events = iter([{"type": "lifespan.startup"}, {"type": "http.request"}, {"type": "lifespan.shutdown"}])
    answered = asyncio.Event()

    async def receive() -> Any:
        event = next(events)
        if event["type"] == "http.request":
            scope = {"type": "http", "path": path, "headers": [], "state": state}
            await app(scope, receive, send)
            event = next(events)
        return event

    async def send(event: Any) -> None:
        sent.append(event)
        answered.set()

    await app({"type": "lifespan", "state": state}, receive, send)
    (start,) = [event for event in sent if event["type"] == "http.response.start"]
    return int(start["status"])


def ask_wsgi(app: Any, path: str) -> int:
    """Send a request."""
    statuses: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}
    b"".join(app(environ, lambda status, headers: statuses.append(status)))
    return int(statuses[0][:3])


def test_every_difference_is_documented() -> None:
    page = Path(ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
    for row in ROWS:
        if row.but:
            assert f"**{row.name}**" in page, f"docs/hosts.md does not mention the row {row.name!r}"
    for name in re.findall(r"\*\*(.+?)\*\*", page):
        assert name in [row.name for row in ROWS if row.but], f"docs/hosts.md mentions {name!r}, which no row is"
