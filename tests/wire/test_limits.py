"""What a client may not exceed: sizes (rows L1 to L6) and times (rows L7 to L9, L12)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest
from support.wire_client import Connection, chunked, request
from support.wire_server import Server, refused, served, wait_until

HEAD = b"GET /text HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked"

LIMIT = 2048
"""Request.max_readline: the longest line, its end included (contract 3.1)."""


def max_head(server: Server) -> int:
    """Return the documented limit of the whole head."""
    return 4096 if server.on_micropython else 16384


def max_headers(server: Server) -> int:
    """Return the documented limit of the number of fields."""
    return 50 if server.on_micropython else 100


# L1: one header line


def field_line(size: int) -> bytes:
    """Return a header line of exactly `size` bytes, its end included."""
    return b"X-Long: " + b"x" * (size - 10) + b"\r\n"


def test_l1_longest_header_line(server: Server) -> None:
    answer = served(server, HEAD + field_line(LIMIT) + b"\r\n", pieces=(0, 7))[0]
    assert answer.status == 200


def test_l1_header_line_too_long(server: Server) -> None:
    """RFC 6585 5."""
    refused(server, HEAD + field_line(LIMIT + 1) + b"\r\n", [431], pieces=(0, 7))
    refused(server, HEAD + field_line(3 * LIMIT) + b"\r\n", [431], pieces=(0,))


def test_l1_header_line_without_end(server: Server) -> None:
    """It is refused when it is too long already, not when it ends."""
    with server.connect() as client:
        client.send(HEAD + b"X-Long: " + b"x" * (max_head(server) + LIMIT))
        answer = client.answer()
        assert answer.status == 431
        assert answer.closes
        client.expect_end()


# L2: the request line


def target_of(line_size: int) -> str:
    """Return a target that makes a request line of exactly that size, its end included."""
    return "/text?" + "x" * (line_size - len("GET /text? HTTP/1.1\r\n"))


def test_l2_longest_target(server: Server) -> None:
    assert served(server, request("GET", target_of(LIMIT)), pieces=(0, 7))[0].text == "hello"


@pytest.mark.parametrize("size", [LIMIT + 1, 3 * LIMIT, 60_000])
def test_l2_target_too_long(server: Server, size: int) -> None:
    """RFC 9110 15.5.15: 414, not 400."""
    refused(server, request("GET", target_of(size)), [414], pieces=(0,) if size > LIMIT + 1 else (0, 7))


def test_l2_request_line_without_end(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET /" + b"x" * (max_head(server) + LIMIT))
        answer = client.answer()
        assert answer.status == 414
        client.expect_end()


def test_l2_method_too_long(server: Server) -> None:
    """The line is too long, whichever part of it is: 414, or 400 and 501 for a method of such a length."""
    refused(server, b"G" * 5000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n", [400, 414, 501], pieces=(0,))


# L3: the whole head


def test_l3_most_headers(server: Server) -> None:
    lines = [f"X-{number}: y" for number in range(max_headers(server) - 1)]  # and Host
    assert served(server, request("GET", "/text", *lines), pieces=(0, 7))[0].status == 200


def test_l3_too_many_headers(server: Server) -> None:
    lines = [f"X-{number}: y" for number in range(max_headers(server))]
    refused(server, request("GET", "/text", *lines), [431], pieces=(0, 7))


def test_l3_too_many_equal_headers(server: Server) -> None:
    """Repeated fields count as often as they come, also when they are joined to one."""
    refused(server, request("GET", "/text", *(["X: y"] * (max_headers(server) + 1))), [431], pieces=(0,))


def test_l3_head_too_large(server: Server) -> None:
    count = max_head(server) // 1000 + 1
    refused(server, HEAD + field_line(1000) * count + b"\r\n", [431], pieces=(0, 7))


def test_l3_endless_headers(server: Server) -> None:
    """A client that sends headers for ever is stopped after a bounded number of bytes."""
    line = b"X-Again: and again\r\n"
    sent = 0
    with server.connect() as client:
        client.send(HEAD)
        while sent < 5_000_000:
            if not client.send(line * 500):
                break
            sent += 500 * len(line)
            client.sock.settimeout(0.001)
            try:
                if client._more():
                    break
            except AssertionError:
                pass
            client.sock.settimeout(10)
        client.sock.settimeout(10)
        assert sent < 5_000_000
        answer = client.answer()
        assert answer.status == 431
        assert answer.closes


# L4: a length that is too large


@pytest.mark.parametrize("path", ["/echo", "/stream", "/nowhere", "/text"])
def test_l4_length_too_large(server: Server, path: str) -> None:
    """RFC 9110 15.5.14: refused by its head alone; the contract (7.1) wants it before the route is looked up."""
    with server.connect() as client:
        client.send(request("POST", path, "Content-Length: 16385"))
        answer = client.answer()
        assert (answer.status, answer.text) == (413, "Payload too large")
        assert answer.closes
        client.expect_end()


def test_l4_largest_body(server: Server) -> None:
    body = bytes(range(256)) * 64
    answer = served(server, request("POST", "/echo", "Content-Length: 16384", body=body), ["POST"], pieces=(0,))[0]
    assert answer.body == body
    answer = served(server, request("POST", "/stream?n=1000", "Content-Length: 16384", body=body), ["POST"], pieces=(0,))[0]
    assert answer.body == body


def test_l4_larger_than_the_largest_body_but_allowed(server: Server) -> None:
    """A body above max_body_length is streamed, its bytes all there."""
    size = 200_000
    message = request("POST", "/wide/measure", f"Content-Length: {size}", body=b"x" * size)
    answer = served(server, message, ["POST"], pieces=(0,))[0]
    assert json.loads(answer.body) == {"size": size, "in-body": 0}


def test_l4_answer_to_a_large_body_is_readable(server: Server) -> None:
    """RFC 9112 9.6: the client sends its body to the end before it reads; no reset may destroy the answer."""
    with server.connect() as client:
        size = 20_000 if server.on_micropython else 200_000
        client.send(request("POST", "/echo", f"Content-Length: {size}", body=b"x" * size))
        assert client.answer().status == 413
        client.expect_end()


# L5, L6: chunks


def chunks_of(size: int, total: int) -> bytes:
    """Return a chunked body of `total` bytes in chunks of `size`."""
    whole, rest = divmod(total, size)
    return chunked(*[b"x" * size] * whole, *([b"x" * rest] if rest else []))


@pytest.mark.parametrize("size", [1000, 16384])
def test_l5_largest_chunked_body(server: Server, size: int) -> None:
    answer = served(server, request("POST", "/echo", CHUNKED, body=chunks_of(size, 16384)), ["POST"], pieces=(0,))[0]
    assert (answer.status, len(answer.body)) == (200, 16384)


@pytest.mark.parametrize("path", ["/echo", "/stream"])
@pytest.mark.parametrize(("size", "total"), [(1000, 16385), (16385, 16385), (1, 16385), (500, 100_000)])
def test_l5_chunked_body_too_large(server: Server, path: str, size: int, total: int) -> None:
    """The running total counts, not the single chunk."""
    refused(server, request("POST", path, CHUNKED, body=chunks_of(size, total)), [413], pieces=(0,))


def test_l5_large_chunk_is_refused_by_its_size(server: Server) -> None:
    with server.connect() as client:
        client.send(request("POST", "/echo", CHUNKED, body=b"ffffff\r\n"))
        answer = client.answer()
        assert answer.status == 413
        client.expect_end()


def test_l5_chunked_stream_beyond_the_body(server: Server) -> None:
    """Where more is allowed, chunks are streamed without end to their number."""
    message = request("POST", "/wide/measure", CHUNKED, body=chunks_of(1000, 200_000))
    answer = served(server, message, ["POST"], pieces=(0,))[0]
    assert json.loads(answer.body)["size"] == 200_000


def test_l6_extension_too_long(server: Server) -> None:
    """CVE-2023-39326: extensions cost the server work and the sender nothing."""
    body = b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"
    refused(server, request("POST", "/echo", CHUNKED, body=body), [400, 413, 431], pieces=(0,))


def test_l6_many_extensions(server: Server) -> None:
    """Many small ones are the same attack: a body of a few bytes may not cost megabytes."""
    body = (b"1;" + b"x" * 1500 + b"\r\nx\r\n") * 400 + b"0\r\n\r\n"
    with server.connect() as client:
        client.send(request("POST", "/echo", CHUNKED, body=body))
        client.end()
        found = client.answers(["POST"])
    assert [answer.status for answer in found] in ([400], [413], [431]), found


@pytest.mark.parametrize("trailer", [b"X-T: " + b"x" * 50_000 + b"\r\n", b"X-T: x\r\n" * 5000], ids=["long", "many"])
def test_l6_trailers_too_long(server: Server, trailer: bytes) -> None:
    refused(server, request("POST", "/echo", CHUNKED, body=chunked(b"hello", trailer=trailer)), [400, 413, 431], pieces=(0,))


# L7, L8, L9: time. The server's deadlines are one second here, and its clock ticks once a second.

LATEST = 6.0
"""Seconds after which even a busy machine must have kept a deadline of one second."""


class Scene(threading.Thread):
    """One slow client; all of them run at the same time, because each has to wait."""

    def __init__(self, server: Server, play: Callable[[Connection], None]) -> None:
        super().__init__()
        self._server = server
        self._play = play
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Play, and keep what went wrong."""
        try:
            with self._server.connect(timeout=LATEST + 4) as client:
                self._play(client)
        except BaseException as error:  # noqa: BLE001 (shown by the test)
            self.error = error


