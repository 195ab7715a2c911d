"""Independent WebSocket clients against servers on CPython, MicroPython and uvicorn: websockets, aiohttp, Node, Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets

from provide import Missing, micropython, provide
from support.wire_server import free_port, python_path, wait_until
from upy import board_tree

ROOT = Path(__file__).resolve().parent.parent.parent.parent
APP = Path(__file__).with_name("websocket_app.py")
CHAT = ROOT / "docs" / "examples" / "chat" / "main.py"

BOUNDARIES = (0, 1, 125, 126, 127, 4096, 65535, 65536, 65537, 1 << 20)


@contextlib.contextmanager
def serving(runtime: str, program: Path) -> Iterator[int]:
    """Run a program in a process of its own; the port that it serves."""
    port = free_port()
    environment = dict(os.environ)
    if runtime == "cpython":
        command = [sys.executable, "-u", str(program)]
        environment["PYTHONPATH"] = python_path()
    elif runtime == "uvicorn":
        pytest.importorskip("uvicorn", reason="pip install uvicorn")
        pytest.importorskip("microdot.asgi", reason="install microdot-asgi")
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(program.parent), program.stem + ":app", "--port"]
        environment["PYTHONPATH"] = python_path()
    else:
        try:
            command = [str(micropython(32)), "-X", "heapsize=1m", str(program)]
        except Missing as error:
            pytest.skip(str(error))
        environment["MICROPYPATH"] = f"{board_tree()}:.frozen"
    process = subprocess.Popen([*command, str(port)], env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
                    return bool(response.status == 200)
            except OSError:
                return False

        assert wait_until(answers, 20), f"{program.name} does not start on {runtime}"
        yield port
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@pytest.fixture(scope="module", params=["cpython", "micropython", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Runtime and port of a server for all tests of this file."""
    with serving(request.param, APP) as port:
        yield request.param, port


def sizes(runtime: str) -> tuple[int, ...]:
    """Return the sizes to echo: a board has its heap for a message, twice."""
    return BOUNDARIES[:-1] if runtime == "micropython" else BOUNDARIES


@contextlib.asynccontextmanager
async def opened(port: int, path: str, **settings: Any) -> AsyncIterator[websockets.ClientConnection]:
    """Open a connection with the package `websockets`."""
    connection = await websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=None, **settings)
    try:
        yield connection
    finally:
        await connection.close()


