"""The programs in the guide and the README run, and answer. CPython only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from microdot import Microdot, Request
from microdot.test_client import TestClient

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("docs/guide/multipart.md", "packages/microdot-multipart/README.md")
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nholiday\r\n'
    b'--b\r\nContent-Disposition: form-data; name="photo"; filename="../one.jpg"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="photo"; filename=""\r\n\r\n\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\nimage\r\n--b--\r\n'
)


@pytest.mark.parametrize("page", PAGES)
async def test_programs_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = re.findall(r"(?s)```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"))
    assert programs
    monkeypatch.setattr(Request, "max_content_length", Request.max_content_length)
    monkeypatch.setattr(Request, "max_body_length", Request.max_body_length)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uploads").mkdir()
    form = FORM
    if page.endswith("README.md"):
        form = FORM.replace(b'filename=""', b'filename="two.jpg"')  # it takes one photo, the last one
    for program in programs:
        names: dict[str, Any] = {"__name__": "program"}
        exec(compile(program, page, "exec"), names)
        app: Microdot = names["app"]
        path = app.routes[0].pattern
        response = await TestClient(app).post(path, {"Content-Type": "multipart/form-data; boundary=b"}, form)
        assert response.status_code == 200, response.text
        if path == "/photos":
            assert response.json == {"title": "holiday", "saved": ["one.jpg"]}
            assert (tmp_path / "uploads/one.jpg").read_bytes() == b"1"
        elif path == "/upload":
            assert (tmp_path / "uploads/two.jpg").exists()
        else:
            assert (tmp_path / "firmware.bin").read_bytes() == b"image"
