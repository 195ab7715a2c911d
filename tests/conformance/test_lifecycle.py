"""From a request to its response: contract sections 7.1, 7.2, 7.6 to 7.8, and 21 A6, A9, A10, B17, B18, C7, C8, C30.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request, Response
from microdot.test_client import TestClient
from support.checks import BAD_JSON, CPYTHON, LAX_JSON, split_message
from support.fake_stream import FakeStream, request_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXT = "text/plain; charset=UTF-8"
JSON = "application/json; charset=UTF-8"


def generator(*chunks: "Any") -> "Any":
    for chunk in chunks:
        yield chunk


# (contract section, what a handler returns, status, body, Content-Type, other header)
RESULTS: "tuple[tuple[str, Any, int, bytes, str | None, str | None], ...]" = (
    ("7.2 MUST", lambda: Response("foo", 202, {"X": "y"}), 202, b"foo", TEXT, "y"),
    ("7.2 MUST", lambda: "foo", 200, b"foo", TEXT, None),
    ("7.2 MUST", lambda: b"foo", 200, b"foo", TEXT, None),
    ("7.2 MUST", lambda: "", 200, b"", TEXT, None),
    ("7.2 MUST", lambda: {"foo": "bar"}, 200, b'{"foo": "bar"}', JSON, None),
    ("7.2 MUST", lambda: [1, "2"], 200, b'[1, "2"]', JSON, None),
    ("7.2 MUST", lambda: {}, 200, b"{}", JSON, None),
    ("7.2 MUST", lambda: [], 200, b"[]", JSON, None),
    ("7.2 MUST", lambda: generator("a", b"b"), 200, b"ab", TEXT, None),
    ("7.2 MUST", lambda: None, 204, b"", None, None),
    ("7.2 MUST", lambda: 202, 202, b"", None, None),
    ("7.2 MUST", lambda: 404, 404, b"", None, None),
    ("7.2 MUST", lambda: ("foo", 202), 202, b"foo", TEXT, None),
    ("7.2 MUST", lambda: ({"foo": "bar"}, 202), 202, b'{"foo": "bar"}', JSON, None),
    ("7.2 MUST", lambda: ("foo", {"X": "y"}), 200, b"foo", TEXT, "y"),
    ("7.2 MUST", lambda: ("foo", 202, {"X": "y"}), 202, b"foo", TEXT, "y"),
    ("7.2 MUST", lambda: ("foo", 202, None), 202, b"foo", TEXT, None),
    ("7.2 MUST", lambda: ("<p>", 202, {"Content-Type": "text/html"}), 202, b"<p>", "text/html", None),
    ("7.2 MUST", lambda: ("<p>", {"content-type": "text/html"}), 200, b"<p>", "text/html", None),
    ("7.2 MUST", lambda: (202,), 202, b"", None, None),
    ("7.2 MUST", lambda: (202, {"X": "y"}), 202, b"", None, "y"),
    ("7.2", lambda: (None, 404), 404, b"", None, None),
    ("7.2", lambda: (None, 200), 204, b"", None, None),
    ("7.2", lambda: (generator("a"), 202, {"X": "y"}), 202, b"a", TEXT, "y"),
    ("21 C7", lambda: ("foo",), 200, b"foo", TEXT, None),
)


async def test_return_values() -> None:
    """Of a handler, plain or async, and of a before-request handler alike."""
    for section, make, status_code, body, content_type, header in RESULTS:
        for kind in ("plain", "async", "before"):
            app = Microdot()

            if kind == "plain":

                @app.get("/")
                def plain(request: Request, make: "Any" = make) -> "Any":
                    return make()

            elif kind == "async":

                @app.get("/")
                async def asynchronous(request: Request, make: "Any" = make) -> "Any":
                    return make()

            else:
                if not make():
                    continue  # a falsy result of a before-request handler is no answer

                @app.before_request
                async def before(request: Request, make: "Any" = make) -> "Any":
                    return make()

                @app.get("/")
                async def never(request: Request) -> str:
                    raise AssertionError("not reached")

            response = await TestClient(app).get("/")
            got = (response.status_code, response.body, response.headers.get("X"))
            assert got == (status_code, body, header), (section, kind, got)
            if content_type is not None:
                assert response.headers["Content-Type"] == content_type, (section, kind, response.headers)


async def test_results_that_are_none() -> None:
    """Contract 7.2 Q: an empty tuple says nothing; it is the program's mistake."""
    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> "Any":
        return ()

    assert (await TestClient(app).get("/")).status_code == 500


