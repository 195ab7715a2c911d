"""What a program that is not complete is told. CPython only: the compiled files of boards say less."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from microdot import Microdot, Request
from microdot.login import Login
from microdot.session import Session
from microdot.test_client import TestClient


def test_a_login_without_a_user_loader_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    app = Microdot()
    Session(app, secret_key="k" * 32)
    login = Login()

    @app.get("/in")
    async def log_in(request: Request) -> Any:
        return await login.login_user(request, SimpleNamespace(id="ann"))

    @app.get("/")
    @login
    async def index(request: Request) -> str:
        return "in"

    async def visit() -> None:
        client = TestClient(app)
        assert (await client.get("/in")).status_code == 302
        assert (await client.get("/")).status_code == 500

    asyncio.run(visit())
    said = capsys.readouterr()
    assert "user_loader" in said.err.splitlines()[-1]


def test_a_login_without_sessions_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    app = Microdot()
    login = Login()

    @app.get("/")
    @login
    async def index(request: Request) -> str:
        return "in"

    assert asyncio.run(TestClient(app).get("/")).status_code == 500
    assert "Session(app, secret_key=...)" in capsys.readouterr().err.splitlines()[-1]
