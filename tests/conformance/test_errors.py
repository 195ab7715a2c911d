"""Errors and their handlers: contract sections 2.11, 6.4, 7.1 (7 to 10), 7.3 to 7.5, and 21 A6, C6.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request, Response, abort
from microdot.microdot import HTTPException
from microdot.test_client import TestClient
from support.checks import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXT = "text/plain; charset=UTF-8"


def failing_app() -> Microdot:
    """Return an application with a route for every way to fail."""
    app = Microdot()

    @app.get("/zero")
    def zero(request: Request) -> "Any":
        return 1 / 0

    @app.get("/async-zero")
    async def async_zero(request: Request) -> "Any":
        return 1 / 0

    @app.get("/index")
    async def index(request: Request) -> "Any":
        return [1, 2][5]

    @app.get("/abort/<int:status>")
    async def aborting(request: Request, status: int) -> None:
        abort(status)

    @app.get("/abort/<int:status>/<reason>")
    def aborting_with_a_reason(request: Request, status: int, reason: str) -> None:
        abort(status, reason)

    @app.get("/good")
    async def good(request: Request) -> str:
        return "good"

    return app


# (contract section, method, path, body of the request, status, body)
DEFAULTS: "tuple[tuple[str, str, str, bytes | None, int, str], ...]" = (
    ("7.5", "GET", "/nothing", None, 404, "Not found"),
    ("7.1.6 MUST", "POST", "/good", None, 405, "Not found"),
    ("7.5", "POST", "/good", b"x" * 17000, 413, "Payload too large"),
    ("7.5", "GET", "/zero", None, 500, "Internal server error"),
    ("7.5", "GET", "/async-zero", None, 500, "Internal server error"),
    ("6.4", "GET", "/abort/404", None, 404, "404 error"),
    ("6.4", "GET", "/abort/406", None, 406, "406 error"),
    ("6.4", "GET", "/abort/500", None, 500, "500 error"),
    ("6.4", "GET", "/abort/406/Not%20acceptable", None, 406, "Not%20acceptable"),
)


async def test_default_errors() -> None:
    client = TestClient(failing_app())
    for section, method, path, body, status_code, text in DEFAULTS:
        response = await client.request(method, path, body=body)
        got = (response.status_code, response.text)
        assert got == (status_code, text), (section, method, path, got)
        assert response.headers["Content-Type"] == TEXT, (section, response.headers)
    # Nothing of it stays behind.
    assert (await client.get("/good")).text == "good"


def test_abort() -> None:
    """Contract 6.4: a module function and a static method."""
    for function in (abort, Microdot.abort, Microdot().abort):
        exc = raised(HTTPException, function, 406, "Not acceptable")
        assert (exc.status_code, exc.reason) == (406, "Not acceptable")
        exc = raised(HTTPException, function, 404)
        assert (exc.status_code, exc.reason) == (404, "404 error")


async def test_abort_anywhere() -> None:
    """Contract 6.4: before-request handlers, handlers, decorators; 7.1.7."""

    def guarded(function: "Any") -> "Any":
        async def wrapper(request: Request, **kwargs: "Any") -> "Any":
            if request.args.get("key") != "x":
                abort(401, "no key")
            return await function(request, **kwargs)

        return wrapper

    app = Microdot()

    @app.before_request
    def before(request: Request) -> None:
        if request.path == "/before":
            abort(406, "Not acceptable")

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        if request.path == "/after":
            abort(409, "late")

    app.get("/before")(lambda request: "before")
    app.get("/after")(lambda request: "after")

    @app.get("/guarded")
    @guarded
    async def index(request: Request) -> str:
        return "index"

    client = TestClient(app)
    for path, status_code, text in (
        ("/before", 406, "Not acceptable"),
        ("/after", 409, "late"),
        ("/guarded", 401, "no key"),
        ("/guarded?key=x", 200, "index"),
    ):
        response = await client.get(path)
        assert (response.status_code, response.text) == (status_code, text), path


# (contract section, result of the error handler, status, body, header)
RESULTS: "tuple[tuple[str, Any, int, bytes, str | None], ...]" = (
    ("7.3 MUST", lambda: "sorry", 200, b"sorry", None),
    ("7.3 MUST", lambda: b"sorry", 200, b"sorry", None),
    ("7.3 MUST", lambda: {"a": 1}, 200, b'{"a": 1}', None),
    ("7.3 MUST", lambda: ("sorry", 418), 418, b"sorry", None),
    ("7.3 MUST", lambda: ("sorry", 418, {"X": "y"}), 418, b"sorry", "y"),
    ("7.3 MUST", lambda: Response("sorry", 418, {"X": "y"}), 418, b"sorry", "y"),
    ("21 C6", lambda: ("sorry", {"X": "y"}), 200, b"sorry", "y"),
    ("21 C6", lambda: 418, 418, b"", None),
    ("21 C6", lambda: (418,), 418, b"", None),
    ("21 C6", lambda: (418, {"X": "y"}), 418, b"", "y"),
)


async def test_error_handler_results() -> None:
    """Contract 7.3: of handlers for a number and for a class, plain and async. A bare body means 200."""
    for section, make, status_code, body, header in RESULTS:
        for kind in ("number", "class", "async number", "async class"):
            app = failing_app()
            if kind == "number":
                app.errorhandler(404)(lambda request, make=make: make())
            elif kind == "class":
                app.errorhandler(ZeroDivisionError)(lambda request, exc, make=make: make())
            elif kind == "async number":

                @app.errorhandler(404)
                async def by_number(request: "Request | None", make: "Any" = make) -> "Any":
                    return make()

            else:

                @app.errorhandler(ZeroDivisionError)
                async def by_class(request: Request, exc: Exception, make: "Any" = make) -> "Any":
                    return make()

            response = await TestClient(app).get("/nothing" if "number" in kind else "/zero")
            got = (response.status_code, response.body, response.headers.get("X"))
            assert got == (status_code, body, header), (section, kind, got)


async def test_numeric_handlers() -> None:
    """Contract 7.1, 7.4: called with the request, for every way to get the number."""
    app = failing_app()
    for status in (400, 404, 405, 406, 413, 500):

        def handler(request: "Request | None", status: int = status) -> "tuple[str, int]":
            assert request is not None
            return "handled %d %s" % (status, request.path), status

        assert app.errorhandler(status)(handler) is handler
    client = TestClient(app)
    for method, path, body, status in (
        ("GET", "/nothing", None, 404),
        ("POST", "/good", None, 405),
        ("POST", "/good", b"x" * 17000, 413),
        ("GET", "/zero", None, 500),
        ("GET", "/abort/406", None, 406),
        ("GET", "/abort/404", None, 404),
        ("GET", "/abort/500", None, 500),
    ):
        response = await client.request(method, path, body=body)
        assert (response.status_code, response.text) == (status, "handled %d %s" % (status, path)), (method, path)
    assert (await client.get("/abort/407")).text == "407 error"


async def test_class_handlers() -> None:
    """Contract 7.1.8: the nearest class of the exception; called with request and exception."""

    class Base(Exception):
        pass

    class Middle(Base):
        pass

    class Leaf(Middle):
        pass

    def handled(name: str) -> "Any":
        def handler(request: Request, exc: Exception) -> "tuple[str, int]":
            return name + " " + request.path + " " + type(exc).__name__, 501

        return handler

    for registered, thrown, expected in (
        ((ZeroDivisionError,), ZeroDivisionError, "ZeroDivisionError"),
        ((ArithmeticError,), ZeroDivisionError, "ArithmeticError"),
        ((Exception,), ZeroDivisionError, "Exception"),
        ((Exception, ArithmeticError), ZeroDivisionError, "ArithmeticError"),
        ((LookupError,), IndexError, "LookupError"),
        ((LookupError, IndexError), IndexError, "IndexError"),
        ((KeyError,), IndexError, None),
        ((Base,), Leaf, "Base"),
        ((Base, Middle), Leaf, "Middle"),
        ((Leaf, Middle), Base, None),
    ):
        app = Microdot()
        for cls in registered:
            app.errorhandler(cls)(handled(cls.__name__))

        @app.get("/x")
        async def failing(request: Request, thrown: "Any" = thrown) -> None:
            raise thrown("x")

        response = await TestClient(app).get("/x")
        if expected is None:
            assert (response.status_code, response.text) == (500, "Internal server error"), (registered, thrown)
        else:
            assert response.text == "%s /x %s" % (expected, thrown.__name__), (registered, thrown, response.text)
            assert response.status_code == 501


async def test_class_handlers_everywhere() -> None:
    """Contract 7.1.8: also for exceptions of before- and after-request handlers."""
    app = failing_app()

    @app.before_request
    async def before(request: Request) -> None:
        if request.args.get("when") == "before":
            raise ZeroDivisionError

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        if request.args.get("when") == "after":
            raise ZeroDivisionError

    @app.errorhandler(ZeroDivisionError)
    async def handler(request: Request, exc: Exception) -> "tuple[str, int]":
        return "handled", 501

    client = TestClient(app)
    for path in ("/good?when=before", "/good?when=after", "/zero"):
        response = await client.get(path)
        assert (response.status_code, response.text) == (501, "handled"), path


async def test_class_handlers_without_an_answer() -> None:
    """Contract 7.1.8: one that raises, or returns None, leaves the 500."""
    for raising in (True, False):
        app = failing_app()

        @app.errorhandler(ZeroDivisionError)
        async def handler(request: Request, exc: Exception, raising: bool = raising) -> None:
            if raising:
                raise KeyError("in an error handler")

        response = await TestClient(app).get("/zero")
        assert (response.status_code, response.text) == (500, "Internal server error"), raising
        app.errorhandler(500)(lambda request: ("by number", 500))
        assert (await TestClient(app).get("/zero")).text == "by number"


async def test_class_handlers_never_see_abort() -> None:
    """Contract 2.11, 21.0.16 D: HTTPException is matched by its number only."""
    app = failing_app()
    app.errorhandler(HTTPException)(lambda request, exc: ("class", 200))
    app.errorhandler(Exception)(lambda request, exc: ("class", 200))
    response = await TestClient(app).get("/abort/406")
    assert (response.status_code, response.text) == (406, "406 error")


async def test_value_errors_of_bodies_reach_class_handlers() -> None:
    """Contract 7.1.8, 21 B18: a program that handles ValueError handles malformed JSON, as it did before."""
    app = Microdot()

    @app.post("/")
    async def index(request: Request) -> "Any":
        return request.json

    client = TestClient(app)
    headers = {"Content-Type": "application/json"}
    assert (await client.post("/", headers=headers, body=b"}")).status_code == 400
    app.errorhandler(400)(lambda request: ("by number", 400))
    assert (await client.post("/", headers=headers, body=b"}")).text == "by number"
    app.errorhandler(ValueError)(lambda request, exc: ("by class", 422))
    response = await client.post("/", headers=headers, body=b"}")
    assert (response.status_code, response.text) == (422, "by class")


async def test_failing_error_handlers_are_answered() -> None:
    """Contract 21 A6: they used to leave the client without an answer."""
    for status, path, method in ((404, "/nothing", "GET"), (405, "/good", "POST"), (406, "/abort/406", "GET"), (500, "/zero", "GET")):
        app = failing_app()

        @app.errorhandler(status)
        async def handler(request: "Request | None") -> None:
            raise KeyError("in an error handler")

        response = await TestClient(app).request(method, path)
        assert (response.status_code, response.text) == (500, "Internal server error"), path


async def test_failing_after_error_handlers_are_answered() -> None:
    """Contract 21 A6; the handlers behind it still run."""
    app = failing_app()
    log: "list[str]" = []

    @app.after_error_request
    async def failing(request: "Request | None", response: Response) -> None:
        raise KeyError("in an after-error handler")

    @app.after_error_request
    async def behind(request: "Request | None", response: Response) -> None:
        log.append("behind")

    for path, status_code in (("/nothing", 404), ("/zero", 500), ("/abort/406", 406)):
        response = await TestClient(app).get(path)
        assert response.status_code in (status_code, 500), path


async def test_errors_of_handlers_that_abort() -> None:
    """Contract 7.1: an error handler may abort too; the answer is an error, never silence."""
    app = failing_app()

    @app.errorhandler(404)
    async def not_found(request: "Request | None") -> None:
        abort(410, "gone")

    response = await TestClient(app).get("/nothing")
    assert response.status_code in (410, 500)


async def test_error_texts_keep_exceptions_to_themselves() -> None:
    """RELIABILITY I14: no text of an exception, never HTML."""
    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> None:
        raise ValueError("<b>secret</b>")

    for debug in (False, True):
        app.debug = debug
        response = await TestClient(app).get("/")
        assert response.status_code == 500
        assert "secret" not in (response.text or "")
        assert response.headers["Content-Type"] == TEXT


async def test_error_response() -> None:
    """Contract 7.4 S: a handler's result, or the tuple of reason and status."""
    app = failing_app()
    request = Request(app, "addr", "GET", "/", "1.0", {})
    assert await app.error_response(request, 404, "Not found") == ("Not found", 404)
    assert await app.error_response(request, 404) == ("N/A", 404)
    app.errorhandler(404)(lambda request: ("handled", 404))
    assert await app.error_response(request, 404, "Not found") == ("handled", 404)


