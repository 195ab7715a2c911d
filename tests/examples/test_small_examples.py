"""The examples that need little: hello, pins, a REST API, other work beside the server, sub-applications.

Each is asked by a real client on CPython and on MicroPython with a small heap, and looked at in Chromium.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from examples.conftest import Phone, Phones
from examples.running import EXAMPLES, RUNTIMES, running
from openapi_spec_validator import OpenAPIV31SpecValidator

pytestmark = pytest.mark.asyncio(loop_scope="session")
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


@each_runtime
async def test_hello(runtime: str, tmp_path: Path, phone: Phone) -> None:
    with running("hello", runtime, tmp_path) as example, example.client() as client:
        assert client.get("/hello/Zo%C3%AB%2F1").json() == {"hello": "Zoë/1"}
        assert client.get("/hello/").status_code == 404
        page = phone.page
        await page.goto(example.url)
        await page.get_by_text("Hello, world!").wait_for()
        await page.fill("#name", "<b>Zoë</b> & Co/2")
        await page.click("button")
        await page.get_by_text("Hello, <b>Zoë</b> & Co/2!").wait_for()
        await page.fill("#name", "phone")
        await page.click("button")
        await page.get_by_text("Hello, phone!").wait_for()
        await phone.look("hello", example.url, shot=runtime == "cpython")


@each_runtime
async def test_gpio(runtime: str, tmp_path: Path, phone: Phone) -> None:
    with running("gpio", runtime, tmp_path) as example, example.client() as client:
        pins = client.get("/api/pins").json()
        assert (pins["lamp"], pins["fan"]) == (False, 0) and 0 <= pins["light"] <= 100 and pins["button"] in (True, False)
        assert client.put("/api/lamp", json=True).json()["lamp"] is True
        assert client.put("/api/fan", json=40).json()["fan"] == 40
        for path, bad in (("lamp", 1), ("lamp", "on"), ("fan", 101), ("fan", -1), ("fan", True), ("fan", 1.5), ("fan", None)):
            answer = client.put("/api/" + path, json=bad)
            assert answer.status_code == 400 and "send " in answer.text, (path, bad)
        assert client.put("/api/lamp", content=b"{").status_code == 400
        assert client.put("/api/lamp", content=b"[", headers={"Content-Type": "application/json"}).status_code == 400
        pins = client.get("/api/pins").json()
        assert (pins["lamp"], pins["fan"]) == (True, 40)
        page = phone.page
        await page.goto(example.url)
        await page.locator("#lamp[aria-checked=true]").wait_for()
        await page.click("#lamp")
        await page.locator("#lamp[aria-checked=false]").wait_for()
        assert client.get("/api/pins").json()["lamp"] is False
        await page.click("#lamp")
        await page.locator("#fan").fill("75")
        await page.wait_for_function("document.getElementById('fan-text').textContent == '75'")
        await page.wait_for_function("fetch('/api/pins').then(r => r.json()).then(pins => pins.fan == 75 && pins.lamp)")
        # The button is held for two seconds in four.
        await page.get_by_text("pressed", exact=True).wait_for()
        await phone.look("gpio", example.url, shot=runtime == "cpython")


@each_runtime
async def test_rest(runtime: str, tmp_path: Path, phone: Phone) -> None:
    with running("rest", runtime, tmp_path, heap="96k") as example, example.client() as client:

        def error(answer: httpx.Response, status: int) -> str:
            assert answer.status_code == status and answer.headers["Content-Type"].startswith("application/json"), answer
            assert list(answer.json()) == ["error"]
            return str(answer.json()["error"])

        assert client.get("/plants").json() == []
        answer = client.post("/plants", json={"name": "Basil", "days": 2})
        assert (answer.status_code, answer.headers["Location"]) == (201, "/plants/1")
        assert client.get(answer.headers["Location"]).json() == answer.json() == {"number": 1, "name": "Basil", "days": 2}
        assert client.put("/plants/1", json={"name": "Basil", "days": 3}).json()["days"] == 3
        assert client.post("/plants", json={"name": "Mint <b>"}).json() == {"number": 2, "name": "Mint <b>", "days": 7}
        bad: list[Any] = [[], "Basil", 0, {}, {"name": ""}, {"name": 1}, {"name": "x" * 41}, {"name": "x", "days": 0}]
        bad += [{"name": "x", "days": True}, {"name": "x", "days": "7"}, {"name": "x", "days": 366}]
        for body in bad:
            assert error(client.post("/plants", json=body), 400), body
            error(client.put("/plants/1", json=body), 400)
        headers = {"Content-Type": "application/json"}
        for content in (b"[1 2", b"null", b""):
            error(client.post("/plants", content=content, headers=headers), 400)
        error(client.post("/plants", content=b"name=x"), 415)
        assert error(client.get("/plants/3"), 404) == "no plant 3"
        error(client.get("/nothing"), 404)
        answer = client.delete("/plants")
        error(answer, 405)
        assert "POST" in answer.headers["Allow"]
        error(client.post("/plants", content=b"x" * 20000), 413)
        answer = client.delete("/plants/1")
        assert (answer.status_code, answer.content) == (204, b"")
        error(client.delete("/plants/1"), 404)
        for _ in range(49):
            assert client.post("/plants", json={"name": "x" * 40}).status_code == 201
        assert "50" in error(client.post("/plants", json={"name": "one more"}), 409)
        for number in range(3, 52):
            assert client.delete(f"/plants/{number}").status_code == 204
        page = phone.page
        await page.goto(example.url)
        await page.get_by_text("Mint <b>").wait_for()
        await page.fill("#name", "Tomato")
        await page.fill("#days", "1")
        await page.click("text=Add")
        await page.get_by_text("every day", exact=True).wait_for()
        await page.fill("#days", "400")
        await page.fill("#name", "Cactus")
        await page.click("text=Add")
        await page.get_by_text("days: give an integer from 1 to 365").wait_for()
        await page.fill("#days", "30")
        await page.click("text=Add")
        await page.get_by_text("every 30 days").wait_for()
        await page.get_by_label("Delete Mint <b>").click()
        await page.get_by_text("Mint <b>").wait_for(state="detached")
        assert [plant["name"] for plant in client.get("/plants").json()] == ["Tomato", "Cactus"]
        await phone.look("rest", example.url, shot=runtime == "cpython", allowed=("status of 400",))


async def test_rest_described(tmp_path: Path, phone: Phone) -> None:
    """The document says what the API does, and its page is served beside the program's own."""
    with running("rest", "cpython", tmp_path, program="described.py") as example, example.client() as client:
        document = client.get("/openapi.json").json()
        OpenAPIV31SpecValidator(document).validate()
        assert sorted(document["paths"]) == ["/plants", "/plants/{number}"]
        assert sorted(document["paths"]["/plants"]["post"]["responses"]) == ["201", "400", "409", "415", "default"]
        schemas = document["components"]["schemas"]
        assert sorted(schemas["Plant"]["properties"]) == ["days", "name", "number"]
        assert schemas["NewPlant"]["properties"]["name"]["maxLength"] == 40
        await phone.page.goto(example.url + "/docs")
        await phone.page.get_by_text("Plants that want water.").wait_for()
        item = phone.page.locator("#add_plant")
        await item.locator("summary").click()
        await item.locator("textarea").fill(json.dumps({"name": "Fern", "days": 3}))
        await item.get_by_role("button", name="Send").click()
        await item.locator("form > pre").filter(has_text="Fern").wait_for()
        assert [plant["name"] for plant in client.get("/plants").json()] == ["Fern"]
        await phone.look("openapi", example.url)


