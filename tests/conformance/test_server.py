"""The native server as programs know it: contract sections 7.8 to 7.10, 8, and 21 A4 to A7, A9, B1, B9, B17, C9, C12, C23.

What HTTP asks of the wire has its own tests; here is what the contract says, with the limits as they are by default.

Portable: CPython and MicroPython.
"""

import asyncio
import io

from microdot import Microdot, Request, Response
from support.checks import CPYTHON, names, raised_async, split_message
from support.loopback import Running, free_port, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def hello_app() -> Microdot:
    """Return an application with a little of everything."""
    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> str:
        return "hello"

    @app.post("/echo")
    async def echo(request: Request) -> bytes:
        return request.body

    @app.get("/none")
    async def none(request: Request) -> None:
        return None

    @app.get("/not-modified")
    async def not_modified(request: Request) -> "tuple[str, int]":
        return "", 304

    @app.get("/request")
    async def show(request: Request) -> "Any":
        if CPYTHON:  # MicroPython's unix port gives a raw address
            assert request.client_addr[0] == "127.0.0.1" and len(request.client_addr) == 2
        return "%s %s %s" % (request.http_version, request.path, request.scheme)

    @app.get("/args")
    async def args(request: Request) -> str:
        return str(request.args.get("a"))

    return app


async def test_hello() -> None:
    """Contract 7.8, 7.9: the response, and the end of the connection where the client asks for it."""
    async with Running(hello_app()) as server:
        status, headers, body = await server.get("/")
        assert (status, body) == (200, b"hello")
        assert headers["Content-Length"] == "5"
        assert headers["Content-Type"] == "text/plain; charset=UTF-8"
        # RELIABILITY section 3: an HTTP/1.0 request is answered as ever, and its connection closed.
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\n\n", b"GET / HTTP/1.0\r\nHost: a\r\nX: y\r\n\r\n"):
            answer = split_message(await server.send(data))
            assert answer[0] in ("HTTP/1.0 200 OK", "HTTP/1.1 200 OK"), answer
            assert answer[2] == b"hello", answer
        assert (await server.get("/request?a=b"))[2] == b"1.1 /request http"
        assert parse(await server.send(b"GET /request HTTP/1.0\r\n\r\n"))[2] == b"1.0 /request http"


