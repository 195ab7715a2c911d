"""Strangers on a board: hundreds of broken clients, and a WebSocket can be opened still. CPython only, which starts the board."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provide import micropython
from support.websocket_peer import HANDSHAKE, masked
from support.wire_server import free_port
from upy import board_tree

PROGRAM = """\
import gc
import sys
from microdot import Microdot
from microdot.websocket import with_websocket

app = Microdot()

@app.get('/echo')
@with_websocket
async def echo(request, ws):
    while True:
        await ws.send(await ws.receive())

@app.get('/modules')
async def modules(request):
    return ' '.join(sys.modules)

app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""
HEAD = "GET /echo HTTP/1.1\r\nHost: a\r\n" + "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items()) + "\r\n"


class Board:
    """A board that runs PROGRAM."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self.process = process
        self.log = log

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 2)

    def open(self) -> socket.socket:
        """Shake hands.

        Raises:
            OSError: the board has no place or no heap for it.
        """
        client = self.connect()
        try:
            client.sendall(HEAD.encode())
            if b" 101 " not in receive(client, b"\r\n\r\n"):
                raise OSError("refused")
        except OSError:
            client.close()
            raise
        return client

    def echoes(self, data: bytes = b"message") -> bool:
        """Tell whether a message comes back."""
        try:
            with self.open() as client:
                client.sendall(masked(0x81, data))
                return receive(client, data).endswith(data)
        except OSError:
            return False

    def modules(self) -> list[str]:
        with self.connect() as client:
            client.sendall(b"GET /modules HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return receive(client, b"nothing").split(b"\r\n\r\n")[1].decode().split()

    def recovers(self) -> bool:
        """Tell whether it echoes three times in a row within a while."""
        end = time.monotonic() + 8
        while time.monotonic() < end:
            if all(self.echoes() for _ in range(3)):
                return True
            time.sleep(0.3)
        return False


def receive(client: socket.socket, end: bytes) -> bytes:
    """Return what comes up to `end`, or up to the end of the connection."""
    data = b""
    while end not in data:
        more = client.recv(1000)
        if not more:
            break
        data += more
    return data


@contextmanager
def board(folder: Path, heap: int) -> Iterator[Board]:
    """Run PROGRAM on MicroPython with 32 bits, in a heap of so many bytes."""
    (folder / "main.py").write_text(PROGRAM)
    port = free_port()
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(micropython(32)), "-X", f"heapsize={heap}", "main.py", str(port)],
            cwd=folder,
            env={**os.environ, "MICROPYPATH": f"{board_tree()}:.frozen"},
            stdout=output,
            stderr=output,
        )
    try:
        started = Board(port, process, log)
        for _ in range(100):
            try:
                started.connect().close()
                break
            except OSError:
                time.sleep(0.05)
        yield started
    finally:
        process.terminate()
        process.wait(10)


def hostile(chance: random.Random) -> bytes:
    """Return something that a client should not send, or seldom does."""
    return (
        chance.randbytes(chance.randrange(1, 300)),
        masked(0x81, b"x" * chance.randrange(12000)),  # too large
        masked(0x81, "é😀".encode() * chance.randrange(1, 300)),
        masked(0x01, b"a" * 100) * chance.randrange(1, 40),  # fragments that begin anew
        masked(0x89, b"p" * 125) * chance.randrange(1, 40),  # pings whose answers nobody reads
        masked(0x81, b"\xff"),  # no UTF-8
        b"\x81\xff" + b"\0" * 8,  # longer than allowed
        masked(0x88, b"\x03\xec"),  # a code that must not be sent
        masked(0x88, b"\x0f\xa0bye"),
        b"\xc1\x80abcd",  # reserved bits
        b"\x81\x05hello",  # no mask
        b"",
    )[chance.randrange(12)]


def test_what_strangers_load_is_let_go(tmp_path: Path) -> None:
    with board(tmp_path, 60000) as echo:
        assert echo.echoes()
        before = echo.modules()
        for data in ("grün".encode(), b"after"):
            assert echo.echoes(data)
        with echo.open() as client:
            client.sendall(b"\x81\x05hello")
            assert receive(client, b"\x03\xea")[:4] == b"\x88\x02\x03\xea"  # 1002
        time.sleep(0.3)
        assert echo.echoes()
        assert set(echo.modules()) <= set(before)


def test_hundreds_of_hostile_clients_on_a_small_heap(tmp_path: Path) -> None:
    """Whatever they are refused for, and whether or not there was heap to say so: afterwards all is as before."""
    chance = random.Random(6455)
    with board(tmp_path, 31000) as echo:
        assert echo.recovers()
        for _ in range(200):
            try:
                with echo.connect() as client:
                    client.settimeout(0.05)
                    client.sendall(HEAD.encode() + hostile(chance))
                    if chance.random() < 0.5:
                        client.recv(1000)
            except OSError:
                pass  # it has no place for this one
            assert echo.process.poll() is None, echo.log.read_text()
        assert echo.recovers(), echo.log.read_text()[-3000:]
