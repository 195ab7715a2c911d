"""The hook interface: docs/design.md, "Hooks" and "The seam for hosts".

Every hook, its order, its checks; what mounting does to it; and five small extensions, each through the test client and
on the native server.

Portable: CPython and MicroPython.
"""

import asyncio

from microdot import Microdot, Request, Response, abort
from microdot.test_client import TestClient
from support.checks import CPYTHON, raised, raised_async
from support.loopback import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

# hook: the number of arguments that it is called with
HOOKS = (
    ("start", 1),
    ("stop", 1),
    ("route", 1),
    ("admit", 2),
    ("before", 1),
    ("after", 2),
    ("error", 2),
    ("options", 1),
    ("done", 3),
)


def one(a: "Any") -> None:
    """Take one argument."""


def two(a: "Any", b: "Any") -> None:
    """Take two arguments."""


def three(a: "Any", b: "Any", c: "Any") -> None:
    """Take three arguments."""


def any_number(*args: "Any") -> None:
    """Take what comes."""


async def asynchronous(*args: "Any") -> None:
    """Take what comes, and have to be awaited."""


class Methods:
    """Callables that are no functions."""

    def one(self, a: "Any") -> None:
        """Take one argument besides self."""

    def two(self, a: "Any", b: "Any") -> None:
        """Take two arguments besides self."""

    def three(self, a: "Any", b: "Any", c: "Any") -> None:
        """Take three arguments besides self."""


# ---- registration -------------------------------------------------------------------------------------------------


def test_every_name() -> None:
    methods = Methods()
    for hook, count in HOOKS:
        app = Microdot()
        for f in ((one, two, three)[count - 1], any_number, (methods.one, methods.two, methods.three)[count - 1]):
            assert app.on(hook, f) is f, hook
        if hook not in ("route", "options", "done"):
            assert app.on(hook, asynchronous) is asynchronous, hook


def test_wrong_names() -> None:
    app = Microdot()
    for hook in ("", "Start", "before_request", "teardown", "request", "stopp"):
        assert hook in str(raised(ValueError, app.on, hook, any_number))


def test_wrong_shapes() -> None:
    """They fail when they are registered, not at the first request."""
    for hook, count in HOOKS:
        app = Microdot()
        for bad in (None, "name", 5, [any_number]):
            raised(TypeError, app.on, hook, bad)
        if hook in ("route", "options", "done"):
            # Nothing awaits these, so a coroutine would never run.
            raised(TypeError, app.on, hook, asynchronous)
        if CPYTHON:  # a board's functions don't tell how many arguments they take
            for f, takes in ((one, 1), (two, 2), (three, 3)):
                if takes != count:
                    raised(TypeError, app.on, hook, f)


def test_install() -> None:
    """It calls setup(app) and returns the extension; one object may be set up on several applications."""

    class Extension:
        def __init__(self) -> None:
            self.apps: "list[Microdot]" = []

        def setup(self, app: Microdot) -> None:
            self.apps.append(app)

    extension = Extension()
    first, second = Microdot(), Microdot()
    assert first.install(extension) is extension
    assert second.install(extension) is extension
    assert extension.apps == [first, second]
    raised((AttributeError, TypeError), first.install, object())


def test_before_after_and_error_are_the_users_lists() -> None:
    app = Microdot()
    app.before_request(one)
    app.on("before", any_number)
    app.after_request(two)
    app.on("after", any_number)
    app.after_error_request(two)
    app.on("error", any_number)
    assert app.before_request_handlers == [one, any_number]
    assert app.after_request_handlers == [two, any_number]
    assert app.after_error_request_handlers == [two, any_number]


# ---- start and stop -----------------------------------------------------------------------------------------------


class Resource:
    """Opens with the application and closes with it; fails where it is told to."""

    def __init__(self, name: str, log: "list[str]", fail: str = "") -> None:
        self.name = name
        self.log = log
        self.fail = fail

    def setup(self, app: Microdot) -> None:
        app.on("start", self.start)
        app.on("stop", self.stop)

    async def start(self, app: Microdot) -> None:
        assert isinstance(app, Microdot)
        self.log.append("start " + self.name)
        if self.fail == "start":
            raise ZeroDivisionError("start " + self.name)

    def stop(self, app: Microdot) -> None:
        assert isinstance(app, Microdot)
        self.log.append("stop " + self.name)
        if self.fail == "stop":
            raise ZeroDivisionError("stop " + self.name)


async def test_start_and_stop() -> None:
    """In order of registration, and the other way round; with the server, not with the requests."""
    for host in ("client", "native"):
        log: "list[str]" = []
        app = Microdot()
        for name in ("a", "b", "c"):
            app.install(Resource(name, log))
        app.get("/")(lambda request: "index")
        if host == "client":
            async with TestClient(app) as client:
                assert log == ["start a", "start b", "start c"], host
                assert (await client.get("/")).text == "index"
        else:
            async with Running(app) as server:
                assert log == ["start a", "start b", "start c"], host
                assert (await server.get("/"))[2] == b"index"
        assert log == ["start a", "start b", "start c", "stop c", "stop b", "stop a"], (host, log)


