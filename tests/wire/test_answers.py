"""What comes back: rows H9 to H12, H14, L13, L14, I1 to I3, I10, I11, I14, and what becomes of exceptions."""

from __future__ import annotations

import datetime
import email.utils
import json
import time
from urllib.parse import quote, quote_from_bytes

import pytest
from support.wire_client import Answer, Ended, request
from support.wire_server import SMUGGLED, Server, served, wait_until


def ask(server: Server, target: str, *lines: str, method: str = "GET", body: bytes = b"") -> Answer:
    """Return the answer on a connection of its own, after checking that the connection goes on or says that it does not."""
    return served(server, request(method, target, *lines, body=body), [method], pieces=(0,))[0]


def post(server: Server, target: str, body: bytes, content_type: str) -> Answer:
    return ask(server, target, f"Content-Type: {content_type}", f"Content-Length: {len(body)}", method="POST", body=body)


# H9: no content


@pytest.mark.parametrize("path", ["/none", "/code/204", "/code/304", "/generated/204", "/generated/304"])
def test_h9_statuses_without_content(server: Server, path: str) -> None:
    """RFC 9110 6.4.1 and 8.6; the client here takes anything else for the next answer."""
    for method in ("GET", "HEAD"):
        answer = ask(server, path, method=method)
        assert answer.status in (204, 304)
        assert answer.value("transfer-encoding") is None
    with server.connect() as client:
        client.send(request("GET", path) * 3 + request("GET", "/text"))
        assert [client.answer().status for _ in range(3)] == [answer.status] * 3
        assert client.answer().text == "hello"


def test_h9_no_content_to_1_0(server: Server) -> None:
    with server.connect() as client:
        answer = client.get("/none", version="1.0")
        assert answer.status == 204
        client.expect_end()


# H10: Date


