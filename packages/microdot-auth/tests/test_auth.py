"""Basic and token authentication: what is accepted, what is answered otherwise, and the limit on attempts.

Portable: CPython and MicroPython.
"""

import asyncio
import sys
from binascii import b2a_base64

from microdot import Microdot, Request, Response
from microdot.auth import BasicAuth, TokenAuth, same
from microdot.passwords import Limiter
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def basic(text: "str | bytes", scheme: str = "Basic") -> "dict[str, str]":
    """Return the header that a client sends for `name:password`."""
    data = text.encode() if isinstance(text, str) else text
    return {"Authorization": scheme + " " + b2a_base64(data).strip().decode()}


def make_basic(**options: "Any") -> "tuple[Microdot, BasicAuth, TestClient]":
    app = Microdot()
    auth = BasicAuth(**options)

    @auth.authenticate
    async def check(request: Request, username: str, password: str) -> "Any":
        return {"name": username} if password == "secret:of " + username else None

    @app.get("/")
    @auth
    async def index(request: Request) -> "Any":
        return request.g.current_user

    @app.get("/optional/<n>")
    @auth.optional
    def optional(request: Request, n: str) -> str:
        return n + ":" + str(request.g.current_user and request.g.current_user["name"])

    return app, auth, TestClient(app)


def make_token(**options: "Any") -> "tuple[Microdot, TokenAuth, TestClient]":
    app = Microdot()
    auth = TokenAuth(**options)

    @auth.authenticate
    def check(request: Request, token: str) -> "Any":
        return "ann" if same(token, "tökén") else None

    @app.get("/")
    @auth
    async def index(request: Request) -> str:
        return str(request.g.current_user)

    @app.get("/optional")
    @auth.optional
    async def optional(request: Request) -> str:
        return str(request.g.current_user)

    return app, auth, TestClient(app)


async def test_basic() -> None:
    app, _, client = make_basic()
    response = await client.get("/", headers=basic("ann:secret:of ann"))
    assert (response.status_code, response.json) == (200, {"name": "ann"})
    # Contract 21 C28: RFC 9110 11.1 compares schemes without case.
    for scheme in ("basic", "BASIC", "bAsIc"):
        response = await client.get("/", headers=basic("zoë:secret:of zoë", scheme))
        assert response.json == {"name": "zoë"}, scheme


async def test_basic_asks() -> None:
    app, _, client = make_basic()
    for headers in (
        None,
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic "},
        {"Authorization": "Basic ?"},
        {"Authorization": "Basic abc"},
        {"Authorization": "Basic é"},
        {"Authorization": "Bearer abc"},
        basic("ann"),
        basic(b"\xff:\xfe"),
        basic(""),
        basic("ann:wrong"),
        basic(":"),
        basic("ann:secret:of ann", "Basi"),
    ):
        response = await client.get("/", headers=headers)
        assert (response.status_code, response.text) == (401, ""), headers
        assert response.headers["WWW-Authenticate"] == 'Basic realm="Please login", charset="UTF-8"'


async def test_what_is_no_credentials_is_not_checked() -> None:
    app = Microdot()
    auth = BasicAuth()
    asked: "list[tuple[str, str]]" = []
    auth.authenticate(lambda request, name, password: asked.append((name, password)))
    app.get("/")(auth(lambda request: "in"))
    for headers, expected in (
        ({}, []),
        ({"Authorization": "Basic ?"}, []),
        ({"Authorization": "Bearer YTpi"}, []),
        (basic("ann"), []),  # no colon
        (basic(b"\xff:\xfe"), []),
        (basic("ann:"), [("ann", "")]),
        (basic(":a:b"), [("", "a:b")]),
    ):
        asked[:] = []
        assert (await TestClient(app).get("/", headers=headers)).status_code == 401
        assert asked == expected, headers


async def test_realm_is_escaped() -> None:
    # Contract 21 B16; RFC 9110 5.6.4.
    app, _, client = make_basic(realm='the "blue\\green" one', charset="utf-8", scheme="X", error_status=403)
    response = await client.get("/")
    assert response.status_code == 403
    assert response.headers["WWW-Authenticate"] == 'X realm="the \\"blue\\\\green\\" one", charset="utf-8"'


async def test_realm_cannot_end_the_line() -> None:
    app, _, client = make_basic(realm="a\r\nSet-Cookie: b=c")
    response = await client.get("/")
    assert response.status_code == 500 and "WWW-Authenticate" not in response.headers