def ends_with(client: Connection, statuses: list[list[int]], earliest: float = 0.4) -> None:
    """Check that the server ends the connection in time, after one of the lists of statuses."""
    begun = time.monotonic()
    found = [answer.status for answer in client.answers(by_itself=True)]
    took = time.monotonic() - begun
    assert found in statuses, found
    assert earliest < took < LATEST, f"after {took:.1f} s"
    assert not client.reset


def silent(client: Connection) -> None:
    """L7: not one byte."""
    ends_with(client, [[], [408]])


def half_line(client: Connection) -> None:
    """L7: part of a request line."""
    client.send(b"GET /te")
    ends_with(client, [[408]])


def half_head(client: Connection) -> None:
    """L7: a head without its end."""
    client.send(HEAD)
    ends_with(client, [[408]])


def trickling_head(client: Connection) -> None:
    """L7: a byte now and then; the limit is for the whole head, not for one read."""
    begun = time.monotonic()
    client.sock.settimeout(0.15)
    client.send(HEAD)
    while time.monotonic() - begun < LATEST:
        if not client.send(b"X"):
            break
        try:
            client._more()
            break
        except AssertionError:
            continue
    client.sock.settimeout(LATEST)
    ends_with(client, [[408]], earliest=-1)
    assert time.monotonic() - begun < LATEST


