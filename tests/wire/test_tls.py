"""TLS by `ssl=` on both runtimes: PEM files on CPython, DER files on MicroPython."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack

from support.wire_client import chunked, request
from support.wire_server import Server


def test_tls_scheme(tls_server: Server) -> None:
    """request.scheme is https."""
    answer = tls_server.get("/args?x=1")
    assert json.loads(answer.body)["scheme"] == "https"


def test_plain_scheme(server: Server) -> None:
    """And http without TLS."""
    assert json.loads(server.get("/args").body)["scheme"] == "http"


def test_tls_keep_alive_and_bodies(tls_server: Server) -> None:
    """All that works without TLS works with it: a few requests of each kind on one connection."""
    with tls_server.connect() as client:
        for _ in range(3):
            assert client.get("/text").text == "hello"
            assert client.post("/echo", b"x" * 16384).body == b"x" * 16384
            client.send(request("POST", "/stream", "Transfer-Encoding: chunked", body=chunked(b"abc", b"def")))
            assert client.answer().body == b"abcdef"
            assert client.get("/generator?n=20").chunks == 20
            assert client.get("/sync").text == "sync"
        assert len(client.get("/big?n=100000").body) == 100_000
        client.send(request("GET", "/text") * 5)
        assert [client.answer().text for _ in range(5)] == ["hello"] * 5
        client.send(b"bad\r\n\r\n")
        assert client.answer().status == 400
        assert client.drain() == b""


def test_tls_in_pieces(tls_server: Server) -> None:
    """Every byte in a TLS record of its own."""
    with tls_server.connect() as client:
        client.send(request("GET", "/args?x=pieces"), 1)
        assert json.loads(client.answer().body)["x"] == "pieces"


def test_tls_large_record_is_not_forgotten(tls_server: Server) -> None:
    """A record holds more than one read takes; the rest waits in the TLS layer, where no poll of the socket shows it."""
    with tls_server.connect() as client:
        client.send(request("POST", "/echo", "Content-Length: 5000", body=b"y" * 5000) + request("GET", "/text") * 60)
        assert len(client.answer().body) == 5000
        assert [client.answer().text for _ in range(60)] == ["hello"] * 60


def test_tls_silent_clients_disturb_nobody(tls_server: Server) -> None:
    """A client that connects and does not shake hands costs no other client its answer."""
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(("127.0.0.1", tls_server.port), 5))
        half = stack.enter_context(socket.create_connection(("127.0.0.1", tls_server.port), 5))
        half.sendall(b"\x16\x03\x01\x02\x00")
        begun = time.monotonic()
        assert tls_server.get("/text").text == "hello"
        assert time.monotonic() - begun < 3


def test_tls_plain_http_is_not_answered(tls_server: Server) -> None:
    """A client that speaks plain HTTP to the port is turned away, and nothing more happens."""
    for message in (request("GET", "/text"), b"\x00" * 100, b"x" * 5000):
        with socket.create_connection(("127.0.0.1", tls_server.port), 10) as sock:
            sock.sendall(message)
            received = b""
            try:
                while data := sock.recv(1000):
                    received += data
            except ConnectionResetError:
                pass
            assert b"hello" not in received
    assert tls_server.get("/text").text == "hello"


def test_tls_vanished_clients(tls_server: Server) -> None:
    """In the handshake, in the request and in the answer."""
    for way in range(6):
        client = tls_server.connect()
        if way % 3 == 0:
            client.send(b"GET /te")
        elif way % 3 == 1:
            client.send(request("GET", f"/ticks?id=tls-{way}"))
            client.head()
        else:
            client.send(request("GET", "/big?n=100000"))
        if way < 3:
            client.close()
        else:
            client.abort()
        with socket.create_connection(("127.0.0.1", tls_server.port), 5) as sock:
            sock.sendall(b"\x16\x03\x01")
        assert tls_server.get("/text").text == "hello"
    end = time.monotonic() + 4
    while tls_server.counted("closed-tls-1") + tls_server.counted("closed-tls-4") < 2:
        assert time.monotonic() < end, "the stream to a vanished client goes on"
        time.sleep(0.1)
