"""Servers under test, each in a process of its own: the same application on CPython and on MicroPython.

For CPython only. The library is what the environment has installed, on CPython, and a tree of .mpy files as boards have
it, on MicroPython. Every server is ended by its process id.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from provide import Missing, micropython
from support.wire_client import Answer, Connection, request

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ROOT / "tests" / "wire" / "apps"

# What must never run stands behind every refused request and within every body that is left unread.
SMUGGLED = request("GET", "/smuggled")

START_TIMEOUT = 30.0
"""Seconds that a process may take until it accepts connections."""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds; return whether it did within that time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Workbench:
    """What servers need on disk: the tree of .mpy files, made once, and a folder for output and test files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="wire-")
        self.folder = Path(self._folder.name)
        self.file = self.folder / "answer.txt"
        self.file.write_bytes(bytes(range(32, 127)) * 40)
        self._tree: Path | None = None

    def tree(self) -> Path:
        """Return the merged tree of .mpy files, compiled on first use."""
        if self._tree is None:
            out = self.folder / "board"
            command = [sys.executable, str(ROOT / "tools" / "tree.py"), "--mpy", "--packages", "core", "--out", str(out)]
            run = subprocess.run(command, capture_output=True, text=True, timeout=120)
            assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"
            self._tree = out
        return self._tree

    def certificate(self) -> tuple[Path, Path]:
        """Return the PEM files of a certificate for localhost and its key, signed by itself; DER files lie beside them."""
        certificate, key = self.folder / "cert.pem", self.folder / "key.pem"
        if not certificate.exists():
            making = (
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
                f" -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {key} -out {certificate}",
                f"x509 -in {certificate} -outform DER -out {certificate.with_suffix('.der')}",
                f"ec -in {key} -outform DER -out {key.with_suffix('.der')}",
            )
            for arguments in making:
                run = subprocess.run(["openssl", *arguments.split()], capture_output=True, text=True, timeout=60)
                assert run.returncode == 0, f"openssl {arguments}\n{run.stderr}"
        return certificate, key

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()


def python_path() -> str:
    """Return PYTHONPATH for an application on CPython: the helpers, and the sources when nothing is installed."""
    paths = [str(ROOT / "tests")]
    if importlib.util.find_spec("microdot") is None:
        paths += [str(path) for path in sorted(ROOT.glob("packages/*/src"))]
    return os.pathsep.join(paths)


