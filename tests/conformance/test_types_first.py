"""Types that are registered before there is a route: programs do it at their top (contract 5).

A file of its own, because on a board each has an interpreter of its own, which has not loaded what parses patterns.
"""

from microdot import Microdot, URLPattern
from microdot.test_client import TestClient


async def test_a_built_in_type_is_replaced_first() -> None:
    patterns, parsers = dict(URLPattern.segment_patterns), dict(URLPattern.segment_parsers)
    try:
        URLPattern.register_type("int", "[0-9]+", int)
        app = Microdot()
        app.get("/cups/<int:number>")(lambda request, number: repr(number))
        client = TestClient(app)
        assert (await client.get("/cups/5")).text == "5"
        assert (await client.get("/cups/-5")).status_code == 404
    finally:
        for name in patterns:
            URLPattern.register_type(name, patterns[name], parsers.get(name))