async def test_websockets_echo(server: tuple[str, int]) -> None:
    runtime, port = server
    async with opened(port, "/echo", subprotocols=["chat"], compression=None) as ws:
        assert ws.subprotocol == "chat"
        for n in sizes(runtime):
            await ws.send("é" * (n // 2))
            assert await ws.recv() == "é" * (n // 2)
            data = os.urandom(n)
            await ws.send(data)
            assert await ws.recv() == data
        await ws.send(iter(["fragments ", "of ", "", "text ✓"]))
        assert await ws.recv() == "fragments of text ✓"
        await (await ws.ping(b"are you there"))
    assert ws.close_code == 1000


async def test_websockets_sees_codes(server: tuple[str, int]) -> None:
    _, port = server
    async with opened(port, "/parts") as ws:
        assert await ws.recv() == "part 0;part 1;part 2;"
        assert await ws.recv() == b"\x00\xff"
        with pytest.raises(websockets.ConnectionClosed):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (4001, "enough")
    async with opened(port, "/small") as ws:
        await ws.send("x" * 1000)
        assert await ws.recv() == "x" * 1000
        await ws.send("x" * 1001)
        with pytest.raises(websockets.ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1009
    async with opened(port, "/fail") as ws:
        with pytest.raises(websockets.ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1011
    async with opened(port, "/ping") as ws:
        assert await ws.recv() == "still here"  # it answered the pings


async def test_many_clients_at_once(server: tuple[str, int]) -> None:
    runtime, port = server
    count = 20 if runtime == "micropython" else 100

    async def talk(number: int) -> None:
        async with opened(port, "/echo") as ws:
            for i in range(5):
                text = f"client {number}, message {i}"
                await ws.send(text)
                assert await ws.recv() == text
            await asyncio.sleep(0.3)
            await ws.send(b"x" * 3000)
            assert await ws.recv() == b"x" * 3000

    await asyncio.gather(*(talk(number) for number in range(count)))

    async def all_gone() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/open") as response:
            return await response.text() == "0"

    for _ in range(50):
        if await all_gone():
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("handlers are left")


async def test_aiohttp(server: tuple[str, int]) -> None:
    runtime, port = server
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"http://127.0.0.1:{port}/echo", max_msg_size=0) as ws:
            for n in sizes(runtime):
                await ws.send_str("a" * n)
                assert await ws.receive_str(timeout=20) == "a" * n
                await ws.send_bytes(b"\xff" * n)
                assert await ws.receive_bytes(timeout=20) == b"\xff" * n
            await ws.ping(b"hello")
            await ws.close(code=1001)
            assert ws.close_code == 1001


NODE = """
const port = process.argv[1], sizes = JSON.parse(process.argv[2]);
const ws = new WebSocket(`ws://127.0.0.1:${port}/echo`);
ws.binaryType = "arraybuffer";
let at = 0, errors = [];
const next = () => at < sizes.length * 2
  ? ws.send(at % 2 ? new Uint8Array(sizes[at >> 1]).fill(7) : "t".repeat(sizes[at >> 1]))
  : ws.close(3000, "done");
ws.onopen = next;
ws.onmessage = (event) => {
  const size = sizes[at >> 1];
  const good = at % 2 ? event.data.byteLength === size && new Uint8Array(event.data).every((b) => b === 7)
                      : event.data === "t".repeat(size);
  if (!good) errors.push(`size ${size}`);
  at += 1;
  next();
};
ws.onclose = (event) => console.log(JSON.stringify({code: event.code, clean: event.wasClean, echoed: at, errors}));
"""


def test_node(server: tuple[str, int]) -> None:
    runtime, port = server
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing: install Node.js 20.10 or newer so that it is on PATH")
    command = [node, "--experimental-websocket", "-e", NODE, str(port), json.dumps(sizes(runtime))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.stdout, run.stderr
    result = json.loads(run.stdout)
    assert result == {"code": 3000, "clean": True, "echoed": 2 * len(sizes(runtime)), "errors": []}, result


@contextlib.asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Any]:
    """Run Chromium without a window and with a fresh profile; nothing but the tests goes over the network."""
    try:
        chromium = provide("chromium")
    except Missing as error:
        pytest.skip(str(error))
    playwright = pytest.importorskip("playwright.async_api", reason="pip install playwright")
    async with playwright.async_playwright() as driver:
        context = await driver.chromium.launch_persistent_context(
            str(profile),
            executable_path=str(chromium),
            headless=True,
            args=["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-component-update"],
        )
        try:
            yield context
        finally:
            await context.close()


IN_PAGE = """
async (sizes) => {
  const ws = new WebSocket(location.origin.replace("http", "ws") + "/echo", ["other", "chat"]);
  ws.binaryType = "arraybuffer";
  const opened = new Promise((done, fail) => { ws.onopen = done; ws.onerror = () => fail("error"); });
  const message = () => new Promise((done) => { ws.onmessage = (event) => done(event.data); });
  await opened;
  let good = 0;
  for (const size of sizes) {
    ws.send("é".repeat(size >> 1));
    if (await message() === "é".repeat(size >> 1)) good += 1;
    ws.send(new Uint8Array(size).fill(9));
    const data = new Uint8Array(await message());
    if (data.length === size && data.every((b) => b === 9)) good += 1;
  }
  const closed = new Promise((done) => { ws.onclose = (event) => done([event.code, event.reason, event.wasClean]); });
  ws.close(3001, "bye");
  const events = [];
  await new Promise((done) => {
    const source = new EventSource("/events");
    source.onmessage = (event) => {
      events.push([event.data, event.lastEventId]);
      if (event.lastEventId === "3") { source.close(); done(); }
    };
    source.addEventListener("data", (event) => events.push([event.data, event.lastEventId]));
  });
  return {good, protocol: ws.protocol, closed: await closed, events};
}
"""


async def test_chromium(server: tuple[str, int], tmp_path: Path) -> None:
    runtime, port = server
    async with browser(tmp_path) as context:
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        result = await page.evaluate(IN_PAGE, sizes(runtime))
    # 7.1.5: the code is echoed; some servers echo the reason too.
    result["closed"].pop(1)
    assert result == {
        "good": 2 * len(sizes(runtime)),
        "protocol": "chat",
        "closed": [3001, True],
        # It reconnected by itself, with the id of the last event.
        "events": [["first\nsecond line", "1"], ['{"n": 1}', "2"], ["after 2", "3"]],
    }, result


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
async def test_the_chat_in_chromium(runtime: str, tmp_path: Path) -> None:
    pytest.importorskip("microdot.pubsub")
    with serving(runtime, CHAT) as port:
        async with browser(tmp_path) as context:
            ada, bob = await context.new_page(), await context.new_page()
            await ada.goto(f"http://127.0.0.1:{port}/?name=Ada")
            await bob.goto(f"http://127.0.0.1:{port}/?name=Bob")
            await ada.fill("#text", "Hello <b>there</b>")
            await ada.press("#text", "Enter")
            await bob.wait_for_selector("li", timeout=5000)
            assert await bob.inner_text("li") == "Ada: Hello <b>there</b>"
            await bob.fill("#text", "hi ✓")
            await bob.press("#text", "Enter")
            await ada.wait_for_selector("li:nth-child(2)", timeout=5000)
            assert await ada.inner_text("li:nth-child(2)") == "Bob: hi ✓"
            # Who comes later sees what was said.
            late = await context.new_page()
            await late.goto(f"http://127.0.0.1:{port}/?name=Eve")
            await late.wait_for_selector("li:nth-child(2)", timeout=5000)
            # And the reading changes.
            await ada.wait_for_function("document.getElementById('reading').textContent !== 'none yet'", timeout=5000)
            first = await ada.inner_text("#reading")
            await ada.wait_for_function(f"document.getElementById('reading').textContent !== '{first}'", timeout=5000)
