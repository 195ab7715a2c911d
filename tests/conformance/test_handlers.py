"""What may stand behind a route: functions, closures of decorators, methods and objects, async or not, and what they raise.

Portable: CPython and MicroPython.
"""

import asyncio

from microdot import Microdot, Request, abort
from microdot.test_client import TestClient
from support.checks import CPYTHON
from support.loopback import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def decorated(f: "Callable[..., Any]") -> "Callable[..., Any]":
    """Wrap a handler in a plain function, as decorators do that know nothing of async: what it returns is passed on."""

    def wrapper(request: Request, *args: "Any", **kwargs: "Any") -> "Any":
        return f(request, *args, **kwargs)

    return wrapper


def decorated_async(f: "Callable[..., Any]") -> "Callable[..., Any]":
    """Wrap an async handler in an async function."""

    async def wrapper(request: Request, *args: "Any", **kwargs: "Any") -> "Any":
        return await f(request, *args, **kwargs)

    return wrapper


class Page:
    """Handlers that are methods; and an object that is one."""

    def __init__(self, text: str) -> None:
        self.text = text

    def plain(self, request: Request, name: str = "nobody") -> str:
        return "%s %s" % (self.text, name)

    async def waiting(self, request: Request, name: str = "nobody") -> str:
        return "%s %s" % (self.text, name)

    def __call__(self, request: Request, name: str = "nobody") -> str:
        return "%s %s" % (self.text, name)


class AsyncPage(Page):
    """An object whose call is async."""

    async def __call__(self, request: Request, name: str = "nobody") -> str:  # type: ignore[override]
        return "%s %s" % (self.text, name)


def plain(request: Request, name: str = "nobody") -> str:
    return "text " + name


async def waiting(request: Request, name: str = "nobody") -> str:
    return "text " + name


async def _slowly(request: Request, name: str) -> str:
    await asyncio.sleep(0.01)
    return await waiting(request, name)


def passes_on(request: Request, name: str = "nobody") -> "Any":
    """Return what an async function gives, as plain functions of working programs do that never heard of `await`."""
    return waiting(request, name)


def passes_on_slowly(request: Request, name: str = "nobody") -> "Any":
    """As before, of one that has to wait: a board cannot tell its coroutine from a body that comes in pieces."""
    return _slowly(request, name)


def passes_on_a_failure(request: Request, name: str = "") -> "Any":
    return fails_later(request, name)


def fails(request: Request, name: str = "") -> str:
    raise ValueError(name)


async def fails_later(request: Request, name: str = "") -> str:
    raise ValueError(name)


def refuses(request: Request, name: str = "") -> str:
    abort(418, "no " + name)


async def refuses_later(request: Request, name: str = "") -> str:
    abort(418, "no " + name)


HANDLERS: "tuple[tuple[str, Callable[..., Any]], ...]" = (
    ("plain", plain),
    ("async", waiting),
    ("passes-on", passes_on),
    ("passes-on-slowly", passes_on_slowly),
    ("decorated-plain", decorated(plain)),
    ("decorated-async", decorated(waiting)),
    ("async-around-async", decorated_async(waiting)),
    ("twice", decorated(decorated_async(decorated(waiting)))),
    ("method", Page("text").plain),
    ("async-method", Page("text").waiting),
    ("decorated-method", decorated(Page("text").plain)),
    ("decorated-async-method", decorated(Page("text").waiting)),
    ("object", Page("text")),
    ("async-object", AsyncPage("text")),
    ("decorated-object", decorated(Page("text"))),
)

FAILURES: "tuple[tuple[str, Callable[..., Any], int], ...]" = (
    ("fails", fails, 500),
    ("fails-later", fails_later, 500),
    ("passes-on-a-failure", passes_on_a_failure, 500),
    ("decorated-fails", decorated(fails), 500),
    ("decorated-fails-later", decorated(fails_later), 500),
    ("refuses", refuses, 418),
    ("refuses-later", refuses_later, 418),
    ("decorated-refuses", decorated(refuses), 418),
    ("decorated-refuses-later", decorated(refuses_later), 418),
)


