"""The frame codec, byte by byte: RFC 6455 5.2 to 5.6, 7.4, 8.1; every case fed in pieces of 1, 2, 7 bytes and at once.

Portable: CPython, MicroPython.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

from microdot.websocket import WebSocket, WebSocketError

MASK = b"\x37\xfa\x21\x3d"


def frame(first: int, payload: bytes = b"", length: "int | None" = None, form: int = 0, mask: "bytes | None" = MASK) -> bytes:
    """Return a client's frame.

    Arguments:
        first: the first byte: FIN, reserved bits, opcode.
        payload: what it carries.
        length: the length that it declares, when that is another.
        form: 2 or 8: bytes of an extended length, whether it is needed or not.
        mask: the masking key; None for a frame without one.
    """
    n = len(payload) if length is None else length
    if not form and n > 125:
        form = 2 if n < 65536 else 8
    bit = 0 if mask is None else 128
    if form == 2:
        head = bytes((first, bit | 126)) + n.to_bytes(2, "big")
    elif form == 8:
        head = bytes((first, bit | 127)) + n.to_bytes(8, "big")
    else:
        head = bytes((first, bit | n))
    if mask is None:
        return head + payload
    masked = bytearray(payload)
    for i in range(len(masked)):
        masked[i] ^= mask[i % 4]
    return head + mask + bytes(masked)


def close(code: int, reason: bytes = b"") -> bytes:
    """Return a Close frame."""
    return frame(0x88, bytes((code >> 8, code & 255)) + reason)


def body(n: int) -> bytes:
    """Return n bytes in which a shift shows."""
    return bytes([(i * 7 + i // 256) & 255 for i in range(n)])


class Link:
    """The server's side of a connection without a socket: bytes in, and what was written."""

    buffer = b""
    eof = False
    tick = 1
    stopping = False

    def __init__(self) -> None:
        self.server = self
        self.task = self
        self.out = b""
        self.takes = True  # the peer takes all at once
        self.cancelled = False

    def write(self, data: bytes) -> bool:
        """Take what is sent."""
        self.out += data
        return not self.takes

    def cancel(self) -> None:
        """Cancel the handler."""
        self.cancelled = True


def open_frames() -> WebSocket:
    """Return a WebSocket on a link of its own."""
    ws = WebSocket(None)  # type: ignore[arg-type]
    ws.max_message_length = 0
    ws._link = Link()
    ws._busy = True  # somebody receives
    return ws


def answers(out: bytes) -> "list[tuple[int, bytes]]":
    """Return the frames that were sent, as (opcode, payload)."""
    got: "list[tuple[int, bytes]]" = []
    while out:
        assert out[0] in (0x88, 0x8A) and out[1] < 126, out
        got.append((out[0] & 15, out[2 : 2 + out[1]]))
        out = out[2 + out[1] :]
    return got


def read(data: bytes, size: int) -> "list[object]":
    """Feed bytes in pieces.

    Returns:
        the messages as (opcode, payload), pings as (9, what was answered) and Close as (8, what was answered), in order; at
        the end the code of a failure, or "unfinished".
    """
    ws = open_frames()
    link = ws._link
    got: "list[object]" = []
    for start in range(0, len(data), size):
        link.buffer += data[start : start + size]
        while True:
            failed = None
            try:
                message = ws._read()
            except WebSocketError as exc:
                failed = exc
            for opcode, payload in answers(link.out):
                if opcode == 10:
                    got.append((9, payload))
                elif ws._over:
                    assert failed and payload[:2] == payload
                    got.append((8, payload + ws.close_reason.encode()))
                else:
                    assert failed and ws.close_code == failed.code
                    got.append(payload[0] << 8 | payload[1])
                    try:  # 7.1.7: the connection failed
                        ws._read()
                    except StopIteration:
                        pass
                    else:
                        raise AssertionError("it was read on")
            link.out = b""
            if failed:
                assert ws.closed
                return got
            if message is None:
                break
            if message is not False:
                text = isinstance(message, str)
                got.append((T if text else B, message.encode() if text else message))
    if not takes_a_new_message(ws):
        got.append("unfinished")
    return got


def takes_a_new_message(ws: WebSocket) -> bool:
    """Tell whether no message is under way; the WebSocket is of no use afterwards."""
    ws._busy = False
    if ws._read() is False:  # within a data frame
        return False
    if ws._link.buffer:  # the beginning of a header
        return True
    ws._busy = True
    ws._link.buffer = frame(0x81)
    try:
        ws._read()
    except WebSocketError:
        return False
    return True


