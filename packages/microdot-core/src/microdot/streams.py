"""Bodies that are streamed, chunked or read by another host, connections handed over, and bytes as a stream."""

import io

from .body import wait
from .http import HTTPException, const, is_token, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .http import Request
    from .server import Connection

_MAX_CHUNK_LINE = const(256)  # bytes of a chunk's size and extensions
_MAX_EXTRA = const(4096)  # bytes of all chunk extensions and trailers of one body (CVE-2023-39326)


def bad(status_code: int = 400, reason: str = "Bad request") -> HTTPException:
    """Make the exception for a body that cannot be read."""
    return HTTPException(status_code, reason)


class ByteStream:
    """An async byte stream; a subclass has `_more(n)`, which gives at most n bytes, empty at the end."""

    _pending = b""

    async def _more(self, n: int) -> bytes:
        raise NotImplementedError

    def unread(self, data: bytes) -> None:
        """Give `data` back to be read again."""
        self._pending = data + self._pending

    async def _some(self, n: int) -> bytes:
        pending = self._pending
        if pending:
            self._pending = pending[n:]
            return pending[:n]
        return await self._more(n)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes as they come, or everything when `n` is negative; empty at the end."""
        if n >= 0:
            return await self._some(n) if n else b""
        return await self.readexactly(1 << 30)

    async def readexactly(self, n: int) -> bytes:
        """Read `n` bytes; fewer only at the end."""
        parts = []
        while n > 0:
            data = await self._some(n if n < port.FILE_BLOCK else port.FILE_BLOCK)
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


class Incoming(ByteStream):
    """The body of a request on the native server; `connection.left` says how much of it is still to come.

    Args:
        connection: where it comes from; its `left` is -1 for a chunked body (RFC 9112 7.1).
        limit: the most bytes of a chunked body; the length of another was checked before.
    """

    _total = 0
    _extra = 0
    _chunk: "int | None" = None  # what is left of the present chunk

    def __init__(self, connection: "Connection", limit: int) -> None:
        self._connection = connection
        self._limit = limit

    async def _line(self, most: int) -> bytes:
        connection = self._connection
        while True:
            end = connection.buffer.find(b"\n")
            if end >= most or end < 0 and len(connection.buffer) > most:
                raise bad()
            if end >= 0:
                line = connection.buffer[:end]
                connection.buffer = connection.buffer[end + 1 :]
                # 7.1: here a line ends in CRLF, and CR or other controls stand nowhere else.
                if line[-1:] != b"\r" or not port.is_text(line[:-1]):
                    raise bad()
                return line[:-1]
            await wait(connection)

    async def _next_chunk(self) -> int:
        if self._chunk is not None and await self._line(2):
            raise bad()
        size = await self._line(_MAX_CHUNK_LINE)
        semicolon = size.find(b";")
        if semicolon >= 0:
            self._count_extra(len(size) - semicolon)
            size = size[:semicolon].rstrip(b" \t")
        if not size or len(size) > 8:
            raise bad()
        for c in size:
            if c not in b"0123456789abcdefABCDEF":
                raise bad()
        chunk = int(size.decode(), 16)
        self._total += chunk
        if self._total > self._limit:
            raise bad(413, "Payload too large")
        while not chunk:  # trailers are checked and dropped: nothing in them may count (RFC 9110 6.5.1)
            line = await self._line(_MAX_EXTRA)
            if not line:
                break
            self._count_extra(len(line))
            if not is_token(line[: max(line.find(b":"), 0)]):
                raise bad()
        return chunk

    def _count_extra(self, n: int) -> None:
        self._extra += n
        if self._extra > _MAX_EXTRA:
            raise bad()

    async def _more(self, n: int) -> bytes:
        connection = self._connection
        left = connection.left
        if not left:
            return b""
        if self._chunk == -1:
            raise bad()  # it failed before
        if left < 0:
            if not self._chunk:
                self._chunk = chunk = await self._next_chunk_or_fail()
                if not chunk:
                    connection.left = 0
                    return b""
            left = self._chunk
        if not connection.buffer:
            await wait(connection)
        data = connection.buffer[: left if left < n else n]
        connection.buffer = connection.buffer[len(data) :]
        if self._chunk is None:
            connection.left -= len(data)
        else:
            self._chunk -= len(data)
        return data

    async def _next_chunk_or_fail(self) -> int:
        try:
            return await self._next_chunk()
        except HTTPException:
            self._chunk = -1
            raise


class HostStream(ByteStream):
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

    async def _more(self, n: int) -> bytes:
        if 0 <= self._length <= self._total:
            return b""
        if self._length >= 0 and n > self._length - self._total:
            n = self._length - self._total
        data: bytes = await self._stream.read(n)
        self._total += len(data)
        if not data and self._total < self._length:
            raise bad()
        if self._length < 0 and self._total > self.limit:
            raise bad(413, "Payload too large")
        return data


async def load_other(request: "Request") -> None:
    """Do what `body.load()` says for a body that is long, chunked, or another host's."""
    stream = request.pending
    if stream is None:
        length = len(request.body)
    elif hasattr(stream, "left"):
        length = stream.left
    else:
        length = request.declared_length()
    if length > request.max_content_length:
        if stream is not None and hasattr(stream, "left"):
            stream.left = -1  # too much to be skipped: the connection ends
        raise bad(413, "Payload too large")
    if stream is None:
        return
    if hasattr(stream, "left"):
        stream = Incoming(stream, request.max_content_length)
    elif not isinstance(stream, ByteStream):
        stream = HostStream(stream, length, request.max_content_length)
    most = request.max_body_length
    if length <= most:
        parts = []
        size = 0
        while size <= most:
            data = await stream.read(port.FILE_BLOCK)
            if not data:
                request.pending = None
                request.body = parts[0] if len(parts) == 1 else b"".join(parts)
                return
            parts.append(data)
            size += len(data)
        stream.unread(b"".join(parts))
    request.pending = None
    request.stream = stream


