"""Sub-applications: contract section 6.3, its share of 7, and 21 C22.

Portable: CPython and MicroPython.
"""

from microdot import Microdot, Request, Response, abort
from microdot.test_client import TestClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def tracing_app(name: str, log: "list[str]") -> Microdot:
    """Return an application whose handlers of every kind write their name into the log."""
    app = Microdot()

    @app.before_request
    async def before(request: Request) -> None:
        log.append("before " + name)

    @app.after_request
    async def after(request: Request, response: Response) -> None:
        log.append("after " + name)

    @app.after_error_request
    async def after_error(request: "Request | None", response: Response) -> None:
        log.append("error " + name)

    @app.get("/")
    async def index(request: Request) -> str:
        return name

    @app.get("/abort")
    async def aborting(request: Request) -> None:
        abort(404)

    @app.get("/fail")
    async def failing(request: Request) -> None:
        raise KeyError(name)

    return app


async def test_mount() -> None:
    """Contract 6.3 MUST."""
    subapp = Microdot()

    @subapp.before_request
    def before_request(request: Request) -> None:
        request.g.before = "before"

    @subapp.after_request
    def after_request(request: Request, response: Response) -> Response:
        response.body += b":after"
        return response

    @subapp.errorhandler(404)
    def not_found(request: Request) -> "tuple[str, int]":
        return "404", 404

    @subapp.route("/app")
    def index(request: Request) -> str:
        return str(request.g.before) + ":foo:" + request.url_prefix

    app = Microdot()
    app.mount(subapp, url_prefix="/sub")
    client = TestClient(app)

    # What is not the sub-application's is answered by its handlers nevertheless: they were merged.
    response = await client.get("/app")
    assert (response.status_code, response.text) == (404, "404")

    response = await client.get("/sub/app")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert response.text == "before:foo:/sub:after"


async def test_mount_local() -> None:
    """Contract 6.3 MUST: the handlers stay with the sub-application's routes; 6.5: also for its 405."""
    subapp = Microdot()

    @subapp.before_request
    def before_request(request: Request) -> None:
        request.g.before = "before"

    @subapp.after_request
    def after_request(request: Request, response: Response) -> Response:
        response.body += b":after"
        return response

    @subapp.errorhandler(404)
    def not_found(request: Request) -> "tuple[str, int]":
        return "404!", 404

    @subapp.errorhandler(405)
    def not_allowed(request: Request) -> "tuple[str, int]":
        return "405!", 405

    @subapp.after_error_request
    def after_error_request(request: "Request | None", response: Response) -> Response:
        response.body += b":error"
        return response

    @subapp.route("/app")
    def index(request: Request) -> str:
        return str(getattr(request.g, "before", "none")) + ":foo"

    @subapp.route("/abort")
    def aborting(request: Request) -> None:
        abort(404)

    app = Microdot()

    @app.route("/app")
    def app_index(request: Request) -> str:
        return str(getattr(request.g, "before", "none")) + ":bar"

    app.mount(subapp, url_prefix="/sub", local=True)
    client = TestClient(app)
    assert (await client.get("/app")).text == "none:bar"
    assert (await client.get("/sub/app")).text == "before:foo:after"
    response = await client.get("/nothing")
    assert (response.status_code, response.text) == (404, "Not found")
    # No route, no sub-application: its 404 handler is for abort(404) in its handlers.
    assert (await client.get("/sub/nothing")).text == "Not found"
    response = await client.get("/sub/abort")
    assert (response.status_code, response.text) == (404, "404!:error")
    response = await client.post("/sub/app")
    assert (response.status_code, response.text) == (405, "405!:error")
    response = await client.post("/app")
    assert (response.status_code, response.text) == (405, "Not found")