T, B = 1, 2
# name, bytes, what is read
CASES: "list[tuple[str, bytes, list[Any]]]" = [
    # 5.2: lengths in their three forms, on both sides of every boundary
    ("empty text", frame(0x81), [(T, b"")]),
    ("empty binary", frame(0x82), [(B, b"")]),
    ("rfc 5.7 hello", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", [(T, b"Hello")]),
    ("one byte", frame(0x82, b"x"), [(B, b"x")]),
    ("two bytes", frame(0x82, b"xy"), [(B, b"xy")]),
    ("three bytes", frame(0x82, b"xyz"), [(B, b"xyz")]),
    ("four bytes", frame(0x82, b"wxyz"), [(B, b"wxyz")]),
    ("five bytes", frame(0x82, b"vwxyz"), [(B, b"vwxyz")]),
    ("mask of zeros", frame(0x82, b"abcd", mask=b"\0\0\0\0"), [(B, b"abcd")]),
    ("mask of ones", frame(0x82, b"abcde", mask=b"\xff\xff\xff\xff"), [(B, b"abcde")]),
    ("payload equals mask", frame(0x82, MASK + MASK), [(B, MASK + MASK)]),
    ("124 bytes", frame(0x82, body(124)), [(B, body(124))]),
    ("125 bytes", frame(0x82, body(125)), [(B, body(125))]),
    ("126 bytes", frame(0x82, body(126)), [(B, body(126))]),
    ("127 bytes", frame(0x82, body(127)), [(B, body(127))]),
    ("128 bytes", frame(0x82, body(128)), [(B, body(128))]),
    ("255 bytes", frame(0x82, body(255)), [(B, body(255))]),
    ("256 bytes", frame(0x82, body(256)), [(B, body(256))]),
    ("1023 bytes", frame(0x82, body(1023)), [(B, body(1023))]),
    ("1024 bytes", frame(0x82, body(1024)), [(B, body(1024))]),
    ("1025 bytes", frame(0x82, body(1025)), [(B, body(1025))]),
    ("two frames", frame(0x81, b"a") + frame(0x82, b"b"), [(T, b"a"), (B, b"b")]),
    ("three empty ones", frame(0x81) * 3, [(T, b"")] * 3),
    ("length without payload", frame(0x82, b"", 5), ["unfinished"]),
    ("declared 1 GB", frame(0x82, b"abc", 1 << 30), ["unfinished"]),
    ("declared 2^63 - 1", frame(0x82, b"abc", (1 << 63) - 1), ["unfinished"]),
    ("nothing", b"", []),
    ("one byte of a header", b"\x81", []),
    ("a header without its mask", b"\x81\x85\x37", []),
    ("half of a 16-bit length", b"\x82\xfe\x01", []),
    ("half of a 64-bit length", b"\x82\xff\0\0\0\0", []),
    # 5.2: the shortest form, and the highest bit is 0
    ("16 bits for 0", frame(0x82, b"", form=2), [1002]),
    ("16 bits for 5", frame(0x82, b"abcde", form=2), [1002]),
    ("16 bits for 125", frame(0x82, body(125), form=2), [1002]),
    ("64 bits for 5", frame(0x82, b"abcde", form=8), [1002]),
    ("64 bits for 126", frame(0x82, body(126), form=8), [1002]),
    ("64 bits for 65535", frame(0x82, b"", 65535, form=8), [1002]),
    ("highest bit", frame(0x82, b"", 1 << 63), [1002]),
    ("all bits", frame(0x82, b"", (1 << 64) - 1), [1002]),
    # 5.4: fragments
    ("two fragments", frame(0x01, b"Hel") + frame(0x80, b"lo"), [(T, b"Hello")]),
    ("binary fragments", frame(0x02, b"ab") + frame(0x00, b"cd") + frame(0x80, b"ef"), [(B, b"abcdef")]),
    ("fragments of one byte", frame(0x01, b"a") + frame(0, b"b") * 9 + frame(0x80, b"c"), [(T, b"abbbbbbbbbc")]),
    ("fragments of other masks", frame(2, b"abcde") + frame(0x80, b"fghij", mask=b"1234"), [(B, b"abcdefghij")]),
    ("empty first fragment", frame(0x01) + frame(0x80, b"x"), [(T, b"x")]),
    ("empty last fragment", frame(0x01, b"x") + frame(0x80), [(T, b"x")]),
    ("empty fragments", frame(0x01) + frame(0x00) + frame(0x80), [(T, b"")]),
    ("empty one in between", frame(0x02, b"x") + frame(0) + frame(0x80, b"y"), [(B, b"xy")]),
    ("long fragments", frame(0x02, body(200)) + frame(0x80, body(300)), [(B, body(200) + body(300))]),
    ("two fragmented messages", (frame(1, b"a") + frame(0x80, b"b")) * 2, [(T, b"ab"), (T, b"ab")]),
    ("unfinished message", frame(0x01, b"a"), ["unfinished"]),
    ("ping within a message", frame(1, b"a") + frame(0x89, b"p") + frame(0x80, b"b"), [(9, b"p"), (T, b"ab")]),
    ("pong within a message", frame(1, b"a") + frame(0x8A) + frame(0x80, b"b"), [(T, b"ab")]),
    ("close within a message", frame(1, b"a") + frame(0x88), [(8, b"")]),
    (
        "many pings within",
        frame(2, b"a") + frame(0x89) * 3 + frame(0, b"b") + frame(0x89, b"q") + frame(0x80, b"c"),
        [(9, b"")] * 3 + [(9, b"q"), (B, b"abc")],
    ),
    ("continuation of nothing", frame(0x80, b"x"), [1002]),
    ("unfinished continuation of nothing", frame(0x00, b"x"), [1002]),
    ("continuation after a message", frame(0x81, b"a") + frame(0x80, b"b"), [(T, b"a"), 1002]),
    ("continuation after a fragmented one", frame(1) + frame(0x80) + frame(0x80), [(T, b""), 1002]),
    ("text within a message", frame(1, b"a") + frame(0x81, b"b"), [1002]),
    ("binary within a message", frame(2, b"a") + frame(0x82, b"b"), [1002]),
    ("text fragment within a message", frame(1, b"a") + frame(1, b"b"), [1002]),
    # 5.5: control frames
    ("ping", frame(0x89), [(9, b"")]),
    ("ping with payload", frame(0x89, b"hi"), [(9, b"hi")]),
    ("ping of 125", frame(0x89, body(125)), [(9, body(125))]),
    ("ping that is no text", frame(0x89, b"\xff\xfe"), [(9, b"\xff\xfe")]),
    ("pong", frame(0x8A, b"hi"), []),
    ("pong of 125", frame(0x8A, body(125)), []),
    ("pings, then text", frame(0x89, b"1") + frame(0x89, b"2") + frame(0x81, b"x"), [(9, b"1"), (9, b"2"), (T, b"x")]),
    ("ping of 126", frame(0x89, body(126)), [1002]),
    ("pong of 126", frame(0x8A, body(126)), [1002]),
    ("close of 126", frame(0x88, b"\x03\xe8" + b"x" * 124), [1002]),
    ("ping of 65536", frame(0x89, b"", 65536), [1002]),
    ("ping, 16 bits for 2", frame(0x89, b"ab", form=2), [1002]),
    ("fragmented ping", frame(0x09, b"a"), [1002]),
    ("fragmented pong", frame(0x0A, b"a"), [1002]),
    ("fragmented close", frame(0x08, b"\x03\xe8"), [1002]),
    # 5.1: a client masks
    ("text without mask", frame(0x81, b"hi", mask=None), [1002]),
    ("empty text without mask", frame(0x81, mask=None), [1002]),
    ("binary without mask", frame(0x82, b"hi", mask=None), [1002]),
    ("long one without mask", frame(0x82, body(126), mask=None), [1002]),
    ("ping without mask", frame(0x89, b"hi", mask=None), [1002]),
    ("pong without mask", frame(0x8A, mask=None), [1002]),
    ("close without mask", frame(0x88, mask=None), [1002]),
    ("continuation without mask", frame(1, b"a") + frame(0x80, b"b", mask=None), [1002]),
    # 7.4 and 5.5.1: Close
    ("close", frame(0x88), [(8, b"")]),
    ("close 1000", close(1000), [(8, b"\x03\xe8")]),
    ("close with a reason", close(1000, b"bye"), [(8, b"\x03\xe8bye")]),
    ("close with the longest reason", close(1000, b"x" * 123), [(8, b"\x03\xe8" + b"x" * 123)]),
    ("close, reason in Greek", close(1000, "Ωμέγα".encode()), [(8, b"\x03\xe8" + "Ωμέγα".encode())]),
    ("close of one byte", frame(0x88, b"\x03"), [1002]),
    ("close, reason no UTF-8", close(1000, b"\xff"), [1007]),
    ("close, reason cut short", close(1000, b"\xe2\x82"), [1007]),
    ("close, reason with a surrogate", close(1000, b"\xed\xa0\x80"), [1007]),
]
for bits in (0x10, 0x20, 0x40, 0x50, 0x70):  # 5.2: reserved
    CASES.append(("text with bits %x" % bits, frame(0x81 | bits, b"x"), [1002]))
    CASES.append(("ping with bits %x" % bits, frame(0x89 | bits, b"x"), [1002]))
CASES.append(("bits on a continuation", frame(1, b"a") + frame(0xC0, b"b"), [1002]))
for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    CASES.append(("opcode %d" % code, frame(0x80 | code, b"x"), [1002]))
    CASES.append(("opcode %d within a message" % code, frame(1, b"a") + frame(0x80 | code), [1002]))
for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
    CASES.append(("close %d" % code, close(code), [(8, bytes((code >> 8, code & 255)))]))
for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535):
    CASES.append(("close %d" % code, close(code), [1002]))