# (contract section, bytes sent, status)
ANSWERS: "tuple[tuple[str, bytes, int], ...]" = (
    ("7.9", b"GET / more HTTP/1.0\r\n\r\n", 400),
    ("7.9", b"GET /\r\n\r\n", 400),
    ("7.9", b"GET / HTTP\r\n\r\n", 400),
    ("7.9", b"GET / HTTP/1.0\r\nno colon\r\n\r\n", 400),
    ("7.9", b"GET /args?a=%zz HTTP/1.0\r\n\r\n", 400),
    ("7.9", b"GET /args?a=%ff HTTP/1.0\r\n\r\n", 400),
    ("7.9", b"POST /echo HTTP/1.0\r\nContent-Length: abc\r\n\r\n", 400),
    ("7.9", b"POST /echo HTTP/1.0\r\nContent-Length: -5\r\n\r\n", 400),
    ("7.9", b"POST /echo HTTP/1.0\r\nContent-Length: 16385\r\n\r\n", 413),
    ("7.9", b"POST /nothing HTTP/1.0\r\nContent-Length: 16385\r\n\r\n", 413),
    ("7.10, RELIABILITY L2", b"GET /" + b"x" * 2048 + b" HTTP/1.0\r\n\r\n", 414),
    ("7.10, RELIABILITY L1", b"GET / HTTP/1.0\r\nX: " + b"x" * 2048 + b"\r\n\r\n", 431),
    ("7.9", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    ("RELIABILITY H2", b"GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    ("RELIABILITY H5, 21 C9", b"get / HTTP/1.0\r\n\r\n", 405),
    ("RELIABILITY H5, 21 C9", b"head / HTTP/1.0\r\n\r\n", 405),
    ("21 A5", b"GET / HTTP/1.0\r\n" + b"X: y\r\n" * 1001 + b"\r\n", 431),
    ("21 A5", b"GET / HTTP/1.0\r\n" + (b"X: " + b"y" * 1900 + b"\r\n") * 20 + b"\r\n", 431),
    ("21 B9", b"POST /echo HTTP/1.0\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("21 B9", b"POST /echo HTTP/1.0\r\nContent-Length: +3\r\n\r\nabc", 400),
    ("21 B9", b"POST /echo HTTP/1.0\r\nContent-Length: 1_0\r\n\r\n0123456789", 400),
    ("21 B9", b"POST /echo HTTP/1.0\r\nContent-Length : 3\r\n\r\nabc", 400),
    ("21 B9", b"GET / HTTP/1.0\r\nX: y\r\n folded\r\n\r\n", 400),
    (
        "21 B9",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "21 B17",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 5
        + b"0\r\n\r\n",
        413,
    ),
)


async def test_answers() -> None:
    async with Running(hello_app()) as server:
        for section, data, status in ANSWERS:
            answer = await server.send(data)
            assert answer, (section, data[:60])
            got = int(answer.split(b" ")[1])
            assert got == status, (section, data[:60], got)
            # One answer, whatever followed.
            assert answer.count(b"HTTP/1.") == 1, (section, data[:60])
        assert (await server.get("/"))[2] == b"hello"


async def test_a_head_that_ends_early() -> None:
    """Contract 21 B9: truncated heads used to be executed."""
    log: "list[str]" = []
    app = Microdot()
    app.get("/")(lambda request: log.append("ran"))
    app.post("/")(lambda request: log.append("ran"))
    async with Running(app) as server:
        for data in (b"GET / HTTP/1.0\r\nX: y\r\n", b"GET / HTTP/1.0\r\nX: y", b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\nabc"):
            connection = await server.connect()
            await connection.send(data)
            if hasattr(connection.writer, "write_eof"):
                connection.writer.write_eof()
                answer = await connection.read_all()
                assert answer == b"" or answer.split(b" ")[1] == b"400", answer
            await connection.close()
        await asyncio.sleep(0.1)
        assert log == []


async def test_body_limits() -> None:
    """Contract 7.9, 7.10: 16384 bytes are accepted."""
    async with Running(hello_app()) as server:
        body = b"x" * 16384
        status, headers, answer = await server.get("/echo", method="POST", body=body)
        assert (status, answer) == (200, body)
        chunked = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        status, headers, answer = parse(await server.send(chunked + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n"))
        assert (status, answer) == (200, b"abcde")


async def test_head() -> None:
    """Contract 7.9 MUST: the headers of GET, no body."""
    async with Running(hello_app()) as server:
        status, headers, body = await server.get("/", method="HEAD")
        assert (status, headers["Content-Length"], body) == (200, "5", b"")


async def test_no_content() -> None:
    """Contract 21 C12, RFC 9110 section 8.6: no Content-Length for 204; neither it nor 304 has content."""
    async with Running(hello_app()) as server:
        status, headers, body = await server.get("/none")
        assert (status, body) == (204, b"")
        assert "Content-Length" not in headers and "Content-Type" not in headers, headers
        status, headers, body = await server.get("/not-modified")
        assert (status, body) == (304, b"")
        assert headers.get("Content-Length", "0") == "0", headers


async def test_405_says_what_is_allowed() -> None:
    """Contract 21 C5."""
    async with Running(hello_app()) as server:
        status, headers, body = await server.get("/", method="DELETE")
        assert (status, body) == (405, b"Not found")
        assert sorted(headers["Allow"].split(", ")) == ["GET", "HEAD", "OPTIONS"]


class Chunks:
    """A class-based asynchronous iterator that counts how often it is closed."""

    def __init__(self, chunks: "list[Any]", delay: float = 0, fail: "Exception | None" = None) -> None:
        self.chunks = chunks
        self.delay = delay
        self.fail = fail
        self.closed = 0

    def __aiter__(self) -> "Chunks":
        return self

    async def __anext__(self) -> "Any":
        await asyncio.sleep(self.delay)
        if not self.chunks:
            if self.fail:
                raise self.fail
            raise StopAsyncIteration
        return self.chunks.pop(0)

    async def aclose(self) -> None:
        self.closed += 1


class File:
    """A file in memory that knows whether it is closed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.closed = 0

    def read(self, n: int) -> bytes:
        data, self.data = self.data[:n], self.data[n:]
        return data

    def close(self) -> None:
        self.closed += 1


def generator(*chunks: "Any") -> "Any":
    for chunk in chunks:
        yield chunk


async def test_streams() -> None:
    """Contract 4.5, 25 X; 21 A7: an empty generator is an empty body."""
    bodies: "list[tuple[str, Any, bytes]]" = [
        ("generator", lambda: generator("a", b"bc"), b"abc"),
        ("empty generator", lambda: generator(), b""),
        ("empty chunks", lambda: generator(b"a", b"", "", b"b"), b"ab"),
        ("async iterator", lambda: Chunks(["a", b"bc"]), b"abc"),
        ("empty async iterator", lambda: Chunks([]), b""),
        ("file", lambda: File(b"x" * 5000), b"x" * 5000),
        ("empty file", lambda: File(b""), b""),
        ("iterator", lambda: iter(["a", "b"]), b"ab"),
        ("text", lambda: io.StringIO("é" * 1500), "é".encode() * 1500),  # more bytes than characters
    ]
    app = Microdot()
    made: "list[Any]" = []

    @app.get("/<int:n>")
    async def index(request: Request, n: int) -> "Any":
        made.append(bodies[n][1]())
        return made[-1]

    async with Running(app) as server:
        for n in range(len(bodies)):
            name, _, expected = bodies[n]
            status, headers, body = await server.get("/%d" % n)
            assert (status, body) == (200, expected), (name, body)
            # The end is announced: by a length, by chunks, or by the end of the connection.
            assert parse(await server.send(b"GET /%d HTTP/1.0\r\n\r\n" % n))[2] == expected, name
            status, headers, body = await server.get("/%d" % n, method="HEAD")
            assert (status, body) == (200, b""), name
            for one in made:
                if hasattr(one, "closed"):
                    assert one.closed >= 1, name  # 21 A9: for HEAD too
            del made[:]


async def test_a_stream_that_breaks() -> None:
    """Contract 21 A6: the client gets an answer or what there was, then the end of the connection; never a proper end."""
    app = Microdot()
    made: "list[Chunks]" = []

    @app.get("/<int:n>")
    async def index(request: Request, n: int) -> Chunks:
        made.append(Chunks([b"abc"] * n, 0.01, ZeroDivisionError("body")))
        return made[-1]

    async with Running(app) as server:
        for n in (0, 1, 3):
            answer = await server.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n)
            assert answer[:9] == b"HTTP/1.1 ", (n, answer)
            if answer[9:12] != b"500":
                assert answer.count(b"abc") == n, (n, answer)
                assert not answer.endswith(b"0\r\n\r\n"), (n, answer)
            assert made[-1].closed >= 1


async def test_a_stream_that_breaks_at_once() -> None:
    """The same for a generator that never waits."""
    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> "Any":
        def body() -> "Any":
            yield b"abc"
            raise ZeroDivisionError("body")

        return body()

    async with Running(app) as server:
        answer = await server.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer[:9] == b"HTTP/1.1 ", answer
        assert not answer.endswith(b"0\r\n\r\n"), answer


async def test_header_injection() -> None:
    """Contract 21 B1: a client's text never makes a header line of its own."""
    app = Microdot()
    evil = "a\r\nX-Evil: 1"
    app.get("/value")(lambda request: ("x", {"X": evil}))
    app.get("/name")(lambda request: ("x", {evil: "x"}))
    app.get("/list")(lambda request: ("x", {"X": ["x", evil]}))
    app.get("/reason")(lambda request: Response("x", reason=evil))
    app.get("/type")(lambda request: ("x", {"Content-Type": evil}))

    @app.get("/later")
    async def later(request: Request) -> Response:
        response = Response("x")
        response.headers["X"] = "x"
        response.reason = evil
        return response

    async with Running(app) as server:
        for path in ("/value", "/name", "/list", "/reason", "/type", "/later"):
            start, lines, body = split_message(
                await server.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            )
            assert "x-evil" not in names(lines), (path, lines)
            assert start.split(" ")[1] == "500" or b"x" == body, (path, start)


async def test_errors_leave_nobody_waiting() -> None:
    """Contract 21 A6: whatever fails, the client is answered, and the server lives."""
    app = Microdot()

    @app.get("/handler")
    async def handler(request: Request) -> None:
        raise ZeroDivisionError

    @app.errorhandler(404)
    async def not_found(request: "Request | None") -> None:
        raise ZeroDivisionError

    @app.after_error_request
    async def after_error(request: "Request | None", response: Response) -> None:
        raise ZeroDivisionError

    app.get("/body")(lambda request: 23.7)
    app.get("/body-with-headers")(lambda request: (23.7, {"X": "y"}))
    app.get("/good")(lambda request: "good")
    async with Running(app) as server:
        for path in ("/handler", "/nothing", "/body", "/body-with-headers"):
            status, headers, body = await server.get(path)
            assert status == 500, (path, status)
        assert (await server.get("/good"))[2] == b"good"


class _Waiting:
    """A body that gives one piece of the length that it declares, and waits for the next."""

    sent = False

    def __aiter__(self) -> "_Waiting":
        return self

    async def __anext__(self) -> bytes:
        if self.sent:
            await asyncio.sleep(60)
        self.sent = True
        return b"piece"


async def test_a_producer_that_waits_ends_with_its_client() -> None:
    """RELIABILITY L13; whether or not the length is known."""
    app = Microdot()
    ended: "list[str]" = []
    app.on("done", lambda request, response, exc: ended.append(request.path))
    app.get("/length")(lambda request: (_Waiting(), {"Content-Length": "100"}))
    app.get("/chunks")(lambda request: _Waiting())
    async with Running(app) as server:
        for path in ("/length", "/chunks"):
            connection = await server.connect()
            await connection.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.sleep(0.1)
            await connection.close()
            for _ in range(50):
                if ended:
                    break
                await asyncio.sleep(0.1)
            assert ended == [path]
            del ended[:]


async def test_handlers_that_never_end() -> None:
    """On a full server whose client has gone makes room: also a coroutine that is never resumed, for it awaited what is none."""
    app = Microdot()
    app.max_connections = 2
    app.stop_timeout = 0.2

    @app.get("/waits")
    async def waits(request: Request) -> None:
        await asyncio.Event().wait()

    @app.post("/awaits")
    async def awaits(request: Request) -> "Any":
        return await request.json

    app.get("/")(lambda request: "room")
    async with Running(app) as server:
        for head in (b"GET /waits HTTP/1.1\r\n", b"POST /awaits HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 7\r\n") * 3:
            connection = await server.connect()
            await connection.send(head + b'Host: a\r\n\r\n' + (b'{"a":1}' if head[0] == 80 else b""))
            await asyncio.sleep(0.05)
            await connection.close()
            for _ in range(20):
                status, _headers, body = await server.get("/")
                if status == 200:
                    break
                await asyncio.sleep(0.1)
            assert (status, body) == (200, b"room"), (head, status, body)


async def test_head_timeout() -> None:
    """Contract 21 A4: a client that says nothing, or trickles, is not waited for for ever."""
    app = hello_app()
    app.head_timeout = 0.5
    app.idle_timeout = 0.5
    async with Running(app) as server:
        for data in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"):
            connection = await server.connect()
            if data:
                await connection.send(data)
            answer = await connection.read_all()  # its end comes within the patience of the test
            assert answer == b"" or answer.split(b" ")[1] == b"408", (data, answer)
            await connection.close()
        connection = await server.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await connection.read_all()).endswith(b"hello")  # then idle, then closed without a word
        await connection.close()


async def test_body_timeout() -> None:
    """Contract 21 A4."""
    app = hello_app()
    app.body_timeout = 0.5
    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        answer = await connection.read_all()
        assert answer.split(b" ")[1] == b"408", answer
        await connection.close()


async def test_slow_clients_delay_nobody() -> None:
    """Contract 21 A4."""
    async with Running(hello_app()) as server:
        slow = []
        for _ in range(5):
            connection = await server.connect()
            await connection.send(b"GET / HTTP/1.1\r\nHo")
            slow.append(connection)
        assert (await asyncio.wait_for(server.get("/"), 3))[2] == b"hello"
        for connection in slow:
            await connection.close()


# ---- starting and stopping ----------------------------------------------------------------------------------------


async def test_start_server_returns_after_shutdown() -> None:
    """Contract 8.1, 8.3 MUST: it blocks until then, and returns None."""
    app = hello_app()
    async with Running(app) as server:
        assert not server.task.done()
        assert app.server is not None
        assert app.debug is False
        app.shutdown()
        assert await asyncio.wait_for(server.task, 10) is None


async def test_shutdown_while_start_hooks_run() -> None:
    """A board's reset button, or SIGTERM on a server: what is about to start stops at once, and its `stop` hooks run."""
    app = hello_app()
    log: "list[str]" = []

    async def start(app: Microdot) -> None:
        log.append("start")
        await asyncio.sleep(0.2)

    app.on("start", start)
    app.on("stop", lambda app: log.append("stop"))
    task = asyncio.create_task(app.start_server("127.0.0.1", free_port()))
    await asyncio.sleep(0.1)
    app.shutdown()
    await asyncio.wait_for(task, 5)
    assert log == ["start", "stop"]


async def test_shutdown_from_a_handler() -> None:
    """Contract 8.3 MUST, 25 X: from plain (a worker thread) and async handlers; the response still completes."""
    for kind in ("plain", "async"):
        app = Microdot()

        if kind == "plain":

            @app.get("/shutdown")
            def shutdown(request: Request) -> str:
                request.app.shutdown()
                return "The server is shutting down..."

        else:

            @app.get("/shutdown")
            async def shutdown_async(request: Request) -> str:
                request.app.shutdown()
                await asyncio.sleep(0.1)
                return "The server is shutting down..."

        async with Running(app) as server:
            status, headers, body = await server.get("/shutdown")
            assert (status, body) == (200, b"The server is shutting down..."), kind
            await asyncio.wait_for(server.task, 10)
            # And no new connections.
            try:
                connection = await server.connect()
                await connection.send(b"GET /shutdown HTTP/1.0\r\n\r\n")
                assert await connection.read_all() == b"", kind
            except OSError:
                pass


async def test_shutdown_lets_a_running_request_finish() -> None:
    """Contract 8.3 MUST."""
    app = Microdot()

    @app.get("/slow")
    async def slow(request: Request) -> str:
        await asyncio.sleep(0.5)
        return "slow"

    async with Running(app) as server:
        task = asyncio.create_task(server.get("/slow"))
        await asyncio.sleep(0.2)
        app.shutdown()
        assert (await asyncio.wait_for(task, 10))[2] == b"slow"
        await asyncio.wait_for(server.task, 10)


async def test_shutdown_while_a_stream_is_under_way() -> None:
    """It finishes, and then nobody waits for the next request on its connection."""
    app = Microdot()
    app.idle_timeout = 8

    @app.get("/stream")
    async def stream(request: Request) -> "Any":
        class Chunks:
            left = 3

            def __aiter__(self) -> "Any":
                return self

            async def __anext__(self) -> str:
                if not self.left:
                    raise StopAsyncIteration
                self.left -= 1
                await asyncio.sleep(0.2)
                return "chunk"

        return Chunks()

    async with Running(app) as server:
        connection = await server.connect()
        await connection.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.read_until(b"chunk\r\n")
        app.shutdown()
        await asyncio.wait_for(server.task, 4)
        assert await connection.read_all() == b"5\r\nchunk\r\n5\r\nchunk\r\n0\r\n\r\n"
        await connection.close()


async def test_shutdown_with_idle_connections() -> None:
    """Contract 8.3 Q, 21 C23: an open connection without a request used to keep the server from ending."""
    app = hello_app()
    async with Running(app) as server:
        silent = await server.connect()
        kept = await server.connect()
        await kept.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await kept.read_until(b"hello"))[-5:] == b"hello"
        app.shutdown()
        await asyncio.wait_for(server.task, 2)
        assert await silent.read_all() == b""
        assert await kept.read_all() == b""
        await silent.close()
        await kept.close()


async def test_cancelling_start_server() -> None:
    """Contract 21 C23: it ends with CancelledError, as every coroutine does, and the port is free."""
    app = hello_app()
    server = Running(app)
    await server.__aenter__()
    server.task.cancel()
    try:
        await asyncio.wait_for(server.task, 10)
    except asyncio.CancelledError:
        pass
    else:
        raise AssertionError("the cancellation was swallowed")
    await raised_async(OSError, _get(server))


async def _get(server: Running) -> None:
    data = await server.send(b"GET / HTTP/1.0\r\n\r\n")
    if not data:
        raise OSError("nobody there")


async def test_start_serving_false() -> None:
    """Contract 8.1: on CPython the unstarted server, on a board a ValueError."""
    app = hello_app()
    if not CPYTHON:
        error = await raised_async(ValueError, app.start_server(host="127.0.0.1", port=5678, start_serving=False))
        assert str(error) == "start_serving"
        return
    server = await app.start_server(host="127.0.0.1", port=0, start_serving=False)
    task = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0.1)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(-1), 10)).endswith(b"hello")
    writer.close()
    await writer.wait_closed()
    app.shutdown()
    try:
        await asyncio.wait_for(task, 10)
    except asyncio.CancelledError:
        pass


async def test_classes_of_the_program() -> None:
    """HEAD of an application with its own dispatcher (CPython); a response with a head of its own lends it to nobody."""

    class App(Microdot):
        async def dispatch_request(self, req: "Request | None") -> "Any":
            return "own answer"

    class Own(Response):
        def head(self, version: int, text: str, body: bytes = b"") -> bytes:
            return Response.head(self, version, "X-Own: 1\r\n" + text, body)

    if CPYTHON:
        async with Running(App()) as server:
            data = await server.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n")
            first, _, rest = data.partition(b"\r\n\r\n")
            assert b"Content-Length: 10" in first and rest.startswith(b"HTTP/1.") and rest.endswith(b"own answer")

    app = hello_app()

    @app.get("/own")
    async def own(request: Request) -> Response:
        return Own("x")

    @app.get("/reason")
    async def reason(request: Request) -> Response:
        response = Response("x")
        response.reason = "a\r\nb"
        return response

    async with Running(app) as server:
        for path, found in (("/", False), ("/own", True), ("/", False), ("/own", True)):
            assert ("X-Own" in (await server.get(path))[1]) is found, path
        for version in (b"1.0", b"1.1"):
            data = await server.send(b"GET /reason HTTP/" + version + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert data[:13] == b"HTTP/1." + version[2:] + b" 500 ", data


async def test_the_server_is_one_of_asyncio() -> None:
    """Contract 20b: `Microdot.server: asyncio.Server`; programs look for its port and close it. Boards have `shutdown()`."""
    if not CPYTHON:
        return
    app = hello_app()
    task = asyncio.create_task(app.start_server(host="127.0.0.1", port=0))
    await asyncio.sleep(0.1)
    server = app.server
    assert server is not None and server.is_serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(-1), 10)).endswith(b"hello")
    writer.close()
    await writer.wait_closed()
    server.close()
    await asyncio.wait_for(server.wait_closed(), 10)
    assert not server.is_serving() and not server.sockets
    await asyncio.wait_for(task, 10)


