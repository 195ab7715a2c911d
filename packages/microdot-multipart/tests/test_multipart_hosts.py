"""Uploads that break off under ASGI and WSGI: the handler does not run, and nothing stays behind. CPython only.

Both are called as their servers call them when the client goes. tests/hosts has whole uploads through real servers.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest

import microdot.asgi
import microdot.wsgi
from microdot import Microdot, Request
from microdot.multipart import FileUpload, FormDataIter, with_form_data

BODY = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + b"x" * 300_000
LENGTH = 1_000_000
KIND = "multipart/form-data; boundary=b"


def register(app: Microdot, folder: Path, ran: list[str]) -> Any:
    """Give an application three ways to take an upload; those that run to the end say so."""

    @app.post("/async")
    @with_form_data
    async def by_coroutine(request: Request) -> str:
        ran.append("async")
        return "ok"

    @app.post("/plain")
    @with_form_data
    def by_function(request: Request) -> str:
        ran.append("plain")
        return "ok"

    @app.post("/iterate")
    async def iterate(request: Request) -> str:
        async for _, value in FormDataIter(request):
            await value.save(str(folder / value.filename))
        ran.append("iterate")
        return "ok"

    def admit(request: Request, route: Any) -> None:
        request.max_content_length = LENGTH
        request.max_body_length = 0

    app.on("admit", admit)
    return app


async def call_asgi(app: Any, path: str, watch: Any) -> None:
    messages = [{"type": "http.request", "body": BODY, "more_body": True}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await asyncio.sleep(0.02)
        watch()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", KIND.encode()), (b"content-length", b"%d" % LENGTH)],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await asyncio.wait_for(app(scope, receive, send), 10)


class Input(io.BytesIO):
    """What gunicorn gives: it raises when the client has reset the connection. Others end."""

    def __init__(self, watch: Any, error: OSError | None) -> None:
        super().__init__(BODY)
        self.watch = watch
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            self.watch()
            if self.error:
                raise self.error
        return data


async def call_wsgi(app: Any, path: str, watch: Any, error: OSError | None) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": KIND,
        "CONTENT_LENGTH": str(LENGTH),
        "wsgi.url_scheme": "http",
        "wsgi.input": Input(watch, error),
        "wsgi.errors": io.StringIO(),
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }

    def serve() -> None:
        body = app(environ, lambda *args: None)
        try:
            list(body)
        finally:
            getattr(body, "close", lambda: None)()

    await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, serve), 10)


@pytest.mark.parametrize("path", ["/async", "/plain", "/iterate"])
@pytest.mark.parametrize("host", ["asgi", "wsgi", "wsgi-reset"])
async def test_nothing_stays_behind(host: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileUpload, "folder", str(tmp_path) + "/")
    ran: list[str] = []
    during: list[int] = []

    def watch() -> None:
        during.append(len(list(tmp_path.iterdir())))

    if host == "asgi":
        await call_asgi(register(microdot.asgi.Microdot(), tmp_path, ran), path, watch)
    else:
        app = register(microdot.wsgi.Microdot(), tmp_path, ran)
        await call_wsgi(app, path, watch, ConnectionResetError(104, "reset") if host == "wsgi-reset" else None)
    assert during[:1] == [1], during  # there was something to be removed
    assert (ran, list(tmp_path.iterdir())) == ([], [])