async def test_dispatch_request_none() -> None:
    """Contract 7.1 MUST: what a host does with a request that it can't parse."""
    app = Microdot()
    response = await app.dispatch_request(None)
    assert (response.status_code, response.body) == (400, b"Bad request")

    seen: "list[Any]" = []

    @app.after_error_request
    async def after_error(request: "Request | None", response: Response) -> None:
        seen.append(request)

    @app.errorhandler(400)
    async def bad_request(request: "Request | None") -> "tuple[str, int]":
        seen.append(request)
        return "400!", 400

    response = await app.dispatch_request(None)
    assert (response.status_code, response.body) == (400, b"400!")
    assert seen == [None, None]


async def test_dispatch_request() -> None:
    """Contract 7.1 S: a request in, a response out."""
    app = Microdot()

    @app.get("/foo/<x>")
    async def foo(request: Request, x: str) -> str:
        return x

    for dispatch in (app.dispatch, app.dispatch_request):
        response = await dispatch(Request(app, ("127.0.0.1", 1), "GET", "/foo/bar", "1.0", {}))
        assert isinstance(response, Response)
        assert (response.status_code, response.body, response.is_head) == (200, b"bar", False)
        response = await dispatch(Request(app, ("127.0.0.1", 1), "HEAD", "/foo/bar", "1.0", {}))
        assert (response.status_code, response.is_head) == (200, True)


async def test_payload_too_large() -> None:
    """Contract 7.1.2 MUST: 413 before the route is looked up; 3.1: the limit is the class's at that moment."""
    app = Microdot()

    @app.post("/")
    async def index(request: Request) -> str:
        return str(len(request.body))

    client = TestClient(app)
    response = await client.post("/nothing", body="x" * 17000)
    assert (response.status_code, response.text) == (413, "Payload too large")
    assert (await client.post("/", body="x" * 16384)).text == "16384"
    assert (await client.post("/", body="x" * 16385)).status_code == 413
    saved = Request.max_content_length
    Request.max_content_length = 5
    try:
        assert (await client.post("/", body="12345")).text == "5"
        assert (await client.post("/", body="123456")).status_code == 413
    finally:
        Request.max_content_length = saved


async def test_bodies() -> None:
    """Contract 3.1: in memory up to max_body_length, in the stream above it."""
    app = Microdot()

    @app.post("/")
    async def index(request: Request) -> "Any":
        streamed = b""
        while True:
            data = await request.stream.read(7)
            if not data:
                break
            streamed += data
        return {"body": len(request.body), "streamed": len(streamed), "length": request.content_length}

    client = TestClient(app)
    saved = Request.max_body_length
    Request.max_body_length = 20
    try:
        for length, body in ((0, 0), (1, 1), (20, 20), (21, 0), (500, 0)):
            response = await client.post("/", body=b"x" * length)
            assert response.json == {"body": body, "streamed": length, "length": length}, (length, response.text)
    finally:
        Request.max_body_length = saved