async def test_start_and_stop_again() -> None:
    log: "list[str]" = []
    app = Microdot()
    app.install(Resource("a", log))
    for _ in range(2):
        async with TestClient(app):
            pass
    assert log == ["start a", "stop a"] * 2


async def test_a_failing_start() -> None:
    """Those already started are stopped, in reverse; the server does not start."""
    for host in ("client", "native"):
        log: "list[str]" = []
        app = Microdot()
        app.install(Resource("a", log))
        app.install(Resource("b", log))
        app.install(Resource("c", log, "start"))
        app.install(Resource("d", log))
        if host == "client":
            await raised_async(ZeroDivisionError, TestClient(app).__aenter__())
        else:
            await raised_async(ZeroDivisionError, Running(app).__aenter__())
        assert log == ["start a", "start b", "start c", "stop b", "stop a"], (host, log)


async def test_a_failing_start_and_a_failing_stop() -> None:
    """The first error is the one that counts; every stop is tried."""
    log: "list[str]" = []
    app = Microdot()
    app.install(Resource("a", log))
    app.install(Resource("b", log, "stop"))
    app.install(Resource("c", log, "start"))
    error = await raised_async(ZeroDivisionError, TestClient(app).__aenter__())
    assert str(error) == "start c"
    assert log == ["start a", "start b", "start c", "stop b", "stop a"]


async def test_a_failing_stop() -> None:
    """The others run nevertheless."""
    log: "list[str]" = []
    app = Microdot()
    for name, fail in (("a", ""), ("b", "stop"), ("c", "")):
        app.install(Resource(name, log, fail))
    try:
        async with TestClient(app):
            pass
    except ZeroDivisionError:
        pass  # whether it is raised at the end or printed is the host's
    assert log[3:] == ["stop c", "stop b", "stop a"]


async def test_start_and_stop_alone() -> None:
    """An extension may register one without the other."""
    log: "list[str]" = []
    app = Microdot()
    app.on("stop", lambda app: log.append("only stop"))
    app.on("start", lambda app: log.append("only start"))
    async with TestClient(app):
        pass
    assert log == ["only start", "only stop"]


async def test_without_a_host_nothing_starts() -> None:
    log: "list[str]" = []
    app = Microdot()
    app.install(Resource("a", log))
    app.get("/")(lambda request: "index")
    assert (await TestClient(app).get("/")).text == "index"
    assert log == []


# ---- route --------------------------------------------------------------------------------------------------------


def test_route() -> None:
    """Routes that stand already are replayed, in order; later ones come as they are added; mounted ones too."""
    app, sub = Microdot(), Microdot()

    def index(request: Request) -> str:
        return "index"

    app.get("/early")(index)
    app.route("/<int:x>", methods=["POST", "put"])(index)
    sub.get("/sub")(index)
    seen: "list[Any]" = []

    def on_route(route: "Any") -> None:
        seen.append((route.pattern, sorted(route.methods), route.handler is index, route.url_prefix, route.subapp))

    app.on("route", on_route)
    assert seen == [
        ("/early", ["GET"], True, "", None),
        ("/<int:x>", ["POST", "PUT"], True, "", None),
    ]
    app.get("/late")(index)
    assert seen[2:] == [("/late", ["GET"], True, "", None)]
    app.mount(sub, url_prefix="/prefix")
    assert seen[3:] == [("/prefix/sub", ["GET"], True, "/prefix", sub)]


# ---- admit --------------------------------------------------------------------------------------------------------


async def test_admit() -> None:
    """Called with the request and its route, before everything else; a truthy result answers."""
    for kind in ("plain", "async"):
        log: "list[str]" = []
        app = Microdot()

        def admit(request: Request, route: "Any", log: "list[str]" = log) -> "Any":
            log.append("admit " + (route.pattern if route is not None else "none"))
            if request.args.get("deny"):
                return "denied", 403
            return None

        async def admit_async(request: Request, route: "Any", admit: "Any" = admit) -> "Any":
            return admit(request, route)

        app.on("admit", admit if kind == "plain" else admit_async)
        app.on("admit", lambda request, route, log=log: log.append("second"))

        @app.before_request
        async def before(request: Request, log: "list[str]" = log) -> None:
            log.append("before")

        @app.get("/<x>")
        async def handler(request: Request, x: str, log: "list[str]" = log) -> str:
            log.append("handler")
            assert request.route is handler
            return x

        client = TestClient(app)
        assert (await client.get("/a")).text == "a"
        assert log == ["admit /<x>", "second", "before", "handler"], (kind, log)
        del log[:]
        response = await client.get("/a?deny=1")
        assert (response.status_code, response.text) == (403, "denied"), kind
        assert log == ["admit /<x>"], (kind, log)
        del log[:]
        assert (await client.get("/a/b")).status_code == 404
        assert (await client.post("/a")).status_code == 405
        assert log == ["admit none", "second"] * 2, (kind, log)
        response = await client.get("/a/b?deny=1")
        assert (response.status_code, response.text) == (403, "denied"), kind


