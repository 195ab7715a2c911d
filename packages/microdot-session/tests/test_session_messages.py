"""What a program that is not complete is told. CPython only: the compiled files of boards say less."""

from __future__ import annotations

import asyncio

import pytest

from microdot import Microdot, Request
from microdot.session import SessionDict, with_session
from microdot.test_client import TestClient


def test_a_handler_with_a_session_that_nobody_has_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    app = Microdot()

    @app.get("/")
    @with_session
    async def index(request: Request, session: SessionDict) -> str:
        return "in"

    assert asyncio.run(TestClient(app).get("/")).status_code == 500
    assert "Session(app, secret_key=...)" in capsys.readouterr().err.splitlines()[-1]
