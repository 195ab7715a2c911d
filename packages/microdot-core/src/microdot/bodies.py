"""Bodies that come in pieces, on their way out: files, and what handlers produce while it is sent."""

from asyncio import CancelledError

from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .server import Connection

_PATIENCE = const(6)  # ticks

# A board loads the module that has it now, while its heap is in one piece, and not with the first chunk.
_no_delay = port.no_delay


class BodyIterator:
    """An async iterator over the chunks of any body, which closes the body at its end.

    Args:
        body: what a `Response` holds.
        size: bytes per read of a file-like body.
    """

    def __init__(self, body: "Any", size: int) -> None:
        self._body = body
        self._size = size
        self._next: "Any" = self._once
        if hasattr(body, "__aiter__") and not hasattr(body, "__anext__"):
            self._body = body = body.__aiter__()
        if hasattr(body, "__anext__"):
            self._next = None
        elif hasattr(body, "read"):
            self._next = self._read
        elif hasattr(body, "__next__"):
            self._next = self._step

    def __aiter__(self) -> "BodyIterator":
        return self

    def file(self) -> "Any":
        """Return the body when it is file-like."""
        return self._body if self._next == self._read else None

    def _once(self) -> "Any":
        body = self._body
        self._body = None
        return body

    def _read(self) -> "Any":
        while True:
            try:
                return self._body.read(self._size)
            except MemoryError:  # the heap of a board may have as much, but not in one piece
                if self._size < 128:
                    raise
                self._size //= 2

    def _step(self) -> "Any":
        # A generator may be empty, and StopIteration must not leave a coroutine.
        return next(self._body, self)

    async def __anext__(self) -> "bytes | str":
        if self._body is None:
            raise StopAsyncIteration
        if self._next is None:
            try:
                chunk: "Any" = await self._body.__anext__()
            except StopAsyncIteration:
                await self.aclose()
                raise
            return chunk  # type: ignore[no-any-return]
        chunk = self._next()
        if self._next == self._step:
            if chunk is None and not port.SERVER:
                # Perhaps a coroutine whose `await` was forgotten: boards cannot tell it from a generator. It has then entered
                # this task where tasks wait; entered once more, it would break the loop.
                port.leave()  # type: ignore[attr-defined]
            if chunk is self or chunk is None:
                await self.aclose()
                raise StopAsyncIteration
        else:
            if port.iscoroutine(chunk):
                chunk = await chunk
            if not chunk:
                await self.aclose()
                raise StopAsyncIteration
        return chunk  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Close the body, once."""
        body = self._body
        self._body = None
        for name in ("aclose", "close"):
            close = getattr(body, name, None)
            if close is not None:
                result = close()
                if port.iscoroutine(result) or hasattr(result, "__await__"):
                    await result
                return


def file_length(body: "Any") -> "int | None":
    """Return how many bytes a body still has when it is a file, None when it is none or cannot tell."""
    if not hasattr(body, "read") or hasattr(body, "encoding"):  # characters, of a file or StringIO of CPython: their count is not that of the bytes
        return None
    try:
        here = body.tell()
        end = body.seek(0, 2)
        body.seek(here)
        return int(end) - int(here)
    except Exception:  # no such method, a pipe, an async file
        return None


def watch(connection: "Connection", body: "Any") -> "Callable[[], None]":
    """Return what looks after a connection while a body is produced.

    Args:
        connection: where it goes.
        body: one without an end is told to end when the server stops, by its method `server_stops()`, at least once.
    """
    patience = _PATIENCE

    def look() -> None:
        # A producer that writes finds out by itself that the peer has gone; one that only waits is cancelled.
        nonlocal patience
        port.look(connection)
        if connection.eof:
            patience -= 1
            if not patience:
                connection.task.cancel()
        elif connection.server.stopping and hasattr(body, "server_stops"):
            body.server_stops()

    return look


async def _soon(connection: "Connection", data: bytes) -> None:
    if port.write_soon(connection, data):
        await connection.flush()


async def send(
    connection: "Connection", response: "Any", chunks: BodyIterator, head: bytes, length: "int | None"
) -> None:
    """Write a head and the chunks of a body, `length` bytes or until they end.

    Raises:
        OSError: the client has gone.
        ValueError: there were fewer bytes than `length`.
        Exception: what the body raised.
    """
    chunked = b"Transfer-Encoding: chunked\r\n" in head
    # A file ends by itself, and its client may have closed its half; others may wait for ever.
    if length is None or chunks.file() is None:
        connection.watch = watch(connection, chunks._body)
    _no_delay(connection)
    left = length
    try:
        await _soon(connection, head)
        if left and hasattr(connection, "send_file"):
            file = chunks.file()
            start = _tell(file)
            try:
                if await connection.send_file(chunks, left):
                    return
            finally:
                response.bytes_sent = _tell(file) - start
        async for chunk in chunks:
            data = chunk.encode() if isinstance(chunk, str) else chunk
            if not data:
                continue  # a chunk of no length would end the body (RFC 9112 7.1)
            if left is not None:
                if len(data) > left:
                    data = data[:left]
                left -= len(data)
            size = len(data)
            if chunked:
                line = ("%x\r\n" % size).encode()
                if size > 512 and not port.SERVER:  # a board copies nothing that is large
                    port.write_soon(connection, line)
                    port.write_soon(connection, data)
                    data = b"\r\n"
                else:
                    data = b"".join((line, bytes(data), b"\r\n"))
            await _soon(connection, data)
            response.bytes_sent += size
            if left == 0:
                break
        if left:
            raise ValueError("response: the body is shorter than its Content-Length")
        connection.watch = None
        if chunked:
            await _soon(connection, b"0\r\n\r\n")
    except CancelledError:
        # The connection cancels its own task when the peer goes while somebody else is awaited.
        if not connection.eof:
            raise
        raise OSError(104, "")
    except Exception:
        if not chunked and length is None:
            getattr(connection, "abort", connection.close)()  # a clean end would make half of this body look whole
        raise
    finally:
        connection.watch = None


async def close(chunks: BodyIterator) -> None:
    """Close a body; what that raises is printed."""
    try:
        await chunks.aclose()
    except Exception as exc:
        port.print_exception(exc)


def _tell(file: "Any") -> int:
    try:
        return int(file.tell())
    except Exception:  # none, or one that cannot tell: the system will not copy it
        return 0
