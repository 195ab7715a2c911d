"""Programs written for Microdot 2.7, run as they are: contract section 25, as far as the core alone serves them.

They are in programs/, in the style of their users: unannotated, with `app.run()` at the end. Each is exercised through the
test client and, where the wire matters, on the native server.

Portable: CPython and MicroPython.
"""

import asyncio
import os

from microdot import Request, Response
from microdot.test_client import TestClient
from support.checks import CPYTHON
from support.loopback import Connection, Running, free_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = __file__.rsplit("/", 1)[0] + "/" if "/" in __file__ else ""
PROGRAMS = HERE + "programs/"


class Program:
    """A program that is imported and works in its own directory, and leaves the framework as it found it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.names: "dict[str, Any]" = {"__name__": name}

    def __enter__(self) -> "dict[str, Any]":
        self.directory = os.getcwd()
        self.length = Request.max_content_length
        self.content_type = Response.default_content_type
        os.chdir(PROGRAMS)
        with open(self.name + ".py") as source:
            exec(source.read(), self.names)  # noqa: S102
        return self.names

    def __exit__(self, *exc: object) -> None:
        os.chdir(self.directory)
        Request.max_content_length = self.length
        Response.default_content_type = self.content_type


def kept(name: str) -> bytes:
    """Return the bytes of a file of the programs."""
    with open(PROGRAMS + name, "rb") as file:
        return file.read()


async def test_hello() -> None:
    """A page, and `request.app.shutdown()` from a handler that then returns text."""
    with Program("hello") as program:
        client = TestClient(program["app"])
        response = await client.get("/")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/html"
        assert "It works on a board" in (response.text or "")
        async with Running(program["app"]) as server:
            assert (await server.get("/"))[2] == program["html"].encode()
            status, headers, body = await server.get("/shutdown")
            assert (status, body) == (200, b"The server is going down.")
            await asyncio.wait_for(server.task, 10)


async def test_pins() -> None:
    """Forms, cookies on send_file() and redirect() results, plain handlers."""
    with Program("pins") as program:
        app = program["app"]
        client = TestClient(app)
        response = await client.get("/")
        assert (response.status_code, response.body) == (200, kept("static/pins.html"))
        assert response.headers["Content-Type"] == "text/html"
        assert client.cookies == {"message": "Choose a pin"}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await client.post("/", headers=form, body="pin=5&pull=pullup&set-high=Set+high")
        assert (response.status_code, response.headers["Location"]) == (302, "/")
        assert client.cookies == {"message": "Pin 5 was set", "form": "5,pullup"}
        await client.post("/", headers=form, body="pin=5&pull=none&read=")
        assert client.cookies == {"message": "Pin 5 is high", "form": "5,none"}
        response = await client.get("/")
        assert "Set-Cookie" not in response.headers
        async with Running(app) as server:
            status, headers, body = await server.get("/")
            assert (status, body) == (200, kept("static/pins.html"))
            assert headers["Set-Cookie"] == "message=Choose a pin"
            status, headers, body = await server.get("/", form, "POST", b"pin=7&pull=none&set-low=x")
            assert (status, headers["Location"], body) == (302, "/", b"")
            assert headers["Set-Cookie"] == "form=7,none|message=Pin 7 was set"


async def test_upload() -> None:
    """request.stream for small (in memory) and large bodies; Request.max_content_length set when it is imported."""
    with Program("upload") as program:
        app = program["app"]
        client = TestClient(app)
        async with Running(app) as server:
            for length in (1, 1000, 1024, 5000, 16384, 16385, 40000):
                data = bytes([i & 255 for i in range(256)]) * (length // 256 + 1)
                data = data[:length]
                name = "file%d.bin" % length
                headers = {"Content-Disposition": 'form-data; name="file"; filename="dir/%s"' % name}
                response = await client.post("/upload", headers=headers, body=data)
                assert (response.status_code, response.body) == (200, b""), length
                assert program["received"].pop("dir_" + name) == data, length
                status, _, body = await server.get("/upload", headers, "POST", data)
                assert (status, body) == (200, b""), length
                assert program["received"].pop("dir_" + name) == data, length
            head = b"POST /upload HTTP/1.0\r\nContent-Length: %d\r\n\r\n"
            assert (await server.send(head % (1024 * 1024 + 1))).split(b" ")[1] == b"413"


async def test_video() -> None:
    """An endless stream ends when the client goes: aclose() of a class."""
    with Program("video") as program:
        await watch(program)


async def test_video_generator() -> None:
    """The same with an async generator, which gets GeneratorExit; boards have none (22)."""
    if not CPYTHON:
        return
    with Program("video_generator") as program:
        await watch(program)


async def watch(program: "dict[str, Any]") -> None:
    """Look at a video stream for a while, then go."""
    async with Running(program["app"]) as server:
        for _ in range(2):
            connection = await server.connect()
            await connection.send(b"GET /video_feed HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await connection.read_until(b"\r\n\r\n")
            assert b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\n" in head, head
            for _ in range(5):
                assert (await connection.read_until(b"--frame\r\n"))[-9:] == b"--frame\r\n"
            assert not program["closed"]
            await connection.close()
            for _ in range(300):
                if program["closed"]:
                    break
                await asyncio.sleep(0.01)
            assert len(program["closed"]) == 1, program["closed"]
            del program["closed"][:]


async def test_files() -> None:
    """Static files: a path argument, max_age, a gzipped sibling."""
    with Program("files") as program:
        app = program["app"]
        client = TestClient(app)
        response = await client.get("/static/pins.html")
        assert (response.status_code, response.body) == (200, kept("static/pins.html"))
        assert response.headers["Content-Type"] == "text/html"
        assert response.headers["Cache-Control"] == "max-age=86400"
        response = await client.get("/gzip/pins.html")
        assert (response.status_code, response.body) == (200, kept("static/pins.html.gz"))
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"] == "text/html"
        response = await client.get("/static/../files.py")
        assert (response.status_code, response.text) == (404, "Not found")
        assert (await client.get("/static/none.html")).status_code in (404, 500)
        async with Running(app) as server:
            status, headers, body = await server.get("/static/pins.html")
            assert (status, body) == (200, kept("static/pins.html"))
            status, headers, body = await server.get("/static/pins.html", method="HEAD")
            assert (status, body, headers["Content-Type"]) == (200, b"", "text/html")


async def test_parts() -> None:
    """Sub-applications with an empty route, prefixes in links, default_content_type set when it is imported."""
    with Program("parts") as program:
        client = TestClient(program["app"])
        for method, path, status, text in (
            ("GET", "/", 200, "<h1>GET</h1>"),
            ("POST", "/", 200, "<h1>POST</h1>"),
            ("GET", "/users", 200, '<a href="/users/1">one</a>'),
            ("GET", "/users/5", 200, '<a href="/users">user 5</a>'),
            ("GET", "/divide/5", 200, "2"),
            ("GET", "/users/x", 404, "no such user"),
            ("GET", "/nothing", 404, "no such user"),
        ):
            response = await client.request(method, path)
            assert (response.status_code, response.text) == (status, text), (method, path)
            assert response.headers["Content-Type"] == "text/html; charset=UTF-8", path
            assert response.headers.get("X-Time") == ("100" if status == 200 else None), path
        response = await client.get("/api/data")
        assert response.json == {"values": [1, 2, 3]}
        assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
        response = await client.get("/divide/0")
        assert (response.status_code, response.json) == (500, {"error": "division by zero"})
        assert program["app"] is not program["create_app"]()


async def test_together() -> None:
    """start_server() beside another task in asyncio.gather()."""
    with Program("together") as program:
        # Its port may be taken here; everything else stays as it is.
        program["port"] = free_port()
        task = asyncio.create_task(program["main"]())
        await asyncio.sleep(0.3)
        assert not task.done()
        server = Running(program["app"])
        server.port = program["port"]
        assert (await server.get("/"))[2] == b"True"
        assert (await server.get("/stop"))[2] == b"stopping"
        await asyncio.wait_for(task, 10)
        assert program["blinks"] == [0, 1, 2]


async def test_guarded() -> None:
    """Decorators below the route, abort(), error handlers of numbers and classes, a generator for a body."""
    with Program("guarded") as program:
        client = TestClient(program["app"])
        secret = {"Authorization": "secret"}
        for method, path, headers, body, status, text in (
            ("PUT", "/notes/a", None, {"x": 1}, 401, "Not for you"),
            ("PUT", "/notes/a", secret, {"x": 1}, 201, ""),
            ("PUT", "/notes/ab", secret, [1], 201, ""),
            ("PUT", "/notes/b", secret, {}, 400, "400 error"),
            ("PUT", "/notes/b", secret, "text", 400, "400 error"),
            ("GET", "/notes/a", None, None, 200, '{"x": 1}'),
            ("GET", "/notes/b", None, None, 404, "404 error"),
            ("GET", "/search", None, None, 200, "a\nab\n"),
            ("GET", "/search?q=b", None, None, 200, "ab\n"),
            ("GET", "/search?q=z", None, None, 200, ""),
            ("DELETE", "/notes/a", secret, None, 204, ""),
            ("DELETE", "/notes/a", secret, None, 404, "missing"),
            ("PUT", "/notes/a", secret, "x" * 17000, 413, '{"limit": 16384}'),
        ):
            response = await client.request(method, path, headers=headers, body=body)
            assert (response.status_code, response.text) == (status, text), (method, path, response.text)
            assert response.headers.get("X-Error") == (path if status >= 400 else None), (method, path)


async def test_secure() -> None:
    """Contract 8.2: HTTPS, with PEM files on CPython and DER on a board; 21 C10: the scheme says so."""
    server_side: "Any"
    client_side: "Any"
    if CPYTHON:
        import ssl

        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(HERE + "files/cert.pem", HERE + "files/key.pem")
        client_side = ssl.create_default_context(cafile=HERE + "files/cert.pem")
    else:
        import tls

        server_side = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        with open(HERE + "files/cert.der", "rb") as cert, open(HERE + "files/key.der", "rb") as key:
            server_side.load_cert_chain(cert.read(), key.read())
        client_side = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        client_side.verify_mode = tls.CERT_NONE
    # The program itself imports ssl, which boards get from their package index.
    with Program("secure" if CPYTHON else "secure_board") as program:
        await ask_securely(program["app"], server_side, client_side)


async def ask_securely(app: "Any", server_side: "Any", client_side: "Any") -> None:
    """Serve HTTPS and ask once."""
    async with Running(app, ssl=server_side) as server:
        opening: "Any" = asyncio.open_connection  # with other arguments on a board
        if CPYTHON:
            opening = opening("127.0.0.1", server.port, ssl=client_side, server_hostname="localhost")
        else:
            opening = opening("127.0.0.1", server.port, client_side, "localhost")
        reader, writer = await asyncio.wait_for(opening, 10)
        connection = Connection(reader, writer)
        await connection.send(b"GET / HTTP/1.0\r\n\r\n")
        data = await connection.read_all()
        await connection.close()
        assert data[:7] == b"HTTP/1." and data.endswith(b"\r\n\r\nhttps"), data