async def test_before_request() -> None:
    """Contract 7.1.4 MUST: in order; the first truthy result answers."""
    app = Microdot()
    log: "list[str]" = []

    @app.before_request
    def first(request: Request) -> None:
        log.append("first")
        request.g.message = "fail"

    @app.before_request
    async def second(request: Request) -> "Any":
        log.append("second")
        request.g.message = "ok"
        if request.path == "/bar":
            return "bar", 202
        return None

    @app.before_request
    async def third(request: Request) -> None:
        log.append("third")

    @app.get("/foo")
    def foo(request: Request) -> "Any":
        return request.g.message

    @app.get("/bar")
    def bar(request: Request) -> str:
        raise AssertionError("not reached")

    client = TestClient(app)
    response = await client.get("/foo")
    assert (response.status_code, response.text) == (200, "ok")
    assert log == ["first", "second", "third"]
    response = await client.get("/bar")
    assert (response.status_code, response.text) == (202, "bar")
    assert log == ["first", "second", "third", "first", "second"]


async def test_falsy_results_of_before_request_pass() -> None:
    """Contract 21 C8: the last handler's falsy result used to suppress the route."""
    falsy: "tuple[Any, ...]" = (None, "", 0, [], {}, False, b"", ())
    for result in falsy:
        app = Microdot()
        app.before_request(lambda request, result=result: result)
        app.get("/")(lambda request: "index")
        response = await TestClient(app).get("/")
        assert (response.status_code, response.text) == (200, "index"), result


async def test_request_in_before_request() -> None:
    """Contract 7.1.3, 7.1.4a: the route is known."""
    app = Microdot()
    seen: "list[Any]" = []

    @app.before_request
    async def before(request: Request) -> None:
        seen.append((request.route, request.url_prefix, request.subapp, request.app, request.url_args))

    def decorated(function: "Any") -> "Any":
        async def wrapper(request: Request, **kwargs: "Any") -> "Any":
            return await function(request, **kwargs)

        return wrapper

    @app.get("/<x>")
    @decorated
    async def handler(request: Request, x: str) -> str:
        return x

    assert (await TestClient(app).get("/foo")).text == "foo"
    # The object that was registered: the outermost decorator's result below @route.
    assert seen == [(handler, "", None, app, {"x": "foo"})]


async def test_before_request_does_not_run_without_a_route() -> None:
    app = Microdot()
    log: "list[str]" = []

    @app.before_request
    async def before(request: Request) -> None:
        log.append(request.path)

    app.get("/foo")(lambda request: "foo")
    client = TestClient(app)
    await client.get("/nothing")
    await client.post("/foo")
    assert log == []


async def test_after_request() -> None:
    """Contract 7.1.4e MUST D: in order; a truthy result replaces the response, nothing keeps it."""
    app = Microdot()

    @app.after_request
    def first(request: Request, response: Response) -> None:
        response.headers["X-One"] = "1"

    @app.after_request
    async def second(request: Request, response: Response) -> Response:
        response.set_cookie("foo", "bar")
        return response

    @app.after_request
    async def third(request: Request, response: Response) -> "Response | None":
        if request.path == "/bar":
            return Response("new", 202, response.headers)
        return None

    @app.after_request
    async def fourth(request: Request, response: Response) -> "Any":
        response.headers["X-Four"] = "%d" % response.status_code
        return ""  # falsy: kept

    app.get("/foo")(lambda request: "foo")
    app.get("/bar")(lambda request: "bar")
    client = TestClient(app)
    response = await client.get("/foo")
    assert (response.status_code, response.text) == (200, "foo")
    assert response.headers["X-One"] == "1"
    assert response.headers["X-Four"] == "200"
    assert response.headers["Set-Cookie"] == ["foo=bar"]
    assert client.cookies == {"foo": "bar"}
    response = await client.get("/bar")
    assert (response.status_code, response.text) == (202, "new")
    assert (response.headers["X-One"], response.headers["X-Four"]) == ("1", "202")


