"""A stream that lives in memory: what a program's own tests give to Request.create and Response.write.

Portable: CPython and MicroPython. It has the interface that the contract names for readers and writers (section 8.4)
and nothing more, so a framework that needs more than that fails here.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FakeStream:
    """Reader and writer in one object, with the interface of contract section 8.4.

    Arguments:
        data: the bytes that the reading side delivers; b'' behaves like a peer that has closed.
        piece: the most bytes that one read() delivers; 0 means no limit.
    """

    def __init__(self, data: bytes = b"", piece: int = 0) -> None:
        self._data = data
        self._position = 0
        self._piece = piece
        self.response = b""  # all that was written, in order
        self.writes = 0  # calls of awrite()
        self.closed = False

    async def readline(self) -> bytes:
        end = self._data.find(b"\n", self._position)
        end = len(self._data) if end < 0 else end + 1
        line = self._data[self._position : end]
        self._position = end
        return line

    async def read(self, n: int = -1) -> bytes:
        if self._piece and (n < 0 or n > self._piece):
            n = self._piece
        end = len(self._data) if n < 0 else self._position + n
        data = self._data[self._position : end]
        self._position += len(data)
        return data

    async def readexactly(self, n: int) -> bytes:
        # A plain read, which may be short: the contract's mock does the same.
        data = self._data[self._position : self._position + n]
        self._position += len(data)
        return data

    async def awrite(self, data: bytes) -> None:
        assert isinstance(data, (bytes, bytearray, memoryview)), "awrite takes bytes"
        self.writes += 1
        self.response += bytes(data)

    async def aclose(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: "Any" = None) -> "Any":
        return ("127.0.0.1", 4321) if name == "peername" else default


def request_bytes(method: str, path: str, headers: "dict[str, str] | None" = None, body: "bytes | None" = None) -> bytes:
    """Return a request in the spelling of contract section 8.4: version 1.0, bare LF line ends."""
    lines = ["%s %s HTTP/1.0" % (method, path), "Host: example.com:1234"]
    for name in headers or {}:
        lines.append("%s: %s" % (name, (headers or {})[name]))
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    return ("\n".join(lines) + "\n\n").encode() + (body or b"")


def request_stream(method: str, path: str, headers: "dict[str, str] | None" = None, body: "bytes | None" = None) -> FakeStream:
    """Return a stream that delivers the request of request_bytes()."""
    return FakeStream(request_bytes(method, path, headers, body))
