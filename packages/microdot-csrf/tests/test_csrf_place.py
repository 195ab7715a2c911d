"""The warning about a mark in the wrong place. CPython only: functions of boards do not tell what they wrap."""

from __future__ import annotations

import warnings
from typing import Any

from microdot import Microdot, Request
from microdot.csrf import CSRF
from microdot.helpers import wraps


def wrapping(f: Any) -> Any:
    """A decorator such as those of microdot-login and microdot-session."""

    @wraps(f)
    async def wrapper(request: Request) -> Any:
        return await f(request)

    return wrapper


def test_a_mark_that_counts_for_nothing_is_warned_about() -> None:
    app = Microdot()
    csrf = CSRF(app)

    async def handler(request: Request) -> str:
        return "done"

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        app.get("/right")(csrf.protect(wrapping(wrapping(handler))))
        assert not seen
        app.get("/wrong")(wrapping(wrapping(csrf.protect(handler))))
        app.post("/hook")(wrapping(csrf.exempt(wrapping(handler))))
    assert [str(warning.message).split(":")[1] for warning in seen] == [" of /wrong", " of /hook"]
    assert {warning.filename for warning in seen} == {__file__}, "it names the line of the route"


def test_routes_that_stand_already_are_looked_at() -> None:
    app = Microdot()
    csrf = CSRF()

    @app.get("/wrong")
    @wrapping
    @csrf.protect
    async def handler(request: Request) -> str:
        return "done"

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        csrf.initialize(app)
    assert len(seen) == 1