async def test_admit_may_abort() -> None:
    app = Microdot()
    app.on("admit", lambda request, route: abort(429, "slow down"))
    app.get("/")(lambda request: "index")
    response = await TestClient(app).get("/")
    assert (response.status_code, response.text) == (429, "slow down")


async def test_admit_comes_before_the_body() -> None:
    """So it can set limits for this request."""
    app = Microdot()

    def admit(request: Request, route: "Any") -> None:
        assert request.body == b""
        if "content" in request.args:
            request.max_content_length = request.args.get("content", type=int)
        if "body" in request.args:
            request.max_body_length = request.args.get("body", type=int)

    app.on("admit", admit)

    @app.post("/")
    async def index(request: Request) -> "Any":
        in_memory = len(request.body)
        return [in_memory, len(await request.stream.read())]

    client = TestClient(app)
    async with Running(app) as server:
        for path, length, status_code, expected in (
            ("/", 100, 200, b"[100, 100]"),
            ("/?content=99", 100, 413, b"Payload too large"),
            ("/?content=100", 100, 200, b"[100, 100]"),
            ("/?content=20000", 18000, 200, b"[0, 18000]"),
            ("/?content=20000&body=20000", 18000, 200, b"[18000, 18000]"),
            ("/?body=50", 100, 200, b"[0, 100]"),
            ("/?body=0", 100, 200, b"[0, 100]"),
            ("/", 16384, 200, b"[16384, 16384]"),
            ("/", 16385, 413, b"Payload too large"),
        ):
            response = await client.post(path, body=b"x" * length)
            assert (response.status_code, response.body) == (status_code, expected), (path, length, response.body)
            answer = await server.get(path, method="POST", body=b"x" * length)
            assert (answer[0], answer[2]) == (status_code, expected), ("native", path, length, answer)
    assert (Request.max_content_length, Request.max_body_length) == (16384, 16384)


async def test_admit_comes_before_100_continue() -> None:
    """RFC 9110 section 10.1.1: who is refused need not send the body."""
    app = Microdot()
    app.on("admit", lambda request, route: ("no", 403) if request.args.get("deny") else None)
    app.post("/")(lambda request: str(len(request.body)))
    head = (
        b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(head.replace(b"%s", b""))
        assert await connection.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await connection.send(b"abc")
        answer = await connection.read_all()
        assert answer[:13] == b"HTTP/1.1 200 " and answer[-1:] == b"3", answer
        await connection.close()

        connection = await server.connect()
        await connection.send(head.replace(b"%s", b"?deny=1"))
        answer = await connection.read_all()
        assert answer[:13] == b"HTTP/1.1 403 " and b"100 Continue" not in answer, answer
        await connection.close()


async def test_timeout() -> None:
    """request.timeout, set by admit: seconds for before hooks and handler, else 503."""
    app = Microdot()

    def admit(request: Request, route: "Any") -> None:
        request.timeout = request.args.get("timeout", 0, float)

    app.on("admit", admit)
    ended: "list[str]" = []

    @app.get("/")
    async def index(request: Request) -> str:
        try:
            await asyncio.sleep(0.2)
        finally:
            ended.append("end")
        return "index"

    client = TestClient(app)
    assert (await client.get("/")).text == "index"
    assert (await client.get("/?timeout=5")).text == "index"
    response = await client.get("/?timeout=0.02")
    assert response.status_code == 503
    assert ended == ["end"] * 3


# ---- before, after, error -----------------------------------------------------------------------------------------


async def test_before_after_and_error() -> None:
    """Contract 7.1, 7.2 for hooks: a truthy result answers or replaces, a falsy one passes; plain or async."""
    log: "list[str]" = []
    app = Microdot()

    def before(request: Request) -> "Any":
        log.append("before")
        return ("short", 202) if request.path == "/short" else None

    async def before_async(request: Request) -> str:
        log.append("before async")
        return ""

    def after(request: Request, response: Response) -> None:
        log.append("after")
        response.headers["X-After"] = "1"

    async def after_async(request: Request, response: Response) -> "Any":
        log.append("after async")
        return Response("replaced", 203, response.headers) if request.path == "/replace" else None

    def error(request: "Request | None", response: Response) -> None:
        log.append("error %d" % response.status_code)
        response.headers["X-Error"] = "1"

    async def error_async(request: "Request | None", response: Response) -> "Any":
        log.append("error async")
        return Response("replaced", 410, response.headers) if request and request.path == "/gone" else None

    for hook, f in (
        ("before", before),
        ("before", before_async),
        ("after", after),
        ("after", after_async),
        ("error", error),
        ("error", error_async),
    ):
        app.on(hook, f)
    app.get("/")(lambda request: "index")
    app.get("/short")(lambda request: "never")
    app.get("/replace")(lambda request: "replace")
    app.get("/abort")(lambda request: abort(418))
    client = TestClient(app)
    for path, status_code, text, expected in (
        ("/", 200, "index", ["before", "before async", "after", "after async"]),
        ("/short", 202, "short", ["before", "after", "after async"]),
        ("/replace", 203, "replaced", ["before", "before async", "after", "after async"]),
        ("/abort", 418, "418 error", ["before", "before async", "error 418", "error async"]),
        ("/nothing", 404, "Not found", ["error 404", "error async"]),
        ("/gone", 410, "replaced", ["error 404", "error async"]),
    ):
        del log[:]
        response = await client.get(path)
        assert (response.status_code, response.text) == (status_code, text), path
        assert log == expected, (path, log)
        assert ("X-Error" in response.headers) == ("error async" in expected), path
        assert ("X-After" in response.headers) == ("after" in expected), path
    del log[:]
    await app.dispatch_request(None)
    assert log == ["error 400", "error async"]
    # A response sees one of the two, never both.
    del log[:]
    await client.request("OPTIONS", "/")
    seen = [entry.split(" ")[0] for entry in log if not entry.startswith("before")]
    assert seen in (["after", "after"], ["error", "error"]), log


# ---- options ------------------------------------------------------------------------------------------------------

PREFLIGHT = {"Origin": "http://a.com", "Access-Control-Request-Method": "PUT"}


async def test_options() -> None:
    """Headers for a CORS preflight, ahead of the before hooks; other OPTIONS requests pass these."""
    app = Microdot()
    log: "list[str]" = []

    @app.before_request
    async def deny(request: Request) -> "tuple[str, int]":
        log.append("before")
        return "no", 401

    def options(request: Request) -> "dict[str, str]":
        log.append("options")
        return {"Access-Control-Allow-Origin": request.headers["Origin"]}

    app.on("options", options)
    app.on("options", lambda request: {"Access-Control-Allow-Methods": "PUT"})
    app.on("options", lambda request: None)
    app.put("/")(lambda request: "put")
    client = TestClient(app)
    response = await client.request("OPTIONS", "/", headers=PREFLIGHT)
    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == "http://a.com"
    assert response.headers["Access-Control-Allow-Methods"] == "PUT"
    assert response.body == b""
    assert log == ["options"]
    for headers in (None, {"Origin": "http://a.com"}, {"Access-Control-Request-Method": "PUT"}):
        del log[:]
        response = await client.request("OPTIONS", "/", headers=headers)
        assert response.status_code == 401, headers
        assert "Access-Control-Allow-Origin" not in response.headers, headers
        assert log == ["before"], headers


# ---- done ---------------------------------------------------------------------------------------------------------


async def wait_for(log: "list[Any]", count: int = 1) -> None:
    """Wait until the log has so many entries, and a little for more that should not come."""
    for _ in range(300):
        if len(log) >= count:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.03)


