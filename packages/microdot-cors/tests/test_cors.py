"""Which origins get in, what a preflight is told, and what responses vary with.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request, Response, abort
from microdot.cors import CORS
from microdot.test_client import TestClient
from support.checks import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALLOWED = "https://example.com"
PREFIX = "Access-Control-"


def make(**options: "Any") -> "tuple[Microdot, CORS, TestClient]":
    app = Microdot()
    cors = CORS(app, **options)

    @app.get("/")
    async def index(request: Request) -> str:
        return "hello"

    @app.post("/")
    async def post(request: Request) -> str:
        return "posted"

    @app.get("/vary")
    async def vary(request: Request) -> "Any":
        request.g._vary = {"Foo"}
        return "", 200, {"Vary": "Accept, origin"}

    @app.get("/fail/<int:status>")
    async def fail(request: Request, status: int) -> None:
        if status == 500:
            raise ZeroDivisionError("on purpose")
        abort(status)

    return app, cors, TestClient(app)


def cors_headers(response: "Any") -> "dict[str, str]":
    """Return what a response says about sharing: names without the prefix."""
    return {name[len(PREFIX) :]: response.headers[name] for name in response.headers if name.startswith(PREFIX)}


async def preflight(client: TestClient, origin: "str | None" = ALLOWED, path: str = "/", **asked: str) -> "Any":
    headers = {PREFIX + "Request-" + name.replace("_", "-"): asked[name] for name in asked}
    if origin is not None:
        headers["Origin"] = origin
    return await client.request("OPTIONS", path, headers)


async def test_listed_origins_get_in() -> None:
    _, cors, client = make(allowed_origins=[ALLOWED, "http://10.0.0.1:8000"], allow_credentials=True)
    for origin in (ALLOWED, "http://10.0.0.1:8000"):
        response = await client.get("/", headers={"Origin": origin})
        assert cors_headers(response) == {"Allow-Origin": origin, "Allow-Credentials": "true"}
        assert response.headers["Vary"] == "Origin"
    cors.allow_credentials = False
    response = await client.get("/", headers={"Origin": ALLOWED})
    assert cors_headers(response) == {"Allow-Origin": ALLOWED}


async def test_others_do_not() -> None:
    _, _, client = make(allowed_origins=[ALLOWED], allow_credentials=True)
    for origin in (
        None,
        "",
        "null",
        "https://example.co",
        "https://example.com.evil.example",
        "https://evil.example/https://example.com",
        "http://example.com",
        "https://example.com:8443",
        "https://EXAMPLE.com",
        "https://example.com/",
        "*",
        "a, https://example.com",
    ):
        response = await client.get("/", headers={} if origin is None else {"Origin": origin})
        assert (response.status_code, cors_headers(response)) == (200, {}), origin
        # Contract 16: a refused origin gets no Vary.
        assert "Vary" not in response.headers, origin


async def test_nobody_by_default() -> None:
    lists: "list[Any]" = [None, [], ()]
    for allowed_origins in lists:
        _, _, client = make(allowed_origins=allowed_origins)
        response = await client.get("/", headers={"Origin": ALLOWED})
        assert response.status_code == 200
        assert cors_headers(response) == {} and "Vary" not in response.headers


async def test_everybody() -> None:
    _, _, client = make(allowed_origins="*", expose_headers=["X-Test", "X-Test2"])
    for path in ("/", "/nowhere"):
        response = await client.get(path)
        assert cors_headers(response) == {"Allow-Origin": "*", "Expose-Headers": "X-Test, X-Test2"}
        assert "Vary" not in response.headers
        response = await client.get(path, headers={"Origin": "https://any.example"})
        assert cors_headers(response)["Allow-Origin"] == "https://any.example"
        assert response.headers["Vary"] == "Origin"


async def test_everybody_never_has_credentials() -> None:
    # Contract 21 B8, RELIABILITY C4: Microdot lets every page act in the user's name.
    _, cors, client = make(allowed_origins="*")
    cors.allow_credentials = True
    for headers in ({}, {"Origin": ALLOWED}, {"Origin": "null"}):
        for method in ("GET", "OPTIONS"):
            response = await client.request(method, "/", headers)
            assert response.status_code == 200 and PREFIX + "Allow-Origin" in response.headers
            assert PREFIX + "Allow-Credentials" not in response.headers


async def test_a_str_is_refused() -> None:
    # Contract 21 B8: with Microdot `https://a.co` passes for `https://a.com`.
    for name in ("allowed_origins", "allowed_methods", "expose_headers", "allowed_headers"):
        options: "dict[str, Any]" = {name: "https://a.com"}
        problem = raised(ValueError, lambda: CORS(**options))
        assert "list" in str(problem), problem


async def test_errors_have_the_headers_too() -> None:
    _, _, client = make(allowed_origins=[ALLOWED])
    for path, status in (("/nowhere", 404), ("/fail/500", 500), ("/fail/401", 401), ("/fail/413", 413)):
        response = await client.get(path, headers={"Origin": ALLOWED})
        assert response.status_code == status
        assert cors_headers(response) == {"Allow-Origin": ALLOWED} and response.headers["Vary"] == "Origin", path
    response = await client.delete("/", headers={"Origin": ALLOWED})
    assert response.status_code == 405 and cors_headers(response) == {"Allow-Origin": ALLOWED}


async def test_vary_keeps_what_there_is() -> None:
    _, _, client = make(allowed_origins=[ALLOWED])
    response = await client.get("/vary", headers={"Origin": ALLOWED})
    # Contract 21 C30: no name twice, whatever its case.
    assert sorted(response.headers["Vary"].lower().split(", ")) == ["accept", "foo", "origin"]


async def test_preflight() -> None:
    _, _, client = make(allowed_origins=[ALLOWED])
    response = await preflight(client, Method="POST", Headers="X-Test, X-Test2")
    assert (response.status_code, response.text) == (200, "")
    assert cors_headers(response) == {
        "Allow-Origin": ALLOWED,
        "Allow-Methods": "POST",
        "Allow-Headers": "X-Test, X-Test2",
    }
    assert response.headers["Vary"] == "Origin" and response.headers["Allow"] == "GET, POST, HEAD, OPTIONS"
    response = await preflight(client, Method="post")
    assert cors_headers(response) == {"Allow-Origin": ALLOWED, "Allow-Methods": "POST"}


async def test_preflight_within_the_lists() -> None:
    _, _, client = make(
        allowed_origins=[ALLOWED], allowed_methods=["POST"], allowed_headers=["X-Test"], max_age=3600, allow_credentials=True
    )
    both = {"Allow-Origin": ALLOWED, "Allow-Credentials": "true", "Max-Age": "3600"}
    response = await preflight(client, Method="POST", Headers="x-test,X-Test2, X-TEST")
    expected = {"Allow-Methods": "POST", "Allow-Headers": "x-test, X-TEST"}
    expected.update(both)
    assert cors_headers(response) == expected
    response = await preflight(client, Method="POST", Headers="X-Other")
    assert cors_headers(response)["Allow-Headers"] == ""
    for asked in ({"Method": "GET"}, {"Method": "GET", "Headers": "X-Test"}, {}):
        assert cors_headers(await preflight(client, **asked)) == both, asked


async def test_a_star_is_all_methods_and_headers() -> None:
    stars: "list[Any]" = ["*", ["*"]]
    for star in stars:
        _, _, client = make(allowed_origins=[ALLOWED], allowed_methods=star, allowed_headers=star, expose_headers=star)
        response = await preflight(client, Method="POST", Headers="X-Test, X-Test2")
        assert cors_headers(response) == {
            "Allow-Origin": ALLOWED,
            "Allow-Methods": "POST",
            "Allow-Headers": "X-Test, X-Test2",
            "Expose-Headers": "*",
        }


async def test_preflight_tells_outsiders_nothing() -> None:
    # Contract 21 B8: Microdot tells everybody what it would allow, and which methods a path has.
    app, _, client = make(
        allowed_origins=[ALLOWED], allowed_methods=["POST"], allowed_headers=["X-Test"], max_age=3600, expose_headers=["X-Own"]
    )
    for path in ("/", "/nowhere"):
        response = await preflight(client, "https://evil.example", path, Method="POST", Headers="X-Test", Private_Network="true")
        assert (response.status_code, response.text) == (200, "")
        assert cors_headers(response) == {} and "Allow" not in response.headers, response.headers


async def test_options_that_is_no_preflight() -> None:
    _, _, client = make(allowed_origins=[ALLOWED])
    response = await client.request("OPTIONS", "/")
    assert response.headers["Allow"] == "GET, POST, HEAD, OPTIONS" and cors_headers(response) == {}


async def test_preflight_passes_by_before_hooks() -> None:
    app, _, client = make(allowed_origins=[ALLOWED])

    @app.before_request
    async def refuse(request: Request) -> "Any":
        return "no", 401

    assert (await preflight(client, Method="POST")).status_code == 200
    response = await client.post("/", headers={"Origin": ALLOWED})
    assert response.status_code == 401 and cors_headers(response) == {"Allow-Origin": ALLOWED}


async def test_private_network() -> None:
    _, _, client = make(allowed_origins=[ALLOWED])
    response = await preflight(client, Method="GET", Private_Network="true")
    assert cors_headers(response)["Allow-Private-Network"] == "true"
    response = await preflight(client, Method="GET")
    assert PREFIX + "Allow-Private-Network" not in response.headers


async def test_without_an_options_handler() -> None:
    # Contract 21 C32: Microdot's CORS fails with the first OPTIONS.
    app = Microdot()
    app.options_handler = None
    cors = CORS(app, allowed_origins=[ALLOWED])

    @app.route("/", methods=["OPTIONS"])
    async def options(request: Request) -> str:
        return "mine"

    response = await preflight(TestClient(app), Method="GET")
    assert response.text == "mine" and cors_headers(response) == {"Allow-Origin": ALLOWED, "Allow-Methods": "GET"}
    request = Request(app, None, "OPTIONS", "/", "1.1", {"Origin": ALLOWED})
    assert cors.options_handler(request) == {PREFIX + "Allow-Origin": ALLOWED}


class Own(Microdot):
    """An application whose OPTIONS are answered by a method of its class."""

    def options_handler(self, request: Request) -> "dict[str, str]":
        return {"Allow": "CLASS"}


async def test_with_an_options_handler_of_the_program() -> None:
    app = Microdot()
    app.options_handler = lambda request: {"Allow": "MINE"}
    for one, expected in ((app, "MINE"), (Own(), "CLASS")):
        cors = CORS(one, allowed_origins=[ALLOWED])
        one.options_handler = cors.options_handler  # as programs for Microdot do
        request = Request(one, None, "OPTIONS", "/", "1.1", {"Origin": ALLOWED})
        assert cors.options_handler(request) == {"Allow": expected, PREFIX + "Allow-Origin": ALLOWED}
    app = Microdot()
    cors = CORS(app, allowed_origins=[ALLOWED])
    app.options_handler = cors.options_handler
    assert cors.options_handler(Request(app, None, "OPTIONS", "/", "1.1", {})) == {"Allow": "OPTIONS"}


async def test_by_hand() -> None:
    app, cors, client = make(allowed_origins=[ALLOWED], handle_cors=False)

    @app.get("/mine")
    async def mine(request: Request) -> "Any":
        return "", 200, cors.get_cors_headers(request)

    @app.get("/mine-too")
    async def mine_too(request: Request) -> Response:
        response = Response("")
        assert cors.after_request(request, response) is None  # type: ignore[func-returns-value]
        assert cors.after_request(None, response) is None  # type: ignore[func-returns-value]
        return response

    assert cors_headers(await client.get("/mine-too", headers={"Origin": ALLOWED})) == {"Allow-Origin": ALLOWED}
    assert cors_headers(await client.get("/", headers={"Origin": ALLOWED})) == {}
    assert cors_headers(await client.get("/mine", headers={"Origin": ALLOWED})) == {"Allow-Origin": ALLOWED}
    request = Request(app, None, "OPTIONS", "/", "1.1", {"Origin": ALLOWED})
    assert cors.options_handler(request) == {"Allow": "GET, POST, HEAD, OPTIONS", PREFIX + "Allow-Origin": ALLOWED}


async def test_install_and_initialize() -> None:
    cors = CORS(allowed_origins=[ALLOWED], allowed_headers=["X-Test"])
    assert cors.allowed_headers == ["x-test"]
    for app in (Microdot(), Microdot()):
        if app.routes == []:
            app.install(cors)
        response = await TestClient(app).get("/", headers={"Origin": ALLOWED})
        assert response.status_code == 404 and cors_headers(response) == {"Allow-Origin": ALLOWED}