def pausing_head(client: Connection) -> None:
    """L7: a short pause is no reason to refuse anybody."""
    client.send(HEAD)
    time.sleep(0.3)
    client.send(b"\r\n")
    assert client.answer().text == "hello"


def second_head(client: Connection) -> None:
    """L7: the second request of a connection has a deadline too."""
    assert client.get("/text").text == "hello"
    client.send(HEAD)
    ends_with(client, [[408]])


def stalled_body(client: Connection) -> None:
    """L8: a body that stops coming."""
    client.send(request("POST", "/echo", "Content-Length: 10", body=b"hello"))
    ends_with(client, [[408]])


def stalled_body_at_once(client: Connection) -> None:
    """L8: a body that never comes."""
    client.send(request("POST", "/echo", "Content-Length: 10"))
    ends_with(client, [[408]])


def stalled_chunk(client: Connection) -> None:
    """L8: the same in chunks."""
    client.send(request("POST", "/echo", CHUNKED, body=b"5\r\nhel"))
    ends_with(client, [[408]])


def stalled_stream(client: Connection) -> None:
    """L8: the handler reads and waits; it is told."""
    client.send(request("POST", "/stream?n=3", "Content-Length: 10", body=b"hello"))
    ends_with(client, [[408]])


def stalled_wide_stream(client: Connection) -> None:
    """L8: the same for a body that is not loaded."""
    client.send(request("POST", "/wide/measure", "Content-Length: 100000", body=b"hello"))
    ends_with(client, [[408]])


def stalled_unread(client: Connection) -> None:
    """L8: nobody reads the body, so it need not be waited for; in the end the connection is closed."""
    client.send(request("POST", "/wide/unread", "Content-Length: 100000", body=b"hello"))
    begun = time.monotonic()
    found = [answer.status for answer in client.answers(["POST"], by_itself=True)]
    assert found in ([200], [408]), found
    assert time.monotonic() - begun < LATEST


def slow_body(client: Connection) -> None:
    """L8: slow and steady is allowed: each byte comes in time."""
    client.send(request("POST", "/echo", "Content-Length: 8"))
    assert client.send(b"slowbody", 1, 0.3)
    assert client.answer().body == b"slowbody"


def trickling_body(client: Connection) -> None:
    """L8: a byte now and then, each in time, does not hold a place for ever."""
    client.send(request("POST", "/echo", "Content-Length: 1000"))
    begun = time.monotonic()
    try:
        client.send(b"x" * 40, 1, 0.4)
    except OSError:
        pass  # it was closed while we went on
    ends_with(client, [[408]], earliest=-1)
    assert time.monotonic() - begun < 12, "all 40 bytes were waited for"


def expected_body(client: Connection) -> None:
    """L8: a client that asks for 100, gets it and goes to sleep."""
    client.send(request("POST", "/echo", "Content-Length: 10", "Expect: 100-continue"))
    assert client.head().status == 100
    ends_with(client, [[408]])


def idle(client: Connection) -> None:
    """L9: between two requests; closed without a word, because a late request must not meet an answer to nothing."""
    assert client.get("/text").text == "hello"
    ends_with(client, [[]])


