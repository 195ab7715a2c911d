"""microdot-openapi.

Portable: CPython and MicroPython.
"""

from microdot import Microdot
from microdot.openapi import Openapi
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Request


async def test_openapi_adds_its_header() -> None:
    app = Microdot()
    app.install(Openapi())

    @app.get("/")
    async def index(request: "Request") -> str:
        return "hello"

    response = await TestClient(app).get("/")
    assert response.status_code == 200
    assert response.headers["X-Openapi"] == "1"
