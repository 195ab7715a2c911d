"""Which handler answers: contract sections 6.1, 6.2, 6.5, 6.6, and 21 A6, B11, B12, C5, C9.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request, Response, URLPattern
from microdot.test_client import TestClient
from support.checks import CPYTHON, raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def methods_of(allow: str) -> "list[str]":
    """Return the methods of an Allow header, sorted: their order is pinned in one test only."""
    return sorted(allow.split(", "))


def test_decorators_return_the_function() -> None:
    """Contract 6.2."""
    app = Microdot()

    def handler(request: Request, *args: "Any") -> str:
        return "x"

    for decorator in (
        app.route("/"),
        app.route("/", methods=["POST"]),
        app.route("/", ["PUT"]),
        app.get("/"),
        app.post("/"),
        app.put("/"),
        app.patch("/"),
        app.delete("/"),
        app.query("/"),
        app.errorhandler(404),
        app.errorhandler(ValueError),
        app.before_request,
        app.after_request,
        app.after_error_request,
    ):
        assert decorator(handler) is handler


async def test_shortcuts() -> None:
    """Contract 6.2 MUST: one method each."""
    app = Microdot()

    def handler(request: Request) -> str:
        return request.method

    app.get("/get")(handler)
    app.post("/post")(handler)
    app.put("/put")(handler)
    app.patch("/patch")(handler)
    app.delete("/delete")(handler)
    app.query("/query")(handler)
    client = TestClient(app)
    for path in ("get", "post", "put", "patch", "delete", "query"):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"):
            response = await client.request(method, "/" + path)
            if method.lower() == path:
                assert (response.status_code, response.text) == (200, method), (path, method)
            else:
                assert response.status_code == 405, (path, method)


async def test_methods() -> None:
    """Contract 6.2: GET unless told otherwise; names are upper-cased when they are registered."""
    app = Microdot()

    @app.route("/default")
    def default(request: Request) -> str:
        return "default"

    @app.route("/lower", methods=["post", "Put"])
    def lower(request: Request) -> str:
        return "lower"

    client = TestClient(app)
    assert (await client.get("/default")).text == "default"
    assert (await client.post("/default")).status_code == 405
    assert (await client.post("/lower")).text == "lower"
    assert (await client.put("/lower")).text == "lower"
    assert (await client.get("/lower")).status_code == 405


async def test_methods_are_case_sensitive_on_the_wire() -> None:
    """RFC 9110 section 9.1; RELIABILITY H5 decides against contract 6.5."""
    app = Microdot()

    @app.get("/")
    def index(request: Request) -> str:
        return "index"

    client = TestClient(app)
    for method in ("get", "Get", "head", "options"):
        response = await client.request(method, "/")
        assert response.status_code == 405, method
        assert response.body != b"index", method


async def test_stacked_decorators() -> None:
    """Contract 6.2 X."""
    app = Microdot()

    @app.get("/")
    @app.post("/")
    @app.get("/other")
    async def index(request: Request) -> str:
        return request.method + " " + request.path

    client = TestClient(app)
    assert (await client.get("/")).text == "GET /"
    assert (await client.post("/")).text == "POST /"
    assert (await client.get("/other")).text == "GET /other"


# Routes as (methods, pattern, answer), and (method, path, status, answer): contract 6.2, 6.5.
ORDER: "tuple[tuple[str, tuple[tuple[str, str, str], ...], tuple[tuple[str, str, int, str], ...]], ...]" = (
    (
        "6.2 observed: duplicates",
        (("GET", "/a", "first"), ("GET", "/a", "second")),
        (("GET", "/a", 200, "first"),),
    ),
    (
        "6.2 observed: dynamic before static",
        (("GET", "/<x>", "dynamic"), ("GET", "/a", "static")),
        (("GET", "/a", 200, "dynamic"), ("GET", "/b", 200, "dynamic")),
    ),
    (
        "6.2: static before dynamic",
        (("GET", "/a", "static"), ("GET", "/<x>", "dynamic")),
        (("GET", "/a", 200, "static"), ("GET", "/b", 200, "dynamic")),
    ),
    (
        "6.5: the first that matches and allows the method",
        (("GET", "/<x>", "dynamic"), ("POST", "/a", "static"), ("PUT", "/<y>", "other")),
        (
            ("GET", "/a", 200, "dynamic"),
            ("POST", "/a", 200, "static"),
            ("PUT", "/a", 200, "other"),
            ("POST", "/b", 405, "Not found"),
            ("DELETE", "/a", 405, "Not found"),
        ),
    ),
    (
        "6.5: a dynamic route between two static ones",
        (("GET", "/a", "one"), ("GET", "/<x>", "two"), ("POST", "/a", "three"), ("POST", "/<x>", "four")),
        (
            ("GET", "/a", 200, "one"),
            ("GET", "/b", 200, "two"),
            ("POST", "/a", 200, "three"),
            ("POST", "/b", 200, "four"),
        ),
    ),
    (
        "5: types and literal prefixes",
        (
            ("GET", "/users/<int:id>", "int"),
            ("GET", "/users/<re:[a-c]+:id>", "re"),
            ("GET", "/users/<id>", "string"),
            ("GET", "/users/<path:id>", "path"),
            ("GET", "/<path:all>", "all"),
        ),
        (
            ("GET", "/users/1", 200, "int"),
            ("GET", "/users/ab", 200, "re"),
            ("GET", "/users/xyz", 200, "string"),
            ("GET", "/users/x/y", 200, "path"),
            ("GET", "/other", 200, "all"),
            ("GET", "/", 404, "Not found"),
            ("POST", "/users/1", 405, "Not found"),
        ),
    ),
    (
        "5: path first",
        (("GET", "/<path:all>", "all"), ("GET", "/users/<int:id>", "int"), ("GET", "/a", "static")),
        (("GET", "/users/1", 200, "all"), ("GET", "/a", 200, "all"), ("GET", "/", 404, "Not found")),
    ),
    (
        "5 observed: no leading slash",
        (("GET", "foo", "foo"), ("GET", "", "root"), ("GET", "<name>/", "name")),
        (("GET", "/foo", 200, "foo"), ("GET", "/", 200, "root"), ("GET", "/foo/", 200, "name")),
    ),
    (
        "5: slashes are exact",
        (("GET", "/a/", "slash"), ("GET", "/b", "none"), ("GET", "/c//d", "two")),
        (
            ("GET", "/a/", 200, "slash"),
            ("GET", "/a", 404, "Not found"),
            ("GET", "/b/", 404, "Not found"),
            ("GET", "/c//d", 200, "two"),
            ("GET", "/c/d", 404, "Not found"),
            ("GET", "//b", 404, "Not found"),
        ),
    ),
    (
        "21 B11: static text is text",
        (("GET", "/a.b", "dot"), ("GET", "/a.b/<x>", "dynamic"), ("GET", "/(", "parenthesis")),
        (
            ("GET", "/a.b", 200, "dot"),
            ("GET", "/aXb", 404, "Not found"),
            ("GET", "/a.b/c", 200, "dynamic"),
            ("GET", "/aXb/c", 404, "Not found"),
            ("GET", "/(", 200, "parenthesis"),
        ),
    ),
    (
        "5: the path stays as it was sent",
        (("GET", "/a%20b", "encoded"), ("GET", "/x y", "never")),
        (("GET", "/a%20b", 200, "encoded"), ("GET", "/x%20y", 404, "Not found")),
    ),
)


async def test_order() -> None:
    for section, routes, requests in ORDER:
        app = Microdot()
        for methods, pattern, answer in routes:

            def handler(request: Request, answer: str = answer, **kwargs: "Any") -> str:
                return answer

            app.route(pattern, methods=methods.split(","))(handler)
        client = TestClient(app)
        for method, path, status_code, text in requests:
            response = await client.request(method, path)
            assert (response.status_code, response.text) == (status_code, text), (section, method, path, response.text)


async def test_many_routes() -> None:
    """A table of static and dynamic routes in which every one is found."""
    app = Microdot()
    for i in range(20):

        def static(request: Request, i: int = i) -> str:
            return "static %d" % i

        def dynamic(request: Request, a: int, b: str, i: int = i) -> str:
            return "dynamic %d %d %s" % (i, a, b)

        app.get("/static/%d" % i)(static)
        app.get("/dynamic%d/<int:a>/<b>" % i)(dynamic)
    client = TestClient(app)
    for i in range(20):
        assert (await client.get("/static/%d" % i)).text == "static %d" % i
        assert (await client.get("/dynamic%d/5/x" % i)).text == "dynamic %d 5 x" % i
        assert (await client.get("/dynamic%d/x/5" % i)).status_code == 404
    assert (await client.get("/static/20")).status_code == 404


async def test_path_arguments() -> None:
    """Contract 5: keyword arguments, converted, not decoded; 3.3: url_args."""
    app = Microdot()
    seen: "list[Any]" = []

    @app.get("/<int:number>/<word>/<path:rest>")
    def handler(request: Request, word: str, rest: str, number: int) -> str:
        seen.append(request.url_args)
        return "%r %r %r" % (number, word, rest)

    assert (await TestClient(app).get("/-5/a%20b/c/d/?q=1")).text == "-5 'a%20b' 'c/d/'"
    assert seen == [{"number": -5, "word": "a%20b", "rest": "c/d/"}]


async def test_requests_do_not_share_arguments() -> None:
    app = Microdot()

    @app.get("/<a>/<b>")
    async def handler(request: Request, **kwargs: str) -> str:
        return kwargs["a"] + kwargs["b"]

    client = TestClient(app)
    assert (await client.get("/1/2")).text == "12"
    assert (await client.get("/3/4")).text == "34"


async def test_head() -> None:
    """Contract 6.5, 7.9 MUST: answered by the route for GET, with its headers and without a body."""
    app = Microdot()

    @app.get("/foo")
    def foo(request: Request) -> "tuple[str, int, dict[str, str]]":
        return "foo", 200, {"X-Method": request.method}

    @app.post("/post")
    def post(request: Request) -> str:
        return "post"

    client = TestClient(app)
    response = await client.request("HEAD", "/foo")
    assert response.status_code == 200
    assert response.headers["Content-Length"] == "3"
    assert response.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert response.headers["X-Method"] == "HEAD"
    assert response.body is None
    assert (await client.request("HEAD", "/post")).status_code == 405
    assert (await client.request("HEAD", "/none")).status_code == 404


async def test_head_routes() -> None:
    """Contract 21 C9: a route for HEAD only used to be unreachable."""
    app = Microdot()

    @app.route("/only", methods=["HEAD"])
    def only(request: Request) -> "tuple[str, dict[str, str]]":
        return "", {"X-Only": "yes"}

    client = TestClient(app)
    response = await client.request("HEAD", "/only")
    assert (response.status_code, response.headers.get("X-Only")) == (200, "yes")
    assert (await client.get("/only")).status_code == 405


async def test_405() -> None:
    """Contract 7.1.6 MUST: the body of 404; 21 C5, RFC 9110 section 15.5.6: with Allow."""
    app = Microdot()

    @app.route("/foo", methods=["GET", "DELETE"])
    def foo(request: Request) -> str:
        return "foo"

    @app.put("/<name>")
    def put(request: Request, name: str) -> str:
        return name

    response = await TestClient(app).post("/foo")
    assert (response.status_code, response.text) == (405, "Not found")
    assert response.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert methods_of(response.headers["Allow"]) == ["DELETE", "GET", "HEAD", "OPTIONS", "PUT"]
    response = await TestClient(app).get("/bar")
    assert (response.status_code, response.text) == (405, "Not found")
    assert methods_of(response.headers["Allow"]) == ["OPTIONS", "PUT"]


async def test_options() -> None:
    """Contract 6.6 MUST: the methods of all routes that match, in order of registration."""
    app = Microdot()

    @app.route("/", methods=["GET", "DELETE"])
    async def index(request: Request) -> str:
        return "foo"

    @app.post("/")
    async def index_post(request: Request) -> str:
        return "bar"

    @app.route("/foo", methods=["POST", "PUT"])
    async def foo(request: Request) -> str:
        return "baz"

    client = TestClient(app)
    response = await client.request("OPTIONS", "/")
    assert response.status_code == 200
    assert response.headers["Allow"] == "GET, DELETE, POST, HEAD, OPTIONS"
    assert response.body == b""
    response = await client.request("OPTIONS", "/foo")
    assert response.headers["Allow"] == "POST, PUT, OPTIONS"
    response = await client.request("OPTIONS", "/none")
    assert (response.status_code, response.headers["Allow"]) == (200, "OPTIONS")
    assert app.default_options_handler(_request(app, "/")) == {"Allow": "GET, DELETE, POST, HEAD, OPTIONS"}


async def test_options_of_dynamic_routes() -> None:
    app = Microdot()

    @app.get("/<name>")
    async def name(request: Request, name: str) -> str:
        return name

    @app.put("/x")
    async def x(request: Request) -> str:
        return "x"

    client = TestClient(app)
    assert methods_of((await client.request("OPTIONS", "/x")).headers["Allow"]) == ["GET", "HEAD", "OPTIONS", "PUT"]
    assert methods_of((await client.request("OPTIONS", "/y")).headers["Allow"]) == ["GET", "HEAD", "OPTIONS"]


def _request(app: Microdot, path: str, method: str = "OPTIONS") -> Request:
    return Request(app, ("127.0.0.1", 1234), method, path, "1.0", {})


async def test_options_handler() -> None:
    """Contract 6.6: a handler of the application's own; None makes OPTIONS a method like any other."""
    app = Microdot()

    @app.route("/", methods=["OPTIONS", "GET"])
    async def index(request: Request) -> str:
        return "route " + request.method

    client = TestClient(app)
    assert (await client.request("OPTIONS", "/")).body == b""

    def options(request: Request) -> "dict[str, str]":
        return {"X-Options": request.path}

    app.options_handler = options
    response = await client.request("OPTIONS", "/")
    assert (response.status_code, response.headers["X-Options"], response.body) == (200, "/", b"")
    app.options_handler = None
    assert (await client.request("OPTIONS", "/")).text == "route OPTIONS"
    assert (await client.request("OPTIONS", "/none")).status_code == 404


