"""Logins: who gets in, where they are sent, what is remembered, and what ends it.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request
from microdot.login import Login, is_local
from microdot.session import Session, SessionDict, now, with_session
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEY = "k" * 32


class User:
    """A user as programs have them."""

    def __init__(self, id: "Any", login_version: "Any" = None) -> None:
        self.id = id
        if login_version is not None:
            self.login_version = login_version


def make(plain: bool = False, **options: "Any") -> "tuple[Microdot, dict[Any, User], TestClient]":
    app = Microdot()
    Session(app, secret_key=KEY, **options)
    login = Login()
    users = {"ann": User("ann"), "bob": User("bob"), 7: User(7), "": User("")}

    async def load(user_id: "Any") -> "User | None":
        return users.get(user_id)

    if plain:
        login.user_loader(lambda user_id: users.get(user_id))
    else:
        login.user_loader(load)

    @app.post("/login")
    async def log_in(request: Request) -> "Any":
        return await login.login_user(request, users[request.json["user"]], request.json.get("remember", False))

    @app.post("/login-there")
    async def log_in_there(request: Request) -> "Any":
        return await login.login_user(request, users["ann"], redirect_url="/home")

    @app.post("/logout")
    async def log_out(request: Request) -> str:
        await login.logout_user(request)
        assert await login.get_current_user(request) is None
        return "bye"

    @app.post("/logout-and-fail")
    async def log_out_and_fail(request: Request) -> None:
        await login.logout_user(request)
        raise ZeroDivisionError("on purpose")

    @app.get("/")
    @login
    async def index(request: Request) -> str:
        return str(request.g.current_user.id)

    @app.get("/who/<path:rest>")
    async def who(request: Request, rest: str) -> str:
        user = await login.get_current_user(request)
        assert user is await login.get_current_user(request)
        return str(user and user.id)

    @app.get("/fresh")
    @login.fresh
    def fresh(request: Request) -> str:
        return str(request.g.current_user.id)

    @app.post("/keep")
    @with_session
    async def keep(request: Request, session: SessionDict) -> "Any":
        session.update(request.json)
        session.save()
        return ""

    @app.get("/kept")
    @with_session
    async def kept(request: Request, session: SessionDict) -> "Any":
        return {key: session[key] for key in session if key[0] != "_"}

    return app, users, TestClient(app)


async def test_who_is_not_logged_in_is_sent_to_the_login_page() -> None:
    _, _, client = make()
    for path, location in (("/", "/login?next=/"), ("/?foo=bar", "/login?next=/%3Ffoo%3Dbar"), ("/fresh", "/login?next=/fresh")):
        response = await client.get(path)
        assert (response.status_code, response.text) == (302, "")
        assert response.headers["Location"] == location
    assert (await client.get("/who/x")).text == "None"


async def test_login_and_logout() -> None:
    for plain in (False, True):
        _, _, client = make(plain)
        response = await client.post("/login?next=/%3Ffoo=bar", body={"user": "ann"})
        assert (response.status_code, response.headers["Location"]) == (302, "/?foo=bar")
        assert len(response.headers["Set-Cookie"]) == 1
        for path in ("/", "/fresh", "/who/x"):
            assert (await client.get(path)).text == "ann"
        old = client.cookies["session"]
        response = await client.post("/logout")
        assert len(response.headers["Set-Cookie"]) == 1
        assert (await client.get("/")).status_code == 302 and client.cookies["session"] != old
        assert (await client.get("/who/x")).text == "None"


async def test_users_with_numbers() -> None:
    _, _, client = make()
    await client.post("/login", body={"user": 7, "remember": True})
    assert (await client.get("/")).text == "7"
    del client.cookies["session"]
    assert (await client.get("/")).text == "7"


async def test_an_empty_id_is_nobody() -> None:
    _, _, client = make()
    await client.post("/login", body={"user": ""})
    assert (await client.get("/who/x")).text == "None"


async def test_next_stays_on_this_site() -> None:
    # Contract 21 B3: Microdot goes to //evil.example, and answers 500 to line ends.
    _, _, client = make()
    for url in (
        "http://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\r\n/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/a\r\nSet-Cookie: a=b",
        "/a\x7f",
        "/a\x00",
        "javascript:alert(1)",
        "https:/evil.example",
        "evil.example",
        "?a",
        "",
    ):
        assert not is_local(url), url
        encoded = "".join(["%%%02x" % c for c in url.encode()])
        response = await client.post("/login?next=" + encoded, body={"user": "ann"})
        assert (response.status_code, response.headers["Location"]) == (302, "/"), url
        response = await client.post("/login-there?next=" + encoded)
        assert response.headers["Location"] == "/home", url
    for url, location in (
        ("/", "/"),
        ("/a/b?c=//d&e=http://f", "/a/b?c=//d&e=http://f"),
        ("/a//b", "/a//b"),
        ("/@evil.example", "/@evil.example"),
        ("/é b", "/%C3%A9%20b"),
        ("/a%20b?c=%26&d=[1]:'(x)*+!;$,#e~f-g_h.i", "/a%20b?c=%26&d=[1]:'(x)*+!;$,#e~f-g_h.i"),
        ("/<\"a|b^`{}>", "/%3C%22a%7Cb%5E%60%7B%7D%3E"),
    ):
        assert is_local(url)
        encoded = "".join(["%%%02x" % c for c in url.encode()])
        response = await client.post("/login?next=" + encoded, body={"user": "ann"})
        assert response.headers["Location"] == location
    assert (await client.post("/login", body={"user": "ann"})).headers["Location"] == "/"


def test_urls_of_clients_leave_nothing_behind() -> None:
    """MicroPython keeps every character that a loop over a str has seen, for ever: clients may know thousands."""
    gc: "Any" = __import__("gc")
    if not hasattr(gc, "mem_alloc"):
        return
    is_local("/")
    gc.collect()
    before = gc.mem_alloc()
    for number in range(0x4E00, 0x4E00 + 1000):
        assert is_local("/" + bytes((0xE0 | number >> 12, 0x80 | number >> 6 & 63, 0x80 | number & 63)).decode())
    gc.collect()
    assert gc.mem_alloc() - before < 500


async def test_nobody_is_remembered_unasked() -> None:
    app, _, client = make()
    response = await client.post("/login-there")
    assert sorted(client.cookies) == ["session"], client.cookies
    del client.cookies["session"]
    assert (await client.get("/")).status_code == 302


async def test_remember_me() -> None:
    for remember, seconds in ((True, 30 * 86400), (7, 7 * 86400), (0.5, 43200)):
        app, _, client = make()
        response = await client.post("/login", body={"user": "ann", "remember": remember})
        cookies = response.headers["Set-Cookie"]
        assert len(cookies) == 2
        cookie = [cookie for cookie in cookies if cookie.startswith("_remember=")][0]
        # Contract 21 B4, RELIABILITY J4.
        assert sorted(cookie.split("; ")[1:]) == ["HttpOnly", "Max-Age=%d" % seconds, "Path=/", "SameSite=Lax"], cookie
        # The browser was closed: who comes back is logged in, but not freshly, and is remembered as long as asked for.
        del client.cookies["session"]
        response = await client.get("/fresh")
        assert response.status_code == 302 and "Set-Cookie" not in response.headers
        response = await client.get("/")
        assert (response.status_code, response.text) == (200, "ann")
        renewed = [cookie for cookie in response.headers["Set-Cookie"] if cookie.startswith("_remember=")][0]
        assert "Max-Age=%d;" % seconds in renewed + ";", renewed
        assert len(response.headers["Set-Cookie"]) == 2
        assert (await client.get("/fresh")).status_code == 302
        assert "Set-Cookie" not in (await client.get("/")).headers
        # A login makes it fresh again.
        await client.post("/login", body={"user": "ann"})
        assert (await client.get("/fresh")).text == "ann"


async def test_remember_cookie_is_secure_on_tls_and_follows_the_session_s_options() -> None:
    app, _, _ = make(cookie_options={"path": "/x", "domain": "example.com", "http_only": False, "same_site": "Strict"})
    response = await TestClient(app, scheme="https").post("/login", body={"user": "ann", "remember": 1})
    for cookie in response.headers["Set-Cookie"]:
        for attribute in ("Path=/x", "Domain=example.com", "Secure", "SameSite=Strict"):
            assert attribute in cookie.split("; "), cookie
        assert ("HttpOnly" in cookie) is cookie.startswith("_remember="), cookie


async def test_remember_ends() -> None:
    app, _, client = make()
    await client.post("/login", body={"user": "ann", "remember": 7})
    token = app._session.decode(client.cookies["_remember"])
    assert 0 <= now() + 7 * 86400 - token["exp"] < 5 and token["days"] == 7
    token["exp"] = now() - 1
    client.cookies.clear()
    client.cookies["_remember"] = app._session.encode(token)
    assert (await client.get("/who/x")).text == "None"


async def test_logout_forgets_the_remember_cookie() -> None:
    for path in ("/logout", "/logout-and-fail"):
        app, _, client = make()
        await client.post("/login", body={"user": "ann", "remember": True})
        cookies = (await client.post(path)).headers["Set-Cookie"]
        gone = [cookie for cookie in cookies if cookie.startswith("_remember=")]
        assert len(cookies) == 2 and len(gone) == 1 and "Max-Age=0" in gone[0], cookies
        assert "_remember" not in client.cookies
        assert (await client.get("/who/x")).text == "None"


async def test_tokens_serve_their_own_purpose() -> None:
    # Contract 21 B5: with Microdot a session with a `user_id` is a remember token, and a remember token a session.
    app, _, client = make()
    await client.post("/login", body={"user": "bob", "remember": True})
    remember = client.cookies["_remember"]
    sessions: "list[dict[str, Any]]" = [
        {"user_id": "ann"},
        {"user_id": "ann", "days": 30, "exp": 1 << 40},
        {"_": {}, "remember": "ann", "days": 30, "version": None},
        {"remember": "ann", "days": 30},
        {"_": {}},
    ]
    for data in sessions:
        client.cookies.clear()
        await client.post("/keep", body=data)
        client.cookies = {"_remember": client.cookies["session"]}
        client = TestClient(app, client.cookies)
        assert (await client.get("/who/x")).text == "None", data
    client = TestClient(app, {"session": remember})
    assert (await client.get("/who/x")).text == "None"
    assert (await client.get("/kept")).json == {}
    # Nor does a token that a program has issued for something else, such as a link that resets a password.
    for token in ({"_": {}, "user_id": "ann", "exp": now() + 99}, {"_": {}, "reset": "ann"}, {"_user_id": "ann"}):
        client = TestClient(app, {"_remember": app._session.encode(token)})
        assert (await client.get("/who/x")).text == "None", token
    # What Microdot issued has no purpose, and is not taken: users log in once more.
    client = TestClient(app, {"_remember": app._session.encode({"user_id": "ann", "days": 30, "exp": now() + 99})})
    assert (await client.get("/who/x")).text == "None"
    for bad in ("", "x", "a.b.c", remember[:-1], remember + "x", "é"):
        assert (await TestClient(app, {"_remember": bad}).get("/who/x")).text == "None", bad


async def test_a_new_version_ends_every_login() -> None:
    # Contract 21 B6: with Microdot nothing ends a copied token.
    for before, after in ((None, 1), (1, 2), ("x", "y")):
        app, users, client = make()
        users["ann"] = User("ann", before)
        await client.post("/login", body={"user": "ann", "remember": True})
        copied = dict(client.cookies)
        assert (await client.get("/")).text == "ann"
        users["ann"] = User("ann", after)
        for cookies in (copied, {"session": copied["session"]}, {"_remember": copied["_remember"]}):
            assert (await TestClient(app, dict(cookies)).get("/who/x")).text == "None", cookies
            assert (await TestClient(app, dict(cookies)).get("/fresh")).status_code == 302
        await client.post("/login", body={"user": "ann", "remember": True})
        assert (await client.get("/fresh")).text == "ann"
        del client.cookies["session"]
        assert (await client.get("/")).text == "ann"


async def test_a_user_who_is_gone() -> None:
    app, users, client = make()
    await client.post("/login", body={"user": "ann", "remember": True})
    del users["ann"]
    assert (await client.get("/")).status_code == 302
    assert (await client.get("/fresh")).status_code == 302
    del client.cookies["session"]
    assert (await client.get("/")).status_code == 302


async def test_what_a_visitor_had_stays_and_what_another_user_had_goes() -> None:
    _, _, client = make()
    await client.post("/keep", body={"cart": [1]})
    await client.post("/login", body={"user": "ann", "remember": True})
    assert (await client.get("/kept")).json == {"cart": [1]}
    await client.post("/login", body={"user": "ann"})
    assert (await client.get("/kept")).json == {"cart": [1]}
    await client.post("/login", body={"user": "bob"})
    assert (await client.get("/kept")).json == {} and "_remember" not in client.cookies
    assert (await client.get("/")).text == "bob"


async def test_login_is_kept_when_the_session_slides() -> None:
    app, _, client = make(max_age=1000)
    await client.post("/login", body={"user": "ann"})
    token = app._session.decode(client.cookies["session"])
    token["exp"] = now() + 100
    client.cookies["session"] = app._session.encode(token)
    response = await client.get("/")
    assert response.text == "ann" and len(response.headers["Set-Cookie"]) == 1
    assert app._session.decode(client.cookies["session"])["exp"] > now() + 900


async def test_decorators_leave_none() -> None:
    login = Login("/sign-in")
    assert login.user_loader(print) is None  # type: ignore[func-returns-value]
    assert login.user_loader_callback is print and login.login_url == "/sign-in"
