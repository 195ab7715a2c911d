"""`microdot-core[asgi]` and `[wsgi]`, installed from the wheels into an environment that has nothing else."""

from __future__ import annotations

from pathlib import Path

from project import CORE
from support.environments import Environment

PROGRAM = """\
import asyncio
from microdot.asgi import Microdot as Asgi
from microdot.wsgi import Microdot as Wsgi

def make(kind):
    app = kind()

    @app.get('/')
    async def index(request):
        return 'hello'

    return app

async def main():
    sent = []

    async def send(event):
        sent.append(event)

    await make(Asgi)({'type': 'http', 'path': '/', 'headers': []}, None, send)
    return sent[1]['body']

environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/', 'REMOTE_ADDR': ''}
print(asyncio.run(main()), b''.join(make(Wsgi)(environ, lambda status, headers: print(status))))
"""


def test_extras(environment: Environment, wheels: dict[str, Path]) -> None:
    environment.pip("install", "--no-index", "--find-links", wheels[CORE].parent, f"{wheels[CORE]}[asgi,wsgi]")
    assert "No broken requirements" in environment.pip("check")
    assert environment.run("-W", "error", "-c", PROGRAM).splitlines() == ["200 OK", "b'hello' b'hello'"]
    # The names of WebSockets are there when their package is; the message says which.
    for module in ("asgi", "wsgi"):
        said = environment.run("-c", f"from microdot.{module} import with_websocket", code=1)
        assert "pip install 'microdot-core[websocket]'" in said
    environment.pip("install", "--no-index", "--find-links", wheels[CORE].parent, f"{wheels[CORE]}[websocket]")
    for module in ("asgi", "wsgi"):
        environment.run("-W", "error", "-c", f"from microdot.{module} import WebSocket, websocket_upgrade, with_websocket")
