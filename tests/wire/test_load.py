"""Many clients, bad clients, and what is left of the server afterwards: rows L10, L11, L16, L17."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from support.wire_client import Answer, Connection, Ended, chunked, request
from support.wire_server import Server, wait_until

Launch = Callable[..., Server]


# L10, L11: connections


def test_l10_200_idle_connections(runtime: str, launch: Launch) -> None:
    """With every default: 200 silent connections cost no other client its answer; a board serves eight at a time."""
    server = launch(runtime, "hello.py")
    assert server.get("/text").text == "hello"
    with ExitStack() as stack:
        for _ in range(200):
            silent = stack.enter_context(socket.socket())
            silent.setblocking(False)
            silent.connect_ex(("127.0.0.1", server.port))  # taken, put off or refused: all are ways to keep a cap
        time.sleep(0.6)
        slowest = 0.0
        for _ in range(10):
            begun = time.monotonic()
            answer = server.get("/text")
            assert (answer.status, answer.text) == (200, "hello")
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 1.0, f"an answer took {slowest:.1f} s"
    begun = time.monotonic()
    assert server.get("/text").text == "hello"
    assert time.monotonic() - begun < 2
    server.healthy()


def figures(status: dict[str, Any]) -> dict[str, Any]:
    """Return what a status tells of resources."""
    return {name: value for name, value in status.items() if name != "counts"}


STATES = (
    b"",
    b"GET /te",
    b"GET /text HTTP/1.1\r\nHost: x\r\n",
    request("GET", "/text"),
    request("POST", "/echo", "Content-Length: 10", body=b"x"),
    request("GET", "/quiet?id=l10"),
)
"""What a client may have sent before it falls silent."""


def hold_connections(server: Server, number: int) -> None:
    """Open connections in all of these states, look whether others are served, and let go."""
    with ExitStack() as stack:
        for index in range(number):
            stack.enter_context(server.connect()).send(STATES[index % len(STATES)])
        time.sleep(0.5)
        for _ in range(5):
            begun = time.monotonic()
            assert server.get("/text").text == "hello"
            assert time.monotonic() - begun < 1


def test_l10_descriptors_and_tasks_come_back(server: Server) -> None:
    """Connections in all states that a client can leave them in, then gone."""
    number = 30 if server.on_micropython else 90
    hold_connections(server, number)  # whatever is loaded or grown on first use is there now
    time.sleep(0.5)
    before = server.status()
    hold_connections(server, number)

    def back() -> bool:
        status = server.status()
        if server.on_micropython:
            return bool(status["heap"] <= before["heap"] + 6144)
        return bool(status["fds"] <= before["fds"] and status["tasks"] <= before["tasks"])

    assert wait_until(back, 6), f"before: {figures(before)}, after: {figures(server.status())}"


def test_l11_cap_replaces_silent_connections(few_server: Server) -> None:
    """Four silent connections fill the server; the fifth client is answered all the same."""
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(few_server.connect())
        time.sleep(0.6)
        begun = time.monotonic()
        assert few_server.get("/text").text == "hello"
        assert time.monotonic() - begun < 2


def test_l11_cap_replaces_idle_connections(few_server: Server) -> None:
    """The same for connections that have been used and are kept alive."""
    with ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(few_server.connect())
            assert client.get("/text").text == "hello"
        time.sleep(0.6)
        assert few_server.get("/text").text == "hello"


def test_l11_all_at_work(few_server: Server) -> None:
    """Four requests run; the fifth is answered 503 with Retry-After, or has to wait. The four are not disturbed."""
    with ExitStack() as stack:
        clients = [stack.enter_context(few_server.connect()) for _ in range(4)]
        for client in clients:
            client.send(request("GET", "/slow?s=1"))
        time.sleep(0.3)
        with few_server.connect() as client:
            client.send(request("GET", "/text", "Connection: close"))
            answer = client.answer()
            if answer.status == 503:
                assert int(str(answer.value("retry-after"))) > 0
                assert answer.closes
                client.expect_end()
            else:
                assert answer.text == "hello"
        assert [client.answer().text for client in clients] == ["slow"] * 4
    assert few_server.get("/text").text == "hello"


def test_l11_a_crowd(few_server: Server) -> None:
    """Sixteen clients that come again when they are turned away: in the end everybody is served, nobody meets silence."""
    served: list[str] = []
    odd: list[str] = []

    def client() -> None:
        for _ in range(100):
            try:
                answer = few_server.get("/slow?s=0.05")
            except (AssertionError, OSError) as error:
                odd.append(repr(error))
                return
            if answer.status == 200:
                served.append(answer.text)
                return
            if answer.status != 503:
                odd.append(str(answer))
                return
            time.sleep(0.05)
        odd.append("turned away for ever")

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not odd
    assert served == ["slow"] * 16


# L16: memory


def mishap(server: Server, number: int, dice: random.Random) -> None:
    """Something that a bad client or a bad network does."""
    kind = number % 7
    client = server.connect()
    try:
        if kind == 0:
            client.send(b"GET /text HTTP/1.1\r\nHost: loc")
        elif kind == 1:
            client.send(request("POST", "/echo", "Content-Length: 1000", body=b"x" * dice.randrange(999)))
        elif kind == 2:
            client.send(request("GET", "/generator?n=50&size=500"))
            client.abort()
            return
        elif kind == 3:
            client.send(b"\x00\x01\x02 nonsense\r\n\r\n")
        elif kind == 4:
            client.send(request("GET", "/big?n=50000"))
            client.sock.recv(100)
            client.abort()
            return
        elif kind == 5:
            client.send(request("POST", "/stream", "Transfer-Encoding: chunked", body=b"ff\r\nxx"))
        else:
            client.send(request("GET", "/ticks?id=mishap"))
            client.head()
    finally:
        client.close()


def good(client: Connection, number: int) -> None:
    """One good request of many kinds on a connection that is kept."""
    kind = number % 8
    if kind == 0:
        assert client.get("/text").text == "hello"
    elif kind == 1:
        assert client.post("/echo", b"x" * (number % 3000)).status == 200
    elif kind == 2:
        assert client.get("/nowhere").status == 404
    elif kind == 3:
        assert client.get("/generator").chunks == 5
    elif kind == 4:
        client.send(request("POST", "/stream", "Transfer-Encoding: chunked", body=chunked(b"abc", b"def")))
        assert client.answer().body == b"abcdef"
    elif kind == 5:
        assert client.get("/file").status == 200
    elif kind == 6:
        assert client.get(f"/item/{number}/x?a={number}", f"Cookie: a={number}", f"X-Number: {number}").status == 200
    else:
        assert client.get("/sync").text == "sync"


def soak(server: Server, rounds: int, seed: int) -> None:
    """Send `rounds` requests from four clients at once, every fifth of them a mishap."""
    errors: list[BaseException] = []

    def run(seed: int) -> None:
        dice = random.Random(seed)
        client = server.connect()
        try:
            for number in range(rounds // 4):
                if number % 5 == 4:
                    mishap(server, number, dice)
                else:
                    good(client, number)
                if number % 40 == 39:
                    client.close()
                    client = server.connect()
        except BaseException as error:  # noqa: BLE001 (shown below)
            errors.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=run, args=(seed + index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]


def test_l16_soak(runtime: str, server: Server) -> None:
    """2,000 requests, aborted and half-sent ones among them; then everything is where it was."""
    soak(server, 280, 1)  # whatever is loaded or grown on first use is there now
    time.sleep(0.3)
    before = server.status()
    soak(server, 2000, 2)

    def back() -> bool:
        after = server.status()
        if server.on_micropython:
            return bool(after["heap"] <= before["heap"] + 6144)
        return bool(
            after["fds"] <= before["fds"] and after["tasks"] <= before["tasks"] and after["resident"] < before["resident"] + 6_000_000
        )

    # The last mishaps may still be waiting for a deadline or for their client's end to be noticed.
    assert wait_until(back, 8), f"before: {figures(before)}, after: {figures(server.status())}"


@pytest.mark.parametrize("path", ["/memory/huge", "/memory/full"])
def test_l16_memory_error_in_a_handler(server: Server, path: str) -> None:
    """5xx or a closed connection, never the end of the process."""
    for _ in range(5):
        with server.connect() as client:
            client.send(request("GET", path))
            client.end()
            found = client.answers()
        assert len(found) <= 1
        assert all(answer.status in (500, 503) for answer in found), found
        assert server.get("/text").text == "hello"


# L17: mutations

SEEDS = (
    request("GET", "/text"),
    request("GET", "/args?x=1&y=%20", "Accept: */*", "User-Agent: test", "Connection: keep-alive"),
    request("POST", "/echo", "Content-Length: 5", body=b"hello"),
    request("POST", "/json-body", "Content-Type: application/json", "Content-Length: 8", body=b'{"a": 1}'),
    request("POST", "/form", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 7", body=b"a=1&b=2"),
    request("POST", "/stream?n=3", "Transfer-Encoding: chunked", body=chunked(b"hello", b"you", trailer=b"X-T: 1\r\n")),
    request("POST", "/echo", "Transfer-Encoding: chunked", "Expect: 100-continue", body=chunked(b"x" * 20)),
    request("HEAD", "/file", "Cookie: a=1; b=2"),
    request("OPTIONS", "/methods", "Connection: close"),
    b"GET http://localhost/text HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /item/5/x HTTP/1.0\nHost: x\n\n",
    request("GET", "/text") + request("POST", "/echo", "Content-Length: 3", body=b"abc") + request("GET", "/json"),
)

PARTS = (b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\x00", b"\xff", b"%", b"/", b"HTTP/1.1", b"Content-Length: 1\r\n", b"0", b"-", b",",
         b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"\r\n\r\n", b"99999999999", b";", b'"', b"\xc3\xa9", b"=", b"?")  # fmt: skip


def mutate(dice: random.Random) -> bytes:
    """Return a request that was hurt in one to four places."""
    message = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(message) + 1)
        way = dice.randrange(6)
        if way == 0:
            message[at:at] = dice.choice(PARTS)
        elif way == 1:
            del message[at : at + dice.randint(1, 8)]
        elif way == 2 and at < len(message):
            message[at] = dice.randrange(256)
        elif way == 3:
            message[at:at] = message[at : at + dice.randint(1, 30)]
        elif way == 4:
            message[at : at + dice.randint(1, 4)] = dice.choice(PARTS)
        else:
            other = dice.choice(SEEDS)
            message[at:] = other[dice.randrange(len(other)) :]
    return bytes(message)


def read_all(client: Connection, message: bytes) -> list[Answer]:
    """Read all answers to a message.

    Only the first request can be a HEAD. When it is refused, the server may not know that it was one and send content;
    the connection ends after it, so no harm is done.
    """
    if not message.lstrip(b"\r\n").startswith(b"HEAD "):
        return client.answers()
    try:
        first = client.answer("HEAD")
    except Ended:
        return []
    if first.closes:
        rest = client.drain()
        assert rest == b"" or (first.status >= 400 and len(rest) == int(first.value("content-length") or 0)), rest
        return [first]
    return [first, *client.answers()]


def test_l17_mutations(server: Server) -> None:
    """2,000 mutations of good requests, always the same ones: well-formed answers, no 5xx but 501 and 505, no silence."""
    seed = 20_240_501
    count = 2000
    odd: list[str] = []
    lock = threading.Lock()
    numbers = iter(range(count))

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None or len(odd) > 5:
                return
            dice = random.Random(seed + number)
            message = mutate(dice)
            piece = dice.choice((0, 0, 0, 1, 7))
            if b"HEAD " in message and not message.startswith(b"HEAD "):
                continue  # nobody can say which of the answers have a body
            try:
                with server.connect() as client:
                    client.send(message, piece)
                    client.end()
                    found = read_all(client, message)
                    wrong = [answer for answer in found if answer.status >= 500 and answer.status not in (501, 505)]
                    if wrong:
                        odd.append(f"mutation {number}: {message!r} was answered {wrong[0]}")
            except (AssertionError, OSError) as error:
                odd.append(f"mutation {number}: {message!r}: {error}")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not odd, "\n".join(odd[:5])
    server.healthy()