async def test_two_servers_of_one_application() -> None:
    """Contract 25 X: start_server() beside other tasks; one application may serve two ports."""
    app = hello_app()
    async with Running(app) as one:
        async with Running(app) as two:
            assert (await one.get("/"))[2] == b"hello"
            assert (await two.get("/"))[2] == b"hello"


async def test_start_server_again() -> None:
    app = hello_app()
    for _ in range(2):
        async with Running(app) as server:
            assert (await server.get("/"))[2] == b"hello"


def test_run() -> None:
    """Contract 8.2: blocks, in an event loop of its own, until shutdown()."""
    app = hello_app()
    answers: "list[bytes]" = []

    async def client(port: int) -> None:
        try:
            for _ in range(100):
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    try:
                        writer.write(b"GET / HTTP/1.0\r\n\r\n")
                        await writer.drain()
                        data = await reader.read(1000)
                    finally:
                        writer.close()
                        await writer.wait_closed()
                except OSError:
                    data = b""
                if data:
                    answers.append(data)
                    break
                await asyncio.sleep(0.02)
        finally:
            app.shutdown()

    tasks: "list[Any]" = []
    port = free_port()

    async def start(app: Microdot) -> None:
        tasks.append(asyncio.create_task(client(port)))

    app.on("start", start)
    app.run(host="127.0.0.1", port=port)
    assert answers and answers[0].startswith(b"HTTP/1."), answers