@pytest.mark.parametrize(
    ("target", "status"), [("/text", 200), ("/none", 204), ("/nowhere", 404), ("/generator", 200), ("/file", 200), ("/abort/403", 403)]
)
def test_h10_date(server: Server, target: str, status: int) -> None:
    """RFC 9110 6.6.1: on every answer of an origin server with a clock, in GMT, as IMF-fixdate."""
    answer = ask(server, target)
    assert answer.status == status
    text = answer.value("date")
    assert text is not None, "no Date"
    moment = email.utils.parsedate_to_datetime(text)
    assert abs((moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < 10
    assert email.utils.format_datetime(moment, usegmt=True) == text, "not an IMF-fixdate (RFC 9110 5.6.7)"


def test_h10_date_of_a_refusal(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET /text HTTP/1.1\r\n\r\n")
        answer = client.answer()
        assert answer.status == 400
        assert answer.value("date") is not None


# H11: connections


def test_h11_keep_alive(server: Server) -> None:
    """RFC 9112 9.3: one connection, many requests."""
    with server.connect() as client:
        for path, body in (("/text", "hello"), ("/sync", "sync"), ("/json", '{"answer": 42}'), ("/nowhere", "Not found")) * 5:
            answer = client.get(path)
            assert (answer.version, answer.text, answer.closes) == ("1.1", body, False)
        assert client.post("/echo", b"abc").body == b"abc"
        assert client.get("/generator").chunks == 5
        assert client.get("/text").text == "hello"


def test_h11_pipelining(server: Server) -> None:
    """RFC 9112 9.3.2: answers in the order of the requests, however long each takes."""
    expected = []
    message = b""
    for number in range(10):
        message += request("GET", f"/args?x={number}") + request("POST", "/echo", "Content-Length: 1", body=b"%d" % number)
        expected += [str(number)] * 2
    found = served(server, message, ["GET", "POST"] * 10, pieces=(0, 1, 7, 100))
    got = [json.loads(answer.body)["x"] if index % 2 == 0 else answer.text for index, answer in enumerate(found)]
    assert got == expected


def test_h11_pipelining_behind_a_slow_handler(server: Server) -> None:
    with server.connect() as client:
        client.send(request("GET", "/slow?s=0.3") + request("GET", "/text") + request("GET", "/generator") + request("GET", "/json"))
        assert client.answer().text == "slow"
        assert client.answer().text == "hello"
        assert client.answer().chunks == 5
        assert client.answer().text == '{"answer": 42}'


def test_h11_long_pipeline(server: Server) -> None:
    """Far more than one read of the socket holds."""
    count = 300
    with server.connect() as client:
        client.send(request("GET", "/text") * (count - 1) + request("GET", "/text", "Connection: close"))
        assert [answer.text for answer in client.answers()] == ["hello"] * count


def test_h11_the_body_of_one_request_is_not_the_next(server: Server) -> None:
    """A head, a body and the next head within one read."""
    message = request("POST", "/echo", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED) * 3
    found = served(server, message, ["POST"] * 3)
    assert [answer.body for answer in found] == [SMUGGLED] * 3


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close", "close, x", "x , CLOSE", "x,\tclose"])
def test_h11_client_closes(server: Server, value: str) -> None:
    """RFC 9112 9.6: the answer announces the close, and nothing after it is answered."""
    with server.connect() as client:
        client.send(request("GET", "/text", f"Connection: {value}") + SMUGGLED)
        answer = client.answer()
        assert (answer.text, answer.closes) == ("hello", True)
        client.expect_end()


def test_h11_close_in_a_second_field(server: Server) -> None:
    with server.connect() as client:
        client.send(request("GET", "/text", "Connection: x", "Connection: close"))
        assert client.answer().closes
        client.expect_end()


@pytest.mark.parametrize("value", ["keep-alive", "upgrade", "closed", "not-close", ""])
def test_h11_other_connection_options(server: Server, value: str) -> None:
    """Tokens, not substrings."""
    with server.connect() as client:
        for _ in range(2):
            answer = client.get("/text", f"Connection: {value}")
            assert (answer.text, answer.closes) == ("hello", False)


def test_h11_handler_closes(server: Server) -> None:
    """What the handler announces is done."""
    with server.connect() as client:
        client.send(request("GET", "/own-close") + SMUGGLED)
        answer = client.answer()
        assert (answer.text, answer.closes) == ("last", True)
        client.expect_end()


@pytest.mark.parametrize("target", ["/text", "/generator", "/iterator", "/file", "/none", "/nowhere", "/abort/500", "/sync"])
def test_h11_1_0(server: Server, target: str) -> None:
    """Contract 24 and RFC 9112 9.3: the answer's line says 1.0, nothing is chunked, and the connection ends."""
    with server.connect() as client:
        client.send(request("GET", target, version="1.0") + SMUGGLED)
        answer = client.answer()
        assert (answer.version, answer.chunks, answer.complete) == ("1.0", 0, True)
        client.expect_end()


def test_h11_1_0_keep_alive(server: Server) -> None:
    """Answered and closed, or kept and said so."""
    with server.connect() as client:
        answer = client.get("/text", "Connection: keep-alive", version="1.0")
        assert answer.text == "hello"
        if answer.closes:
            client.expect_end()
        else:
            assert client.get("/text", version="1.0").text == "hello"


def test_h11_1_0_stream_has_all_of_the_body(server: Server) -> None:
    with server.connect() as client:
        answer = client.get("/generator?n=50&size=100", version="1.0")
        assert len(answer.body) == 5000


@pytest.mark.parametrize("target", ["/generator", "/iterator", "/generator-empty-parts", "/generator?n=0", "/iterator?n=0"])
def test_h11_chunked_answers(server: Server, target: str) -> None:
    """RFC 9112 7.1: chunked when the length is unknown, the connection goes on, an empty piece is no end."""
    answer = ask(server, target)
    assert answer.complete
    if "n=0" in target:
        assert answer.body == b""
    elif "empty" in target:
        assert answer.body == b"onetwo"
    else:
        assert (len(answer.body), answer.chunks) == (50, 5)


@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 200_000])
def test_h11_sizes(server: Server, size: int) -> None:
    answer = ask(server, f"/big?n={size}")
    assert (answer.value("content-length"), len(answer.body)) == (str(size), size)


@pytest.mark.parametrize(("body", "says"), [(3, 2), (3, 10), (3, 0), (0, 5), (3, 3)])
@pytest.mark.parametrize("path", ["/own-length", "/own-length-stream"])
def test_h11_a_handlers_own_length(server: Server, path: str, body: int, says: int) -> None:
    """RFC 9110 8.6: a wrong Content-Length must not let the next answer begin in the middle of this one.

    The contract (4.3) leaves a program its Content-Length. So a short body ends the connection, a long one is cut, sent
    with its own length, or an error.
    """
    with server.connect() as client:
        client.send(request("GET", f"{path}?body={body}&says={says}") + request("GET", "/text", "Connection: close"))
        try:
            first = client.answer()
        except Ended:
            assert says > body, "closed without an answer"
            return
        if says == body:
            assert (first.status, first.body, first.complete) == (200, b"x" * body if path == "/own-length" else b"a" * body, True)
        if first.status == 200 and first.value("content-length") == str(says):
            assert first.complete == (says <= body)
        rest = client.answers() if first.complete else []
        assert [answer.text for answer in rest] in ([], ["hello"])


# H12: lengths of files and to HEAD


def test_h12_file(server: Server) -> None:
    """A file has a length."""
    content = server.bench.file.read_bytes()
    answer = ask(server, "/file")
    assert (answer.value("content-type"), answer.value("content-length")) == ("text/plain", str(len(content)))
    assert answer.body == content


@pytest.mark.parametrize("target", ["/text", "/json", "/html", "/file", "/big?n=5000", "/nowhere", "/abort/418?m=head", "/sync"])
def test_h12_head(server: Server, target: str) -> None:
    """RFC 9110 9.3.2: the same fields as for GET, and no content."""
    head = ask(server, target, method="HEAD")
    get = ask(server, target)
    assert head.status == get.status
    for name in ("content-length", "content-type"):
        assert head.value(name) == get.value(name)
    assert get.value("content-length") == str(len(get.body))


@pytest.mark.parametrize("target", ["/iterator?id=head", "/endless?id=head", "/quiet?id=head", "/file-stream?id=head"])
def test_h12_l13_head_of_a_stream(server: Server, target: str) -> None:
    """No content, no wait, and the iterator or file is closed."""
    before = server.counted("closed-head")
    begun = time.monotonic()
    answer = ask(server, target, method="HEAD")
    assert (answer.status, time.monotonic() - begun < 3) == (200, True)
    assert wait_until(lambda: server.counted("closed-head") == before + 1, 3)


# H14: errors


def test_h14_refusal_is_readable(server: Server) -> None:
    """RFC 9112 9.6: the client goes on sending for a while; the answer must not be lost to a reset."""
    with server.connect() as client:
        more = 16_000 if server.on_micropython else 200_000
        client.send(b"GET /text HTTP/1.1\r\nBad Name: 1\r\nHost: x\r\n\r\n" + b"x" * more)
        answer = client.answer()
        assert (answer.status, answer.text) == (400, "Bad request")
        client.expect_end()


def test_h14_server_closes_by_itself(server: Server) -> None:
    """It does not wait for a client that has been refused and stays."""
    for message in (b"nonsense\r\n\r\n", b"GET /text HTTP/1.1\r\nBad Name: 1\r\nHost: x\r\n\r\n" + b"x" * 5000):
        with server.connect() as client:
            client.send(message)
            begun = time.monotonic()
            assert client.answer().status == 400
            client.expect_end(by_itself=True)
            assert time.monotonic() - begun < 5


def test_h14_slow_sender_sees_the_refusal(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET /text HTTP/1.1\r\nBad Name: 1\r\n\r\n")
        for _ in range(5):
            time.sleep(0.05)
            client.send(b"more" * 100)
        assert client.answer().status == 400
        client.expect_end()


def test_h14_default_texts(server: Server) -> None:
    """Contract 7.5, on the wire."""
    for target, status, text in (("/nowhere", 404, "Not found"), ("/abort/500", 500, "500 error"), ("/abort/410", 410, "410 error")):
        answer = ask(server, target)
        assert (answer.status, answer.text, answer.value("content-type")) == (status, text, "text/plain; charset=UTF-8")
    answer = ask(server, "/boom/handler?m=text")
    assert (answer.status, answer.text) == (500, "Internal server error")


# L13: a client that has gone


def test_l13_vanished_client(server: Server) -> None:
    """Whoever streams learns within three seconds that nobody listens, and the done hook runs once."""
    names = []
    clients = []
    for how in ("fin", "reset"):
        for path in ("/ticks", "/endless", "/quiet", "/endless-generator"):
            names.append(f"gone{path.replace('/', '-')}-{how}")
            client = server.connect()
            clients.append(client)
            client.send(request("GET", f"{path}?id={names[-1]}"))
            assert client.head().status == 200
            assert client.received or client._more()
    for name, client in zip(names, clients):
        if name.endswith("fin"):
            client.close()
        else:
            client.abort()

    def ended() -> dict[str, tuple[int, int]]:
        counts = server.status()["counts"]
        return {name: (counts.get(f"closed-{name}", 0), counts.get(f"done-{name}", 0)) for name in names}

    wanted = dict.fromkeys(names, (1, 1))
    wait_until(lambda: ended() == wanted, 4)
    assert ended() == wanted, "how often each iterator was closed, and the done hook ran"
    given = [server.counted(f"given-{name}") for name in names]
    time.sleep(0.25)
    assert [server.counted(f"given-{name}") for name in names] == given, "an iterator goes on"
    assert ended() == wanted
    assert "Traceback" not in server.said(), "a vanished client is not an error"


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_l13_vanished_before_the_answer(server: Server, how: str) -> None:
    """Not an error either: nothing is printed, and the server goes on."""
    for target in ("/slow?s=0.2", "/big?n=200000", "/text", "/file", "/generator?n=1000&size=1000"):
        client = server.connect()
        client.send(request("GET", target) * 3)
        if how == "fin":
            client.close()
        else:
            client.abort()
    time.sleep(0.3)
    assert server.get("/text").text == "hello"
    assert "Traceback" not in server.said()


def test_l13_vanished_within_head_or_body(server: Server) -> None:
    for message in (b"GE", b"GET /text HTTP/1.1\r\nHo", request("POST", "/echo", "Content-Length: 10", body=b"hel"),
                    request("POST", "/stream", "Transfer-Encoding: chunked", body=b"5\r\nhel")):  # fmt: skip
        for abort in (False, True):
            client = server.connect()
            client.send(message)
            if abort:
                client.abort()
            else:
                client.close()
    time.sleep(0.3)
    assert server.get("/text").text == "hello"
    assert "Traceback" not in server.said()


def test_l13_a_finished_stream_is_closed_once(server: Server) -> None:
    """Contract 4.4: aclose() at the end."""
    before = server.counted("closed-whole")
    assert ask(server, "/iterator?id=whole").chunks == 5
    assert server.counted("closed-whole") == before + 1
    assert ask(server, "/file-stream?id=whole").body == b"f" * 3000
    assert server.counted("closed-whole") == before + 2


# L14 and the exceptions


@pytest.mark.parametrize("where", ["iterator-later", "generator-later", "iterator-type"])
def test_l14_exception_within_a_stream(server: Server, where: str) -> None:
    """RFC 9112 8: the last chunk is never sent; the client sees that the answer is not whole.

    What was made before the exception may have been sent or not; then 500 is an answer too.
    """
    for version in ("1.1", "1.0"):
        with server.connect() as client:
            client.send(request("GET", f"/boom/{where}?m=within-stream", version=version) + SMUGGLED)
            found = client.answers()
        assert len(found) <= 1, found
        for answer in found:
            if answer.status == 200:
                assert answer.body in (b"", b"n" * 10, b"n" * 20, b"g" * 10, b"g" * 20, b"one")
                assert version == "1.0" or not answer.complete, "the end of the body was announced"
            else:
                assert answer.status == 500


def test_l14_pieces_before_the_exception_arrive(server: Server) -> None:
    """A piece is sent when it was made, also when the next one fails a second later."""
    with server.connect() as client:
        client.send(request("GET", "/boom/iterator-late?m=late"))
        begun = time.monotonic()
        assert client.head().status == 200
        assert client.received or client._more()
        assert time.monotonic() - begun < 0.5, "the piece was held back"
        assert not client.drain().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("where", ["iterator-first", "generator-first", "body-type"])
def test_l14_exception_before_the_first_piece(server: Server, where: str) -> None:
    """500, or a connection that ends before the body does."""
    with server.connect() as client:
        client.send(request("GET", f"/boom/{where}?m=first-piece") + SMUGGLED[:0])
        client.end()
        found = client.answers()
    assert len(found) <= 1
    assert all(answer.status == 500 or not answer.complete for answer in found), found


FAILURES = {
    "handler": 500,
    "before": 500,
    "after": 500,
    "after-own": 500,
    "admit": 500,
    "error-hook": None,
    "error-handler": 500,
    "class-handler": 500,
    "os-error": 500,
    "not-found": 500,
    "reset": None,
    "timeout": 500,
    "eof": 500,
    "stop-async-iteration": 500,
    "memory": None,
    "return-type": None,
}


@pytest.mark.parametrize(("where", "status"), FAILURES.items(), ids=FAILURES)
def test_every_exception_is_answered(server: Server, where: str, status: int | None) -> None:
    """Whatever raises: an answer or a closed connection, one traceback, and the server goes on."""
    message = f"marker-{where}-x"
    with server.connect() as client:
        client.send(request("GET", f"/boom/{where}?m={message}"))
        client.end()
        found = client.answers()
    assert len(found) <= 1
    if status is not None:
        assert [answer.status for answer in found] == [status]
        assert found[0].text == "Internal server error"
        assert message not in found[0].text
    elif found:
        assert found[0].status in (500, 503, 406)
    if where not in ("return-type", "class-handler"):
        printed = server.said().count(message)
        assert printed == 1, f"the traceback was printed {printed} times"


def test_exception_of_the_done_hook(server: Server) -> None:
    """It comes after the answer, so the answer stands; the next request is served."""
    with server.connect() as client:
        client.send(request("GET", "/boom/done?m=marker-done"))
        assert client.answer().status == 200
    assert wait_until(lambda: server.said().count("marker-done") == 1, 3)
    assert server.get("/text").text == "hello"


def test_exception_that_is_handled(server: Server) -> None:
    answer = ask(server, "/boom/handled?m=x")
    assert (answer.status, answer.text) == (409, "handled")


@pytest.mark.parametrize("target", ["/boom-converter/1", "/boom/aclose?m=x", "/boom/recursion?m=x", "/boom-sync/plain?m=x",
                                    "/boom-sync/stop-iteration?m=x", "/boom-sync/cancelled?m=x", "/boom/cancelled?m=x"])  # fmt: skip
def test_exceptions_at_odd_places(server: Server, target: str) -> None:
    """An answer or a closed connection, in time, on this connection and on others."""
    for _ in range(3):
        with server.connect(timeout=5) as client:
            client.send(request("GET", target))
            client.end()
            found = client.answers()
        assert len(found) <= 1
        assert all(answer.status in (500, 404, 200) for answer in found), found
        assert server.get("/text").text == "hello"


# I1 to I3: what a program sets must not break out of its place

INJECTED = "\r\nX-Injected: 1"
PLACES = ["value", "response-value", "later", "name", "reason", "type", "file-type", "list", "stream", "redirect", "after",
          "cookie-value", "cookie-name", "cookie-path", "cookie-domain", "cookie-expires"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", [INJECTED, "\nX-Injected: 1", "\rX-Injected: 1", "\r\n\r\nbody", "\x00"], ids=["crlf", "lf", "cr", "end", "nul"])
def test_i1_header_injection(server: Server, place: str, text: str) -> None:
    """CWE-113: refused where it is set, so the request fails with 500; nothing of it reaches the wire."""
    target = f"/inject/{place}?v={quote('a' + text)}"
    answer = ask(server, target)
    assert answer.value("x-injected") is None
    assert answer.status == 500, answer
    assert b"X-Injected" not in answer.head
    assert answer.text == "Internal server error"


@pytest.mark.parametrize("name", ["a b", "a:b", "", "a(b", "a/b", "\u00e9"])
def test_i1_header_names_are_tokens(server: Server, name: str) -> None:
    """RFC 9110 5.1; the client refuses an answer whose names are not tokens."""
    assert ask(server, f"/inject/name?v={quote(name)}").status == 500


@pytest.mark.parametrize("value", ["caf\u00e9", "\u20ac", "\U0001f600"])
@pytest.mark.parametrize("place", ["value", "reason", "type"])
def test_i1_text_beyond_ascii(server: Server, place: str, value: str) -> None:
    """Encoded somehow or refused: the answer is well formed, and the connection goes on or says that it does not."""
    assert ask(server, f"/inject/{place}?v={quote(value)}").status in (200, 500)


@pytest.mark.parametrize("place", ["cookie-path", "cookie-domain", "cookie-name", "cookie-expires", "cookie-value"])
def test_i2_cookie_attributes(server: Server, place: str) -> None:
    """RFC 6265 4.1.1: a semicolon would begin an attribute of its own."""
    answer = ask(server, f"/inject/{place}?v={quote('a; Domain=evil.example')}")
    assert answer.status == 500
    assert answer.value("set-cookie") is None


def test_i2_a_cookie_that_would_not_be_taken_back(server: Server) -> None:
    """A browser sends it with every further request: each would be answered 431, a logout too."""
    cookie = str(ask(server, "/cookie/2030").value("set-cookie"))
    assert ask(server, "/text", "Cookie: " + cookie).status == 200
    answer = ask(server, "/cookie/2039")
    assert (answer.status, answer.value("set-cookie")) == (500, None)
    assert "cookie: too long for Request.max_readline" in server.output()


def test_i2_good_cookies(server: Server) -> None:
    assert ask(server, "/inject/cookie-path?v=/a").value("set-cookie") == "c=v; Path=/a"
    assert ask(server, "/inject/cookie-value?v=x%3dy").value("set-cookie") == "c=x=y"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/plain?a=b&c=d#e", "/plain?a=b&c=d#e"),
        ("/caf\u00e9", "/caf%C3%A9"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("https://example.com/\u20ac?x=\u00e9", "https://example.com/%E2%82%AC?x=%C3%A9"),
        ("/\U0001f600", "/%F0%9F%98%80"),
    ],
)
def test_i3_location_is_ascii(server: Server, location: str, expected: str) -> None:
    """RFC 9110 10.2.2 and RFC 3986 2.1; what is encoded already is left alone."""
    answer = ask(server, f"/inject/redirect?v={quote(location)}")
    assert answer.status == 302
    assert answer.value("location") == expected


# I10, I11: what is in a body


@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b'{"a": }', b"[1, 2", b'"open', b"\xff\xfe", b'{"a": "\xff"}', b"{'a': 1}", b"", b"\x00", b"tru"],
)
def test_i10_malformed_json(server: Server, body: bytes) -> None:
    """The client's mistake, so 400 and not 500. An empty body may count as no JSON at all."""
    answer = post(server, "/json-here", body, "application/json")
    assert answer.status == 400 or (not body and answer.text == '{"is-json": false}') or _board_takes(server, body), answer


