"""WebSocket on the native server, over sockets: RFC 6455, RELIABILITY rows W1 to W9, and the test client.

Portable: CPython, MicroPython.
"""

import asyncio
import socket

from microdot import Microdot, Request, Response, abort
from microdot.test_client import TestClient
from microdot.websocket import WebSocket, WebSocketError, websocket_upgrade, websocket_wrapper, with_websocket
from support.checks import CPYTHON
from support.loopback import Running
from support.websocket_peer import ACCEPT, HANDSHAKE, KEY, Peer, handshake, masked, open_websocket, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def echo_app() -> "tuple[Microdot, list[Any]]":
    """Return an application, and the list in which its handlers write what happened to them."""
    app = Microdot()
    seen: "list[Any]" = []

    @app.route("/echo")
    @with_websocket
    async def echo(request: Request, ws: WebSocket) -> None:
        try:
            while True:
                await ws.send(await ws.receive())
        except WebSocketError as exc:
            seen.append((str(exc), exc.code))
            raise

    @app.route("/each")
    @with_websocket
    async def each(request: Request, ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)
        seen.append(ws.close_code)

    @app.route("/sleep")
    @with_websocket
    async def sleep(request: Request, ws: WebSocket) -> None:
        seen.append("asleep")
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("finally")

    @app.route("/divzero")
    @with_websocket
    async def divzero(request: Request, ws: WebSocket) -> None:
        await ws.receive()
        1 / 0

    @app.route("/abort")
    @with_websocket
    async def abort_(request: Request, ws: WebSocket) -> None:
        await ws.receive()
        abort(403, "not you")

    @app.route("/verbose")
    @with_websocket
    async def verbose(request: Request, ws: WebSocket) -> None:
        abort(404, "x" * 124)

    @app.route("/code/<int:code>")
    @with_websocket
    async def code(request: Request, ws: WebSocket, code: int) -> None:
        await ws.close(code, "because")

    @app.route("/own/<name>")
    async def own(request: Request, name: str) -> str:
        if name != "alice":
            abort(401)
        ws = await websocket_upgrade(request, protocols=("v1",))
        await ws.send("hello " + name)
        seen.append(await ws.receive())
        return "never sent"

    return app, seen


# Handshake (W1) ---------------------------------------------------------------------------------------------------------


async def test_handshake() -> None:
    app, _ = echo_app()
    async with Running(app) as server:
        peer = await open_websocket(server, "/echo")
        head = peer.head.lower()
        assert "\r\nupgrade: websocket\r\n" in head and "\r\nconnection: upgrade\r\n" in head
        assert "\r\nSec-WebSocket-Accept: %s\r\n" % ACCEPT in peer.head
        assert "content-length" not in head and "sec-websocket-protocol" not in head and "extensions" not in head
        await peer.frame(0x81, b"hello")
        assert await peer.read() == (0x81, b"hello")
        await peer.drop()
        for changes in (
            {"Upgrade": "WebSocket"},
            {"Upgrade": "h2c, websocket"},
            {"Connection": "keep-alive, Upgrade"},
            {"Connection": "UPGRADE"},
            {"Sec-WebSocket-Extensions": "permessage-deflate"},  # offered, not taken
            {"Origin": "http://example.com"},
            {"Origin": "https://EXAMPLE.com"},
        ):
            peer = await open_websocket(server, "/echo", changes)  # type: ignore[arg-type]
            await peer.drop()


async def test_what_is_no_handshake() -> None:
    app, _ = echo_app()
    async with Running(app) as server:
        for status, changes, line in (
            (400, {"Upgrade": None}, ""),
            (400, {"Upgrade": "h2c"}, ""),
            (400, {"Upgrade": "xwebsocket"}, ""),
            (400, {"Connection": None}, ""),
            (400, {"Connection": "keep-alive"}, ""),
            (400, {"Connection": "x-upgrade-x"}, ""),
            (400, {"Sec-WebSocket-Key": None}, ""),
            (400, {"Sec-WebSocket-Key": ""}, ""),
            (400, {"Sec-WebSocket-Key": "c2hvcnQ="}, ""),
            (400, {"Sec-WebSocket-Key": "A" * 24}, ""),
            (400, {"Sec-WebSocket-Key": "?" * 22 + "=="}, ""),
            (400, {}, "GET /echo HTTP/1.0"),
            (405, {}, "POST /echo HTTP/1.1"),
            (426, {"Sec-WebSocket-Version": "8"}, ""),
            (426, {"Sec-WebSocket-Version": None}, ""),
            (403, {"Origin": "https://evil.example"}, ""),
            (403, {"Origin": "null"}, ""),
            (403, {"Origin": "http://example.com:8080"}, ""),
            (403, {"Origin": "http://example.com.evil.example"}, ""),
        ):
            peer = await handshake(server, "/echo", changes, line)  # type: ignore[arg-type]
            assert peer.head.split(" ")[1] == str(status), (changes, line, peer.head)
            if status == 426:
                assert "\r\nSec-WebSocket-Version: 13\r\n" in peer.head, peer.head
            await peer.drop()
        # The server is well after all of this.
        peer = await open_websocket(server, "/echo")
        await peer.drop()


