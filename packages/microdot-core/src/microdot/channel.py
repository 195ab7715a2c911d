"""A connection of the native server in the hands of a handler, after `request.upgrade()`."""

from .http import HTTPException, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .http import Request
    from .server import Connection


def field(request: "Request", name: str) -> str:
    """Return the value of a header field, `""` when there is none; repeated ones are joined (RFC 9110 5.3).

    On the native server it is found in the header lines, so that a handshake makes no dictionary of them.

    Args:
        request: the request.
        name: the name, in any case.
    """
    raw = request._headers
    if not isinstance(raw, bytes) or "headers" in request.__dict__:
        value: str = request.headers.get(name, "")
        return value
    found = b""
    end = 0
    key = b"\n%s:" % name.lower().encode()
    lower = raw.lower()
    while True:
        start = lower.find(key, end)
        if start < 0:
            return found.decode()
        end = raw.find(b"\n", start + 1)
        if end < 0:
            end = len(raw)
        found = (found and found + b", ") + raw[start + len(key) : end].strip()


class Channel:
    """Bytes to and from the peer.

    Args:
        connection: the connection.
    """

    #: It carries bytes; a channel whose host frames messages itself says True.
    messages = False

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    async def read(self, n: int) -> bytes:
        """Read at most `n` bytes as they come; empty when the peer sends no more."""
        connection = self._connection
        if not connection.buffer and not await connection.fill():
            return b""
        data = connection.buffer[:n]
        connection.buffer = connection.buffer[n:]
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait while the peer takes no more.

        Raises:
            OSError: the peer has gone or takes nothing.
        """
        if self._connection.write(data):
            await self._connection.flush()

    async def close(self) -> None:
        """Close the connection after what was written."""
        self._connection.close()


def watch(connection: "Any", f: "Callable[[], None] | None") -> None:
    """Have the sweeper call a function four times a second while a native connection lasts; None: no more."""
    connection.watch = f


def look(connection: "Any") -> None:
    """While nobody reads a native connection: move what has arrived into its buffer, and notice that the peer has gone."""
    port.look(connection)


async def upgrade(request: "Any", headers: "dict[str, str]") -> "Any":
    """Do what `Request.upgrade()` says."""
    connection = request.connection
    if not hasattr(connection, "left"):  # not the native server's
        if not hasattr(connection, "upgrade"):
            raise HTTPException(501, "This server cannot upgrade")
        return await connection.upgrade(request, headers)
    text = "HTTP/1.1 101 Switching Protocols\r\n"
    for name in headers:
        text += "%s: %s\r\n" % (name, headers[name])
    connection.upgraded = True
    channel = Channel(connection)
    await channel.write((text + "\r\n").encode())
    return channel
