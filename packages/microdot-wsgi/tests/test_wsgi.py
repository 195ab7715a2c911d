"""microdot.wsgi, called as a server calls it (CPython only). Real servers: tests/hosts."""

from __future__ import annotations

import asyncio
import contextvars
import io
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.validate import validator

import microdot.wsgi
import pytest
from microdot import Request, Response
from microdot.wsgi import Microdot


class Result:
    """What a call gave.

    Arguments:
        app: the WSGI application.
        body: the body of the request.
        environ: what differs from a GET request of `/`.
    """

    def __init__(self, app: Any, body: bytes = b"", **environ: Any) -> None:
        self.environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST" if body else "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "1.2.3.4",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if body:
            self.environ["CONTENT_LENGTH"] = str(len(body))
        self.environ.update({name.replace("wsgi_", "wsgi."): value for name, value in environ.items()})
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.chunks: list[bytes] = []
        self.iterable = app(self.environ, self._start)

    def _start(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.status = status
        self.headers = sorted(headers)
        return self.chunks.append

    def read(self) -> Result:
        """Take the whole response, as a server does."""
        try:
            for chunk in self.iterable:
                self.chunks.append(chunk)
        finally:
            if hasattr(self.iterable, "close"):
                self.iterable.close()
        return self

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


def call(app: Any, body: bytes = b"", **environ: Any) -> Result:
    """Make a request, with the validator of PEP 3333 between, and take the whole response."""
    return Result(validator(app), body, **environ).read()


def app_of(handler: Any, *methods: str) -> Microdot:
    app = Microdot()
    app.route("/", methods=list(methods) or ["GET", "POST"])(handler)
    return app


def wait_for(condition: Any) -> bool:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


def test_response() -> None:
    """Contract 19 pins the status and these four headers."""
    app = Microdot()

    @app.get("/foo/bar")
    async def index(request: Any) -> Any:
        assert request.environ["PATH_INFO"] == "/bar"
        assert request.args["baz"] == "1"
        assert request.cookies == {"session": "xyz"}
        assert request.headers["X-One-Two"] == "three"
        assert request.http_version == "HTTP/1.1"
        assert request.client_addr == ("1.2.3.4", 1234)
        assert request.sock == (None, None)
        response = Response("response")
        response.set_cookie("foo", "foo")
        response.set_cookie("bar", "bar", http_only=True)
        return response

    result = call(
        app,
        SCRIPT_NAME="/foo",
        PATH_INFO="/bar",
        QUERY_STRING="baz=1",
        HTTP_COOKIE="session=xyz",
        HTTP_X_ONE_TWO="three",
        REMOTE_PORT="1234",
    )
    assert result.status == "200 OK"
    assert result.headers == [
        ("Content-Length", "8"),
        ("Content-Type", "text/plain; charset=UTF-8"),
        ("Set-Cookie", "bar=bar; HttpOnly"),
        ("Set-Cookie", "foo=foo"),
    ]
    assert result.body == b"response"


def test_environ_with_nothing_but_what_must_be() -> None:
    app = app_of(lambda request: [request.path, request.query_string, request.client_addr, request.content_length])
    names = ("REQUEST_METHOD", "REMOTE_ADDR", "wsgi.input")
    environ = {name: value for name, value in Result(app).environ.items() if name in names}
    assert b"".join(app(environ, lambda status, headers: None)) == b'["/", null, ["1.2.3.4", 0], 0]'


def test_white_space_around_values_does_not_belong_to_them() -> None:
    """RFC 9110 5.5: some servers, uWSGI for one, leave it at the end of a value."""
    app = app_of(lambda request: [request.headers["X-One"], request.content_type])
    assert call(app, HTTP_X_ONE=" a b \t", CONTENT_TYPE="text/plain ").body == b'["a b", "text/plain"]'


@pytest.mark.parametrize("length", ["", "0", None])
def test_no_body(length: str | None) -> None:
    """C19: servers give an empty CONTENT_LENGTH when there is none."""

    async def handler(request: Any) -> Any:
        return [len(request.body), request.content_length]

    environ: dict[str, Any] = {} if length is None else {"CONTENT_LENGTH": length}
    assert Result(app_of(handler), **environ).read().body == b"[0, 0]"


def test_bodies() -> None:
    async def handler(request: Any) -> Any:
        loaded = len(request.body)
        line = await request.stream.readline()
        return [loaded, line.decode(), len(await request.stream.readexactly(5)), len(await request.stream.read())]

    app = app_of(handler)
    assert call(app, b"first\nsecond").body == b'[12, "first\\n", 5, 1]'
    Request.max_body_length, limit = 100, Request.max_body_length
    try:
        assert call(app, b"first\n" + b"x" * 1000).body == b'[0, "first\\n", 5, 995]'
        assert Result(app, b"x" * 10, CONTENT_LENGTH="1000").status == "400 Bad Request"
        assert call(app, b"x" * 1000, CONTENT_LENGTH="100000").status[:4] == "413 "
        # B17: chunks have no length, and a limit all the same
        chunked: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi_input_terminated": True, "REQUEST_METHOD": "POST"}
        result = Result(app, **chunked, wsgi_input=io.BytesIO(b"first\n" + b"x" * 1000))
        assert result.read().body == b'[0, "first\\n", 5, 995]'
        assert Result(app, **chunked, wsgi_input=io.BytesIO(b"x" * 20000)).status[:3] == "413"
        # A server that leaves them to nobody
        assert Result(app, REQUEST_METHOD="POST", HTTP_TRANSFER_ENCODING="chunked").status[:3] == "411"
    finally:
        Request.max_body_length = limit
    for length in ("abc", "-5", "+5", "1_0"):
        assert Result(app, b"0123456789", CONTENT_LENGTH=length).status == "400 Bad Request"


@pytest.mark.parametrize(
    ("environ", "path", "query"),
    [
        # C19: PEP 3333 gives bytes as Latin-1
        ({"PATH_INFO": "/ä\u20ac".encode().decode("latin-1")}, "/%C3%A4%E2%82%AC", None),
        # B10: a decoded `?` makes no query, `%` stays what it was
        ({"PATH_INFO": "/a?b=c 100%"}, "/a%3Fb=c%20100%25", None),
        ({"PATH_INFO": "/a", "QUERY_STRING": "x=%3F"}, "/a", "x=%3F"),
        ({"PATH_INFO": "/a/b", "RAW_URI": "/a%2Fb?x=1", "QUERY_STRING": "x=1"}, "/a%2Fb", "x=1"),
        ({"PATH_INFO": "/a/b", "REQUEST_URI": "/a%2Fb"}, "/a%2Fb", None),
        # Apache decodes all but the slashes with `AllowEncodedSlashes NoDecode`
        ({"PATH_INFO": "/a%2Fb c", "REQUEST_URI": "/a%2Fb%20c"}, "/a%2Fb%20c", None),
        ({"PATH_INFO": "/a%2fb", "REQUEST_URI": "/a%252fb"}, "/a%252fb", None),
        # Middleware has changed the path: the raw one is another
        ({"PATH_INFO": "/new", "REQUEST_URI": "/old?x=1"}, "/new", None),
        ({"SCRIPT_NAME": "/mounted", "PATH_INFO": "/a", "REQUEST_URI": "/mounted/a"}, "/mounted/a", None),
        ({"PATH_INFO": "/a", "REQUEST_URI": "http://host/a"}, "/a", None),
        ({"PATH_INFO": "/a", "QUERY_STRING": "x=ä".encode().decode("latin-1")}, "/a", "x=ä"),
    ],
)
def test_target(environ: dict[str, Any], path: str, query: str | None) -> None:
    app = Microdot()

    @app.get("/<path:rest>")
    async def index(request: Any, rest: str) -> Any:
        assert (request.path, request.query_string) == (path, query)
        return "right"

    assert call(app, **environ).body == b"right"


def test_query_that_is_no_text() -> None:
    assert call(Microdot(), QUERY_STRING="x=\xff").status == "400 Bad Request"


def test_head_and_empty_responses() -> None:
    """C19: no body, but its length; and none of what must not go with 204 and 304."""
    assert call(app_of(lambda request: "hello"), REQUEST_METHOD="HEAD").body == b""
    assert ("Content-Length", "5") in call(app_of(lambda request: "hello"), REQUEST_METHOD="HEAD").headers
    for value, status in ((None, "204 No Content"), (("x", 304, {"Content-Type": "text/html"}), "304 Not Modified")):
        result = call(app_of(lambda request, value=value: value))
        assert (result.status, result.headers, result.body) == (status, [], b"")


def test_response_headers() -> None:
    app = app_of(lambda request: ("x", 299, {"X-Utf": "ä", "X-Number": 5, "Connection": "close", "Upgrade": "x"}))
    result = call(app)
    assert result.status == "299 N/A"
    assert ("X-Utf", "ä".encode().decode("latin-1")) in result.headers and ("X-Number", "5") in result.headers
    assert not [name for name, _ in result.headers if name in ("Connection", "Upgrade")]
    assert call(app_of(lambda request: Response("x", reason="Fine"))).status == "200 Fine"


def test_reason_cannot_inject(capsys: pytest.CaptureFixture[str]) -> None:
    def handler(request: Any) -> Any:
        response = Response("x")
        response.reason = "OK\r\nX-Evil: 1"
        return response

    assert call(app_of(handler)).status == "500 Internal Server Error"
    assert "CR, LF or NUL" in capsys.readouterr().err


# Streams


def test_streams() -> None:
    """C19: str chunks are encoded; each chunk is made when the server asks for it."""
    made = []

    async def numbers() -> Any:
        for number in range(3):
            made.append(number)
            yield "ä%d" % number if number % 2 else b"%d" % number

    app = app_of(lambda request: numbers())
    result = Result(app)
    assert made == []
    chunks = iter(result.iterable)
    assert next(chunks) == b"0" and made == [0]
    assert next(chunks) == "ä1".encode() and made == [0, 1]
    result.iterable.close()
    assert call(app).body == b"0" + "ä1".encode() + b"2"
    assert call(app_of(lambda request: iter(()))).body == b""


def test_stream_that_the_server_closes() -> None:
    """The client has gone: a producer that waits is cancelled, and the request is done."""
    events: list[Any] = []

    class Producer:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            return b"x"

        async def aclose(self) -> None:
            events.append("closed")

    app = app_of(lambda request: Producer())
    app.on("done", lambda request, response, exc: events.append(type(exc)))
    result = Result(app)
    assert next(iter(result.iterable)) == b"x"
    result.iterable.close()
    assert events == ["closed", ConnectionResetError]
    result.iterable.close()
    assert len(events) == 2


def test_exception_within_a_stream_reaches_the_server() -> None:
    def broken() -> Any:
        yield b"one"
        raise ValueError("on purpose")

    done: list[Any] = []
    app = app_of(lambda request: broken())
    app.on("done", lambda request, response, exc: done.append(exc))
    result = Result(app)
    with pytest.raises(ValueError, match="on purpose"):
        result.read()
    assert len(done) == 1 and isinstance(done[0], ValueError)


def test_a_cancelled_task_that_a_handler_awaits() -> None:
    """asyncio's CancelledError is no Exception: in a thread of a server it would end the worker process, and all its requests."""

    async def handler(request: Request) -> str:
        task = asyncio.ensure_future(asyncio.sleep(10))
        asyncio.get_running_loop().call_soon(task.cancel)
        await task
        return "never"

    with pytest.raises(RuntimeError, match="awaits was cancelled"):
        call(app_of(handler))


def test_a_body_that_the_server_cannot_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Malformed chunks, a client that goes: each server has exceptions of its own for that; a stranger fills no log with them."""

    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("Invalid chunk size")

    async def handler(request: Request) -> bytes:
        return request.body

    result = Result(app_of(handler), b"x", **{"wsgi.input": Broken(), "CONTENT_LENGTH": "5"})
    assert (result.read().status, capsys.readouterr().err) == ("400 Bad Request", "")


def test_stream_is_one_task() -> None:
    """What belongs to a task (time limits, cancel scopes, context variables) holds from chunk to chunk."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
    tasks = []

    async def body() -> Any:
        for _ in range(3):
            tasks.append(asyncio.current_task())
            yield variable.get()

    async def handler(request: Any) -> Any:
        tasks.append(asyncio.current_task())
        variable.set("set ")
        return body()

    assert call(app_of(handler)).body == b"set set set "
    assert len(set(tasks)) == 1


def test_done_hook_runs_after_the_last_byte() -> None:
    done: list[Any] = []
    app = app_of(lambda request: "x")
    app.on("done", lambda request, response, exc: done.append(exc))
    result = Result(app)
    assert list(result.iterable) == [b"x"] and done == []
    result.iterable.close()
    assert done == [None]


def test_start_response_that_fails() -> None:
    done: list[Any] = []
    app = app_of(lambda request: iter("abc"))
    app.on("done", lambda request, response, exc: done.append(type(exc)))

    def fail(status: str, headers: Any) -> Any:
        raise OSError("the server has had enough")

    with pytest.raises(OSError, match="enough"):
        app(Result(Microdot()).environ, fail)
    assert done == [ConnectionResetError]


# Threads


def test_threads() -> None:
    """A8: requests of many threads share one loop, and each gets its own answer."""
    app = Microdot()
    state = {"count": 0}

    @app.post("/<int:number>")
    async def count(request: Any, number: int) -> Any:
        before = state["count"]
        state["count"] = before + 1  # nothing else runs between: there is one loop
        await asyncio.sleep(number % 5 / 1000)
        return [number, request.body.decode()]

    @app.post("/plain/<int:number>")
    def plain(request: Any, number: int) -> Any:
        time.sleep(number % 5 / 1000)
        return [number, request.body.decode()]

    def ask(number: int) -> None:
        for path in (f"/{number}", f"/plain/{number}"):
            result = call(app, b"body %d" % number, PATH_INFO=path)
            assert result.body == b'[%d, "body %d"]' % (number, number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(200)))
    assert state["count"] == 200