def _board_takes(server: Server, body: bytes) -> bool:
    """MicroPython's own parser takes some of what RFC 8259 refuses, such as a text that ends early; the answer is 200 then."""
    return server.on_micropython and body in (b"{", b"[1, 2", b"{'a': 1}", b"\x00", b'{"a": "\xff"}', b"tru", b'{"a": }')


@pytest.mark.parametrize(
    "body",
    [b"[" * 8000, b"[" * 8000 + b"]" * 8000, b'{"a":' * 2500, b"1" * 9000, b"-" + b"9" * 9000, b"1e" + b"9" * 400, b"1." + b"1" * 9000],
    ids=["open", "deep", "deep-object", "huge", "huge-negative", "huge-exponent", "long-fraction"],
)
def test_i10_json_bombs(server: Server, body: bytes) -> None:
    """CWE-674: refused or read; no failure of the server, no crash."""
    answer = post(server, "/json-here", body, "application/json")
    assert answer.status in (200, 400, 413), answer


@pytest.mark.parametrize("body", [b"a=%ff", b"a=%zz", b"%", b"a=%", b"a=%e", b"\xff\xfe=1", b"a=\xe9", b"&&&", b"=", b"=&=", b"%00=%00"])
def test_i10_malformed_form(server: Server, body: bytes) -> None:
    answer = post(server, "/form", body, "application/x-www-form-urlencoded")
    assert answer.status in (200, 400), answer


