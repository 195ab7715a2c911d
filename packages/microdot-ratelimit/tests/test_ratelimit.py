"""What is counted, who is told apart, what is refused and how.

Portable: CPython and MicroPython.
"""

import sys

from microdot import Microdot, Request, Response
from microdot.ratelimit import RateLimit
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ratelimit: "Any" = sys.modules["microdot.ratelimit"]


class Clock:
    """Milliseconds that the test moves on."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now & 0x3FFFFFFF


class Client:
    """All of a request that RateLimit looks at."""

    def __init__(self, *address: "Any") -> None:
        self.client_addr = address


def who(request: Request) -> str:
    return request.headers.get("X-Who", "nobody")  # type: ignore[no-any-return]


def at(now: int) -> "tuple[Clock, Any]":
    clock = Clock(now)
    before = ratelimit.ticks
    ratelimit.ticks = clock
    return clock, before


def take(rate: RateLimit, address: str) -> "tuple[int, Any]":
    """Return the status, and what the headers of the answer say: RateLimit, or with 429 that and Retry-After."""
    client: "Any" = Client(address, 1)
    try:
        rate.admit(client, None)
        return 200, client.rate
    except Exception as exc:
        return exc.status_code, (client.rate, exc.headers["Retry-After"])  # type: ignore[attr-defined]


async def test_a_bucket_empties_and_fills() -> None:
    for start in (0, 0x3FFFFFFF - 5000):  # also where the clock of a board comes round
        clock, before = at(start)
        try:
            rate = RateLimit(3, per=6)
            assert take(rate, "192.0.2.1") == (200, '"default";r=2;t=2')
            assert take(rate, "192.0.2.1") == (200, '"default";r=1;t=4')
            assert take(rate, "192.0.2.1") == (200, '"default";r=0;t=6')
            assert take(rate, "192.0.2.1") == (429, ('"default";r=0;t=8', "2"))
            assert take(rate, "192.0.2.2") == (200, '"default";r=2;t=2')
            clock.now += 1999
            assert take(rate, "192.0.2.1")[1][1] == "1"
            clock.now += 1
            assert take(rate, "192.0.2.1") == (200, '"default";r=0;t=6')
            assert take(rate, "192.0.2.1")[0] == 429
            clock.now += 3600 * 1000
            assert take(rate, "192.0.2.1") == (200, '"default";r=2;t=2')
            clock.now += 4 * 24 * 3600 * 1000  # a third of the way that it takes the clock to come round
            assert take(rate, "192.0.2.1") == (200, '"default";r=2;t=2')
        finally:
            ratelimit.ticks = before


async def test_the_slots_are_all_there_is() -> None:
    clock, before = at(1000)
    try:
        rate = RateLimit(2, per=60, slots=4)
        for _ in range(2):
            take(rate, "192.0.2.1")
        assert take(rate, "192.0.2.1")[0] == 429
        for n in range(300):
            assert take(rate, "198.51.100.%d" % n)[0] == 200
            clock.now += 10
            assert take(rate, "192.0.2.1")[0] == 429, n  # who is over the limit keeps the slot
        assert len(rate.options[4]) == 4
        # Whatever the order in which they came: it is the slot of the fullest that a newcomer gets.
        for over in range(4):
            rate = RateLimit(2, per=60, slots=4)
            for n in range(4):
                for _ in range(3 if n == over else 1):
                    answer = take(rate, "192.0.2.%d" % n)[0]
                clock.now += 10
                assert answer == (429 if n == over else 200), (n, over)
            assert take(rate, "198.51.100.1")[0] == 200
            assert take(rate, "192.0.2.%d" % over)[0] == 429, over
        assert take(RateLimit(2, slots=1, key=lambda request: "x" * 5000), "192.0.2.1")[0] == 200
        long = RateLimit(2, key=lambda request: "x" * 5000)
        take(long, "")
        assert [len(key) for key in long.options[4]] == [64]
    finally:
        ratelimit.ticks = before


async def test_nothing_of_the_past_comes_back() -> None:
    """A clock of 30 bits: what was long ago looks like the future, unless it was forgotten in time."""
    for per in (60, 3600, 86400):
        period = 1 << 30
        clock, before = at(period - 1000)
        try:
            rate = RateLimit(2, per=per)
            for _ in range(3):
                take(rate, "192.0.2.1")
            assert take(rate, "192.0.2.1")[0] == 429
            # Somebody asks once a day, another one comes back when the clock has come round.
            for _ in range(period // 86400000):
                clock.now += 86400000
                assert take(rate, "192.0.2.2")[0] == 200
            clock.now = 2 * period - 1000 - per * 500
            assert take(rate, "192.0.2.1") == (200, '"default";r=1;t=%d' % (per // 2)), per
        finally:
            ratelimit.ticks = before


async def test_a_flood_of_addresses() -> None:
    """Whoever has more addresses than there are slots: memory stays, others are served, and he gains nothing of theirs."""
    clock, before = at(123456789)
    try:
        rate = RateLimit(10, per=60, slots=16)
        for _ in range(11):
            take(rate, "192.0.2.66")  # an attacker who is known to be over the limit
        served = 0
        for n in range(4000):
            clock.now += 1
            assert take(rate, "198.51.%d.%d" % (n // 250, n % 250))[0] == 200
            if n % 500 == 0:
                assert take(rate, "203.0.113.1")[0] == 200  # somebody who asks every half a second
                served += 1
                # His own addresses do not free the one that is over the limit: it takes a token each six seconds.
                assert take(rate, "192.0.2.66")[0] == 429, n
            assert len(rate.options[4]) <= 16
        assert served == 8
        # Full buckets are forgotten: when the flood is over, so is the memory of it.
        clock.now += 61000
        take(rate, "203.0.113.1")
        assert len(rate.options[4]) == 1
    finally:
        ratelimit.ticks = before


async def test_every_answer_tells_what_is_left() -> None:
    app = Microdot()
    limits = app.install(RateLimit(10, per=3600, key=who))

    @app.post("/upload")
    @limits(max_content_length=5)
    async def upload(request: Request) -> str:
        return "x"

    @app.get("/crash")
    async def crash(request: Request) -> str:
        raise ValueError

    @app.get("/redirect")
    async def redirect(request: Request) -> Response:
        return Response.redirect("/")

    client = TestClient(app)
    left = 10
    for method, path, body, status in (
        ("GET", "/redirect", None, 302),
        ("POST", "/upload", b"12345", 200),
        ("POST", "/upload", b"123456", 413),
        ("GET", "/upload", None, 405),
        ("GET", "/nowhere", None, 404),
        ("HEAD", "/redirect", None, 302),
        ("OPTIONS", "/upload", None, 200),
    ):
        response = await client.request(method, path, headers={"X-Who": "ann"}, body=body)
        left -= 1
        assert response.status_code == status, (method, path, response.status_code)
        assert response.headers["RateLimit"].startswith('"default";r=%d;t=' % left), (method, path, response.headers)
        assert "Retry-After" not in response.headers


async def test_answers() -> None:
    app = Microdot()
    app.install(RateLimit(2, per=3600, key=who))
    ran = []

    @app.post("/")
    async def index(request: Request) -> str:
        ran.append(request.body)
        return "hello"

    @app.errorhandler(429)
    async def wait(request: Request) -> "Any":
        return {"error": "slow down"}, 429

    client = TestClient(app)
    for left in (1, 0):
        response = await client.post("/", headers={"X-Who": "ann"}, body=b"data")
        assert response.status_code == 200
        assert response.headers["RateLimit"].startswith('"default";r=%d;t=' % left)
    response = await client.post("/", headers={"X-Who": "ann"}, body=b"data")
    assert response.status_code == 429 and response.json == {"error": "slow down"}
    assert 1790 <= int(response.headers["Retry-After"]) <= 1800
    assert response.headers["RateLimit"].startswith('"default";r=0;t=')
    assert len(ran) == 2
    # What no route answers counts too.
    statuses = []
    for _ in range(3):
        statuses.append((await client.get("/nowhere", headers={"X-Who": "bob"})).status_code)
    assert statuses == [404, 404, 429]


async def test_a_route_has_limits_of_its_own() -> None:
    app = Microdot()
    limits = app.install(RateLimit(3, per=3600, key=who))
    login = RateLimit(1, per=3600, key=who)

    @app.post("/login")
    @limits(login)
    async def log_in(request: Request) -> str:
        return "in"

    @app.post("/upload")
    @limits(max_content_length=20, max_body_length=20)
    async def upload(request: Request) -> str:
        return str(len(request.body))

    @app.post("/large")
    @limits(max_content_length=50000, max_body_length=100)
    async def large(request: Request) -> str:
        n = 0
        while True:
            data = await request.stream.read(4096)
            if not data:
                return "%d %d" % (len(request.body), n)
            n += len(data)

    client = TestClient(app)

    async def post(path: str, who: str, size: int = 0) -> "tuple[int | None, str | None]":
        response = await client.post(path, headers={"X-Who": who}, body=b"x" * size)
        return response.status_code, response.text

    assert await post("/login", "ann") == (200, "in")
    assert (await post("/login", "ann"))[0] == 429
    assert await post("/login", "bob") == (200, "in")
    # The route's own rate counts instead of the app's.
    for status in (200, 200, 200, 429):
        assert (await post("/upload", "ann"))[0] == status
    assert await post("/upload", "carl", 20) == (200, "20")
    assert (await post("/upload", "carl", 21))[0] == 413
    assert await post("/large", "dan", 40000) == (200, "0 40000")
    assert (await post("/large", "dan", 50001))[0] == 413


async def test_time_limit() -> None:
    import asyncio

    app = Microdot()
    limits = app.install(RateLimit(100, key=who))

    @app.get("/slow")
    @limits(timeout=0.05)
    async def slow(request: Request) -> str:
        await asyncio.sleep(5)
        return "done"

    response = await TestClient(app).get("/slow")
    assert response.status_code == 503


async def test_an_earlier_hook_may_answer() -> None:
    app = Microdot()

    async def closed(request: Request, route: "Any") -> Response:
        return Response("closed", 403)

    app.on("admit", closed)
    app.install(RateLimit(1, key=who))
    for _ in range(3):
        response = await TestClient(app).get("/")
        assert response.status_code == 403 and "RateLimit" not in response.headers


def test_what_cannot_be_done_is_refused() -> None:
    """Also by the compiled files of boards, which have no assertions."""
    for limit, per, slots in ((100000, 1, 32), (1001, 1, 32), (0, 60, 32), (-1, 60, 32), (1, -1, 32), (1, 86401, 32), (1, 60, 0)):
        try:
            RateLimit(limit, per, slots)
        except ValueError:
            continue
        raise AssertionError((limit, per, slots))


async def test_the_most_that_is_possible() -> None:
    clock, before = at(1000)
    try:
        rate = RateLimit(1000, per=1, slots=1)
        for left in range(999, -1, -1):
            assert take(rate, "192.0.2.1")[1].startswith('"default";r=%d;' % left)
        assert take(rate, "192.0.2.1")[0] == 429
    finally:
        ratelimit.ticks = before
