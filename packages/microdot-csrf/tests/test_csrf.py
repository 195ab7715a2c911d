"""Which requests are let in, by what browsers say about where they come from.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request
from microdot.csrf import CSRF
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOST = "board.local:5000"


class Origins:
    """What CSRF looks at of a `CORS` object."""

    def __init__(self, allowed_origins: "Any") -> None:
        self.allowed_origins = allowed_origins


def make(origins: "Any" = None, scheme: str = "http", **options: "Any") -> "tuple[Microdot, CSRF, TestClient]":
    app = Microdot()
    csrf = CSRF(app, cors=None if origins is None else Origins(origins), **options)

    @app.route("/", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "get", "QUERY"])
    async def index(request: Request) -> int:
        return 204

    @app.post("/exempt")
    @csrf.exempt
    async def exempt(request: Request) -> int:
        return 204

    @app.route("/protected", methods=["GET", "POST"])
    @csrf.protect
    async def protected(request: Request) -> int:
        return 204

    return app, csrf, TestClient(app, scheme=scheme, host=HOST)


async def status(client: TestClient, site: "str | None", origin: "str | None", path: str = "/", method: str = "POST") -> int:
    headers = {}
    if site is not None:
        headers["Sec-Fetch-Site"] = site
    if origin is not None:
        headers["Origin"] = origin
    result = (await client.request(method, path, headers)).status_code
    assert result is not None
    return result


async def test_fetch_metadata() -> None:
    for site, strict, subdomains in (
        ("same-origin", 204, 204),
        ("none", 204, 204),
        ("same-site", 403, 204),
        ("cross-site", 403, 403),
        ("something-new", 403, 403),
        ("Same-Origin", 403, 403),
        (None, 204, 204),
        ("", 204, 204),
    ):
        _, _, client = make()
        assert await status(client, site, None) == strict, site
        # What the page claims in Origin does not help where the browser says otherwise.
        assert await status(client, site, "http://" + HOST) == strict, site
        _, _, client = make(allow_subdomains=True)
        assert await status(client, site, None) == subdomains, site


async def test_refusals_are_errors_of_the_application() -> None:
    app, _, client = make()
    response = await client.post("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert (response.status_code, response.text) == (403, "Forbidden")

    @app.errorhandler(403)
    async def forbidden(request: Request) -> "Any":
        return "go away", 403

    assert (await client.post("/", headers={"Sec-Fetch-Site": "cross-site"})).text == "go away"


async def test_the_response_varies() -> None:
    _, _, client = make()
    response = await client.post("/", headers={"Sec-Fetch-Site": "same-origin"})
    assert response.headers["Vary"] == "Sec-Fetch-Site"


async def test_forms_of_this_site_over_plain_http() -> None:
    # Contract 21 B7b: browsers send no Sec-Fetch-Site then, and Microdot refuses every form of the site itself.
    _, _, client = make()
    for origin, expected in (
        ("http://" + HOST, 204),
        ("https://" + HOST, 204),  # a proxy speaks TLS for this server
        ("http://BOARD.local:5000", 403),  # browsers send it in lower case
        ("http://board.local", 403),
        ("http://board.local:5001", 403),
        ("http://x." + HOST, 403),
        ("http://evil.example", 403),
        ("ftp://" + HOST, 403),
        (HOST, 403),
        ("null", 403),
        ("http://", 403),
        ("", 204),
    ):
        assert await status(client, None, origin) == expected, origin
    _, _, client = make(scheme="https")
    assert await status(client, None, "https://" + HOST) == 204
    assert await status(client, None, "http://" + HOST) == 403


async def test_the_host_may_be_an_address() -> None:
    for host in ("192.168.4.1", "192.168.4.1:8080", "[fe80::1]", "[fe80::1]:5000", "Board.Local"):
        app, _, _ = make()
        client = TestClient(app, host=host)
        assert await status(client, None, "http://" + host.lower()) == 204, host
        assert await status(client, None, "http://192.168.4.2") == 403, host


async def test_without_a_host_nothing_is_the_own_one() -> None:
    app, _, _ = make(allow_subdomains=True)
    for origin in ("http://", "http://evil.", "https://evil.example."):
        request = Request(app, None, "POST", "/", "1.0", {"Origin": origin})
        assert (await app.dispatch(request)).status_code == 403, origin


async def test_null_is_refused() -> None:
    # Contract 21 B7c: with Microdot `null` and an empty list are errors of the server.
    for origins in (None, [], ["null"], ["http://good.example"], "*"):
        for subdomains in (False, True):
            _, _, client = make(origins, allow_subdomains=subdomains)
            assert await status(client, None, "null") == 403, origins
            assert await status(client, "cross-site", "null") == 403, origins


async def test_listed_origins() -> None:
    for site in (None, "cross-site", "same-site"):
        for origins in (["http://good.example", "https://also.example:8443"], ("https://also.example:8443", "http://good.example")):
            _, _, client = make(origins)
            for origin, expected in (
                ("http://good.example", 204),
                ("https://also.example:8443", 204),
                ("https://good.example", 403),
                ("http://good.example:80", 403),
                ("https://also.example", 403),
                ("http://sub.good.example", 403),
                ("http://good.example.evil.example", 403),
                ("http://evilgood.example", 403),
                ("http://good.exampl", 403),
            ):
                assert await status(client, site, origin) == expected, (site, origin)


async def test_everybody_lists_nobody() -> None:
    _, _, client = make("*")
    assert await status(client, "cross-site", "http://evil.example") == 403
    assert await status(client, None, "http://evil.example") == 403
    assert await status(client, None, "*") == 403
    assert await status(client, None, "http://" + HOST) == 204


async def test_subdomains() -> None:
    # RELIABILITY C2: by whole labels of the host, and nothing but a host.
    _, _, client = make(["http://good.example", "https://also.example:8443"], allow_subdomains=True)
    for origin, expected in (
        ("http://sub.good.example", 204),
        ("http://a.b.good.example", 204),
        ("https://sub.also.example:8443", 204),
        ("http://sub." + HOST, 204),
        ("https://sub.good.example", 403),
        ("https://sub.also.example", 403),
        ("http://evilgood.example", 403),
        ("http://evil/.good.example", 403),
        ("http://evil\\.good.example", 403),
        ("http://evil?.good.example", 403),
        ("http://evil#.good.example", 403),
        ("http://evil@.good.example", 403),
        ("http://evil,.good.example", 403),
        ("http://evil .good.example", 403),
        ("http://good.example.", 403),
        ("://sub.good.example", 403),
        ("sub.good.example", 403),
        ("http://", 403),
        ("http://\u00e9.good.example", 403),
    ):
        assert await status(client, None, origin) == expected, origin


async def test_methods() -> None:
    _, csrf, client = make()
    assert csrf.SAFE_METHODS == CSRF.SAFE_METHODS == ["GET", "HEAD", "OPTIONS"]
    for method, expected in (
        ("GET", 204),
        ("HEAD", 204),
        ("OPTIONS", 200),
        ("POST", 403),
        ("PUT", 403),
        ("PATCH", 403),
        ("DELETE", 403),
        ("QUERY", 403),
        ("get", 405),  # methods are case-sensitive: this is no GET
    ):
        assert await status(client, "cross-site", "http://evil.example", "/", method) == expected, method


async def test_exempt_and_protect() -> None:
    for protect_all in (True, False):
        _, csrf, client = make(protect_all=protect_all)
        assert (len(csrf.exempt_routes), len(csrf.protected_routes)) == (1, 1)
        assert await status(client, "cross-site", None, "/exempt") == 204
        assert await status(client, "cross-site", None, "/") == (403 if protect_all else 204)
        for method in ("GET", "HEAD", "POST"):
            assert await status(client, "cross-site", None, "/protected", method) == 403, method
            assert await status(client, "same-origin", None, "/protected", method) == 204, method


async def test_only_routes_are_checked() -> None:
    _, _, client = make()
    assert await status(client, "cross-site", None, "/nowhere") == 404
    assert await status(client, "cross-site", None, "/exempt", "PUT") == 405


async def test_handshakes_of_web_sockets_can_be_covered() -> None:
    # Contract 21 B7d: any page may open a WebSocket, with the user's cookies.
    app, csrf, client = make()

    @app.get("/socket")
    @csrf.protect
    async def socket(request: Request) -> str:
        return "open"

    for origin, expected in (("http://evil.example", 403), ("http://" + HOST, 200), ("null", 403)):
        headers = {"Origin": origin}

        def peer() -> "Any":
            yield None

        response = await client.websocket("/socket", peer, headers=headers)
        assert response.status_code == expected, origin


async def test_refused_before_the_body_is_read() -> None:
    app, _, _ = make()

    class Body:
        """A body that nobody may ask for."""

        async def read(self, n: int = -1) -> bytes:
            raise AssertionError("read")

    request = Request(app, None, "POST", "/", "1.1", {"Content-Length": "5", "Sec-Fetch-Site": "cross-site"}, stream=Body())
    assert (await app.dispatch(request)).status_code == 403


async def test_cors_given_to_the_constructor_is_kept() -> None:
    # Contract 21 B7a: Microdot forgets it in initialize().
    good, nobody = Origins(["http://good.example"]), Origins([])
    for first, then, expected in ((good, None, 204), (None, good, 204), (nobody, good, 204), (good, nobody, 403), (None, None, 403)):
        app = Microdot()

        @app.post("/")
        async def index(request: Request) -> int:
            return 204

        if then is None:
            app.install(CSRF(cors=first))
        else:
            CSRF(cors=first).initialize(app, then)
        case = first and first.allowed_origins, then and then.allowed_origins
        assert await status(TestClient(app), "cross-site", "http://good.example") == expected, case