async def test_origins_and_protocols() -> None:
    app = Microdot()

    @app.route("/listed")
    @with_websocket(origins=("https://app.example",), protocols=("v2", "v1"))
    async def listed(request: Request, ws: WebSocket) -> None:
        await ws.send(str(ws.subprotocol))

    @app.route("/open")
    @with_websocket(origins="*")
    async def open_(request: Request, ws: WebSocket) -> None:
        await ws.send("come in")

    async with Running(app) as server:
        for origin, protocols, expected in (
            ("https://app.example", None, "None"),
            (None, "v1", "v1"),
            (None, "v0, v1,v2", "v2"),
            (None, "V1", "None"),
        ):
            peer = await open_websocket(server, "/listed", {"Origin": origin, "Sec-WebSocket-Protocol": protocols})
            assert await peer.read() == (0x81, expected.encode())
            assert ("\r\nSec-WebSocket-Protocol: %s\r\n" % expected in peer.head) == (expected != "None")
            await peer.drop()
        for origin in ("http://example.com", "https://app.example.evil", "null"):
            peer = await handshake(server, "/listed", {"Origin": origin})
            assert peer.head.split(" ")[1] == "403", peer.head
            await peer.drop()
        peer = await open_websocket(server, "/open", {"Origin": "https://anywhere.example"})
        await peer.drop()


async def test_upgrade_in_a_route() -> None:
    app, seen = echo_app()
    async with Running(app) as server:
        peer = await handshake(server, "/own/bob")
        assert peer.head.split(" ")[1] == "401"
        await peer.drop()
        peer = await open_websocket(server, "/own/alice", {"Sec-WebSocket-Protocol": "v1"})
        assert "\r\nSec-WebSocket-Protocol: v1\r\n" in peer.head
        assert await peer.read() == (0x81, b"hello alice")
        await peer.frame(0x81, b"thanks")
        assert await peer.read() == (0x88, b"\x03\xe8")
        await peer.frame(0x88, b"\x03\xe8")
        assert await peer.ended()
        await peer.drop()
        assert seen == ["thanks"]
        peer = await handshake(server, "/own/alice", {"Sec-WebSocket-Version": "7"})
        assert peer.head.split(" ")[1] == "426" and "\r\nSec-WebSocket-Version: 13\r\n" in peer.head
        await peer.drop()


# Messages (W2, W5, W8, W9) ----------------------------------------------------------------------------------------------


async def test_echo_of_every_boundary() -> None:
    app, _ = echo_app()
    async with Running(app) as server:
        peer = await open_websocket(server, "/echo")
        for n in (0, 1, 2, 124, 125, 126, 127, 128, 511, 512, 513, 1023, 4096):
            text = b"x" * n
            await peer.frame(0x81, text)
            assert await peer.read() == (0x81, text), n
            data = bytes([i & 255 for i in range(n)])
            await peer.frame(0x82, data)
            assert await peer.read() == (0x82, data), n
        await peer.drop()


async def test_tcp_may_split_anywhere() -> None:
    app, _ = echo_app()
    async with Running(app) as server:
        peer = await open_websocket(server, "/echo")
        data = masked(0x81, "häppchen".encode()) + masked(0x89, b"?") + masked(0x82, b"y" * 130)
        for i in range(len(data)):
            await peer.connection.send(data[i : i + 1])
            if i < 30:
                await asyncio.sleep(0.005)
        assert await peer.read() == (0x81, "häppchen".encode())
        assert await peer.read() == (0x8A, b"?")
        assert await peer.read() == (0x82, b"y" * 130)
        # And many in one packet.
        await peer.connection.send(masked(0x81, b"a") * 20)
        for _ in range(20):
            assert await peer.read() == (0x81, b"a")
        await peer.drop()