def idle_then_used(client: Connection) -> None:
    """L9: used in time, a connection stays."""
    for _ in range(4):
        assert client.get("/text").text == "hello"
        time.sleep(0.3)


def idle_after_post(client: Connection) -> None:
    """L9: and after a body."""
    assert client.post("/echo", b"hello").body == b"hello"
    ends_with(client, [[]])


def slow_handler(client: Connection) -> None:
    """A handler may take longer than any deadline that is meant for clients."""
    assert client.get("/slow?s=2.7").text == "slow"


def steady_stream(client: Connection) -> None:
    """A stream that runs longer than any deadline."""
    client.send(request("GET", "/ticks?id=steady"))
    end = time.monotonic() + 2.8
    while time.monotonic() < end:
        assert client._more()
    assert len(client.received) > 100


def never_reads(client: Connection) -> None:
    """L12: a client that asks for everything and takes nothing; the test looks at the server."""
    client.send(request("GET", "/endless?id=stalled"))
    time.sleep(4)


def slow_reader(client: Connection) -> None:
    """A slow reader is not a stalled one: the answer comes whole."""
    client.send(request("GET", "/generator?n=300&size=1000"))
    for _ in range(6):
        time.sleep(0.5)
        client.received += client.sock.recv(20_000)
    answer = client.answer()
    assert len(answer.body) == 300_000


SCENES = (
    silent, half_line, half_head, trickling_head, pausing_head, second_head, stalled_body, stalled_body_at_once, stalled_chunk,
    stalled_stream, stalled_wide_stream, stalled_unread, slow_body, trickling_body, expected_body, idle, idle_then_used, idle_after_post,
    slow_handler, steady_stream, never_reads, slow_reader,
)  # fmt: skip


def test_l7_l8_l9_l12_deadlines(deadline_server: Server) -> None:
    """All slow clients at once: each is dealt with in time, and nobody else has to wait."""
    scenes = {play.__name__: Scene(deadline_server, play) for play in SCENES}
    slowest = 0.0
    while any(scene.is_alive() for scene in scenes.values()):
        begun = time.monotonic()
        assert deadline_server.get("/text").text == "hello"
        slowest = max(slowest, time.monotonic() - begun)
        time.sleep(0.2)
    for scene in scenes.values():
        scene.join()
    errors = [f"{name}: {scene.error!r}" for name, scene in scenes.items() if scene.error]
    assert not errors, "\n".join(errors)
    assert slowest < 1.0, f"another client waited {slowest:.1f} s"
    assert wait_until(lambda: deadline_server.counted("closed-stalled") == 1, 3), "the stream of a stalled client goes on"


# L12: back-pressure


def test_l12_endless_answer_to_a_client_that_does_not_read(server: Server) -> None:
    """What is made for it stays bounded: the sockets' buffers and not more."""
    with server.connect(receive_buffer=4096) as client:
        client.send(request("GET", "/endless?id=unread"))
        before = -1
        for _ in range(50):
            time.sleep(0.2)
            given = server.counted("given-unread")
            if given == before:
                break
            before = given
        assert given == before, f"still growing after {given} bytes"
        assert 0 < given < 12_000_000
    assert wait_until(lambda: server.counted("closed-unread") == 1, 4)


def test_l12_endless_generator(server: Server) -> None:
    """The same for a plain generator, which must not keep others from being served either."""
    with server.connect(receive_buffer=4096) as client:
        client.send(request("GET", "/endless-generator?id=unread-generator"))
        begun = time.monotonic()
        for _ in range(5):
            assert server.get("/text").text == "hello"
        assert time.monotonic() - begun < 5
    assert wait_until(lambda: server.counted("closed-unread-generator") == 1, 4)


def test_l12_fast_reader_of_an_endless_stream_starves_nobody(server: Server) -> None:
    stop = threading.Event()

    def read(client: Connection) -> None:
        client.send(request("GET", "/endless?id=fast"))
        while not stop.is_set() and client._more():
            client.received = b""
            client.log = b""

    reader = Scene(server, read)
    try:
        slowest = 0.0
        for _ in range(10):
            begun = time.monotonic()
            assert server.get("/text").text == "hello"
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 2
    finally:
        stop.set()
        reader.join()
    assert reader.error is None


def test_l12_body_that_nobody_reads(server: Server) -> None:
    """A server that does not want a body yet does not take it into memory."""
    with server.connect() as client:
        size = 100_000_000
        client.send(request("POST", "/wide/unread-slow", f"Content-Length: {size}"))
        client.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < size:
                sent += client.sock.send(b"x" * 65536)
        except (TimeoutError, ConnectionError):
            pass
        assert sent < 20_000_000, "the server took it all"
