"""Where a message begins and ends: rows H1 to H8, H13 and S1 to S11 of the requirements, byte by byte.

Every case is a message of its own, fed whole and in pieces of 1, 2 and 7 bytes. A refused message must get one readable
answer that announces the close, and the request hidden behind it must never run; a good one must be answered the same
however it was cut, and the request behind it too.
"""

from __future__ import annotations

import json

import pytest
from support.wire_client import Answer, chunked, request
from support.wire_server import SMUGGLED, Server, refused, served

HOST = b"Host: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def post(*lines: str, body: bytes = b"", path: str = "/echo", version: str = "1.1") -> bytes:
    return request("POST", path, *lines, version=version, body=body)


def one(server: Server, message: bytes, method: str = "GET") -> Answer:
    """Return the answer of a single good request that was fed in all ways."""
    return served(server, message, [method])[0]


def ids(table: dict[str, bytes]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("message", list(table.values()), ids=list(table))


# H1: Host


@ids(
    {
        "missing": b"GET /text HTTP/1.1\r\n\r\n",
        "missing-with-others": b"GET /text HTTP/1.1\r\nX-Host: localhost\r\nAccept: */*\r\n\r\n",
        "missing-absolute-target": b"GET http://localhost/text HTTP/1.1\r\n\r\n",
        "twice": b"GET /text HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "twice-differing": b"GET /text HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        "twice-in-1.0": b"GET /text HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "space": b"GET /text HTTP/1.1\r\nHost: local host\r\n\r\n",
        "path": b"GET /text HTTP/1.1\r\nHost: localhost/text\r\n\r\n",
        "query": b"GET /text HTTP/1.1\r\nHost: localhost?x\r\n\r\n",
        "fragment": b"GET /text HTTP/1.1\r\nHost: localhost#x\r\n\r\n",
        "userinfo": b"GET /text HTTP/1.1\r\nHost: user@localhost\r\n\r\n",
        "backslash": b"GET /text HTTP/1.1\r\nHost: a\\b\r\n\r\n",
        "angle": b"GET /text HTTP/1.1\r\nHost: <a>\r\n\r\n",
        "quote": b'GET /text HTTP/1.1\r\nHost: a"b\r\n\r\n',
        "url": b"GET /text HTTP/1.1\r\nHost: http://localhost\r\n\r\n",
        "two-ports": b"GET /text HTTP/1.1\r\nHost: a:80:90\r\n\r\n",
        "no-number": b"GET /text HTTP/1.1\r\nHost: [::1]:x\r\n\r\n",
        "open-bracket": b"GET /text HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "brackets-twice": b"GET /text HTTP/1.1\r\nHost: [[::1]]\r\n\r\n",
        "brackets-within": b"GET /text HTTP/1.1\r\nHost: a[1]\r\n\r\n",
        "brackets-empty": b"GET /text HTTP/1.1\r\nHost: []\r\n\r\n",
        "port-only": b"GET /text HTTP/1.1\r\nHost: :80\r\n\r\n",
    }
)
def test_h1_bad_host(server: Server, message: bytes) -> None:
    """RFC 9112 3.2: 400 unless there is exactly one valid Host field."""
    refused(server, message, [400])


@pytest.mark.parametrize(
    "value", ["localhost", "localhost:5000", "127.0.0.1:80", "[::1]", "[::1]:8080", "[v1.x:y]", "a:", "(a)", "a_b.example-1.com", "", "LOCALHOST", "a."]
)
def test_h1_good_host(server: Server, value: str) -> None:
    """RFC 9110 7.2; an empty field is what a client sends when the target has no authority (RFC 9112 3.2)."""
    assert one(server, f"GET /text HTTP/1.1\r\nHost: {value}\r\n\r\n".encode()).text == "hello"


def test_h1_not_needed_in_1_0(server: Server) -> None:
    answer = one(server, b"GET /text HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.text) == (200, "hello")


# H2: the target


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/args", "/args", None),
        ("/args?x=1", "/args", "x=1"),
        ("/args?", "/args", ""),
        ("/args?x=/a?b", "/args", "x=/a?b"),
        ("http://localhost/args", "/args", None),
        ("http://other.example:99/args?x=1", "/args", "x=1"),
        ("HTTP://localhost/args", "/args", None),
    ],
)
def test_h2_target(server: Server, target: str, path: str, query: str | None) -> None:
    """RFC 9112 3.2.2: a server must take the absolute form."""
    answer = one(server, request("GET", target))
    assert answer.status == 200, answer
    found = json.loads(answer.body)
    assert (found["path"], found["query"]) == (path, query)


def test_h2_absolute_target_without_path(server: Server) -> None:
    """RFC 9110 4.2.3: an empty path is the same as `/`."""
    assert one(server, request("GET", "http://localhost")).text == "root"
    assert one(server, request("GET", "http://localhost?x=1")).text == "root"


