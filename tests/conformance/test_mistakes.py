"""What a programmer is told who made a common mistake: the message names the cause, and what to write; and what is none.

Portable: CPython and MicroPython, which says less of it: its compiled files leave the checks out.
"""

from microdot import Microdot, Request, Response, URLPattern
from microdot.test_client import TestClient
from support.checks import CPYTHON, raised
from support.loopback import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def handler(request: Request) -> str:
    return "answer"


def warned(function: "Callable[..., Any]", *args: "Any") -> str:
    """Call a function and return what it warns of; CPython."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args)
    return "; ".join([str(warning.message) for warning in caught])


def test_a_route_without_a_path() -> None:
    """Microdot 2.7 says nothing, and programs that have such a route in a corner run on."""
    app = Microdot()
    if CPYTHON:
        for decorator in (app.get, app.post, app.route):
            assert "@app.get('/')" in warned(decorator, handler)


async def test_one_method_as_a_string() -> None:
    app = Microdot()
    app.route("/", methods="post")(handler)
    assert (await TestClient(app).post("/")).status_code == 200
    assert (await TestClient(app).get("/")).status_code == 405


def test_a_handler_that_is_none() -> None:
    """With decorators the wrong way round @route gets what the other one returned."""
    for what in (None, "handler", Response("x")):
        assert "is @route outermost?" in str(raised(TypeError, Microdot().get("/x"), what))


def test_an_error_handler_for_neither_status_nor_exception() -> None:
    if CPYTHON:
        assert "never called" in warned(Microdot().errorhandler, "404")


async def test_odd_tuples() -> None:
    odd: "tuple[Any, ...]" = ((), (200, "body"), ("body", "404 Not Found"))
    for value in odd:
        if CPYTHON:
            from microdot.http import make_response

            message = str(raised(TypeError, make_response, value))
            assert repr(value) in message and "body, status, headers" in message, value
        app = Microdot()
        app.get("/")(lambda request, value=value: value)
        assert (await TestClient(app).get("/")).status_code == 500, value


async def test_what_is_behind_the_headers_is_ignored() -> None:
    """Contract 7.2."""
    app = Microdot()
    app.get("/")(lambda request: ("body", 201, {"X-A": "b"}, 4, 5))
    response = await TestClient(app).get("/")
    assert (response.status_code, response.headers["X-A"]) == (201, "b")


async def test_a_response_with_a_status_and_headers() -> None:
    """As Flask takes it: what stands behind a response counts more."""
    app = Microdot()
    app.get("/status")(lambda request: (Response("body", headers={"X-A": "a"}), 202))
    app.get("/headers")(lambda request: (Response("body", 201, {"X-A": "a"}), {"x-a": "b"}))
    app.get("/both")(lambda request: (Response.redirect("/to"), 307, {"X-A": "b"}))
    client = TestClient(app)
    for path, status, header in (("/status", 202, "a"), ("/headers", 201, "b"), ("/both", 307, "b")):
        response = await client.get(path)
        assert (response.status_code, response.headers["X-A"]) == (status, header), path


async def test_a_status_that_is_none() -> None:
    """RFC 9110 15.2: after one below 200 a client waits for the answer, and would take the next one for it."""
    app = Microdot()
    for status in (102, 42, -1, 0):
        app.get("/%d" % status)(lambda request, status=status: ("text", status))
    async with Running(app) as server:
        for status in (102, 42, -1, 0):
            assert (await server.get("/%d" % status))[0] == 500, status


def test_routes_that_are_appended_to_the_table() -> None:
    """Libraries do, with three or five elements (contract 6)."""
    app = Microdot()
    app.get("/a")(handler)
    app.url_map.append((["GET", "POST"], URLPattern("/b/<int:x>"), handler, "", None))
    assert [(entry[0], entry[1].url_pattern) for entry in app.url_map] == [(["GET"], "/a"), (["GET", "POST"], "/b/<int:x>")]


async def test_run_within_a_loop() -> None:
    if CPYTHON:
        assert "await app.start_server()" in str(raised(RuntimeError, Microdot().run))
