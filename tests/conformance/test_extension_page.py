"""The examples of docs/writing-extensions.md: an extension by a third party, a connection that is taken over, a host.

Portable: CPython and MicroPython.
"""

import asyncio

from microdot import Microdot, Request
from microdot.test_client import TestClient
from support.checks import raised
from support.loopback import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = __file__.rsplit("/", 1)[0] + "/" if "/" in __file__ else ""
DOCS = HERE + "../../docs/"


def example(word: str) -> "dict[str, Any]":
    """Run the example of the page in which `word` stands, and return its names."""
    with open(DOCS + "writing-extensions.md") as page:
        for part in page.read().split("```python\n")[1:]:
            source = part.split("```")[0]
            if word in source:
                names: "dict[str, Any]" = {"__name__": "example"}
                exec(source, names)
                return names
    raise AssertionError("no example has " + word)


def busy_app(busy: "Any") -> "tuple[Microdot, list[asyncio.Event]]":
    """Return an application with a handler that waits, and the events that end it."""
    app = Microdot()
    app.install(busy)
    events: "list[asyncio.Event]" = []

    @app.get("/slow")
    async def slow(request: Request) -> str:
        events.append(asyncio.Event())
        await events[-1].wait()
        return "done"

    @app.get("/fails")
    async def fails(request: Request) -> str:
        raise OSError("no sensor")

    app.get("/")(lambda request: "index")
    return app, events


def test_the_page_has_the_file() -> None:
    """What the page shows is what is published."""
    with open(DOCS + "writing-extensions.md") as page, open(DOCS + "examples/extension/microdot_busy.py") as file:
        assert "```python\n" + file.read() + "```" in page.read()


async def test_busy_in_the_test_client() -> None:
    busy = example("class Busy")["Busy"](2)
    app, events = busy_app(busy)
    client = TestClient(app)
    tasks = [asyncio.create_task(client.get("/slow")) for _ in range(2)]
    while len(events) < 2:
        await asyncio.sleep(0.01)
    response = await client.get("/")
    assert (response.status_code, response.text, response.headers["Retry-After"]) == (503, "Busy", "1")
    for event in events:
        event.set()
    for task in tasks:
        assert (await task).text == "done"
    assert busy.at_work == []
    # whatever becomes of a request, its place is free again
    for path, status_code in (("/", 200), ("/fails", 500), ("/nothing", 404)):
        for _ in range(3):
            assert (await client.get(path)).status_code == status_code, path
    assert busy.at_work == []


async def test_busy_on_the_native_server() -> None:
    """Clients that leave and requests that are malformed free their place as well."""
    busy = example("class Busy")["Busy"](1)
    app, events = busy_app(busy)
    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        while not events:
            await asyncio.sleep(0.01)
        assert (await server.get("/"))[0] == 503
        await connection.close()
        events[0].set()
        while busy.at_work:
            await asyncio.sleep(0.01)
        connection = await server.connect()
        await connection.send(b"GET / HTTP/9.9\r\n\r\n")
        assert b" 505 " in await connection.read_all()
        await connection.close()
        assert (await server.get("/"))[2] == b"index"
    assert busy.at_work == []


def test_busy_in_two_applications() -> None:
    busy = example("class Busy")["Busy"]()
    for app in (Microdot(), Microdot()):
        assert app.install(busy) is busy
    raised(AttributeError, Microdot().install, object())


async def test_taking_a_connection_over() -> None:
    async with Running(example('upgrade({"Connection"')["app"]) as server:
        connection = await server.connect()
        await connection.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        head = await connection.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and b"Upgrade: echo\r\n" in head, head
        for data in (b"one", b"two"):
            await connection.send(data)
            assert await connection.read_until(data) == data
        await connection.close()


async def test_a_host() -> None:
    """It serves applications with hooks and without, their streams and their errors."""
    ask = example("async def ask")["ask"]
    app = Microdot()
    app.get("/")(lambda request: request.client_addr[0])
    app.get("/parts")(lambda request: iter(["a", b"b"]))
    assert await ask(app, "/") == (200, {"Content-Type": "text/plain; charset=UTF-8", "Content-Length": "9"}, b"127.0.0.1")
    finished: "list[Any]" = []
    app.on("done", lambda request, response, exception: finished.append((request.path, response.status_code, exception)))
    assert (await ask(app, "/parts"))[2] == b"ab"
    assert (await ask(app, "/nothing"))[0] == 404
    assert finished == [("/parts", 200, None), ("/nothing", 404, None)]