def done_app(log: "list[Any]") -> Microdot:
    """Return an application that writes down how every request ended."""
    app = Microdot()

    def done(request: "Request | None", response: "Response | None", exception: "BaseException | None") -> None:
        log.append(
            (
                request.path if request is not None else None,
                response.status_code if response is not None else None,
                type(exception).__name__ if exception is not None else None,
            )
        )

    app.on("done", done)

    @app.before_request
    async def before(request: Request) -> None:
        if request.path == "/before":
            abort(403)

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        if request.path == "/after":
            raise ZeroDivisionError("after")

    @app.get("/good")
    async def good(request: Request) -> str:
        return "good"

    @app.post("/post")
    async def post(request: Request) -> str:
        return "post"

    @app.get("/handled")
    async def handled(request: Request) -> Response:
        return Response.already_handled

    @app.get("/upgrade")
    async def upgrade(request: Request) -> Response:
        channel = await request.upgrade({"Upgrade": "x", "Connection": "Upgrade"})
        await channel.close()
        return Response.already_handled

    @app.get("/fail")
    async def fail(request: Request) -> None:
        raise ZeroDivisionError("handler")

    @app.get("/abort")
    async def aborting(request: Request) -> None:
        abort(418)

    @app.get("/split")
    async def split(request: Request) -> None:
        abort(401, None, {"WWW-Authenticate": "Basic\r\nX: y"})

    @app.get("/split-upgrade")
    async def split_upgrade(request: Request) -> None:
        await request.upgrade({"Upgrade": "x\r\nX: y"})

    app.get("/before")(lambda request: "never")
    app.get("/after")(lambda request: "after")

    @app.get("/stream")
    async def stream(request: Request) -> "Any":
        def body() -> "Any":
            yield "a"
            yield "b"

        return body()

    @app.get("/broken")
    async def broken(request: Request) -> "Any":
        def body() -> "Any":
            yield "a"
            raise ZeroDivisionError("body")

        return body()

    return app


