"""Sessions, logins, authentication, CORS and CSRF on every host: one program, one walk through it. CPython only.

The native server is reached over a socket; ASGI and WSGI are called as their servers call them.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from support.loopback import Running

import microdot
import microdot.asgi
import microdot.wsgi
from microdot import Request, abort
from microdot.auth import BasicAuth, TokenAuth
from microdot.cors import CORS
from microdot.csrf import CSRF
from microdot.login import Login
from microdot.session import Session, SessionDict, with_session

GOOD = "http://good.example"
Answer = tuple[int, list[tuple[str, str]], bytes]
Call = Callable[[str, str, dict[str, str]], Awaitable[Answer]]


class User:
    """A user."""

    id = "ann"


def register(app: microdot.Microdot) -> microdot.Microdot:
    """Give an application everything that this file is about."""
    Session(app, secret_key="k" * 32)
    cors = CORS(app, allowed_origins=[GOOD], allow_credentials=True)
    CSRF(app, cors)
    login, basic, token = Login(), BasicAuth(realm="here"), TokenAuth()

    @login.user_loader
    async def load(user_id: str) -> User:
        return User()

    @basic.authenticate
    def check(request: Request, username: str, password: str) -> Any:
        return username == password and username

    @token.authenticate
    async def check_token(request: Request, value: str) -> Any:
        return value == "t" and "token"

    @app.post("/login")
    async def log_in(request: Request) -> Any:
        return await login.login_user(request, User(), remember=True)

    @app.get("/me")
    @login
    async def me(request: Request) -> str:
        return str(request.g.current_user.id)

    @app.post("/fail")
    @with_session
    def fail(request: Request, session: SessionDict) -> None:
        session["failed"] = True
        session.save()
        abort(418)

    @app.get("/basic")
    @basic
    async def by_name(request: Request) -> str:
        return str(request.g.current_user)

    @app.get("/token")
    @token
    def by_token(request: Request) -> str:
        return str(request.g.current_user)

    return app


def call_asgi(app: Any) -> Call:
    async def call(method: str, path: str, headers: dict[str, str]) -> Answer:
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return (
            sent[0]["status"],
            [(name.decode(), value.decode()) for name, value in sent[0]["headers"]],
            b"".join(message.get("body", b"") for message in sent[1:]),
        )

    return call


def call_wsgi(app: Any) -> Call:
    async def call(method: str, path: str, headers: dict[str, str]) -> Answer:
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "x",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        head: list[Any] = []

        def serve() -> bytes:
            def start(status: str, headers: Any, exc_info: Any = None) -> Any:
                head[:] = [int(status.split(" ")[0]), headers]

            body = app(environ, start)
            try:
                return b"".join(body)
            finally:
                getattr(body, "close", lambda: None)()

        content = await asyncio.get_running_loop().run_in_executor(None, serve)
        return head[0], head[1], content

    return call


@asynccontextmanager
async def native() -> AsyncIterator[Call]:
    async with Running(register(microdot.Microdot())) as server:

        async def call(method: str, path: str, headers: dict[str, str]) -> Answer:
            lines = [f"{method} {path} HTTP/1.1", "Connection: close", "Content-Length: 0"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            head, _, body = (await server.send(("\r\n".join(lines) + "\r\n\r\n").encode())).partition(b"\r\n\r\n")
            first, *rest = head.decode().split("\r\n")
            return int(first.split(" ")[1]), [tuple(line.split(": ", 1)) for line in rest], body  # type: ignore[misc]

        yield call


@asynccontextmanager
async def adapter(make: Any, wrap: Callable[[Any], Call]) -> AsyncIterator[Call]:
    yield wrap(register(make()))


HOSTS: dict[str, Any] = {
    "native": native,
    "asgi": partial(adapter, microdot.asgi.Microdot, call_asgi),
    "wsgi": partial(adapter, microdot.wsgi.Microdot, call_wsgi),
}


def values(headers: list[tuple[str, str]], name: str) -> list[str]:
    return [value for other, value in headers if other.lower() == name.lower()]


@pytest.mark.parametrize("host", HOSTS)
async def test_the_same_everywhere(host: str) -> None:
    async with HOSTS[host]() as call:

        async def ask(method: str, path: str, **headers: str) -> Answer:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            answer: Answer = await call(method, path, {"Host": "x", **named})
            return answer

        status, headers, _ = await ask("GET", "/me")
        assert (status, values(headers, "Location")) == (302, ["/login?next=/me"])

        # Two cookies in two lines, and both take the user back in.
        status, headers, _ = await ask("POST", "/login?next=//evil.example", Origin="http://x")
        assert (status, values(headers, "Location")) == (302, ["/"])
        cookies = dict(value.split(";")[0].split("=", 1) for value in values(headers, "Set-Cookie"))
        assert sorted(cookies) == ["_remember", "session"]
        for name, value in cookies.items():
            status, headers, body = await ask("GET", "/me", Cookie=f"{name}={value}")
            assert (status, body) == (200, b"ann"), name
            assert "Cookie" in values(headers, "Vary")[0]
            assert len(values(headers, "Set-Cookie")) == (2 if name == "_remember" else 0)

        # A session is saved also when the request ends in an error.
        status, headers, _ = await ask("POST", "/fail")
        assert status == 418 and values(headers, "Set-Cookie")[0].startswith("session=ey")

        # Authentication asks.
        for path, scheme in (("/basic", "Basic"), ("/token", "bearer")):
            status, headers, _ = await ask("GET", path)
            assert status == 401 and values(headers, "WWW-Authenticate")[0].startswith(scheme), path
        assert (await ask("GET", "/basic", Authorization="basic YTph"))[::2] == (200, b"a")
        assert (await ask("GET", "/token", Authorization="Bearer t"))[::2] == (200, b"token")

        # Other sites: refused by CSRF, let in by CORS where they are listed.
        assert (await ask("POST", "/login", Origin="http://evil.example"))[0] == 403
        assert (await ask("POST", "/login", Sec_Fetch_Site="cross-site"))[0] == 403
        status, headers, _ = await ask("POST", "/login", Origin=GOOD, Sec_Fetch_Site="cross-site")
        assert (status, values(headers, "Access-Control-Allow-Origin")) == (302, [GOOD])
        assert values(headers, "Access-Control-Allow-Credentials") == ["true"]
        for origin, allowed in ((GOOD, ["POST"]), ("http://evil.example", [])):
            status, headers, _ = await ask("OPTIONS", "/login", Origin=origin, Access_Control_Request_Method="POST")
            assert (status, values(headers, "Access-Control-Allow-Methods")) == (200, allowed), origin