async def test_request_specific_after_request() -> None:
    """Contract 3.5 MUST D: after the application's own, in order of registration, for this request only."""
    app = Microdot()
    log: "list[str]" = []

    @app.after_request
    async def general(request: Request, response: Response) -> None:
        log.append("app")

    @app.get("/foo")
    async def foo(request: Request) -> str:
        @request.after_request
        def one(request: Request, response: Response) -> None:
            log.append("one")
            response.headers["X-One"] = "1"

        @request.after_request
        async def two(request: Request, response: Response) -> Response:
            log.append("two")
            return Response("replaced", 202, response.headers)

        return "foo"

    app.get("/bar")(lambda request: "bar")
    client = TestClient(app)
    response = await client.get("/foo")
    assert (response.status_code, response.text, response.headers["X-One"]) == (202, "replaced", "1")
    assert log == ["app", "one", "two"]
    response = await client.get("/bar")
    assert response.text == "bar" and "X-One" not in response.headers
    assert log == ["app", "one", "two", "app"]


async def test_after_handlers_run_when_before_answers() -> None:
    """Contract 7.1.4f MUST: also those that it registered."""
    app = Microdot()

    @app.before_request
    async def before(request: Request) -> "Any":
        @request.after_request
        async def own(request: Request, response: Response) -> None:
            response.body += b":own"

        return "before", 202

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        response.body += b":after"

    app.get("/")(lambda request: "index")
    response = await TestClient(app).get("/")
    assert (response.status_code, response.text) == (202, "before:after:own")


async def test_after_handlers_do_not_run_for_errors() -> None:
    """Contract 3.5, 7.1.10, 21.0.17 D: an error response sees the after-error handlers instead."""
    app = Microdot()
    log: "list[str]" = []

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        log.append("after")

    @app.after_error_request
    async def after_error(request: "Request | None", response: Response) -> None:
        log.append("error %d" % response.status_code)

    @app.get("/fail")
    async def fail(request: Request) -> None:
        request.after_request(lambda request, response: log.append("own"))
        raise ZeroDivisionError

    # A handler that returns an error status has run to its end: no error for the framework.
    app.get("/returned")(lambda request: ("gone", 410))
    client = TestClient(app)
    for path, expected in (
        ("/fail", ["error 500"]),
        ("/nothing", ["error 404"]),
        ("/returned", ["after"]),
    ):
        del log[:]
        await client.get(path)
        assert log == expected, (path, log)
    del log[:]
    await client.post("/fail")
    assert log == ["error 405"]


async def test_after_error_request_replaces() -> None:
    """Contract 7.1.10 MUST: the same rule as for after-request handlers."""
    app = Microdot()

    @app.after_error_request
    def first(request: "Request | None", response: Response) -> None:
        response.headers["X-Error"] = "yes"

    @app.after_error_request
    async def second(request: "Request | None", response: Response) -> Response:
        return Response("replaced", 418, response.headers)

    response = await TestClient(app).get("/nothing")
    assert (response.status_code, response.text, response.headers["X-Error"]) == (418, "replaced", "yes")


async def test_a_failing_after_request_handler() -> None:
    """Contract 7.1.10: the response is an error's then, and sees the after-error handlers."""
    app = Microdot()
    log: "list[str]" = []

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        raise ZeroDivisionError

    @app.after_error_request
    async def after_error(request: "Request | None", response: Response) -> None:
        log.append("error")

    app.get("/")(lambda request: "index")
    response = await TestClient(app).get("/")
    assert (response.status_code, response.text) == (500, "Internal server error")
    assert log == ["error"]


async def test_already_handled_stays_as_it_is() -> None:
    """Contract 21 A10: after-request handlers used to add to the object that all such requests share."""
    app = Microdot()

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        response.headers["X-After"] = "yes"
        response.set_cookie("a", "b")

    @app.get("/")
    async def index(request: Request) -> Response:
        return Response.already_handled

    client = TestClient(app)
    for _ in range(3):
        response = await client.get("/")
        assert response.body is None
        assert response.status_code is None
    assert dict(Response.already_handled.headers) == {}


