"""The hosts: how each is started, and how a request is said to it. CPython only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosts.program import ACCEPTED, LOADED, register
from provide import micropython
from support.wire_client import Answer, Connection, request
from support.wire_server import ROOT, free_port, python_path, wait_until

HERE = Path(__file__).resolve().parent
START_TIMEOUT = 30


@dataclass(frozen=True)
class Kind:
    """A host."""

    name: str
    command: tuple[str, ...] = ()
    """Its command line, with {port} and {file}; empty: the test client."""
    interface: str = "native"
    workers: bool = False
    """Whether the processes that serve are children of the one that is started."""
    board: bool = False


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-W", "always::ResourceWarning", "-W", "always::RuntimeWarning", *arguments)


_UVICORN = ("-m", "uvicorn", "--port", "{port}", "--no-access-log", "--timeout-graceful-shutdown", "2")
_GUNICORN = ("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "2", "--workers", "1")
_GRANIAN = ("-m", "granian", "--port", "{port}", "--no-ws", "--workers-kill-timeout", "3", "--workers", "1")

KINDS = {
    kind.name: kind
    for kind in (
        Kind("native", _python(str(HERE / "program.py"), "{port}", "{file}")),
        Kind("micropython", ("micropython", "-X", "heapsize=2m", str(HERE / "program.py"), "{port}", "{file}"), board=True),
        Kind("test-client"),
        Kind("uvicorn-h11", _python(*_UVICORN, "--http", "h11", "hosts.program_asgi:app"), "asgi"),
        Kind("uvicorn-httptools", _python(*_UVICORN, "--http", "httptools", "hosts.program_asgi:app"), "asgi"),
        Kind(
            "hypercorn",
            _python("-m", "hypercorn", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "2", "hosts.program_asgi:app"),
            "asgi",
            workers=True,
        ),
        Kind("granian", _python(*[a for a in _GRANIAN if a != "--no-ws"], "--interface", "asgi", "hosts.program_asgi:app"), "asgi", True),
        Kind("gunicorn", _python(*_GUNICORN, "hosts.program_wsgi:app"), "wsgi", True),
        Kind("gunicorn-threads", _python(*_GUNICORN, "--threads", "8", "hosts.program_wsgi:app"), "wsgi", True),
        Kind("waitress", _python("-m", "waitress", "--listen", "127.0.0.1:{port}", "--threads", "8", "hosts.program_wsgi:app"), "wsgi"),
        Kind("granian-wsgi", _python(*_GRANIAN, "--interface", "wsgi", "hosts.program_wsgi:app"), "wsgi", True),
        Kind("wsgiref", _python("-m", "hosts.serve_wsgiref", "{port}"), "wsgi"),
    )
}


def read_until(client: Connection, mark: bytes) -> None:
    """Receive until `client.received` has the mark."""
    while mark not in client.received:
        data = client.sock.recv(65536)
        assert data, f"the connection ended before {mark!r}: {client.received!r}"
        client.received += data


@contextlib.contextmanager
def own_limits() -> Iterator[None]:
    """Give this process the limits of the program for a while."""
    from microdot import Request

    before = Request.max_body_length, Request.max_content_length
    Request.max_body_length, Request.max_content_length = LOADED, ACCEPTED
    try:
        yield
    finally:
        Request.max_body_length, Request.max_content_length = before


class Host:
    """A running host; `stop()` ends it.

    Arguments:
        kind: which.
        folder: where files go.
        program: another module than the program's, as `module:app`.
    """

    def __init__(self, kind: Kind, folder: Path, program: str = "", more: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.folder = folder
        self.program = program
        self.more = more
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._output = Path(tempfile.mkstemp(dir=folder, suffix=f"-{kind.name}.out")[1])
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self.file = folder / "file.txt"
        self.file.write_bytes(b"0123456789" * 500)

    def start(self, tree: Path | None = None) -> Host:
        """Start the host and wait until it answers."""
        if not self.kind.command:
            self._start_client()
            return self
        self.port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
        environment["MICRODOT_FILE"] = str(self.file)
        if self.kind.board:
            environment["MICROPYPATH"] = os.pathsep.join((str(tree), ".frozen"))
        else:
            environment["PYTHONPATH"] = python_path()
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
            environment["PYTHONUNBUFFERED"] = "1"
        command = [word.format(port=self.port, file=self.file) for word in self.kind.command]
        if self.kind.board:
            command[0] = str(micropython(64))
        if self.program:
            command[-1] = self.program
        command[-1:-1] = self.more
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if not wait_until(lambda: not self.alive or self._answers(), START_TIMEOUT) or not self.alive:
            said = self.output()
            self.stop()
            raise AssertionError(f"{self.kind.name} does not start:\n{' '.join(command)}\n{said[-3000:]}")
        return self

    def _answers(self) -> bool:
        # granian and gunicorn listen before they have workers
        try:
            with Connection(self.port, 5) as client:
                client.send(request("GET", "/", "Connection: close"))
                return client.answer().status < 500
        except (OSError, AssertionError):
            return False

    def _start_client(self) -> None:
        from microdot import Microdot
        from microdot.test_client import TestClient

        app = Microdot()
        with own_limits():
            register(app, str(self.file))
        self._loop = asyncio.new_event_loop()
        self._client = TestClient(app, host="localhost")
        self._loop.run_until_complete(self._client.__aenter__())

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None
        return self._process.pid

    def output(self) -> str:
        """Return all that the process has printed."""
        return self._output.read_text(errors="replace")

    def stop(self) -> str:
        """End the host; return what it has printed."""
        if self._loop is not None:
            self._loop.run_until_complete(self._client.__aexit__())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._loop = None
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(8)
                except subprocess.TimeoutExpired:
                    self._process.kill()
            self._process.wait(10)
        return self.output()

    def connect(self) -> Connection:
        """Open a connection."""
        return Connection(self.port, 10)

    def ask(
        self, path: str, method: str = "GET", send: tuple[str, ...] = (), content: bytes = b"", chunked: bool = False
    ) -> Answer:
        """Send a request and return the answer, whichever host this is."""
        if self._loop is not None:
            with own_limits():
                return self._loop.run_until_complete(self._ask_client(path, method, send, content))
        lines = [line for line in send if not line.startswith("Host:")]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
            pieces = [content[at : at + 1000] for at in range(0, len(content), 1000)]
            content = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        elif content:
            lines.append(f"Content-Length: {len(content)}")
        elif method in ("POST", "PUT"):
            lines.append("Content-Length: 0")
        with self.connect() as client:
            client.send(request(method, path, "Connection: close", *lines, body=content))
            return client.answer(method)

    async def _ask_client(self, path: str, method: str, send: tuple[str, ...], content: bytes) -> Answer:
        headers = {}
        for line in send:
            name, _, value = line.partition(":")
            headers[name] = value.strip()
        self._client.cookies.clear()
        found = await self._client.request(method, path, headers, content or None)
        fields = []
        for name, value in found.headers.items():
            for one in value if isinstance(value, list) else (value,):
                fields.append((name.lower(), str(one)))
        return Answer("1.1", found.status_code, found.reason or "", fields, b"", found.body or b"")

    def counts(self) -> dict[str, int]:
        """Return the counters of the program."""
        found: dict[str, int] = json.loads(self.ask("/counts").body)
        return found


__all__ = ["KINDS", "ROOT", "Host", "Kind", "read_until"]