@ids(
    {
        "no-slash": b"GET text HTTP/1.1\r\n" + HOST + b"\r\n",
        "asterisk-with-get": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
        "nul": b"GET /te\x00xt HTTP/1.1\r\n" + HOST + b"\r\n",
        "control": b"GET /te\x01xt HTTP/1.1\r\n" + HOST + b"\r\n",
        "delete": b"GET /te\x7fxt HTTP/1.1\r\n" + HOST + b"\r\n",
        "tab": b"GET /te\txt HTTP/1.1\r\n" + HOST + b"\r\n",
        "vertical-tab": b"GET /te\x0bxt HTTP/1.1\r\n" + HOST + b"\r\n",
        "space-in-target": b"GET /te xt HTTP/1.1\r\n" + HOST + b"\r\n",
        "no-target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
        "no-target-two-spaces": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
        "only-method": b"GET\r\n" + HOST + b"\r\n",
        "no-version": b"GET /text\r\n" + HOST + b"\r\n",
        "leading-space": b" GET /text HTTP/1.1\r\n" + HOST + b"\r\n",
        "trailing-word": b"GET /text HTTP/1.1 x\r\n" + HOST + b"\r\n",
        "method-not-token": b"GE(T /text HTTP/1.1\r\n" + HOST + b"\r\n",
        "method-empty": b" /text HTTP/1.1\r\n" + HOST + b"\r\n",
        "method-nul": b"GE\x00T /text HTTP/1.1\r\n" + HOST + b"\r\n",
        "method-obs": b"GE\xc9T /text HTTP/1.1\r\n" + HOST + b"\r\n",
        "method-colon": b"GET: /text HTTP/1.1\r\n" + HOST + b"\r\n",
        "binary": bytes(range(1, 256)) + b"\r\n\r\n",
        "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n",
    }
)
def test_h2_bad_request_line(server: Server, message: bytes) -> None:
    """RFC 9112 3: method, target and version, one space between them, and no control characters."""
    refused(server, message, [400])


@ids(
    {
        "two-spaces": b"GET  /text HTTP/1.1\r\n" + HOST + b"\r\n",
        "tab-between": b"GET\t/text\tHTTP/1.1\r\n" + HOST + b"\r\n",
        "space-at-end": b"GET /text HTTP/1.1 \r\n" + HOST + b"\r\n",
        "obs-text-in-target": b"GET /te\xc3\xa9xt HTTP/1.1\r\n" + HOST + b"\r\n",
        "not-utf8-in-target": b"GET /te\xff\xfext HTTP/1.1\r\n" + HOST + b"\r\n",
        "fragment": b"GET /text#x HTTP/1.1\r\n" + HOST + b"\r\n",
        "percent-nul": b"GET /te%00xt HTTP/1.1\r\n" + HOST + b"\r\n",
        "bad-percent": b"GET /args?x=%zz HTTP/1.1\r\n" + HOST + b"\r\n",
        "bad-percent-utf8": b"GET /args?x=%ff%fe HTTP/1.1\r\n" + HOST + b"\r\n",
        "bad-percent-end": b"GET /args?x=% HTTP/1.1\r\n" + HOST + b"\r\n",
    }
)
def test_h2_lenient_request_line(server: Server, message: bytes) -> None:
    """What RFC 9112 3 leaves to the recipient: served, not found or refused, but never a failure of the server."""
    for piece in (0, 1):
        with server.connect() as client:
            client.send(message + request("GET", "/text", "Connection: close"), piece)
            found = client.answers()
            assert not client.reset
            assert found[0].status in (200, 400, 404), f"{message!r} was answered {found[0]}"
            if found[0].closes:
                assert len(found) == 1
            else:
                assert [answer.text for answer in found[1:]] == ["hello"]


@pytest.mark.parametrize("target", ["localhost:80", "localhost", "/text", "http://localhost/text"])
def test_h2_connect(server: Server, target: str) -> None:
    """This is no proxy (RFC 9110 9.3.6): no tunnel is opened, whatever the target."""
    for piece in (0, 7):
        with server.connect() as client:
            client.send(request("CONNECT", target) + request("GET", "/text", "Connection: close"), piece)
            found = client.answers()
            assert not client.reset
        assert found[0].status in (400, 404, 405, 501), found
        assert found[0].closes or [answer.text for answer in found[1:]] == ["hello"]


def test_h2_options_of_the_server(server: Server) -> None:
    """RFC 9110 9.3.7: `OPTIONS *`."""
    answer = one(server, request("OPTIONS", "*"), "OPTIONS")
    assert (answer.status, answer.value("allow")) == (200, "OPTIONS")


# H3: the version


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "HTTP/0.9"])
def test_h3_unknown_major_version(server: Server, version: str) -> None:
    """RFC 9110 15.6.6."""
    refused(server, f"GET /text {version}\r\n".encode() + HOST + b"\r\n", [505])


def test_h3_http_2_preface(server: Server) -> None:
    """RFC 9113 3.4: the preface is made so that servers of HTTP/1.1 refuse it."""
    refused(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505, 400])


@pytest.mark.parametrize(
    "version",
    ["http/1.1", "Http/1.1", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.10", "HTTP/01.1", "HTTP/1.1x", "HTTP/1,1", "HTTP 1.1",
     "HTTQ/1.1", "HTTPS/1.1", "HTTP/x.y", "HTTP/-1.1", "HTTP/1.+1", "HTTP/1.\u00b2", "HTTP/", "1.1", "HTTP//1.1"],
)  # fmt: skip
def test_h3_bad_version(server: Server, version: str) -> None:
    """RFC 9112 2.3: HTTP, a slash, a digit, a dot, a digit; case-sensitive."""
    refused(server, f"GET /text {version}\r\n".encode("latin-1") + HOST + b"\r\n", [400, 505])


