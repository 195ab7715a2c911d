"""The examples in the guides and READMEs of microdot-websocket, microdot-sse and microdot-pubsub run. CPython only."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from microdot.test_client import TestClient

ROOT = Path(__file__).resolve().parents[3]


def examples(path: str) -> list[dict[str, Any]]:
    """Run the Python blocks of a page; the names of each."""
    found = []
    for block in (ROOT / path).read_text().split("```python\n")[1:]:
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(block.split("```")[0], path, "exec", dont_inherit=True), names)
        found.append(names)
    return found


async def test_websocket() -> None:
    got: list[Any] = []

    async def talk() -> Any:
        got.append((yield "on"))
        got.append((yield None))

    async def once() -> Any:
        got.append((yield "hello"))

    (readme,) = examples("packages/microdot-websocket/README.md")
    await TestClient(readme["app"]).websocket("/echo", once)
    assert got == ["hello"]
    lamp, firmware = examples("docs/guide/websocket.md")
    got.clear()
    await TestClient(lamp["app"]).websocket("/lamp", talk)
    assert [json.loads(text) for text in got] == [{"on": False}, {"on": True}]

    async def upload() -> Any:
        got.append((yield b"x" * 5000))

    await TestClient(firmware["app"]).websocket("/firmware", upload)
    assert got[-1] == "5000"


async def test_sse() -> None:
    (readme,) = examples("packages/microdot-sse/README.md")
    assert readme["clock"]
    (guide,) = examples("docs/guide/sse.md")
    response = await TestClient(guide["app"]).get("/progress", headers={"Last-Event-ID": "97"})
    assert [event["data_json"] for event in response.events or []] == [{"percent": n} for n in range(97, 101)] + [None]


async def test_pubsub() -> None:
    (readme,) = examples("packages/microdot-pubsub/README.md")
    client = TestClient(readme["app"])
    response = await client.post("/sensors/kitchen", body={"temperature": 21})
    assert response.text and response.status_code == 200
    pytest.importorskip("redis")
    guide, _, shared = examples("docs/guide/pubsub.md")
    assert shared["bus"].history == 1000
    task = asyncio.create_task(guide["watch"]())
    await asyncio.sleep(0)
    alarms = guide["bus"].subscribe("alarm")
    await guide["bus"].publish("sensors/oven/temperature", 90)
    assert (await asyncio.wait_for(alarms.__anext__(), 2)).data == "sensors/oven/temperature"
    task.cancel()