# (method, path, status, name of the exception)
ENDS: "tuple[tuple[str, str, int | None, str | None], ...]" = (
    ("GET", "/good", 200, None),
    ("HEAD", "/good", 200, None),
    ("POST", "/post", 200, None),
    ("GET", "/stream", 200, None),
    ("GET", "/nothing", 404, None),
    ("DELETE", "/good", 405, None),
    ("OPTIONS", "/good", 200, None),
    ("GET", "/fail", 500, None),
    ("GET", "/abort", 418, None),
    ("GET", "/split", 500, None),
    ("GET", "/split-upgrade", 500, None),
    ("GET", "/before", 403, None),
    ("GET", "/after", 500, None),
    ("GET", "/broken", 200, "ZeroDivisionError"),
)


async def test_done_in_the_test_client() -> None:
    """Exactly once per request, after the last byte, with what ended it."""
    log: "list[Any]" = []
    client = TestClient(done_app(log))
    for method, path, status_code, exception in ENDS:
        del log[:]
        try:
            await client.request(method, path)
        except ZeroDivisionError:
            pass
        assert log == [(path, status_code, exception)], (method, path, log)
    for path in ("/handled", "/upgrade"):
        del log[:]
        await client.get(path)
        assert len(log) == 1 and (log[0][0], log[0][2]) == (path, None), log
    del log[:]
    await client.post("/post", body="x" * 17000)
    assert log == [("/post", 413, None)]


async def test_done_on_the_native_server() -> None:
    log: "list[Any]" = []
    async with Running(done_app(log)) as server:
        for method, path, status_code, exception in ENDS:
            del log[:]
            await server.get(path, method=method)
            await wait_for(log)
            assert log == [(path, status_code, exception)], (method, path, log)
        for path in ("/handled", "/upgrade"):
            del log[:]
            await server.send(
                b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
            )
            await wait_for(log)
            assert len(log) == 1 and (log[0][0], log[0][2]) == (path, None), log
        del log[:]
        await server.send(
            b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 17000\r\nConnection: close\r\n\r\n"
        )
        await wait_for(log)
        assert log == [("/post", 413, None)], log
        # A request that can't be read is none: its answer is all there is.
        del log[:]
        await server.send(b"nonsense\r\n\r\n")
        await wait_for(log)
        assert len(log) == 1 and log[0][:2] == (None, 400), log
        # Several requests on one connection.
        del log[:]
        connection = await server.connect()
        for i in range(3):
            await connection.send(b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await connection.read_until(b"good"))[-4:] == b"good"
        await connection.close()
        await wait_for(log, 3)
        assert log == [("/good", 200, None)] * 3, log


async def test_done_comes_after_the_last_byte() -> None:
    """So it can close what the body was made from."""
    log: "list[str]" = []
    app = Microdot()
    app.on("done", lambda request, response, exception: log.append("done"))

    @app.get("/")
    async def index(request: Request) -> "Any":
        def body() -> "Any":
            for i in range(3):
                log.append("chunk")
                yield "x"

        return body()

    await TestClient(app).get("/")
    assert log == ["chunk", "chunk", "chunk", "done"]
    del log[:]
    async with Running(app) as server:
        await server.get("/")
        await wait_for(log, 4)
    assert log == ["chunk", "chunk", "chunk", "done"]


async def test_done_when_the_client_goes() -> None:
    """While a handler waits, and in the middle of a body."""
    log: "list[Any]" = []
    app = done_app(log)

    class Endless:
        closed = 0

        def __aiter__(self) -> "Endless":
            return self

        async def __anext__(self) -> bytes:
            await asyncio.sleep(0.01)
            return b"x" * 1000

        async def aclose(self) -> None:
            self.closed += 1

    body = Endless()

    @app.get("/endless")
    async def endless(request: Request) -> "Any":
        return body

    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await connection.read(20)
        await connection.close()
        await wait_for(log)
        assert len(log) == 1 and log[0][:2] == ("/endless", 200), log
        assert body.closed == 1
        assert (await server.get("/good"))[2] == b"good"


async def test_done_when_time_is_up() -> None:
    """A body that stalls, a handler over its time, and one that is still running when the server ends."""
    log: "list[Any]" = []
    app = done_app(log)
    app.body_timeout = 0.5
    app.stop_timeout = 0.5

    def admit(request: Request, route: "Any") -> None:
        if request.path == "/slow" and request.query_string == "limited":
            request.timeout = 0.05

    app.on("admit", admit)

    @app.get("/slow")
    async def slow(request: Request) -> str:
        await asyncio.sleep(20)
        return "slow"

    async with Running(app) as server:
        await server.send(b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        await wait_for(log)
        assert len(log) == 1 and log[0][:2] == ("/post", 408), log
        del log[:]
        assert (await server.get("/slow?limited"))[0] == 503
        await wait_for(log)
        assert log == [("/slow", 503, None)], log
        del log[:]
        connection = await server.connect()
        await connection.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.1)
        assert log == []
        app.shutdown()
        await asyncio.wait_for(server.task, 5)
        await connection.close()
    assert len(log) == 1 and log[0][0] == "/slow" and log[0][2] is not None, log


