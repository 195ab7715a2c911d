"""What a client can do to a program on Microdot 2.7, and cannot do here.

Contract section 21: A1 to A3, all of B, and the C rows of sessions, authentication, logins, CORS, CSRF and uploads. Every
test here uses only the interface of Microdot 2.7, so the same file runs there, and **each of these tests fails there**:
tried with Microdot 2.7.0 and PyJWT 2.15 on CPython 3.11, one process and ten seconds for each test.

| row | test | what happens there |
|---|---|---|
| A1 | `test_a1_forms_that_break_off`, `test_a1_quoted_boundary`, `test_a1_parameter_behind_the_boundary` | the process spins for ever |
| A2 | `test_a2_files_of_every_size` | some files swallow the field behind them |
| A2 | `test_a2_last_file_of_every_size` | spins for ever |
| A3 | `test_a3_boundary_inside_a_line` | the file ends there |
| B1 | `test_b1_header_injection` | the client's text is a header |
| B2 | `test_b2_cookie_attribute_injection` | the same with cookies' attributes |
| B3 | `test_b3_open_redirect`, `test_b3_line_ends_in_next` | `//evil.example`; 500 |
| B4 | `test_b4_remember_cookie`, `test_b4_remembered_as_long_as_asked` | no attributes; 7 days become 30 |
| B5 | `test_b5_a_session_is_no_remember_cookie`, `test_b5_a_remember_cookie_is_no_session` | each passes for the other |
| B6 | `test_b6_copied_cookies_can_be_revoked` | valid for ever |
| B7 | `test_b7a_cors_given_to_the_constructor` … `test_b7d_web_sockets_of_other_sites` | forgotten, 403, 500, and the pages of the site itself refused |
| B8 | `test_b8_everybody_has_no_credentials`, `test_b8_a_str_is_no_list`, `test_b8_preflight_tells_outsiders_nothing` | any page acts in the user's name |
| B9 | `test_b9_framing` | two servers read different requests |
| B10 | `test_b10_paths_of_all_hosts` | each host has another path |
| B11 | `test_b11_static_text` | is a regular expression |
| B12 | `test_b12_options_pass_before_handlers` | around authentication |
| B13 | `test_b13_temporary_files` | stays behind |
| B14 | `test_b14_events`, `test_b14_frames` | fields of the client's own; frames without a mask |
| B16 | `test_b16_realm` | not escaped |
| B17 | `test_b17_bodies_without_a_length` | no limit under ASGI |
| B18 | `test_b18_malformed_bodies` | 500 |
| C2, C20, C21, C26, C28, C30, C32, 0.17 | `test_c2_plus` … `test_c32_without_an_options_handler`, `test_017_sessions_saved_before_an_error` | |

Not here: B15 is about a helper that Microdot's distribution does not have (its MicroPython `jwt.py`);
`test_b15_tokens_without_an_algorithm` holds it, and passes there with PyJWT. Of B8, that refused origins get no `Vary`
is kept, because programs' tests pin it.

Portable: CPython and MicroPython.
"""

import asyncio
import os
from binascii import a2b_base64, b2a_base64

from microdot import Microdot, Request, Response, redirect, send_file
from microdot.auth import BasicAuth, TokenAuth
from microdot.cors import CORS
from microdot.csrf import CSRF
from microdot.login import Login
from microdot.microdot import urlencode
from microdot.multipart import FormDataIter, with_form_data
from microdot.session import Session, with_session
from microdot.sse import with_sse
from microdot.test_client import TestClient
from microdot.websocket import with_websocket
from support.checks import CPYTHON
from support.loopback import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from microdot.auth import BaseAuth

KEY = "0123456789abcdef0123456789abcdef"
FIELD = b'--boundary\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
FILE = b'--boundary\r\nContent-Disposition: form-data; name="%s"; filename="f.bin"\r\n\r\n%s\r\n'
END = b"--boundary--\r\n"


def json_of(token: str) -> str:
    """Return the payload of a token, as text."""
    part = token.split(".")[1].replace("-", "+").replace("_", "/")
    return a2b_base64(part + "=" * (-len(part) % 4)).decode()


