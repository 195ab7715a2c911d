"""Sessions: what a program sees, what goes over the wire, and what is refused.

Portable: CPython and MicroPython.
"""

import json
import time
from binascii import b2a_base64, unhexlify
from hashlib import sha256

from microdot import Microdot, Request, Response, abort
from microdot.session import Session, SessionDict, with_session
from microdot.test_client import TestClient
from support.checks import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEY = "k" * 32


def make(**options: "Any") -> "tuple[Microdot, Session, TestClient]":
    """Return an application with a session that is shown and changed."""
    app = Microdot()
    session_ext = Session(app, secret_key=options.pop("secret_key", KEY), **options)

    @app.get("/")
    @with_session
    async def show(request: Request, session: SessionDict) -> "Any":
        return {key: session[key] for key in session}

    @app.post("/")
    @with_session
    def change(request: Request, session: SessionDict) -> str:
        session.update(request.json)
        session.save()
        return "saved"

    @app.post("/twice")
    @with_session
    async def twice(request: Request, session: SessionDict) -> str:
        session["n"] = 1
        session.save()
        session["n"] = 2
        session.save()
        return "saved"

    @app.post("/delete")
    @with_session
    async def delete(request: Request, session: SessionDict) -> str:
        session.delete()
        return "gone"

    @app.post("/fail/<int:status>")
    @with_session
    async def fail(request: Request, session: SessionDict, status: int) -> None:
        session["failed"] = status
        session.save()
        if status == 500:
            raise ZeroDivisionError("on purpose")
        abort(status)

    return app, session_ext, TestClient(app)


def b64(data: bytes) -> str:
    return b2a_base64(data).rstrip(b"=\n").replace(b"+", b"-").replace(b"/", b"_").decode()