async def test_done_when_the_client_goes_while_a_handler_works() -> None:
    """Once, whether or not the handler came to its end."""
    log: "list[Any]" = []
    app = done_app(log)

    @app.get("/busy")
    async def busy(request: Request) -> str:
        await asyncio.sleep(0.3)
        return "busy"

    @app.get("/upgraded")
    async def upgraded(request: Request) -> Response:
        channel = await request.upgrade({"Upgrade": "x", "Connection": "Upgrade"})
        while await channel.read(10):
            pass
        raise ZeroDivisionError("after the hand-over")

    async with Running(app) as server:
        for path in ("/busy", "/upgraded"):
            del log[:]
            connection = await server.connect()
            await connection.send(
                b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
            )
            await asyncio.sleep(0.1)
            assert log == [], path
            await connection.close()
            await wait_for(log)
            await asyncio.sleep(0.3)
            assert len(log) == 1 and log[0][0] == path, log
        assert (await server.get("/good"))[2] == b"good"


async def test_done_that_fails() -> None:
    """The others run, and the response is out."""
    log: "list[str]" = []
    app = Microdot()

    def failing(request: "Any", response: "Any", exception: "Any") -> None:
        log.append("failing")
        raise ZeroDivisionError("done")

    app.on("done", failing)
    app.on("done", lambda request, response, exception: log.append("second"))
    app.get("/")(lambda request: "index")
    assert (await TestClient(app).get("/")).text == "index"
    assert log == ["failing", "second"]


# ---- mount --------------------------------------------------------------------------------------------------------


def hooked_app(name: str, log: "list[str]") -> Microdot:
    """Return an application with a function in every hook of a request."""
    app = Microdot()
    app.on("admit", lambda request, route: log.append("admit " + name))
    app.on("before", lambda request: log.append("before " + name))
    app.on("after", lambda request, response: log.append("after " + name))
    app.on("error", lambda request, response: log.append("error " + name))
    app.on("options", lambda request: {"X-" + name: "options"})
    app.on("done", lambda request, response, exception: log.append("done " + name))
    app.on("start", lambda app: log.append("start " + name))
    app.on("stop", lambda app: log.append("stop " + name))
    app.get("/")(lambda request: name)
    app.get("/fail")(lambda request: abort(418))
    return app


async def test_mount() -> None:
    """Without `local` every hook of the sub-application is the parent's, behind its own: it sees every request."""
    log: "list[str]" = []
    app, sub = hooked_app("app", log), hooked_app("sub", log)
    app.mount(sub, url_prefix="/sub")
    client = TestClient(app)
    for path, expected in (
        ("/", "admit before after done"),
        ("/sub/", "admit before after done"),
        ("/sub/fail", "admit before error done"),
        ("/nothing", "admit error done"),
    ):
        del log[:]
        await client.get(path)
        wanted = []
        for hook in expected.split(" "):
            wanted += [hook + " app", hook + " sub"]
        assert log == wanted, (path, log)
    response = await client.request("OPTIONS", "/", headers=PREFLIGHT)
    assert (response.headers.get("X-app"), response.headers.get("X-sub")) == ("options", "options")


async def test_mount_local() -> None:
    """With `local` they stay with the sub-application's routes."""
    log: "list[str]" = []
    app, sub = hooked_app("app", log), hooked_app("sub", log)
    app.mount(sub, url_prefix="/sub", local=True)
    client = TestClient(app)
    for path, expected in (
        ("/", ["admit app", "before app", "after app", "done app"]),
        (
            "/sub/",
            ["admit app", "admit sub", "before app", "before sub", "after sub", "after app", "done app", "done sub"],
        ),
        ("/sub/fail", ["admit app", "admit sub", "before app", "before sub", "error sub", "error app", "done app", "done sub"]),
        ("/nothing", ["admit app", "error app", "done app"]),
    ):
        del log[:]
        await client.get(path)
        if path.startswith("/sub"):  # the order of the two is free: they see the end, and can't change it
            log[-2:] = sorted(log[-2:])
        assert log == expected, (path, log)
    response = await client.request("OPTIONS", "/", headers=PREFLIGHT)
    assert (response.headers.get("X-app"), response.headers.get("X-sub")) == ("options", None)
    response = await client.request("OPTIONS", "/sub/", headers=PREFLIGHT)
    assert (response.headers.get("X-app"), response.headers.get("X-sub")) == ("options", "options")


async def test_mount_start_and_stop() -> None:
    """The server begins and ends for the sub-application too, whatever way it is mounted."""
    for local in (False, True):
        log: "list[str]" = []
        app, sub = hooked_app("app", log), hooked_app("sub", log)
        app.mount(sub, url_prefix="/sub", local=local)
        async with TestClient(app):
            pass
        assert log == ["start app", "start sub", "stop sub", "stop app"], (local, log)


def test_mount_route() -> None:
    """A route hook of the sub-application moves without `local`; with it, it sees its own routes only."""
    for local in (False, True):
        app, sub = Microdot(), Microdot()
        seen: "list[str]" = []
        app.get("/app")(lambda request: "app")
        sub.on("route", lambda route, seen=seen: seen.append(route.pattern))
        sub.get("/x")(lambda request: "x")
        assert seen == ["/x"]
        app.mount(sub, url_prefix="/sub", local=local)
        app.get("/late")(lambda request: "late")
        assert ("/late" in seen) == (not local), (local, seen)


