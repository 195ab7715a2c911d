"""WebSockets on hosts other than the native server, which are CPython's: ASGI carries messages, WSGI a bare socket."""

from __future__ import annotations

from asyncio import Event, Future, create_task, current_task, get_running_loop, sleep
from typing import Any

from . import _websocket
from ._websocket import Messages
from ._websocket_cpython import check_utf8 as check_utf8
from .websocket import WebSocket, WebSocketError

_TICK = 0.25  # seconds
_READ_AHEAD = 65536  # bytes that may wait for somebody to read them


def carrier(ws: WebSocket, channel: Any) -> Any:
    """Give a WebSocket what carries it where the server is not the native one."""
    if not channel.messages:
        return Streams(ws, channel)
    return (Ahead if getattr(channel, "ahead", False) else Messages)(ws, channel)


class Ahead(Messages):
    """Messages of a host where reading ahead does no harm: so a handler that does not receive learns that the peer has gone."""

    def __init__(self, ws: WebSocket, channel: Any) -> None:
        super().__init__(ws, channel)
        self._handler: Any = current_task()
        self._reading = False
        self._done = Event()
        self._watcher = create_task(self._watch())

    async def _read(self) -> bool:
        self._reading = True
        try:
            return await super().fill()
        finally:
            self._reading = False
            self._done.set()

    async def fill(self) -> bool:
        """Wait for a message; False when the peer has gone."""
        while self._reading:
            self._done.clear()
            await self._done.wait()
        return self._message is not None or (not self.ws.closed and await self._read())

    async def _watch(self) -> None:
        while not self.ws.closed:
            await sleep(1)
            if not self._reading and self._message is None and not self.ws.closed:
                if not await self._read() and not self.ws.closed:
                    self.ws._end(1006)
                    if not self.ws._busy:
                        self._handler.cancel()

    async def flush(self) -> None:
        """Send what was put; raises OSError: the peer has gone."""
        await super().flush()
        if self.ws._over:
            self._watcher.cancel()


class Streams:
    """What the native server's connection offers to a `WebSocket`, over a channel that reads and writes bytes."""

    buffer = b""
    eof = False
    expires = 0
    then = None
    watch: Any = None
    tick = 1
    stopping = False
    _waiter: Future[bool] | None = None

    def __init__(self, ws: WebSocket, channel: Any) -> None:
        self.server = self
        self.task = current_task()
        self._ws = ws
        self._channel = channel
        self._out: list[bytes] = []
        self._tasks = [create_task(self._read()), create_task(self._run())]
        ws._link = self
        self.watch = ws

    async def _read(self) -> None:
        try:
            while True:
                data = await self._channel.read(_READ_AHEAD)
                if not data:
                    break
                self.buffer += data
                self._wake(True)
                while len(self.buffer) > _READ_AHEAD:
                    await sleep(0.01)
        except OSError:
            pass
        finally:
            self.eof = True
            self._wake(False)

    async def _run(self) -> None:
        while not self.eof and not self._ws._over:
            await sleep(_TICK)
            self.tick += 1
            if self.watch:
                self.watch()
                if self._ws._full == 1:
                    try:
                        await self._ws._flush()
                    except OSError:
                        pass
            if 0 < self.expires <= self.tick:
                self.expire(WebSocketError("no answer"))

    def _wake(self, more: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(more)

    async def fill(self) -> bool:
        """Wait for more bytes in `buffer`; False at the end."""
        if self.eof:
            return False
        self._waiter = get_running_loop().create_future()
        return await self._waiter

    def write(self, data: bytes) -> bool:
        """Send bytes: `flush()` does it."""
        self._out.append(bytes(data))
        return True

    async def flush(self) -> None:
        """Send what was written, and wait while the peer takes no more.

        Raises:
            OSError: it has gone.
        """
        while self._out:
            out = b"".join(self._out)
            self._out.clear()
            await self._channel.write(out)

    def expire(self, exc: Exception) -> None:
        """End the wait of `fill()`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc)


_websocket.carrier = carrier
_websocket._check = check_utf8  # type: ignore[assignment]
