"""Request bodies: read by length or chunked, loaded or streamed; and connections handed over to a handler."""

import io

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
    """The body of a request on the native server.

    Args:
        connection: where it comes from.
        length: its length in bytes, or -1 when it is chunked (RFC 9112 7.1).
    """

    limit = 1 << 30  # of a chunked body; the length of another was checked before
    ended = False
    _broken = False
    _total = 0
    _extra = 0

    def __init__(self, connection: "Connection", length: int) -> None:
        self._connection = connection
        self.length = length
        self._chunked = length < 0
        self._left = 0 if length < 0 else length  # of the body or of the present chunk
        self._first = True

    async def _fill(self) -> None:
        connection = self._connection
        server = connection.server
        if connection.expecting:
            connection.expecting = False
            await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.expires = server.deadline(server.app.body_timeout)
        if not await connection.fill():
            raise bad()
        connection.expires = 0

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
            await self._fill()

    async def _next_chunk(self) -> None:
        if not self._first and await self._line(2):
            raise bad()
        self._first = False
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
        self._left = int(size.decode(), 16)
        self._total += self._left
        if self._total > self.limit:
            raise bad(413, "Payload too large")
        if self._left:
            return
        while True:  # trailers are checked and dropped: nothing in them may count (RFC 9110 6.5.1)
            line = await self._line(_MAX_EXTRA)
            if not line:
                self.ended = True
                return
            self._count_extra(len(line))
            if not is_token(line[: max(line.find(b":"), 0)]):
                raise bad()

    def _count_extra(self, n: int) -> None:
        self._extra += n
        if self._extra > _MAX_EXTRA:
            raise bad()

    async def _more(self, n: int) -> bytes:
        if self._broken:
            raise bad()
        self._broken = True  # unless this comes to a good end
        if self._chunked and not self._left and not self.ended:
            await self._next_chunk()
        data = b""
        if not self.ended:
            connection = self._connection
            if not connection.buffer:
                await self._fill()
            data = connection.buffer[: self._left if self._left < n else n]
            connection.buffer = connection.buffer[len(data) :]
            self._left -= len(data)
            if not self._left and not self._chunked:
                self.ended = True
        self._broken = False
        return data

    def can_skip(self) -> bool:
        """Tell whether the rest is worth reading to keep the connection."""
        # Who waits for 100 Continue may now send the body or not (RFC 9110 10.1.1): nobody can tell.
        return self.ended or not (self._broken or self._connection.expecting or self._left > port.DRAIN_LENGTH)

    async def skip(self) -> bool:
        """Read and drop the rest; False when there is too much of it or it is malformed."""
        n = 0
        try:
            while not self.ended:
                n += len(await self._more(port.FILE_BLOCK))
                if n > port.DRAIN_LENGTH:
                    return False
        except HTTPException:
            return False
        return True


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


async def load(request: "Request") -> None:
    """Read the pending body into `request.body` when it is at most `max_body_length`, else make it `request.stream`.

    Raises:
        HTTPException: 400 when it ends early or is malformed, 408 when it stalls, 413 when it is too long.
    """
    stream = request.pending
    if stream is None:
        length = len(request.body)
    elif isinstance(stream, Incoming):
        stream.limit = request.max_content_length
        length = stream.length
    else:
        length = request.declared_length()
        if not isinstance(stream, ByteStream):
            stream = HostStream(stream, length, request.max_content_length)
    if length > request.max_content_length:
        raise bad(413, "Payload too large")
    if stream is None:
        return
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
