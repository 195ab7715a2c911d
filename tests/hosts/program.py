"""The application that every host serves: routes for what a host could get wrong.

Portable: CPython and MicroPython. `register(app)` puts it on any kind of `Microdot`, so that what runs is the same but for
one import; run as `program.py PORT` it is served by the native server.
"""

import asyncio
import sys
import time

from microdot import Microdot, Request, Response, abort, redirect, send_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Smaller than the defaults, so that the tests need not send much.
LOADED = 4096
ACCEPTED = 40000


def register(app: "Microdot", file: str) -> None:
    """Put the routes and hooks of this program on an application.

    Args:
        app: the application.
        file: path of a file to send.
    """
    Request.max_body_length = LOADED
    Request.max_content_length = ACCEPTED
    counts: "dict[str, int]" = {}

    def count(name: str) -> None:
        counts[name] = counts.get(name, 0) + 1

    @app.get("/")
    async def index(request: "Request") -> str:
        return "hello"

    @app.get("/counts")
    async def get_counts(request: "Request") -> "Any":
        return counts

    # What handlers return

    @app.get("/plain")
    def plain(request: "Request") -> str:
        return "from a plain function"

    @app.get("/json")
    async def as_json(request: "Request") -> "Any":
        return {"answer": 42}

    @app.get("/list")
    async def as_list(request: "Request") -> "Any":
        return [1, 2, 3]

    @app.get("/none")
    async def none(request: "Request") -> None:
        return None

    @app.get("/status")
    async def status(request: "Request") -> "Any":
        return 202

    @app.get("/tuple")
    async def as_tuple(request: "Request") -> "Any":
        return "<p>gone", 410, {"Content-Type": "text/html", "X-One": "1"}

    @app.get("/not-modified")
    async def not_modified(request: "Request") -> "Any":
        return "", 304, {"ETag": '"abc"'}

    @app.get("/text")
    async def text(request: "Request") -> str:
        return "äöü \u20ac"

    @app.get("/redirect")
    async def redirected(request: "Request") -> "Any":
        return redirect("/new place")

    @app.get("/file")
    async def sent_file(request: "Request") -> "Any":
        return send_file(file, max_age=60)

    @app.get("/cookies")
    async def cookies(request: "Request") -> "Any":
        response = Response(request.cookies)
        response.set_cookie("one", "1")
        response.set_cookie("two", "2", http_only=True)
        return response

    @app.get("/bytes")
    async def as_bytes(request: "Request") -> "Any":
        return bytearray(b"\x00\xff\x00")

    # Streams out

    @app.get("/generator")
    async def generator(request: "Request") -> "Any":
        return (part for part in ("one ", b"two ", "", "drei ä"))

    @app.get("/empty-generator")
    async def empty_generator(request: "Request") -> "Any":
        return iter("")

    class Slowly:
        """A few chunks with pauses, or for ever."""

        def __init__(self, number: int, name: str) -> None:
            self.left = number
            self.name = name

        def __aiter__(self) -> "Slowly":
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            await asyncio.sleep(0.02)
            return b"tick\n"

        async def aclose(self) -> None:
            count("closed-" + self.name)

    @app.get("/slowly")
    async def slowly(request: "Request") -> "Any":
        return Slowly(3, "slowly")

    @app.get("/for-ever/<name>")
    async def for_ever(request: "Request", name: str) -> "Any":
        return Slowly(-1, name), {"Content-Type": "text/event-stream"}

    class Quiet(Slowly):
        """One chunk, then nothing: only somebody who looks after the client learns that it has gone."""

        async def __anext__(self) -> bytes:
            self.left -= 1
            if self.left < -2:
                await asyncio.sleep(60)
            return b"tick\n"

    @app.get("/quiet/<name>")
    async def quiet(request: "Request", name: str) -> "Any":
        return Quiet(-1, name)

    @app.get("/large")
    async def large(request: "Request") -> "Any":
        return (b"0123456789abcdef" * 64 for _ in range(300))

    @app.get("/broken-stream")
    async def broken_stream(request: "Request") -> "Any":
        def parts() -> "Any":
            yield b"first"
            raise ValueError("on purpose: within a stream")

        return parts()

    # Requests

    @app.route("/request/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    async def describe(request: "Request", rest: str) -> "Any":
        return {
            "method": request.method,
            "path": request.path,
            "query": request.query_string,
            "rest": rest,
            "scheme": request.scheme,
            "version": request.http_version[-3:],
            "client": request.client_addr[0],
            "x": request.args.getlist("x"),
            "prefix": request.url_prefix,
            "length": request.content_length,
            "type": request.content_type,
            "app": request.app is app,
        }

    @app.get("/headers")
    async def headers(request: "Request") -> "Any":
        return {
            "X-One": request.headers.get("x-ONE"),
            "X-Two": request.headers["X-Two"],
            "X-Latin": request.headers.get("X-Latin"),
            "Host": request.headers.get("host"),
            "none": request.headers.get("X-None"),
        }

    @app.get("/users/<int:number>/<name>")
    async def user(request: "Request", number: int, name: str) -> "Any":
        return [number, name]

    @app.route("/body", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"])
    async def body(request: "Request") -> "Any":
        return {"method": request.method, "loaded": len(request.body), "begins": request.body[:8].decode()}

    @app.post("/form")
    async def form(request: "Request") -> "Any":
        return {"a": request.form["a"], "b": request.form.getlist("b")}

    @app.post("/take-json")
    async def take_json(request: "Request") -> "Any":
        return {"got": request.json}

    @app.post("/stream")
    async def stream(request: "Request") -> "Any":
        loaded = len(request.body)
        total = 0
        while True:
            data = await request.stream.read(1000)
            if not data:
                break
            if len(data) > 1000:
                abort(500, "read(n) gave too much")
            total += len(data)
        return {"loaded": loaded, "streamed": total}

    @app.post("/lines")
    async def lines(request: "Request") -> "Any":
        first = await request.stream.readline()
        second = await request.stream.readuntil(b";")
        third = await request.stream.readexactly(3)
        rest = await request.stream.read()
        return [first.decode(), second.decode(), third.decode(), len(rest)]

    @app.post("/unread")
    async def unread(request: "Request") -> str:
        return "did not look"

    # Errors

    @app.get("/raise")
    async def raises(request: "Request") -> None:
        raise ValueError("on purpose: in a handler")

    @app.get("/raise-plain")
    def raises_plain(request: "Request") -> None:
        raise KeyError("on purpose: in a plain handler")

    @app.errorhandler(KeyError)
    async def key_error(request: "Request", exc: Exception) -> "Any":
        return "no such key", 409

    @app.get("/abort/<int:number>")
    async def aborts(request: "Request", number: int) -> None:
        abort(number, "because")

    @app.errorhandler(418)
    async def teapot(request: "Request") -> "Any":
        return {"tea": True}, 418

    @app.get("/inject")
    async def inject(request: "Request") -> "Any":
        return "x", {"X-Value": request.args["v"]}

    @app.get("/inject-list")
    async def inject_list(request: "Request") -> "Any":
        response = Response("x", headers={"X-Value": ["a"]})
        response.headers["X-Value"].append(request.args["v"])
        return response

    @app.get("/bad-body")
    async def bad_body(request: "Request") -> "Any":
        return Response(23.7)

    # Hooks

    @app.before_request
    async def before(request: "Request") -> "Any":
        request.g.before = "seen"
        if request.path == "/forbidden":
            return "forbidden", 403
        return None

    @app.after_request
    async def after(request: "Request", response: "Response") -> None:
        if request.path == "/hooks":
            response.headers["X-After"] = request.g.before

    @app.after_error_request
    async def after_error(request: "Request", response: "Response") -> None:
        response.headers["X-Error"] = "1"

    @app.get("/forbidden")
    async def forbidden(request: "Request") -> str:
        return "the hook answers before this"

    @app.get("/hooks")
    async def hooks(request: "Request") -> "Any":
        @request.after_request
        def own(request: "Request", response: "Response") -> None:
            response.headers["X-Own"] = "1"

        request.g._vary = {"X-One"}
        return "hooks"

    @app.get("/vary")
    async def vary(request: "Request") -> "Any":
        request.g._vary = {"Cookie"}
        return "vary", {"Vary": "Accept"}

    def start(app: "Any") -> None:
        count("start")

    async def stop(app: "Any") -> None:
        print("stopped, after %d" % counts.get("start", 0))

    def done(request: "Any", response: "Any", exc: "Any") -> None:
        if request is not None and request.query_string == "counted":
            count("done-" + request.path + ("-early" if exc is not None else ""))

    async def admit(request: "Request", route: "Any") -> "Any":
        if request.path == "/admit/limit":
            request.max_content_length = 10
        if request.path == "/admit/time":
            request.timeout = 0.1
        if request.path == "/admit/refused":
            return "not you", 401
        return None

    app.on("start", start)
    app.on("stop", stop)
    app.on("done", done)
    app.on("admit", admit)

    @app.post("/admit/<what>")
    async def admitted(request: "Request", what: str) -> str:
        await asyncio.sleep(1 if what == "time" else 0)
        return "in"

    # Sub-applications

    sub = Microdot()

    @sub.get("")
    @sub.get("/inner")
    async def inner(request: "Request") -> "Any":
        return {"prefix": request.url_prefix, "sub": request.subapp is sub}

    @sub.before_request
    async def before_inner(request: "Request") -> "Any":
        return ("not here", 403) if request.args.get("x") == "no" else None

    app.mount(sub, "/sub", local=True)

    # Many at once

    @app.route("/job/<int:number>", methods=["GET", "POST"])
    async def job(request: "Request", number: int) -> "Any":
        request.g.number = number
        await asyncio.sleep(number % 7 / 200)
        return [number, request.g.number, request.path, request.body.decode()]

    @app.route("/job-plain/<int:number>", methods=["GET", "POST"])
    def job_plain(request: "Request", number: int) -> "Any":
        request.g.number = number
        time.sleep(number % 7 / 400)
        return [number, request.g.number, request.path, request.body.decode()]

    @app.get("/shutdown")
    async def shutdown(request: "Request") -> str:
        request.app.shutdown()
        return "going"

    # Connections

    @app.get("/upgrade")
    async def upgrade(request: "Request") -> "Any":
        channel = await request.upgrade({"Upgrade": "websocket", "Connection": "Upgrade"})
        await channel.close()
        return Response.already_handled

    from microdot.websocket import websocket_upgrade, with_websocket

    @app.get("/ends/<how>")
    async def ends(request: "Request", how: str) -> str:
        await websocket_upgrade(request)
        if how == "fails":
            raise ValueError("as it should")
        if how == "aborts":
            abort(403, "not you")
        return "never sent"

    @app.get("/echo")
    @with_websocket
    async def echo(request: "Request", ws: "Any") -> None:
        while True:
            await ws.send(await ws.receive())

    @app.get("/bye")
    @with_websocket
    async def bye(request: "Request", ws: "Any") -> None:
        await ws.send("bye " + request.cookies.get("name", "?"))

    @app.get("/wait/<name>")
    @with_websocket
    async def wait(request: "Request", ws: "Any", name: str) -> None:
        await ws.send("ready")
        try:
            while True:
                await ws.receive()
        finally:
            count("closed-" + name)

    # Extension packages

    from microdot.auth import BasicAuth, TokenAuth
    from microdot.cors import CORS
    from microdot.csrf import CSRF
    from microdot.login import Login
    from microdot.multipart import FormDataIter, with_form_data
    from microdot.session import Session, with_session
    from microdot.sse import with_sse
    from microdot.static import Static

    Session(app, secret_key="a key of the tests, long enough for everybody")
    Static(app, "/static", file[: file.rfind("/")])
    CORS(app, allowed_origins=["https://friend.example"], allow_credentials=True)
    csrf = CSRF(app, protect_all=False)
    basic = BasicAuth()
    token = TokenAuth()
    login = Login()

    @app.get("/session")
    @with_session
    async def session(request: "Request", session: "Any") -> "Any":
        session["visits"] = session.get("visits", 0) + 1
        session.save()
        return {"visits": session["visits"]}

    @app.get("/events")
    @with_sse
    async def events(request: "Request", sse: "Any") -> None:
        for number in range(3):
            await sse.send({"number": number}, event="count", event_id=str(number))

    @app.get("/endless-events/<name>")
    @with_sse
    async def endless_events(request: "Request", sse: "Any", name: str) -> None:
        try:
            while True:
                await sse.send("tick")
                await asyncio.sleep(0.05)
        finally:
            count("closed-" + name)

    @app.post("/upload")
    @with_form_data
    async def upload(request: "Request") -> "Any":
        upload = request.files["file"]
        return {"name": upload.filename, "size": len(await upload.read()), "field": request.form["field"]}

    @app.post("/upload-parts")
    async def upload_parts(request: "Request") -> "Any":
        found = []
        async for name, value in FormDataIter(request):
            found.append([name, value if isinstance(value, str) else len(await value.read())])
        return found

    @app.post("/protected")
    @csrf.protect
    async def protected(request: "Request") -> str:
        return "from our own page"

    @basic.authenticate
    async def check_user(request: "Request", username: str, password: str) -> "Any":
        return username if password == "secret" else None

    @token.authenticate
    async def check_token(request: "Request", value: str) -> "Any":
        return "token" if value == "secret" else None

    @app.get("/basic")
    @basic
    async def with_basic(request: "Request") -> "Any":
        return request.g.current_user

    @app.get("/token")
    @token
    async def with_token(request: "Request") -> "Any":
        return request.g.current_user

    class User:
        """Somebody who can log in."""

        def __init__(self, id: str) -> None:
            self.id = id

    @login.user_loader
    async def load(user_id: str) -> "Any":
        return User(user_id)

    @app.post("/login")
    async def log_in(request: "Request") -> "Any":
        return await login.login_user(request, User("somebody"))

    @app.get("/members")
    @login
    async def members(request: "Request") -> "Any":
        return request.g.current_user.id


if __name__ == "__main__":
    app = Microdot()
    register(app, sys.argv[2])
    app.run("127.0.0.1", int(sys.argv[1]))