async def test_fragments_and_pings() -> None:
    app, _ = echo_app()
    async with Running(app) as server:
        peer = await open_websocket(server, "/echo")
        euro = "€".encode()
        await peer.frame(0x01, b"price: " + euro[:1])
        await peer.frame(0x89, b"still there?")
        await peer.frame(0x00, euro[1:2])
        await peer.frame(0x8A, b"unsolicited")
        await peer.frame(0x80, euro[2:] + b"5")
        assert await peer.read() == (0x8A, b"still there?")
        assert await peer.read() == (0x81, b"price: " + euro + b"5")
        await peer.drop()


async def test_the_limit_of_a_message() -> None:
    app, seen = echo_app()
    default = Request.max_body_length
    try:
        for limit, setting, n in ((10, -1, 11), (10, 0, 0), (10, 200, 201)):
            Request.max_body_length = limit
            WebSocket.max_message_length = setting
            del seen[:]
            async with Running(app) as server:
                largest = (n or 2001) - 1
                for first, rest in ((masked(0x82, b"x" * largest), b""), (masked(2, b"x"), masked(0x80, b"x" * (largest - 1)))):
                    peer = await open_websocket(server, "/echo")
                    await peer.connection.send(first + rest)
                    assert await peer.read() == (0x82, b"x" * largest)
                    await peer.drop()
                assert await until(lambda: len(seen) == 2)
                del seen[:]
                if not n:
                    continue
                for data in (masked(0x82, b"x" * n), masked(2, b"x") + masked(0x80, b"x" * (n - 1)), masked(0x82, b"x" * 600)[:20]):
                    peer = await open_websocket(server, "/echo")
                    await peer.connection.send(data)
                    assert await peer.close_code() == 1009, (limit, setting, data)
                    await peer.drop()
                assert await until(lambda: len(seen) == 3)
                assert seen == [("Message too large", 1009)] * 3
    finally:
        Request.max_body_length = default
        WebSocket.max_message_length = -1


async def test_the_limit_while_nobody_receives() -> None:
    app, seen = echo_app()
    async with Running(app) as server:
        peer = await open_websocket(server, "/sleep")
        await peer.connection.send(masked(0x82, b"x" * (Request.max_body_length + 1))[:20])
        assert await peer.close_code() == 1009
        assert await until(lambda: "finally" in seen)
        await peer.drop()


async def test_messages_larger_than_the_limit_in_pieces() -> None:
    app = Microdot()
    seen: "list[Any]" = []

    @app.route("/sum")
    @with_websocket
    async def sum_(request: Request, ws: WebSocket) -> None:
        buffer = bytearray(100)
        view = memoryview(buffer)
        for _ in range(4):
            total = length = 0
            while True:
                n = await ws.readinto(buffer)
                if not n:
                    break
                assert n <= 100
                length += n
                total += sum(view[:n])
            seen.append((ws.opcode, length, total))
        seen.append(await ws.receive())
        await ws.send("done")

    async with Running(app) as server:
        peer = await open_websocket(server, "/sum")
        await peer.frame(0x82, b"\x01" * 40000)
        await peer.frame(0x81, "é".encode() * 500)
        await peer.frame(0x82, b"")
        await peer.frame(0x02, b"\x02" * 100)
        await peer.frame(0x89, b"between")
        await peer.frame(0x00, b"")
        await peer.frame(0x80, b"\x03" * 250)
        await peer.frame(0x81, b"and a short one")
        assert await peer.read() == (0x8A, b"between")
        assert await peer.read() == (0x81, b"done")
        assert seen == [
            (2, 40000, 40000),
            (1, 1000, sum("é".encode()) * 500),
            (2, 0, 0),
            (2, 350, 950),
            "and a short one",
        ], seen
        await peer.drop()


