"""The cookies that sessions are sent in: what `Response.set_cookie()` refuses (RFC 6265bis), and what goes out with an error.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Response, abort
from microdot.replies import send_cookie
from microdot.session import Session
from microdot.test_client import TestClient
from support.checks import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def cookie(*args: "Any", **options: "Any") -> "Any":
    """Return the Set-Cookie line, or raise what set_cookie() raises; nothing may be added then."""
    response = Response()
    try:
        response.set_cookie(*args, **options)
    except ValueError:
        assert "Set-Cookie" not in response.headers
        raise
    (line,) = response.headers["Set-Cookie"]
    return line


def test_nothing_breaks_out_of_its_place() -> None:
    # Contract 21 B2, RELIABILITY I2: Microdot looks at the value alone.
    for args, options in (
        (("a;b", "c"), {}),
        (("a=b", "c"), {}),
        (("a b", "c"), {}),
        (("", "c"), {}),
        (("a,b", "c"), {}),
        (("é", "c"), {}),
        (("a\r\nX", "c"), {}),
        (("a", "b; Path=/"), {}),
        (("a", "b\r\nX: y"), {}),
        (("a", "b\0"), {}),
        (("a", "b"), {"path": "/; Domain=evil.example"}),
        (("a", "b"), {"path": "/\nX: y"}),
        (("a", "b"), {"domain": "a; Secure"}),
        (("a", "b"), {"domain": "a\rb"}),
        (("a", "b"), {"expires": "never; Secure"}),
        (("a", "b"), {"same_site": "Lax; Secure"}),
        (("a", "b"), {"same_site": "Loose"}),
    ):
        raised(ValueError, lambda: cookie(*args, **options))


def test_prefixes_mean_what_browsers_check() -> None:
    # RFC 6265bis 4.1.3: a browser drops such a cookie without a word.
    for name in ("__Host-id", "__host-ID", "__HOST-a"):
        assert cookie(name, "1", path="/", secure=True).startswith(name + "=1; Path=/; Secure")
        for options in ({"path": "/"}, {"secure": True}, {"path": "/a", "secure": True}, {"path": "/", "secure": True, "domain": "a.b"}):
            raised(ValueError, lambda: cookie(name, "1", **options))
    for name in ("__Secure-id", "__secure-id"):
        assert "Secure" in cookie(name, "1", secure=True)
        raised(ValueError, lambda: cookie(name, "1"))


def test_4096_bytes_are_the_limit() -> None:
    assert len(cookie("a", "x" * 4094)) == 4096
    raised(ValueError, lambda: cookie("a", "x" * 4095))
    raised(ValueError, lambda: cookie("a", "x" * 4080, path="/somewhere"))


async def test_cookies_of_the_session_s_kind() -> None:
    app = Microdot()
    session_ext = Session(app, secret_key="k" * 32, cookie_options={"secure": True, "same_site": "Strict"})

    @app.get("/")
    async def index(request: "Any") -> str:
        session_ext.set_cookie(request, "__Host-theme", "light")
        session_ext.set_cookie(request, "__Host-theme", "dark", max_age=60)
        session_ext.set_cookie(request, "old", "", same_site="Lax")
        return ""

    lines = (await TestClient(app).get("/")).headers["Set-Cookie"]
    assert sorted(lines) == [
        "__Host-theme=dark; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Strict",
        "old=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
    ], lines


async def test_cookies_go_out_whatever_the_request_ends_in() -> None:
    app = Microdot()  # without a session or a hook

    @app.get("/<path:ending>")
    async def index(request: "Any", ending: str) -> "Any":
        send_cookie(request, "a", "1", path="/")
        send_cookie(request, "b", "2")
        send_cookie(request, "a", "3", path="/x")
        if ending == "refused":
            send_cookie(request, "a", "4;5")
        if ending == "forgotten":
            send_cookie(request, "a", "", path="/x")
        if ending == "abort":
            abort(403)
        return "", {"Set-Cookie": ["c=own"] if ending == "list" else "c=own"}

    for ending, status, expected in (
        ("text", 200, ["a=3; Path=/x", "b=2", "c=own"]),
        ("list", 200, ["a=3; Path=/x", "b=2", "c=own"]),
        ("abort", 403, ["a=3; Path=/x", "b=2"]),
        # What is refused is sent by no other value either, and the rest is.
        ("refused", 500, ["b=2"]),
        ("forgotten", 200, ["a=; Path=/x; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0", "b=2", "c=own"]),
    ):
        response = await TestClient(app).get("/" + ending)
        assert response.status_code == status, ending
        assert sorted(response.headers["Set-Cookie"]) == expected, (ending, response.headers["Set-Cookie"])
    assert "; Secure" in (await TestClient(app, scheme="https").get("/abort")).headers["Set-Cookie"][0]
