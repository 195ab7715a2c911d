"""The less simple responses on the wire: streams, files, and those whose headers a program has set."""

from asyncio import CancelledError

from .http import Response, const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .http import Request
    from .server import Connection

_PATIENCE = const(6)  # ticks


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
        return next(self._body, None)

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
            if chunk is None:
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
    """Return how many bytes a file-like body still has, None when it cannot tell."""
    if hasattr(body, "encoding"):  # characters, of a file or StringIO of CPython: their count is not that of the bytes
        return None
    try:
        here = body.tell()
        end = body.seek(0, 2)
        body.seek(here)
        return int(end) - int(here)
    except Exception:  # no such method, a pipe, an async file
        return None


def bytes_sent(
    request: "Request | None", response: "Response | None", exception: "BaseException | None"
) -> "int | None":
    """Return how many bytes of a body were sent, for a `done` hook, which gives its own arguments.

    Sent means: taken by the system, or by the server below another host. 0 when nobody knows, as of a small body that the
    client did not wait for; None when the connection was handed over: what then went through it was no body.
    """
    if response is Response.already_handled or request and getattr(request.connection, "upgraded", False):
        return None
    if not response:
        return 0
    # Hosts set it where it is not simply the length.
    sent: "int | None" = response.__dict__.get("bytes_sent")
    if sent is None:
        whole = isinstance(response.body, bytes) and not response.is_head and not (request and exception)
        sent = len(response.body) if whole else 0
    return sent


async def respond(connection: "Connection", response: "Any", minor: int, keep: bool) -> bool:
    """Write any response to a connection of the native server; True when the connection may be kept.

    Raises:
        OSError: the client has gone.
        Exception: what the body raised, when some of the response may be out.
    """
    body = response.body
    if isinstance(body, str):
        body = body.encode()
    stream = hasattr(body, "read") or hasattr(body, "__next__") or hasattr(body, "__anext__") or hasattr(body, "__aiter__")
    chunks = BodyIterator(body, response.send_file_buffer_size) if stream else None
    try:
        try:
            length = _length(body, chunks)
            own = response._headers or {}
            declared = own.get("Content-Length")
            if declared is not None:
                declared = int(declared)
            if declared is not None and (chunks is not None or response.is_head):
                length = declared
            elif declared is not None and length is not None and declared < length:
                length = declared
                body = body[:declared]
            if declared is not None and length != declared:
                raise ValueError("response: the body is shorter than its Content-Length")
            if "close" in str(own.get("Connection", "")).lower():
                keep = False
            lines = connection.server.date
            if response.status_code < 200 or response.status_code in (204, 304):
                body = b""
                length = 0
            elif length is not None:
                lines += "Content-Length: %d\r\n" % length
            elif minor:
                lines += "Transfer-Encoding: chunked\r\n"
            else:
                keep = False
            if not keep:
                lines += "Connection: close\r\n"
            head = response.head(minor, lines)
        except Exception as exc:
            # Nothing is out yet, so the client gets an answer.
            port.print_exception(exc)
            failed = Response("Internal server error", 500)
            failed.is_head = response.is_head
            keep = await connection.respond(failed, minor, keep)
            response.status_code = 500  # `done` hooks are told what the client was
            response.bytes_sent = 0 if failed.is_head else len(failed.body)
            return keep
        connection.begun = True
        response.bytes_sent = 0
        if chunks is None or response.is_head or length == 0:
            if response.is_head or not length:
                body = b""
            if len(body) < 4096:
                wait = connection.write(head + body)
            else:
                port.no_delay(connection)
                connection.write(head)
                wait = connection.write(body)
            if wait:
                await connection.flush()
            response.bytes_sent = len(body)
        else:
            await _stream(connection, response, chunks, head, length)
        return keep
    finally:
        if chunks is not None:
            await _close(chunks)


def watch(connection: "Connection") -> "Callable[[], None]":
    """Return what looks after a connection while a body is produced."""
    patience = _PATIENCE

    def look() -> None:
        # A producer that writes finds out by itself that the peer has gone; one that only waits is cancelled.
        nonlocal patience
        port.look(connection)
        if connection.eof:
            patience -= 1
            if not patience:
                connection.task.cancel()

    return look


async def _soon(connection: "Connection", data: bytes) -> None:
    if port.write_soon(connection, data):
        await connection.flush()


async def _stream(
    connection: "Connection", response: "Any", chunks: BodyIterator, head: bytes, length: "int | None"
) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n" in head
    connection.watch = watch(connection)
    port.no_delay(connection)
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


async def _close(chunks: BodyIterator) -> None:
    try:
        await chunks.aclose()
    except Exception as exc:
        port.print_exception(exc)


def _tell(file: "Any") -> int:
    try:
        return int(file.tell())
    except Exception:  # none, or one that cannot tell: the system will not copy it
        return 0


def _length(body: "Any", chunks: "BodyIterator | None") -> "int | None":
    if chunks is not None:
        return file_length(body) if hasattr(body, "read") else None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return len(body)
    if not body and not isinstance(body, (int, float)):
        return 0
    raise TypeError("response: the body is a %s; give str, bytes, dict, list, a file or an iterator" % type(body))
