"""The examples in which something goes on: live readings, a chat, a camera, workers that share messages through Redis."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from examples.conftest import Phone, Phones
from examples.running import EXAMPLES, RUNTIMES, Example, running, stop
from provide import Missing, provide
from support.wire_server import free_port, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


async def events(example: Example, path: str, count: int, last: str = "") -> list[tuple[str, Any]]:
    """Return that many events of a stream: id and data."""
    found: list[tuple[str, Any]] = []
    number = ""
    async with httpx.AsyncClient(base_url=example.url, timeout=10, trust_env=False) as client:
        headers = {"Last-Event-ID": last} if last else {}
        async with client.stream("GET", path, headers=headers) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    number = line[4:]
                if line.startswith("data: "):
                    found.append((number, json.loads(line[6:])))
                    if len(found) == count:
                        break
    return found


@each_runtime
async def test_live(runtime: str, tmp_path: Path, phones: Phones) -> None:
    with running("live", runtime, tmp_path, heap="128k") as example:
        async with phones.one() as phone, phones.one() as other:
            for one in (phone, other):
                await one.page.goto(example.url)
                await one.page.locator(".state.on").wait_for()
                await one.page.wait_for_function("document.getElementById('wanted').textContent == '21.0'")
            await phone.page.locator("#slider").fill("24.5")
            await other.page.wait_for_function("document.getElementById('wanted').textContent == '24.5'")
            await other.page.wait_for_function("Number(document.getElementById('power').textContent) == 100")
            # Another client, in the meantime: what is no temperature is refused, and the connection stays.
            async with websockets.connect(f"ws://127.0.0.1:{example.port}/control") as socket:
                assert json.loads(await asyncio.wait_for(socket.recv(), 5)) == {"wanted": 24.5}
                for bad in ("warm", "nan", "99", "-1", ""):
                    await socket.send(bad)
                    assert "error" in json.loads(await asyncio.wait_for(socket.recv(), 5)), bad
                await socket.send("22.5")
                assert json.loads(await asyncio.wait_for(socket.recv(), 5)) == {"wanted": 22.5}
                await socket.send("x" * 65)
                with pytest.raises(websockets.ConnectionClosedError):
                    await asyncio.wait_for(socket.recv(), 5)
                assert socket.close_code == 1009
            await phone.page.wait_for_function("document.getElementById('wanted').textContent == '22.5'")
            readings = await events(example, "/readings", 3)
            assert all(sorted(data) == ["humidity", "power", "temperature"] for _, data in readings)
            # Who comes back gets what it missed.
            assert (await events(example, "/readings", 1, readings[1][0]))[0] == readings[2]
            if runtime == "cpython":  # whose screenshot has a curve
                drawn = "document.getElementById('curve').getAttribute('points').split(' ').length > 12"
                await phone.page.wait_for_function(drawn)
            await phone.look("live", example.url, shot=runtime == "cpython")


@each_runtime
async def test_chat(runtime: str, tmp_path: Path, phones: Phones) -> None:
    with running("chat", runtime, tmp_path, heap="128k") as example:
        async with phones.one() as ada, phones.one() as bob:
            await ada.page.goto(example.url + "/?name=Ada")
            await ada.page.fill("#text", "Anybody here?")
            await ada.page.click("text=Send")
            await ada.page.get_by_text("Ada: Anybody here?").wait_for()
            await bob.page.goto(example.url + "/?name=Bob")
            await bob.page.get_by_text("Ada: Anybody here?").wait_for()
            await bob.page.fill("#text", "Me, and <i>nobody</i> else")
            await bob.page.click("text=Send")
            await ada.page.get_by_text("Bob: Me, and <i>nobody</i> else").wait_for()
            await ada.page.wait_for_function("document.getElementById('reading').textContent != 'none yet'")
            await ada.look("chat", example.url, shot=runtime == "cpython")
            await bob.page.fill("#text", "Ada " + "x" * 60)  # breaks in the middle of the word
            await bob.page.click("text=Send")
            await ada.page.get_by_text("Bob: Ada xxx").wait_for()
            await ada.look("chat", example.url, shot=False)


PIXELS = """() => {
  const image = document.getElementById('film')
  const canvas = document.createElement('canvas')
  canvas.width = image.naturalWidth
  canvas.height = image.naturalHeight
  canvas.getContext('2d').drawImage(image, 0, 0)
  return [canvas.width, canvas.height, canvas.toDataURL()]
}"""


@each_runtime
async def test_camera(runtime: str, tmp_path: Path, phone: Phone) -> None:
    with running("camera", runtime, tmp_path, heap="96k") as example, example.client() as client:
        size = 118 + (96 * 72 if runtime == "micropython" else 320 * 240) // 2
        answer = client.get("/picture.bmp")
        assert answer.headers["Content-Type"] == "image/bmp" and answer.content[:2] == b"BM" and len(answer.content) == size
        # The parts, as a program reads them: each with its length, and the next one is another picture.
        with client.stream("GET", "/camera") as film:
            assert film.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
            data = b""
            for chunk in film.iter_bytes():
                data += chunk
                if data.count(b"--picture") == 4:
                    break
        parts = data.split(b"--picture\r\n")[1:4]
        pictures = []
        for part in parts:
            head, _, body = part.partition(b"\r\n\r\n")
            assert head == b"Content-Type: image/bmp\r\nContent-Length: %d" % size
            pictures.append(body[:size])
        assert all(picture[:2] == b"BM" for picture in pictures) and len(set(pictures[:2])) == 2
        # Nobody watches any more, so no pictures are taken.
        assert wait_until(lambda: client.get("/state").json()["watchers"] == 0, 5)
        taken = client.get("/state").json()["taken"]
        await asyncio.sleep(0.3)
        assert client.get("/state").json()["taken"] == taken
        page = phone.page
        await page.goto(example.url, wait_until="commit")
        await page.wait_for_function("document.getElementById('film').naturalWidth > 0")
        first = await page.evaluate(PIXELS)
        assert (first[0] * first[1]) // 2 + 118 == size
        seen = {first[2]}
        for _ in range(50):
            seen.add((await page.evaluate(PIXELS))[2])
            if len(seen) > 3:
                break
            await asyncio.sleep(0.05)
        assert len(seen) > 3, "the film stands still"
        await page.get_by_text("1 is watching").wait_for()
        # Not more than four: the fifth is sent away, and there is room again when one has gone.
        watchers = [client.stream("GET", "/camera") for _ in range(3)]
        try:
            for watcher in watchers:
                assert watcher.__enter__().status_code == 200
            answer = httpx.get(example.url + "/camera", timeout=10, trust_env=False)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        finally:
            for watcher in watchers:
                watcher.__exit__(None, None, None)
        await phone.look("camera", example.url, shot=runtime == "cpython")
        await page.goto("about:blank")
        assert wait_until(lambda: client.get("/state").json()["watchers"] == 0, 5)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis of our own."""
    try:
        program = provide("redis")
    except Missing as error:
        pytest.skip(str(error))
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop(process)


