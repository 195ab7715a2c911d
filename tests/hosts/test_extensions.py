"""Extension packages on every host, as on the native server."""

from __future__ import annotations

import json

import pytest
from hosts.running import KINDS, Host, read_until
from support.wire_client import Answer, request
from support.wire_server import wait_until

WIRED = [name for name in KINDS if name != "test-client"]
FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\n%s\r\n--XX--\r\n'
)
FORM_TYPE = ("Content-Type: multipart/form-data; boundary=XX",)


def cookie(answer: Answer) -> str:
    """Return the first cookie of an answer as a request sends it."""
    return "Cookie: " + answer.values("set-cookie")[0].split(";")[0]


def test_session(host: Host) -> None:
    answer = host.ask("/session")
    assert json.loads(answer.body) == {"visits": 1} and "HttpOnly" in answer.values("set-cookie")[0]
    answer = host.ask("/session", send=(cookie(answer),))
    assert json.loads(answer.body) == {"visits": 2}
    assert json.loads(host.ask("/session", send=("Cookie: session=forged",)).body) == {"visits": 1}
    assert answer.value("vary") == "Cookie"


def test_events(host: Host) -> None:
    answer = host.ask("/events")
    assert answer.value("content-type") == "text/event-stream"
    expected = "".join(f'event: count\nid: {number}\ndata: {{"number": {number}}}\n\n' for number in range(3))
    assert answer.body.decode() == expected
    assert host.ask("/events", "HEAD").body == b""


@pytest.mark.parametrize("host", WIRED, indirect=True)
def test_events_end_when_the_client_goes(host: Host) -> None:
    name = "events-" + host.kind.name
    with host.connect() as client:
        client.send(request("GET", "/endless-events/" + name))
        assert client.head().status == 200
        read_until(client, b"tick")
    assert wait_until(lambda: host.counts().get("closed-" + name) == 1, 5), host.counts()


@pytest.mark.parametrize("size", [0, 257, 3000, 20000])
def test_upload(host: Host, size: int) -> None:
    """Loaded, and streamed; of a size at which a boundary lies across two reads."""
    answer = host.ask("/upload", "POST", FORM_TYPE, FORM % (b"x" * size))
    assert json.loads(answer.body) == {"name": "f.bin", "size": size, "field": "value"}, answer
    answer = host.ask("/upload-parts", "POST", FORM_TYPE, FORM % (b"x" * size))
    assert json.loads(answer.body) == [["field", "value"], ["file", size]], answer


def test_broken_upload(host: Host) -> None:
    assert host.ask("/upload", "POST", FORM_TYPE, FORM[:100]).status == 400


def test_static(host: Host) -> None:
    answer = host.ask("/static/file.txt")
    assert (answer.status, len(answer.body)) == (200, 5000), answer
    assert (answer.value("content-type") or "").startswith("text/plain")
    tag = answer.value("etag")
    assert tag
    assert host.ask("/static/file.txt", send=(f"If-None-Match: {tag}",)).status == 304
    answer = host.ask("/static/file.txt", send=("Range: bytes=10-14",))
    assert (answer.status, answer.body, answer.value("content-range")) == (206, b"01234", "bytes 10-14/5000")
    answer = host.ask("/static/file.txt", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    for path in ("/static/nothing", "/static/..%2f..%2fetc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/static/a%00b"):
        assert host.ask(path).status in (400, 404), path


def test_cors(host: Host) -> None:
    answer = host.ask("/", send=("Origin: https://friend.example",))
    assert answer.value("access-control-allow-origin") == "https://friend.example"
    assert host.ask("/", send=("Origin: https://other.example",)).value("access-control-allow-origin") is None
    preflight = ("Origin: https://friend.example", "Access-Control-Request-Method: POST")
    answer = host.ask("/body", "OPTIONS", preflight)
    assert answer.status in (200, 204) and "POST" in (answer.value("access-control-allow-methods") or ""), answer.fields


def test_csrf(host: Host) -> None:
    assert host.ask("/protected", "POST", ("Sec-Fetch-Site: cross-site",)).status == 403
    answer = host.ask("/protected", "POST", ("Sec-Fetch-Site: same-origin",))
    assert (answer.status, answer.body) == (200, b"from our own page")


def test_auth(host: Host) -> None:
    answer = host.ask("/basic")
    assert answer.status == 401 and (answer.value("www-authenticate") or "").startswith("Basic"), answer.fields
    assert host.ask("/basic", send=("Authorization: Basic bWU6c2VjcmV0",)).body == b"me"  # me:secret
    assert host.ask("/token", send=("Authorization: Bearer wrong",)).status == 401
    assert host.ask("/token", send=("Authorization: Bearer secret",)).body == b"token"


def test_login(host: Host) -> None:
    answer = host.ask("/members")
    assert answer.status == 302 and (answer.value("location") or "").startswith("/login?next=")
    answer = host.ask("/login", "POST")
    assert answer.status == 302
    assert host.ask("/members", send=(cookie(answer),)).body == b"somebody"