def names_of(cookies: "list[str]") -> "list[str]":
    return sorted([cookie.split("=")[0] for cookie in cookies])


def form_type(boundary: str = "boundary") -> "dict[str, str]":
    """Return the header of a form; a new dict for each request, because Microdot's test client adds to it."""
    return {"Content-Type": "multipart/form-data; boundary=" + boundary}


# --- A: uploads -----------------------------------------------------------------------------------------------------


def form_app() -> TestClient:
    app = Microdot()

    @app.post("/form")
    @with_form_data
    async def form(request: Request) -> "Any":
        form = request.form or {}
        found = {name: form[name] for name in form}
        for name in request.files or {}:
            found[name] = len(await request.files[name].read())
        return found

    @app.post("/iterate")
    async def iterate(request: Request) -> "Any":
        found = []
        async for name, value in FormDataIter(request):
            found.append([name, value if isinstance(value, str) else len(await value.read())])
        return found

    return TestClient(app)


async def test_a1_forms_that_break_off() -> None:
    client = form_app()
    whole = FIELD % (b"a", b"1") + FILE % (b"f", b"content")
    bodies = [b"abc", b"", b"--boundar", b"--boundary", whole, whole[:40], whole[:70], whole[:-1], whole + b"--boundary-"]
    for path in ("/form", "/iterate"):
        for body in bodies:
            response = await client.post(path, form_type(), body)
            assert response.status_code == 400, body
        assert (await client.post(path, form_type("other"), whole + END)).status_code == 400


async def test_a1_quoted_boundary() -> None:
    response = await form_app().post("/form", form_type('"boundary"'), FIELD % (b"a", b"1") + END)
    assert (response.status_code, response.json) == (200, {"a": "1"})


async def test_a1_parameter_behind_the_boundary() -> None:
    response = await form_app().post("/form", form_type("boundary; charset=utf-8"), FIELD % (b"a", b"1") + END)
    assert (response.status_code, response.json) == (200, {"a": "1"})


async def test_a2_files_of_every_size() -> None:
    client = form_app()
    for size in (0, 1, 255, 256, 257, 258, 260, 265, 266, 273, 525, 533, 549, 793, 801, 1061, 1071):
        body = FILE % (b"f", b"x" * size) + FIELD % (b"a", b"1") + FIELD % (b"b", b"2") + END
        assert (await client.post("/form", form_type(), body)).json == {"f": size, "a": "1", "b": "2"}, size
        assert (await client.post("/iterate", form_type(), body)).json == [["f", size], ["a", "1"], ["b", "2"]], size


async def test_a2_last_file_of_every_size() -> None:
    client = form_app()
    for size in range(255, 275):
        body = FIELD % (b"a", b"1") + FILE % (b"f", b"x" * size) + END
        assert (await client.post("/form", form_type(), body)).json == {"f": size, "a": "1"}, size


async def test_a3_boundary_inside_a_line() -> None:
    content = b"one --boundary two\r\n--boundar three"
    body = FILE % (b"f", content) + FIELD % (b"a", b"1") + END
    response = await form_app().post("/form", form_type(), body)
    assert (response.status_code, response.json) == (200, {"f": len(content), "a": "1"})


# --- B: security ----------------------------------------------------------------------------------------------------

INJECTED = "a\r\nX-Injected: yes"


async def test_b1_header_injection() -> None:
    app = Microdot()
    path = "defects.tmp"

    @app.get("/header")
    async def header(request: Request) -> "Any":
        return "x", 200, {"X-Header": INJECTED}

    @app.get("/later")
    async def later(request: Request) -> Response:
        response = Response("x")
        response.headers["X-Header"] = INJECTED
        return response

    @app.get("/type")
    async def content_type(request: Request) -> "Any":
        return send_file(path, content_type="text/plain" + INJECTED)

    @app.get("/reason")
    async def reason(request: Request) -> Response:
        return Response("x", reason=INJECTED)

    with open(path, "wb") as file:
        file.write(b"x")
    try:
        async with Running(app) as server:
            broken = []
            for name in ("header", "later", "type", "reason"):
                answer = await server.send(b"GET /%s HTTP/1.0\r\nHost: a\r\n\r\n" % name.encode())
                if b"\nX-Injected:" in answer:
                    broken.append(name)
            assert broken == [], broken
    finally:
        os.remove(path)


