"""The programs in the guide and the README run, and answer. CPython only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from microdot.test_client import TestClient

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("page", ["docs/guide/static.md", "packages/microdot-static/README.md"])
async def test_programs_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = re.findall(r"(?s)```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"))
    assert len(programs) == 1
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web/assets").mkdir(parents=True)
    (tmp_path / "web/index.html").write_text("index")
    (tmp_path / "web/assets/app.js").write_text("script")
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(programs[0], page, "exec"), names)
    client = TestClient(names["app"])
    response = await client.get("/assets/app.js")
    assert response.body == b"script"
    if page.startswith("docs"):
        assert response.headers["Cache-Control"] == "max-age=60"
        assert (await client.get("/")).text == "index"
        assert (await client.get("/api/state")).json == {"on": True}
