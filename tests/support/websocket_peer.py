"""A WebSocket client that sends any bytes it is told to, for CPython and MicroPython.

    peer = await open_websocket(server, "/echo")
    await peer.frame(0x81, b"hello")
    assert await peer.read() == (0x81, b"hello")
"""

import asyncio

from support.loopback import Connection, Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 section 1.3."""

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}

_MASK = b"\x12\x34\x56\x78"


class Peer:
    """The client's end of an open WebSocket.

    Attributes:
        head: the answer to the handshake.
    """

    def __init__(self, connection: Connection, head: str) -> None:
        self.connection = connection
        self.head = head

    async def frame(self, first: int, payload: bytes = b"") -> None:
        """Send a masked frame with that first byte."""
        await self.connection.send(masked(first, payload))

    async def read(self) -> "tuple[int, bytes] | None":
        """Return first byte and payload of the server's next frame; None at the end of the connection."""
        head = await self._exactly(2)
        if len(head) < 2:
            return None
        assert head[1] < 128, "a server must not mask"
        n = head[1]
        if n > 125:
            n = int.from_bytes(await self._exactly(2 if n == 126 else 8), "big")
        return head[0], await self._exactly(n)

    async def close_code(self) -> "int | None":
        """Read on to the Close frame; its code, 1005 when it has none, None when the connection ends without."""
        while True:
            got = await self.read()
            if got is None:
                return None
            if got[0] == 0x88:
                return got[1][0] << 8 | got[1][1] if got[1] else 1005

    async def ended(self) -> bool:
        """Wait for the end of the connection; whether it came, and nothing before it."""
        try:
            return not await self.connection.read(1)
        except OSError:
            return True

    async def drop(self) -> None:
        """Go without a word of WebSocket."""
        await self.connection.close()

    async def _exactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            try:
                more = await self.connection.read(n - len(data))
            except OSError:
                break
            if not more:
                break
            data += more
        return data


def masked(first: int, payload: bytes = b"") -> bytes:
    """Return a client's frame."""
    n = len(payload)
    if n < 126:
        head = bytes((first, 128 | n))
    elif n < 65536:
        head = bytes((first, 254)) + n.to_bytes(2, "big")
    else:
        head = bytes((first, 255)) + n.to_bytes(8, "big")
    data = bytearray(payload)
    for i in range(n):
        data[i] ^= _MASK[i & 3]
    return head + _MASK + bytes(data)


async def handshake(server: Running, path: str, changes: "dict[str, str | None] | None" = None, line: str = "") -> "Peer":
    """Send a handshake, and return what was opened, whatever the answer was.

    Arguments:
        server: the server.
        path: of the route.
        changes: headers instead of the usual ones, or None for those to leave out.
        line: the request line, when it is to be another.
    """
    headers: "dict[str, Any]" = {}
    for name in HANDSHAKE:
        headers[name] = HANDSHAKE[name]
    for name in changes or {}:
        headers[name] = (changes or {})[name]
    lines = [line or "GET %s HTTP/1.1" % path, "Host: example.com"]
    for name in headers:
        if headers[name] is not None:
            lines.append("%s: %s" % (name, headers[name]))
    connection = await server.connect()
    await connection.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    return Peer(connection, (await connection.read_until(b"\r\n\r\n")).decode())


async def open_websocket(server: Running, path: str, changes: "dict[str, str | None] | None" = None) -> Peer:
    """Open a WebSocket."""
    peer = await handshake(server, path, changes)
    assert peer.head.startswith("HTTP/1.1 101 "), peer.head
    return peer


async def until(condition: "Any", seconds: float = 5) -> bool:
    """Wait until the function returns something true; whether it did within that time."""
    for _ in range(int(seconds * 50)):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return bool(condition())
