"""The program in the README runs, and answers. CPython only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from microdot.test_client import TestClient

README = Path(__file__).resolve().parents[1] / "README.md"


async def test_the_program_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"(?s)```python\n(.*?)```", README.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web/assets").mkdir(parents=True)
    (tmp_path / "web/assets/app.js").write_text("script")
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(program, "README.md", "exec"), names)
    assert (await TestClient(names["app"]).get("/assets/app.js")).body == b"script"
