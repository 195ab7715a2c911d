"""One header field without the others: `microdot.wire.field()`.

Portable: CPython, MicroPython.
"""

from microdot import Microdot, Request
from microdot.wire import field

LINES = b"\nHost: example.com\r\nConnection: keep-alive\r\nX-Empty:\r\nCONNECTION: \t Upgrade \r\nX-Name: \xc3\xa4: b\r\nLast:end\r\n"


def test_of_header_lines_as_received() -> None:
    for lines in (LINES, LINES.replace(b"\r\n", b"\n"), LINES[:-2]):
        request = Request(Microdot(), None, "GET", "/", "1.1", lines)
        for name, expected in (
            ("Host", "example.com"),
            ("host", "example.com"),
            ("Connection", "keep-alive, Upgrade"),  # RFC 9110 5.3
            ("X-Empty", ""),
            ("X-Name", "ä: b"),
            ("LAST", "end"),
            ("Upgrade", ""),
            ("Connect", ""),
            ("ost", ""),
            ("example.com", ""),
        ):
            assert field(request, name) == expected, (name, lines)
        assert "headers" not in request.__dict__


def test_of_a_mapping_and_of_headers_that_were_changed() -> None:
    request = Request(Microdot(), None, "GET", "/", "1.1", {"Upgrade": "websocket"})
    assert field(request, "Upgrade") == "websocket" and field(request, "Host") == ""
    request = Request(Microdot(), None, "GET", "/", "1.1", LINES)
    request.headers["Host"] = "other.example"
    assert field(request, "Host") == "other.example"
