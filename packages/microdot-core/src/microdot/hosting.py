"""What the hosts of CPython have in common: microdot-asgi, microdot-wsgi, and one of your own. Never on a board."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import signal
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._cpython import _PAUSE, _WRITE_TOGETHER
from ._quick import Made as Made
from .app import Microdot
from .bodies import BodyIterator, file_length
from .http import Response, port as _port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# Functions of these that a program gives to a process of its own; others are those of their workers.
_SERVERS = ("uvicorn", "hypercorn", "granian")
_OWN = ("run", "main", "serve")
# What the modules of hosts offer although it is in a package that not everybody has installed.
_WEBSOCKET = ("WebSocket", "websocket_upgrade", "with_websocket")


class Hosted(Microdot):
    """An application that a server of somebody else calls; `run()` serves it with the server of the core, as on a board.

    Attributes:
        embedded_server: whether `run()` serves it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedded_server = False
        self._starting: asyncio.Future[None] | None = None

    async def prepare(self) -> None:
        """Run the `start` hooks: hosts that have more to do before the first request replace this."""
        if self._hooked:
            await self.begin()

    async def get_ready(self) -> None:
        """Await `prepare()`, once for all requests that come while it runs; after a failure the next one tries again."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self.prepare())
            self._starting.add_done_callback(self._started)
        await asyncio.shield(self._starting)

    def _started(self, future: asyncio.Future[None]) -> None:
        self._starting = None

    def run(
        self, host: str = "0.0.0.0", port: int = 5000, debug: bool = False, ssl: Any = None, **options: Any
    ) -> None:
        """Serve with the server of the core, as a program on a board does.

        Args:
            host, port, debug, ssl, options: those of `run()` of the core.
        """
        self.embedded_server = True
        super().run(host, port, debug, ssl, **options)

    def shutdown(self) -> None:
        """Stop the server: SIGTERM for the process that is to end, so that running requests finish.

        That is this process; of a server with several workers it is the one that started them, which would replace this one.
        """
        if self.embedded_server or self.server is not None:
            super().shutdown()
        else:
            os.kill(server_process(), signal.SIGTERM)


def server_process() -> int:
    """Return the number of the process that ends the server in which this runs."""
    if "gunicorn.arbiter" in sys.modules and os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
        return os.getppid()  # gunicorn always has one above its workers
    # A worker of the others is a process that runs a function of theirs. A program that gives `uvicorn.run` to a process
    # is not to be killed itself.
    target = getattr(multiprocessing.current_process(), "_target", None)
    server = str(getattr(target, "__module__", "")).split(".")[0]
    if multiprocessing.parent_process() is not None and server in _SERVERS:
        if getattr(target, "__name__", "") not in _OWN:
            return os.getppid()
    return os.getpid()


class WholeBody:
    """A request body that has come whole before the request is dispatched; make it `request.pending`.

    It is then loaded as one on the native server is whose bytes are there already, and held to the same limits.

    Args:
        data: the body; its length is the declared one.
    """

    def __init__(self, data: bytes) -> None:
        self.buffer = data
        self.left = len(data)


_types: dict[str, bytes] = {}


def plain_type(response: Response) -> bytes | None:
    """Return the Content-Type of a response that has neither headers nor a reason of its own; None for another one."""
    if response._headers is not None or response.reason is not None or type(response) is not Response:
        return None
    key = response._type or response.default_content_type
    kind = _types.get(key)
    if kind is None:
        kind = response.content_type().encode()
        if not _port.is_plain(kind):
            return None
        if len(_types) < 100:
            _types[key] = kind
    return kind


def take_body(response: Response) -> AsyncIterator[Any] | None:
    """Make bytes of a body that can be, and return the iterator over another one, which `close_body()` must see at the end."""
    body = response.body
    if not isinstance(body, bytes):
        if isinstance(body, str):
            response.body = body.encode()
        elif isinstance(body, (bytearray, memoryview)):
            response.body = bytes(body)
        elif _is_stream(body) or hasattr(body, "read"):
            if type(response) is Response and not hasattr(body, "__anext__"):
                return BodyIterator(body, response.send_file_buffer_size)
            chunks: AsyncIterator[Any] = response.body_iter().__aiter__()
            return chunks
    return None


def plain_steps(chunks: AsyncIterator[Any]) -> Iterator[Any] | None:
    """Return the plain iterator that `take_body()` has made an async one of, None when there is none: its steps cost less."""
    if type(chunks) is BodyIterator and chunks._next == chunks._step:
        steps: Iterator[Any] = chunks._body
        return steps
    return None


async def joined(steps: Iterator[Any]) -> AsyncIterator[bytes]:
    """Give the chunks of a plain iterator together, as many as the native server sends together.

    Nobody else runs between two of them, so that they leave in the same turn of the loop; but not those that the iterator
    waits before.
    """
    parts: list[bytes] = []
    size = 0
    last = monotonic()
    try:
        for chunk in steps:
            if type(chunk) is not bytes:
                if chunk is None:
                    break
                chunk = chunk.encode() if isinstance(chunk, str) else bytes(memoryview(chunk))
            parts.append(chunk)
            size += len(chunk)
            now = monotonic()
            if size > _WRITE_TOGETHER or now - last > _PAUSE:
                yield b"".join(parts)
                parts.clear()
                size = 0
                now = monotonic()
            last = now
    except Exception as exc:
        if not parts:
            raise
        failure: Exception | None = exc
    else:
        failure = None
    if parts:
        yield b"".join(parts)
    if failure is not None:  # what came before it goes out
        raise failure


def body_length(body: Any) -> int | None:
    """Return how many bytes a body has, None when that cannot be told before it is read.

    Raises:
        TypeError: it is no body.
    """
    if isinstance(body, (bytes, bytearray, memoryview)):
        return len(body)
    if hasattr(body, "read"):
        return file_length(body)
    if _is_stream(body):
        return None
    if not body and not isinstance(body, (int, float)):
        return 0
    raise TypeError(f"response: the body is a {type(body)}; give str, bytes, dict, list, a file or an iterator")


async def close_body(chunks: Any) -> None:
    """Close the iterator over a body, or do nothing: one of the program's own need not have that."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        try:
            await close()
        except Exception as exc:
            _port.print_exception(exc)


def websocket_name(module: str, name: str) -> Any:
    """Find what a module of a host offers of microdot-websocket, for its `__getattr__`.

    Raises:
        ImportError: that is not installed.
        AttributeError: it offers nothing of that name.
    """
    if name not in _WEBSOCKET:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module("microdot.websocket"), name)
    except ModuleNotFoundError:
        raise ImportError(f"{name} is in microdot-websocket: pip install 'microdot-core[websocket]'") from None


def _is_stream(body: Any) -> bool:
    return hasattr(body, "__next__") or hasattr(body, "__anext__") or hasattr(body, "__aiter__")