async def upgrade(connection: "Connection", headers: "dict[str, str]") -> "Channel":
    """Switch protocols on a connection of the native server."""
    text = "HTTP/1.1 101 Switching Protocols\r\n"
    for name in headers:
        text += "%s: %s\r\n" % (name, headers[name])
    connection.upgraded = True
    await connection.send((text + "\r\n").encode())
    return Channel(connection)


class Channel(ByteStream):
    """A connection in the hands of a handler: `request.upgrade()`, and both halves of `request.sock`."""

    #: It carries bytes; a channel whose host frames messages itself says True.
    messages = False

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    async def _more(self, n: int) -> bytes:
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
        await self._connection.send(data)

    awrite = write

    async def close(self) -> None:
        """Close the connection after what was written."""
        self._connection.close()

    aclose = close

    def get_extra_info(self, name: str, default: "Any" = None) -> "Any":
        """Return `peername` and, on CPython, what else asyncio's transport knows."""
        if name == "peername":
            from .lazy import peer

            return peer(self._connection)
        return self._connection.info(name) if hasattr(self._connection, "info") else default


class AsyncBytesIO:
    """Bytes in memory as an async stream, to read from and to write to.

    Args:
        data: what there is to read.
    """

    def __init__(self, data: bytes) -> None:
        self.stream = io.BytesIO(data)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes, or everything when `n` is negative."""
        return self.stream.read(n)

    async def readline(self) -> bytes:
        """Read a line with its line end."""
        return await self.readuntil()

    async def readexactly(self, n: int) -> bytes:
        """Read `n` bytes; fewer only at the end."""
        return self.stream.read(n)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Read up to and with `separator`; what there is at the end."""
        here = self.stream.tell()
        data = self.stream.read()
        at = data.find(separator)
        if at >= 0:
            data = data[: at + len(separator)]
            self.stream.seek(here + len(data))
        return data

    async def awrite(self, data: bytes) -> None:
        """Write at the present position."""
        self.stream.write(data)

    async def aclose(self) -> None:
        """Do nothing: memory needs no closing."""