def test_run_beside_tasks_made_before() -> None:
    """Contract 8.2 on boards: MicroPython has one loop, so tasks that a program makes before run() run beside the server.

    The second round calls run() in a task of the loop, as programs do that have a coroutine for everything.
    CPython makes no task without a running loop, and refuses a second loop within it.
    """
    if CPYTHON:
        return
    for nested in (False, True):
        app = hello_app()
        turns: "list[int]" = []

        async def count(app: Microdot, turns: "list[int]") -> None:
            for turn in range(5):
                turns.append(turn)
                await asyncio.sleep(0.02)
            app.shutdown()

        async def serve(app: Microdot, port: int) -> None:
            app.run(host="127.0.0.1", port=port)

        asyncio.create_task(count(app, turns))
        if nested:
            asyncio.run(serve(app, free_port()))
        else:
            app.run(host="127.0.0.1", port=free_port())
        assert turns == [0, 1, 2, 3, 4], turns


async def test_debug_prints_and_serves() -> None:
    """Contract 8.1, 7.8: with debug there is a line at the start and one per request; what is served is the same."""
    app = hello_app()
    async with Running(app, debug=True) as server:
        assert app.debug is True
        assert (await server.get("/"))[2] == b"hello"
        assert (await server.send(b"nonsense\r\n\r\n")).split(b" ")[1] == b"400"


async def test_already_handled() -> None:
    """Contract 4.1 MUST: nothing is written; the handler has answered by itself."""
    app = Microdot()

    @app.get("/")
    async def index(request: Request) -> Response:
        reader, writer = request.sock
        await writer.awrite(b"HTTP/1.0 299 MINE\r\n\r\nmine")
        return Response.already_handled

    async with Running(app) as server:
        assert await server.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b"HTTP/1.0 299 MINE\r\n\r\nmine"
