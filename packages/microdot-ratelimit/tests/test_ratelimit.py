"""microdot-ratelimit.

Portable: CPython and MicroPython.
"""

from microdot import Microdot
from microdot.ratelimit import Ratelimit
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Request


async def test_ratelimit_adds_its_header() -> None:
    app = Microdot()
    app.install(Ratelimit())

    @app.get("/")
    async def index(request: "Request") -> str:
        return "hello"

    response = await TestClient(app).get("/")
    assert response.status_code == 200
    assert response.headers["X-Ratelimit"] == "1"