async def test_sending_in_fragments() -> None:
    app = Microdot()

    @app.route("/parts")
    @with_websocket
    async def parts(request: Request, ws: WebSocket) -> None:
        await ws.send("one ", more=True)
        await ws.send(b"in between", ws.PING)
        await ws.send("two ", more=True)
        await ws.send("three")
        await ws.send(b"\x01", more=True)
        await ws.send(b"")
        await ws.send(bytearray(b"whole"))
        await ws.send(memoryview(b"view"))
        await ws.send("")
        await ws.send(b"z" * 9000)

    async with Running(app) as server:
        peer = await open_websocket(server, "/parts")
        for expected in (
            (0x01, b"one "),
            (0x89, b"in between"),
            (0x00, b"two "),
            (0x80, b"three"),
            (0x02, b"\x01"),
            (0x80, b""),
            (0x82, b"whole"),
            (0x82, b"view"),
            (0x81, b""),
            (0x82, b"z" * 9000),
            (0x88, b"\x03\xe8"),
        ):
            got = await peer.read()
            assert got == expected, (got, expected)
        await peer.drop()


async def test_several_tasks_send() -> None:
    # Fragments of one message, other messages and pongs must not get into each other.
    app = Microdot()

    @app.route("/busy")
    @with_websocket
    async def busy(request: Request, ws: WebSocket) -> None:
        async def whole() -> None:
            for _ in range(20):
                await ws.send("w" * 300)
                await asyncio.sleep(0)

        async def parts() -> None:
            for _ in range(10):
                await ws.send("p" * 200, more=True)
                await asyncio.sleep(0)
                await ws.send("p" * 100)

        await asyncio.gather(whole(), parts(), whole())
        await ws.receive()

    async with Running(app) as server:
        peer = await open_websocket(server, "/busy")
        await peer.connection.send(masked(0x89, b"ping") * 3)
        messages: "list[bytes]" = []
        part = b""
        pongs = 0
        while len(messages) < 50:
            got = await peer.read()
            assert got is not None
            first, payload = got
            if first == 0x8A:
                pongs += 1
            elif first == 0x01:
                assert not part
                part = payload
            elif first == 0x80:
                assert part
                messages.append(part + payload)
                part = b""
            else:
                assert first == 0x81 and not part
                messages.append(payload)
        assert messages.count(b"w" * 300) == 40 and messages.count(b"p" * 300) == 10
        await peer.frame(0x81, b"done")
        while pongs < 3:
            got = await peer.read()
            assert got == (0x8A, b"ping")
            pongs += 1
        await peer.drop()


# The end (W3, W4, W6, W7) -----------------------------------------------------------------------------------------------


async def test_the_peer_closes() -> None:
    app, seen = echo_app()
    async with Running(app) as server:
        for payload, answer, code in (
            (b"", b"", 1005),
            (b"\x03\xe8", b"\x03\xe8", 1000),
            (b"\x03\xe9going", b"\x03\xe9", 1001),
            (b"\x0f\xa0", b"\x0f\xa0", 4000),
        ):
            peer = await open_websocket(server, "/echo")
            # What comes after Close is not looked at.
            await peer.connection.send(masked(0x88, payload) + masked(0x81, b"ignored") + masked(0x89))
            assert await peer.read() == (0x88, answer)
            assert await peer.ended()
            assert await until(lambda: bool(seen))
            assert seen.pop() == ("Websocket connection closed", code)
            await peer.drop()
        peer = await open_websocket(server, "/each")
        await peer.frame(0x81, b"hi")
        assert await peer.read() == (0x81, b"hi")
        await peer.frame(0x88, b"\x03\xe8")
        assert await peer.close_code() == 1000
        assert await until(lambda: seen == [1000])
        await peer.drop()


async def test_protocol_errors_on_the_wire() -> None:
    app, seen = echo_app()
    async with Running(app) as server:
        for data, code in (
            (b"\x81\x02hi", 1002),
            (masked(0x83, b"x"), 1002),
            (masked(0xC1, b"x"), 1002),
            (masked(0x09, b"x"), 1002),
            (masked(0x89, b"x" * 126), 1002),
            (masked(0x80, b"x"), 1002),
            (masked(0x88, b"\x03"), 1002),
            (masked(0x88, b"\x03\xed"), 1002),
            (masked(0x81, b"\xc0\x80"), 1007),
            (masked(0x81, b"\xed\xa0\x80"), 1007),
            (masked(0x88, b"\x03\xe8\xff"), 1007),
        ):
            peer = await open_websocket(server, "/echo")
            await peer.connection.send(data + masked(0x81, b"more"))
            assert await peer.close_code() == code, data
            await peer.drop()
            assert await until(lambda: bool(seen))
            assert seen.pop() == ("Websocket connection closed", code)