async def test_order_of_handlers() -> None:
    """Contract 7.1: before app then sub-application; after and error the other way round."""
    for local, path, expected in (
        (True, "/sub/", ["before app", "before sub", "after sub", "after app"]),
        (True, "/", ["before app", "after app"]),
        (True, "/sub/fail", ["before app", "before sub", "error sub", "error app"]),
        (True, "/sub/abort", ["before app", "before sub", "error sub", "error app"]),
        (True, "/fail", ["before app", "error app"]),
        (True, "/nothing", ["error app"]),
        (False, "/sub/", ["before app", "before sub", "after app", "after sub"]),
        (False, "/", ["before app", "before sub", "after app", "after sub"]),
        (False, "/sub/fail", ["before app", "before sub", "error app", "error sub"]),
        (False, "/nothing", ["error app", "error sub"]),
    ):
        log: "list[str]" = []
        app = tracing_app("app", log)
        sub = tracing_app("sub", log)
        app.mount(sub, url_prefix="/sub", local=local)
        await TestClient(app).get(path)
        assert log == expected, (local, path, log)


def test_a_sub_application_gives_its_handlers_away() -> None:
    """Contract 6.3: so nothing runs twice."""
    log: "list[str]" = []
    app, sub = Microdot(), tracing_app("sub", log)
    sub.errorhandler(404)(lambda request: "404")
    app.mount(sub, url_prefix="/sub")
    assert len(app.before_request_handlers) == len(app.after_request_handlers) == 1
    assert len(app.after_error_request_handlers) == 1
    assert list(app.error_handlers) == [404]
    assert sub.before_request_handlers == []
    assert sub.after_request_handlers == []
    assert sub.after_error_request_handlers == []
    assert sub.error_handlers == {}
    app, sub = Microdot(), tracing_app("sub", log)
    app.mount(sub, url_prefix="/sub", local=True)
    assert app.before_request_handlers == [] and len(sub.before_request_handlers) == 1


async def test_error_handlers_overwrite() -> None:
    """Contract 6.3: merged into the parent's."""
    app, sub = Microdot(), Microdot()
    app.errorhandler(404)(lambda request: ("app", 404))
    sub.errorhandler(404)(lambda request: ("sub", 404))
    app.mount(sub, url_prefix="/sub")
    assert (await TestClient(app).get("/x")).text == "sub"


def nested(local: bool) -> Microdot:
    """Return the application of the contract's nested facts."""
    app, subapp, subsubapp = Microdot(), Microdot(), Microdot()

    @app.before_request
    async def app_before(request: Request) -> None:
        request.g.before = "app"

    @subapp.before_request
    async def sub_before(request: Request) -> None:
        request.g.before = "subapp"

    @subsubapp.before_request
    async def subsub_before(request: Request) -> None:
        request.g.before = "subsubapp"

    def index(request: Request) -> "dict[str, Any]":
        which = {None: None, subapp: "subapp", subsubapp: "subsubapp"}[request.subapp]
        assert request.app is app
        return {"before": request.g.before, "subapp": which, "prefix": request.url_prefix}

    for one in (app, subapp, subsubapp):
        one.get("/")(index)
    subapp.mount(subsubapp, url_prefix="/subsub", local=local)
    app.mount(subapp, url_prefix="/sub", local=local)
    return app


async def test_nested() -> None:
    """Contract 6.3 MUST."""
    client = TestClient(nested(local=False))
    for path, subapp, prefix in (("/", None, ""), ("/sub/", "subapp", "/sub"), ("/sub/subsub/", "subsubapp", "/sub/subsub")):
        assert (await client.get(path)).json == {"before": "subsubapp", "subapp": subapp, "prefix": prefix}, path
    client = TestClient(nested(local=True))
    for path, before, subapp, prefix in (
        ("/", "app", None, ""),
        ("/sub/", "subapp", "subapp", "/sub"),
        ("/sub/subsub/", "subsubapp", "subsubapp", "/sub/subsub"),
    ):
        assert (await client.get(path)).json == {"before": before, "subapp": subapp, "prefix": prefix}, path


async def test_nested_local_handlers_of_every_level() -> None:
    """Contract 21 C22: the middle level used to be skipped."""
    for path, expected in (
        ("/sub/subsub/", ["before app", "before sub", "before subsub", "after subsub", "after sub", "after app"]),
        ("/sub/subsub/fail", ["before app", "before sub", "before subsub", "error subsub", "error sub", "error app"]),
        ("/sub/", ["before app", "before sub", "after sub", "after app"]),
        ("/", ["before app", "after app"]),
    ):
        log: "list[str]" = []
        app, sub, subsub = tracing_app("app", log), tracing_app("sub", log), tracing_app("subsub", log)
        sub.mount(subsub, url_prefix="/subsub", local=True)
        app.mount(sub, url_prefix="/sub", local=True)
        await TestClient(app).get(path)
        assert log == expected, (path, log)