async def test_optional() -> None:
    app, _, client = make_basic()
    assert (await client.get("/optional/a")).text == "a:None"
    assert (await client.get("/optional/b", headers=basic("ann:wrong"))).text == "b:None"
    assert (await client.get("/optional/c", headers=basic("ann:secret:of ann"))).text == "c:ann"


async def test_token() -> None:
    app, _, client = make_token()
    for value in ("Bearer tökén", "bearer tökén", "BEARER   tökén  "):
        assert (await client.get("/", headers={"Authorization": value})).text == "ann", value
    assert (await client.get("/optional", headers={"Authorization": "Bearer tökén"})).text == "ann"
    assert (await client.get("/optional", headers={"Authorization": "Bearer x"})).text == "None"
    assert (await client.get("/optional")).text == "None"


async def test_token_is_asked_for() -> None:
    # RELIABILITY J8; RFC 9110 15.5.2: a 401 has a challenge.
    app, _, client = make_token()
    for value in (None, "", "Bearer", "Bearer ", "Bearer x", "tökén", "Basic tökén", "Token tökén"):
        response = await client.get("/", headers={} if value is None else {"Authorization": value})
        assert (response.status_code, response.text) == (401, "401 error"), value
        assert response.headers["WWW-Authenticate"] == 'bearer realm="token"', value  # RFC 6750 3: with a parameter


async def test_the_answer_to_a_token_is_an_error_of_the_application() -> None:
    app, auth, client = make_token(error_status=403)
    seen = []

    @app.errorhandler(403)
    async def forbidden(request: Request) -> "Any":
        return "no", 403

    @app.after_error_request
    async def after(request: Request, response: Response) -> None:
        seen.append(response.status_code)

    response = await client.get("/")
    assert (response.status_code, response.text, seen) == (403, "no", [403])

    @auth.errorhandler
    async def other(request: Request) -> "Any":
        return "other", 418

    response = await client.get("/")
    assert (response.status_code, response.text) == (418, "other")


async def test_token_in_another_header() -> None:
    app, _, client = make_token(header="X-Token")
    for name in ("X-Token", "x-token"):
        assert (await client.get("/", headers={name: "tökén"})).text == "ann"
    assert (await client.get("/", headers={"X-Token": "Bearer tökén"})).status_code == 401
    assert (await client.get("/", headers={"Authorization": "Bearer tökén"})).status_code == 401


async def test_the_name_of_the_header_has_no_case() -> None:
    # Contract 21 C28: Microdot takes the whole value, with the scheme, for the token.
    app, _, client = make_token(header="authorization", scheme="ToKen")
    assert (await client.get("/", headers={"Authorization": "token tökén"})).text == "ann"
    assert (await client.get("/", headers={"Authorization": "tökén"})).status_code == 401


async def test_decorators_leave_none() -> None:
    auth = TokenAuth()
    assert auth.authenticate(print) is None  # type: ignore[func-returns-value]
    assert auth.errorhandler(print) is None  # type: ignore[func-returns-value]


async def test_a_subclass_with_a_decorator_of_its_own() -> None:
    class Audited(TokenAuth):
        def __call__(self, f: "Any") -> "Any":  # type: ignore[override]  # as in programs for Microdot
            audited.append(f)
            return super().__call__(f)

    audited: "list[Any]" = []
    app = Microdot()
    auth = Audited()
    auth.authenticate(lambda request, token: token)
    app.get("/")(auth(lambda request: request.g.current_user))
    app.get("/optional")(auth.optional(lambda request: str(request.g.current_user)))
    client = TestClient(app)
    assert (await client.get("/")).status_code == 401
    assert (await client.get("/optional")).text == "None"
    assert (await client.get("/", headers={"Authorization": "Bearer ann"})).text == "ann"
    assert len(audited) == 1


def test_same() -> None:
    for a, b, equal in (
        ("", "", True),
        ("abc", "abc", True),
        ("abc", b"abc", True),
        ("é", "é", True),
        ("abc", "abd", False),
        ("abc", "ab", False),
        ("", "a", False),
        ("a", "", False),
        ("\0", "", False),
    ):
        assert same(a, b) is equal, (a, b)