async def test_the_server_ends_the_connection() -> None:
    # 7.1.1: whether the peer answers our Close or not.
    app, _ = echo_app()
    async with Running(app) as server:
        for answers in (True, False):
            peer = await open_websocket(server, "/code/4321")
            assert await peer.read() == (0x88, b"\x10\xe1because")
            if answers:
                await peer.frame(0x88, b"\x10\xe1")
            assert await peer.ended()
            await peer.drop()


async def test_a_refused_client_sees_the_end_within_a_second() -> None:
    # 7.1.1: the server ends the connection; clients that wait a second for it take a later end for a failure.
    app, _ = echo_app()
    async with Running(app) as server:
        peer = await open_websocket(server, "/echo")
        await peer.frame(0xC1, b"reserved bits")
        assert await peer.close_code() == 1002
        await peer.frame(0x88, b"\x03\xea")
        assert await asyncio.wait_for(peer.ended(), 0.95)
        await peer.drop()


async def test_codes_of_handlers() -> None:
    app, seen = echo_app()
    async with Running(app) as server:
        peer = await open_websocket(server, "/divzero")
        await peer.frame(0x81, b"x")
        assert await peer.read() == (0x88, b"\x03\xf3")  # 1011
        await peer.drop()
        peer = await open_websocket(server, "/abort")
        await peer.frame(0x81, b"x")
        assert await peer.read() == (0x88, b"\x03\xf0not you")  # 1008
        await peer.drop()
        peer = await open_websocket(server, "/verbose")
        assert await peer.read() == (0x88, b"\x03\xf0")
        await peer.drop()
        peer = await open_websocket(server, "/code/1006")  # must not be sent: the handler fails
        assert await peer.close_code() == 1011
        await peer.drop()


async def test_codes_of_routes_that_upgrade_by_themselves() -> None:
    """The same as those of `with_websocket`, whatever hooks and error handlers there are; what those answer is not sent."""

    async def fails(request: Request) -> None:
        ws = await websocket_upgrade(request)
        await ws.receive()
        1 / 0

    async def aborts(request: Request) -> None:
        ws = await websocket_upgrade(request)
        await ws.receive()
        abort(403, "not you")

    async def unable(request: Request) -> None:
        ws = await websocket_upgrade(request)
        await ws.receive()
        abort(503)

    async def late(request: Request) -> str:
        ws = await websocket_upgrade(request)
        await ws.receive()
        request.after_request(lambda request, response: 1 / 0)
        return "never sent"

    async def system(request: Request) -> None:
        ws = await websocket_upgrade(request)
        await ws.receive()
        open("/no/such/file")

    async def receives(request: Request) -> None:
        ws = await websocket_upgrade(request)
        while True:
            await ws.send(await ws.receive())

    for with_what in ("", "after", "error", "done", "errorhandler"):
        app = Microdot()
        told: "list[Any]" = []

        def tell(*args: "Any") -> "tuple[str, int]":
            told.append(args)
            return "wrong", 418

        for f, path in ((fails, "a"), (aborts, "b"), (unable, "c"), (late, "d"), (system, "e"), (receives, "f")):
            app.get("/" + path)(f)
        if with_what == "errorhandler":
            for key in (ZeroDivisionError, WebSocketError, 403, 503):
                app.errorhandler(key)(tell)
        elif with_what:
            app.on(with_what, lambda *args: None)
        async with Running(app) as server:
            for path, code, reason in (
                ("a", 1011, b""),
                ("b", 1008, b"not you"),
                ("c", 1011, b"503 error"),
                ("d", 1000, b""),
                ("e", 1011, b""),
                ("f", 1003, b""),
            ):
                peer = await open_websocket(server, "/" + path)
                if path == "f":
                    await peer.frame(0x88, code.to_bytes(2, "big"))
                else:
                    await peer.frame(0x81, b"x")
                assert await peer.read() == (0x88, code.to_bytes(2, "big") + reason), (with_what, path)
                if path != "f":
                    await peer.frame(0x88, code.to_bytes(2, "big"))
                assert await peer.ended(), (with_what, path)
                await peer.drop()
        assert len(told) == (2 if with_what == "errorhandler" else 0), told  # of failures, none of clients that went