async def test_options_pass_the_before_handlers() -> None:
    """Contract 21 B12: the methods of a protected route are not for everybody."""
    app = Microdot()

    @app.before_request
    async def deny(request: Request) -> "tuple[str, int]":
        return "no", 401

    @app.get("/secret")
    async def secret(request: Request) -> str:
        return "secret"

    client = TestClient(app)
    response = await client.request("OPTIONS", "/secret")
    assert (response.status_code, response.text) == (401, "no")
    assert "Allow" not in response.headers


async def test_find_route() -> None:
    """Contract 6.5 S: the handler or a status, the prefix, the sub-application; url_args on the side."""
    app = Microdot()

    @app.get("/a/<int:x>")
    def handler(request: Request, x: int) -> str:
        return str(x)

    request = _request(app, "/a/5", "GET")
    assert app.find_route(request) == (handler, "", None)
    assert request.url_args == {"x": 5}
    assert app.find_route(_request(app, "/a/5", "HEAD"))[0] is handler
    assert app.find_route(_request(app, "/a/5", "POST"))[0] == 405
    assert app.find_route(_request(app, "/b", "GET"))[0] == 404


def test_attributes() -> None:
    """Contract 6.1 S."""
    app = Microdot()
    assert app.before_request_handlers == []
    assert app.after_request_handlers == []
    assert app.after_error_request_handlers == []
    assert app.error_handlers == {}
    assert callable(app.options_handler)
    assert app.ssl is False
    assert app.debug is False
    assert app.server is None

    def function(request: Request, response: "Response | None" = None) -> None:
        pass

    app.before_request(function)
    app.after_request(function)
    app.after_error_request(function)
    app.errorhandler(404)(function)
    assert app.before_request_handlers == [function]
    assert app.after_request_handlers == [function]
    assert app.after_error_request_handlers == [function]
    assert list(app.error_handlers) == [404]