def test_h3_higher_minor_version(server: Server) -> None:
    """RFC 9110 2.5: a higher minor version is read as the highest that the server knows."""
    first, second = served(server, (b"GET /text HTTP/1.2\r\n" + HOST + b"\r\n") * 2, ["GET", "GET"])
    assert (first.status, first.version, second.status) == (200, "1.1", 200)


# H4: empty lines


@pytest.mark.parametrize("before", [b"\r\n", b"\n", b"\r\n\r\n"], ids=["crlf", "lf", "crlf-crlf"])
def test_h4_leading_empty_lines(server: Server, before: bytes) -> None:
    """RFC 9112 2.2: at least one empty line before a request is ignored."""
    assert one(server, before + request("GET", "/text")).text == "hello"


def test_h4_crlf_after_a_body(server: Server) -> None:
    """RFC 9112 2.2: old clients send CRLF after the body of a POST."""
    first, second = served(
        server, post("Content-Length: 3", body=b"abc") + b"\r\n" + request("GET", "/json"), ["POST", "GET"]
    )
    assert (first.body, second.text) == (b"abc", '{"answer": 42}')


def test_h4_many_empty_lines(server: Server) -> None:
    """Not for ever: served, refused or closed, in a bounded time."""
    with server.connect() as client:
        client.send(b"\r\n" * 20_000 + request("GET", "/text", "Connection: close"))
        client.end()
        found = client.answers()
        assert len(found) <= 1
        assert all(answer.status in (200, 400, 431) for answer in found)


# H5: methods


@pytest.mark.parametrize("method", ["get", "Get", "gET"])
def test_h5_methods_are_case_sensitive(server: Server, method: str) -> None:
    """RFC 9110 9.1: `get` is another method than GET, and nobody has a route for it."""
    answer = one(server, request(method, "/text"))
    assert answer.status in (405, 501), answer


def test_h5_405_has_allow(server: Server) -> None:
    """RFC 9110 15.5.6; the body is pinned by the contract (7.5)."""
    answer = one(server, request("DELETE", "/only-post"))
    assert (answer.status, answer.text) == (405, "Not found")
    assert "POST" in str(answer.value("allow")).split(", ")
    answer = one(server, request("PATCH", "/methods"))
    assert {"GET", "DELETE", "HEAD", "OPTIONS"} >= set(str(answer.value("allow")).split(", ")) >= {"GET", "DELETE"}


def test_h5_options_lists_methods(server: Server) -> None:
    """Contract 6.6."""
    answer = one(server, request("OPTIONS", "/methods"), "OPTIONS")
    assert (answer.status, answer.value("allow")) == (200, "GET, DELETE, HEAD, OPTIONS")


@pytest.mark.parametrize("method", ["PROPFIND", "X-CUSTOM", "M-SEARCH", "A" * 60, "!#$%&'*+-.^_`|~"])
def test_h5_unknown_methods(server: Server, method: str) -> None:
    answer = one(server, request(method, "/text"))
    assert answer.status in (405, 501), answer


# H6: chunked request bodies


@pytest.mark.parametrize("path", ["/echo", "/stream?n=3", "/stream?n=10000"], ids=["body", "stream", "stream-large"])
@ids(
    {
        "one": chunked(b"hello"),
        "three": chunked(b"hel", b"lo ", b"you"),
        "none": chunked(),
        "bytes": chunked(*(bytes([c]) for c in b"hello you")),
        "hex": chunked(b"x" * 10, b"y" * 255, b"z" * 4096),
        "upper-hex": b"A\r\n0123456789\r\n0\r\n\r\n",
        "leading-zeros": b"00005\r\nhello\r\n0000\r\n\r\n",
        "extension": b"5;a=b\r\nhello\r\n0;c\r\n\r\n",
        "extension-quoted": b'5;a="b;c";d\r\nhello\r\n0\r\n\r\n',
        "crlf-in-data": chunked(b"a\r\nb\r\n0\r\n\r\n", b"\r\n"),
        "trailer": chunked(b"hello", trailer=b"X-Sum: 1\r\nX-More: 2\r\n"),
    }
)
def test_h6_chunked_body(server: Server, path: str, message: bytes) -> None:
    """RFC 9112 7.1: decoded into request.body and request.stream; extensions and trailers are ignored."""
    answer = one(server, post(CHUNKED, body=message, path=path), "POST")
    assert (answer.status, answer.body) == (200, _dechunked(message)), answer


def _dechunked(data: bytes) -> bytes:
    """Decode a well-formed chunked body, written independently of the server's way."""
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if not size:
            return body
        body += data[:size]
        data = data[size + 2 :]


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED", " chunked \t"])
def test_h6_coding_names_are_case_insensitive(server: Server, coding: str) -> None:
    """RFC 9112 7."""
    answer = one(server, post(f"Transfer-Encoding: {coding}", body=chunked(b"hello")), "POST")
    assert answer.body == b"hello"


def test_h6_form_and_json(server: Server) -> None:
    answer = one(
        server, post(CHUNKED, "Content-Type: application/json", body=chunked(b'{"a"', b": 1}"), path="/json-body"), "POST"
    )
    assert json.loads(answer.body) == {"json": {"a": 1}}


