"""The warning about limits in the wrong place. CPython only: functions of boards do not tell what they wrap."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from microdot import Microdot, Request
from microdot.helpers import wraps
from microdot.ratelimit import RateLimit


def wrapping(f: Any) -> Any:
    """A decorator such as those of microdot-login and microdot-session."""

    @wraps(f)
    async def wrapper(request: Request) -> Any:
        return await f(request)

    return wrapper


def test_limits_that_count_for_nothing_are_warned_about() -> None:
    app = Microdot()
    limits = app.install(RateLimit())

    async def handler(request: Request) -> str:
        return "done"

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        app.get("/right")(limits(timeout=1)(wrapping(handler)))
        assert not seen
        app.get("/wrong")(wrapping(limits(timeout=1)(handler)))
    (warning,) = seen
    assert "of /wrong" in str(warning.message) and warning.filename == __file__, "it names the line of the route"


def test_the_message_says_what_the_numbers_may_be() -> None:
    for limit, per, slots in ((0, 60, 32), (5000, 1, 32), (60, 90000, 32), (60, 60, 0)):
        with pytest.raises(ValueError, match="1000 per second, per is 1 to 86400 seconds, slots at least 1"):
            RateLimit(limit, per, slots)