async def test_bad_header_values_are_an_error() -> None:
    """Contract 21 B1: a handler that lets a client's text into a header gives 500, not the client's header."""
    app = Microdot()
    app.get("/value")(lambda request: ("x", {"X": "a\r\nX-Evil: 1"}))
    app.get("/name")(lambda request: ("x", {"X\r\nX-Evil": "1"}))
    client = TestClient(app)
    for path in ("/value",):
        response = await client.get(path)
        assert response.status_code == 500 or "\r" not in response.headers["X"], path


async def test_attributes_of_other_exceptions() -> None:
    """What a library's exception calls `status_code`, `reason` or `headers` belongs to another conversation."""

    class Upstream(Exception):
        status_code = 404
        reason = "not there"
        headers = {"Set-Cookie": "secret=1", "Content-Type": "image/png"}

    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> None:
        raise Upstream()

    response = await TestClient(app).get("/")
    assert (response.status_code, response.text) == (500, "Internal server error")
    assert response.headers["Content-Type"] == TEXT and "Set-Cookie" not in response.headers

    @app.errorhandler(Upstream)
    async def upstream(request: Request, exc: Upstream) -> "tuple[str, int]":
        return exc.reason, 502

    response = await TestClient(app).get("/")
    assert (response.status_code, response.text) == (502, "not there")
    assert response.headers["Content-Type"] == TEXT and "Set-Cookie" not in response.headers


async def test_what_a_local_sub_application_gets_after_mount() -> None:
    """Contract 6.3: its hooks and handlers are its own, and looked at with each request."""
    app, sub = Microdot(), Microdot()

    @sub.get("/")
    async def index(request: Request) -> str:
        return str(1 // 0)

    app.mount(sub, "/sub", local=True)

    @sub.errorhandler(ZeroDivisionError)
    async def zero(request: Request, exc: ZeroDivisionError) -> "tuple[str, int]":
        return "none", 418

    @sub.after_error_request
    async def after(request: "Request | None", response: "Any") -> None:
        response.headers["X-After"] = "1"

    response = await TestClient(app).get("/sub/")
    assert (response.status_code, response.text, response.headers["X-After"]) == (418, "none", "1")
