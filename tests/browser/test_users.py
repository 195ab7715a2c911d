"""Who is there, as Chromium sees it: cookies, logins with remember me, forms and scripts of other sites.

CPython only. Every name resolves to 127.0.0.1 in this browser, and the sites speak plain HTTP under names that are not
`localhost`: there browsers send no `Sec-Fetch-Site`, as to a board at home.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

from support.browser import browser_context
from support.loopback import Running

from microdot import Microdot, Request, Response
from microdot.cors import CORS

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/login/main.py"


def login_app(seen: list[tuple[str, str, str | None, str | None]]) -> Microdot:
    """Return the example's application, which notes who posts."""
    spec = importlib.util.spec_from_file_location("login_example_in_browser", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = Response.default_content_type
    spec.loader.exec_module(module)
    Response.default_content_type = before
    app: Microdot = module.app

    async def html(request: Request, response: Response) -> None:
        response.headers.setdefault("Content-Type", "text/html; charset=UTF-8")

    def note(request: Request, response: Response | None, exception: BaseException | None) -> None:
        if request is not None and request.method == "POST":
            headers = request.headers
            assert response is not None
            seen.append((str(response.status_code), request.path, headers.get("Sec-Fetch-Site"), headers.get("Origin")))

    app.on("after", html)
    app.on("done", note)
    return app


def pages_app(pages: dict[str, str]) -> Microdot:
    """Return a site of static pages."""
    app = Microdot()

    @app.get("/<name>")
    async def page(request: Request, name: str) -> Any:
        return "<!doctype html><title>page</title>" + pages[name], 200, {"Content-Type": "text/html"}

    return app


async def log_in(page: Any, remember: bool) -> None:
    """Fill in the login form and send it."""
    await page.fill("input[name=name]", "ann")
    await page.fill("input[name=password]", "correct horse")
    if remember:
        await page.check("input[name=remember]")
    await page.click("button")


async def test_login_remember_me_and_forms() -> None:
    seen: list[tuple[str, str, str | None, str | None]] = []
    pages: dict[str, str] = {}
    async with Running(login_app(seen)) as site, Running(pages_app(pages)) as other, browser_context() as context:
        home = f"http://board.test:{site.port}"
        pages["attack"] = f"<form method=post action='{home}/logout'><button>Win a prize</button></form>"
        page = await context.new_page()

        # The login form comes by itself, and leads back to where the user wanted to go.
        await page.goto(home + "/?a=b")
        assert page.url == home + "/login?next=/%3Fa%3Db"
        await log_in(page, remember=True)
        assert page.url == home + "/?a=b"
        assert await page.inner_text("h1") == "Hello, ann"
        # A form of the site itself passes, by its Origin: over plain HTTP there is no Sec-Fetch-Site.
        assert seen == [("302", "/login", None, home)]

        # What the browser keeps, and what scripts see of it.
        cookies = {cookie["name"]: cookie for cookie in await context.cookies()}
        assert sorted(cookies) == ["_remember", "session"]
        for cookie in cookies.values():
            assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/"), cookie
        assert cookies["session"]["expires"] == -1
        assert abs(cookies["_remember"]["expires"] - time.time() - 7 * 86400) < 60
        assert await page.evaluate("document.cookie") == ""
        await page.reload()
        assert await page.inner_text("#visits") == "2"

        # The form of another site is refused, and changes nothing.
        await page.goto(f"http://evil.test:{other.port}/attack")
        async with page.expect_navigation():
            await page.click("button")
        assert await page.inner_text("body") == "Forbidden"
        assert seen[1:] == [("403", "/logout", None, f"http://evil.test:{other.port}")]
        await page.goto(home + "/")
        assert await page.inner_text("h1") == "Hello, ann"

        # The browser was closed and comes back: remembered, but not fresh.
        await context.clear_cookies(name="session")
        await page.goto(home + "/")
        assert await page.inner_text("h1") == "Hello, ann"
        await page.goto(home + "/settings")
        assert page.url == home + "/login?next=/settings"
        await log_in(page, remember=False)
        assert (page.url, await page.inner_text("h1")) == (home + "/settings", "Settings")

        # Logged out everywhere: the cookies that somebody copied are void.
        copied = await context.cookies()
        await page.click("button")
        assert page.url == home + "/login"
        assert [cookie["name"] for cookie in await context.cookies()] == ["session"]
        await context.add_cookies(copied)
        await page.goto(home + "/")
        assert page.url == home + "/login?next=/"


async def test_preflights() -> None:
    done: list[tuple[str, str | None]] = []
    api = Microdot()
    cors = CORS(api, allowed_methods=["PUT"], allowed_headers=["X-Test"], expose_headers=["X-Answer"], max_age=60)

    @api.put("/item")
    async def put(request: Request) -> Any:
        done.append((request.method, request.headers.get("Origin")))
        return "stored", 200, {"X-Answer": "42"}

    script = (
        "(url) => fetch(url, {method: 'PUT', headers: {'X-Test': 'yes'}, body: 'x'})"
        ".then(r => r.text().then(t => t + ' ' + r.headers.get('X-Answer')), e => String(e))"
    )
    async with Running(api) as server, Running(pages_app({"page": ""})) as other, browser_context() as context:
        cors.allowed_origins = [f"http://good.test:{other.port}"]
        page = await context.new_page()
        url = f"http://api.test:{server.port}/item"
        await page.goto(f"http://good.test:{other.port}/page")
        assert await page.evaluate(script, url) == "stored 42"
        assert await page.evaluate(script.replace("PUT", "DELETE"), url) == "TypeError: Failed to fetch"
        assert await page.evaluate(script.replace("X-Test", "X-Other"), url) == "TypeError: Failed to fetch"
        await page.goto(f"http://evil.test:{other.port}/page")
        assert await page.evaluate(script, url) == "TypeError: Failed to fetch"
        # Nothing of what was refused has reached the handler.
        assert done == [("PUT", f"http://good.test:{other.port}")]


async def test_a_page_of_the_internet_calls_a_board() -> None:
    """Chromium asks its user since it no longer asks the board; then the board's answer to the preflight counts."""
    board = Microdot()
    cors = CORS(board)
    seen: list[str] = []

    @board.put("/lamp")
    async def lamp(request: Request) -> str:
        return "on"

    board.on("done", lambda request, response, exception: seen.append(request.method))
    async with Running(board) as server, Running(pages_app({"page": ""})) as site:
        # The browser takes one of the two for a server of the internet.
        public = f"--ip-address-space-overrides=127.0.0.1:{site.port}=public"
        async with browser_context(arguments=[public]) as context:
            origin = f"http://127.0.0.1:{site.port}"
            page = await context.new_page()
            await page.goto(origin + "/page")
            fetch = "(url) => fetch(url, {method: 'PUT'}).then(r => r.text(), e => String(e))"
            url = f"http://127.0.0.1:{server.port}/lamp"
            cors.allowed_origins = [origin]
            assert await page.evaluate(fetch, url) == "TypeError: Failed to fetch"
            await context.grant_permissions(["local-network-access"])
            assert await page.evaluate(fetch, url) == "on"
            assert seen == ["OPTIONS", "PUT"]
            cors.allowed_origins = ["http://another.test"]
            # Another URL, because a browser keeps what it was told of one.
            assert await page.evaluate(fetch, url + "?again") == "TypeError: Failed to fetch"
            assert seen == ["OPTIONS", "PUT", "OPTIONS"]