async def test_close_of_a_subclass() -> None:
    """Contract 9.5: `ws.close()` is attempted when the handler has ended, however that came about."""
    seen: "list[Any]" = []

    class Counted(WebSocket):
        async def close(self, code: int = 1000, reason: str = "") -> None:
            seen.append("close")
            await super().close(code, reason)

    async def upgrade(request: Request) -> WebSocket:
        return await Counted(request).handshake()

    async def handler(request: Request, ws: WebSocket) -> None:
        if await ws.receive() == "fail":
            1 / 0

    app = Microdot()
    app.get("/counted")(websocket_wrapper(handler, upgrade))
    async with Running(app) as server:
        for data, code in ((b"end", b"\x03\xe8"), (b"fail", b"\x03\xf3"), (None, b"\x03\xe9")):
            peer = await open_websocket(server, "/counted")
            if data is None:
                await peer.frame(0x88, code)
            else:
                await peer.frame(0x81, data)
            assert await peer.read() == (0x88, code), data
            await peer.drop()
            await until(lambda: bool(seen))
            assert seen == ["close"], data
            seen.clear()


async def test_a_sleeping_handler_learns_that_the_peer_has_gone() -> None:
    app, seen = echo_app()
    async with Running(app) as server:
        hows = ("close", "drop", "ping", "broken")
        peers = []
        for _ in hows:
            peers.append(await open_websocket(server, "/sleep"))
        assert await until(lambda: seen == ["asleep"] * 4)
        for how, peer in zip(hows, peers):
            if how == "close":
                await peer.frame(0x88, b"\x03\xe8")
                assert await peer.close_code() == 1000
            elif how == "broken":
                await peer.connection.send(b"\x81\x02hi")
                assert await peer.close_code() == 1002
            elif how == "ping":
                await peer.frame(0x89, b"ping")
                assert await peer.read() == (0x8A, b"ping")  # answered although nobody receives
            await peer.drop()
        assert await until(lambda: len(seen) == 12), seen
        assert seen.count("cancelled") == seen.count("finally") == 4


async def test_a_sending_handler_learns_it() -> None:
    app = Microdot()
    seen: "list[str]" = []

    @app.route("/flood")
    @with_websocket
    async def flood(request: Request, ws: WebSocket) -> None:
        try:
            while True:
                await ws.send("x" * 1000)
                await asyncio.sleep(0.001)
        except WebSocketError:
            seen.append("error")
        finally:
            seen.append("finally")

    async with Running(app) as server:
        peer = await open_websocket(server, "/flood")
        assert await peer.read() == (0x81, b"x" * 1000)
        await peer.drop()
        assert await until(lambda: bool(seen))
        assert seen == ["error", "finally"]


async def test_messages_wait_for_a_handler_that_sleeps() -> None:
    app = Microdot()
    got: "list[Any]" = []

    @app.route("/late")
    @with_websocket
    async def late(request: Request, ws: WebSocket) -> None:
        await asyncio.sleep(2.2)
        for _ in range(3):
            got.append(await ws.receive())

    async with Running(app) as server:
        peer = await open_websocket(server, "/late")
        await peer.connection.send(masked(0x81, b"one") + masked(1, b"t") + masked(0x80, b"wo"))
        await peer.frame(0x82, b"three" * 100)
        assert await peer.close_code() == 1000
        assert got == ["one", "two", b"three" * 100]
        await peer.drop()


async def test_a_dead_peer_is_noticed() -> None:
    app = Microdot()
    seen: "list[Any]" = []

    @app.route("/receive")
    @with_websocket(ping_interval=1, ping_timeout=1)
    async def receive(request: Request, ws: WebSocket) -> None:
        try:
            await ws.receive()
        except WebSocketError as exc:
            seen.append(exc.code)

    @app.route("/sleep")
    @with_websocket(ping_interval=1, ping_timeout=1)
    async def sleep(request: Request, ws: WebSocket) -> None:
        try:
            await asyncio.sleep(20)
        finally:
            seen.append("finally")

    async with Running(app) as server:
        silent = await open_websocket(server, "/receive")
        asleep = await open_websocket(server, "/sleep")
        lively = await open_websocket(server, "/receive")
        for _ in range(3):
            assert await lively.read() == (0x89, b"")
            await lively.frame(0x8A)
        assert await until(lambda: len(seen) == 2)
        assert seen in ([1006, "finally"], ["finally", 1006])
        await lively.frame(0x81, b"here")
        code = await lively.close_code()
        assert code == 1000, code
        for peer in (silent, asleep, lively):
            await peer.drop()