def test_url_map() -> None:
    """Contract 6.1 S: methods, pattern, handler, prefix and sub-application of every route, in order."""
    app = Microdot()
    sub = Microdot()

    @app.get("/a")
    def a(request: Request) -> str:
        return "a"

    @sub.route("/<b>", methods=["post", "PUT"])
    def b(request: Request, b: str) -> str:
        return b

    app.mount(sub, url_prefix="/sub")
    rows = []
    for methods, pattern, handler, url_prefix, subapp in app.url_map:
        assert isinstance(pattern, URLPattern)
        rows.append((list(methods), pattern.url_pattern, handler, url_prefix, subapp))
    assert rows == [(["GET"], "/a", a, "", None), (["POST", "PUT"], "/sub/<b>", b, "/sub", sub)]


async def test_asking_for_routes_changes_nothing() -> None:
    """Whoever looks at them, `url_map` among others, makes objects of them; requests are answered as before."""
    app, subapp = Microdot(), Microdot()

    @app.get("/plain")
    def plain(request: Request) -> str:
        return str(request.route is plain)

    @app.route("/<int:number>", methods=["GET", "POST"])
    async def number(request: Request, number: int) -> str:
        return "%s %d %s" % (request.route is number_handler, number, request.url_prefix)

    @subapp.get("/<name>")
    def name(request: Request, name: str) -> str:
        return "%s %s %s" % (request.subapp is subapp, request.url_prefix, name)

    number_handler = number
    app.mount(subapp, "/sub")
    client = TestClient(app)
    answers: "list[list[Any]]" = []
    for again in (False, True):
        if again:
            routes: "list[Any]" = app.routes
            assert [route.pattern for route in routes] == ["/plain", "/<int:number>", "/sub/<name>"]
            assert [route.handler for route in routes] == [plain, number, name]
            assert [route.methods for route in routes][1] in (["GET", "POST"], ("GET", "POST"))
            assert [route.subapp for route in routes] == [None, None, subapp]
            routes[0].mark = "an extension's"
            assert routes[0] is app.routes[0]
        answers.append([])
        for method, path in (
            ("GET", "/plain"), ("HEAD", "/plain"), ("POST", "/plain"), ("OPTIONS", "/plain"), ("GET", "/7"), ("POST", "/8"),
            ("PUT", "/8"), ("OPTIONS", "/8"), ("GET", "/sub/x"), ("POST", "/sub/x"), ("GET", "/sub/"), ("OPTIONS", "/none"),
        ):
            response = await client.request(method, path)
            answers[-1].append((method, path, response.status_code, response.text, response.headers.get("Allow")))
    assert answers[0] == answers[1], answers
    assert answers[0][0][3] == "True" and answers[0][4][3] == "True 7 " and answers[0][8][3] == "True /sub x", answers[0]
    assert app.url_for(name, name="y") == "/sub/y"