# H7: Expect


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue", "100-CONTINUE"])
@pytest.mark.parametrize("path", ["/echo", "/stream", "/wide/measure"])
def test_h7_expect_continue(server: Server, path: str, expectation: str) -> None:
    """RFC 9110 10.1.1: a client that waits for 100 gets it when the body is wanted, then the answer."""
    with server.connect() as client:
        client.send(post("Content-Length: 5", f"Expect: {expectation}", path=path))
        first = client.head()
        assert first.status == 100, first
        client.send(b"hello")
        answer = client.answer()
        assert answer.status == 200
        assert answer.body == b"hello" or json.loads(answer.body)["size"] == 5
        assert client.get("/text").text == "hello"


def test_h7_expect_with_chunks(server: Server) -> None:
    with server.connect() as client:
        client.send(post(CHUNKED, "Expect: 100-continue"))
        assert client.head().status == 100
        client.send(chunked(b"hel", b"lo"))
        assert client.answer().body == b"hello"


@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_h7_client_that_does_not_wait(server: Server, pause: float) -> None:
    """The body comes without waiting for 100, which may be sent or left out; the body is whole, so the connection goes on."""
    message = post("Content-Length: 5", "Expect: 100-continue", body=b"hello")
    for piece in (0, len(message) - 3):
        with server.connect() as client:
            client.send(message, piece, pause)
            answer = client.answer("POST")
            assert (answer.status, answer.body, answer.closes) == (200, b"hello", False)
            assert client.get("/text").text == "hello"