def test_b2_cookie_attribute_injection() -> None:
    broken = []
    for name, options in (
        ("a; Domain=evil.example; b", {}),
        ("a", {"path": "/; Domain=evil.example"}),
        ("a", {"domain": "good.example; Domain=evil.example"}),
        ("a", {"expires": "never; Domain=evil.example"}),
    ):
        response = Response("")
        try:
            response.set_cookie(name, "value", **options)  # type: ignore[arg-type]  # a table of keyword arguments
        except ValueError:
            pass
        if "Domain=evil.example" in str(response.headers.get("Set-Cookie")):
            broken.append((name, options))
    assert broken == [], broken


class User:
    """A user as programs have them."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.login_version = 1


def login_app() -> "tuple[Microdot, dict[str, User]]":
    app = Microdot()
    Session(app, secret_key=KEY)
    login = Login()
    users = {"ann": User("ann")}

    @login.user_loader
    async def load(user_id: str) -> "User | None":
        return users.get(user_id)

    @app.post("/login")
    async def log_in(request: Request) -> "Any":
        return await login.login_user(request, users["ann"], remember=7)

    @app.get("/")
    @login
    async def index(request: Request) -> str:
        return str(request.g.current_user.id)

    @app.post("/name")
    @with_session
    async def name(request: Request, session: "Any") -> str:
        session["user_id"] = request.json["user_id"]  # as programs do, with a name that the client chooses
        session.save()
        return ""

    @app.get("/session")
    @with_session
    async def show(request: Request, session: "Any") -> "Any":
        return [key for key in session]

    return app, users


async def test_b3_open_redirect() -> None:
    app, _ = login_app()
    for url in ("//evil.example", "/%5Cevil.example", "/%5C/evil.example", "/%09/evil.example", "%09//evil.example"):
        response = await TestClient(app).post("/login?next=" + url)
        assert (response.status_code, response.headers["Location"]) == (302, "/"), url


async def test_b3_line_ends_in_next() -> None:
    app, _ = login_app()
    for url in ("/%0d%0aX-Injected:%20yes", "/%0a/evil.example"):
        response = await TestClient(app).post("/login?next=" + url)
        assert (response.status_code, response.headers["Location"]) == (302, "/"), url


async def test_b4_remember_cookie() -> None:
    app, _ = login_app()
    for scheme in ("http", "https"):
        response = await TestClient(app, scheme=scheme).post("/login")
        (cookie,) = [cookie for cookie in response.headers["Set-Cookie"] if cookie.startswith("_remember=")]
        attributes = cookie.split("; ")
        assert "HttpOnly" in attributes and "Path=/" in attributes and "SameSite=Lax" in attributes, cookie
        assert ("Secure" in attributes) is (scheme == "https"), cookie


async def test_b4_remembered_as_long_as_asked() -> None:
    app, _ = login_app()
    client = TestClient(app)
    await client.post("/login")
    del client.cookies["session"]
    response = await client.get("/")
    assert response.text == "ann"
    (cookie,) = [cookie for cookie in response.headers["Set-Cookie"] if cookie.startswith("_remember=")]
    assert "Max-Age=%d" % (7 * 86400) in cookie.split("; "), cookie


async def test_b5_a_session_is_no_remember_cookie() -> None:
    app, _ = login_app()
    client = TestClient(app)
    await client.post("/name", body={"user_id": "ann"})
    response = await TestClient(app, cookies={"_remember": client.cookies["session"]}).get("/")
    assert response.status_code == 302, "logged in with a name that anybody may choose"


async def test_b5_a_remember_cookie_is_no_session() -> None:
    app, _ = login_app()
    client = TestClient(app)
    await client.post("/login")
    cookie = client.cookies["_remember"]
    response = await TestClient(app, cookies={"session": cookie if isinstance(cookie, str) else cookie[0]}).get("/session")
    assert response.json == []


async def test_b6_copied_cookies_can_be_revoked() -> None:
    app, users = login_app()
    client = TestClient(app)
    await client.post("/login")
    copied = dict(client.cookies)
    users["ann"].login_version += 1  # docs/guide/login.md: what a program does at logout
    for name in copied:
        response = await TestClient(app, cookies={name: copied[name]}).get("/")
        assert response.status_code == 302, name


def csrf_app(csrf: CSRF) -> Microdot:
    app = Microdot()
    csrf.initialize(app)

    @app.post("/")
    async def index(request: Request) -> str:
        return "done"

    @app.get("/socket")
    @csrf.protect
    @with_websocket
    async def socket(request: Request, ws: "Any") -> None:
        await ws.send(await ws.receive())

    @app.get("/unprotected")
    @with_websocket
    async def unprotected(request: Request, ws: "Any") -> None:
        await ws.send(await ws.receive())

    return app


async def test_b7a_cors_given_to_the_constructor() -> None:
    app = csrf_app(CSRF(cors=CORS(allowed_origins=["https://good.example"])))
    response = await TestClient(app).post("/", {"Sec-Fetch-Site": "cross-site", "Origin": "https://good.example"})
    assert response.status_code == 200


async def test_b7b_forms_of_the_site_itself() -> None:
    # Browsers send no Sec-Fetch-Site over plain HTTP.
    client = TestClient(csrf_app(CSRF()), host="board.local:5000")
    assert (await client.post("/", {"Origin": "http://board.local:5000"})).status_code == 200
    for origin in ("http://evil.example", "http://board.local", "http://board.local:5001", "ftp://board.local:5000"):
        assert (await client.post("/", {"Origin": origin})).status_code == 403, origin


async def test_b7c_null_is_refused() -> None:
    for origins in (["https://good.example"], None):
        csrf = CSRF(allow_subdomains=True)
        app = csrf_app(csrf)
        csrf.cors = CORS(allowed_origins=origins)
        for headers in ({"Origin": "null"}, {"Sec-Fetch-Site": "cross-site", "Origin": "null"}):
            assert (await TestClient(app).post("/", headers)).status_code == 403, origins


async def test_b7c_what_is_no_host() -> None:
    # RELIABILITY C2.
    csrf = CSRF(allow_subdomains=True)
    app = csrf_app(csrf)
    csrf.cors = CORS(allowed_origins=["https://good.example"])
    for origin in ("https://evil/.good.example", "https://evil?.good.example", "https://evil#.good.example"):
        assert (await TestClient(app).post("/", {"Origin": origin})).status_code == 403, origin


async def test_b7d_web_sockets_of_other_sites() -> None:
    app = csrf_app(CSRF())
    results: "list[Any]" = []

    def peer() -> "Any":
        results.append((yield "hello"))

    client = TestClient(app, host="board.local")
    for path in ("/unprotected", "/socket"):
        for origin, expected in (("http://evil.example", 0), ("null", 0), ("http://board.local", 1)):
            results.clear()
            await client.websocket(path, peer, headers={"Origin": origin})
            assert len(results) == expected, (path, origin)


def cors_app(cors: CORS) -> TestClient:
    app = Microdot()
    cors.initialize(app)

    @app.get("/")
    async def index(request: Request) -> str:
        return "x"

    return TestClient(app)


async def test_b8_everybody_has_no_credentials() -> None:
    cors = CORS(allowed_origins="*")
    client = cors_app(cors)
    cors.allow_credentials = True
    response = await client.get("/", {"Origin": "https://evil.example"})
    assert response.status_code == 200
    assert "Access-Control-Allow-Credentials" not in response.headers, response.headers


async def test_b8_a_str_is_no_list() -> None:
    try:
        client = cors_app(CORS(allowed_origins="https://a.com"))
    except ValueError:
        return
    response = await client.get("/", {"Origin": "https://a.co"})
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_b8_preflight_tells_outsiders_nothing() -> None:
    client = cors_app(CORS(allowed_origins=["https://good.example"], expose_headers=["X-Own"], max_age=60))
    headers = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "X-Test",
    }
    response = await client.request("OPTIONS", "/", headers)
    told = [name for name in response.headers if name.lower().startswith("access-control-") or name.lower() == "allow"]
    assert told == [], told


async def test_b9_framing() -> None:
    app = Microdot()
    seen: "list[bytes]" = []

    @app.post("/")
    async def post(request: Request) -> str:
        seen.append(request.body)
        return "x"

    accepted = []
    async with Running(app) as server:
        for case, head in (
            ("two lengths", b"Content-Length: 3\r\nContent-Length: 5\r\n"),
            ("plus", b"Content-Length: +5\r\n"),
            ("underscore", b"Content-Length: 0_5\r\n"),
            ("blank before the colon", b"Content-Length : 5\r\n"),
            ("folded", b"X-Folded: a\r\n Content-Length: 5\r\n"),
            ("two framings", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ):
            connection = await server.connect()
            await connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + head + b"\r\nhello")
            answer = await connection.read(200)
            await connection.close()
            if answer.split(b" ")[1] != b"400":
                accepted.append(case)
        seen.clear()
        await server.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        if seen != [b"hello"]:
            accepted.append("chunks as an empty body")
        seen.clear()
        # A head that ends with the connection.
        connection = await server.connect()
        connection.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n")
        await connection.writer.drain()
        if CPYTHON:
            connection.writer.write_eof()
        await connection.close()
        await asyncio.sleep(0.1)
        if seen:
            accepted.append("half a head")
    assert accepted == [], accepted


async def test_b10_paths_of_all_hosts() -> None:
    path = "/a%2Fb%3Fc"
    paths: "list[tuple[str, str | None]]" = []

    def register(app: Microdot) -> "Any":
        @app.get("/<path:rest>")
        async def index(request: Request, rest: str) -> str:
            paths.append((request.path, request.query_string))
            return "x"

        return app

    async with Running(register(Microdot())) as server:
        await server.send(b"GET %s HTTP/1.0\r\nHost: a\r\n\r\n" % path.encode())
    if CPYTHON:
        import io

        from microdot.asgi import Microdot as AsgiMicrodot
        from microdot.wsgi import Microdot as WsgiMicrodot

        messages: "list[Any]" = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> "Any":
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: "Any") -> None:
            pass

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/a/b?c",
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"a")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        await register(AsgiMicrodot())(scope, receive, send)
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/a/b?c",
            "REQUEST_URI": path,
            "RAW_URI": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "a",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "1",
            "HTTP_HOST": "a",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        app = register(WsgiMicrodot())
        await asyncio.get_running_loop().run_in_executor(None, lambda: list(app(environ, lambda *args: None)))
    assert paths == [(path, None)] * (3 if CPYTHON else 1), paths


async def test_b11_static_text() -> None:
    app = Microdot()

    @app.get("/a.b")
    async def index(request: Request) -> str:
        return "x"

    assert (await TestClient(app).get("/a.b")).status_code == 200
    assert (await TestClient(app).get("/aXb")).status_code == 404


async def test_b12_options_pass_before_handlers() -> None:
    app = Microdot()

    @app.before_request
    async def authenticate(request: Request) -> "Any":
        return "no", 401

    @app.route("/secret", methods=["DELETE"])
    async def secret(request: Request) -> str:
        return "x"

    response = await TestClient(app).request("OPTIONS", "/secret")
    assert response.status_code == 401 and "Allow" not in response.headers


async def test_b13_temporary_files() -> None:
    # The second part is malformed, when the first one has been copied.
    before = sorted(os.listdir("."))
    body = FILE % (b"f", b"x" * 5000) + b"--boundary\r\nContent-Disposition: nonsense\r\n\r\nx\r\n" + END
    response = await form_app().post("/form", form_type(), body)
    left = [name for name in os.listdir(".") if name not in before]
    for name in left:
        os.remove(name)
    assert (response.status_code, left) == (400, [])


async def test_b14_events() -> None:
    app = Microdot()

    @app.get("/")
    @with_sse
    async def events(request: Request, sse: "Any") -> None:
        await sse.send("a\nevent: injected\n\ndata: b")
        for options in ({"event": "x\ndata: injected"}, {"event_id": "1\ndata: injected"}):
            try:
                await sse.send("c", **options)
            except ValueError:
                pass
        await sse.send("d")

    response = await TestClient(app).get("/")
    body = response.body or b""
    assert b"\nevent: injected" not in body and b"\ndata: injected" not in body, body
    assert response.events and response.events[0]["data"] == b"a\nevent: injected\n\ndata: b", response.events


async def test_b14_frames() -> None:
    app = Microdot()
    received: "list[Any]" = []

    @app.get("/socket")
    @with_websocket
    async def socket(request: Request, ws: "Any") -> None:
        received.append(await ws.receive())

    handshake = (
        b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    accepted = []
    async with Running(app) as server:
        for case, frame in (
            ("no mask", b"\x81\x02hi"),
            ("a reserved bit", b"\xc1\x82\0\0\0\0hi"),
            ("a reserved opcode", b"\x83\x82\0\0\0\0hi"),
        ):
            connection = await server.connect()
            try:
                await connection.send(handshake)
                assert (await connection.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
                await connection.send(frame)
                await connection.read(100)
            finally:
                await connection.close()
            await asyncio.sleep(0.1)
            if received:
                accepted.append(case)
            received.clear()
    assert accepted == [], accepted


async def test_b15_tokens_without_an_algorithm() -> None:
    app, _ = login_app()
    for header in (b"{}", b'{"typ": "JWT"}', b"[]", b"null"):
        token = b2a_base64(header).strip().decode().rstrip("=") + ".e30.AAAA"
        response = await TestClient(app, cookies={"session": token}).get("/session")
        assert (response.status_code, response.json) == (200, []), header


async def test_b16_realm() -> None:
    app = Microdot()
    auth = BasicAuth(realm='the "green" house\\')

    @app.get("/")
    @auth
    async def index(request: Request) -> str:
        return "x"

    response = await TestClient(app).get("/")
    assert 'realm="the \\"green\\" house\\\\"' in response.headers["WWW-Authenticate"]


async def test_b17_bodies_without_a_length() -> None:
    if CPYTHON:  # ASGI
        from microdot.asgi import Microdot as AsgiMicrodot

        app = AsgiMicrodot()
        seen: "list[int]" = []
        statuses: "list[int]" = []

        @app.post("/")
        async def index(request: Request) -> str:
            seen.append(len(request.body))
            return "x"

        messages: "list[Any]" = [{"type": "http.request", "body": b"x" * 10000, "more_body": n < 9} for n in range(10)]

        async def receive() -> "Any":
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: "Any") -> None:
            statuses.append(message.get("status"))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"a"), (b"transfer-encoding", b"chunked")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        await app(scope, receive, send)
        assert (statuses[0], seen) == (413, [])
    app2 = Microdot()

    @app2.post("/")
    async def index2(request: Request) -> str:
        return str(len(request.body))

    async with Running(app2) as server:
        chunks = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await server.send(head + chunks * 5 + b"0\r\n\r\n")).split(b" ")[1] == b"413"


async def test_b18_malformed_bodies() -> None:
    app = Microdot()

    @app.post("/")
    async def index(request: Request) -> "Any":
        return {"json": request.json, "form": request.form}

    client = TestClient(app)
    for kind, body in (("application/json", b"{'a': 1}"), ("application/x-www-form-urlencoded", b"a=%zz")):
        assert (await client.post("/", {"Content-Type": kind}, body)).status_code == 400, kind


# --- C and 0: the rows of these packages ----------------------------------------------------------------------------


def test_c2_plus() -> None:
    assert urlencode("a+b") == "a%2Bb"


async def test_c20_names_of_claims() -> None:
    for data in ({"aud": "x"}, {"sub": 5}, {"exp": 1}, {"nbf": 1 << 40}, {"iat": "then"}, {"iss": 1}, {"jti": 1}):
        app = Microdot()
        Session(app, secret_key=KEY)

        @app.post("/")
        @with_session
        async def save(request: Request, session: "Any") -> str:
            session.update(request.json)
            session.save()
            return ""

        @app.get("/")
        @with_session
        async def show(request: Request, session: "Any") -> "Any":
            return {key: session[key] for key in session}

        client = TestClient(app)
        await client.post("/", body=data)
        assert (await client.get("/")).json == data, data


async def test_c21_many_saves_and_large_sessions() -> None:
    app = Microdot()
    Session(app, secret_key=KEY)

    @app.get("/<int:size>")
    @with_session
    async def save(request: Request, session: "Any", size: int) -> str:
        session.save()
        session["a"] = "x" * size
        session.save()
        return ""

    response = await TestClient(app).get("/1")
    assert names_of(response.headers["Set-Cookie"]) == ["session"]
    # A browser would drop it without a word.
    response = await TestClient(app).get("/5000")
    assert response.status_code == 500 and "Set-Cookie" not in response.headers


async def test_c26_repeated_fields() -> None:
    app = Microdot()

    @app.post("/")
    @with_form_data
    async def index(request: Request) -> "Any":
        every = request.form_data
        return [request.form["a"], every.getlist("a"), len(every.getlist("f"))]

    body = FIELD % (b"a", b"1") + FILE % (b"f", b"x") + FIELD % (b"a", b"2") + FILE % (b"f", b"y") + END
    assert (await TestClient(app).post("/", form_type(), body)).json == ["2", ["1", "2"], 2]


async def test_c26_plain_functions_leave_the_loop_alone() -> None:
    if not CPYTHON:
        return  # boards have no threads for them
    import threading

    app = Microdot()
    threads = []

    @app.post("/")
    @with_form_data
    def index(request: Request) -> str:
        threads.append(threading.get_ident())
        return ""

    await TestClient(app).post("/", form_type(), FIELD % (b"a", b"1") + END)
    assert len(threads) == 1 and threads[0] != threading.get_ident()


async def test_c28_names_and_schemes_have_no_case() -> None:
    kinds: "list[tuple[BaseAuth, str]]" = [
        (TokenAuth(header="authorization"), "Bearer token"),
        (BasicAuth(), "basic " + b2a_base64(b"ann:token").strip().decode()),
    ]
    for auth, value in kinds:
        app = Microdot()

        async def check(request: Request, *credentials: str) -> bool:
            return credentials[-1] == "token"

        auth.authenticate(check)

        @app.get("/")
        @auth
        async def index(request: Request) -> str:
            return "x"

        assert (await TestClient(app).get("/", {"Authorization": value})).text == "x", value


async def test_c30_vary() -> None:
    app = Microdot()
    Session(app, secret_key=KEY)

    @app.get("/")
    @with_session
    async def index(request: Request, session: "Any") -> "Any":
        return "x", 200, {"Vary": "cookie"}

    response = await TestClient(app).get("/")
    assert response.headers["Vary"].lower() == "cookie", response.headers


async def test_c32_without_an_options_handler() -> None:
    app = Microdot()
    app.options_handler = None
    CORS(app, allowed_origins=["https://good.example"])

    @app.route("/", methods=["OPTIONS"])
    async def options(request: Request) -> str:
        return "mine"

    assert (await TestClient(app).request("OPTIONS", "/", {"Origin": "https://good.example"})).text == "mine"


async def test_017_sessions_saved_before_an_error() -> None:
    app = Microdot()
    Session(app, secret_key=KEY)

    @app.get("/")
    @with_session
    async def index(request: Request, session: "Any") -> None:
        session["a"] = 1
        session.save()
        app.abort(401)

    client = TestClient(app)
    assert (await client.get("/")).status_code == 401
    assert '"a": 1' in json_of(client.cookies["session"]) or '"a":1' in json_of(client.cookies["session"])


async def test_j8_tokens_are_asked_for() -> None:
    # RELIABILITY J8; RFC 9110 15.5.2.
    app = Microdot()
    auth = TokenAuth()

    @app.get("/")
    @auth
    async def index(request: Request) -> "Any":
        return redirect("/")

    response = await TestClient(app).get("/")
    assert response.status_code == 401 and response.headers.get("WWW-Authenticate", "").lower().startswith("bearer")
