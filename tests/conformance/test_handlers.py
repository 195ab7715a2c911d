"""What may stand behind a route: functions, closures of decorators, methods and objects, async or not, and what they raise.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request, abort
from microdot.test_client import TestClient
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