# ---- five extensions ----------------------------------------------------------------------------------------------


class Session:
    """A visit counter in a cookie: what microdot-session is made of."""

    def setup(self, app: Microdot) -> None:
        app.on("before", self.load)
        app.on("after", self.save)

    async def load(self, request: Request) -> None:
        value = request.cookies.get("visits", "0")
        request.g.visits = int(value) if value.isdigit() else 0
        request.g._vary = getattr(request.g, "_vary", set()) | {"Cookie"}

    async def save(self, request: Request, response: Response) -> None:
        response.set_cookie("visits", str(request.g.visits + 1), path="/", http_only=True, same_site="Lax")


class Cors:
    """One allowed origin: what microdot-cors is made of."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def setup(self, app: Microdot) -> None:
        app.on("options", self.preflight)
        app.on("after", self.mark)
        app.on("error", self.mark)

    def preflight(self, request: Request) -> "dict[str, str]":
        if request.headers["Origin"] != self.origin:
            return {}
        return {
            "Access-Control-Allow-Origin": self.origin,
            "Access-Control-Allow-Methods": request.headers["Access-Control-Request-Method"],
        }

    async def mark(self, request: "Request | None", response: Response) -> None:
        if request is not None and request.headers.get("Origin") == self.origin:
            response.headers["Access-Control-Allow-Origin"] = self.origin


class AccessLog:
    """A line per request."""

    def __init__(self) -> None:
        self.lines: "list[str]" = []

    def setup(self, app: Microdot) -> None:
        app.on("done", self.write)

    def write(
        self, request: "Request | None", response: "Response | None", exception: "BaseException | None"
    ) -> None:
        self.lines.append(
            "%s %s %s" % (request.method, request.path, response.status_code if response is not None else "-")
            if request is not None
            else "unreadable"
        )


class Limits:
    """Limits for single routes, by a decorator: what microdot-ratelimit and per-route settings are made of."""

    def __init__(self) -> None:
        self.wanted: "list[tuple[Any, int, int]]" = []  # handler, bytes, requests
        self.left: "dict[int, list[int]]" = {}  # id of the route: bytes, requests left

    def setup(self, app: Microdot) -> None:
        app.on("route", self.route)
        app.on("admit", self.admit)

    def limit(self, length: int, requests: int) -> "Callable[[F], F]":
        def decorator(f: "F") -> "F":
            self.wanted.append((f, length, requests))
            return f

        return decorator

    def route(self, route: "Any") -> None:
        for f, length, requests in self.wanted:
            if f is route.handler:
                self.left[id(route)] = [length, requests]

    def admit(self, request: Request, route: "Any") -> "Any":
        own = self.left.get(id(route))
        if own is None:
            return None
        if own[1] == 0:
            return "Too many requests", 429, {"Retry-After": "1"}
        own[1] -= 1
        request.max_content_length = request.max_body_length = own[0]
        return None


class Shout:
    """Takes a connection over and answers in capitals: what microdot-websocket is made of."""

    def __call__(self, f: "Any") -> "Any":
        async def handler(request: Request, **kwargs: "Any") -> Response:
            if request.headers.get("Upgrade", "").lower() not in ("shout", "websocket"):
                abort(426, "Upgrade")
            channel = await request.upgrade({"Upgrade": "shout", "Connection": "Upgrade"})
            try:
                while True:
                    data = await (channel.receive() if channel.messages else channel.read(100))
                    if not data:
                        break
                    await (channel.send if channel.messages else channel.write)(f(data))
            finally:
                await channel.close()
            return Response.already_handled

        return handler


async def both(app: Microdot, conversation: "Any") -> None:
    """Run a conversation through the test client and on the native server.

    It gets `ask(method, path, headers, body)`, which returns status, headers and body.
    """
    client = TestClient(app)

    async def ask(
        method: str, path: str, headers: "dict[str, str] | None" = None, body: bytes = b""
    ) -> "tuple[int, Any, bytes]":
        response = await client.request(method, path, headers=headers, body=body)
        assert response.status_code is not None
        client.cookies.clear()
        return response.status_code, response.headers, response.body or b""

    async with client:
        await conversation(ask)
    async with Running(app) as server:

        async def ask_native(
            method: str, path: str, headers: "dict[str, str] | None" = None, body: bytes = b""
        ) -> "tuple[int, Any, bytes]":
            return await server.get(path, headers, method, body)

        await conversation(ask_native)


def text_of(value: "Any") -> str:
    """Return a header's value as text, from the test client or from the wire."""
    return "|".join(value) if isinstance(value, list) else str(value)


