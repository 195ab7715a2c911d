"""A connection of the native server in the hands of a handler, after `request.upgrade()`."""

from .http import HTTPException, const
from .wire import switch

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .http import Request
    from .server import Connection


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


async def upgrade(request: "Request", headers: "dict[str, str]") -> "Any":
    """Do what `Request.upgrade()` says."""
    from .headers import Headers

    connection = request.connection
    headers = Headers(headers)  # which refuses what would end a line
    if not hasattr(connection, "fill"):  # not the native server's
        if not hasattr(connection, "upgrade"):
            raise HTTPException(501, "This server cannot upgrade")
        return await connection.upgrade(request, headers)
    if switch(connection, headers):
        await connection.flush()
    return Channel(connection)