async def test_a_bad_pattern_hurts_nobody_else() -> None:
    """Contract 5: construction never fails; 21 A6: and a request that meets it is answered."""
    app = Microdot()

    @app.get("/good")
    async def good(request: Request) -> str:
        return "good"

    try:
        app.get("/bad/<int:id")(good)
        app.get("/bad/<nosuchtype:id>")(good)
    except ValueError:
        pass  # refusing at registration is better still
    client = TestClient(app)
    assert (await client.get("/good")).text == "good"
    assert (await client.get("/bad/1")).status_code in (404, 500)


async def test_a_failing_parser_is_answered() -> None:
    """Contract 21 A6: an exception in a path parser used to leave the client without an answer."""
    URLPattern.register_type("fragile", parser=lambda value: int(value, 16))
    app = Microdot()

    @app.get("/<fragile:x>")
    async def handler(request: Request, x: int) -> str:
        return str(x)

    client = TestClient(app)
    assert (await client.get("/ff")).text == "255"
    assert (await client.get("/zz")).status_code in (404, 500)


async def test_registered_types_in_routes() -> None:
    """Contract 5 D: None from the parser means that the route doesn't match, so the next one is tried."""
    URLPattern.register_type("even", "[0-9]+", lambda value: int(value) if int(value) % 2 == 0 else None)
    app = Microdot()

    @app.get("/<even:n>")
    async def even(request: Request, n: int) -> str:
        return "even %d" % n

    @app.get("/<n>")
    async def other(request: Request, n: str) -> str:
        return "other " + n

    client = TestClient(app)
    assert (await client.get("/0")).text == "even 0"
    assert (await client.get("/4")).text == "even 4"
    assert (await client.get("/5")).text == "other 5"
    assert (await client.get("/x")).text == "other x"


