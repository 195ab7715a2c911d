"""The application under test: routes that exercise every promise of the native server.

    battery.py PORT [app.NAME=number ...] [Request.NAME=number ...] [file=PATH] [certificate=PATH key=PATH]

Portable: CPython and MicroPython. `/status` tells what happened inside; routes that stream count what they gave out
and whether they were closed under `NAME-<id>`, where the id comes from the request's query.
"""

import asyncio
import gc
import sys

from microdot import Microdot, Request, Response, URLPattern, abort, redirect, send_file
from support.app_settings import apply, arguments, server_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MICROPYTHON = sys.implementation.name == "micropython"

app = Microdot()
given = arguments()
apply(app, Request, given)
counts: "dict[str, int]" = {}


def count(name: str, step: int = 1) -> None:
    """Add to a counter that /status shows."""
    counts[name] = counts.get(name, 0) + step


def key(request: "Request", name: str) -> str:
    """Return the counter's name for this request."""
    return name + "-" + str(request.args.get("id", ""))


# What the tests look at from outside


@app.get("/status")
async def status(request: "Request") -> "Any":
    """Counters; the heap on MicroPython; descriptors, tasks and resident memory on CPython."""
    found: "dict[str, Any]" = {"counts": counts}
    gc.collect()
    if MICROPYTHON:
        gc.collect()
        found["heap"] = gc.mem_alloc()  # type: ignore[attr-defined]
        found["free"] = gc.mem_free()  # type: ignore[attr-defined]
    else:
        import os

        found["fds"] = len(os.listdir("/proc/self/fd"))
        found["tasks"] = len(asyncio.all_tasks())
        with open("/proc/self/statm") as file:
            found["resident"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found


@app.route("/smuggled", methods=["GET", "POST"])
async def smuggled(request: "Request") -> str:
    """Must never run: requests to this path are hidden in bodies and behind refused requests."""
    count("smuggled")
    return "smuggled"


# Plain answers


@app.get("/")
async def root(request: "Request") -> str:
    return "root"


@app.get("/text")
async def text(request: "Request") -> str:
    count("text")
    return "hello"


@app.get("/sync")
def sync(request: "Request") -> str:
    return "sync"


@app.get("/json")
async def json_answer(request: "Request") -> "Any":
    return {"answer": 42}


@app.get("/html")
async def html(request: "Request") -> "Any":
    return "<p>hello", {"Content-Type": "text/html"}


@app.get("/none")
async def none(request: "Request") -> None:
    return None


@app.get("/args")
async def args(request: "Request") -> "Any":
    """What the request line became."""
    return {
        "method": request.method,
        "url": request.url,
        "path": request.path,
        "query": request.query_string,
        "version": request.http_version,
        "scheme": request.scheme,
        "x": request.args.get("x"),
    }


@app.route("/headers", methods=["GET", "POST"])
async def headers(request: "Request") -> "Any":
    """All request headers, as a list of [name, value]."""
    return {"headers": [[name, request.headers[name]] for name in request.headers]}


@app.get("/cookies")
async def cookies(request: "Request") -> "Any":
    return request.cookies


@app.get("/slow")
async def slow(request: "Request") -> str:
    """Take `s` seconds."""
    count(key(request, "slow-begun"))
    await asyncio.sleep(float(request.args.get("s", "0.5")))
    count(key(request, "slow-ended"))
    return "slow"


@app.get("/big")
async def big(request: "Request") -> bytes:
    return b"x" * int(request.args["n"])


@app.get("/file")
async def file(request: "Request") -> "Response":
    return send_file(given["file"])


@app.get("/file-stream")
async def file_stream(request: "Request") -> "Response":
    return send_file("answer.txt", stream=FileLike(request))


@app.delete("/methods")
@app.get("/methods")
async def methods(request: "Request") -> str:
    return request.method


@app.post("/only-post")
async def only_post(request: "Request") -> str:
    return "posted"


@app.get("/item/<int:number>/<name>")
async def item(request: "Request", number: int, name: str) -> "Any":
    return {"number": number, "name": name}


# Bodies of requests


@app.route("/echo", methods=["GET", "POST", "PUT", "OPTIONS"])
async def echo(request: "Request") -> "Any":
    count("echo")
    return request.body, {"Content-Type": "application/octet-stream"}


@app.post("/stream")
async def stream(request: "Request") -> "Any":
    """Give back the body as read from request.stream, `n` bytes at a time."""
    count("stream-begun")
    size = int(request.args.get("n", "100"))
    parts = []
    while True:
        part = await request.stream.read(size)
        if not part:
            break
        assert len(part) <= size
        parts.append(part)
    count("stream-ended")
    return b"".join(parts), {"Content-Type": "application/octet-stream", "X-Reads": str(len(parts))}


@app.post("/measure")
async def measure(request: "Request") -> "Any":
    """Read request.stream to the end and tell how much came, without keeping it."""
    total = 0
    while True:
        part = await request.stream.read(1024)
        if not part:
            return {"size": total, "in-body": len(request.body)}
        total += len(part)


@app.route("/unread", methods=["GET", "POST", "PUT"])
async def unread(request: "Request") -> str:
    count("unread")
    return "unread"


@app.post("/unread-slow")
async def unread_slow(request: "Request") -> str:
    """Do not touch a body that is streamed, for a while."""
    await asyncio.sleep(1.5)
    return "unread"


@app.post("/half-read")
async def half_read(request: "Request") -> "Any":
    """Read a little of the stream and leave the rest."""
    return await request.stream.read(3)


@app.post("/json-body")
async def json_body(request: "Request") -> "Any":
    return {"json": request.json}


@app.post("/json-here")
async def json_here(request: "Request") -> "Any":
    """Whether the body was read as JSON at all, without giving it back."""
    return {"is-json": request.json is not None}


@app.post("/form")
async def form(request: "Request") -> "Any":
    found = request.form
    if found is None:
        return {"form": None}
    return {"form": {name: found[name] for name in found}, "text": [isinstance(found[name], str) for name in found]}


def limits(request: "Request", route: "Any") -> None:
    """The admit hook: bodies below /wide/ may be of any size; the early refusals and faults that tests ask for."""
    if request.path.startswith("/wide/"):
        request.max_content_length = 1 << 28
    elif request.path == "/boom/admit":
        raise ValueError(request.args["m"])


app.on("admit", limits)

for path, handler in (("/wide/unread-slow", unread_slow), ("/wide/measure", measure), ("/wide/half-read", half_read), ("/wide/unread", unread)):
    app.post(path)(handler)


# Statuses without a body


@app.route("/abort/<int:code>", methods=["GET", "POST"])
async def abort_with(request: "Request", code: int) -> None:
    abort(code)


@app.route("/code/<int:code>", methods=["GET", "POST"])
async def code(request: "Request", code: int) -> "Any":
    """A body and a status, also where the status forbids a body."""
    return "a body", code


@app.get("/generated/<int:code>")
async def generated(request: "Request", code: int) -> "Any":
    return Response(body=some_chunks(3, 10), status_code=code)


# Streams


def some_chunks(number: int, size: int) -> "Any":
    for index in range(number):
        yield bytes([97 + index % 26]) * size


@app.get("/generator")
async def generator(request: "Request") -> "Any":
    return some_chunks(int(request.args.get("n", "5")), int(request.args.get("size", "10")))


@app.get("/generator-empty-parts")
async def generator_empty_parts(request: "Request") -> "Any":
    """An empty piece must not be taken for the end of a chunked body."""
    return iter((b"one", b"", "", "two"))


class Numbers:
    """An async iterator with all that a test wants to know about it.

    Arguments:
        request: counters go under its id.
        number: pieces to give; None: for ever.
        size: bytes of each.
        pause: seconds before each piece but the first; None: no pause.
        fail_at: raise ValueError instead of this piece (0 is the first).
    """

    def __init__(self, request: "Request", number: "int | None", size: int, pause: "float | None" = None, fail_at: int = -1) -> None:
        self.request = request
        self.number = number
        self.piece = b"n" * size
        self.pause = pause
        self.fail_at = fail_at
        self.given = 0

    def __aiter__(self) -> "Numbers":
        return self

    async def __anext__(self) -> bytes:
        if self.given == self.fail_at:
            raise ValueError(self.request.args["m"])
        if self.number is not None and self.given >= self.number:
            raise StopAsyncIteration
        if self.given and self.pause is not None:
            await asyncio.sleep(self.pause)
        self.given += 1
        count(key(self.request, "given"), len(self.piece))
        return self.piece

    async def aclose(self) -> None:
        count(key(self.request, "closed"))
        if self.request.path == "/boom/aclose":
            raise ValueError(self.request.args["m"])


class FileLike:
    """A file-like body of 3000 bytes that tells whether it was closed."""

    def __init__(self, request: "Request") -> None:
        self.request = request
        self.left = 3000

    def read(self, size: int) -> bytes:
        count = min(size, self.left)
        self.left -= count
        return b"f" * count

    def close(self) -> None:
        count(key(self.request, "closed"))


@app.get("/iterator")
async def iterator(request: "Request") -> "Any":
    return Numbers(request, int(request.args.get("n", "5")), int(request.args.get("size", "10")))


@app.get("/endless")
async def endless(request: "Request") -> "Any":
    """Kilobytes for ever, as fast as they are taken."""
    return Numbers(request, None, 1024)


@app.get("/ticks")
async def ticks(request: "Request") -> "Any":
    """Something ten times a second, for ever."""
    return Numbers(request, None, 8, 0.1)


@app.get("/quiet")
async def quiet(request: "Request") -> "Any":
    """One piece, then nothing for a minute: only a server that watches the client learns that it has gone."""
    return Numbers(request, None, 8, 60.0)


@app.get("/endless-generator")
async def endless_generator(request: "Request") -> "Any":
    def forever() -> "Any":
        try:
            while True:
                count(key(request, "given"), 1024)
                yield b"g" * 1024
        finally:
            count(key(request, "closed"))

    return forever()


# Everything that can raise does so here. The text of the exception comes from the request, so that a test can count
# how often its traceback was printed.


def fail(request: "Request") -> None:
    raise ValueError(request.args["m"])


@app.before_request
async def before(request: "Request") -> "Any":
    if request.path.startswith("/forbidden"):
        return "forbidden", 403
    if request.path == "/boom/before":
        fail(request)
    return None


@app.after_request
async def after(request: "Request", response: "Response") -> None:
    if request.path == "/boom/after":
        fail(request)
    if request.path == "/inject/after":
        response.headers["X-Value"] = request.args["v"]


@app.after_error_request
async def after_error(request: "Request", response: "Response") -> None:
    if request is not None and request.path == "/boom/error-hook":
        fail(request)


@app.errorhandler(418)
async def teapot(request: "Request") -> "Any":
    fail(request)


@app.errorhandler(KeyError)
async def key_error(request: "Request", error: KeyError) -> "Any":
    fail(request)


@app.errorhandler(IndexError)
async def index_error(request: "Request", error: IndexError) -> "Any":
    return "handled", 409


def done(request: "Any", response: "Any", error: "Any") -> None:
    """The done hook: once per request that got as far as dispatch."""
    if request is None:
        return
    if request.path == "/boom/done":
        fail(request)
    if "id=" in (request.query_string or ""):
        count(key(request, "done"))


app.on("done", done)


def parse_bad(value: str) -> str:
    raise ValueError(value)


URLPattern.register_type("bad", parser=parse_bad)


@app.get("/boom-converter/<bad:value>")
async def boom_converter(request: "Request", value: str) -> str:
    return value


@app.get("/boom/<where>")
async def boom(request: "Request", where: str) -> "Any":
    """Raise at the place that the path names."""
    message = request.args["m"]
    if where == "handler":
        raise ValueError(message)
    if where == "error-hook":
        abort(406)
    if where == "error-handler":
        abort(418)
    if where == "class-handler":
        raise KeyError(message)
    if where == "handled":
        raise IndexError(message)
    if where == "cancelled":
        raise asyncio.CancelledError(message)
    if where == "os-error":
        raise OSError(5, message)
    if where == "not-found":
        raise OSError(2, message)
    if where == "reset":
        raise OSError(104, message)  # the number of ECONNRESET, but it is the handler's own failure
    if where == "timeout":
        raise asyncio.TimeoutError(message)
    if where == "eof":
        raise EOFError(message)
    if where == "stop-async-iteration":
        raise StopAsyncIteration(message)
    if where == "recursion":
        return deeper(0)
    if where == "memory":
        raise MemoryError(message)
    if where == "iterator-first":
        return Numbers(request, 5, 10, fail_at=0)
    if where == "iterator-later":
        return Numbers(request, 5, 10, fail_at=2)
    if where == "iterator-late":
        return Numbers(request, 5, 10, pause=0.7, fail_at=2)
    if where == "aclose":
        return Numbers(request, 2, 10)
    if where == "generator-first":
        return failing_generator(message, 0)
    if where == "generator-later":
        return failing_generator(message, 2)
    if where == "body-type":
        return Response(23.7)
    if where == "iterator-type":
        return iter((b"one", 23.7))
    if where == "return-type":
        return "x", "y", "z"
    if where == "after-own":

        @request.after_request
        async def fails(request: "Request", response: "Response") -> None:
            raise ValueError(message)

    return "no failure"


@app.get("/boom-sync/<where>")
def boom_sync(request: "Request", where: str) -> str:
    """The same from a plain function, which CPython runs in a thread."""
    if where == "stop-iteration":
        raise StopIteration(request.args["m"])
    if where == "cancelled":
        raise asyncio.CancelledError(request.args["m"])
    raise ValueError(request.args["m"])


@app.route("/boom-post", methods=["GET", "POST", "PUT", "DELETE"])
async def boom_post(request: "Request") -> None:
    raise ValueError("on purpose")


def deeper(level: int) -> int:
    return deeper(level + 1) + 1


def failing_generator(message: str, at: int) -> "Any":
    for index in range(5):
        if index == at:
            raise ValueError(message)
        yield b"g" * 10


@app.get("/memory/huge")
async def memory_huge(request: "Request") -> str:
    """Ask for more than there is: a MemoryError of its own accord on a board; raised by hand where memory is plenty."""
    if not MICROPYTHON:
        raise MemoryError
    return str(len(bytearray(1 << 30)))


@app.get("/memory/full")
async def memory_full(request: "Request") -> str:
    """Fill the heap to the last block before the MemoryError comes."""
    if not MICROPYTHON:
        raise MemoryError
    kept = []
    size = 4096
    while True:
        try:
            while True:
                kept.append(bytearray(size))
        except MemoryError:
            if size <= 16:
                raise
            size //= 4


# What a program sets in an answer and should not get through


@app.get("/cookie/<int:length>")
async def long_cookie(request: "Request", length: int) -> "Response":
    response = Response("x")
    response.set_cookie("c", "v" * length)
    return response


@app.get("/inject/<where>")
async def inject(request: "Request", where: str) -> "Any":
    value = request.args["v"]
    if where == "value":
        return "x", {"X-Value": value}
    if where == "response-value":
        return Response("x", headers={"X-Value": value})
    if where == "later":
        response = Response("x")
        response.headers["X-Value"] = value
        return response
    if where == "name":
        return "x", {value: "x"}
    if where == "reason":
        return Response("x", reason=value)
    if where == "type":
        return "x", {"Content-Type": value}
    if where == "file-type":
        return send_file(given["file"], content_type=value)
    if where == "redirect":
        return redirect(value)
    if where == "list":
        return "x", {"Set-Cookie": ["a=b", value]}
    if where == "stream":
        return some_chunks(2, 3), {"X-Value": value}
    response = Response("x")
    if where == "cookie-value":
        response.set_cookie("c", value)
    elif where == "cookie-name":
        response.set_cookie(value, "v")
    elif where == "cookie-path":
        response.set_cookie("c", "v", path=value)
    elif where == "cookie-domain":
        response.set_cookie("c", "v", domain=value)
    elif where == "cookie-expires":
        response.set_cookie("c", "v", expires=value)
    return response


@app.get("/own-length")
async def own_length(request: "Request") -> "Any":
    """A Content-Length that may be a lie."""
    return "x" * int(request.args["body"]), {"Content-Length": request.args["says"]}


@app.get("/own-length-stream")
async def own_length_stream(request: "Request") -> "Any":
    return some_chunks(1, int(request.args["body"])), {"Content-Length": request.args["says"]}


@app.get("/own-close")
async def own_close(request: "Request") -> "Any":
    return "last", {"Connection": "close"}


if __name__ == "__main__":
    context = server_context(given["certificate"], given["key"]) if "certificate" in given else None
    app.run("127.0.0.1", int(given["port"]), ssl=context)
