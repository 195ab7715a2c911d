"""What microdot.sse does a quicker way on CPython gives what boards do (CPython only)."""

from __future__ import annotations

import asyncio
from typing import Any

from microdot import Microdot
from microdot.sse import SSE, with_sse


def slow_send() -> Any:
    """Return the `send()` that boards have, which the quick one keeps for what is out of the ordinary."""
    cells = SSE.send.__closure__ or ()
    names = SSE.send.__code__.co_freevars
    return dict(zip(names, cells))["slow"].cell_contents


async def test_events_are_written_alike() -> None:
    slow = slow_send()
    assert slow is not SSE.send
    for data in ("", "text", "é", "two\nlines", "two\r\nlines\r", b"bytes\n", {"a": 1}, [1], 5, None, 1.5, True):
        for more in ({}, {"event": "kind"}, {"event": ""}, {"event_id": 7}, {"event_id": ""}, {"retry": 1.5}, {"comment": True}):
            one, other = SSE(), SSE()
            await slow(one, data, **more)
            await SSE.send(other, data, **more)
            assert one.queue == other.queue and len(one.queue) == 1, (data, more)
            assert one.event.is_set() and other.event.is_set()
    closed = SSE()
    closed.server_stops()
    await closed.send("dropped")
    assert closed.queue == []


async def test_what_leaves_at_once() -> None:
    """A writer is used when the server waits and nothing else does; never by two events of one moment, nor when it refuses."""
    sse: Any = SSE()
    written: list[bytes] = []
    answers: list[bool | None] = [False, None, True]

    def put(data: bytes) -> bool | None:
        answer = answers.pop(0)
        if answer is not None:
            written.append(data)
        return answer

    sse._tasks = (asyncio.create_task(asyncio.sleep(0)),)
    sse.take_writer(put)
    await sse.send("0")
    assert (written, sse.queue) == ([], [b"data: 0\n\n"])  # the server does not wait yet
    assert await sse.__anext__() == b"data: 0\n\n"

    async def round(*data: Any) -> bytes | None:
        step = asyncio.create_task(sse.__anext__())
        await asyncio.sleep(0.003)
        for one in data:
            await sse.send(one)
        try:
            return await asyncio.wait_for(step, 0.05)
        except asyncio.TimeoutError:
            return None

    assert await round({"a": 1}) is None and written == [b'data: {"a": 1}\n\n']
    assert await round("refused", "2") == b"data: refused\n\ndata: 2\n\n"
    assert await round("3", "4", "5") == b"data: 4\n\ndata: 5\n\n"
    assert written[1:] == [b"data: 3\n\n"] and answers == []
    answers.append(True)
    assert await round("alone") == b""  # so that the server looks at its client
    assert await round("two\nlines") == b"data: two\ndata: lines\n\n"
    sse.take_writer(None)
    assert await round("6") == b"data: 6\n\n"


async def test_a_client_that_takes_nothing() -> None:
    """Each event leaves at once until the client takes no more; then its deadline ends the stream, though none follows."""
    app = Microdot()
    app.write_timeout = 1
    ended = asyncio.Event()
    sent = 0

    @app.get("/")
    @with_sse(heartbeat=0)
    async def events(request: Any, sse: SSE) -> None:
        nonlocal sent
        try:
            while not request.connection.blocked:
                await sse.send("x" * 50_000)
                sent += 1
                await asyncio.sleep(0.002)
            await asyncio.sleep(30)
        finally:
            ended.set()

    server = await app.start_server("127.0.0.1", 0, start_serving=False)
    await server.start_serving()
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1000)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(ended.wait(), 15)
        assert sent > 2
    finally:
        writer.transport.abort()
        server.close()


async def test_events_arrive_in_order() -> None:
    app = Microdot()
    numbers = [0, 1, 1, 5, 0, 3, 0, 0, 2, 40]

    @app.get("/")
    @with_sse
    async def events(request: Any, sse: SSE) -> None:
        n = 0
        for count in numbers:
            for _ in range(count):
                await sse.send(n if n % 3 else {"n": n})
                n += 1
            await asyncio.sleep(0.002)

    server = await app.start_server("127.0.0.1", 0, start_serving=False)
    await server.start_serving()
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b"text/event-stream" in head
        body = b""
        while size := int(await asyncio.wait_for(reader.readline(), 5), 16):
            body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        assert body == b"".join(b"data: %d\n\n" % n if n % 3 else b'data: {"n": %d}\n\n' % n for n in range(sum(numbers)))
        assert await reader.readexactly(2) == b"\r\n"
        writer.write(b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n")  # the connection is whole
        assert b" 404 " in await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()
        server.close()


async def test_a_full_queue_waits_and_goes_on() -> None:
    sse = SSE()
    sse.max_queue = 2
    seen: list[int] = []

    async def produce() -> None:
        for n in range(7):
            await sse.send(str(n))
            seen.append(n)

    task = asyncio.create_task(produce())
    await asyncio.sleep(0)
    assert (seen, len(sse.queue)) == ([0, 1], 2)
    sse._tasks = (task,)
    got = b""
    while got.count(b"\n\n") < 7:
        got += await asyncio.wait_for(sse.__anext__(), 5)
    await task
    assert got == b"".join(b"data: %d\n\n" % n for n in range(7))


async def test_several_may_wait_for_one_event() -> None:
    sse = SSE()
    woken: list[int] = []

    async def wait(n: int) -> None:
        assert await sse.event.wait() is True
        woken.append(n)

    tasks = [asyncio.create_task(wait(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()  # the first of them: the others are woken all the same
    await asyncio.sleep(0)
    late = asyncio.create_task(wait(3))
    await asyncio.sleep(0)
    sse.event.set()
    sse.event.clear()
    await asyncio.wait_for(asyncio.gather(*tasks[1:], late), 5)
    assert sorted(woken) == [1, 2, 3] and not sse.event.is_set()
    sse.event.set()
    assert await asyncio.wait_for(sse.event.wait(), 5) is True