@each_runtime
async def test_background(runtime: str, tmp_path: Path, phone: Phone) -> None:
    with running("background", runtime, tmp_path) as example, example.client() as client:
        begun, first, after = time.monotonic(), client.get("/state").json(), time.monotonic()
        assert first["percent"] == 100 and first["job"] == 0
        answer = client.post("/jobs")
        assert (answer.status_code, answer.json(), answer.headers["Location"]) == (202, {"job": 1}, "/state")
        assert client.post("/jobs").status_code == 409
        # The loop keeps its time while it is asked without a pause.
        for _ in range(100):
            state = client.get("/state").json()
        assert state["percent"] < 100 or time.monotonic() - begun > 2
        page = phone.page
        await page.goto(example.url)
        await page.wait_for_function("document.getElementById('percent').value == 100")
        assert client.get("/state").json()["percent"] == 100
        await page.click("text=Start a job")
        await page.wait_for_function("document.getElementById('job').textContent == '2'")
        await page.wait_for_function("document.getElementById('percent').value > 20")
        await phone.look("background", example.url, shot=runtime == "cpython")
        before, last, end = time.monotonic(), client.get("/state").json(), time.monotonic()
        rounds = last["rounds"] - first["rounds"]
        spare = 2 + last["late"] / 100
        assert (before - after) * 10 - spare <= rounds <= (end - begun) * 10 + spare, (rounds, end - begun, last)


@each_runtime
async def test_mount(runtime: str, tmp_path: Path, phones: Phones) -> None:
    heap = "128k"  # password hashes, protection of forms, metrics, and the connections of a browser
    with running("mount", runtime, tmp_path, heap=heap) as example, example.client() as client:
        assert client.get("/api/v1/readings").json() == {"temperature": 24, "moisture": 41}
        assert client.get("/readings").status_code == 404
        answer = client.get("/admin/")
        assert answer.status_code == 401 and 'realm="greenhouse"' in answer.headers["WWW-Authenticate"]
        assert client.get("/admin/", auth=("ann", "wrong")).status_code == 401
        ann = ("ann", "correct horse")
        answer = client.get("/admin/", auth=ann)
        assert answer.status_code == 200 and 'name="window" type="number" value="28"' in answer.text
        # What is local to the sub-application stays there.
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cache-Control" not in client.get("/api/v1/limits").headers
        answer = client.post("/admin/", auth=ann, data={"window": "30"}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        assert client.post("/admin/", auth=ann, content=b"no form").status_code == 400
        answer = client.post("/admin/", auth=ann, data={"window": "25", "water": "1000"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
        assert client.get("/api/v1/limits").json() == {"window": 25, "water": 30}
        assert "http_requests_total" in client.get("/metrics").text
        async with phones.one(http_credentials={"username": "ann", "password": "correct horse"}) as phone:
            await phone.page.goto(example.url)
            await phone.page.wait_for_function("document.getElementById('window').textContent == '25'")
            await phone.page.click("text=Administration")
            await phone.page.fill("input[name=window]", "22")
            await phone.page.click("text=Save")
            await phone.page.locator("input[name=window][value='22']").wait_for()
            await phone.look("mount-admin", example.url, shot=runtime == "cpython")
            await phone.page.click("text=Back")
            await phone.page.wait_for_function("document.getElementById('window').textContent == '22'")
            await phone.page.wait_for_function("document.getElementById('moisture').textContent == '41'")
            await phone.look("mount", example.url, shot=runtime == "cpython")


async def test_every_example_has_a_readme() -> None:
    folders = [path for path in EXAMPLES.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))]
    for folder in folders:
        text = (folder / "README.md").read_text(encoding="utf-8")
        assert text.startswith("# ") and 8 <= len(text.splitlines()) <= 45, folder
        for word in ("microdot-",) if folder.name == "extension" else ("python", "microdot-", "board"):
            assert word in text, f"{folder.name}/README.md says nothing of {word}"


