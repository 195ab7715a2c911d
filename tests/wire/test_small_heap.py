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


def test_32_bit_options_load_nothing_for_good(launch: Launch) -> None:
    """A stranger's OPTIONS, 404, 405 or bad request leaves no module behind."""
    server = launch("micropython32", "scarce.py", heap="100k")
    with server.connect() as client:
        assert client.get("/modules").status == 200
    before = set(server.get("/modules").text.split())
    with server.connect() as client:
        client.send(request("OPTIONS", "/text", "Connection: close"))
        assert client.answer().value("allow") == "GET, HEAD, OPTIONS"
    assert server.get("/nowhere").status == 404
    with server.connect() as client:
        client.send(request("DELETE", "/text", "Connection: close"))
        answer = client.answer()
        assert (answer.status, answer.value("allow"), answer.text) == (405, "GET, HEAD, OPTIONS", "Not found")
    assert set(server.get("/modules").text.split()) <= before


@pytest.mark.parametrize("more", [("hooks",), ("handlers",), ("hooks", "handlers")])
def test_32_bit_what_the_program_loaded_stays(launch: Launch, more: "tuple[str, ...]") -> None:
    """Only what strangers make it load is let go, and what registers hooks, when all are registered."""
    server = launch("micropython32", "scarce.py", *more, heap="100k")
    for _ in range(2):
        loaded = server.get("/modules").text.split()
        assert "microdot.hooks" in loaded and "microdot.body" in loaded  # there is a route for POST
        assert not {"microdot.registry", "microdot.errors", "microdot.handlers"} & set(loaded)
        assert server.get("/nowhere").text == ("not found" if "handlers" in more else "Not found")
        if "hooks" in more:
            assert server.get("/local/fails").status == 500


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_32_bit_a_socket_that_cannot_be_registered(launch: Launch, number: int) -> None:
    """asyncio keeps the entry of a socket for which the poller had no room; it must not be deaf to it from then on."""
    server = launch("micropython32", "scarce.py", heap="100k")
    for _ in range(2):
        assert server.get(f"/deaf?n={number}").text == "deaf"
        for _ in range(4):
            try:
                server.get("/text")
            except (OSError, AssertionError):
                pass  # that one was not served
        for _ in range(3):
            assert server.get("/text").text == "hello"


def test_32_bit_a_full_heap_costs_no_place(launch: Launch) -> None:
    """Whatever fails for want of heap, the connection ends, its place is free, and the server goes on."""
    server = launch("micropython32", "scarce.py", heap="44k")
    messages = [
        request("GET", "/nowhere"),
        request("OPTIONS", "/text"),
        request("POST", "/echo", "Content-Length: 3000", body=b"x" * 3000),
        request("POST", "/echo", "Transfer-Encoding: chunked", body=b"c8\r\n" + b"x" * 200 + b"\r\n0\r\n\r\n"),
        request("POST", "/echo", "Transfer-Encoding: chunked", body=b"zz\r\n"),
        request("GET", "/big"),
        request("GET", "/item/12?q=%41"),
        b"GE(T / HTTP/1.1\r\n\r\n",
        request("GET", "/text"),
    ]
    for turn in range(12):
        with ExitStack() as stack:
            for i in range(8):
                client = stack.enter_context(socket.socket())
                client.settimeout(2)
                try:
                    client.connect(("127.0.0.1", server.port))
                    client.sendall(messages[(turn + i) % len(messages)] + messages[(turn * 5 + i * 2) % len(messages)])
                except OSError:
                    pass  # refused in the middle of it
            time.sleep(0.1)
        assert server.alive, server.output()
    assert wait_until(lambda: served(server), 8), server.output()[-2000:]
    for _ in range(10):
        assert wait_until(lambda: served(server), 8), server.output()[-2000:]


def served(server: Server) -> bool:
    """Whether a plain request is answered."""
    try:
        return server.get("/text").text == "hello"
    except (OSError, AssertionError):
        return False