async def test_long_paths() -> None:
    """Issue: constant stack depth whatever the path; as long as a request line may be."""
    app = Microdot()

    @app.get("/<path:all>/end")
    async def handler(request: Request, all: str) -> str:
        return str(len(all))

    @app.get("/<re:[a-z]+:word>")
    async def word(request: Request, word: str) -> str:
        return str(len(word))

    client = TestClient(app)
    assert (await client.get("/" + "a/" * 900 + "end")).text == str(2 * 900 - 1)
    assert (await client.get("/" + "a/" * 900)).status_code == 404
    # A board matches expressions by recursion: a segment too long for its stack matches nothing there.
    response = await client.get("/" + "x" * 1800)
    assert response.text == "1800" or response.status_code == 404 and not CPYTHON, response.text


async def test_url_for() -> None:
    """Issue: the way back, from a handler to its path; what it gives is routed to that handler."""
    app, sub = Microdot(), Microdot()

    @app.get("/")
    async def index(request: Request) -> str:
        return "index"

    @app.get("/users/<int:id>")
    async def user(request: Request, id: int) -> str:
        return "user %d" % id

    @app.get("/files/<path:path>/raw/<name>")
    async def file(request: Request, path: str, name: str) -> str:
        return path + " " + name

    @sub.get("/<word>")
    async def word(request: Request, word: str) -> str:
        return word

    app.mount(sub, url_prefix="/sub")
    client = TestClient(app)
    table: "tuple[tuple[Any, dict[str, Any], str, str], ...]" = (
        (index, {}, "/", "index"),
        (user, {"id": 5}, "/users/5", "user 5"),
        (user, {"id": -5}, "/users/-5", "user -5"),
        (file, {"path": "a/b", "name": "c"}, "/files/a/b/raw/c", "a/b c"),
        (word, {"word": "hello"}, "/sub/hello", "hello"),
        (word, {"word": "a/b c?d#\u00e9"}, "/sub/a%2Fb%20c%3Fd%23%C3%A9", "a%2Fb%20c%3Fd%23%C3%A9"),
        (index, {"q": "a b&c"}, "/?q=a%20b%26c", "index"),
    )
    for handler, args, expected, answer in table:
        url = app.url_for(handler, **args)
        assert url == expected, (url, expected)
        assert (await client.get(url)).text == answer, url
    raised(ValueError, app.url_for, user)
    raised(ValueError, app.url_for, print)


def test_a_class_of_applications_sees_every_route() -> None:
    """Contract 6.2: the shortcuts register by `route()`."""
    seen: "list[Any]" = []

    class App(Microdot):
        def route(self, url_pattern: str, methods: "Any" = None) -> "Any":
            seen.append((url_pattern, (methods or ["GET"])[0]))
            return super().route(url_pattern, methods)

    app = App()
    for name in ("get", "post", "put", "patch", "delete", "query"):
        getattr(app, name)("/" + name)(lambda request: "")
    assert seen == [("/" + name, name.upper()) for name in ("get", "post", "put", "patch", "delete", "query")]