async def test_limiter() -> None:
    limiter = Limiter(attempts=3, seconds=60)
    another = Limiter(3, 60)
    for used, client, good, bad in (
        (limiter, make_basic(limiter=limiter)[2], basic("ann:secret:of ann"), basic("ann:x")),
        (another, make_token(limiter=another)[2], {"Authorization": "Bearer tökén"}, {"Authorization": "Bearer x"}),
    ):
        for _ in range(5):  # who is right is not counted
            assert (await client.get("/", headers=good)).status_code == 200
        for _ in range(5):  # nor who does not try
            assert (await client.get("/")).status_code == 401
        for _ in range(3):
            assert (await client.get("/", headers=bad)).status_code == 401
        for headers in (bad, good):
            response = await client.get("/", headers=headers)
            assert response.status_code == 429
            assert 0 < int(response.headers["Retry-After"]) <= 21, response.headers
        assert (await client.get("/")).status_code == 401
        # Twenty seconds later one more is allowed.
        used.until = [until - 20 for until in used.until]
        assert (await client.get("/", headers=good)).status_code == 200
        assert (await client.get("/", headers=bad)).status_code == 401
        assert (await client.get("/", headers=good)).status_code == 429


async def test_limiter_counts_what_is_under_way() -> None:
    app = Microdot()
    auth = BasicAuth(limiter=Limiter())
    tried: "list[str]" = []

    @auth.authenticate
    async def check(request: Request, username: str, password: str) -> "Any":
        tried.append(password)
        await asyncio.sleep(0.01)
        return username == password

    @app.get("/")
    @auth
    async def index(request: Request) -> str:
        return "in"

    async def status(credentials: str) -> "Any":
        return (await TestClient(app).get("/", headers=basic(credentials))).status_code

    # A page with many pictures: a browser asks for six at once.
    assert await asyncio.gather(*[status("ann:ann") for _ in range(6)]) == [200] * 6
    # So many guesses at once that none has failed yet.
    tried.clear()
    statuses = await asyncio.gather(*[status("ann:%d" % n) for n in range(40)])
    assert len(tried) == 10 and sorted(statuses) == [401] * 10 + [429] * 30, statuses


def test_limiter_is_of_fixed_size() -> None:
    limiter = Limiter(attempts=2, seconds=60, slots=8)
    assert limiter.attempt("victim") == limiter.attempt("victim") == 0
    for i in range(500):
        limiter.attempt("somebody" + str(i))
    assert len(limiter.until) == 8
    assert limiter.attempt("victim") > 0


def test_limiter_does_not_count_ports() -> None:
    limiter = Limiter(attempts=2)
    assert limiter.attempt(("10.0.0.1", 1)) == limiter.attempt(("10.0.0.1", 2)) == 0
    assert limiter.attempt(("10.0.0.1", 3)) > 0
    assert Limiter().attempt(None) == 0


def test_limiter_survives_a_clock_that_is_set() -> None:
    limiter = Limiter(attempts=2, seconds=60, slots=1)
    limiter.attempt("a")
    limiter.until[0] += 1000000  # as if the clock had been set back
    assert 0 < limiter.attempt("a") <= 31
    limiter.until[0] = 0  # as if it had been set forward
    assert limiter.attempt("a") == 0


def test_limiter_forgives_no_more_than_there_was() -> None:
    limiter = Limiter(attempts=2, seconds=60, slots=1)
    for _ in range(50):
        limiter.attempt("a", -1)
    assert limiter.attempt("a") == limiter.attempt("a") == 0
    assert limiter.attempt("a") > 0


def test_limiter_counts_in_whole_seconds() -> None:
    # The floats of most boards have 24 bits: beside the seconds since 1970 or 2000, six more are nothing.
    class Clock:
        @staticmethod
        def time() -> int:
            return 850000000

    passwords: "Any" = sys.modules["microdot.passwords"]
    real = passwords.time
    passwords.time = Clock
    try:
        for attempts, seconds, wait in ((10, 60, 7), (7, 60, 9), (100, 60, 2), (1, 60, 61)):
            limiter = Limiter(attempts, seconds, slots=1)
            assert [limiter.attempt("a") for _ in range(attempts)] == [0] * attempts, attempts
            assert limiter.attempt("a") == wait, attempts
            assert isinstance(limiter.until[0], int) and limiter.until[0] > Clock.time(), attempts
    finally:
        passwords.time = real