# (contract section, names in g._vary, Vary header of the handler, names expected)
VARY: "tuple[tuple[str, list[str], str | None, list[str]], ...]" = (
    ("7.6 MUST", ["Cookie"], None, ["cookie"]),
    ("7.6 MUST", ["Cookie", "Origin"], None, ["cookie", "origin"]),
    ("7.6 MUST", ["Cookie"], "Accept", ["accept", "cookie"]),
    ("7.6 MUST", ["Cookie"], "Accept, Origin", ["accept", "cookie", "origin"]),
    ("7.6 MUST", ["Cookie"], "Cookie", ["cookie"]),
    ("21 C30", ["Cookie"], "cookie", ["cookie"]),
    ("21 C30", ["Cookie", "cookie"], "COOKIE, Accept", ["accept", "cookie"]),
)


async def test_vary() -> None:
    """On success and on errors alike."""
    for section, added, given, expected in VARY:
        app = Microdot()

        @app.get("/")
        async def index(request: Request, added: "Any" = added, given: "Any" = given) -> "Any":
            request.g._vary = set(added)
            return "x", 200, {"Vary": given} if given else None

        @app.get("/fail")
        async def fail(request: Request, added: "Any" = added) -> None:
            request.g._vary = set(added)
            raise ZeroDivisionError

        client = TestClient(app)
        response = await client.get("/")
        assert sorted(response.headers["Vary"].lower().split(", ")) == expected, (section, response.headers["Vary"])
        response = await client.get("/fail")
        assert response.status_code == 500
        wanted = sorted(set([name.lower() for name in added]))
        assert sorted(response.headers["Vary"].lower().split(", ")) == wanted, section


async def test_vary_is_left_alone() -> None:
    app = Microdot()
    app.get("/none")(lambda request: "x")
    app.get("/own")(lambda request: ("x", {"Vary": "b, A,b"}))
    client = TestClient(app)
    assert "Vary" not in (await client.get("/none")).headers
    assert (await client.get("/own")).headers["Vary"] == "b, A,b"


async def test_head_closes_what_it_does_not_send() -> None:
    """Contract 21 A9: streams and files of a HEAD response."""

    class Chunks:
        closed = 0

        def __aiter__(self) -> "Chunks":
            return self

        async def __anext__(self) -> bytes:
            raise AssertionError("not read for HEAD")

        async def aclose(self) -> None:
            self.closed += 1

    class File:
        closed = 0

        def read(self, n: int) -> bytes:
            raise AssertionError("not read for HEAD")

        def close(self) -> None:
            self.closed += 1

    for body in (Chunks(), File()):
        app = Microdot()

        @app.get("/")
        async def index(request: Request, body: "Any" = body) -> "Any":
            return body

        response = await TestClient(app).request("HEAD", "/")
        assert (response.status_code, response.body) == (200, None)
        assert body.closed >= 1, body


async def test_malformed_bodies() -> None:
    """Contract 21 B18: 400 unless the program catches the ValueError."""
    app = Microdot()

    @app.post("/json")
    async def json(request: Request) -> "Any":
        return str(request.json)

    @app.post("/form")
    def form(request: Request) -> "Any":
        return str(request.form)

    @app.post("/caught")
    async def caught(request: Request) -> str:
        try:
            return str(request.json)
        except ValueError:
            return "caught"

    client = TestClient(app)
    json_type = {"Content-Type": "application/json"}
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    for path, headers, body, status_code in (
        ("/json", json_type, b"[1]", 200),
        ("/form", form_type, b"a=b", 200),
        ("/form", form_type, b"a=%zz", 400),
        ("/form", form_type, b"a=%ff", 400),
        ("/caught", json_type, b"}", 200),
    ):
        response = await client.post(path, headers=headers, body=body)
        assert response.status_code == status_code, (path, body, response.status_code)
    assert (await client.post("/caught", headers=json_type, body=b"}")).text == "caught"
    for body in BAD_JSON + LAX_JSON if CPYTHON else BAD_JSON:
        assert (await client.post("/json", headers=json_type, body=body)).status_code == 400, body