def test_plain_handlers_run_in_the_thread_of_the_server() -> None:
    """As many at once as the server has threads; thread-local things of theirs work. Async ones share the loop's."""
    app = Microdot()

    @app.get("/plain")
    def plain(request: Any) -> Any:
        return [threading.get_ident()]

    @app.get("/async")
    async def in_loop(request: Any) -> Any:
        return [threading.get_ident(), await asyncio.to_thread(threading.get_ident)]

    own = threading.get_ident()
    assert call(app, PATH_INFO="/plain").body == b"[%d]" % own
    first = call(app, PATH_INFO="/async").body
    assert first.endswith(b", %d]" % own) and not first.startswith(b"[%d," % own)


def test_things_to_wait_for_are_shared_between_requests() -> None:
    """What one request waits for, another may do: queues, events and locks of asyncio belong to one loop."""
    app = Microdot()
    events: dict[str, asyncio.Event] = {}

    @app.get("/wait")
    async def wait(request: Any) -> Any:
        event = events["it"] = asyncio.Event()
        await asyncio.wait_for(event.wait(), 5)
        return "seen"

    @app.get("/set")
    async def set_it(request: Any) -> Any:
        events["it"].set()
        return "set"

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, app, PATH_INFO="/wait")
        assert wait_for(lambda: "it" in events)
        assert call(app, PATH_INFO="/set").body == b"set"
        assert waiting.result(5).body == b"seen"


