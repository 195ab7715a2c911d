"""A client that speaks bytes: it sends exactly what a test says and reads answers without forgiving anything.

For CPython only. An answer that breaks RFC 9112 or 9110 in its framing, its field syntax or its length is an
AssertionError that shows the bytes, so every test of the battery also checks that answers are well formed.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NoReturn

_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)\Z")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\Z")
_DIGITS = re.compile(r"[0-9]+\Z")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")

# Fields that may stand once only in an answer.
_SINGLE = ("content-length", "transfer-encoding", "content-type", "date", "location", "retry-after", "connection")


@dataclass
class Answer:
    """One answer of the server, its body already freed from chunked framing."""

    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    head: bytes
    body: bytes = b""
    chunks: int = 0
    """Number of chunks with data; 0 when the body was not chunked."""
    complete: bool = True
    """False: the connection ended within the body."""
    until_close: bool = False
    """True: the body ended with the connection (neither a length nor chunks)."""
    interim: list[int] = field(default_factory=list)
    """Statuses of 1xx answers that came before."""

    def values(self, name: str) -> list[str]:
        """Return all values of a field, in order."""
        return [value for key, value in self.fields if key == name.lower()]

    def value(self, name: str) -> str | None:
        """Return the first value of a field, or None."""
        found = self.values(name)
        return found[0] if found else None

    @property
    def closes(self) -> bool:
        """Whether the answer announces that the connection ends after it."""
        tokens = [token.strip().lower() for token in ",".join(self.values("connection")).split(",")]
        return "close" in tokens or (self.version == "1.0" and "keep-alive" not in tokens)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def __str__(self) -> str:
        return f"HTTP/{self.version} {self.status} {self.reason}, {len(self.body)} bytes: {self.body[:80]!r}"


class Ended(AssertionError):
    """The connection ended where an answer was expected."""


class Connection:
    """One connection to the server under test. Use it in a `with` statement.

    Arguments:
        port: the port on the loopback interface.
        timeout: seconds that any single wait may take before the test fails; generous, for a machine that is busy.
        tls: a client context, for a connection over TLS.
        receive_buffer: bytes of SO_RCVBUF, for clients that do not read; 0 leaves it to the system.
    """

    def __init__(
        self, port: int, timeout: float = 10.0, tls: ssl.SSLContext | None = None, receive_buffer: int = 0
    ) -> None:
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if receive_buffer:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            raw.settimeout(timeout)
            raw.connect(("127.0.0.1", port))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock: socket.socket = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        except BaseException:
            raw.close()
            raise
        self.received = b""  # read from the socket and not yet taken as part of an answer
        self.log = b""  # all that was ever received, for messages
        self.ended = False  # the server's side of the connection has ended
        self.reset = False  # it ended by a reset, or a write failed: the answer may have been lost

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Sending

    def send(self, data: bytes, piece: int = 0, pause: float = 0.0) -> bool:
        """Send bytes, whole or in pieces of `piece` bytes with `pause` seconds between them.

        Returns False when the server no longer takes them, which is its right after it has refused a request.
        """
        try:
            if not piece:
                self.sock.sendall(data)
                return True
            for start in range(0, len(data), piece):
                self.sock.sendall(data[start : start + piece])
                if pause:
                    time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            return False
        return True

    def end(self) -> None:
        """Say that nothing more is sent (FIN), and go on reading."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()

    def abort(self) -> None:
        """Vanish with a reset instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # Receiving

    def _fail(self, what: str) -> NoReturn:
        raise AssertionError(f"{what}; received so far: {self.log[-600:]!r}")

    def _more(self) -> bool:
        """Read once. Returns False at the end of the connection."""
        if self.ended:
            return False
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            self._fail(f"the server sent nothing for {self.sock.gettimeout()} s")
        except (ConnectionResetError, BrokenPipeError):
            self.reset = True
            data = b""
        except ssl.SSLError:
            self.reset = True
            data = b""
        if not data:
            self.ended = True
            return False
        self.received += data
        self.log = (self.log + data)[-100_000:]
        return True

    def _line(self) -> bytes:
        """Take one line that ends in CRLF from what was received; bare CR and LF are errors."""
        while b"\n" not in self.received:
            if len(self.received) > 70_000:
                self._fail("an endless line")
            if not self._more():
                raise Ended(f"the connection ended within a line; received: {self.log[-600:]!r}, reset: {self.reset}")
        end = self.received.index(b"\n")
        line, self.received = self.received[:end], self.received[end + 1 :]
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            self._fail(f"a line that does not end in CRLF: {line!r}")
        return line[:-1]

    def _take(self, count: int) -> bytes:
        """Take up to `count` bytes; fewer only when the connection ends."""
        parts = []
        have = 0
        while have < count:
            if not self.received and not self._more():
                break
            part = self.received[: count - have]
            self.received = self.received[len(part) :]
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def head(self) -> Answer:
        """Read one head, 1xx included."""
        line = self._line()
        match = _STATUS_LINE.match(line)
        if not match:
            self._fail(f"no status line: {line!r}")
        raw = line + b"\r\n"
        fields = []
        while True:
            line = self._line()
            raw += line + b"\r\n"
            if not line:
                break
            found = _FIELD.match(line)
            if not found:
                self._fail(f"no header field: {line!r}")
            fields.append((found[1].decode().lower(), found[2].rstrip(b" \t").decode("latin-1")))
        answer = Answer(match[1].decode(), int(match[2]), match[3].decode("latin-1"), fields, raw)
        for name in _SINGLE:
            if len(answer.values(name)) > 1:
                self._fail(f"{name} stands twice in the answer: {raw!r}")
        length = answer.value("content-length")
        if length is not None and not _DIGITS.match(length):
            self._fail(f"bad Content-Length: {length!r}")
        if length is not None and answer.value("transfer-encoding") is not None:
            self._fail("Content-Length and Transfer-Encoding in one answer (RFC 9112 6.2)")
        if answer.status == 204 and length is not None:
            self._fail("204 with Content-Length (RFC 9110 8.6)")
        return answer

    def answer(self, method: str = "GET") -> Answer:
        """Read one final answer to a request of that method, and the 1xx answers before it.

        Raises:
            Ended: the connection ended before the answer's head was complete.
            AssertionError: the answer is malformed, or did not come in time.
        """
        interim: list[int] = []
        while True:
            answer = self.head()
            if answer.status >= 200:
                break
            if answer.version == "1.0" or answer.status != 100:
                self._fail(f"an interim answer nobody asked for: {answer}")
            interim.append(answer.status)
        answer.interim = interim
        if method == "HEAD" or answer.status in (204, 304):
            if answer.status in (204, 304) and answer.value("transfer-encoding") is not None:
                self._fail("Transfer-Encoding on an answer without content (RFC 9112 6.1)")
            return answer
        coding = answer.value("transfer-encoding")
        length = answer.value("content-length")
        if coding is not None:
            if coding.lower() != "chunked" or answer.version == "1.0":
                self._fail(f"Transfer-Encoding {coding!r} in an HTTP/{answer.version} answer")
            self._chunked(answer)
        elif length is not None:
            answer.body = self._take(int(length))
            answer.complete = len(answer.body) == int(length)
        else:
            if not answer.closes:
                self._fail(f"the answer delimits nothing and announces no close (RFC 9112 6.3): {answer.head!r}")
            answer.until_close = True
            while self._more():
                pass
            answer.body, self.received = self.received, b""
            answer.complete = not self.reset
        return answer

    def _chunked(self, answer: Answer) -> None:
        body = []
        try:
            while True:
                line = self._line()
                if not _CHUNK_SIZE.match(line.split(b";")[0]):
                    self._fail(f"bad chunk size {line!r}")
                size = int(line.split(b";")[0], 16)
                if not size:
                    while self._line():  # trailers
                        pass
                    return
                data = self._take(size)
                body.append(data)
                answer.chunks += 1
                if len(data) < size:
                    answer.complete = False
                    return
                if self._line():
                    self._fail("no CRLF after a chunk")
        except Ended:
            answer.complete = False
        finally:
            answer.body = b"".join(body)

    def answers(self, methods: Sequence[str] = (), by_itself: bool = False) -> list[Answer]:
        """Read answers until the connection ends.

        Arguments:
            methods: the methods of the requests, in order; GET where it is shorter.
            by_itself: do not end this side when an answer announces the close; see drain().
        """
        found: list[Answer] = []
        while self.received or self._more():
            found.append(self.answer(methods[len(found)] if len(found) < len(methods) else "GET"))
            if found[-1].closes and not by_itself:
                self.end()
        return found

    def drain(self, by_itself: bool = False) -> bytes:
        """Read until the connection ends; return all that came and was not yet taken.

        Arguments:
            by_itself: wait for the server's end without ending this side first. A server without shutdown(2), as on
                MicroPython, closes after a refusal only when its client has done so or some time has passed.
        """
        if not by_itself:
            self.end()
        while self._more():
            pass
        rest, self.received = self.received, b""
        return rest

    def expect_end(self, by_itself: bool = False) -> None:
        """Check that the server closes the connection in an orderly way and sends nothing more; see drain()."""
        rest = self.drain(by_itself)
        assert not rest, f"bytes after the last answer: {rest[:300]!r}"
        assert not self.reset, "the server ended the connection with a reset, which may destroy its last answer"

    # Both

    def get(self, path: str, *lines: str, version: str = "1.1") -> Answer:
        """Send a GET request and read its answer; `lines` are further header lines."""
        self.send(request("GET", path, *lines, version=version))
        return self.answer()

    def post(self, path: str, body: bytes, *lines: str, version: str = "1.1") -> Answer:
        """Send a POST request with a Content-Length and read its answer."""
        self.send(request("POST", path, f"Content-Length: {len(body)}", *lines, version=version, body=body))
        return self.answer()


def request(method: str, target: str, *lines: str, version: str = "1.1", body: bytes = b"") -> bytes:
    """Return the bytes of a request with a Host field, the given header lines and the body as it is."""
    head = [f"{method} {target} HTTP/{version}", "Host: localhost", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """Return a chunked body (RFC 9112 7.1) of these chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"