async def test_malformed_query() -> None:
    """Contract 7.9: 400."""
    app = Microdot()
    app.get("/")(lambda request: str(request.args))
    for query in ("a=%zz", "a=%ff"):
        try:
            response = await TestClient(app).get("/?" + query)
        except ValueError:
            continue  # 20.2: exceptions from parsing reach the caller of the test client
        assert response.status_code == 400, query


async def test_handle_request() -> None:
    """Contract 7.8 S: a reader and a writer, one request, then close."""
    app = Microdot()

    @app.get("/foo")
    async def foo(request: Request) -> str:
        return "%s %s" % (request.method, request.client_addr)

    @app.post("/echo")
    async def echo(request: Request) -> bytes:
        return request.body

    @app.get("/handled")
    async def handled(request: Request) -> Response:
        return Response.already_handled

    for data, start, body in (
        (request_bytes("GET", "/foo"), "HTTP/1.0 200 OK", b"GET ('127.0.0.1', 4321)"),
        (request_bytes("POST", "/echo", None, b"abc"), "HTTP/1.0 200 OK", b"abc"),
        (request_bytes("HEAD", "/foo"), "HTTP/1.0 200 OK", b""),
        (request_bytes("GET", "/nothing"), "HTTP/1.0 404 ", b"Not found"),
        (b"", "HTTP/1.0 400 ", b"Bad request"),
        (b"GET\n\n", "HTTP/1.0 400 ", b"Bad request"),
        (b"GET / HTTP/1.0\nContent-Length: x\n\n", "HTTP/1.0 400 ", b"Bad request"),
    ):
        stream = FakeStream(data)
        await app.handle_request(stream, stream)
        message = split_message(stream.response)
        assert message[0].startswith(start), (data, message)
        assert message[2] == body, (data, message)
        assert stream.closed, data
    stream = FakeStream(request_bytes("GET", "/handled"))
    await app.handle_request(stream, stream)
    assert stream.response == b""


def test_get_request_handlers() -> None:
    """Contract 7.7 S."""
    app, sub = Microdot(), Microdot()

    def of_app(request: Request, response: "Any" = None) -> None:
        pass

    def of_sub(request: Request, response: "Any" = None) -> None:
        pass

    app.after_request(of_app)
    sub.after_request(of_sub)
    request = Request(app, "addr", "GET", "/", "1.0", {}, subapp=sub)
    assert app.get_request_handlers(request, "after_request") == [of_sub, of_app]
    assert app.get_request_handlers(request, "after_request", local_first=False) == [of_app, of_sub]
    request = Request(app, "addr", "GET", "/", "1.0", {})
    assert app.get_request_handlers(request, "after_request") == [of_app]


async def test_before_request_may_set_the_arguments() -> None:
    """Contract 3.3: `url_args` is what the handler gets."""
    app = Microdot()

    @app.before_request
    async def load(request: Request) -> None:
        request.url_args = {"user": "loaded " + (request.url_args or {})["user"]}

    @app.get("/<user>")
    async def index(request: Request, user: str) -> str:
        return user

    assert (await TestClient(app).get("/ann")).text == "loaded ann"


async def test_a_class_of_applications_around_the_dispatcher() -> None:
    """Contract 7.1; boards have `before`, `after` and `error` handlers for that."""
    if not CPYTHON:
        return

    class App(Microdot):
        async def dispatch_request(self, req: "Request | None") -> Response:
            if req and req.path == "/broken":
                raise ValueError("around")
            response = await super().dispatch_request(req)
            response.headers["X-Around"] = "1"
            return response

    app = App()

    @app.get("/")
    async def index(request: Request) -> str:
        return "hello"

    client = TestClient(app)
    for path, status in (("/", 200), ("/nothing", 404)):
        response = await client.get(path)
        assert (response.status_code, response.headers["X-Around"]) == (status, "1"), path
    assert (await client.get("/broken")).status_code == 500
    assert (await app.dispatch_request(None)).status_code == 400