def hmac(data: bytes, key: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104), because boards have none; `test_hmac_of_every_length_of_key` checks it first."""
    if len(key) > 64:
        key = sha256(key).digest()
    key += bytes(64 - len(key))
    return sha256(bytes([c ^ 0x5C for c in key]) + sha256(bytes([c ^ 0x36 for c in key]) + data).digest()).digest()


def forged(head: "Any", body: bytes, key: str = KEY) -> str:
    """Return a token with any header, signed with the right key as far as HS256 goes."""
    text = b64(head if isinstance(head, bytes) else json.dumps(head).encode()) + "." + b64(body)
    return text + "." + b64(hmac(text.encode(), key.encode()))


async def test_keeps_what_was_saved() -> None:
    app, _, client = make()
    assert (await client.get("/")).json == {}
    response = await client.post("/", body={"name": "Ann", "n": [1, None, "é"]})
    assert len(response.headers["Set-Cookie"]) == 1
    assert (await client.get("/")).json == {"name": "Ann", "n": [1, None, "é"]}
    assert "Set-Cookie" not in (await client.get("/")).headers


async def test_cookie_has_safe_attributes() -> None:
    app, _, client = make()
    cookie = (await client.post("/", body={})).headers["Set-Cookie"][0]
    assert cookie.startswith("session=ey"), cookie
    for attribute in ("; Path=/", "; HttpOnly", "; SameSite=Lax"):
        assert attribute in cookie, cookie
    assert "Secure" not in cookie and "Max-Age" not in cookie, cookie
    cookie = (await TestClient(app, scheme="https").post("/", body={})).headers["Set-Cookie"][0]
    assert "; Secure" in cookie, cookie


async def test_options_of_the_cookie_are_there_for_subclasses() -> None:
    # Contract 11.2: what sets a cookie of its own, such as the number of a session in a database, does it with these.
    _, session_ext, _ = make(cookie_options={"max_age": 60})
    options = session_ext.cookie_options
    assert (options["path"], options["http_only"], options["max_age"]) == ("/", True, 60), options


async def test_options_of_the_cookie_are_the_program_s() -> None:
    app, _, client = make(cookie_options={"path": "/child", "http_only": False, "same_site": "Strict", "secure": True})
    cookie = (await client.post("/", body={})).headers["Set-Cookie"][0]
    assert cookie.split("; ")[1:] == ["Path=/child", "Secure", "SameSite=Strict"], cookie


async def test_every_call_of_get_returns_the_same_session() -> None:
    app, session_ext, client = make()

    @app.get("/same")
    @with_session
    async def same(request: Request, session: SessionDict) -> str:
        assert session is session_ext.get(request) is request.g._session
        assert isinstance(session, dict) and session.request is request
        return "yes"

    assert (await client.get("/same")).text == "yes"


async def test_many_saves_make_one_cookie() -> None:
    # Contract 21 C21: one Set-Cookie for each save().
    app, _, client = make()
    response = await client.post("/twice")
    assert len(response.headers["Set-Cookie"]) == 1
    assert (await client.get("/")).json == {"n": 2}


async def test_saving_in_an_after_hook_counts() -> None:
    app, session_ext, client = make()

    @app.after_request
    async def later(request: Request, response: Response) -> None:
        session = session_ext.get(request)
        session["later"] = True
        session.save()

    assert len((await client.post("/twice")).headers["Set-Cookie"]) == 1
    assert (await client.get("/")).json == {"n": 2, "later": True}


async def test_saved_also_when_the_request_ends_in_an_error() -> None:
    # Contract 21.0 row 17: Microdot loses it.
    for status in (401, 404, 500):
        app, _, client = make()
        response = await client.post("/fail/%d" % status)
        assert response.status_code == status
        assert len(response.headers["Set-Cookie"]) == 1, response.headers
        assert response.headers["Vary"] == "Cookie"
        assert (await client.get("/")).json == {"failed": status}


async def test_saved_when_a_later_after_hook_raises() -> None:
    app, session_ext, client = make()

    @app.after_request
    async def later(request: Request, response: Response) -> None:
        if request.path == "/twice":
            raise ValueError("on purpose")

    response = await client.post("/twice")
    assert response.status_code == 500 and len(response.headers["Set-Cookie"]) == 1
    assert (await client.get("/")).json == {"n": 2}


async def test_delete() -> None:
    app, _, client = make(cookie_options={"path": "/x", "domain": "example.com"})
    await client.post("/", body={"a": 1})
    cookie = (await client.post("/delete")).headers["Set-Cookie"]
    assert cookie == [
        "session=; Path=/x; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax"
    ], cookie


async def test_varies_with_the_cookie() -> None:
    app, _, client = make()

    @app.get("/more")
    @with_session
    async def more(request: Request, session: SessionDict) -> "Any":
        request.g._vary.add("Origin")
        return "more", {"Vary": "cookie, Accept"}

    assert (await client.get("/")).headers["Vary"] == "Cookie"
    names = (await client.get("/more")).headers["Vary"].split(", ")
    # Contract 21 C30: no name twice, whatever its case.
    assert sorted([name.lower() for name in names]) == ["accept", "cookie", "origin"], names


async def test_a_short_key_is_taken() -> None:
    # As programs for Microdot have it. It is warned of, also by the sources on MicroPython, which knows no warnings.
    _, _, client = make(secret_key="top-secret")
    await client.post("/", body={"n": 1})
    assert (await client.get("/")).json == {"n": 1}


async def test_no_key_is_said() -> None:
    app = Microdot()
    session_ext = Session(app)
    request = Request(app, None, "GET", "/", "1.1", {})
    for call in (lambda: session_ext.get(request), lambda: session_ext.update(request, {}), lambda: session_ext.encode({})):
        problem = raised(ValueError, call)
        assert str(problem) == "The session secret key is not configured", problem


async def test_one_object_on_several_applications() -> None:
    session_ext = Session()
    apps = [Microdot(), Microdot()]
    for app in apps:
        session_ext.initialize(app, secret_key=KEY)

        @app.get("/")
        @with_session
        async def count(request: Request, session: SessionDict) -> str:
            session["n"] = session.get("n", 0) + 1
            session.save()
            return str(session["n"])

    cookies: "dict[str, Any]" = {}
    assert (await TestClient(apps[0], cookies).get("/")).text == "1"
    assert (await TestClient(apps[1], cookies).get("/")).text == "2"


async def test_install() -> None:
    app = Microdot()
    session_ext = app.install(Session(secret_key=KEY, cookie_options={"path": "/a"}, max_age=60))
    assert app._session is session_ext
    # What was given before is kept.
    assert (session_ext.secret_key, session_ext.max_age, session_ext.cookie_options["path"]) == (KEY, 60, "/a")
    session_ext.initialize(app, max_age=90)
    assert (session_ext.secret_key, session_ext.max_age, session_ext.cookie_options["path"]) == (KEY, 90, "/a")


async def test_names_of_claims_are_free() -> None:
    # Contract 21 C20: with Microdot `aud` or a `sub` that is no str empties the session.
    app, session_ext, client = make(max_age=1000)
    for data in (
        {"aud": "x", "sub": 5, "exp": 1, "nbf": 1 << 40, "iat": "then", "iss": None, "jti": []},
        {"exp": "never"},
        {"_": {"a": 1}},
        {"_": 5, "a": 1},
        {"__": 1, "_exp": 2},
    ):
        client.cookies.clear()
        await client.post("/", body=data)
        assert (await client.get("/")).json == data, data


async def test_microdot_s_cookies_open() -> None:
    app, session_ext, client = make()
    for head in ({"alg": "HS256", "typ": "JWT"}, b'{"typ": "JWT", "alg": "HS256"}'):
        for data in ({"user": "ann"}, {"sub": "x", "iss": "y", "jti": "z", "iat": 5}, {"_": 5}, {}):
            client.cookies["session"] = forged(head, json.dumps(data).encode())
            assert (await client.get("/")).json == data, data


async def test_what_is_no_session_is_an_empty_one() -> None:
    app, session_ext, client = make()
    await client.post("/", body={"a": 1})
    good = client.cookies["session"]
    head, body, signature = good.split(".")
    now = int(time.time()) + (946684800 if time.localtime(0)[0] == 2000 else 0)
    ok = b'{"a": 1}'
    hs = {"alg": "HS256", "typ": "JWT"}
    bad = [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        good[:-1],
        good + "A",
        good + "=",
        good + ".",
        good + "." + signature,
        "." + good,
        head + "." + body,
        head + "." + body + ".",
        body + "." + head + "." + signature,
        head + "." + b64(b'{"a": 2}') + "." + signature,
        head + "." + body + "." + signature.lower(),
        session_ext.encode({"a": 1}, secret_key="q" * 32),
        session_ext.encode({"a": 1}, secret_key="x"),
        b64(b'{"alg":"none"}') + "." + body + ".",
        "A" * 50000,
        "." * 50000,
        head + "." + "A" * 50000 + "." + signature,
        good + "A" * 50000,
        forged({"alg": "HS256"}, b"[" * 20000),
        forged({"alg": "HS256"}, b'{"a":' * 5000),
        session_ext.encode({"a": 1, "exp": now - 1}),
        session_ext.encode({"a": 1, "exp": now}),
        session_ext.encode({"a": 1, "exp": None}),
        session_ext.encode({"a": 1, "exp": "soon"}),
        session_ext.encode({"a": 1, "exp": []}),
        session_ext.encode({"a": 1, "nbf": now + 60}),
        session_ext.encode({"a": 1, "nbf": "now"}),
        session_ext.encode({"a": 1, "aud": "somebody"}),
        forged({"alg": "HS256", "crit": ["b64"], "b64": False}, ok),
        forged({"alg": "HS256", "crit": None}, ok),
        forged([], ok),
        forged({}, ok),
        forged(b"HS256", ok),
        forged(b"\xff\xfe", ok),
        forged(hs, b""),
        forged(hs, b"\xff\xfe"),
        forged(hs, b"[1]"),
        forged(hs, b'"a"'),
        forged(hs, b"null"),
        forged(hs, b"5"),
        forged(hs, b"tru"),
        forged(hs, b"[" * 500),
    ]
    for alg in ("none", "None", "nOnE", "", None, [], ["HS256"], "HS384", "HS512", "RS256", "ES256", "hs256", 256):
        bad.append(forged({"alg": alg, "typ": "JWT"}, ok))
        bad.append(b64(json.dumps({"alg": alg, "typ": "JWT"}).encode()) + "." + body + ".")
    # Changed at each place: in the signature the last character has two bits that decode to nothing, and counts too.
    for i in range(len(good)):
        bad.append(good[:i] + ("A" if good[i] != "A" else "B") + good[i + 1 :])
        bad.append(good[:i])
    for token in bad:
        assert session_ext.decode(token) == {}, token
    for token in [token for token in bad if len(token) < 1500][:60]:
        client.cookies["session"] = token
        response = await client.get("/")
        assert (response.status_code, response.json) == (200, {}), (token, response.status_code, response.text)


async def test_a_key_in_the_token_is_not_used() -> None:
    app, session_ext, client = make()
    for name in ("jwk", "jku", "kid", "x5u"):
        head = {"alg": "HS256", "typ": "JWT", name: {"kty": "oct", "k": b64(b"z" * 32)}}
        assert session_ext.decode(forged(head, b'{"a": 1}', "z" * 32)) == {}
        assert session_ext.decode(forged(head, b'{"a": 1}')) == {"a": 1}


async def test_hmac_of_every_length_of_key() -> None:
    # RFC 4231, test cases 1, 2 and 6.
    for key, data, mac in (
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ):
        assert hmac(data, key) == unhexlify(mac), key
    keys: "list[Any]" = [bytes(range(length % 256)) for length in (1, 31, 32, 33, 63, 64, 65, 200)]
    for key in keys + [b"\0", b"\0" * 64, b"k\0", "k" * 64, "\u20ac" * 21, "\u20ac" * 22]:
        session_ext = Session(Microdot(), secret_key=b"x" * 32)
        head, body, signature = session_ext.encode({"a": 1}, key).split(".")
        expected = hmac((head + "." + body).encode(), key.encode() if isinstance(key, str) else key)
        assert signature == b64(expected), key
        assert session_ext.decode(head + "." + body + "." + signature, key) == {"a": 1}, key


async def test_keys_change_without_ending_sessions() -> None:
    old, new = "o" * 32, b"n" * 40
    app, _, client = make(secret_key=old)
    await client.post("/", body={"a": 1})
    app, session_ext, changed = make(secret_key=[new, old])
    changed.cookies = client.cookies
    assert (await changed.get("/")).json == {"a": 1}
    await changed.post("/", body={"b": 2})
    assert session_ext.decode(client.cookies["session"], new) == {"a": 1, "b": 2}
    assert session_ext.decode(client.cookies["session"], old) == {}
    app, _, client = make(secret_key=[b"x" * 32, new])
    client.cookies = changed.cookies
    assert (await client.get("/")).json == {"a": 1, "b": 2}


async def test_sessions_end() -> None:
    app, session_ext, client = make(max_age=1000)
    await client.post("/", body={"a": 1})
    payload = session_ext.decode(client.cookies["session"])
    now = time.time() + (946684800 if time.localtime(0)[0] == 2000 else 0)
    assert 990 < payload["exp"] - now <= 1000, payload
    assert (await client.get("/")).json == {"a": 1}
    payload["exp"] = int(now) - 1
    client.cookies["session"] = session_ext.encode(payload)
    assert (await client.get("/")).json == {}


async def test_sessions_in_use_go_on() -> None:
    app, session_ext, client = make(max_age=1000)
    now = int(time.time()) + (946684800 if time.localtime(0)[0] == 2000 else 0)
    for left, renewed in ((900, False), (400, True), (None, True)):
        client.cookies["session"] = session_ext.encode({"a": 1} if left is None else {"a": 1, "exp": now + left})
        response = await client.get("/")
        assert response.json == {"a": 1}
        assert ("Set-Cookie" in response.headers) is renewed, left
        if renewed:
            assert 990 < session_ext.decode(client.cookies["session"])["exp"] - now <= 1010
    # An empty session is nothing to keep.
    client.cookies.clear()
    assert "Set-Cookie" not in (await client.get("/")).headers


async def test_a_token_for_another_use_is_no_session() -> None:
    # Contract 21 B5: one kind of token is not the other.
    app, session_ext, client = make()
    client.cookies["session"] = session_ext.encode({"_": {}, "user_id": "ann", "days": 30})
    assert (await client.get("/")).json == {}


async def test_too_large_is_noticed() -> None:
    # Contract 21 C21: browsers drop what is longer than 4096 bytes without a word.
    app, _, client = make()
    response = await client.post("/", body={"a": "x" * 4000})
    assert response.status_code == 500 and "Set-Cookie" not in response.headers
    response = await client.post("/", body={"a": "x" * 2800})
    assert response.status_code == 200 and len(response.headers["Set-Cookie"][0]) > 3700


async def test_encode_and_decode_can_be_replaced() -> None:
    class Reversed(Session):
        def encode(self, payload: "Any", secret_key: "Any" = None) -> str:
            return super().encode(payload, secret_key) + ".mine"

        def decode(self, session: str, secret_key: "Any" = None) -> "dict[str, Any]":
            return super().decode(session[:-5], secret_key)

    app = Microdot()
    Reversed(app, secret_key=KEY)

    @app.get("/")
    @with_session
    async def count(request: Request, session: SessionDict) -> str:
        session["n"] = session.get("n", 0) + 1
        session.save()
        return str(session["n"])

    client = TestClient(app)
    assert (await client.get("/")).text == "1"
    assert client.cookies["session"].endswith(".mine")
    assert (await client.get("/")).text == "2"