async def test_shutdown_says_going_away() -> None:
    app, seen = echo_app()
    peers: "list[Peer]" = []
    async with Running(app) as server:
        for path in ("/echo", "/sleep"):
            peers.append(await open_websocket(server, path))
        assert await until(lambda: "asleep" in seen)
        app.shutdown()
        for peer in peers:
            assert await peer.close_code() == 1001
            await peer.frame(0x88, b"\x03\xe9")
            assert await peer.ended()
            await peer.drop()
    assert "finally" in seen


async def test_a_receive_that_was_given_up_loses_nothing() -> None:
    app = Microdot()
    got: "list[Any]" = []

    @app.route("/wait")
    @with_websocket
    async def wait(request: Request, ws: WebSocket) -> None:
        while len(got) < 2:
            try:
                got.append(await asyncio.wait_for(ws.receive(), 0.2))
            except asyncio.TimeoutError:
                pass

    async with Running(app) as server:
        peer = await open_websocket(server, "/wait")
        data = masked(0x01, b"half") + masked(0x80, b" and half") + masked(0x81, b"last")
        await peer.connection.send(data[:3])
        await asyncio.sleep(0.3)
        await peer.connection.send(data[3:15])
        await asyncio.sleep(0.3)
        await peer.connection.send(data[15:])
        assert await peer.close_code() == 1000
        assert got == ["half and half", "last"]
        await peer.drop()


async def test_many_at_once() -> None:
    app, seen = echo_app()
    app.max_connections = 40
    n = 32 if CPYTHON else 8
    async with Running(app) as server:
        peers: "list[Peer]" = []
        while len(peers) < n:
            peers.append(await open_websocket(server, "/echo"))
        for round_ in range(3):
            for i in range(n):
                await peers[i].frame(0x81, str(i).encode())
            for i in range(n):
                assert await peers[i].read() == (0x81, str(i).encode())
        for peer in peers:
            await peer.drop()
        assert await until(lambda: len(seen) == n)


# The test client (contract 20.2) ----------------------------------------------------------------------------------------


async def test_test_client() -> None:
    app, seen = echo_app()
    client = TestClient(app)
    results: "list[Any]" = []

    def talk() -> "Any":
        results.append((yield "hello"))
        results.append((yield b"bye"))
        results.append((yield ""))
        results.append((yield b""))

    for path in ("/echo", "/each"):
        del results[:]
        response = await client.websocket(path, talk)
        assert response.body is None
        assert results == ["hello", b"bye", "", b""], results
    response = await client.websocket("/divzero", talk)
    assert response.body is None

    def nothing() -> "Any":
        yield "x"

    response = await client.websocket("/own/bob", nothing)
    assert response.status_code == 401
    for missing in ("Upgrade", "Connection", "Sec-WebSocket-Key"):
        response = await client.websocket("/echo", nothing, headers={missing: "x"})
        assert response.status_code == 400 and response.text == "400 error"
    response = await client.get("/echo")
    assert response.status_code == 400


async def test_test_client_and_the_limit() -> None:
    app, seen = echo_app()
    default = Request.max_body_length
    try:
        Request.max_body_length = 10

        def talk() -> "Any":
            yield "0123456789abcdef"

        response = await TestClient(app).websocket("/echo", talk)
        assert response.body is None and seen == [("Message too large", 1009)]
    finally:
        Request.max_body_length = default


async def test_pieces_and_fragments_of_whole_messages() -> None:
    # Where the host frames messages, readinto() and send(more=True) work all the same.
    app = Microdot()

    @app.route("/")
    @with_websocket
    async def index(request: Request, ws: WebSocket) -> None:
        buffer = bytearray(4)
        while True:
            n = await ws.readinto(buffer)
            await ws.send(bytes(buffer[:n]), more=n > 0)
            if not n:
                break

    got: "list[Any]" = []

    def talk() -> "Any":
        got.append((yield "0123456789"))

    response = await TestClient(app).websocket("/", talk)
    assert response.body is None and got == [b"0123456789"], got


async def test_nothing_piles_up_on_the_shared_response() -> None:
    # Contract 21, A10: hooks that set headers on what is sent for a WebSocket.
    app, _ = echo_app()

    @app.after_request
    async def add(request: Request, response: Response) -> None:
        response.headers["X-Count"] = "1"

    def nothing() -> "Any":
        yield "x"

    await TestClient(app).websocket("/echo", nothing)
    assert not Response.already_handled.headers