def test_h7_never_to_1_0(server: Server) -> None:
    """RFC 9110 10.1.1: the expectation of an HTTP/1.0 client is ignored, and it must not see a 1xx."""
    with server.connect() as client:
        client.send(b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        client.sock.settimeout(0.4)
        with pytest.raises(AssertionError, match="sent nothing"):
            client.head()
        client.sock.settimeout(10)
        client.send(b"hello")
        answer = client.answer()
        assert (answer.status, answer.body, answer.interim) == (200, b"hello", [])


@pytest.mark.parametrize("path", ["/nowhere", "/forbidden", "/text", "/boom/handler?m=expected", "/code/204"])
def test_h7_final_status_instead(server: Server, path: str) -> None:
    """100 or a final status, and after either the body is a body, never a request."""
    with server.connect() as client:
        client.send(post(f"Content-Length: {len(SMUGGLED)}", "Expect: 100-continue", path=path))
        head = client.head()
        if head.status == 100:
            client.send(SMUGGLED)
            answer = client.answer()
        else:
            answer = head
            client.received = answer.head + client.received
            answer = client.answer()
            client.send(SMUGGLED)  # allowed: the client may have been about to send it anyway
        assert answer.status in (204, 403, 404, 405, 500), answer
        if not answer.closes:
            assert client.get("/text").text == "hello"
        else:
            assert client.drain() == b""


def test_h7_refused_by_length(server: Server) -> None:
    """Row L4: 413 at once, and no 100 that would ask for what is refused."""
    with server.connect() as client:
        client.send(post("Content-Length: 16385", "Expect: 100-continue"))
        answer = client.answer()
        assert (answer.status, answer.interim) == (413, [])
        assert answer.closes
        client.expect_end()


def test_h7_unknown_expectation(server: Server) -> None:
    """RFC 9110 10.1.1: 417, or ignored."""
    assert one(server, request("GET", "/text", "Expect: 200-ok")).status in (200, 417)


def test_h7_expect_without_body(server: Server) -> None:
    """A client must not do that; nobody waits for anything."""
    answer = one(server, request("GET", "/text", "Expect: 100-continue"))
    assert answer.status == 200


# H8: what is cut off


@ids(
    {
        "length": post("Content-Length: 10", body=b"hello"),
        "length-nothing": post("Content-Length: 10"),
        "chunk": post(CHUNKED, body=b"5\r\nhel"),
        "chunk-no-end": post(CHUNKED, body=b"5\r\nhello\r\n"),
        "chunk-half-size": post(CHUNKED, body=b"5"),
        "chunk-trailer": post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A: b\r\n"),
        "chunk-no-last-line": post(CHUNKED, body=b"5\r\nhello\r\n0\r\n"),
    }
)
@pytest.mark.parametrize("path", ["/echo", "/stream", "/unread"])
def test_h8_cut_off_body(server: Server, path: str, message: bytes) -> None:
    """RFC 9112 8: an incomplete body never reaches a handler that wants all of it, and is never answered 2xx."""
    message = message.replace(b" /echo ", f" {path} ".encode())
    before = server.counted("echo"), server.counted("stream-ended")
    with server.connect() as client:
        client.send(message)
        client.end()
        found = client.answers(["POST"])
        assert len(found) <= 1
        assert all(400 <= answer.status < 500 for answer in found), found
    assert (server.counted("echo"), server.counted("stream-ended")) == before


@ids(
    {
        "line": b"GET /text HT",
        "line-complete": b"GET /smuggled HTTP/1.1\r\n",
        "head": b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n",
        "head-1.0": b"GET /smuggled HTTP/1.0\r\n",
        "field": b"GET /smuggled HTTP/1.1\r\nHost: localhost",
        "nothing": b"",
    }
)
def test_h8_cut_off_head(server: Server, message: bytes) -> None:
    """RFC 9112 8: a head that ends early is no request."""
    with server.connect() as client:
        client.send(message)
        client.end()
        found = client.answers()
        assert len(found) <= 1
        assert all(answer.status == 400 for answer in found), found


def test_h8_half_closed_client_is_answered(server: Server) -> None:
    """A client may end its side after a complete request, as `nc` does (RFC 9112 9.6)."""
    for message in (request("GET", "/text"), b"GET /text HTTP/1.0\r\n\r\n", request("GET", "/text", "Connection: close")):
        with server.connect() as client:
            client.send(message)
            client.end()
            assert [answer.text for answer in client.answers()] == ["hello"]
    with server.connect() as client:
        client.send(request("GET", "/text") * 3)
        client.end()
        assert [answer.text for answer in client.answers()] == ["hello"] * 3
    with server.connect() as client:  # a file ends by itself; what has no length is for somebody who listens
        client.send(request("GET", "/slow?ms=50") + request("GET", "/file"))
        client.end()
        slow, file = client.answers()
        assert slow.status == 200 and len(file.body) == 3800


# H13, S5, S6, S7: header lines


@ids(
    {
        "no-colon": b"X-Value\r\n",
        "empty-name": b": value\r\n",
        "space-before-colon": b"X-Value : 1\r\n",
        "tab-before-colon": b"X-Value\t: 1\r\n",
        "length-space-before-colon": b"Content-Length : 5\r\n",
        "space-in-name": b"X Value: 1\r\n",
        "name-parenthesis": b"X(Value: 1\r\n",
        "name-slash": b"X/Value: 1\r\n",
        "name-at": b"X@Value: 1\r\n",
        "name-quote": b'X"Value: 1\r\n',
        "name-comma": b"X,Value: 1\r\n",
        "name-semicolon": b"X;Value: 1\r\n",
        "name-equals": b"X=Value: 1\r\n",
        "name-bracket": b"X[Value]: 1\r\n",
        "name-brace": b"X{Value}: 1\r\n",
        "name-backslash": b"X\\Value: 1\r\n",
        "name-nul": b"X\x00Value: 1\r\n",
        "name-control": b"X\x01Value: 1\r\n",
        "name-delete": b"X\x7fValue: 1\r\n",
        "name-obs-text": b"X\xc3\xa9Value: 1\r\n",
        "name-nbsp": b"X-Value\xa0: 1\r\n",
        "value-nul": b"X-Value: a\x00b\r\n",
        "value-bell": b"X-Value: a\x07b\r\n",
        "value-escape": b"X-Value: a\x1bb\r\n",
        "value-vertical-tab": b"X-Value: a\x0bb\r\n",
        "value-form-feed": b"X-Value: a\x0cb\r\n",
        "value-delete": b"X-Value: a\x7fb\r\n",
        "value-bare-cr": b"X-Value: a\rb\r\n",
        "value-bare-cr-end": b"X-Value: a\r\r\n",
        "value-bare-cr-start": b"X-Value:\r a\r\n",
    }
)
def test_s5_h13_bad_field(server: Server, message: bytes) -> None:
    """RFC 9112 5.1 and RFC 9110 5.5: tokens before the colon, nothing between, no control characters after it."""
    refused(server, b"GET /text HTTP/1.1\r\n" + HOST + message + b"\r\n", [400])


def test_s5_bad_field_first(server: Server) -> None:
    """RFC 9112 2.2: whitespace between the request line and the first field."""
    refused(server, b"GET /text HTTP/1.1\r\n " + HOST + b"\r\n", [400])
    refused(server, b"GET /text HTTP/1.1\r\n\t" + HOST + b"\r\n", [400])


@ids(
    {
        "space": b"X-Value: a\r\n b\r\n",
        "tab": b"X-Value: a\r\n\tb\r\n",
        "length": b"Content-Length: 1\r\n 0\r\n",
        "hidden-length": b"X-Value: a\r\n Content-Length: 30\r\n",
        "hidden-coding": b"X-Value: a\r\n Transfer-Encoding: chunked\r\n",
        "blanks-only": b"X-Value: a\r\n  \r\nContent-Length: 30\r\n",
        "tab-only": b"X-Value: a\r\n\t\r\n",
        "blank-line-first": b" \r\n",
        "lf": b"X-Value: a\n b\n",
        "lf-blanks-only": b"X-Value: a\n \n",
    }
)
def test_s6_folded_line(server: Server, message: bytes) -> None:
    """RFC 9112 5.2: obs-fold is refused; above all it is neither a header of its own nor the end of the head."""
    refused(server, b"GET /text HTTP/1.1\r\n" + HOST + message + b"\r\n", [400])


@ids(
    {
        "request-line": b"GET /text HTTP/1.1\rHost: localhost\r\n\r\n",
        "request-line-only-cr": b"GET /text HTTP/1.1\r\r\n" + HOST + b"\r\n",
        "between-fields": b"GET /text HTTP/1.1\r\n" + HOST + b"X-A: b\rContent-Length: 30\r\n\r\n",
        "end-of-head": b"GET /text HTTP/1.1\r\n" + HOST + b"\r\r\n\r\n",
        "in-target": b"GET /te\rxt HTTP/1.1\r\n" + HOST + b"\r\n",
        "host": b"GET /text HTTP/1.1\r\nHost: local\rhost\r\n\r\n",
    }
)
def test_s7_bare_cr(server: Server, message: bytes) -> None:
    """RFC 9112 2.2: a CR without LF is never the end of a line."""
    refused(server, message, [400])


@ids(
    {
        "all": b"GET /text HTTP/1.1\nHost: localhost\nAccept: */*\n\n",
        "last": b"GET /text HTTP/1.1\r\n" + HOST + b"\n",
        "first": b"GET /text HTTP/1.1\n" + HOST + b"\r\n",
        "1.0": b"GET /text HTTP/1.0\n\n",
    }
)
def test_s7_bare_lf_in_the_head(server: Server, message: bytes) -> None:
    """RFC 9112 2.2 allows it, and programs and old clients send it."""
    assert one(server, message).text == "hello"


def test_s7_bare_lf_with_body(server: Server) -> None:
    assert one(server, b"POST /echo HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello", "POST").body == b"hello"


def test_h13_repeated_fields_are_joined(server: Server) -> None:
    """RFC 9110 5.3; cookies are joined by a semicolon (RFC 6265 5.4 as HTTP/2 gateways split them)."""
    answer = one(server, request("GET", "/headers", "X-List: a", "X-Other: 1", "x-list: b", "X-LIST:c"))
    found = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    assert found["x-list"].replace(", ", ",") == "a,b,c"
    assert found["x-other"] == "1"
    answer = one(server, request("GET", "/cookies", "Cookie: a=1", "Cookie: b=2"))
    assert json.loads(answer.body) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", b"caf\xe9", b"\xff\xfe\x80", b"\xe2\x82"])
def test_h13_obs_text(server: Server, value: bytes) -> None:
    """RFC 9110 5.5: octets above 127 are opaque; they do not break a request that does not look at them."""
    message = b"GET /text HTTP/1.1\r\n" + HOST + b"X-Value: " + value + b"\r\n\r\n"
    assert one(server, message).text == "hello"
    with server.connect() as client:
        client.send(message.replace(b"/text", b"/headers"))
        assert client.answer().status == 200


@pytest.mark.parametrize(
    ("line", "value"),
    [("X-Value:a", "a"), ("X-Value: a", "a"), ("X-Value: \t a \t ", "a"), ("X-Value:", ""), ("X-Value: a: b", "a: b"),
     ("X-Value: a\tb", "a\tb"), ("!#$%&'*+-.^_`|~09azAZ: a", "a"), ("x-value: A", "A")],
)  # fmt: skip
def test_h13_good_fields(server: Server, line: str, value: str) -> None:
    """RFC 9110 5.6.3: whitespace around the value does not belong to it."""
    answer = one(server, request("GET", "/headers", line))
    found = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    assert found[line.split(":")[0].lower()] == value


# S1 to S4: how long is it?


@ids(
    {
        "length-first": post(f"Content-Length: {len(chunked(b'hello'))}", CHUNKED, body=chunked(b"hello")),
        "coding-first": post(CHUNKED, "Content-Length: 5", body=chunked(b"hello")),
        "cl-te": post("Content-Length: 50", CHUNKED, body=b"0\r\n\r\n"),
        "te-cl": post("Content-Length: 4", CHUNKED, body=b"5c\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"),
        "zero": post("Content-Length: 0", CHUNKED, body=chunked()),
        "other-case": post("content-length: 5", "transfer-encoding: CHUNKED", body=chunked(b"hello")),
        "far-apart": post("Content-Length: 5", *(f"X-{n}: y" for n in range(20)), CHUNKED, body=chunked(b"hello")),
        "get": request("GET", "/text", "Content-Length: 5", CHUNKED, body=chunked(b"hello")),
    }
)
def test_s1_length_and_coding(server: Server, message: bytes) -> None:
    """RFC 9112 6.1: such a message is an attempt at smuggling, and refused."""
    refused(server, message, [400])


@pytest.mark.parametrize(
    "value",
    ["gzip", "identity", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", "", "chunked;q=1",
     "xchunked", "chunkedx", "chunke", "'chunked'", '"chunked"', "chunked\x0b", "\x0cchunked", "\x0bchunked", "chunked\x85",
     "chunked\xa0", "\xa0chunked", "c hunked", "chunked, identity", "identity, chunked", "compress", "deflate", "x"],
)  # fmt: skip
def test_s2_other_codings(server: Server, value: str) -> None:
    """RFC 9112 6.1 and 6.3: exactly one coding is known, and it must be the last."""
    # Well formed, chunked comes last, and the other one is unknown: only 501 says that.
    statuses = [501] if value == "gzip, chunked" else [400, 501]
    refused(server, post(f"Transfer-Encoding: {value}", body=chunked(b"hello")), statuses)


@ids(
    {
        "twice": post(CHUNKED, CHUNKED, body=chunked(b"hello")),
        "twice-differing": post(CHUNKED, "Transfer-Encoding: identity", body=chunked(b"hello")),
        "first-unknown": post("Transfer-Encoding: gzip", CHUNKED, body=chunked(b"hello")),
        "last-empty": post(CHUNKED, "Transfer-Encoding:", body=chunked(b"hello")),
    }
)
def test_s2_two_fields(server: Server, message: bytes) -> None:
    refused(server, message, [400, 501])


def test_s3_coding_in_1_0(server: Server) -> None:
    """RFC 9112 6.1: HTTP/1.0 has no transfer codings; refused, or closed after it."""
    message = post(CHUNKED, "Connection: keep-alive", body=chunked(b"hello"), version="1.0")
    for piece in (0, 1, 7):
        with server.connect() as client:
            client.send(message + SMUGGLED, piece)
            answer = client.answer()
            assert answer.status in (400, 501) or (answer.status, answer.body) == (200, b"hello"), answer
            assert answer.closes
            client.expect_end()


LENGTHS = ["+5", "-5", "-0", "5,5", "5, 6", "5 5", "0x5", "5_0", "5.0", "5e0", "", "5;", "a", "5a", '"5"', "5\x0b", "\x0c5", "5\x85",
           "5\xa0", "\xb2", "5\x00", "\u0665".encode().decode("latin-1"), "\uff15".encode().decode("latin-1"), "5,", ",5", "0b1", "0o5"]  # fmt: skip


@pytest.mark.parametrize("value", LENGTHS)
def test_s4_bad_length(server: Server, value: str) -> None:
    """RFC 9110 8.6: one or more ASCII digits and nothing else."""
    refused(server, post(f"Content-Length: {value}", body=b"hello"), [400])


@pytest.mark.parametrize("value", ["9" * 20, "18446744073709551621", "4294967301", "9" * 400, "2147483653"])
def test_s4_huge_length(server: Server, value: str) -> None:
    """Whatever the width of integers: too large, never wrapped round."""
    refused(server, post(f"Content-Length: {value}", body=b"hello"), [400, 413])


@ids(
    {
        "differing": post("Content-Length: 5", "Content-Length: 6", body=b"hello"),
        "differing-zero": post("Content-Length: 0", "Content-Length: 5", body=b"hello"),
        "last-bad": post("Content-Length: 5", "Content-Length: x", body=b"hello"),
        "last-empty": post("Content-Length: 5", "Content-Length:", body=b"hello"),
        "list-differing": post("Content-Length: 5, 50", body=b"hello"),
        "other-case": post("Content-Length: 5", "CONTENT-LENGTH: 6", body=b"hello"),
    }
)
def test_s4_differing_lengths(server: Server, message: bytes) -> None:
    """RFC 9112 6.3."""
    refused(server, message, [400])


def test_s4_equal_lengths(server: Server) -> None:
    """RFC 9112 6.3: refused, or taken as one."""
    message = post("Content-Length: 5", "Content-Length: 5", body=b"hello")
    with server.connect() as client:
        client.send(message + request("GET", "/text", "Connection: close"))
        found = client.answers(["POST"])
    assert [answer.status for answer in found] in ([400], [200, 200]), found
    assert found[0].status == 400 or found[0].body == b"hello"


@pytest.mark.parametrize("value", ["5", "005", " 5 ", "\t5\t", "0000000005"])
def test_s4_good_length(server: Server, value: str) -> None:
    assert one(server, post(f"Content-Length: {value}", body=b"hello"), "POST").body == b"hello"


# S8, S9: chunks


@pytest.mark.parametrize("path", ["/echo", "/stream"])
@ids(
    {
        "no-size": b"\r\nhello\r\n0\r\n\r\n",
        "not-hex": b"g\r\nhello\r\n0\r\n\r\n",
        "minus": b"-5\r\nhello\r\n0\r\n\r\n",
        "plus": b"+5\r\nhello\r\n0\r\n\r\n",
        "prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
        "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
        "leading-space": b" 5\r\nhello\r\n0\r\n\r\n",
        "only-extension": b";a=b\r\nhello\r\n0\r\n\r\n",
        "unicode-digit": "\u0665\r\nhello\r\n0\r\n\r\n".encode(),
        "control": b"5\x0b\r\nhello\r\n0\r\n\r\n",
        "nul": b"5\x00\r\nhello\r\n0\r\n\r\n",
        "overflow-32": b"100000005\r\nhello\r\n0\r\n\r\n",
        "overflow-64": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "overflow-huge": b"f" * 100 + b"\r\nhello\r\n0\r\n\r\n",
        "size-lf": b"5\nhello\r\n0\r\n\r\n",
        "size-cr": b"5\rhello\r\n0\r\n\r\n",
        "size-cr-cr-lf": b"5\r\r\nhello\r\n0\r\n\r\n",
        "extension-lf": b"5;a\nhello\r\n0\r\n\r\n",
        "extension-cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        "data-no-crlf": b"5\r\nhello0\r\n\r\n",
        "data-lf": b"5\r\nhello\n0\r\n\r\n",
        "data-cr": b"5\r\nhello\r0\r\n\r\n",
        "data-longer": b"5\r\nhello!\r\n0\r\n\r\n",
        "data-shorter": b"7\r\nhello\r\n0\r\n\r\n",
        "last-lf": b"5\r\nhello\r\n0\n\r\n",
        "last-end-lf": b"5\r\nhello\r\n0\r\n\n",
        "two-sizes": b"5 5\r\nhello\r\n0\r\n\r\n",
        "comma": b"5,5\r\nhello\r\n0\r\n\r\n",
    }
)
def test_s8_bad_chunk(server: Server, path: str, message: bytes) -> None:
    """RFC 9112 7.1: hexadecimal digits, CRLF, that many bytes, CRLF. Anything else could be read in two ways."""
    statuses = [400, 413] if message.startswith((b"1000", b"fff")) else [400]
    before = server.counted("echo"), server.counted("stream-ended")
    refused(server, post(CHUNKED, body=message, path=path), statuses)
    assert (server.counted("echo"), server.counted("stream-ended")) == before, "the handler got a broken body"


@pytest.mark.parametrize(
    "size", ["5 ", "5\t", "5 ;a", "5; a", "5 ; a = b"], ids=["space", "tab", "space-semicolon", "semicolon-space", "all"]
)
def test_s8_blanks_after_the_size(server: Server, size: str) -> None:
    """RFC 9112 7.1.1: bad whitespace, which may be taken or refused."""
    with server.connect() as client:
        client.send(post(CHUNKED, body=size.encode() + b"\r\nhello\r\n0\r\n\r\n") + request("GET", "/text", "Connection: close"))
        found = client.answers(["POST"])
    assert [answer.status for answer in found] in ([400], [200, 200]), found
    assert found[0].status == 400 or found[0].body == b"hello"


def test_s9_trailers(server: Server) -> None:
    """RFC 9110 6.5.1: trailers are no headers, and above all they frame nothing."""
    trailer = b"X-Trailer: 1\r\nContent-Length: 100\r\nTransfer-Encoding: gzip\r\nHost: other\r\nConnection: close\r\n"
    answer = one(server, post(CHUNKED, "X-Own: 1", body=chunked(b"hello", trailer=trailer), path="/headers"), "POST")
    assert answer.status == 200
    found = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    assert "x-trailer" not in found
    assert "content-length" not in found
    assert (found["x-own"], found["host"], found["transfer-encoding"]) == ("1", "localhost", "chunked")


@ids(
    {
        "no-colon": b"X-Trailer\r\n",
        "fold": b"X-Trailer: a\r\n b\r\n",
        "bare-cr": b"X-Trailer: a\rb\r\n",
        "space-before-colon": b"X-Trailer : a\r\n",
        "nul": b"X-Trailer: \x00\r\n",
    }
)
def test_s9_malformed_trailers(server: Server, message: bytes) -> None:
    """Ignored or refused; the request behind is answered as such or not at all, and what is hidden never runs."""
    for piece in (0, 1, 7):
        with server.connect() as client:
            client.send(post(CHUNKED, body=chunked(b"hello", trailer=message)) + request("GET", "/text", "Connection: close"), piece)
            found = client.answers(["POST"])
        assert [answer.status for answer in found] in ([400], [200, 200]), found


# S10: bodies that nobody reads

UNREAD = {
    "404": "/nowhere",
    "405": "/text",
    "403-by-hook": "/forbidden",
    "500": "/abort/500",
    "raised": "/boom-post",
    "204": "/code/204",
    "304": "/code/304",
    "200": "/unread",
    "410": "/abort/410",
}


@pytest.mark.parametrize("path", UNREAD.values(), ids=UNREAD)
@pytest.mark.parametrize("framing", ["length", "chunked", "chunked-many"])
def test_s10_unread_body(server: Server, path: str, framing: str) -> None:
    """RFC 9112 9.3: a body that was not read is drained, or the connection is closed; it is never taken for a request."""
    for method in ("POST", "PUT", "GET", "HEAD", "OPTIONS", "DELETE", "FOO"):
        if framing == "length":
            message = request(method, path, f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED)
        elif framing == "chunked":
            message = request(method, path, CHUNKED, body=chunked(SMUGGLED))
        else:
            message = request(method, path, CHUNKED, body=chunked(SMUGGLED[:20], SMUGGLED[20:], SMUGGLED))
        served(server, message, [method], pieces=(0, 7))


@pytest.mark.parametrize("path", ["/wide/unread", "/wide/half-read", "/half-read"])
@pytest.mark.parametrize("size", [100, 16384, 20_000, 300_000])
def test_s10_unread_stream(server: Server, path: str, size: int) -> None:
    """The same for a body that is streamed, and for the rest of one that was read in part."""
    if size > 16384 and not path.startswith("/wide"):
        size = 16384
    body = (SMUGGLED * (size // len(SMUGGLED) + 1))[:size]
    with server.connect() as client:
        client.send(post(f"Content-Length: {size}", path=path, body=body) + request("GET", "/text", "Connection: close"))
        found = client.answers(["POST"])
        # What a board does not read of a flood ends in a reset, after the answer.
        assert not client.reset or (server.on_micropython and size > 16384)
    assert found[0].text == ("GET" if "half" in path else "unread")
    assert found[0].closes or [answer.text for answer in found[1:]] == ["hello"], found


def test_s10_413(server: Server) -> None:
    refused(server, post("Content-Length: 20000", body=(SMUGGLED * 400)[:20000]), [413])
    refused(server, post("Content-Length: 20000", body=(SMUGGLED * 400)[:20000], path="/nowhere"), [413], pieces=(0,))


# S11: once refused, for ever refused


def test_s11_nothing_after_a_refusal(server: Server) -> None:
    """RFC 9112 9.6: good requests before are answered in order, the bad one is refused, nothing after it is."""
    bad = b"GET /text HTTP/1.1\r\n" + HOST + b"Bad Name: 1\r\n\r\n"
    for piece in (0, 1, 7):
        with server.connect() as client:
            client.send(request("GET", "/text") + request("GET", "/json") + bad + SMUGGLED * 3, piece)
            found = client.answers()
            assert not client.reset
            assert [answer.status for answer in found] == [200, 200, 400]
            assert found[-1].closes
            assert not found[0].closes


def test_s11_slow_smuggler(server: Server) -> None:
    """What comes after the refusal, when it has been answered already, is not read as a request either."""
    with server.connect() as client:
        client.send(b"GET /text HTTP/1.1\r\n" + HOST + b"Bad Name: 1\r\n\r\n")
        answer = client.answer()
        assert answer.status == 400
        client.send(SMUGGLED)
        assert client.drain() == b""
