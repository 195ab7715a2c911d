"""Tokens exchanged with PyJWT in both directions, and the warning about short keys. CPython only."""

from __future__ import annotations

import time
import warnings
from typing import Any

import jwt
import pytest

from microdot import Microdot, Request
from microdot.session import Session, SessionDict, with_session
from microdot.test_client import TestClient

KEY = "0123456789abcdef0123456789abcdef"
DATA: list[dict[str, Any]] = [{}, {"a": 1}, {"name": "Zoë", "list": [1, 2.5, None, True, {"x": []}]}, {"n" * 200: "y" * 900}]


@pytest.mark.parametrize("key", [KEY, KEY.encode(), "é" * 32, b"\x00\xff" * 40, "k" * 64, "k" * 65])
def test_pyjwt_reads_ours_and_we_read_pyjwt_s(key: Any) -> None:
    session = Session(secret_key=key)
    for data in DATA:
        assert jwt.decode(session.encode(data), key, algorithms=["HS256"]) == data
        assert session.decode(jwt.encode(data, key, algorithm="HS256")) == data


def test_headers_are_the_same() -> None:
    token = Session(secret_key=KEY).encode({"a": 1})
    assert token.split(".")[0] == jwt.encode({"a": 1}, KEY, algorithm="HS256").split(".")[0]


def test_signatures_are_the_same() -> None:
    ours = Session(secret_key=KEY).encode({"a": 1}).encode()
    signing_input, _, signature = ours.rpartition(b".")
    theirs = jwt.api_jws.PyJWS().encode(jwt.utils.base64url_decode(signing_input.split(b".")[1]), KEY, algorithm="HS256")
    assert theirs.rpartition(".")[2].encode() == signature


async def test_cookies_go_both_ways() -> None:
    app = Microdot()
    Session(app, secret_key=KEY, max_age=600)

    @app.get("/")
    @with_session
    async def count(request: Request, session: SessionDict) -> str:
        session["n"] = session.get("n", 0) + 1
        session.save()
        return str(session["n"])

    client = TestClient(app, cookies={"session": jwt.encode({"n": 41}, KEY, algorithm="HS256")})
    assert (await client.get("/")).text == "42"
    payload = jwt.decode(client.cookies["session"], KEY, algorithms=["HS256"], options={"require": ["exp"]})
    assert payload["n"] == 42 and 590 < payload["exp"] - time.time() <= 601


async def test_sessions_with_names_of_claims_stay_readable_for_pyjwt() -> None:
    app = Microdot()
    Session(app, secret_key=KEY)

    @app.get("/")
    @with_session
    async def fill(request: Request, session: SessionDict) -> str:
        session.update({"aud": "x", "sub": 5, "exp": "never", "nbf": [], "iat": "y", "iss": 0, "jti": 1})
        session.save()
        return ""

    client = TestClient(app)
    await client.get("/")
    payload = jwt.decode(client.cookies["session"], KEY, algorithms=["HS256"])
    assert payload == {"_": {"aud": "x", "sub": 5, "exp": "never", "nbf": [], "iat": "y", "iss": 0, "jti": 1}}


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the key is too short for these
        token = jwt.encode({"a": 1}, KEY, algorithm=algorithm)
    assert Session(secret_key=KEY).decode(token) == {}
    assert Session(secret_key=KEY).decode(jwt.encode({"a": 1}, "", algorithm="none")) == {}


def test_what_pyjwt_says_about_times() -> None:
    session = Session(secret_key=KEY)
    now = int(time.time())
    for claims in ({"exp": now - 5}, {"exp": now + 60}, {"nbf": now - 5}, {"nbf": now + 60}, {"exp": "x"}, {"nbf": "x"}, {"aud": "x"}):
        token = jwt.encode({"a": 1, **claims}, KEY, algorithm="HS256")
        try:
            theirs = jwt.decode(token, KEY, algorithms=["HS256"])
        except jwt.PyJWTError:
            theirs = {}
        assert session.decode(token) == theirs, claims


def test_a_short_key_is_warned_about_once() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        session = Session(Microdot(), secret_key="k" * 31)
        for _ in range(3):
            session.decode(session.encode({}))
        for key in ("k" * 32, "é" * 16, b"k" * 32, ["k" * 32, b"o" * 40]):
            Session(Microdot(), secret_key=key)
    assert ["32 bytes" in str(warning.message) for warning in seen] == [True], [str(one.message) for one in seen]
    for keys in (["k" * 32, "short"], ["short", "k" * 32], b"\x00" * 31):
        with pytest.warns(UserWarning, match="32 bytes"):
            Session(Microdot(), secret_key=keys)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a program that runs so still runs, as it does with Microdot
        assert Session(Microdot(), secret_key="short").decode("") == {}