async def test_redis(tmp_path: Path, redis: str, phones: Phones) -> None:
    """Two workers behind uvicorn: what one takes, the readers of both see."""
    command = ("-m", "uvicorn", "--app-dir", str(EXAMPLES / "redis"), "--port", "{port}", "--workers", "2", "--no-access-log", "main:app")
    environment = {"REDIS_URL": redis}
    with running("redis", "cpython", tmp_path, command=command, environment=environment) as example:
        async with AsyncExitStack() as stack:
            # Connections go to either worker, so open as many browsers as it needs until there is one at each.
            found: dict[str, Phone] = {}
            for _ in range(20):
                one = await stack.enter_async_context(phones.one())
                await one.page.goto(example.url)
                await one.page.wait_for_function("Number(document.getElementById('worker').textContent) > 0")
                found.setdefault(await one.page.inner_text("#worker"), one)
                if len(found) == 2:
                    break
            assert len(found) == 2, "all connections went to one worker"
            phone, other = found.values()
            await phone.page.fill("#text", "Hello <b>there</b>")
            await phone.page.click("text=Send")
            for one in (phone, other):
                await one.page.get_by_text("Hello <b>there</b>").wait_for()
            await other.page.fill("#text", "Who is this?")
            await other.page.click("text=Send")
            await phone.page.get_by_text("Who is this?").wait_for()
            with example.client() as client:
                bodies: list[object] = [{}, {"text": ""}, {"text": 1}, {"text": "x" * 201}, []]
                for bad in bodies:
                    assert client.post("/messages", json=bad).status_code == 400, bad
                answer = client.post("/messages", json={"text": "Somebody else. " * 13})
                assert answer.status_code == 201 and answer.json()["worker"] != os.getpid()
            await phone.page.locator("li").nth(2).wait_for()
            await phone.look("redis", example.url)
            # Who comes later, or comes back, gets what was said.
            said = [data.get("text") for _, data in await events(example, "/messages", 4)]
            assert said == [None, "Hello <b>there</b>", "Who is this?", "Somebody else. " * 13]


async def test_redis_example_without_redis(tmp_path: Path) -> None:
    with running("redis", "cpython", tmp_path) as example, example.client() as client:
        assert client.post("/messages", json={"text": "alone"}).status_code == 201
        assert [data.get("text") for _, data in await events(example, "/messages", 2)] == [None, "alone"]
