"""The API, which does not know where it is mounted."""

from greenhouse import limits, readings  # type: ignore[import-not-found]  # it lies beside this file
from microdot import Microdot, Request

api = Microdot()


@api.get("/readings")
async def get_readings(request: Request) -> "dict[str, int]":
    """Return what the sensors say."""
    return dict(readings())


@api.get("/limits")
async def get_limits(request: Request) -> "dict[str, int]":
    """Return the limits, and where this API is mounted."""
    return dict(limits)
