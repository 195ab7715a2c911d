"""One `with_websocket`, imported from microdot.websocket, on every host that can carry WebSockets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from hosts.running import KINDS, Host
from support.wire_client import request
from support.wire_server import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

ABLE = [name for name, kind in KINDS.items() if kind.interface == "asgi" or name in ("native", "micropython")]
ABLE.append("gunicorn-threads")
able = pytest.mark.parametrize("host", ABLE, indirect=True)


def open_socket(host: Host, path: str, **settings: Any) -> ClientConnection:
    """Open a WebSocket."""
    address = f"ws://127.0.0.1:{host.port}{path}"
    ws: ClientConnection = connect(address, open_timeout=10, close_timeout=10, compression=None, proxy=None, **settings)
    return ws


@able
def test_echo(host: Host) -> None:
    with open_socket(host, "/echo") as ws:
        for message in ("hello", "", "ä\u20ac", b"\x00\xff", b"", "x" * 3000, b"y" * 3000):
            ws.send(message)
            assert ws.recv(10) == message


@able
def test_end_of_the_handler_closes(host: Host) -> None:
    with open_socket(host, "/bye", additional_headers={"Cookie": "name=you"}) as ws:
        assert ws.recv(10) == "bye you"
        with pytest.raises(ConnectionClosed):
            ws.recv(10)
        assert ws.close_code == 1000


@able
def test_codes_of_routes_that_upgrade_by_themselves(host: Host) -> None:
    for how, code in (("fails", 1011), ("aborts", 1008), ("returns", 1000)):
        with open_socket(host, "/ends/" + how) as ws:
            with pytest.raises(ConnectionClosed):
                ws.recv(10)
            assert ws.close_code == code, how
            assert ws.close_reason == ("not you" if how == "aborts" else ""), how


@able
def test_handler_ends_when_the_client_closes(host: Host) -> None:
    with open_socket(host, "/wait/close-" + host.kind.name) as ws:
        assert ws.recv(10) == "ready"
    assert wait_until(lambda: host.counts().get("closed-close-" + host.kind.name) == 1, 5), host.counts()


@able
def test_the_clients_close_is_answered(host: Host) -> None:
    """RFC 6455 5.5.1: with the code that it gave."""
    with open_socket(host, "/echo") as ws:
        ws.send("hello")
        assert ws.recv(10) == "hello"
        ws.close(4001)
        assert ws.close_code == 4001 and ws.protocol.close_rcvd is not None


@able
def test_handler_ends_when_the_client_vanishes(host: Host) -> None:
    with open_socket(host, "/wait/vanish-" + host.kind.name) as ws:
        assert ws.recv(10) == "ready"
        ws.socket.shutdown(socket.SHUT_RDWR)  # no Close frame
    assert wait_until(lambda: host.counts().get("closed-vanish-" + host.kind.name) == 1, 10), host.counts()


@able
@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/forbidden", 403), ("/", 200)])
def test_refused(host: Host, path: str, status: int) -> None:
    """A path without a WebSocket gives an answer, never silence; a server that cannot send it says 403."""
    with pytest.raises(InvalidStatus) as caught, open_socket(host, path):
        pass
    assert caught.value.response.status_code in (status, 403)


@pytest.mark.parametrize("host", ["waitress", "granian-wsgi", "wsgiref"], indirect=True)
def test_unable(host: Host) -> None:
    """A WSGI server that keeps its socket cannot carry a WebSocket, and the answer says so."""
    lines = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Upgrade: websocket")
    with host.connect() as client:
        client.send(request("GET", "/echo", "Connection: Upgrade, close", *lines))
        answer = client.answer()
    # waitress knows no upgrades and takes these headers away: then it is no handshake.
    assert answer.status in (501, 400), answer
    if answer.status == 501:
        assert b"WebSockets need a server that gives its socket away" in answer.body


def test_names_come_from_the_websocket_package(launch: Callable[..., Host]) -> None:
    """`microdot.asgi` and `microdot.wsgi` offer the names of contract 18.2 and 1.3."""
    import microdot.asgi
    import microdot.websocket
    import microdot.wsgi

    for module in (microdot.asgi, microdot.wsgi):
        for name in ("WebSocket", "websocket_upgrade", "with_websocket"):
            assert getattr(module, name) is getattr(microdot.websocket, name)
        with pytest.raises(AttributeError):
            module.nothing_of_the_kind  # noqa: B018
