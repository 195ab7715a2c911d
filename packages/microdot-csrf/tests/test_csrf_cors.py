"""CSRF beside CORS and WebSockets: real objects of the other packages, set up on one application.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request
from microdot.cors import CORS
from microdot.csrf import CSRF
from microdot.test_client import TestClient
from microdot.websocket import WebSocket, with_websocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


async def test_listed_origins_of_cors_may_post() -> None:
    app = Microdot()
    cors = CORS(app, allowed_origins=["http://good.example"])
    CSRF(app, cors)

    @app.post("/")
    async def index(request: Request) -> str:
        return "posted"

    client = TestClient(app)
    response = await client.post("/", headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://good.example"})
    assert response.text == "posted"
    assert response.headers["Access-Control-Allow-Origin"] == "http://good.example"
    response = await client.post("/", headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"})
    assert response.status_code == 403 and "Access-Control-Allow-Origin" not in response.headers
    preflight = {"Origin": "http://good.example", "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
    assert (await client.request("OPTIONS", "/", preflight)).headers["Access-Control-Allow-Methods"] == "POST"


async def test_web_sockets_of_other_sites_are_refused() -> None:
    app = Microdot()
    csrf = CSRF(app)
    results = []

    @app.get("/echo")
    @csrf.protect
    @with_websocket(origins="*")  # so that nobody else looks at the origin
    async def echo(request: Request, ws: WebSocket) -> None:
        await ws.send(await ws.receive())

    def peer() -> "Any":
        results.append((yield "hello"))

    client = TestClient(app, host="board.local")
    assert (await client.websocket("/echo", peer, headers={"Origin": "http://evil.example"})).status_code == 403
    assert results == []
    assert (await client.websocket("/echo", peer, headers={"Origin": "http://board.local"})).status_code is None
    assert results == ["hello"]