class Server:
    """One application in a process of its own.

    Arguments:
        bench: where files go.
        runtime: "cpython", "micropython" (64-bit) or "micropython32".
        app: the file name of an application in tests/wire/apps.
        arguments: what follows the port on its command line.
        heap: size of the heap on MicroPython, as its -X heapsize has it.
        tls: serve TLS with the bench's certificate.
    """

    def __init__(
        self, bench: Workbench, runtime: str, app: str, arguments: Sequence[str] = (), heap: str = "1m", tls: bool = False
    ) -> None:
        self.bench = bench
        self.runtime = runtime
        self.app = app
        self.arguments = [*arguments]
        self.heap = heap
        self.tls: ssl.SSLContext | None = None
        self.port = 0
        self._mark = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._output = Path(tempfile.mkstemp(dir=bench.folder, suffix=".out")[1])
        if tls:
            certificate, key = bench.certificate()
            self.tls = ssl.create_default_context(cafile=str(certificate))
            if self.on_micropython:
                certificate, key = certificate.with_suffix(".der"), key.with_suffix(".der")
            self.arguments += [f"certificate={certificate}", f"key={key}"]

    @property
    def on_micropython(self) -> bool:
        """Whether the application runs on MicroPython."""
        return self.runtime != "cpython"

    def start(self) -> Server:
        """Start the process and wait until it accepts connections. Fails with its output when it does not.

        Raises:
            Missing: there is no such MicroPython and it cannot be had.
        """
        self.port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
        if self.on_micropython:
            command = [str(micropython(32 if self.runtime == "micropython32" else 64)), "-X", f"heapsize={self.heap}"]
            environment["MICROPYPATH"] = os.pathsep.join((str(self.bench.tree()), str(ROOT / "tests"), ".frozen"))
        else:
            # What was left open or never awaited is reported on stderr, where the fixtures look for it.
            command = [sys.executable, "-W", "always::ResourceWarning", "-W", "always::RuntimeWarning", "-u"]
            environment["PYTHONPATH"] = python_path()
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        command += [str(APPS / self.app), str(self.port), *self.arguments]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        if not wait_until(lambda: not self.alive or self.accepts(), START_TIMEOUT) or not self.alive:
            output_text = self.output()
            code = self._process.poll()
            self.stop()
            raise AssertionError(f"{self.app} on {self.runtime} does not start (exit code {code}):\n{output_text[-3000:]}")
        return self

    def accepts(self) -> bool:
        """Whether a connection can be made."""
        with socket.socket() as sock:
            sock.settimeout(5)
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self._process is not None
        return self._process

    def stop(self, patience: float = 2.0) -> None:
        """End the process, by force when it does not go of its own accord within `patience` seconds."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait(10)

    def output(self) -> str:
        """Return all that the process has printed."""
        return self._output.read_text(errors="replace")

    def note(self) -> None:
        """Begin a test: said() tells what was printed since."""
        self._mark = self._output.stat().st_size

    def said(self) -> str:
        """Return what the process has printed since note(); nothing when the files of the run are gone."""
        if not self._output.exists():
            return ""
        with self._output.open("rb") as file:
            file.seek(self._mark)
            return file.read().decode(errors="replace")

    def connect(self, timeout: float = 10.0, receive_buffer: int = 0) -> Connection:
        """Open a connection."""
        return Connection(self.port, timeout, self.tls, receive_buffer)

    def get(self, path: str, *lines: str) -> Answer:
        """Answer of a GET request on a connection of its own."""
        with self.connect() as client:
            return client.get(path, "Connection: close", *lines)

    def status(self) -> dict[str, Any]:
        """Return what /status tells."""
        answer = self.get("/status")
        assert answer.status == 200, answer
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def counted(self, name: str) -> int:
        """Return one counter of /status."""
        return int(self.status()["counts"].get(name, 0))

    def healthy(self) -> None:
        """Check that the process lives and answers another client, and that it complained of nothing by itself."""
        assert self.alive, f"the server has ended with exit code {self.process.poll()}:\n{self.output()[-3000:]}"
        answer = self.get("/status" if self.app == "battery.py" else "/text")
        assert answer.status == 200, answer
        if self.app == "battery.py":
            ran = json.loads(answer.body)["counts"].get("smuggled", 0)
            assert not ran, f"{ran} requests ran that were hidden in a body or behind a refused request"
        said = self.said()
        for complaint in COMPLAINTS:
            assert complaint not in said, f"{complaint!r} in the server's output:\n{said[-4000:]}"


COMPLAINTS = (
    "never awaited",
    "never retrieved",
    "ResourceWarning",
    "was destroyed but it is pending",
    "Exception ignored in",
    "Unhandled exception in",
    "Fatal error on",
    "socket.send() raised exception",
)
"""What CPython's and MicroPython's own machinery prints when an application lost track of something."""

PIECES = (0, 1, 2, 7)
"""Sizes in which requests are fed; 0 is the whole at once."""


def refused(
    server: Server, message: bytes, statuses: Sequence[int], pieces: Sequence[int] = PIECES, behind: bytes = SMUGGLED
) -> None:
    """Check that a message is refused with one of the statuses, and that this is the end of the connection.

    RFC 9112 9.6 and 11.2: after a message that was not understood, nothing on the connection can be trusted, so the
    request behind it must never run. The answer must be readable (no reset) and announce the close.

    Arguments:
        server: the server under test.
        message: the bytes of the bad message.
        statuses: acceptable statuses.
        pieces: sizes of the pieces in which it is sent, one connection for each.
        behind: what is sent after it on the same connection.
    """
    for piece in pieces:
        with server.connect() as client:
            client.send(message + behind, piece)
            try:
                answer = client.answer()
            except AssertionError as error:
                raise AssertionError(f"{message[:300]!r} in pieces of {piece}: {error}") from None
            where = f"{message[:300]!r} in pieces of {piece} was answered {answer}"
            assert answer.status in statuses, f"{where}; expected {statuses}"
            assert answer.closes, f"{where} without announcing the close: {answer.head!r}"
            try:
                # A board reads on for so long only: what it does not take of a flood ends in a reset, after the answer.
                if server.on_micropython and len(message) > 16384:
                    assert not client.drain()
                else:
                    client.expect_end()
            except AssertionError as error:
                raise AssertionError(f"{where}, then {error}") from None


def served(
    server: Server, message: bytes, methods: Sequence[str] = ("GET",), pieces: Sequence[int] = PIECES
) -> list[Answer]:
    """Send a message of one or several good requests and a last GET /text behind them; return the answers without the last.

    Checks, for every way of cutting the message, that each request got its answer, in order, that a connection which
    ended early said so, and that all ways gave the same answers.
    """
    first: list[Answer] = []
    for piece in pieces:
        with server.connect() as client:
            client.send(message + request("GET", "/text", "Connection: close"), piece)
            found = client.answers([*methods, "GET"])
            where = f"{message[:300]!r} in pieces of {piece}"
            # HTTP/1.0 has no pipelining: there the request behind it comes after the end that the client expects.
            assert not client.reset or b"HTTP/1.0" in message, f"{where}: reset after {found}"
            assert found, f"{where}: closed without an answer"
            if len(found) == len(methods):
                assert found[-1].closes, f"{where}: {found[-1]} announces no close, and the connection ended"
            else:
                assert len(found) == len(methods) + 1, f"{where}: {[str(answer) for answer in found]}"
                last = found.pop()
                assert last.body == b"hello", f"{where}: the request behind it got {last}, before it came {found[-1]}"
            if piece == pieces[0]:
                first = found
            else:
                got = [(answer.status, answer.body) for answer in found]
                wanted = [(answer.status, answer.body) for answer in first]
                differing = [str(answer) for answer, one, other in zip(found, got, wanted) if one != other]
                assert got == wanted, f"{where}: another answer than whole: {differing or found}"
    return first


__all__ = ["PIECES", "SMUGGLED", "Missing", "Server", "Workbench", "free_port", "refused", "served", "wait_until"]
