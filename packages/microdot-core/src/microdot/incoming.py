"""Bodies of the native server that are chunked or streamed."""

from .body import BLOCK, wait
from .http import HTTPException, const, is_token, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
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


class Incoming(ByteStream):
    """The body of a request on the native server; `connection.left` says how much of it is still to come.

    Args:
        connection: where it comes from; its `left` is -1 for a chunked body (RFC 9112 7.1).
        limit: the most bytes of a chunked body; the length of another was checked before.
    """

    _total = 0
    _turns = 0  # chunks that were read
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
                self._turns += 1
                if self._turns % 64 == 0:  # they may be as small as a byte: others get their turn
                    await port.sleep_ms(0)
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
        from .streams import HostStream

        stream = HostStream(stream, length, request.max_content_length)
    most = request.max_body_length
    if length <= most:
        body = bytearray()  # one buffer: chunks may be as small as a byte
        while len(body) <= most:
            data = await stream.read(BLOCK)
            if not data:
                request.pending = None
                request.body = bytes(body)
                return
            body.extend(data)
        stream.unread(bytes(body))
    request.pending = None
    request.stream = stream


port.seldom.append(__name__)
