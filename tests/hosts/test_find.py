"""CPython finds routes with an index, boards look at one after the other: both find the same."""

from __future__ import annotations

import random
from typing import Any

from microdot import Microdot, segments

_PARTS = ("", "a", "b", "aa", "<x>", "<int:x>", "<path:x>", "<re:a+:x>", "<y>", "<int:y>")
_VALUES = ("", "a", "b", "aa", "aaa", "7", "-7", "c")
_METHODS = (None, ["GET"], ["POST"], ["POST", "GET"])


def _pattern(chance: random.Random) -> str:
    parts = [chance.choice(_PARTS) for _ in range(chance.randint(0, 3))]
    return chance.choice(("/", "/", "/", "", "//")) + "/".join(parts)


def test_both_ways_to_find_a_route_agree() -> None:
    chance = random.Random(9110)
    found = 0
    for _ in range(300):
        app = Microdot()
        for _ in range(chance.randint(1, 12)):

            async def handler(request: Any, **args: Any) -> None:
                """A function of its own for each route."""

            app.route(_pattern(chance), chance.choice(_METHODS))(handler)
        for _ in range(60):
            path = "/" + "/".join([chance.choice(_VALUES) for _ in range(chance.randint(1, 4))])
            method = chance.choice(("GET", "POST"))
            result = app.find(path, method)
            assert result == segments.find(app, path, method), (path, method, app._table)
            found += result is not None
    assert found > 1000


def test_routes_that_are_added_later_are_found() -> None:
    app = Microdot()

    async def first(request: Any) -> None: ...

    async def second(request: Any, x: str) -> None: ...

    app.get("/a/b")(first)
    assert app.find("/a/b", "GET") == (first, first, {})
    assert app.find("/a/c", "GET") is None
    app.get("/a/<x>")(second)
    assert app.find("/a/b", "GET") == (first, first, {})
    assert app.find("/a/c", "GET") == (second, second, {"x": "c"})
