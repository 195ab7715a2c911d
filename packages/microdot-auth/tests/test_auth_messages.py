"""What a program that is not complete is told. CPython only: the compiled files of boards say less."""

from __future__ import annotations

import asyncio

import pytest

from microdot import Microdot, Request
from microdot.auth import BasicAuth, TokenAuth
from microdot.test_client import TestClient


def test_authentication_without_a_function_that_checks_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    app = Microdot()
    basic, token = BasicAuth(), TokenAuth()

    @app.get("/basic")
    @basic
    async def with_password(request: Request) -> str:
        return "in"

    @app.get("/token")
    @token
    async def with_token(request: Request) -> str:
        return "in"

    async def visit() -> None:
        client = TestClient(app)
        for path, credentials in (("/basic", "Basic YW5uOmFwcGxl"), ("/token", "Bearer t")):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers={"Authorization": credentials})).status_code == 500
            last = capsys.readouterr().err.splitlines()[-1]
            assert "Auth: " in last and "authenticate" in last, path

    asyncio.run(visit())
