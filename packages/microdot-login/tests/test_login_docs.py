"""The programs in the guides and READMEs of these packages run, and answer. CPython only."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from microdot import Microdot
from microdot.test_client import TestClient

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("session", "auth", "login", "cors", "csrf")
PAGES = [f"docs/guide/{name}.md" for name in NAMES] + [f"packages/microdot-{name}/README.md" for name in NAMES]

# page: method, path, headers, expected status
ASKED: dict[str, list[tuple[str, str, dict[str, str], int]]] = {
    "session": [("GET", "/", {}, 200)],
    "auth": [("GET", "/", {}, 401), ("GET", "/", {"Authorization": "Basic YTpi"}, 401)],
    "login": [("GET", "/", {}, 302)],
    "cors": [("OPTIONS", "/lamp", {"Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT"}, 200)],
    "csrf": [("POST", "/lamp", {"Host": "a", "Origin": "http://b"}, 403), ("POST", "/lamp", {"Host": "a", "Origin": "http://a"}, 200)],
}


@pytest.mark.parametrize("page", PAGES)
async def test_programs_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"(?s)```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"))
    programs = [block for block in blocks if "from microdot" in block]
    assert programs
    monkeypatch.setattr(Microdot, "run", lambda self: None)
    for program in programs:
        names: dict[str, Any] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(program, page, "exec"), names)
        name = next(name for name in NAMES if name in page)
        for method, path, headers, status in ASKED[name]:
            if page.startswith("docs"):
                response = await TestClient(names["app"]).request(method, path, headers)
                assert response.status_code == status, (method, path)
