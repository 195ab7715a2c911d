"""Bodies as streams, bodies that another host reads, connections as streams for old programs, and bytes as a stream."""

import io

from .body import BLOCK
from .http import HTTPException, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .server import Connection


class ByteStream:
    """An async byte stream; a subclass has `more(n)`, which gives at most n bytes, empty at the end."""

    _pending = b""

    async def more(self, n: int) -> bytes:
        """Read at most `n` bytes as they come; empty at the end."""
        raise NotImplementedError

    def unread(self, data: bytes) -> None:
        """Give `data` back to be read again."""
        self._pending = data + self._pending

    async def _some(self, n: int) -> bytes:
        pending = self._pending
        if pending:
            self._pending = pending[n:]
            return pending[:n]
        return await self.more(n)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes as they come, or everything when `n` is negative; empty at the end."""
        if n >= 0:
            return await self._some(n) if n else b""
        return await self.readexactly(1 << 30)

    async def readexactly(self, n: int) -> bytes:
        """Read `n` bytes; fewer only at the end."""
        parts = []
        while n > 0:
            data = await self._some(n if n < BLOCK else BLOCK)
            if not data:
                break
            parts.append(data)
            n -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Read up to and with `separator`; what there is at the end."""
        data = b""
        while True:
            start = len(data) - len(separator) + 1
            more = await self._some(256)
            data += more
            at = data.find(separator, start if start > 0 else 0)
            if at >= 0:
                self.unread(data[at + len(separator) :])
                return data[: at + len(separator)]
            if not more:
                return data

    async def readline(self) -> bytes:
        """Read a line with its line end."""
        return await self.readuntil()


class BodyStream(ByteStream):
    """A request body that is not loaded.

    Args:
        source: where it comes from, an object with `async more(n)`.
        begun: what was read of it already.
    """

    def __init__(self, source: "Any", begun: bytes) -> None:
        self.more = source.more  # type: ignore[method-assign]  # CPython calls it often
        self._pending = begun


def host_source(stream: "Any", length: int, limit: int) -> "Any":
    """Return what reads the body of a request for another host; the arguments are those of `HostStream`."""
    return stream if isinstance(stream, BodyStream) else HostStream(stream, length, limit)


class HostStream:
    """A body that another host (ASGI, WSGI, a test) reads: held to its declared length and to the limit.

    Args:
        stream: an object with `async read(n)`.
        length: the declared length, or -1.
        limit: the most bytes accepted.
    """

    def __init__(self, stream: "Any", length: int, limit: int) -> None:
        self._stream = stream
        self._length = length
        self.limit = limit
        self._total = 0

    async def more(self, n: int) -> bytes:
        """Read at most `n` bytes as they come; empty at the end."""
        if 0 <= self._length <= self._total:
            return b""
        if self._length >= 0 and n > self._length - self._total:
            n = self._length - self._total
        data: bytes = await self._stream.read(n)
        self._total += len(data)
        if not data and self._total < self._length:
            raise HTTPException(400, "Bad request")
        if self._length < 0 and self._total > self.limit:
            raise HTTPException(413, "Payload too large")
        return data


class Sock(ByteStream):
    """A connection of the native server as an asyncio stream, both halves in one: for programs that know `request.sock`.

    Args:
        connection: the connection, which the core goes on reading.
    """

    def __init__(self, connection: "Connection") -> None:
        from .channel import Channel  # of all that is here only this needs it

        self._channel = Channel(connection)
        self._connection = connection

    async def more(self, n: int) -> bytes:
        """Read at most `n` bytes as they come; empty at the end."""
        return await self._channel.read(n)

    async def awrite(self, data: bytes) -> None:
        """Send bytes; raises OSError when the peer has gone."""
        await self._channel.write(data)

    async def aclose(self) -> None:
        """Close the connection after what was written."""
        await self._channel.close()

    def get_extra_info(self, name: str, default: "Any" = None) -> "Any":
        """Return `peername` and, on CPython, what else asyncio's transport knows."""
        if name == "peername":
            from .lazy import peer

            return peer(self._connection)
        return self._connection.info(name) if hasattr(self._connection, "info") else default


class AsyncBytesIO(ByteStream):
    """Bytes in memory as an async stream, to read from and to write to.

    Args:
        data: what there is to read.
    """

    def __init__(self, data: bytes) -> None:
        self.stream = io.BytesIO(data)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes, or everything when `n` is negative."""
        return self.stream.read(n)

    more = readexactly = read

    def unread(self, data: bytes) -> None:
        """Give `data` back to be read again."""
        self.stream.seek(-len(data), 1)

    async def awrite(self, data: bytes) -> None:
        """Write at the present position."""
        self.stream.write(data)

    async def aclose(self) -> None:
        """Do nothing: memory needs no closing."""
