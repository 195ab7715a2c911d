"""A board: the .mpy tree, few kilobytes, 32 bits. Rows L11 and L16."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from support.wire_client import request
from support.wire_server import Server, wait_until

Launch = Callable[..., Server]


def crowd_of_silent_clients(server: Server, number: int) -> None:
    """Open connections that say nothing, look whether others are served, and let go."""
    with ExitStack() as stack:
        for _ in range(number):
            silent = stack.enter_context(socket.socket())
            silent.setblocking(False)
            silent.connect_ex(("127.0.0.1", server.port))  # taken or put off
        time.sleep(0.8)
        assert server.alive, server.output()
        answer = server.get("/text")
        assert (answer.status, answer.text) == (200, "hello")
    for _ in range(20):
        assert server.get("/text").text == "hello"
    server.healthy()


def test_l11_30_silent_connections_80_kb_heap(launch: Launch) -> None:
    server = launch("micropython", "hello.py", heap="80k")
    assert server.get("/text").text == "hello"
    crowd_of_silent_clients(server, 30)
    crowd_of_silent_clients(server, 30)


@pytest.mark.parametrize("heap", ["48k", "80k"])
def test_32_bit_hello_and_a_bad_request(launch: Launch, heap: str) -> None:
    """The build that has the word size of boards, with the files that boards get."""
    server = launch("micropython32", "hello.py", heap=heap)
    with server.connect() as client:
        assert client.get("/text").text == "hello"
        assert client.get("/text").text == "hello"
    with server.connect() as client:
        client.send(b"GET /text HTTP/1.1\r\nBad Name: 1\r\n\r\n")
        answer = client.answer()
        assert (answer.status, answer.text) == (400, "Bad request")
        client.expect_end()
    assert server.get("/nowhere").status == 404
    with server.connect() as client:
        client.send(request("POST", "/text", "Content-Length: 99999999999999"))
        assert client.answer().status in (400, 413)
    assert server.get("/text").text == "hello"
    server.healthy()


def test_32_bit_30_silent_connections(launch: Launch) -> None:
    crowd_of_silent_clients(launch("micropython32", "hello.py", heap="80k"), 30)


@pytest.mark.parametrize("number", [2, 8, 20])
def test_l16_large_requests_on_a_small_heap(launch: Launch, number: int) -> None:
    """Several clients send what the limits allow; the heap does not hold it all. Refused or closed, and the server goes on."""
    server = launch("micropython", "hello.py", heap="80k")
    assert server.get("/text").text == "hello"
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(number)]
        for client in clients:
            client.send(request("POST", "/text", "Content-Length: 16384", body=b"x" * 16000))
        time.sleep(0.5)
        for client in clients:
            client.send(b"x" * 384)
        time.sleep(0.2)
        assert server.alive, server.output()
    # 503 while the last of them are being dealt with is an answer, too.
    assert wait_until(lambda: server.get("/text").status == 200, 3)
    for _ in range(10):
        assert server.get("/text").text == "hello"
    assert server.alive, server.output()


def test_l16_large_heads_on_a_small_heap(launch: Launch) -> None:
    server = launch("micropython", "hello.py", heap="64k")
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(server.connect())
            client.send(b"GET /text HTTP/1.1\r\nHost: x\r\n" + (b"X-Long: " + b"x" * 1000 + b"\r\n") * 3 + b"X: ")
        time.sleep(0.5)
        assert server.alive, server.output()
    assert wait_until(lambda: server.get("/text").status == 200, 3)
    for _ in range(10):
        assert server.get("/text").text == "hello"
    assert server.alive, server.output()
