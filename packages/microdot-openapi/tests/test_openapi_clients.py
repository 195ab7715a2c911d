"""The document is believed by a tester that sends what it allows, and the page by a browser; the examples run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from microdot.test_client import TestClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.browser import browser_page
from support.loopback import free_port

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """Give the address of shop.py, which runs in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(HERE / "shop.py")],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        for _ in range(200):
            try:
                asyncio.run(asyncio.wait_for(connect(port), 5))
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                asyncio.run(asyncio.sleep(0.05))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            _, said = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert b"Traceback" not in said, said.decode()


async def connect(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


def test_schemathesis(base: str, tmp_path: Path) -> None:
    """Everything that the document allows is answered without a server error, and as it says."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", base + "/openapi.json"),
        *("--checks", "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"),
        *("--max-examples", "8", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--workers", "1"),
        *("--header", "Authorization: Bearer t0ken", "--request-timeout", "5", "--no-color"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=tmp_path)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


async def test_a_request_tried_from_the_page(base: str) -> None:
    async with browser_page() as page:
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(base + "/docs")
        await page.wait_for_selector("main[data-ready]", state="attached")
        assert await page.title() == "Shop"
        item = page.locator("#get_item")
        await item.locator("summary").click()
        await item.locator("input").fill("1")
        await item.get_by_role("button", name="Send").click()
        await item.locator("form > pre").filter(has_text="spoon").wait_for()
        assert "200 OK" in await item.locator("form > pre").inner_text()
        # With a body and a token.
        await page.locator("main > label", has_text="bearer").locator("input").fill("t0ken")
        adding = page.locator("#add_item")
        await adding.locator("summary").click()
        text = await adding.locator("textarea").input_value()
        assert json.loads(text)["color"] == "red"
        await adding.locator("textarea").fill('{"name": "fork", "price": 2}')
        await adding.get_by_role("button", name="Send").click()
        await adding.locator("form > pre").filter(has_text="fork").wait_for()
        assert "201 Created" in await adding.locator("form > pre").inner_text()
        # Texts of the document are texts: nothing in them is HTML or runs.
        hostile = page.locator("details", has_text="hacked")
        assert await page.evaluate("window.hacked") is None
        assert await page.locator("script").count() == 1 and await page.locator("img").count() == 0
        assert "<img src=x onerror=" in await hostile.locator("summary").inner_text()
        # Slashes of a path stay, everything else is encoded.
        await hostile.locator("summary").click()
        await hostile.locator("input").fill("a/b c?d")
        await hostile.get_by_role("button", name="Send").click()
        await hostile.locator("form > pre").filter(has_text="a/b%20c%3Fd").wait_for()
        # Nothing may be loaded or asked of another host.
        outside = "fetch('http://localhost:1/').then(() => 'asked', error => String(error))"
        assert "TypeError" in await page.evaluate(outside)
        assert [error for error in errors if "connect-src" not in error and "Content Security Policy" not in error] == []
        assert len(errors) >= 1 and all(url.startswith(base) for url in asked)


def examples() -> list[str]:
    root = HERE.parents[2]
    pages = (root / "packages/microdot-openapi/README.md", root / "docs/guide/openapi.md")
    blocks = [code for page in pages for code in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    return [code for code in blocks if "app.install(OpenAPI(" in code]


@pytest.mark.parametrize("source", examples())
async def test_example(source: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "example", "exec", dont_inherit=True), names)
    client = TestClient(names["app"])
    document = (await client.get("/openapi.json")).json
    OpenAPIV31SpecValidator(document).validate()
    assert document["components"]["schemas"]["Lamp"]["required"]
    put = document["paths"]["/lamps/{number}"]["put"]
    assert put["summary"] == "Switch a lamp." and put["requestBody"]["content"]["application/json"]
    body = {"name": "desk", "level": 50}
    headers = {"Authorization": "Bearer t0ken"}
    assert (await client.put("/lamps/1", headers=headers, body=body)).status_code == 200
