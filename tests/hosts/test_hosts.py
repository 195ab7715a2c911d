"""The same requests to the same application on every host: native servers, test client, ASGI and WSGI servers.

docs/hosts.md has a table of what differs; each row of it is a test here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import httpx
import pytest
from hosts.running import KINDS, Host, read_until
from hosts.table import ROWS, Row
from support.wire_client import Answer, request
from support.wire_server import COMPLAINTS, wait_until

WIRED = [name for name in KINDS if name != "test-client"]
ASYNC = [name for name in WIRED if KINDS[name].interface != "wsgi"]
wired = pytest.mark.parametrize("host", WIRED, indirect=True)


def compare(row: Row, answer: Answer) -> None:
    """Check an answer."""
    where = f"{row.name}: {row.method} {row.path}: {answer} {answer.fields}"
    assert answer.status == row.status, where
    if row.body is not None:
        assert answer.body == row.body, where
    for name, value in row.header.items():
        found = answer.values(name)
        assert ("|".join(found) if found else None) == value, f"{name}: {found} in {where}"
    if isinstance(row.json, dict):
        body = json.loads(answer.body)
        for name, value in row.json.items():
            assert body[name] == value, where
    elif row.json is not None:
        assert json.loads(answer.body) == row.json, where


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_row(host: Host, row: Row) -> None:
    if row.wire and host.kind.name == "test-client":
        return  # it cannot be said to it
    answer = host.ask(row.path, row.method, row.send, row.content, row.chunked)
    for name in (host.kind.interface, host.kind.name):
        row = dataclasses.replace(row, **row.but.get(name, {}))
    compare(row, answer)


@pytest.mark.parametrize("host", [name for name in WIRED if KINDS[name].interface != "native"], indirect=True)
def test_upgrade_to_another_protocol(host: Host) -> None:
    """Only hosts that own the socket can switch to a protocol of the handler's; others say so."""
    if host.kind.name.startswith("gunicorn"):
        with host.connect() as client:
            client.send(request("GET", "/upgrade"))
            assert (client.head().status, client.drain()) == (101, b"")
    else:
        answer = host.ask("/upgrade")
        assert answer.status == 501 and b"server" in answer.body, answer


# Streams, and clients that go


def stream_then_go(host: Host, path: str) -> None:
    """Take the beginning of a stream, and vanish."""
    with host.connect() as client:
        client.send(request("GET", path))
        head = client.head()
        assert head.status == 200, head
        read_until(client, b"tick")
        client.abort()


def counted(host: Host, name: str) -> bool:
    return wait_until(lambda: host.counts().get(name, 0) == 1, 5)


@wired
def test_stream_ends_when_the_client_goes(host: Host) -> None:
    stream_then_go(host, "/for-ever/" + host.kind.name + "?counted")
    assert counted(host, "closed-" + host.kind.name), host.counts()
    assert counted(host, "done-/for-ever/" + host.kind.name + "-early"), host.counts()


@pytest.mark.parametrize("host", ASYNC, indirect=True)
def test_quiet_stream_ends_when_the_client_goes(host: Host) -> None:
    """A producer that waits is cancelled: under WSGI nobody tells that the client has gone."""
    name = "quiet-" + host.kind.name
    stream_then_go(host, "/quiet/" + name)
    assert counted(host, "closed-" + name), host.counts()


@pytest.mark.parametrize("host", [name for name in WIRED if name != "granian-wsgi"], indirect=True)
def test_broken_stream_does_not_look_whole(host: Host) -> None:
    with host.connect() as client:
        client.send(request("GET", "/broken-stream", "Connection: close"))
        answer = client.answer()
    assert answer.body in (b"first", b""), answer
    # HTTP/1.0 ends every stream by closing the connection: there is nothing to tell a whole one by.
    assert not answer.complete or answer.version == "1.0", answer


def test_done_hook_runs_once(host: Host) -> None:
    before = host.counts().get("done-/json", 0)
    for method in ("GET", "HEAD", "POST"):
        host.ask("/json?counted", method)
    assert wait_until(lambda: host.counts().get("done-/json", 0) == before + 3, 2), host.counts()


@wired
def test_200_at_once(host: Host) -> None:
    """Every client gets the answer to its own request, whatever runs beside it."""
    cap = 8 if host.kind.board else 200  # a board has room for eight connections
    clients = []
    for number in range(cap):
        client = host.connect()
        clients.append(client)
        path = f"/job{'-plain' if number % 3 == 0 else ''}/{number}"
        body = b"x" * number if number % 2 else b""
        client.send(
            request("POST" if body else "GET", path, "Connection: close", f"Content-Length: {len(body)}", body=body)
        )
    for number, client in enumerate(clients):
        answer = client.answer()
        path = f"/job{'-plain' if number % 3 == 0 else ''}/{number}"
        assert answer.status == 200, answer
        assert json.loads(answer.body) == [number, number, path, "x" * number if number % 2 else ""]
        client.close()


@pytest.mark.parametrize("host", ["hypercorn"], indirect=True)
def test_http_2(host: Host) -> None:
    """Bodies have no length there, cookies come apart, and nothing of a connection may stand in an answer."""
    with httpx.Client(http1=False, http2=True, base_url=f"http://127.0.0.1:{host.port}", trust_env=False) as client:
        answer = client.get("/request/a%2Fb?x=1")
        assert answer.http_version == "HTTP/2" and answer.json()["path"] == "/request/a%2Fb"
        assert client.get("/cookies", headers=[("Cookie", "a=1"), ("Cookie", "b=2")]).json() == {"a": "1", "b": "2"}
        for size, status in ((10, 200), (30000, 200), (60000, 413)):

            def pieces(size: int = size) -> Iterator[bytes]:
                for _ in range(0, size, 1000):
                    yield b"x" * min(size, 1000)

            answer = client.post("/stream", content=pieces())
            assert answer.status_code == status, (size, answer.text)
        assert client.get("/slowly").content == b"tick\n" * 3
        assert client.get("/tuple").status_code == 410
        assert client.head("/json").headers["content-length"] == "14"


@wired
def test_nothing_was_lost_track_of(host: Host) -> None:
    """Runs last: what CPython's own machinery complains about was printed by none of the tests above."""
    for complaint in COMPLAINTS:
        assert complaint not in host.output(), host.output()[-4000:]
