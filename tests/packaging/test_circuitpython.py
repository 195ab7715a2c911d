"""The bundle for CircuitPython: in its dialect, and serving on `socketpool` with the deadlines and caps of the other hosts.

There is no CircuitPython to run here. Its own asyncio comes by pip; the rest is a stand-in (circuitpython/boot.py), on CPython,
whose generators cannot be awaited either and whose sockets behave as Espressif's, and on MicroPython with RP2040's.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import bundle
import provide
from project import CORE, ROOT, Package, with_requirements
from strip import strip

HERE = Path(__file__).parent / "circuitpython"


@pytest.fixture(scope="session")
def libraries() -> Path:
    """CircuitPython's asyncio and what it needs."""
    try:
        return provide.circuitpython_libraries()
    except provide.Missing as error:
        pytest.skip(str(error))


# The server -------------------------------------------------------------------------------------------------------------


class Board:
    """A stand-in board that serves circuitpython/program.py."""

    def __init__(self, command: list[str], path: str, variable: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, str(HERE / "boot.py"), str(HERE / "program.py"), str(self.port)],
                env={**os.environ, variable: path},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
            )
        until = time.monotonic() + 20
        while True:
            try:
                self.connect().close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.end()
                    raise AssertionError(f"it does not serve\n{log.read_text()}") from None
                time.sleep(0.05)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 5)

    def ask(self, data: bytes) -> bytes:
        """Send what is one request and closes the connection; return all that comes."""
        with self.connect() as connection:
            connection.sendall(data)
            return everything(connection)

    def get(self, path: str, *headers: str) -> tuple[int, bytes]:
        lines = "".join(f"{line}\r\n" for line in headers)
        answer = self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def everything(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def head_of(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += exactly(connection, 1)
    return data


@pytest.fixture(scope="module")
def files(members: list[Package]) -> dict[str, str]:
    """The modules of all packages for boards, as the bundle has them."""
    return bundle.bundle_files(members)


@pytest.fixture(scope="module")
def modules(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `lib` of the drive."""
    out = tmp_path_factory.mktemp("drive")
    bundle.write_files(files, out)
    return out / "lib"


@pytest.fixture(scope="module", params=["cpython", "micropython32"])
def board(
    request: pytest.FixtureRequest, modules: Path, libraries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Board]:
    log = tmp_path_factory.mktemp("board") / "output.txt"
    if request.param == "cpython":
        one = Board([sys.executable, "-B"], f"{libraries}{os.pathsep}{modules}", "PYTHONPATH", log)
    else:
        path = f"{HERE}:{libraries}:{modules}:.frozen"
        micropython = str(request.getfixturevalue("micropython32"))
        one = Board([micropython, "-X", "heapsize=400k"], path, "MICROPYPATH", log)
    yield one
    alive = one.process.poll() is None
    one.end()
    assert alive or one.process.returncode == 0, log.read_text()


KEPT = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_hello_on_a_kept_connection(board: Board) -> None:
    with board.connect() as connection:
        for _ in range(3):
            connection.sendall(KEPT)
            head = head_of(connection)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\nDate: " in head
            assert exactly(connection, 13) == b"Hello, World!"
        connection.sendall(KEPT * 2)  # one behind the other
        for _ in range(2):
            head_of(connection)
            assert exactly(connection, 13) == b"Hello, World!"
    # in pieces of one byte
    with board.connect() as connection:
        for n in range(len(KEPT)):
            connection.sendall(KEPT[n : n + 1])
        assert head_of(connection).startswith(b"HTTP/1.1 200 ")


def test_handlers_of_both_kinds_and_errors(board: Board) -> None:
    assert board.get("/plain/you") == (200, b'{"hello": "you"}')
    assert board.get("/nowhere")[0] == 404
    assert board.get("/fail")[0] == 500
    assert "ValueError: what a traceback is printed of" in board.log.read_text()
    assert board.ask(b"DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 405 ")


def test_bad_requests_are_refused(board: Board) -> None:
    for data, status in (
        (b"GET /\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 5000 + b"\r\n\r\n", b"431"),
        (b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n", b"413"),
    ):
        with board.connect() as connection:
            connection.sendall(data)
            assert connection.recv(4096).split()[1] == status, data[:60]


def test_bodies(board: Board) -> None:
    body = bytes(range(256)) * 40  # more than one segment either way
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert board.ask(head + b"Content-Length: %d\r\n\r\n" % len(body) + body).partition(b"\r\n\r\n")[2] == body
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(body[n : n + 999]), body[n : n + 999]) for n in range(0, len(body), 999))
    answer = board.ask(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\n\r\n")
    assert answer.partition(b"\r\n\r\n")[2] == body


def test_streams_and_their_end(board: Board) -> None:
    status, body = board.get("/stream")
    assert status == 200 and body == b"3e8\r\n" + b"\r\n3e8\r\n".join([b"x" * 1000] * 5) + b"\r\n0\r\n\r\n"
    before = int(board.get("/ended")[1])
    with board.connect() as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert exactly(connection, 50000)
    until = time.monotonic() + 3
    while int(board.get("/ended")[1]) == before:
        assert time.monotonic() < until, "the stream did not end when its client went"
        time.sleep(0.1)


def test_websocket(board: Board) -> None:
    with board.connect() as connection:
        connection.sendall(
            b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        # RFC 6455 1.3 has this key and its answer
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head_of(connection)
        mask = b"\x01\x02\x03\x04"
        for text in (b"hello", b"x" * 5000):
            length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
            connection.sendall(b"\x81" + length + mask + bytes(c ^ mask[i & 3] for i, c in enumerate(text)))
            length = length.replace(b"\xfe", b"\x7e") if len(text) > 125 else bytes([len(text)])
            assert exactly(connection, 1 + len(length) + len(text)) == b"\x81" + length + text
        connection.sendall(b"\x88\x82" + mask + bytes((0x03 ^ 1, 0xE8 ^ 2)))  # 1000
        assert everything(connection) == b"\x88\x02\x03\xe8"


def test_sessions(board: Board) -> None:
    answer = board.ask(b"GET /visits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    (cookie,) = [line for line in answer.decode().split("\r\n") if line.startswith("Set-Cookie: ")]
    assert answer.endswith(b"\r\n1")
    assert board.get("/visits", "Cookie: " + cookie[12:].split(";")[0])[1] == b"2"
    assert board.get("/visits", "Cookie: " + cookie[12:].split(";")[0] + "x")[1] == b"1"


def test_deadlines(board: Board) -> None:
    """Row L7 to L9, and L12: each with its limit of half a second, on connections of their own at the same time."""
    slow, stalled, idle = board.connect(), board.connect(), board.connect()
    with slow, stalled, idle:
        start = time.monotonic()
        slow.sendall(b"GET / HT")
        stalled.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        idle.sendall(KEPT)
        head_of(idle), exactly(idle, 13)
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert stalled.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert idle.recv(4096) == b"", "an idle connection is closed without a word"
        assert 0.4 < time.monotonic() - start < 3.5
    with board.connect() as greedy:
        before = int(board.get("/ended")[1])
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        until = time.monotonic() + 6
        while int(board.get("/ended")[1]) == before:
            assert time.monotonic() < until, "a client that reads nothing holds the stream"
            time.sleep(0.1)


def test_silent_clients_cost_nobody_an_answer(board: Board) -> None:
    """Row L11: more silent connections than the cap, and more than the pool has sockets."""
    silent = [board.connect() for _ in range(12)]
    assert board.get("/") == (200, b"Hello, World!")
    for one in silent:
        one.close()
    # When all are at work, one more is told so.
    busy = [board.connect() for _ in range(4)]
    for one in busy:
        one.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        one.sendall(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        assert head_of(one).startswith(b"HTTP/1.1 101 ")
    status, body = board.get("/")
    assert (status, body) == (503, b"Busy")
    for one in busy:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # the close is a reset
        one.close()
    until = time.monotonic() + 5
    while board.get("/")[0] != 200:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_stops_and_gives_its_sockets_back(board: Board) -> None:
    """Row L15; the last test of a board. It serves again on the pool that it has found, and then on another one."""
    for _ in range(3):
        assert board.get("/stop") == (200, b"stopping")
        until = time.monotonic() + 5
        while board.process.poll() is None:
            with contextlib.suppress(OSError):
                assert board.get("/") == (200, b"Hello, World!")
                break
            assert time.monotonic() < until
            time.sleep(0.05)
    assert board.process.wait(10) == 0
    assert board.log.read_text().splitlines()[-3:] == ["stopped with 0 sockets open"] * 3


# The dialect ------------------------------------------------------------------------------------------------------------

# Module → what of it our modules may use. CircuitPython 10's own modules, by its documentation; asyncio is checked below
# against the library itself. What is missing on purpose: hashlib.sha256, time.gmtime, time.ticks_ms, time.sleep_ms,
# sys.print_exception (gone in 10), os.ilistdir, asyncio.start_server (it asks for usocket).
NAMES = {
    "asyncio": "CancelledError Event Lock TimeoutError core create_task current_task gather new_event_loop sleep sleep_ms "
    "wait_for wait_for_ms",
    "asyncio.core": "ticks",
    "binascii": "a2b_base64 b2a_base64 crc32 hexlify unhexlify",
    "gc": "collect disable enable mem_alloc mem_free",
    "hashlib": "new",
    "io": "BytesIO StringIO IOBase",
    "json": "dump dumps load loads",
    "micropython": "const",
    "os": "getenv listdir mkdir remove rename rmdir sep stat statvfs sync uname unlink urandom",
    "re": "compile match search sub",
    "socketpool": "SocketPool",
    "sys": "implementation modules path platform version",
    "time": "localtime mktime monotonic monotonic_ns sleep struct_time time",
    "traceback": "format_exception print_exception",
    "wifi": "radio",
}
# Tried, with the next line for those boards that do not have it.
OPTIONAL = {("hmac", "compare_digest"), ("pkgutil", "extend_path"), ("warnings", "warn"), ("functools", "wraps")}
# Reached with an address in bytes only, which MicroPython's unix port has.
ELSEWHERE = {("microdot/lazy.py", "socket")}
MISSING_METHODS = {"removeprefix", "removesuffix", "title", "casefold", "fullmatch", "hexdigest", "ticks_ms", "expandtabs"}


def strings_side_by_side(text: str) -> Iterator[int]:
    """Yield the lines in which an f-string stands beside another string: CircuitPython does not join them."""
    before = None
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        begins = kind in ("STRING", "FSTRING_START")
        formatted = kind == "FSTRING_START" or kind == "STRING" and "f" in token.string.split(token.string[-1])[0].lower()
        if begins and before is not None and (formatted or before):
            yield token.start[0]
        if kind == "STRING":
            before = formatted
        elif kind == "FSTRING_END":
            before = True
        elif kind not in ("NL", "COMMENT"):
            before = None


def awaited_names(tree: ast.AST) -> set[str]:
    calls = (node.value.func for node in ast.walk(tree) if isinstance(node, ast.Await) and isinstance(node.value, ast.Call))
    return {f.attr if isinstance(f, ast.Attribute) else f.id for f in calls if isinstance(f, (ast.Attribute, ast.Name))}


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function and not in a function within."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from own_nodes(node)


def complaints(name: str, text: str, awaited: set[str]) -> list[str]:
    """Return what CircuitPython would not understand in a module."""
    found = []
    tree = ast.parse(text)
    modules: set[str] = set()  # names that are modules here
    optional: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any("ImportError" in ast.dump(handler.type or node) for handler in node.handlers):
            optional.update(inner for part in node.body for inner in ast.walk(part))

    def say(node: ast.AST, what: str) -> None:
        found.append(f"{name}:{getattr(node, 'lineno', 0)}: {what}")

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "microdot":
                    continue
                if (name, alias.name) in ELSEWHERE:
                    continue
                modules.add(alias.asname or alias.name)
                if alias.name not in NAMES:
                    say(node, f"there is no module {alias.name}")
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] != "microdot":
            for alias in node.names:
                fine = alias.name in NAMES.get(node.module or "", "").split()
                if not fine and not (node in optional and (node.module, alias.name) in OPTIONAL):
                    say(node, f"there is no {alias.name} in {node.module}")
        elif isinstance(node, ast.AsyncFunctionDef):
            if any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in own_nodes(node)):
                say(node, "asynchronous generator")
        elif isinstance(node, (ast.FunctionDef, ast.Lambda)):
            inside = list(own_nodes(node))
            if any(isinstance(inner, (ast.Await, ast.AsyncFor, ast.AsyncWith)) for inner in inside):
                say(node, "await in a plain function")
            if isinstance(node, ast.FunctionDef) and node.name in awaited:
                if any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in inside):
                    say(node, f"{node.name}() is a generator and is awaited")
        elif isinstance(node, ast.Set) or isinstance(node, (ast.List, ast.Tuple)) and isinstance(node.ctx, ast.Load):
            if any(isinstance(element, ast.Starred) for element in node.elts):
                say(node, "a star in a display")
        elif isinstance(node, ast.Dict) and None in node.keys:
            say(node, "two stars in a display")
        elif isinstance(node, ast.comprehension) and node.is_async:
            say(node, "asynchronous comprehension")
        elif isinstance(node, ast.Slice) and node.step is not None:
            say(node, "a slice with a step")
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
                    say(node, "del of a slice")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("startswith", "endswith") and node.args and isinstance(node.args[0], ast.Tuple):
                say(node, f"{node.func.attr}() of a tuple")
            if node.func.attr in ("split", "rsplit", "encode", "decode", "to_bytes", "from_bytes") and node.keywords:
                say(node, f"{node.func.attr}() with a keyword")
        elif type(node).__name__ in ("Match", "TryStar", "TypeAlias"):
            say(node, type(node).__name__)
        if isinstance(node, ast.arguments) and node.posonlyargs:
            say(node.posonlyargs[0], "positional-only arguments")
        if isinstance(node, ast.Attribute) and node.attr in MISSING_METHODS:
            say(node, f"there is no {node.attr}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            if node.attr not in NAMES.get(node.value.id, "").split():
                say(node, f"there is no {node.value.id}.{node.attr}")
    return found + [f"{name}:{line}: an f-string beside another string" for line in strings_side_by_side(text)]


def test_every_module_is_in_the_dialect(files: dict[str, str]) -> None:
    awaited = set().union(*(awaited_names(ast.parse(text)) for text in files.values()))
    assert len(files) > 30
    assert [line for name, text in files.items() for line in complaints(name, text, awaited)] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import socket\n", "no module socket"),
        ("from hashlib import sha256\n", "no sha256 in hashlib"),
        ("import time\nt = time.gmtime()\n", "no time.gmtime"),
        ("import sys\nsys.print_exception(1)\n", "no sys.print_exception"),
        ("async def f():\n    yield 1\n", "asynchronous generator"),
        ("def fill():\n    yield 1\n", "is awaited"),
        ("a = [*b, 1]\n", "a star"),
        ("a = {**b}\n", "two stars"),
        ("a = b[::2]\n", "a step"),
        ("del a[:2]\n", "del of a slice"),
        ("a.startswith(('b', 'c'))\n", "of a tuple"),
        ("a.split(maxsplit=1)\n", "with a keyword"),
        ("a = f'{b}' 'c'\n", "beside another"),
        ("a = ('b'\n     f'{c}')\n", "beside another"),
        ("def f(a, /):\n    pass\n", "positional-only"),
        ("match a:\n    case 1:\n        pass\n", "Match"),
        ("try:\n    from typing import Any\nexcept ImportError:\n    pass\n", "no Any in typing"),
    ],
)
def test_the_dialect_is_guarded(text: str, said: str) -> None:
    found = complaints("x.py", text, {"fill"})
    assert len(found) == 1 and said in found[0], found
    assert complaints("x.py", "a = 'b' 'c'\nd = f'{a}', f'{a}'\ne = a['x'] + f'{a}'\n", set()) == []


def test_the_libraries_have_what_is_asked_of_them(libraries: Path) -> None:
    sources = {path.name: ast.parse(path.read_text()) for path in (libraries / "asyncio").glob("*.py")}
    core = {node.name for node in sources["core.py"].body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    core |= {n.name for t in sources["core.py"].body if isinstance(t, ast.Try) for h in t.handlers for n in h.body
             if isinstance(n, ast.ClassDef)}
    assert {"queue_read", "queue_write"} <= {
        node.name for node in ast.walk(sources["core.py"]) if isinstance(node, ast.AsyncFunctionDef)
    }
    lazy = next(ast.literal_eval(node.value) for node in sources["__init__.py"].body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_attrs")
    assert set(NAMES["asyncio"].split()) <= core | set(lazy) | {"core"}


def test_the_adapter_offers_what_the_other_one_offers(members: list[Package]) -> None:
    def names(path: Path) -> dict[str, str]:
        found = {}
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found[node.name] = ast.unparse(node.args) if not isinstance(node, ast.ClassDef) else ""
                if isinstance(node, ast.ClassDef):
                    inner = (f for f in node.body if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)))
                    found.update((f"{node.name}.{f.name}", ast.unparse(f.args)) for f in inner)
            elif isinstance(node, ast.Assign):
                found[ast.unparse(node.targets[0])] = ""
        return {name: args for name, args in found.items() if not name.split(".")[-1].startswith("_") or name == "_why"}

    core = next(package for package in members if package.name == CORE)
    theirs, ours = names(core.source / "_micropython.py"), names(core.source / "_circuitpython.py")
    theirs |= names(core.source / "_board.py")  # the seldom half of it
    for name in ("print_exception", "attribute", "buf", "flush", "unregister", "wait", "wrap_socket"):
        theirs.pop(name)  # imported here, a method here, or only asked for by the other one itself
    assert {name: ours.get(name) for name in theirs} == theirs


# Bundles ----------------------------------------------------------------------------------------------------------------


def test_bundles_by_selection(members: list[Package], tmp_path: Path) -> None:
    chosen = with_requirements(["sse"], members)
    path = bundle.write_zip(chosen, tmp_path, "project")
    version = members[0].version
    assert path.name == f"project-py-{version}.zip"
    with zipfile.ZipFile(path) as archive:
        names = {name.removeprefix(f"project-py-{version}/") for name in archive.namelist()}
        library = {name for name in names if name.startswith("lib/")}
        wanted = {f"lib/microdot/{name}" for package in chosen for name in package.circuitpython_files()}
        assert library == wanted and "lib/microdot/_circuitpython.py" not in library
        port = archive.read(f"project-py-{version}/lib/microdot/_micropython.py").decode()
        assert "socketpool" in port and "import socket\n" not in port
        # circup reads versions and requirements here
        assert f'__version__ = "{version}"' in archive.read(f"project-py-{version}/lib/microdot/__init__.py").decode()
        about = archive.read(f"project-py-{version}/requirements/microdot/pyproject.toml").decode()
        assert 'circup_dependencies = ["asyncio", "adafruit_ticks"]' in about
        compile(archive.read(f"project-py-{version}/examples/microdot_simpletest.py"), "code.py", "exec")
    run = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "bundle.py"), "jinja", "--out", str(tmp_path)], capture_output=True, text=True
    )
    assert run.returncode == 1 and "microdot-jinja does not run on boards" in run.stderr


def test_what_cannot_be_exchanged_is_refused() -> None:
    assert bundle.for_circuitpython("from hashlib import sha1 as hashed\n", "x") == (
        "from microdot._micropython import sha1 as hashed\n"
    )
    assert bundle.for_circuitpython("import time\nt = time.gmtime(0)\n", "x") == "import time\nt = time.localtime(0)\n"
    for text in ("from hashlib import sha1, md5\n", "import hashlib\nhashlib.sha256(b'')\n"):
        with pytest.raises(ValueError, match="x, line"):
            bundle.for_circuitpython(text, "x")


STRIPPED = '''\
"""Docstring."""
import json  # a comment
TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

if __debug__:
    print("not on boards")


if TYPE_CHECKING:
    Base = dict[str, Any]
else:
    Base = dict


class A(Base):
    """Docstring."""

    #: what it is
    x: "int" = 1
    y: "str"

    def f(self, a: "Any" = "#", *b: int, **c: "dict[str, int]") -> "Any":
        """Docstring."""
        text = """# no comment
    of several lines   
"""
        assert a
        return (a,
                text)  # why

    def g(self) -> None:
        """Nothing but this."""


def h() -> None:
    if a:
        assert b
    elif __debug__:
        pass
'''


def test_stripping_keeps_the_program_and_its_lines() -> None:
    result = strip(STRIPPED)
    lines, before = result.splitlines(), STRIPPED.splitlines()
    assert lines[1] == "import json" and lines[lines.index(" x = 1")] == " x = 1"
    for text in ("class A(Base):", "of several lines   ", "def h()"):
        (old,), (new,) = ([n for n, line in enumerate(found) if text in line] for found in (before, lines))
        assert old == new
    assert " def f(self, a = \"#\", *b, **c):" in lines and "    of several lines   " in lines
    for gone in ("Docstring", "comment\n", "TYPE_CHECKING", "__debug__", "assert", "typing", "->", "what it is", "y"):
        assert gone not in result.replace("# no comment\n", "").replace("lines   ", "").replace("json", ""), gone
    namespace: dict[str, object] = {}
    exec(result.replace("const(False)", "False"), namespace)
    value = namespace["A"]().f()  # type: ignore[operator]
    assert value == ("#", "# no comment\n    of several lines   \n")
    json.dumps(result)
    with pytest.raises(SyntaxError):
        strip("def f(:\n")


def test_stripping_leaves_the_boards_side_and_short_imports() -> None:
    text = """import sys
if sys.implementation.name not in ("micropython", "circuitpython"):
    from microdot import _cpython as port
else:
    import microdot._micropython as port
if port.SERVER:
    port.tune(globals())
def f():
    from microdot.body import load
    return load
"""
    here = strip(text, "microdot/http.py").split("\n")
    assert "_cpython" not in "".join(here) and " import microdot._micropython as port" in here
    assert "SERVER" not in "".join(here) and " from .body import load" in here
    assert " from microdot.body import load" in strip(text, "main.py").split("\n")  # a program, which is in no package


def test_stripping_for_bytecode_drops_the_import_of_const() -> None:
    text = """from micropython import const
from .http import (
    Request,
    const,
)
from .http import const as const
N = const(3)
"""
    assert strip(text, "microdot/x.py").split() == text.split()
    assert strip(text, "microdot/x.py", folded=True) == "\nfrom .http import Request\n\n\n\nfrom .http import const as const\nN = const(3)\n"