def make() -> Microdot:
    app = Microdot()
    for path, handler in HANDLERS:
        app.get("/" + path)(handler)
        app.get("/" + path + "/<name>")(handler)

    for path, handler, _ in FAILURES:
        app.get("/" + path + "/<name>")(handler)

    @app.errorhandler(ValueError)
    async def failed(request: Request, exc: ValueError) -> "tuple[str, int]":
        return "failed " + str(exc), 500

    return app


async def test_every_kind_of_handler_in_the_test_client() -> None:
    client = TestClient(make())
    for path, _ in HANDLERS:
        for url, text in (("/" + path, "text nobody"), ("/" + path + "/ann", "text ann")):
            response = await client.get(url)
            assert (response.status_code, response.text) == (200, text), (url, response.status_code, response.text)
    for path, _, status in FAILURES:
        response = await client.get("/" + path + "/ann")
        expected = "failed ann" if status == 500 else "no ann"
        assert (response.status_code, response.text) == (status, expected), (path, response.status_code, response.text)


async def test_every_kind_of_handler_on_the_server() -> None:
    async with Running(make()) as server:
        for path, _ in HANDLERS:
            for url, text in (("/" + path, b"text nobody"), ("/" + path + "/ann", b"text ann")):
                status, _headers, body = await server.get(url)
                assert (status, body) == (200, text), (url, status, body)
        for path, _, expected in FAILURES:
            status, _headers, body = await server.get("/" + path + "/ann")
            assert (status, body) == (expected, b"failed ann" if expected == 500 else b"no ann"), (path, status, body)


async def test_plain_functions_around_the_handler() -> None:
    """What stands before and after a handler may be a plain function that returns a coroutine, too."""
    app = Microdot()

    async def check(request: Request) -> "tuple[str, int] | None":
        await asyncio.sleep(0.01)
        return ("denied", 403) if request.args.get("deny") else None

    async def tell(exc: Exception) -> "tuple[str, int]":
        await asyncio.sleep(0.01)
        return "told " + str(exc), 409

    _others["check"] = check
    _others["tell"] = tell
    app.before_request(_before)
    app.errorhandler(ValueError)(_on_error)
    app.get("/fails/<name>")(passes_on_a_failure)
    app.get("/")(passes_on_slowly)
    async with Running(app) as server:
        for path, status, body in (("/", 200, b"text nobody"), ("/?deny=1", 403, b"denied"), ("/fails/ann", 409, b"told ann")) * 2:
            answer = await server.get(path)
            assert (answer[0], answer[2]) == (status, body), (path, answer)


_others: "dict[str, Callable[..., Any]]" = {}


def _before(request: Request) -> "Any":
    return _others["check"](request)


def _on_error(request: Request, exc: Exception) -> "Any":
    return _others["tell"](exc)


async def test_a_forgotten_await() -> None:
    """On boards a coroutine that is returned looks like a body: no good answer comes of it, but everybody else's do, as before.

    CPython knows one from the other, answers 500 and warns.
    """
    if CPYTHON:
        return
    app = Microdot()

    @app.get("/forgotten")
    async def forgotten(request: Request) -> "Any":
        return _slowly(request, "x")

    @app.get("/forgotten-event")
    async def forgotten_event(request: Request) -> "Any":
        return asyncio.Event().wait()

    @app.get("/")
    async def index(request: Request) -> str:
        return "fine"

    async with Running(app) as server:
        for path in ("/forgotten", "/forgotten-event") * 2:
            status, _headers, _body = await server.get(path)
            assert status == 200
            assert (await server.get("/"))[2] == b"fine"


def _with_none() -> "Any":
    yield "a"
    yield None
    yield "b"


def gives_none(request: Request) -> "Any":
    return _with_none()


async def test_a_body_that_gives_none_ends_there() -> None:
    """Also on boards, where a coroutine that waits gives None, too: nobody would resume the task that waited for that."""
    app = Microdot()
    app.get("/body")(gives_none)
    async with Running(app) as server:
        for _ in range(2):
            connection = await server.connect()
            await connection.send(b"GET /body HTTP/1.0\r\n\r\n")
            assert (await connection.read_all()).endswith(b"\r\n\r\na")
            await connection.close()