async def test_nested_local_error_handlers_of_every_level() -> None:
    """Contract 21 C22: the innermost handler of a status or class wins, then the next level's."""
    app, sub, subsub = Microdot(), Microdot(), Microdot()

    @subsub.get("/abort/<int:status>")
    async def aborting(request: Request, status: int) -> None:
        abort(status)

    @subsub.get("/fail")
    async def failing(request: Request) -> None:
        raise KeyError("x")

    for status, owners in ((401, (app, sub, subsub)), (402, (app, sub)), (403, (app,))):
        for owner in owners:
            name = {app: "app", sub: "sub", subsub: "subsub"}[owner]
            owner.errorhandler(status)(lambda request, name=name: (name, 400))
    sub.errorhandler(KeyError)(lambda request, exc: ("sub", 500))
    app.errorhandler(KeyError)(lambda request, exc: ("app", 500))
    sub.mount(subsub, url_prefix="/subsub", local=True)
    app.mount(sub, url_prefix="/sub", local=True)
    client = TestClient(app)
    for path, expected in (
        ("/sub/subsub/abort/401", "subsub"),
        ("/sub/subsub/abort/402", "sub"),
        ("/sub/subsub/abort/403", "app"),
        ("/sub/subsub/fail", "sub"),
    ):
        assert (await client.get(path)).text == expected, path


async def test_prefixes() -> None:
    """Contract 6.3, 5 X: prefix text, dynamic prefixes, the empty route."""
    app, sub = Microdot(), Microdot()

    @sub.get("")
    async def root(request: Request) -> str:
        return "root " + request.url_prefix

    @sub.get("/<int:id>")
    async def item(request: Request, id: int, tenant: str = "none") -> str:
        return "%d %s %s" % (id, tenant, request.url_prefix)

    app.mount(sub, url_prefix="/subapp")
    app.mount(sub, url_prefix="/<tenant>/x")
    app.mount(sub)
    client = TestClient(app)
    assert (await client.get("/subapp")).text == "root /subapp"
    assert (await client.get("/subapp/5")).text == "5 none /subapp"
    assert (await client.get("/subapp/")).status_code == 404
    assert (await client.get("/acme/x/5")).text == "5 acme /<tenant>/x"
    assert (await client.get("/7")).text == "7 none "


async def test_routes_are_copied_when_mounted() -> None:
    """Contract 21.0.13: routes that a sub-application gets later are not seen."""
    app, sub = Microdot(), Microdot()
    sub.get("/early")(lambda request: "early")
    app.mount(sub, url_prefix="/sub")
    sub.get("/late")(lambda request: "late")
    client = TestClient(app)
    assert (await client.get("/sub/early")).text == "early"
    assert (await client.get("/sub/late")).status_code == 404


async def test_one_sub_application_in_two_places() -> None:
    sub = Microdot()
    sub.get("/")(lambda request: request.url_prefix)
    app, other = Microdot(), Microdot()
    app.mount(sub, url_prefix="/a", local=True)
    app.mount(sub, url_prefix="/b", local=True)
    other.mount(sub, url_prefix="/c", local=True)
    client = TestClient(app)
    assert (await client.get("/a/")).text == "/a"
    assert (await client.get("/b/")).text == "/b"
    assert (await TestClient(other).get("/c/")).text == "/c"


async def test_a_local_sub_application_answers_in_before() -> None:
    """Contract 7.1: the first truthy result answers, and the after handlers still run."""
    log: "list[str]" = []
    app, sub = tracing_app("app", log), tracing_app("sub", log)

    @sub.before_request
    async def deny(request: Request) -> "tuple[str, int]":
        log.append("deny")
        return "denied", 403

    app.mount(sub, url_prefix="/sub", local=True)
    response = await TestClient(app).get("/sub/")
    assert (response.status_code, response.text) == (403, "denied")
    assert log == ["before app", "before sub", "deny", "after sub", "after app"]
