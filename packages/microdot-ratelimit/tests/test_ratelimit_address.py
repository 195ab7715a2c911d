"""What clients are told apart by on CPython; and the examples of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from microdot._ratelimit import network
from microdot.test_client import TestClient


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2"),
        ("2001:db8:1:2::1", "2001:db8:1:2"),
        ("2001:db8::1", "2001:db8"),
        ("::1", ""),
        ("", ""),
    ],
)
def test_network(address: str, expected: str) -> None:
    assert network(address) == expected


def examples() -> list[str]:
    root = Path(__file__).parents[3]
    pages = (root / "packages/microdot-ratelimit/README.md", root / "docs/guide/ratelimit.md")
    blocks = [code for page in pages for code in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    return [code for code in blocks if '"/login"' in code]


@pytest.mark.parametrize("source", examples())
async def test_example(source: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(source, "example", "exec"), names)
    client = TestClient(names["app"])
    answers = [await client.post("/login") for _ in range(6)]
    assert [answer.status_code for answer in answers[1:]] == [answers[0].status_code] * 4 + [429]
    assert (await client.post("/login", body=b"x" * 1001)).status_code == 429
    if "firmware" in source:
        assert (await client.get("/")).headers["RateLimit"] == '"default";r=99;t=1'
        assert (await client.put("/firmware", body=b"x" * 100000)).json == {"bytes": 100000}
