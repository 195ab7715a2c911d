"""Bodies of the native server that are chunked or streamed."""

from .body import BLOCK, wait
from .http import HTTPException, const, is_token, port

port.seldom.add(__name__)  # first of all: a load that fails leaves something behind, too

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


class Incoming:
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
                if line[-1:] != b"\r" or not port.is_plain(b" " + line[:-1].replace(b"\t", b" ")):
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

    async def more(self, n: int) -> bytes:
        """Read at most `n` bytes as they come; empty at the end."""
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
        source: "Any" = Incoming(stream, request.max_content_length)
    else:
        from .streams import host_source

        source = host_source(stream, length, request.max_content_length)
    most = request.max_body_length
    body = bytearray()  # one buffer: chunks may be as small as a byte
    if length <= most:
        while len(body) <= most:
            data = await source.more(BLOCK)
            if not data:
                request.pending = None
                request.body = bytes(body)
                return
            body.extend(data)
    from .streams import BodyStream

    request.pending = None
    request.stream = BodyStream(source, bytes(body))