# RFC 3629: what is UTF-8, and where it stops being it
GOOD = [
    b"plain",
    "κόσμε".encode(),
    "Ünïcödé".encode(),
    b"\x00",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xec\xbf\xbf",
    b"\xed\x80\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbf\xbf",
    b"\xef\xbf\xbd",
    b"\xf0\x90\x80\x80",
    b"\xf3\xbf\xbf\xbf",
    b"\xf4\x8f\xbf\xbf",
    b"a\xf0\x9f\x98\x80b",
    "aé€😀".encode() * 20,
]
BAD = [
    b"\x80",
    b"\xbf",
    b"a\x80",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xc2",
    b"\xc2a",
    b"\xc2\xc2\x80",
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xe2\x82",
    b"\xe2\x82a",
    b"\xe2",
    b"\xed\xa0\x80",
    b"\xed\xaf\xbf",
    b"\xed\xbf\xbf",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x9f\x98",
    b"\xf0\x9f\x98a",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"ok\xc3\xa4\xff",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
]
for text in GOOD:
    CASES.append(("text %r" % text[:12], frame(0x81, text), [(T, text)]))
    CASES.append(("split text %r" % text[:12], frame(1, text[:1]) + frame(0, text[1:2]) + frame(0x80, text[2:]), [(T, text)]))