async def test_hooks_see_the_end() -> None:
    """`after` and `done` hooks run when the handler has ended, not when the connection is handed over."""
    for hook in ("after", "done", ""):
        app, _ = echo_app()
        seen: "list[Any]" = []
        if hook:
            app.on(hook, lambda *args: seen.append(hook))

        @app.get("/one")
        @with_websocket
        async def one(request: Request, ws: WebSocket) -> None:
            seen.append(await ws.receive())

        async with Running(app) as server:
            peer = await open_websocket(server, "/one")
            await asyncio.sleep(0.2)
            assert seen == []
            await peer.frame(0x81, b"a")
            assert await peer.read() == (0x88, b"\x03\xe8")
            await until(lambda: len(seen) == (2 if hook else 1))
            assert seen == ["a", hook] if hook else seen == ["a"]
            await peer.drop()


async def test_an_error_of_the_system_in_a_handler() -> None:
    """Nothing but frames goes out once the protocol is switched."""
    for hooked in (False, True):
        app, _ = echo_app()
        if hooked:
            app.on("done", lambda *args: None)

        @app.get("/file")
        @with_websocket
        async def file(request: Request, ws: WebSocket) -> None:
            open("/no/such/file")

        async with Running(app) as server:
            peer = await open_websocket(server, "/file")
            got = await peer.read()
            assert got and got[0] == 0x88 and got[1][:2] == b"\x03\xf3", (hooked, got)
            await peer.frame(0x88, b"\x03\xf3")
            assert await peer.ended(), hooked
            await peer.drop()


async def test_a_decorator_of_the_program_sees_the_end() -> None:
    """Contract 9.5: the route returns when the handler has ended."""
    app, seen = echo_app()

    def logged(f: "Any") -> "Any":
        async def wrapper(request: Request) -> "Any":
            seen.append("in")
            try:
                return await f(request)
            finally:
                seen.append("out")

        return wrapper

    @app.get("/logged")
    @logged
    @with_websocket
    async def handler(request: Request, ws: WebSocket) -> None:
        seen.append(await ws.receive())

    async with Running(app) as server:
        peer = await open_websocket(server, "/logged")
        await peer.frame(0x81, b"message")
        assert await peer.read() == (0x88, b"\x03\xe8")
        await peer.drop()
        await until(lambda: "out" in seen)
    assert seen == ["in", "message", "out"]


async def test_a_message_that_nobody_receives_keeps_no_place() -> None:
    app, _ = echo_app()
    seen: "list[Any]" = []

    @app.get("/busy")
    @with_websocket(ping_timeout=0.5)
    async def busy(request: Request, ws: WebSocket) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            seen.append("ended")

    async with Running(app) as server:
        peer = await open_websocket(server, "/busy")
        await peer.frame(0x81, b"message")
        await peer.drop()
        assert await until(lambda: bool(seen))


async def test_a_handler_that_only_sends() -> None:
    """Nothing else is awaited: a client that resets the connection must not keep the loop from all others."""
    app, _ = echo_app()
    ended: "list[str]" = []

    @app.get("/flood")
    @with_websocket
    async def flood(request: Request, ws: WebSocket) -> None:
        try:
            while True:
                await ws.send("x" * 200)
        finally:
            ended.append("flood")

    async with Running(app) as server:
        for _ in range(3):
            sock = socket.socket()
            sock.connect(socket.getaddrinfo("127.0.0.1", server.port)[0][-1])
            lines = "\r\n".join(["%s: %s" % (name, HANDSHAKE[name]) for name in HANDSHAKE])
            sock.send(("GET /flood HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % lines).encode())
            await asyncio.sleep(0.1)
            sock.setsockopt(socket.SOL_SOCKET, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: close() is a reset
            sock.close()
        assert await until(lambda: len(ended) == 3)


async def test_a_handshake_with_a_body_that_nobody_reads() -> None:
    """A stranger's oddity: the handler runs all the same, and at once."""
    app, seen = echo_app()

    @app.get("/odd")
    @with_websocket
    async def odd(request: Request, ws: WebSocket) -> None:
        await ws.send("begin")
        seen.append("sent")

    before = Request.max_body_length
    Request.max_body_length = 4
    try:
        async with Running(app) as server:
            peer = await handshake(server, "/odd", {"Content-Length": "8"})
            assert await asyncio.wait_for(peer.read(), 5) == (0x81, b"begin")
            await peer.drop()
            assert await until(lambda: seen == ["sent"])
    finally:
        Request.max_body_length = before