def test_work_for_two_threads_at_once() -> None:
    """A handler that waits for two blocking calls that wait for each other."""

    async def handler(request: Any) -> Any:
        barrier = threading.Barrier(2)
        await asyncio.gather(asyncio.to_thread(barrier.wait, 5), asyncio.to_thread(barrier.wait, 5))
        return "met"

    assert call(app_of(handler)).body == b"met"


def test_background_tasks_go_on_between_requests() -> None:
    ran = threading.Event()
    tasks = []

    async def later() -> None:
        await asyncio.sleep(0.05)
        ran.set()

    async def handler(request: Any) -> Any:
        tasks.append(asyncio.create_task(later()))
        return "x"

    call(app_of(handler))
    assert ran.wait(5)


def test_server_that_interrupts_its_thread() -> None:
    """gunicorn raises SystemExit in a worker whose time is up: the request is cancelled."""
    ended = threading.Event()

    async def handler(request: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, sys.exit)
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(SystemExit):
        call(app_of(handler))
    assert ended.wait(5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork() -> None:
    """gunicorn --preload: the loop of the parent is no use in the child."""
    started = []
    app = app_of(lambda request: str(os.getpid()))
    app.on("start", lambda app: started.append(os.getpid()))
    assert call(app).body == str(os.getpid()).encode()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, call(app).body + b" %d" % len(started))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b"%d 2" % child