for text in BAD:
    CASES.append(("no text %r" % text, frame(0x81, text), [1007]))
    CASES.append(("no split text %r" % text, frame(1, text[:1]) + frame(0, text[1:2]) + frame(0x80, text[2:]), [1007]))
    CASES.append(("but binary %r" % text, frame(0x82, text), [(B, text)]))


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 120, len(CASES)


def test_every_case_in_every_size_of_pieces() -> None:
    for name, data, expected in CASES:
        for size in (1, 2, 7, len(data) or 1):
            got = read(data, size)
            assert got == expected, "%s in pieces of %d: %r" % (name, size, got)


def test_cases_one_after_the_other() -> None:
    # What a case leaves behind must not show in the next.
    whole = [(data, expected) for name, data, expected in CASES if not isinstance((expected or [1])[-1], (int, str))]
    # Nothing comes after Close.
    whole = [(data, expected) for data, expected in whole if data and not (expected and expected[-1][0] == 8)]
    for size in (1, 7, 1000):
        data = b"".join([data for data, _ in whole])
        expected: "list[object]" = []
        for _, more in whole:
            expected += more
        assert read(data, size) == expected


def test_a_frame_of_64_bits() -> None:
    data = body(65536)
    for size in (1000, 65536 + 14):
        assert read(frame(0x82, data), size) == [(B, data)]