@pytest.mark.parametrize("query", [b"x=%ff", b"x=%zz", b"x=%", b"%", b"&=&", b"x=%00", b"x=%c0%80", b"x=%ed%a0%80"])
def test_i10_malformed_query(server: Server, query: bytes) -> None:
    answer = ask(server, "/args?" + quote_from_bytes(query, safe="%=&"))
    assert answer.status in (200, 400), answer


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "APPLICATION/JSON; charset=utf-8", "application/json;charset=UTF-8", "application/json ; a=b"],
)
def test_i11_json_media_type(server: Server, content_type: str) -> None:
    """RFC 9110 8.3.1: media types are case-insensitive, and blanks may stand before the semicolon."""
    answer = post(server, "/json-body", b'{"a": [1, null]}', content_type)
    assert json.loads(answer.body) == {"json": {"a": [1, None]}}


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonx", "xapplication/json", "application", "", ";"])
def test_i11_other_media_types(server: Server, content_type: str) -> None:
    answer = post(server, "/json-body", b"{}", content_type)
    assert json.loads(answer.body) == {"json": None}


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"]
)
def test_i11_form(server: Server, content_type: str) -> None:
    """A key without `=` has a text for its value, as in queries."""
    answer = post(server, "/form", b"a=1&bare&c=%C3%A9+x&=", content_type)
    found = json.loads(answer.body)
    assert found["form"] == {"a": "1", "bare": "", "c": "\u00e9 x", "": ""}
    assert all(found["text"])


# I14: error pages

MARKUP = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "target", [f"/{MARKUP}", f"/nowhere?{MARKUP}", f"/item/{MARKUP}/x", f"/text{MARKUP}", f"/boom/handler?m={MARKUP}", f"/boom-sync/x?m={MARKUP}"]
)
def test_i14_error_pages(server: Server, target: str) -> None:
    """CWE-79 and CWE-209: no text of the client, no text of the exception, and no HTML."""
    answer = ask(server, quote(target, safe="/?=<>()"))
    assert answer.status in (404, 500)
    assert answer.value("content-type") == "text/plain; charset=UTF-8"
    assert "script" not in answer.text
    assert "ValueError" not in answer.text


def test_i14_refusals(server: Server) -> None:
    """The same for what never became a request."""
    for message in (f"GET /{MARKUP} x HTTP/1.1\r\n", f"GET / HTTP/1.1\r\n{MARKUP}: 1\r\n", f"{MARKUP} / HTTP/1.1\r\n"):
        with server.connect() as client:
            client.send(message.encode() + b"\r\n")
            answer = client.answer()
            assert answer.status == 400
            assert "script" not in answer.text
            assert str(answer.value("content-type")).startswith("text/plain")