async def test_a_session() -> None:
    app = Microdot()
    app.install(Session())
    app.get("/")(lambda request: str(request.g.visits))

    async def conversation(ask: "Any") -> None:
        status, headers, body = await ask("GET", "/")
        assert (status, body) == (200, b"0")
        cookie = text_of(headers["Set-Cookie"])
        assert "visits=1" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie, cookie
        assert headers["Vary"] == "Cookie"
        status, headers, body = await ask("GET", "/", {"Cookie": "visits=1"})
        assert body == b"1" and "visits=2" in text_of(headers["Set-Cookie"])
        status, headers, body = await ask("GET", "/nothing")
        assert status == 404 and "Set-Cookie" not in headers

    await both(app, conversation)


async def test_cors() -> None:
    app = Microdot()
    app.install(Cors("http://a.com"))
    app.put("/")(lambda request: "put")

    @app.before_request
    async def login(request: Request) -> None:
        if "Authorization" not in request.headers:
            abort(401)

    async def conversation(ask: "Any") -> None:
        name = "Access-Control-Allow-Origin"
        status, headers, body = await ask("OPTIONS", "/", PREFLIGHT)
        assert status in (200, 204) and headers[name] == "http://a.com"
        assert headers["Access-Control-Allow-Methods"] == "PUT"
        foreign = {"Origin": "http://b.com", "Access-Control-Request-Method": "PUT"}
        status, headers, body = await ask("OPTIONS", "/", foreign)
        assert status in (200, 204) and name not in headers
        status, headers, body = await ask("PUT", "/", {"Origin": "http://a.com", "Authorization": "x"})
        assert (status, headers[name], body) == (200, "http://a.com", b"put")
        for path, expected in (("/", 401), ("/nothing", 404)):
            status, headers, body = await ask("PUT", path, {"Origin": "http://a.com"})
            assert (status, headers[name]) == (expected, "http://a.com")
        status, headers, body = await ask("PUT", "/", {"Origin": "http://b.com", "Authorization": "x"})
        assert status == 200 and name not in headers

    await both(app, conversation)


async def test_an_access_log() -> None:
    app = Microdot()
    access_log = app.install(AccessLog())
    app.get("/")(lambda request: "index")
    app.get("/fail")(lambda request: 1 / 0)

    async def conversation(ask: "Any") -> None:
        del access_log.lines[:]
        for method, path in (("GET", "/"), ("HEAD", "/"), ("GET", "/nothing"), ("GET", "/fail")):
            await ask(method, path)
        await wait_for(access_log.lines, 4)
        assert access_log.lines == ["GET / 200", "HEAD / 200", "GET /nothing 404", "GET /fail 500"]

    await both(app, conversation)


async def test_limits_of_single_routes() -> None:
    limits = Limits()
    app = Microdot()

    @app.post("/small")
    @limits.limit(10, 4)
    async def small(request: Request) -> str:
        return str(len(request.body))

    app.install(limits)  # behind the route: it is replayed

    @app.post("/large")
    @limits.limit(20000, 100)
    async def large(request: Request) -> str:
        return str(len(request.body))

    app.post("/usual")(lambda request: str(len(request.body)))

    async def conversation(ask: "Any") -> None:
        for path, length, status, expected in (
            ("/small", 10, 200, b"10"),
            ("/small", 11, 413, b"Payload too large"),
            ("/large", 18000, 200, b"18000"),
            ("/large", 20001, 413, b"Payload too large"),
            ("/usual", 16384, 200, b"16384"),
            ("/usual", 16385, 413, b"Payload too large"),
        ):
            answer = await ask("POST", path, None, b"x" * length)
            assert (answer[0], answer[2]) == (status, expected), (path, length, answer)

    await both(app, conversation)
    status, headers, body = await _native(app, "POST", "/small")
    assert (status, headers["Retry-After"], body) == (429, "1", b"Too many requests")


async def _native(app: Microdot, method: str, path: str) -> "tuple[int, Any, bytes]":
    async with Running(app) as server:
        return await server.get(path, method=method)


async def test_a_connection_that_is_taken_over() -> None:
    """Messages in the test client, bytes on the native server."""
    app = Microdot()
    access_log = app.install(AccessLog())
    app.get("/shout")(Shout()(lambda data: data.upper()))
    replies: "list[Any]" = []

    def client() -> "Any":
        replies.append((yield "hello"))
        replies.append((yield b"bytes"))

    response = await TestClient(app).websocket("/shout", client)
    assert (response.status_code, response.body) == (None, None)
    assert replies == ["HELLO", b"BYTES"]
    response = await TestClient(app).get("/shout")
    assert (response.status_code, response.text) == (426, "Upgrade")
    assert len(access_log.lines) == 2
    async with Running(app) as server:
        connection = await server.connect()
        # The first bytes may come with the request.
        await connection.send(b"GET /shout HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nhel")
        head = await connection.read_until(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 101 Switching Protocols", head
        assert "Upgrade: shout" in lines and "Connection: Upgrade" in lines, head
        assert await connection.read_until(b"HEL") == b"HEL"
        await connection.send(b"lo")
        assert await connection.read_until(b"LO") == b"LO"
        await connection.close()
        await wait_for(access_log.lines, 3)
        assert len(access_log.lines) == 3
        assert (await server.get("/shout"))[0] == 426