def test_a_text_that_can_be_none_is_refused_before_its_end() -> None:
    # 8.1: "must fail": here as soon as it is known, not when the message is complete.
    for first in (b"\xff", b"abc\xc0\x80", b"\xf5", b"\xe2\x82a"):
        ws = open_frames()
        ws._link.buffer = frame(0x01, b"begun ") + frame(0x80, first + b"x" * 50, 1000)[: 8 + len(first)]
        try:
            while ws._read() is not None:
                pass
        except WebSocketError as exc:
            assert exc.code == 1007
        else:
            raise AssertionError("%r was taken" % first)


def test_the_length_of_a_frame_is_held_against_the_limit_before_its_payload() -> None:
    for limit, taken in ((1 << 40, True), ((1 << 40) - 1, False)):
        ws = open_frames()
        ws.max_message_length = limit
        ws._busy = False
        ws._link.buffer = frame(0x82, b"", 1 << 40)
        try:
            assert ws._read() is False and taken
        except MemoryError:
            assert not taken


def test_a_peer_that_does_not_take_its_pongs_is_not_read_on() -> None:
    ws = open_frames()
    link = ws._link
    link.takes = False
    link.buffer = frame(0x89, b"1") + frame(0x89, b"2") + frame(0x81, b"x")
    for answered in (b"1", b"2"):
        assert ws._read() is None and ws._read() is None
        assert answers(link.out) == [(10, answered)]
        link.out = b""
        ws._full = 0  # it has taken it
    while True:
        message = ws._read()
        if message is not False:
            break
    assert message == "x" and not link.out


async def test_a_message_for_which_there_is_no_heap() -> None:
    ws = open_frames()

    def steps() -> "Any":
        raise MemoryError
        yield

    ws._steps = steps()
    ws._busy = False
    try:
        await ws.receive()
    except WebSocketError as exc:
        assert exc.code == 1009
    else:
        raise AssertionError("there was a message")
    assert answers(ws._link.out) == [(8, b"\x03\xf1Message too large")]


def test_no_heap_while_nobody_receives_ends_the_handler_and_not_the_server() -> None:
    ws = open_frames()

    def steps() -> "Any":
        raise MemoryError
        yield

    ws._steps = steps()
    ws._busy = False
    ws()
    assert ws.closed and ws._link.cancelled


def test_what_nobody_receives_waits() -> None:
    # The sweeper answers pings, and takes nothing of a message: neither its first piece nor a later one.
    for pieces, expected in ((True, [b"one ", b"two", b""]), (False, [b"one two"])):
        ws = open_frames()
        ws._pieces = pieces
        ws._busy = False
        ws._link.buffer = frame(0x89, b"?") + frame(0x82, b"one two")[:10]
        ws()
        ws()
        assert answers(ws._link.out) == [(10, b"?")] and not ws.closed
        got: "list[Any]" = []
        for more in (b"", frame(0x82, b"one two")[10:]):
            ws._link.buffer += more
            ws._busy = True
            while True:
                step = ws._read()
                if step is None:
                    break
                got.append(step)
            ws._busy = False
            ws()
        assert got == expected, got
        assert not ws._link.buffer and not ws._link.cancelled


def test_the_longest_frame_of_each_form() -> None:
    for n, head in (
        (0, b"\x82\x00"),
        (1, b"\x82\x01"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (127, b"\x82\x7e\x00\x7f"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\0\0\0\0\0\1\0\0"),
    ):
        payload = b"x" * n
        for data in (payload, bytearray(payload), memoryview(payload)):
            ws = open_frames()
            ws._put(0x82, data)
            assert ws._link.out == head + payload, n


def test_the_names_of_microdot() -> None:
    # Contract section 9.2.
    ws = WebSocket(None)  # type: ignore[arg-type]
    assert ws._process_websocket_frame(WebSocket.TEXT, b"foo") == (None, "foo")
    assert ws._process_websocket_frame(WebSocket.BINARY, b"foo") == (None, b"foo")
    assert ws._process_websocket_frame(WebSocket.PING, b"foo") == (WebSocket.PONG, b"foo")
    assert ws._process_websocket_frame(WebSocket.PONG, b"foo") == (None, None)
    try:
        ws._process_websocket_frame(WebSocket.CLOSE, b"")
    except WebSocketError as exc:
        assert str(exc) == "Websocket connection closed"
    else:
        raise AssertionError("Close was taken for a message")
    assert ws.closed is False
    assert (ws.CONT, ws.TEXT, ws.BINARY, ws.CLOSE, ws.PING, ws.PONG) == (0, 1, 2, 8, 9, 10)
