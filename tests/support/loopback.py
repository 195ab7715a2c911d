"""The native server on the loopback interface, in the event loop of the test; for CPython and MicroPython.

    async with Running(app) as server:
        status, headers, body = await server.get("/")
"""

import asyncio
import os
import socket

from microdot.microdot import NoCaseDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from microdot import Microdot

_PATIENCE = 10  # seconds for anything that a test waits for


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    port = 20000 + int.from_bytes(os.urandom(2), "big") % 20000
    while True:
        probe = socket.socket()
        try:
            probe.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            return port
        except OSError:
            port += 1
        finally:
            probe.close()


class Running:
    """An application that serves a port of 127.0.0.1 while the block runs.

    Arguments:
        app: the application.
        settings: keyword arguments of start_server().
    """

    def __init__(self, app: "Microdot", **settings: "Any") -> None:
        self.app = app
        self.settings = settings
        self.port = 0
        self.task: "Any" = None

    async def __aenter__(self) -> "Running":
        self.port = free_port()
        self.task = asyncio.create_task(self.app.start_server(host="127.0.0.1", port=self.port, **self.settings))
        for _ in range(100):
            if self.task.done():
                await self.task  # raises what kept it from starting
                break
            if await self._listens():
                return self
            await asyncio.sleep(0.02)
        raise AssertionError("the server does not listen")

    async def __aexit__(self, *exc: object) -> None:
        if not self.task.done():
            self.app.shutdown()
        await asyncio.wait_for(self.task, _PATIENCE)

    async def _listens(self) -> bool:
        """Tell whether the server accepts connections."""
        try:
            connection = await self.connect()
        except OSError:
            return False
        try:
            # A board learns only by reading that nobody was there; a server that is there waits for a request.
            await asyncio.wait_for(connection.reader.read(1), 0.1)
            return False
        except asyncio.TimeoutError:
            return True
        except OSError:
            return False
        finally:
            await connection.close()
            await asyncio.sleep(0.02)  # for the server to see that it has gone

    async def connect(self) -> "Connection":
        """Open a connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Connection(reader, writer)

    async def send(self, data: bytes) -> bytes:
        """Send bytes on a new connection, and return all that comes until the server closes it."""
        connection = await self.connect()
        try:
            await connection.send(data)
            return await connection.read_all()
        finally:
            await connection.close()

    async def get(
        self, path: str, headers: "dict[str, str] | None" = None, method: str = "GET", body: bytes = b""
    ) -> "tuple[int, NoCaseDict, bytes]":
        """Send a request on a connection of its own; return status, headers and body of the response."""
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: example.com", "Connection: close"]
        for name in headers or {}:
            lines.append("%s: %s" % (name, (headers or {})[name]))
        if body:
            lines.append("Content-Length: %d" % len(body))
        return parse(await self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body))


class Connection:
    """The client's end of a connection; every wait is bounded."""

    def __init__(self, reader: "Any", writer: "Any") -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), _PATIENCE)

    async def read(self, n: int) -> bytes:
        """Read at most n bytes; b'' at the end."""
        data: bytes = await asyncio.wait_for(self.reader.read(n), _PATIENCE)
        return data

    async def read_until(self, mark: bytes) -> bytes:
        """Read up to and with the mark, byte by byte, so that what follows stays; what there is at the end."""
        data = b""
        while data[-len(mark) :] != mark:
            byte = await self.read(1)
            if not byte:
                break
            data += byte
        return data

    async def read_all(self) -> bytes:
        """Read until the server closes; a reset is an end too."""
        parts = []  # joined once: on a board server and client share a heap
        while True:
            try:
                part = await self.read(4096)
            except OSError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        """Close the connection."""
        try:
            self.writer.close()
            await self.writer.wait_closed()
        except OSError:
            pass


def parse(data: bytes) -> "tuple[int, NoCaseDict, bytes]":
    """Return status, headers and body of a response, decoded when it is chunked."""
    head, separator, body = data.partition(b"\r\n\r\n")
    assert separator, "no response: %r" % data
    lines = head.decode().split("\r\n")
    headers = NoCaseDict()
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        headers[name] = headers[name] + "|" + value if name in headers else value
    if headers.get("Transfer-Encoding") == "chunked":
        chunks, body = body, b""
        while True:
            size, _, chunks = chunks.partition(b"\r\n")
            length = int(size.decode(), 16) if size else 0
            if not length:
                break  # the end, or a body that was broken off
            body += chunks[:length]
            chunks = chunks[length + 2 :]
    return int(lines[0].split(" ")[1]), headers, body
