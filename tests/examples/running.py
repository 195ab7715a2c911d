"""The programs of docs/examples in processes of their own, on CPython and on MicroPython. CPython only.

Every one is started as its README says, with a port and 127.0.0.1, in an empty folder; packages are what is installed,
and on MicroPython the .mpy files that boards get.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from provide import Missing, micropython
from support.wire_client import Connection
from support.wire_server import COMPLAINTS, ROOT, free_port, python_path, wait_until
from upy import board_tree

EXAMPLES = ROOT / "docs" / "examples"
RUNTIMES = ("cpython", "micropython")
HEAP = "64k"
"""What a board with little memory has for a program: its heap, with 32-bit words."""


class Example:
    """An example that runs.

    Attributes:
        port: where it listens.
        url: its address without a slash at the end.
        runtime: "cpython" or "micropython".
        folder: the folder in which it was started.
        process: the process.
    """

    def __init__(self, runtime: str, folder: Path, port: int, process: subprocess.Popen[bytes], scheme: str) -> None:
        self.runtime = runtime
        self.folder = folder
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.process = process

    def client(self) -> httpx.Client:
        """Return a client for it; close it."""
        return httpx.Client(base_url=self.url, timeout=10, trust_env=False)

    def connect(self) -> Connection:
        """Return a connection for bytes that no client would send."""
        return Connection(self.port, 10)


def listens(port: int) -> bool:
    """Tell whether something answers HTTP there, or breaks off what is no TLS."""
    try:
        with httpx.Client(timeout=5, trust_env=False) as client:
            client.head(f"http://127.0.0.1:{port}/")
    except (httpx.ReadError, httpx.RemoteProtocolError):
        return True
    except httpx.TransportError:
        return False
    return True


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(10)


@contextmanager
def running(
    name: str,
    runtime: str,
    folder: Path,
    *,
    program: str = "main.py",
    heap: str = HEAP,
    more: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    command: tuple[str, ...] = (),
    scheme: str = "http",
) -> Iterator[Example]:
    """Run an example; afterwards it must have printed no traceback, and lost track of nothing.

    Args:
        name: the folder in docs/examples.
        runtime: "cpython" or "micropython" (32-bit).
        folder: where it is started.
        program: the file.
        heap: the size of the heap on MicroPython.
        more: arguments after port and host.
        environment: variables that it needs.
        command: modules and options of CPython instead of the program, with {port}.
        scheme: what `url` begins with.
    """
    port = free_port()
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))}
    variables.update(environment or {})
    file = EXAMPLES / name / program
    if runtime == "cpython":
        words = [sys.executable, "-W", "always::RuntimeWarning", "-u"]
        if not command:  # uvicorn has sockets that it leaves open
            words += ["-W", "always::ResourceWarning"]
        variables["PYTHONPATH"] = python_path()
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    else:
        try:
            words = [str(micropython(32)), "-X", f"heapsize={heap}"]
        except Missing as error:
            pytest.skip(str(error))
        variables["MICROPYPATH"] = f"{board_tree()}:.frozen"
    words += [word.format(port=port) for word in command] or [str(file), str(port), "127.0.0.1", *more]
    output = folder / f"{name}-{runtime}.out"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            words, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        started = wait_until(lambda: process.poll() is not None or listens(port), 30)
        assert started and process.poll() is None, f"{name} does not start on {runtime}:\n{output.read_text(errors='replace')}"
        yield Example(runtime, folder, port, process, scheme)
        assert process.poll() is None, f"{name} has ended on {runtime}:\n{output.read_text(errors='replace')}"
    finally:
        stop(process)
    said = output.read_text(errors="replace")
    for complaint in ("Traceback", "MemoryError", *COMPLAINTS):
        assert complaint not in said, f"{name} on {runtime} said {complaint!r}:\n{said[-3000:]}"
