"""What only CPython's native server can be asked: handshakes that nobody finishes, a start that is cancelled half-way."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from microdot import Microdot, body
from microdot.http import HTTPException

FILES = Path(__file__).parents[1] / "conformance" / "files"


def hello_app() -> Microdot:
    app = Microdot()
    app.get("/")(lambda request: "hello")
    return app


async def started(app: Microdot, port: int = 0, **arguments: object) -> "asyncio.Task[object]":
    """Serve in a task; returns when connections are accepted."""
    task = asyncio.create_task(app.start_server("127.0.0.1", port, **arguments))  # type: ignore[arg-type]
    while not (app.server and app.server.socket and app.server.is_serving()):
        await asyncio.sleep(0.01)
    return task


def port_of(app: Microdot) -> int:
    assert app.server
    port: int = app.server.sockets[0].getsockname()[1]
    return port


async def test_connections_that_do_not_shake_hands_are_few() -> None:
    """RELIABILITY L11: they hold descriptors; the oldest go, and whoever shakes hands is served."""
    app = hello_app()
    app.max_connections = 4
    app.head_timeout = 30
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FILES / "cert.pem", FILES / "key.pem")
    task = await started(app, ssl=context)
    client = ssl.create_default_context(cafile=str(FILES / "cert.pem"))
    silent = [await asyncio.open_connection("127.0.0.1", port_of(app)) for _ in range(30)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(app), ssl=client, server_hostname="localhost")
    writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"\r\n\r\nhello")
    ended = 0
    for silent_reader, silent_writer in silent:
        with contextlib.suppress(asyncio.TimeoutError):
            ended += await asyncio.wait_for(silent_reader.read(1), 0.05) == b""
        silent_writer.close()
    assert ended >= 21  # 4 // 4 + 8 may wait
    writer.close()
    app.shutdown()
    await asyncio.wait_for(task, 10)


async def test_a_start_that_is_cancelled_leaves_no_socket() -> None:
    """In whichever turn of the loop: the port is free afterwards."""
    app = hello_app()
    task = await started(app)
    port = port_of(app)
    app.shutdown()
    await task
    for turns in range(8):
        task = asyncio.create_task(app.start_server("127.0.0.1", port))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        again = await started(hello_app(), port)
        again.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await again



async def test_a_client_that_is_gone_before_100_continue_is_no_failure_of_the_handler() -> None:
    """As one that goes within the body: else a stranger fills the log with tracebacks."""

    class Gone:
        credit = -2  # it has asked for `100 Continue`
        server = None

        def write(self, data: bytes) -> bool:
            raise ConnectionResetError

    with pytest.raises(HTTPException) as raised:
        await body.wait(Gone())  # type: ignore[arg-type]
    assert raised.value.status_code == 400