# Beginning and end

EXITING = """\
import io
from microdot.wsgi import Microdot

app = Microdot()
app.on("start", lambda app: print("start"))

async def stop(app):
    print("stop")

app.on("stop", stop)
app.on("stop", lambda app: print("plain stop"))

@app.get("/")
async def index(request):
    return "hello"

for _ in range(2):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "", "wsgi.input": io.BytesIO()}
    result = app(environ, lambda status, headers: print(status))
    print(b"".join(result))
    result.close()
"""


def test_start_and_stop_hooks() -> None:
    """Before the first request, and when the process exits; nothing is left open."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", EXITING],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout.split("\n") == ["start", "200 OK", "b'hello'", "200 OK", "b'hello'", "plain stop", "stop", ""], run
    assert run.stderr == ""


def test_start_hook_that_fails_fails_requests_until_it_works() -> None:
    app = app_of(lambda request: "started")
    failures = [RuntimeError("not yet")]

    async def start(app: Any) -> None:
        if failures:
            raise failures.pop()

    app.on("start", start)
    with pytest.raises(RuntimeError, match="not yet"):
        call(app)
    assert call(app).body == b"started"


def test_upgrade_needs_a_socket() -> None:
    async def handler(request: Any) -> Any:
        await request.upgrade({"Upgrade": "x"})

    result = call(app_of(handler))
    assert result.status == "501 Not Implemented" and b"gives its socket away" in result.body


def test_response_that_nobody_has_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(app_of(lambda request: Response.already_handled)).status == "500 Internal Server Error"
    assert "WSGI cannot do that" in capsys.readouterr().err


def test_middleware() -> None:
    app = app_of(lambda request: request.path)
    inner = app.wsgi_app

    def wrapped(environ: Any, start_response: Any) -> Any:
        return inner({**environ, "PATH_INFO": "/"}, start_response)

    app.wsgi_app = wrapped  # type: ignore[method-assign]
    assert call(app, PATH_INFO="/other").body == b"/"


def test_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """C24: the signal goes to the server, not to whatever leads the group of processes."""
    killed: list[Any] = []
    monkeypatch.setattr("microdot.wsgi.os.kill", lambda *arguments: killed.append(arguments))
    Microdot().shutdown()
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_names() -> None:
    """Contract 1.3 and 19."""
    import microdot

    for name in ("Request", "Response", "abort", "redirect", "send_file", "URLPattern", "AsyncBytesIO", "iscoroutine"):
        assert getattr(microdot.wsgi, name) == getattr(microdot, name)
    app = Microdot()
    assert app.embedded_server is False
    assert isinstance(app.loop, asyncio.AbstractEventLoop) and app.loop is app.loop
