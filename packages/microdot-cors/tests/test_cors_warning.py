"""The warning about `*` with credentials. CPython only: boards have no `warnings`."""

from __future__ import annotations

import warnings

from microdot import Microdot, Request
from microdot.cors import CORS
from microdot.test_client import TestClient


async def test_everybody_with_credentials_is_warned_about() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        CORS(allowed_origins="*", allow_credentials=True)
    assert len(seen) == 1 and "credentials" in str(seen[0].message)
    app = Microdot()
    cors = CORS(app, allowed_origins="*")

    @app.get("/")
    async def index(request: Request) -> str:
        return ""

    cors.allow_credentials = True  # set later, as programs do
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(3):
            assert (await TestClient(app).get("/")).status_code == 200
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CORS(allowed_origins=["https://example.com"], allow_credentials=True)
        CORS(allowed_origins="*")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a program that runs so still answers
        assert (await TestClient(app).get("/")).status_code == 200
